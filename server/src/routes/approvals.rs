//! Approvals of further approvers: given, and read.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use protocol::approval::Approval;
use protocol::wire::Approvals;
use protocol::{ChainId, Verified, limits};

use super::body::{self, Named};
use super::{Answer, cbor};
use crate::failure::Failure;
use crate::registry::{News, Wake};
use crate::relay::Relay;
use crate::signed_read;
use crate::store::chains::{self, Change};
use crate::store::{Tx, approvals};

/// `POST /v1/approvals`
pub(super) async fn approve(State(relay): State<Arc<Relay>>, request: Request) -> Answer {
    approve_inner(&relay, request).await?;
    Ok(StatusCode::OK.into_response())
}

async fn approve_inner(relay: &Relay, request: Request) -> Result<(), Failure> {
    let bytes = body::read(relay, request, limits::APPROVAL_BYTES_MAX).await?;
    let approval = Verified::<Approval>::from_bytes(&bytes)?;
    let (now, chain, device) = (relay.now(), approval.chain, approval.signer());
    let wakes = move |change: &Change| change.is_fresh().then(|| Wake::members(chain, News::REQUESTS));
    if relay.change(move |tx| approvals::approve(tx, &approval, now), wakes).await?.is_fresh() {
        tracing::info!(chain = %chain.short(), device = %device.short(), "approval");
    }
    Ok(())
}

/// `GET /v1/chains/{chain}/approvals`
pub(super) async fn kept(State(relay): State<Arc<Relay>>, Named(chain): Named<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        let device = signed_read::device(&relay, &parts)?;
        let [] = body::query(&parts, [])?;
        let chain: ChainId = body::id(&chain)?;
        let now = relay.now();
        let job = move |tx: Tx<'_>| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            approvals::kept(tx, &chain, 0, now)
        };
        relay.store.glance(Some(chain), job).await
    };
    let approvals = read.await?.into_iter().map(|kept| kept.form).collect();
    Ok(cbor(StatusCode::OK, &Approvals { approvals }))
}
