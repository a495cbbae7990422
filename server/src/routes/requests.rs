//! Asking to join, asking how it stands, taking it back, and what members see of it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use http::StatusCode;
use protocol::error::FormError;
use protocol::request::{JoinRequest, Withdrawal};
use protocol::wire::{Ask, OpenRequests, Standing};
use protocol::{ChainId, RequestId, Verified, limits};

use super::body::{self, Named};
use super::{Answer, cbor};
use crate::address::{Client, Net};
use crate::failure::Failure;
use crate::registry::{News, Wake};
use crate::relay::Relay;
use crate::signed_read;
use crate::store::Tx;
use crate::store::chains::{self, Change};
use crate::store::requests::{self, Asked, Origin};

/// Bytes of an [`Ask`]: its two parts and their envelope.
const ASK_BYTES_MAX: usize = limits::REQUEST_BYTES_MAX + limits::DESCRIPTION_BYTES_MAX + 16;

/// `POST /v1/requests`
pub(super) async fn ask(
    State(relay): State<Arc<Relay>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    let standing = ask_inner(&relay, client, request).await?;
    Ok(cbor(StatusCode::ACCEPTED, &standing))
}

/// Cheap checks first: size, address, shape; then signatures; then the sync code's own limits. Nothing is stored or pushed before
/// all of them held.
async fn ask_inner(relay: &Relay, client: Client, request: Request) -> Result<Standing, Failure> {
    relay.rates.ask_from(Net::of(client.address))?;
    let bytes = body::read(relay, request, ASK_BYTES_MAX).await?;
    let ask: Ask = protocol::cbor::decode("ask", &bytes, ASK_BYTES_MAX)?;
    let form = Verified::<JoinRequest>::from_bytes(&ask.request)?;
    if !form.names(&ask.description) {
        let what = "the description is not the one that the request names";
        return Err(FormError::BadField { form: "join request", what }.into());
    }
    relay.rates.ask_with(form.join_key)?;
    let origin = Origin { address: client.address, proxy: client.proxy };
    let (now, id) = (relay.now(), form.id());
    let job = move |tx: Tx<'_>| {
        let asked = requests::ask(tx, &form, &ask.description, origin, now)?;
        tx.rosters.keep_request(Arc::new(form));
        Ok(asked)
    };
    let wakes = |asked: &Asked| asked.change.is_fresh().then(|| Wake::members(asked.chain, News::REQUESTS));
    let asked = relay.change(job, wakes).await?;
    if asked.change.is_fresh() {
        tracing::info!(request = %id.short(), chain = %asked.chain.short(), "asked to join");
    }
    let online = relay.registry.is_online(&asked.chain);
    Ok(Standing { online, ..asked.standing })
}

/// `GET /v1/requests/{id}`
pub(super) async fn standing(State(relay): State<Arc<Relay>>, Named(id): Named<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        let device = signed_read::device(&relay, &parts)?;
        let [] = body::query(&parts, [])?;
        let id: RequestId = body::id(&id)?;
        relay.standing(id, device).await
    };
    let (_, standing) = read.await?;
    Ok(cbor(StatusCode::OK, &standing))
}

/// `GET /v1/chains/{chain}/requests`
pub(super) async fn open(State(relay): State<Arc<Relay>>, Named(chain): Named<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        let device = signed_read::device(&relay, &parts)?;
        let [] = body::query(&parts, [])?;
        let chain: ChainId = body::id(&chain)?;
        let now = relay.now();
        let job = move |tx: Tx<'_>| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            requests::open(tx, chain.number, now)
        };
        relay.store.glance(Some(chain), job).await
    };
    let requests = read.await?.into_iter().map(|open| open.request).collect();
    Ok(cbor(StatusCode::OK, &OpenRequests { requests }))
}

/// `POST /v1/withdrawals`
pub(super) async fn withdraw(State(relay): State<Arc<Relay>>, request: Request) -> Answer {
    Ok(cbor(StatusCode::OK, &withdraw_inner(&relay, request).await?))
}

async fn withdraw_inner(relay: &Relay, request: Request) -> Result<Standing, Failure> {
    let bytes = body::read(relay, request, limits::SMALL_FORM_BYTES_MAX).await?;
    let withdrawal = Verified::<Withdrawal>::from_bytes(&bytes)?;
    let (now, id, device) = (relay.now(), withdrawal.request, withdrawal.signer());
    let job = move |tx: Tx<'_>| requests::withdraw(tx, &withdrawal, now);
    let wakes = |(chain, change): &(ChainId, Change)| change.is_fresh().then(|| Wake::all(*chain, News::REQUESTS));
    let (_, change) = relay.change(job, wakes).await?;
    if change.is_fresh() {
        tracing::info!(request = %id.short(), "withdrawn");
    }
    Ok(relay.standing(id, device).await?.1)
}
