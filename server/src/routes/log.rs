//! Founding, appending, and reading the log.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use http::StatusCode;
use protocol::entry::{Body, Entry};
use protocol::roster::Refusal as LogRefusal;
use protocol::wire::Append;
use protocol::{ChainId, Verified, limits};

use super::body::{self, Named};
use super::{Answer, cbor};
use crate::address::{Client, Net};
use crate::failure::{Failure, Refusal};
use crate::registry::{News, Wake};
use crate::relay::Relay;
use crate::signed_read;
use crate::store::Rosters;
use crate::store::chains;
use crate::store::log::{self, Extended};

/// Entries that are verified on the thread that serves the socket. An admit has three signatures; more entries go to a thread
/// of their own, or the sockets beside it would wait.
const VERIFIED_IN_PLACE_MAX: usize = 3;

/// `POST /v1/chains`
pub(super) async fn found(
    State(relay): State<Arc<Relay>>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Answer {
    let extended = found_inner(&relay, client, request).await?;
    Ok(cbor(StatusCode::CREATED, &extended.appended))
}

async fn found_inner(relay: &Relay, client: Client, request: Request) -> Result<Extended, Failure> {
    relay.rates.found_from(Net::of(client.address))?;
    let bytes = body::read(relay, request, limits::ENTRY_BYTES_MAX).await?;
    let entry = Verified::<Entry>::from_bytes(&bytes)?;
    let extended = relay.store.change(move |tx| log::found(tx, &entry)).await?;
    if extended.change.is_fresh() {
        tracing::info!(chain = %extended.appended.head.short(), "founded");
    }
    Ok(extended)
}

/// `POST /v1/log`
pub(super) async fn append(State(relay): State<Arc<Relay>>, request: Request) -> Answer {
    let extended = append_inner(&relay, request).await?;
    Ok(cbor(StatusCode::OK, &extended.appended))
}

async fn append_inner(relay: &Relay, request: Request) -> Result<Extended, Failure> {
    let bytes = body::read(relay, request, limits::BODY_BYTES_MAX).await?;
    let append: Append = protocol::cbor::decode("append", &bytes, limits::BODY_BYTES_MAX)?;
    let purpose = append.purpose;
    let (chain, entries) = if append.entries.len() <= VERIFIED_IN_PLACE_MAX {
        verify(relay.store.rosters(), append)?
    } else {
        let rosters = Arc::clone(relay.store.rosters());
        let verified = tokio::task::spawn_blocking(move || verify(&rosters, append)).await;
        verified.map_err(|_| Failure::Broken("the verification of an append panicked"))??
    };
    let now = relay.now();
    let job = move |tx: crate::store::Tx<'_>| log::append(tx, &chain, &entries, purpose, now);
    let news = News::LOG.and(News::REQUESTS);
    let extended = relay.change(job, move |to| to.change.is_fresh().then(|| Wake::all(chain, news))).await?;
    if extended.change.is_fresh() {
        tracing::info!(chain = %chain.short(), seq = extended.appended.seq, "appended");
    }
    Ok(extended)
}

/// Verifies all entries of an append, and that they are of one chain.
fn verify(rosters: &Rosters, append: Append) -> Result<(ChainId, Vec<Verified<Entry>>), Failure> {
    let mut entries = Vec::with_capacity(append.entries.len());
    let mut chain = None;
    for (index, bytes) in append.entries.iter().enumerate() {
        let entry = rosters.verify(bytes)?;
        let of = match &entry.body {
            Body::Found(_) => Some(ChainId::from(entry.hash())),
            _ => entry.chain,
        };
        if of.is_none() || chain.is_some_and(|chain| Some(chain) != of) {
            return Err(Refusal::Log { index, refusal: LogRefusal::OtherChain }.into());
        }
        chain = of;
        entries.push(entry);
    }
    let chain = chain.ok_or(Refusal::BadRequest("an append has 1 to 64 entries"))?;
    Ok((chain, entries))
}

/// `GET /v1/chains/{chain}/log?after=&limit=`
pub(super) async fn page(State(relay): State<Arc<Relay>>, Named(chain): Named<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        let device = signed_read::device(&relay, &parts)?;
        let chain: ChainId = body::id(&chain)?;
        let [after, limit] = body::query(&parts, ["after", "limit"])?;
        let (after, limit) = (body::number(after)?, body::limit(limit, limits::PAGE_ITEMS_MAX)?);
        let job = move |tx: crate::store::Tx<'_>| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            log::page(tx, &chain, after, limit)
        };
        relay.store.glance(Some(chain), job).await
    };
    Ok(cbor(StatusCode::OK, &read.await?))
}
