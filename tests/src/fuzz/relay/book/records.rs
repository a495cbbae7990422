//! Records, as they must be.

use protocol::cbor::{self, Blob};
use protocol::record::{self, Line, Record};
use protocol::refill::{self, Refill};
use protocol::wire::{Put, Stored};
use protocol::{DeviceId, Hash, Verified, limits};

use super::{Book, Chain};

/// A record that was taken.
#[derive(Debug, Clone)]
pub(in crate::fuzz::relay) struct Kept {
    pub(in crate::fuzz::relay) record: Verified<Record>,
    pub(in crate::fuzz::relay) number: u64,
    /// Absent once the version is replaced.
    pub(in crate::fuzz::relay) ciphertext: Option<Blob>,
}

impl Chain {
    /// Where a writer's line ends.
    pub(in crate::fuzz::relay) fn line(&self, device: &DeviceId) -> Line {
        let last = self.feed.iter().rev().find(|kept| kept.record.signer() == *device);
        last.map_or(Line::default(), |kept| Line { counter: kept.record.counter, last: Some(kept.record.hash()) })
    }

    /// The current version of the item of a record.
    pub(in crate::fuzz::relay) fn current(&self, record: &Record) -> Option<usize> {
        let same = |kept: &Kept| (kept.record.collection, kept.record.id) == (record.collection, record.id);
        self.feed.iter().rposition(same)
    }

    /// The hash of the current version of the item of a record.
    pub(in crate::fuzz::relay) fn base(&self, record: &Record) -> Option<Hash> {
        self.current(record).map(|at| self.feed[at].record.hash())
    }

    /// Takes one record: its number.
    fn take(&mut self, record: Verified<Record>, ciphertext: Option<Blob>, given: Given, before: usize) -> Option<u64> {
        let line = self.line(&record.signer());
        if record.counter <= line.counter {
            let known = self.feed.iter().position(|kept| kept.record.hash() == record.hash())?;
            let fills = matches!(given, Given::ByMember) && self.current(&record) == Some(known);
            if fills && self.feed[known].ciphertext.is_none() && record.carries(ciphertext.as_deref()) {
                self.feed[known].ciphertext = ciphertext;
            }
            return Some(self.feed[known].number);
        }
        let base = self.base(&record);
        match given {
            Given::ByWriter => record::gate(&self.roster, line, base, &record, ciphertext.as_deref()).ok()?,
            Given::ByMember => record::gate_refill(&self.roster, line, base, &record, ciphertext.as_deref()).ok()?,
        };
        let is_first = self.feed.len() == before && before > 0 && matches!(given, Given::ByMember);
        let leap = if is_first { refill::leap(&record.hash()) } else { 0 };
        let number = self.feed.last().map_or(0, |kept| kept.number) + leap + 1;
        if let Some(replaced) = self.current(&record) {
            self.feed[replaced].ciphertext = None;
        }
        self.feed.push(Kept { record, number, ciphertext });
        Some(number)
    }
}

/// Who gives a record.
#[derive(Clone, Copy)]
enum Given {
    ByWriter,
    ByMember,
}

impl Book {
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<Stored> {
        let put: Put = cbor::decode("put", bytes, limits::BODY_BYTES_MAX).ok()?;
        let refill = put.refill.map(|refill| Verified::<Refill>::from_bytes(&refill).ok());
        let batch = put.records.into_iter();
        let batch = batch.map(|sealed| Some((Verified::<Record>::from_bytes(&sealed.record).ok()?, sealed.ciphertext)));
        let batch: Vec<(Verified<Record>, Option<Blob>)> = batch.collect::<Option<_>>()?;
        let (first, _) = batch.first().filter(|_| batch.len() <= limits::BATCH_RECORDS_MAX)?;
        let (id, signer) = (first.chain, first.signer());
        if batch.iter().any(|(record, _)| record.chain != id || record.signer() != signer) {
            return None;
        }
        let chain = self.chains.iter_mut().find(|chain| chain.roster.chain() == id)?;
        let given = match refill {
            None => Given::ByWriter,
            Some(refill) => {
                let named = refill::hash_of(batch.iter().map(|(record, _)| record));
                refill.filter(|refill| {
                    let is_member = chain.roster.member(&refill.signer()).is_some();
                    refill.chain == id && refill.records == named && is_member
                })?;
                Given::ByMember
            }
        };
        let before = chain.feed.clone();
        let numbers: Option<Vec<u64>> =
            batch.into_iter().map(|(record, ciphertext)| chain.take(record, ciphertext, given, before.len())).collect();
        if numbers.is_none() {
            chain.feed = before;
        }
        numbers.map(|numbers| Stored { numbers })
    }
}
