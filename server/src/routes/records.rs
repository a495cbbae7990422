//! Writing records, and reading them.

use std::sync::Arc;

use axum::extract::{Request, State};
use http::StatusCode;
use protocol::error::FormError;
use protocol::id::{BlindedCollection, BlindedId};
use protocol::keys::LastKey;
use protocol::record::{Record, RecordRefusal};
use protocol::refill::{self, Refill};
use protocol::wire::{Put, Stored};
use protocol::{ChainId, DeviceId, Form as _, Verified, limits};

use super::body::{self, Named};
use super::{Answer, cbor};
use crate::failure::{Failure, Refusal};
use crate::registry::{News, Wake};
use crate::relay::Relay;
use crate::signed_read;
use crate::store::chains;
use crate::store::records::{self, Giver, Incoming};

/// Records of a put that are verified on the thread that serves the socket. More go to a thread of their own, or the sockets
/// beside it would wait.
const VERIFIED_IN_PLACE_MAX: usize = 8;

/// `POST /v1/records`
pub(super) async fn put(State(relay): State<Arc<Relay>>, request: Request) -> Answer {
    Ok(cbor(StatusCode::OK, &put_inner(&relay, request).await?))
}

async fn put_inner(relay: &Relay, request: Request) -> Result<Stored, Failure> {
    let bytes = body::read(relay, request, limits::BODY_BYTES_MAX).await?;
    let put: Put = protocol::cbor::decode("put", &bytes, limits::BODY_BYTES_MAX)?;
    drop(bytes);
    let (batch, giver) = if put.records.len() <= VERIFIED_IN_PLACE_MAX {
        verify(put)?
    } else {
        let verified = tokio::task::spawn_blocking(move || verify(put)).await;
        verified.map_err(|_| Failure::Broken("the verification of a put panicked"))??
    };
    let (chain, signer) = one_line(&batch)?;
    let job = move |tx: crate::store::Tx<'_>| records::put(tx, &chain, &signer, &batch, giver);
    let put = relay.change(job, move |put| put.change.is_fresh().then(|| Wake::all(chain, News::RECORDS))).await?;
    if put.change.is_fresh() {
        tracing::debug!(chain = %chain.short(), device = %signer.short(), records = put.stored.numbers.len(), "stored");
    }
    Ok(put.stored)
}

fn verify(put: Put) -> Result<(Vec<Incoming>, Giver), Failure> {
    let mut key = LastKey::default();
    let verify = |sealed: protocol::wire::SealedRecord| {
        let record = Verified::<Record>::from_bytes_after(&sealed.record, &mut key)?;
        Ok(Incoming { record, ciphertext: sealed.ciphertext })
    };
    let batch: Vec<Incoming> = put.records.into_iter().map(verify).collect::<Result<_, Failure>>()?;
    let giver = match put.refill {
        None => Giver::Writer,
        Some(refill) => Giver::Member(vouched(&batch, &refill)?),
    };
    Ok((batch, giver))
}

/// Who vouches for exactly these records. Whether it is a member, the transaction asks.
fn vouched(batch: &[Incoming], refill: &[u8]) -> Result<DeviceId, Failure> {
    let refill = Verified::<Refill>::from_bytes(refill)?;
    let bad = |what| FormError::BadField { form: Refill::NAME, what };
    if batch.iter().any(|incoming| incoming.record.chain != refill.chain) {
        return Err(bad("the refill is for another chain").into());
    }
    if refill::hash_of(batch.iter().map(|incoming| &incoming.record)) != refill.records {
        return Err(bad("the refill names other records than those beside it").into());
    }
    Ok(refill.signer())
}

/// The chain and the signer that all records of a batch have in common.
fn one_line(batch: &[Incoming]) -> Result<(ChainId, DeviceId), Failure> {
    let first = batch.first().ok_or(Refusal::BadRequest("a put has 1 to 256 records"))?;
    let (chain, signer) = (first.record.chain, first.record.signer());
    for (index, incoming) in batch.iter().enumerate() {
        if incoming.record.chain != chain {
            return Err(Refusal::Record { index, refusal: RecordRefusal::OtherChain }.into());
        }
        if incoming.record.signer() != signer {
            return Err(Refusal::BadRequest("all records of a put are signed by one device").into());
        }
    }
    Ok((chain, signer))
}

/// `GET /v1/chains/{chain}/records?store=&after=&limit=`
pub(super) async fn page(State(relay): State<Arc<Relay>>, Named(chain): Named<String>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        let device = signed_read::device(&relay, &parts)?;
        let chain: ChainId = body::id(&chain)?;
        let [store, after, limit] = body::query(&parts, ["store", "after", "limit"])?;
        let (store, after) = (body::number(store)?, body::number(after)?.unwrap_or_default());
        // A number of another store says nothing about this one: the feed starts anew.
        let after = if store.is_none_or(|store| store == relay.store.identity()) { after } else { 0 };
        let limit = body::limit(limit, limits::PAGE_ITEMS_MAX)?;
        let job = move |tx: crate::store::Tx<'_>| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            records::page(tx, &chain, after, limit)
        };
        relay.store.glance(Some(chain), job).await
    };
    Ok(cbor(StatusCode::OK, &read.await?))
}

/// `GET /v1/chains/{chain}/records/{collection}/{id}`
pub(super) async fn current(
    State(relay): State<Arc<Relay>>,
    Named((chain, collection, id)): Named<(String, String, String)>,
    request: Request,
) -> Answer {
    let (parts, _) = request.into_parts();
    let read = async {
        let device = signed_read::device(&relay, &parts)?;
        let [] = body::query(&parts, [])?;
        let chain: ChainId = body::id(&chain)?;
        let (collection, id): (BlindedCollection, BlindedId) = (body::id(&collection)?, body::id(&id)?);
        let job = move |tx: crate::store::Tx<'_>| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            records::current(tx, &chain, &collection, &id)
        };
        relay.store.glance(Some(chain), job).await
    };
    Ok(cbor(StatusCode::OK, &read.await?))
}
