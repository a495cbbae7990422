//! Nonces and reveals.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use protocol::round::{Nonce, Reveal};
use protocol::{Verified, limits};

use super::{Answer, body};
use crate::failure::Failure;
use crate::registry::{News, Wake};
use crate::relay::Relay;
use crate::store::chains::Change;
use crate::store::{Tx, rounds};

/// `POST /v1/nonces`
pub(super) async fn nonce(State(relay): State<Arc<Relay>>, request: Request) -> Answer {
    nonce_inner(&relay, request).await?;
    Ok(StatusCode::OK.into_response())
}

async fn nonce_inner(relay: &Relay, request: Request) -> Result<(), Failure> {
    let bytes = body::read(relay, request, limits::SMALL_FORM_BYTES_MAX).await?;
    let nonce = Arc::new(Verified::<Nonce>::from_bytes(&bytes)?);
    let (now, chain, id, round) = (relay.now(), nonce.chain, nonce.request, nonce.round);
    let job = move |tx: Tx<'_>| {
        let change = rounds::nonce(tx, &nonce, now)?;
        tx.rosters.keep_nonce(nonce);
        Ok(change)
    };
    let wakes = move |change: &Change| change.is_fresh().then(|| Wake::all(chain, News::REQUESTS));
    if relay.change(job, wakes).await?.is_fresh() {
        tracing::info!(request = %id.short(), chain = %chain.short(), round, "nonce");
    }
    Ok(())
}

/// `POST /v1/reveals`
pub(super) async fn reveal(State(relay): State<Arc<Relay>>, request: Request) -> Answer {
    reveal_inner(&relay, request).await?;
    Ok(StatusCode::OK.into_response())
}

async fn reveal_inner(relay: &Relay, request: Request) -> Result<(), Failure> {
    let bytes = body::read(relay, request, limits::SMALL_FORM_BYTES_MAX).await?;
    let reveal = Verified::<Reveal>::from_bytes(&bytes)?;
    let id = reveal.request;
    let checked = relay.store.glance(None, move |tx| rounds::check_reveal(tx, reveal)).await?;
    let (now, chain) = (relay.now(), checked.chain);
    let wakes = move |change: &Change| change.is_fresh().then(|| Wake::members(chain, News::REQUESTS));
    if relay.change(move |tx| rounds::reveal(tx, &checked, now), wakes).await?.is_fresh() {
        tracing::info!(request = %id.short(), chain = %chain.short(), "reveal");
    }
    Ok(())
}
