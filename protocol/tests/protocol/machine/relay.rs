//! The relay: it enforces when asked, and keeps everything that it ever saw for when it lies.

use std::cell::RefCell;

use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::record::{Line, Record, gate};
use protocol::roster::Roster;
use protocol::{DeviceId, Hash, Verified};

use super::devices::{Device, roster_of};

/// What follows from a log, by its head, so that it is worked out once.
type Known = RefCell<Option<(Hash, Roster)>>;

#[derive(Default)]
pub(super) struct Relay {
    known: Known,
    pub(super) log: Vec<Verified<Entry>>,
    /// Entries that it refused, or lost on purpose.
    pub(super) grave: Vec<Verified<Entry>>,
    pub(super) records: Vec<Verified<Record>>,
}

impl Relay {
    pub(super) fn roster(&self) -> Roster {
        let head = self.log[self.log.len() - 1].hash();
        if let Some((_, roster)) = self.known.borrow().as_ref().filter(|(known, _)| *known == head) {
            return roster.clone();
        }
        let roster = roster_of(&self.log);
        *self.known.borrow_mut() = Some((head, roster.clone()));
        roster
    }

    /// Takes the next entry; keeps another one for later.
    pub(super) fn takes(&mut self, entry: &Verified<Entry>) -> bool {
        let after = self.roster().apply(entry);
        let landed = after.is_ok();
        *self.known.borrow_mut() = after.ok().map(|roster| (entry.hash(), roster));
        let place = if landed { &mut self.log } else { &mut self.grave };
        if landed || !place.iter().any(|known| known.hash() == entry.hash()) {
            place.push(entry.clone());
        }
        landed
    }

    pub(super) fn takes_back(&mut self, entry: &Verified<Entry>) {
        if self.roster().apply(entry).is_ok() {
            self.log.push(entry.clone());
        }
    }

    pub(super) fn admits(&self, device: &Device) -> bool {
        self.roster().member(&device.keys.id()).is_some()
    }

    fn line(&self, writer: DeviceId) -> Line {
        let last = self.records.iter().rfind(|record| record.signer() == writer);
        last.map_or_else(Line::default, |last| Line { counter: last.counter, last: Some(last.hash()) })
    }

    fn current(&self, record: &Verified<Record>) -> Option<Hash> {
        let same = |known: &&Verified<Record>| known.collection == record.collection && known.id == record.id;
        self.records.iter().rfind(same).map(|known| known.hash())
    }

    pub(super) fn stores(&mut self, record: &Verified<Record>, ciphertext: &Blob) -> bool {
        let taken =
            gate(&self.roster(), self.line(record.signer()), self.current(record), record, Some(ciphertext)).is_ok();
        if taken {
            self.records.push(record.clone());
        }
        taken
    }
}
