//! What lies on the disks of all machines, and everything that ever lay there.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;

use protocol::entry::Entry;
use protocol::record::Record;
use protocol::{DeviceId, Hash, Verified};
use rusqlite::{Connection, OpenFlags};

use crate::reference::Reference;

/// A log, and what it means after each entry.
pub(crate) struct Log {
    pub(crate) entries: Vec<Verified<Entry>>,
    pub(crate) steps: Vec<Reference>,
}

impl Log {
    pub(crate) fn head(&self) -> Option<Hash> {
        self.entries.last().map(Verified::hash)
    }

    pub(crate) fn last(&self) -> Option<&Reference> {
        self.steps.last()
    }

    pub(crate) fn position(&self, head: &Hash) -> Option<usize> {
        self.entries.iter().position(|entry| entry.hash() == *head)
    }

    /// Whether one of the two is a beginning of the other.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        self.entries.iter().zip(&other.entries).all(|(own, theirs)| own.hash() == theirs.hash())
    }
}

/// What the relay's disk has.
pub(crate) struct AtRelay {
    pub(crate) log: Rc<Log>,
    pub(crate) records: Vec<Verified<Record>>,
}

/// A name, and the version that is replaced there.
type Place = ([u8; 32], [u8; 32], Option<Hash>);

#[derive(Default)]
pub(crate) struct Observed {
    entries: RefCell<HashMap<Vec<u8>, Verified<Entry>>>,
    records: RefCell<HashMap<Vec<u8>, Verified<Record>>>,
    logs: RefCell<HashMap<Hash, Rc<Log>>>,
    /// Every entry that any machine ever had, by position.
    ever: RefCell<BTreeMap<u64, BTreeSet<Hash>>>,
    /// Every record that any machine ever had, by writer and counter, and by what it replaced.
    lines: RefCell<BTreeMap<(DeviceId, u64), BTreeSet<Hash>>>,
    versions: RefCell<BTreeMap<Place, BTreeSet<Hash>>>,
    /// A log of each head.
    by_head: RefCell<HashMap<Hash, (Rc<Log>, usize)>>,
}

impl Observed {
    /// Verifies a log and works out what it means; the reference panics where an entry could not stand.
    pub(crate) fn log(&self, bytes: Vec<Vec<u8>>) -> Rc<Log> {
        let entries: Vec<_> = bytes.into_iter().map(|bytes| self.entry(bytes)).collect();
        let Some(head) = entries.last().map(Verified::hash) else {
            return Rc::new(Log { entries, steps: Vec::new() });
        };
        if let Some(known) = self.logs.borrow().get(&head) {
            return Rc::clone(known);
        }
        for (at, entry) in entries.iter().enumerate() {
            assert_eq!(entry.seq, at as u64, "positions");
            assert_eq!(entry.prev, at.checked_sub(1).map(|before| entries[before].hash()), "a chain of hashes");
            self.ever.borrow_mut().entry(entry.seq).or_default().insert(entry.hash());
        }
        let steps = Reference::of(&entries);
        let log = Rc::new(Log { entries, steps });
        for (at, entry) in log.entries.iter().enumerate() {
            self.by_head.borrow_mut().entry(entry.hash()).or_insert_with(|| (Rc::clone(&log), at));
        }
        self.logs.borrow_mut().insert(head, Rc::clone(&log));
        log
    }

    pub(crate) fn entry(&self, bytes: Vec<u8>) -> Verified<Entry> {
        let mut known = self.entries.borrow_mut();
        known.entry(bytes).or_insert_with_key(|bytes| Verified::from_bytes(bytes).unwrap()).clone()
    }

    pub(crate) fn record(&self, bytes: Vec<u8>) -> Verified<Record> {
        let mut known = self.records.borrow_mut();
        let record: Verified<Record> =
            known.entry(bytes).or_insert_with_key(|bytes| Verified::from_bytes(bytes).unwrap()).clone();
        let line = (record.signer(), record.counter);
        self.lines.borrow_mut().entry(line).or_default().insert(record.hash());
        let place = (*record.collection.as_bytes(), *record.id.as_bytes(), record.base);
        self.versions.borrow_mut().entry(place).or_default().insert(record.hash());
        record
    }

    /// Whether a relay with an older disk took one record in the place of another.
    pub(crate) fn records_forked(&self) -> bool {
        self.lines.borrow().values().chain(self.versions.borrow().values()).any(|hashes| hashes.len() > 1)
    }

    /// What was so right after an entry, whoever had it.
    pub(crate) fn at(&self, head: &Hash) -> Option<Reference> {
        self.by_head.borrow().get(head).map(|(log, at)| log.steps[*at].clone())
    }

    /// Where the chain went two ways, if it ever did.
    pub(crate) fn forked_at(&self) -> Option<u64> {
        self.ever.borrow().iter().find(|(_, hashes)| hashes.len() > 1).map(|(seq, _)| *seq)
    }

    /// Whether a device is in any log.
    pub(crate) fn was_ever_admitted(&self, device: &DeviceId) -> bool {
        self.logs.borrow().values().any(|log| log.last().is_some_and(|last| last.admitted.contains(device)))
    }

    /// Reads the relay's disk, also while it is at work.
    pub(crate) fn at_relay(&self, folder: &Path) -> Option<AtRelay> {
        let file = folder.join("relay.db");
        if !file.exists() {
            return None;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&file, flags).unwrap();
        let read = |sql: &str| -> Vec<Vec<u8>> {
            let mut query = db.prepare(sql).unwrap();
            let rows = query.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let log = self.log(read("SELECT bytes FROM entries ORDER BY chain, seq"));
        let headers = read("SELECT header FROM records ORDER BY chain, number");
        let records = headers.into_iter().map(|header| self.record(header)).collect();
        Some(AtRelay { log, records })
    }
}
