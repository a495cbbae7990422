//! Which records go when a log is replaced by another: relay and reader must agree, or a line would end at one of them only.

use std::collections::HashSet;

use crate::id::{DeviceId, Hash};
use crate::record::{Record, check_cited_of};
use crate::roster::Roster;

/// Sorts the records of a feed, in its order, by whether a log carries them. What comes later in the line of one that goes, and what
/// replaced it, goes with it.
#[derive(Debug)]
pub struct Carried<'a> {
    roster: &'a Roster,
    cut_off: HashSet<DeviceId>,
    gone: HashSet<Hash>,
}

impl<'a> Carried<'a> {
    /// Begins a feed, beside the log that goes on.
    #[must_use]
    pub fn by(roster: &'a Roster) -> Self {
        Self { roster, cut_off: HashSet::new(), gone: HashSet::new() }
    }

    /// Whether the next record of the feed stays. It was verified when it was taken; here only its place is asked.
    pub fn stays(&mut self, record: &Record, signer: DeviceId, hash: Hash) -> bool {
        let base_is_gone = record.base.is_some_and(|base| self.gone.contains(&base));
        let stays = !base_is_gone
            && !self.cut_off.contains(&signer)
            && check_cited_of(self.roster, record, signer, hash).is_ok();
        if !stays {
            self.cut_off.insert(signer);
            self.gone.insert(hash);
        }
        stays
    }

    /// The writers whose lines end earlier now.
    #[must_use]
    pub fn cut_off(&self) -> &HashSet<DeviceId> {
        &self.cut_off
    }

    /// The records that go.
    #[must_use]
    pub fn gone(&self) -> &HashSet<Hash> {
        &self.gone
    }
}
