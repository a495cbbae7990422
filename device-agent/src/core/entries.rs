//! Following the log: entry by entry, verified, applied, pinned, and only then told.

use protocol::Hash;
use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::policy::Role;
use protocol::signed::Verified;

use super::deed::Deed;
use super::diary::Fresh;
use super::replay::replay_verified;
use super::view::{Event, Here, MemberView};
use super::{Core, LogStanding};
use crate::error::AgentError;
use crate::{clock, text};

/// How a page of entries stands to the pinned log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// It continued the log, or held nothing new.
    None,
    /// Its first new entry does not follow the pinned head: the whole log must be compared.
    NotNext,
}

/// What an entry of the relay's log is, compared with the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is pinned.
    Pinned,
    /// It begins a branch that was abandoned by a settle.
    Abandoned {
        /// Position of the last entry before it.
        common: u64,
    },
}

impl Core {
    /// Takes entries in order. Those that continue the log are verified, applied, pinned and told; known ones are passed over.
    pub(crate) fn take_entries(&mut self, entries: &[Blob]) -> Result<Divergence, AgentError> {
        let (mut roster, since) = (self.roster.clone(), self.roster.seq());
        let mut fresh = Vec::new();
        let mut divergence = Divergence::None;
        for bytes in entries {
            let entry = Verified::<Entry>::from_bytes(bytes).map_err(AgentError::BadForm)?;
            if roster.position(&entry.hash()).is_some() {
                continue;
            }
            if entry.prev != Some(roster.head()) {
                divergence = Divergence::NotNext;
                break;
            }
            let deed = Deed::of(Some(&roster), &entry);
            roster = roster.apply(&entry).map_err(AgentError::BadEntry)?;
            fresh.push(Fresh { entry, deed, members: roster.people_count() });
        }
        if !fresh.is_empty() {
            let entries: Vec<Verified<Entry>> = fresh.iter().map(|fresh| fresh.entry.clone()).collect();
            let settled = fresh.iter().any(|fresh| matches!(fresh.deed, Deed::Settled { .. }));
            if settled {
                // Versions may be current again whose content the relay gave up when they were replaced. Before it is pinned: after that
                // nothing would say so.
                self.store.owe_refill()?;
            }
            self.store.pin(&entries)?;
            self.roster = roster;
            self.log.extend(entries);
            if settled {
                self.stand()?;
            }
            self.follow_epoch();
            for fresh in &fresh {
                self.announce(fresh)?;
            }
            self.drop_void(since)?;
            self.retry_aside()?;
        }
        Ok(divergence)
    }

    /// Judges an entry that stands where the pinned log has another: a fork if it is validly signed by somebody who could.
    pub(crate) fn judge(&mut self, bytes: &[u8]) -> Result<Judged, AgentError> {
        let entry = Verified::<Entry>::from_bytes(bytes).map_err(AgentError::BadForm)?;
        if self.roster.position(&entry.hash()).is_some() {
            return Ok(Judged::Pinned);
        }
        if self.is_abandoned(&entry.hash()) {
            return Ok(Judged::Abandoned { common: entry.seq.saturating_sub(1) });
        }
        let parent = entry.prev.and_then(|prev| self.roster.position(&prev));
        let Some(parent) = parent.filter(|parent| parent.seq < self.roster.seq()) else {
            return Err(AgentError::Lie { what: "the relay shows another log than the one pinned here".to_owned() });
        };
        let before = self.log.partition_point(|pinned| pinned.seq <= parent.seq);
        let roster = replay_verified(self.log.get(..before).unwrap_or_default())?;
        roster.apply(&entry).map_err(AgentError::BadEntry)?;
        self.store.keep_evidence(&entry, clock::now())?;
        self.standing = LogStanding::Forked { seq: entry.seq };
        let alarm = AgentError::Fork { seq: entry.seq };
        self.emit(Event::Alarm { message: alarm.to_string() });
        Err(alarm)
    }

    /// The hash that is pinned at a position.
    pub(crate) fn pinned(&self, seq: u64) -> Result<Option<Hash>, AgentError> {
        self.store.pinned(seq)
    }

    /// Whether an entry is in the pinned log.
    pub(crate) fn is_pinned(&self, hash: &Hash) -> bool {
        self.roster.position(hash).is_some()
    }

    pub(super) fn here(&self, device: &protocol::DeviceId) -> Here {
        if *device == self.keys.id() { Here::ThisDevice } else { Here::Other }
    }

    /// The members, oldest first. The recovery device is nobody's: [`Core::recovery`] names it.
    pub(crate) fn members(&self) -> Vec<MemberView> {
        let mut members: Vec<MemberView> = self
            .roster
            .members()
            .filter(|member| member.role != Role::Recovery)
            .map(|member| {
                let described = self.keyring.describe(&self.roster, member).ok();
                let claim = |pick: fn(&protocol::request::Description) -> &String| {
                    described.as_ref().map(|described| text::clean(pick(described))).unwrap_or_default()
                };
                MemberView {
                    device: member.device.signing.to_string(),
                    name: claim(|described| &described.name),
                    platform: claim(|described| &described.platform),
                    version: claim(|described| &described.version),
                    role: member.role.name().to_owned(),
                    admitted_at_seq: member.admission.seq,
                    admitted_by: self.bare_name_of(&member.admission.by),
                    how: member.admission.how.map(|how| how.name().to_owned()),
                    admitted_at: member.admission.at,
                    here: self.here(&member.device.signing),
                }
            })
            .collect();
        members.sort_by_key(|member| member.admitted_at_seq);
        members
    }
}
