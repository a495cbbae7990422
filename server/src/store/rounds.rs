//! Code rounds: an approver's nonce, the joiner's reveal.

use protocol::round::{self, Nonce, Reveal};
use protocol::{ChainId, Hash, Verified};
use rusqlite::{OptionalExtension as _, params};

use super::chains::{self, Change};
use super::requests::{self, Request};
use super::{Tx, rosters::Rosters};
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// Stores an approver's nonce in the next free round of an open request.
///
/// # Errors
///
/// A [`Refusal`] naming what does not hold, membership first; or a [`Failure`] of the store.
pub fn nonce(tx: Tx<'_>, nonce: &Verified<Nonce>, now: Moment) -> Result<Change, Failure> {
    let (chain, roster) = chains::for_acting_member(tx, &nonce.chain, &nonce.signer())?;
    if roster.approver(&nonce.signer()).is_none() {
        return Err(Refusal::NotAnApprover.into());
    }
    let request = requests::find_visible(tx, chain.number, &nonce.request)?;
    let taken = hash_of_round(tx, request.number, nonce.round)?;
    if taken == Some(nonce.hash()) {
        return Ok(Change::Replay);
    }
    if !request.is_open(now) {
        return Err(Refusal::RequestClosed.into());
    }
    let cited = roster.position(&nonce.head).ok_or(Refusal::UnknownHead)?;
    if cited.epoch != nonce.epoch || nonce.epoch != roster.epoch() {
        return Err(Refusal::StaleEpoch.into());
    }
    let next = next_round(tx, request.number)?;
    // A nonce names one of eight rounds, or it is none; so there is no ninth.
    if nonce.round != next {
        return Err(Refusal::RoundTaken { got: nonce.round, next }.into());
    }
    tx.sql
        .prepare_cached("INSERT INTO rounds (request, round, hash, nonce) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![request.number, nonce.round, nonce.hash().as_bytes(), &nonce.bytes()[..]])?;
    Ok(Change::Fresh)
}

fn hash_of_round(tx: Tx<'_>, request: i64, round: u8) -> Result<Option<Hash>, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT hash FROM rounds WHERE request = ?1 AND round = ?2")?;
    Ok(statement.query_row(params![request, round], |row| row.get(0).map(Hash)).optional()?)
}

fn next_round(tx: Tx<'_>, request: i64) -> Result<u8, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT count(*) + 1 FROM rounds WHERE request = ?1")?;
    Ok(statement.query_row([request], |row| row.get(0))?)
}

/// What a reveal was checked against, so that the writer's thread need not verify signatures.
#[derive(Debug, Clone)]
pub struct Checked {
    request: Request,
    /// The chain to wake.
    pub chain: ChainId,
    round: u8,
    reveal: Verified<Reveal>,
}

/// Checks a reveal against the request and the nonce that it answers. Both never change, so a snapshot is enough.
///
/// # Errors
///
/// [`Refusal::RequestUnknown`], [`Refusal::Round`], or a [`Failure`] of the store.
pub fn check_reveal(tx: Tx<'_>, reveal: Verified<Reveal>) -> Result<Checked, Failure> {
    let request = requests::find(tx, &reveal.request)?.ok_or(Refusal::RequestUnknown)?;
    if request.device != reveal.signer() {
        return Err(Refusal::RequestUnknown.into());
    }
    let (bytes, chain): (Vec<u8>, [u8; 32]) = tx
        .sql
        .prepare_cached(
            "SELECT bytes, chains.id FROM requests JOIN chains ON chains.number = chain WHERE requests.number = ?1",
        )?
        .query_row([request.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut statement = tx.sql.prepare_cached("SELECT nonce FROM rounds WHERE request = ?1 AND hash = ?2")?;
    let nonce: Option<Vec<u8>> =
        statement.query_row(params![request.number, reveal.nonce.as_bytes()], |row| row.get(0)).optional()?;
    let nonce = nonce.ok_or(Refusal::Round(round::RoundError::OtherNonce))?;
    let (form, nonce) = verified(tx.rosters, Hash(request.id.0), &bytes, reveal.nonce, &nonce)?;
    round::check_reveal(&form, &nonce, &reveal).map_err(Refusal::Round)?;
    Ok(Checked { request, chain: ChainId(chain), round: nonce.round, reveal })
}

type Pair = (std::sync::Arc<Verified<protocol::request::JoinRequest>>, std::sync::Arc<Verified<Nonce>>);

fn verified(rosters: &Rosters, id: Hash, request: &[u8], hash: Hash, nonce: &[u8]) -> Result<Pair, Failure> {
    let broken = Failure::Broken("a request or nonce that does not verify");
    rosters.request(id, request).zip(rosters.nonce(hash, nonce)).ok_or(broken)
}

/// Stores a reveal: one for each nonce, ever. A denied request takes it as before, so that its joiner notices nothing.
///
/// # Errors
///
/// [`Refusal::RequestClosed`], [`Refusal::RevealTaken`], or a [`Failure`] of the store.
pub fn reveal(tx: Tx<'_>, checked: &Checked, now: Moment) -> Result<Change, Failure> {
    let request = requests::find(tx, &checked.request.id)?.ok_or(Refusal::RequestUnknown)?;
    let place = params![request.number, checked.round];
    let mut statement = tx.sql.prepare_cached("SELECT reveal FROM rounds WHERE request = ?1 AND round = ?2")?;
    let stored: Option<Vec<u8>> = statement.query_row(place, |row| row.get(0))?;
    if let Some(stored) = stored {
        let same = Verified::<Reveal>::from_bytes(&stored).is_ok_and(|stored| stored.hash() == checked.reveal.hash());
        return if same { Ok(Change::Replay) } else { Err(Refusal::RevealTaken.into()) };
    }
    if !request.seems_open(now) {
        return Err(Refusal::RequestClosed.into());
    }
    tx.sql.prepare_cached("UPDATE rounds SET reveal = ?3 WHERE request = ?1 AND round = ?2")?.execute(params![
        request.number,
        checked.round,
        &checked.reveal.bytes()[..]
    ])?;
    Ok(Change::Fresh)
}
