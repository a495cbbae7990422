//! What an entry of the log changes beside the log: requests are decided, sync codes die, approvals are void, chains end.

use std::time::Duration;

use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, Close, Entry, Veto, VetoOf};
use protocol::record::Line;
use protocol::roster::{ClosingTerms, Roster};
use protocol::wire::Purpose;
use protocol::{ChainId, DeviceId, JoinKey, RequestId, Verified};
use rusqlite::params;

use super::chains::{self, Chain, find_join_key};
use super::waits::{self, What};
use super::{Tx, approvals, records, requests, resets};
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// Carries an entry over, in the transaction that stores it. The log took it already; what is asked here are the relay's own
/// restrictions, for new entries only.
///
/// # Errors
///
/// A [`Refusal`], and then nothing of the append is kept; or a [`Failure`] of the store.
pub(super) fn carry(
    tx: Tx<'_>,
    chain: &Chain,
    (entry, after): (&Verified<Entry>, &Roster),
    purpose: Purpose,
    now: Moment,
) -> Result<(), Failure> {
    if purpose == Purpose::New {
        check_cuts(tx, chain, entry)?;
    }
    if let Some(join_key) = entry.body.rotation().and_then(|rotation| rotation.join_key) {
        replace_join_key(tx, (chain, entry.chain), &join_key)?;
    }
    if !matches!(entry.body, Body::Deny(_)) {
        approvals::drop_void(tx, chain.number, after)?;
        follow_closing(tx, chain, after.closing(), now)?;
    }
    match (&entry.body, entry.evidence().request()) {
        (Body::Admit(_), Some(request)) => {
            requests::admit(tx, chain.number, &RequestId::from(request.hash()), purpose, now)
        }
        (Body::Deny(deny), _) => requests::deny(tx, chain.number, deny, now),
        (Body::Veto(Veto { of: VetoOf::Reset, hash }), _) => resets::stop(tx, chain.number, *hash),
        (Body::Close(close), _) => end(tx, chain, close, now),
        _ => Ok(()),
    }
}

/// Refuses a cut that says *last* of a record that is not. Otherwise what its writer wrote meanwhile would be lost by accident.
fn check_cuts(tx: Tx<'_>, chain: &Chain, entry: &Verified<Entry>) -> Result<(), Failure> {
    for (device, cut) in last_cuts(entry) {
        let Line { counter, last } = records::line(tx, chain.number, &device)?;
        if (cut.counter, cut.last) != (counter, last) {
            return Err(Refusal::CutBehind { device, counter, last }.into());
        }
    }
    Ok(())
}

/// Whether a record is stored that lies past a cut that says *last*: one that was taken while the relay had lost the entry.
pub(super) fn is_passed(tx: Tx<'_>, chain: &Chain, entry: &Verified<Entry>) -> Result<bool, Failure> {
    for (device, cut) in last_cuts(entry) {
        let Line { counter, last } = records::line(tx, chain.number, &device)?;
        if last.is_some_and(|last| cut.is_passed_by(counter, last)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The devices from which an entry takes writing at what it says is their last record.
fn last_cuts(entry: &Verified<Entry>) -> Vec<(DeviceId, Cut)> {
    let cuts: Vec<(DeviceId, Cut)> = match &entry.body {
        Body::Remove(remove) => remove.removals.iter().map(|removal| (removal.device, removal.cut)).collect(),
        Body::Leave(leave) => vec![(entry.signer(), leave.cut)],
        Body::ChangeRole(change) => change.cut.iter().map(|cut| (change.device, *cut)).collect(),
        _ => Vec::new(),
    };
    cuts.into_iter().filter(|(_, cut)| cut.at == CutAt::Last).collect()
}

/// The delay of a closing begins when it stands here, and ends with it: by a veto, or because its signer may not decide any more.
fn follow_closing(tx: Tx<'_>, chain: &Chain, closing: Option<&ClosingTerms>, now: Moment) -> Result<(), Failure> {
    waits::end_others(tx, chain.number, What::Closing, closing.map(|closing| closing.hash))?;
    closing.map_or(Ok(()), |closing| {
        let delay = Duration::from_secs(u64::from(closing.delay));
        waits::begin(tx, chain.number, (What::Closing, closing.hash), delay, now)
    })
}

/// The chain ends, if the delay of its closing has passed. The log stays, so that its members learn how it ended.
fn end(tx: Tx<'_>, chain: &Chain, close: &Close, now: Moment) -> Result<(), Failure> {
    let left = waits::left(tx, chain.number, (What::Closing, close.closing), now)?;
    match left.ok_or(Failure::Broken("a closing without its delay"))? {
        0 => {
            resets::end(tx, chain.number)?;
            chains::empty(tx, chain)
        }
        left => Err(Refusal::ClosingTooEarly { left }.into()),
    }
}

/// A new join key is this chain's for ever, and what was asked with the one before is dead.
fn replace_join_key(tx: Tx<'_>, (chain, id): (&Chain, Option<ChainId>), join_key: &JoinKey) -> Result<(), Failure> {
    match find_join_key(tx, join_key)? {
        Some(known) if Some(known.chain) != id => return Err(Refusal::JoinKeyTaken.into()),
        Some(_) => {}
        None => {
            tx.sql
                .prepare_cached("INSERT INTO join_keys (key, chain) VALUES (?1, ?2)")?
                .execute(params![join_key.as_bytes(), chain.number])?;
        }
    }
    // Whoever has the old code has no word in it any more.
    resets::end(tx, chain.number)?;
    requests::follow_join_key(tx, chain.number, join_key)
}
