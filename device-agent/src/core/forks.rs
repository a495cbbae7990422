//! Two branches of one log: seen side by side, settled by an approver of both, and followed by whoever stood on the other one.

use std::collections::HashSet;

use protocol::carried::Carried;
use protocol::cbor::Blob;
use protocol::entry::{Body, Entry};
use protocol::record::{Kind, Record};
use protocol::roster::Roster;
use protocol::signed::Verified;
use protocol::{Hash, limits};

use super::diary::Fresh;
use super::records::verified;
use super::replay::replay_verified;
use super::view::{BranchView, ForkView};
use super::{Core, LogStanding, keys};
use crate::clock;
use crate::core::deed::Deed;
use crate::error::{AgentError, Missing};
use crate::store::{Again, Crossing, DraftRow, DraftState, NewDraft, Store};

/// A branch that leaves the pinned log before its head.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// Position of the last entry that both have.
    pub(super) common: u64,
    /// What follows there, verified and applied.
    pub(super) entries: Vec<Verified<Entry>>,
    /// The roster at its end.
    pub(super) roster: Roster,
}

/// What the relay shows where this device saw a fork.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Another branch.
    Other(Box<Branch>),
    /// The pinned log, which goes on there.
    Pinned,
    /// Nothing but the pinned log.
    Nothing,
}

/// What is left of an item where versions of it go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// A version with content.
    Content,
    /// None, or a tombstone.
    Nothing,
}

impl Core {
    /// Position of the first entry in which the branches differ.
    pub(crate) fn fork_seq(&self) -> Option<u64> {
        self.fork().filter(|seq| *seq > 0)
    }

    /// Reads what a relay shows after the last common entry.
    pub(crate) fn read_shown(&self, shown: &[Blob]) -> Result<Shown, AgentError> {
        let mut branch: Option<Branch> = None;
        for bytes in shown {
            let entry = Verified::<Entry>::from_bytes(bytes).map_err(AgentError::BadForm)?;
            branch = match branch.take() {
                None if self.is_pinned(&entry.hash()) => None,
                None if entry.prev == Some(self.roster.head()) => return Ok(Shown::Pinned),
                None => Some(self.branch_from(entry)?),
                Some(Branch { common, mut entries, roster }) => {
                    let roster = roster.apply(&entry).map_err(AgentError::BadEntry)?;
                    entries.push(entry);
                    Some(Branch { common, entries, roster })
                }
            };
        }
        Ok(branch.map_or(Shown::Nothing, |branch| Shown::Other(Box::new(branch))))
    }

    /// The branch that begins with an entry.
    fn branch_from(&self, entry: Verified<Entry>) -> Result<Branch, AgentError> {
        let stray = AgentError::Lie { what: "the relay shows another log than the one pinned here".to_owned() };
        let Some(common) = entry.prev.and_then(|prev| self.roster.position(&prev)).map(|at| at.seq) else {
            return Err(stray);
        };
        let base = replay_verified(self.up_to(common))?;
        let roster = base.apply(&entry).map_err(AgentError::BadEntry)?;
        Ok(Branch { common, entries: vec![entry], roster })
    }

    pub(super) fn up_to(&self, seq: u64) -> &[Verified<Entry>] {
        self.log.get(..self.log.partition_point(|entry| entry.seq <= seq)).unwrap_or_default()
    }

    /// The pinned entries that follow on a position.
    pub(super) fn after(&self, seq: u64) -> &[Verified<Entry>] {
        self.log.get(self.log.partition_point(|entry| entry.seq <= seq)..).unwrap_or_default()
    }

    /// The branch of which this device kept the first entry, where no relay shows more of it.
    pub(crate) fn kept_branch(&self) -> Result<Option<Branch>, AgentError> {
        let Some((bytes, _)) = self.unsettled()? else { return Ok(None) };
        let entry = Verified::<Entry>::from_bytes(&bytes).map_err(AgentError::BadForm)?;
        self.branch_from(entry).map(Some)
    }

    /// Both branches in words, and whether this device may settle.
    pub(crate) fn fork_view(&self, branch: &Branch) -> ForkView {
        let base = replay_verified(self.up_to(branch.common)).ok();
        let own = self.after(branch.common);
        let approves = |roster: &Roster| roster.approver(&self.keys.id()).is_some();
        let view = |entries: &[Verified<Entry>], roster: &Roster| BranchView {
            first: entries.first().map(|entry| entry.hash().to_string()).unwrap_or_default(),
            steps: self.steps(base.clone(), entries),
            approver_here: approves(roster),
        };
        ForkView {
            seq: branch.common + 1,
            pinned: view(own, &self.roster),
            other: view(&branch.entries, &branch.roster),
        }
    }

    /// Goes over to another branch: pinned in the place of this one, which is kept as evidence. What was written on this one alone goes.
    pub(crate) fn go_over(&mut self, branch: Branch) -> Result<(), AgentError> {
        let (old, fresh) = (self.after(branch.common).to_vec(), branch.entries);
        let mut roster = replay_verified(self.up_to(branch.common))?;
        let mut told = Vec::new();
        for entry in &fresh {
            let deed = Deed::of(Some(&roster), entry);
            roster = roster.apply(entry).map_err(AgentError::BadEntry)?;
            told.push(Fresh { entry: entry.clone(), deed, members: roster.people_count() });
        }
        let gone = self.gone_with(&roster)?;
        let again = self.written_again(&gone)?;
        let crossing = Crossing { common: branch.common, fresh: &fresh, old: &old, gone: &gone, again: &again };
        self.store.go_over(&crossing, clock::now())?;
        self.log.truncate(self.log.partition_point(|entry| entry.seq <= branch.common));
        self.log.extend(fresh);
        let known = self.keyring.epoch_key_of(roster.epoch()).unwrap_or(self.keyring.epoch_key()).clone();
        self.roster = roster;
        match keys::open(&self.log, &self.roster, &self.keys, &known) {
            Ok((keyring, unopened)) => {
                keys::keep(&self.home, &self.keys, &keyring);
                (self.keyring, self.unopened) = (keyring, unopened);
            }
            Err(error) => tracing::warn!("the keys of the branch that goes on do not open here: {error}"),
        }
        self.pending.clear();
        self.stand()?;
        for fresh in &told {
            self.announce(fresh)?;
        }
        self.drop_void(branch.common)?;
        self.retry_aside()
    }

    /// What becomes of what this device wrote last, of what goes: it is written anew where its place is free, and its person asked where
    /// not. Where a later write of the item waits already, that one has the say.
    pub(super) fn written_again(&self, gone: &[Hash]) -> Result<Vec<Again>, AgentError> {
        let waiting = |row: &DraftRow| !matches!(row.state, DraftState::Refused { .. });
        let drafts: Vec<DraftRow> = self.store.drafts()?.into_iter().filter(waiting).collect();
        let mut again = Vec::new();
        for hash in gone {
            let Some(row) = self.store.record_by_hash(hash)? else { continue };
            let record = verified(&row)?;
            let is_current = self.store.current(&record.collection, &record.id)? == Some(*hash);
            if !is_current || record.signer() != self.keys.id() {
                continue;
            }
            let Some(draft) = self.draft_of(&record, row.ciphertext.as_deref()) else { continue };
            let (base, left) = self.left_below(&record, gone)?;
            let later = drafts.iter().filter(|it| (&it.collection, &it.id) == (&draft.collection, &draft.id));
            let mut later = later.peekable();
            if later.peek().is_none() && (left == Left::Content || draft.value.is_some()) {
                again.push(Again::Queue(NewDraft { base, ..draft }));
                continue;
            }
            // Deletes of what is not there any more have nothing to do; the first that has replaces what is left.
            for it in later.filter(|it| it.base == Some(*hash)) {
                if left == Left::Nothing && it.kind == Kind::Delete {
                    again.push(Again::Void { draft: it.number });
                    continue;
                }
                again.push(Again::Replacing { draft: it.number, base });
                break;
            }
        }
        Ok(again)
    }

    /// The version of an item that is left where others go, and whether it holds anything.
    fn left_below(&self, record: &Record, gone: &[Hash]) -> Result<(Option<Hash>, Left), AgentError> {
        let mut base = record.base;
        while let Some(replaced) = base {
            let Some(row) = self.store.record_by_hash(&replaced)? else { break };
            let record = verified(&row)?;
            if !gone.contains(&replaced) {
                let left = if record.kind == Kind::Put { Left::Content } else { Left::Nothing };
                return Ok((base, left));
            }
            base = record.base;
        }
        Ok((base, Left::Nothing))
    }

    /// The records that another roster does not carry, with what comes later in their writers' lines and what replaced them.
    fn gone_with(&self, roster: &Roster) -> Result<Vec<Hash>, AgentError> {
        let (mut gone, mut carried) = (Vec::new(), Carried::by(roster));
        self.each_record(|record| {
            if !carried.stays(record, record.signer(), record.hash()) {
                gone.push(record.hash());
            }
        })?;
        Ok(gone)
    }

    /// Takes what follows the pinned head, on a forked log, if a settle is in it that names the other branch. Else nothing changes.
    pub(crate) fn take_settle(&mut self, entries: &[Blob]) -> Result<(), AgentError> {
        let Some((bytes, _)) = self.unsettled()? else { return Ok(()) };
        let evidence = Verified::<Entry>::from_bytes(&bytes).map_err(AgentError::BadForm)?.hash();
        for bytes in entries {
            let entry = Verified::<Entry>::from_bytes(bytes).map_err(AgentError::BadForm)?;
            if matches!(&entry.body, Body::Settle(settle) if settle.abandoned == evidence) {
                return self.take_entries(entries).map(|_| ());
            }
        }
        Ok(())
    }

    /// Evidence that no settle of the pinned log has named, nor anything that follows on what one named.
    pub(super) fn unsettled(&self) -> Result<Option<(Vec<u8>, u64)>, AgentError> {
        unsettled(&self.log, &self.store)
    }

    /// The first entry of a page that is not pinned, as a position.
    pub(crate) fn first_stranger(&self, entries: &[Blob]) -> Option<u64> {
        let verified = entries.iter().filter_map(|bytes| Verified::<Entry>::from_bytes(bytes).ok());
        verified.into_iter().find(|entry| !self.is_pinned(&entry.hash())).map(|entry| entry.seq)
    }

    /// Whether an entry is the first of a branch that was abandoned.
    pub(super) fn is_abandoned(&self, hash: &Hash) -> bool {
        self.log.iter().any(|entry| matches!(&entry.body, Body::Settle(settle) if settle.abandoned == *hash))
    }

    /// The entries with which a relay that still has an abandoned branch is brought to this one: from the last common one to the settle.
    pub(crate) fn replacement(&self, common: u64) -> Result<Vec<Verified<Entry>>, AgentError> {
        let own = self.after(common);
        let end = own.iter().position(|entry| matches!(entry.body, Body::Settle(_))).ok_or_else(nothing)?;
        within(own.iter().take(end + 1).cloned().collect())
    }

    /// Finds out anew whether the log is forked.
    pub(super) fn stand(&mut self) -> Result<(), AgentError> {
        self.standing = match self.unsettled()? {
            None => LogStanding::Whole,
            Some((entry, _)) => {
                let seq = Verified::<Entry>::from_bytes(&entry).map(|entry| entry.seq).unwrap_or_default();
                LogStanding::Forked { seq }
            }
        };
        Ok(())
    }
}

/// A relay takes no longer branch at once.
pub(super) fn within(entries: Vec<Verified<Entry>>) -> Result<Vec<Verified<Entry>>, AgentError> {
    if entries.len() <= limits::APPEND_ENTRIES_MAX { Ok(entries) } else { Err(AgentError::BranchTooLong) }
}

pub(super) fn nothing() -> AgentError {
    AgentError::NotFound { of: Missing::Other, what: "a fork that this device knows of".to_owned() }
}

/// Whether the log of a store is forked.
pub(crate) fn is_forked(store: &Store) -> Result<bool, AgentError> {
    let log: Result<Vec<_>, _> = store.log()?.iter().map(|bytes| Verified::<Entry>::from_bytes(bytes)).collect();
    Ok(unsettled(&log.map_err(AgentError::BadForm)?, store)?.is_some())
}

fn unsettled(log: &[Verified<Entry>], store: &Store) -> Result<Option<(Vec<u8>, u64)>, AgentError> {
    // Nearly always there is none, and then the log need not be looked at.
    let found = store.evidence()?;
    if found.is_empty() {
        return Ok(None);
    }
    let abandoned = log.iter().filter_map(|entry| match &entry.body {
        Body::Settle(settle) => Some(settle.abandoned),
        _ => None,
    });
    let mut settled: HashSet<Hash> = abandoned.collect();
    let pinned: HashSet<Hash> = log.iter().map(Verified::hash).collect();
    let mut evidence = Vec::new();
    for (bytes, at) in found {
        evidence.push((Verified::<Entry>::from_bytes(&bytes).map_err(AgentError::BadForm)?, at));
    }
    evidence.sort_by_key(|(entry, _)| entry.seq);
    for (entry, at) in evidence {
        let follows = entry.prev.is_some_and(|prev| settled.contains(&prev));
        if follows || settled.contains(&entry.hash()) {
            settled.insert(entry.hash());
        } else if !pinned.contains(&entry.hash()) {
            return Ok(Some((entry.bytes().to_vec(), at)));
        }
    }
    Ok(None)
}
