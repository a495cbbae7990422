//! What the relay serves in the end, verified by the protocol crate alone, and compared with what it took.

use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::record::{self, Line, Record};
use protocol::roster::Roster;
use protocol::wire::{LogPage, RecordPage, RecordRow, SealedRecord, Standing};
use protocol::{ChainId, DeviceId, Verified};

use super::World;
use super::book::Chain;

impl Chain {
    /// The feed as it is served.
    pub(super) fn rows(&self) -> Vec<RecordRow> {
        let row = |kept: &super::book::Kept| {
            let record = Blob(kept.record.bytes().to_vec());
            RecordRow { number: kept.number, sealed: SealedRecord { record, ciphertext: kept.ciphertext.clone() } }
        };
        self.feed.iter().map(row).collect()
    }
}

impl World {
    /// Everything that was acknowledged is there, nothing else is, and it verifies.
    pub(super) fn check_served(&mut self) {
        for (founder, id) in
            self.cast.chains.iter().map(|chain| (chain.founder, ChainId::from(chain.entry.hash()))).collect::<Vec<_>>()
        {
            // The founder may have left; somebody is always there.
            let member = self.cast.devices.iter().find(|device| self.book.is_member(&id, &device.keys));
            let keys = &member.unwrap_or(&self.cast.devices[founder]).keys;
            let path = format!("/v1/chains/{id}/log");
            let Some(chain) = self.book.chain(&id) else {
                assert_eq!(self.house.read(keys, &path).status, 403, "a chain that nobody founded");
                continue;
            };
            let page: LogPage = self.house.read(keys, &path).cbor();
            let roster = verified_log(&page);
            assert_eq!((page.head, roster.head()), (chain.roster.head(), chain.roster.head()), "no entry is lost");
            let feed: RecordPage = self.house.read(keys, &format!("/v1/chains/{id}/records")).cbor();
            verified_feed(&feed, &roster);
            assert_eq!(feed.rows, chain.rows(), "no record is lost, and none is there that was refused");
            self.reads_requests(keys, &id);
        }
        for at in 0..self.book.asked.len() {
            let asked = &self.book.asked[at];
            if self.book.is_gone(asked) {
                continue;
            }
            let device = self.cast.devices.iter().find(|device| device.keys.id() == asked.form.signer());
            let keys = &device.expect("one of the cast").keys;
            let path = format!("/v1/requests/{}", asked.form.id());
            let standing: Standing = self.house.read(keys, &path).cbor();
            self.compare_standing(&self.book.standing(asked, self.house.now()), &standing);
        }
    }
}

/// The roster that follows from the bytes, each signer a member at its position.
fn verified_log(page: &LogPage) -> Roster {
    let verified = |entry: &Blob| Verified::<Entry>::from_bytes(entry).expect("a served entry verifies");
    let entries: Vec<Verified<Entry>> = page.entries.iter().map(verified).collect();
    let (first, rest) = entries.split_first().expect("a log begins");
    let roster = Roster::found(first).expect("a log begins with a founding");
    rest.iter().fold(roster, |roster, entry| {
        assert!(roster.member(&entry.signer()).is_some(), "no entry is signed by a stranger");
        roster.apply(entry).expect("a served entry follows")
    })
}

/// Each record was its writer's to write, next on its line, and carries what was signed.
fn verified_feed(page: &RecordPage, roster: &Roster) {
    let mut lines: std::collections::BTreeMap<DeviceId, Line> = std::collections::BTreeMap::new();
    let mut last = 0;
    for row in &page.rows {
        assert!(row.number > last, "the feed goes up");
        last = row.number;
        let record = Verified::<Record>::from_bytes(&row.sealed.record).expect("a served record verifies");
        record::check_cited(roster, &record).expect("a record that its writer could write");
        let line = lines.entry(record.signer()).or_default();
        *line = line.follow(&record).expect("the next of its line");
        if let Some(ciphertext) = &row.sealed.ciphertext {
            assert!(record.carries(Some(ciphertext)));
        }
    }
}
