//! Applying a log from `found`, entry by entry.

use protocol::entry::{Entry, EntryEvidence};
use protocol::roster::Roster;
use protocol::signed::{Signed, Verified};

use crate::error::AgentError;

/// Applies a whole log from `found`.
pub(super) fn replay(bytes: &[impl AsRef<[u8]>]) -> Result<(Vec<Verified<Entry>>, Roster), AgentError> {
    let mut log: Vec<Verified<Entry>> = Vec::with_capacity(bytes.len());
    let mut roster: Option<Roster> = None;
    for bytes in bytes {
        let (entry, after) = next_of(roster, bytes.as_ref(), None)?;
        roster = Some(after);
        log.push(entry);
    }
    let roster = roster.ok_or(AgentError::Damaged { what: "the log is empty" })?;
    Ok((log, roster))
}

/// Applies entries that were verified, from `found`.
pub(super) fn replay_verified(log: &[Verified<Entry>]) -> Result<Roster, AgentError> {
    let (first, rest) = log.split_first().ok_or(AgentError::Damaged { what: "the log is empty" })?;
    let founded = Roster::found(first).map_err(AgentError::BadEntry)?;
    rest.iter().try_fold(founded, |roster, entry| roster.apply(entry).map_err(AgentError::BadEntry))
}

/// Verifies the next entry of a log, `found` where there is none yet, and applies it. `known` may be the request inside it.
pub(crate) fn next_of(
    roster: Option<Roster>,
    bytes: &[u8],
    known: Option<&EntryEvidence>,
) -> Result<(Verified<Entry>, Roster), AgentError> {
    let entry =
        Signed::<Entry>::decode(bytes).and_then(|entry| entry.verify_knowing(known)).map_err(AgentError::BadForm)?;
    let after = match roster {
        None => Roster::found(&entry),
        Some(roster) => roster.apply(&entry),
    };
    Ok((entry, after.map_err(AgentError::BadEntry)?))
}
