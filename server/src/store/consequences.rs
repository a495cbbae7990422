//! What an entry of the log changes beside the log: requests are decided, sync codes die, approvals are void.

use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, Entry};
use protocol::record::Line;
use protocol::wire::Purpose;
use protocol::{ChainId, DeviceId, JoinKey, RequestId, Verified};
use rusqlite::params;

use super::chains::{Chain, find_join_key};
use super::{Tx, approvals, records, requests};
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
    entry: &Verified<Entry>,
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
        approvals::drop_void(tx, chain.number)?;
    }
    match (&entry.body, entry.evidence().request()) {
        (Body::Admit(_), Some(request)) => {
            requests::admit(tx, chain.number, &RequestId::from(request.hash()), purpose, now)
        }
        (Body::Deny(deny), _) => requests::deny(tx, chain.number, deny, now),
        _ => Ok(()),
    }
}

/// Refuses a cut that says *last* of a record that is not. Otherwise what its writer wrote meanwhile would be lost by accident.
fn check_cuts(tx: Tx<'_>, chain: &Chain, entry: &Verified<Entry>) -> Result<(), Failure> {
    let check = |device: &DeviceId, cut: &Cut| {
        let Line { counter, last } = records::line(tx, chain.number, device)?;
        if cut.at == CutAt::Last && (cut.counter, cut.last) != (counter, last) {
            return Err(Refusal::CutBehind { device: *device, counter, last }.into());
        }
        Ok(())
    };
    match &entry.body {
        Body::Remove(remove) => remove.removals.iter().try_for_each(|removal| check(&removal.device, &removal.cut)),
        Body::Leave(leave) => check(&entry.signer(), &leave.cut),
        Body::ChangeRole(change) => change.cut.iter().try_for_each(|cut| check(&change.device, cut)),
        _ => Ok(()),
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
    requests::mute_undecided(tx, chain.number)
}
