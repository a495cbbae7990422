//! The wish to reset a chain, and what its signer must know.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use http::StatusCode;
use protocol::reset::Reset;
use protocol::wire::{ChainOfKey, ResetStanding};
use protocol::{JoinKey, Verified, limits};

use super::body::{self, Named};
use super::{Answer, cbor};
use crate::address::{Client, Net};
use crate::failure::{Failure, Refusal};
use crate::registry::{News, Wake};
use crate::relay::Relay;
use crate::signed_read;
use crate::store::resets::{self, Announced};

/// `POST /v1/resets`
pub(super) async fn announce(
    State(relay): State<Arc<Relay>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    Ok(cbor(StatusCode::ACCEPTED, &announce_inner(&relay, client, request).await?))
}

async fn announce_inner(relay: &Relay, client: Client, request: Request) -> Result<ResetStanding, Failure> {
    relay.rates.ask_from(Net::of(client.address))?;
    let bytes = body::read(relay, request, limits::SMALL_FORM_BYTES_MAX).await?;
    let reset = Verified::<Reset>::from_bytes(&bytes)?;
    relay.rates.ask_with(reset.join_key())?;
    let (now, chain) = (relay.now(), reset.chain);
    let wakes = move |announced: &Announced| announced.change.is_fresh().then(|| Wake::members(chain, News::REQUESTS));
    let announced = relay.change(move |tx| resets::announce(tx, &reset, now), wakes).await?;
    if announced.change.is_fresh() {
        tracing::warn!(chain = %chain.short(), left = announced.standing.remaining, "a reset is announced");
        relay.tick_sooner();
    }
    Ok(announced.standing)
}

/// `GET /v1/join-keys/{key}`
pub(super) async fn chain_of(
    State(relay): State<Arc<Relay>>,
    Extension(client): Extension<Client>,
    Named(key): Named<String>,
    request: Request,
) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        relay.rates.ask_from(Net::of(client.address))?;
        let signer = signed_read::device(&relay, &parts)?;
        let [] = body::query(&parts, [])?;
        let key: JoinKey = body::id(&key)?;
        // What a join key opens is for who holds it, not for who has seen it.
        if signer.0 != key.0 {
            return Err(Refusal::NotAMember.into());
        }
        relay.store.read(move |tx| resets::chain_of(tx, &key)).await
    };
    let chain: Result<ChainOfKey, Failure> = read.await;
    Ok(cbor(StatusCode::OK, &chain?))
}
