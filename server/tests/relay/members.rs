//! A chain whose members come and go.

use protocol::Verified;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::{Entry, RemoveReason};
use protocol::keyring::Keyring;
use protocol::record::Line;
use protocol::wire::{LogPage, Put, RecordPage, RecordRow, SealedRecord};

use crate::harness::{Answer, House, Member, admitted, rng};

/// A phone that was admitted, as a member of its own.
pub(crate) async fn phone_of(house: &House, laptop: &mut Member) -> Member {
    let joiner = admitted(house, laptop).await;
    let keyring = Keyring::open(&laptop.roster, laptop.keyring.epoch_key().clone()).unwrap();
    Member { keys: joiner.keys, roster: laptop.roster.clone(), keyring, line: Line::default() }
}

pub(crate) fn cut(line: Line, at: CutAt) -> Cut {
    Cut { counter: line.counter, last: line.last, at }
}

impl Member {
    pub(crate) fn removes(&self, gone: &[(&Self, CutAt)]) -> Verified<Entry> {
        let removal = |(member, at): &(&Self, CutAt)| Removal { device: member.keys.id(), cut: cut(member.line, *at) };
        let mut removals: Vec<Removal> = gone.iter().map(removal).collect();
        removals.sort_by_key(|removal| removal.device);
        let (reason, recovery) = (RemoveReason::Lost, RecoveryChange::Keep);
        change::remove(self.acting(), removals, reason, recovery, Vec::new(), 3, &mut rng()).unwrap()
    }

    pub(crate) fn rotates(&self, code: CodeChange) -> Verified<Entry> {
        change::rotate(self.acting(), code, RecoveryChange::Keep, 3, &mut rng()).unwrap()
    }

    pub(crate) fn opens(&mut self, entry: &Verified<Entry>) {
        self.follows(entry);
        self.keyring = Keyring::follow(&self.roster, &self.keys, self.keyring.epoch_key()).unwrap();
    }

    pub(crate) async fn puts(&mut self, house: &House, id: &str) -> Answer {
        let before = self.line;
        let record = self.writes(id, Some(b"1"), None);
        let answer = house.post("/v1/records", &put(record)).await;
        if answer.status != 200 {
            self.line = before;
        }
        answer
    }

    /// The whole log, as this member reads it.
    pub(crate) async fn log(&self, house: &House) -> Vec<Verified<Entry>> {
        let page: LogPage = house.read(&self.keys, &format!("/v1/chains/{}/log", self.chain())).await.decode();
        page.entries.iter().map(|entry| Verified::from_bytes(entry).unwrap()).collect()
    }

    /// The whole feed, as this member reads it.
    pub(crate) async fn feed(&self, house: &House) -> Vec<RecordRow> {
        let mut rows = Vec::new();
        loop {
            let after = rows.last().map_or(0, |row: &RecordRow| row.number);
            let path = format!("/v1/chains/{}/records?after={after}", self.chain());
            let page: RecordPage = house.read(&self.keys, &path).await.decode();
            rows.extend(page.rows);
            if page.cursor.number == page.last {
                return rows;
            }
        }
    }
}

pub(crate) fn put(record: SealedRecord) -> Vec<u8> {
    protocol::cbor::encode(&Put { records: vec![record], refill: None })
}
