//! Approvals that wait for the entry they are put into.
//!
//! The relay keeps and hands them on; whether enough came together is for whoever signs the entry, and for the rules of the log.

use protocol::approval::{Approval, Subject};
use protocol::cbor::Blob;
use protocol::roster::Roster;
use protocol::{DeviceId, RequestId, Signed, Verified, limits};
use rusqlite::params;

use super::Tx;
use super::chains::{self, Chain, Change};
use super::requests;
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// An approval with its number, for whoever keeps track of what was told.
#[derive(Debug, Clone)]
pub struct Kept {
    /// It grows with each approval, and is never used twice.
    pub number: i64,
    /// The signed form.
    pub form: Blob,
}

/// Stores an approval that counts now, once.
///
/// # Errors
///
/// A [`Refusal`] naming what does not hold, membership first; or a [`Failure`] of the store.
pub fn approve(tx: Tx<'_>, approval: &Verified<Approval>, now: Moment) -> Result<Change, Failure> {
    let signer = approval.signer();
    let (chain, roster) = chains::for_acting_member(tx, &approval.chain, &signer)?;
    if roster.approver(&signer).is_none() {
        return Err(Refusal::NotAnApprover.into());
    }
    let mut known = tx.sql.prepare_cached("SELECT 1 FROM approvals WHERE chain = ?1 AND hash = ?2")?;
    if known.exists(params![chain.number, approval.hash().as_bytes()])? {
        return Ok(Change::Replay);
    }
    match (roster.position(&approval.head), &approval.subject) {
        // Of a branch that is to take the place of the one here: whether it counts there, only its own devices can tell.
        (None, Subject::Settle(settle)) if roster.position(&settle.abandoned).is_some() => {}
        (None, _) => return Err(Refusal::UnknownHead.into()),
        (Some(_), _) if !roster.counts(approval, &signer) => return Err(Refusal::ApprovalVoid.into()),
        (Some(_), _) => {}
    }
    let request = match &approval.subject {
        Subject::Admit(subject) => Some(subject.request),
        _ => None,
    };
    if let Some(id) = &request
        && !requests::find_visible(tx, chain.number, id)?.is_open(now)
    {
        return Err(Refusal::RequestClosed.into());
    }
    make_room(tx, &chain, approval, now)?;
    tx.sql
        .prepare_cached("INSERT INTO approvals (chain, hash, signer, request, bytes) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
        chain.number,
        approval.hash().as_bytes(),
        signer.as_bytes(),
        request.as_ref().map(RequestId::as_bytes),
        &approval.bytes()[..],
    ])?;
    Ok(Change::Fresh)
}

/// Drops what counts no more, and of the same signer the oldest where it has as many as it may: one approver alone fills nothing.
fn make_room(tx: Tx<'_>, chain: &Chain, approval: &Verified<Approval>, now: Moment) -> Result<(), Failure> {
    let mut rows =
        tx.sql.prepare_cached("SELECT number, request FROM approvals WHERE chain = ?1 AND request IS NOT NULL")?;
    let rows = rows.query_map([chain.number], |row| Ok((row.get(0)?, RequestId(row.get(1)?))))?;
    for (number, request) in rows.collect::<rusqlite::Result<Vec<(i64, RequestId)>>>()? {
        if !is_wanted(tx, Some(&request), now)? {
            tx.sql.prepare_cached("DELETE FROM approvals WHERE number = ?1")?.execute([number])?;
        }
    }
    let per_signer = super::int(limits::APPROVALS_OF_ONE_MAX as u64);
    tx.sql
        .prepare_cached(
            "DELETE FROM approvals WHERE chain = ?1 AND signer = ?2 AND number NOT IN
             (SELECT number FROM approvals WHERE chain = ?1 AND signer = ?2 ORDER BY number DESC LIMIT ?3)",
        )?
        .execute(params![chain.number, approval.signer().as_bytes(), per_signer - 1])?;
    let mut count = tx.sql.prepare_cached("SELECT count(*) FROM approvals WHERE chain = ?1")?;
    let count: usize =
        count.query_row([chain.number], |row| row.get(0).map(super::uint))?.try_into().unwrap_or(usize::MAX);
    if count >= limits::APPROVALS_KEPT_MAX { Err(Refusal::TooManyApprovals.into()) } else { Ok(()) }
}

/// The approvals of a chain that count now, after a number, oldest first.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn kept(tx: Tx<'_>, chain: &Chain, after: i64, now: Moment) -> Result<Vec<Kept>, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT number, bytes, request FROM approvals WHERE chain = ?1 AND number > ?2 ORDER BY number",
    )?;
    let mut rows = statement.query(params![chain.number, after])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let (bytes, request): (Vec<u8>, Option<[u8; 32]>) = (row.get(1)?, row.get(2)?);
        if is_wanted(tx, request.map(RequestId).as_ref(), now)? {
            kept.push(Kept { number: row.get(0)?, form: bytes.into() });
        }
    }
    Ok(kept)
}

/// What [`drop_void`] cannot know: a request ends without an entry.
fn is_wanted(tx: Tx<'_>, request: Option<&RequestId>, now: Moment) -> Result<bool, Failure> {
    let Some(id) = request else { return Ok(true) };
    Ok(requests::find(tx, id)?.is_some_and(|request| request.is_open(now)))
}

/// Drops what counts no more after an entry.
pub(super) fn drop_void(tx: Tx<'_>, chain: i64, after: &Roster) -> Result<(), Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT number, signer, bytes FROM approvals WHERE chain = ?1")?;
    let rows = statement
        .query_map([chain], |row| Ok((row.get(0)?, DeviceId(row.get(1)?), row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, DeviceId, Vec<u8>)>>>()?;
    for (number, signer, bytes) in rows {
        // Verified when it was stored.
        let broken = |_| Failure::Broken("an approval that does not decode");
        let approval = Signed::<Approval>::decode(&bytes).map_err(broken)?;
        if !after.counts(approval.claimed(), &signer) {
            tx.sql.prepare_cached("DELETE FROM approvals WHERE number = ?1")?.execute([number])?;
        }
    }
    Ok(())
}
