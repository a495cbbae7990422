//! Records, as they must be.

use protocol::cbor::{self, Blob};
use protocol::record::{self, Line, Record};
use protocol::refill::{self, Refill};
use protocol::wire::{Put, Stored};
use protocol::{DeviceId, Hash, Verified, limits};

use super::refused::ask;
use super::{Book, Chain, Taken};

/// A record that was taken.
#[derive(Debug, Clone)]
pub(in crate::fuzz::relay) struct Kept {
    pub(in crate::fuzz::relay) number: u64,
    pub(in crate::fuzz::relay) record: Verified<Record>,
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

    /// The last number of the feed.
    pub(in crate::fuzz::relay) fn last_number(&self) -> u64 {
        if self.roster.is_closed() { 0 } else { self.numbered.last().map_or(0, |(number, _)| *number) }
    }

    /// Takes one record: its number.
    fn take(&mut self, record: Verified<Record>, ciphertext: Option<Blob>, given: Given, before: u64) -> Taken<u64> {
        let line = self.line(&record.signer());
        if record.counter <= line.counter {
            let known = self.feed.iter().position(|kept| kept.record.hash() == record.hash()).ok_or("replayed")?;
            let fills = matches!(given, Given::ByMember(_)) && self.current(&record) == Some(known);
            if fills && self.feed[known].ciphertext.is_none() && record.carries(ciphertext.as_deref()) {
                self.feed[known].ciphertext = ciphertext;
            }
            return Ok(self.feed[known].number);
        }
        let base = self.base(&record);
        match given {
            Given::ByWriter => record::gate(&self.roster, line, base, &record, ciphertext.as_deref())?,
            Given::ByMember(by) => {
                record::gate_refill((&self.roster, &by), line, base, &record, ciphertext.as_deref())?
            }
        };
        let is_first = self.last_number() == before && before > 0 && matches!(given, Given::ByMember(_));
        let leap = if is_first { refill::leap(&record.hash()) } else { 0 };
        let number = self.last_number() + leap + 1;
        if let Some(replaced) = self.current(&record) {
            self.feed[replaced].ciphertext = None;
        }
        self.numbered.push((number, Blob(record.bytes().to_vec())));
        self.feed.push(Kept { number, record, ciphertext });
        Ok(number)
    }

    /// What the log does not carry goes, with what comes later in its line and what replaced it.
    pub(super) fn drop_records(&mut self) {
        let (mut lines, mut gone) = (Vec::new(), Vec::new());
        let roster = &self.roster;
        self.feed.retain(|Kept { record, .. }| {
            let stays = record::check_cited(roster, record).is_ok()
                && !lines.contains(&record.signer())
                && record.base.is_none_or(|base| !gone.contains(&base));
            if !stays {
                lines.push(record.signer());
                gone.push(record.hash());
            }
            stays
        });
    }
}

/// Who gives a record.
#[derive(Clone, Copy)]
enum Given {
    ByWriter,
    ByMember(DeviceId),
}

impl Book {
    pub(super) fn put(&mut self, bytes: &[u8]) -> Taken<Stored> {
        let put: Put = cbor::decode("put", bytes, limits::BODY_BYTES_MAX)?;
        ask((1..=limits::BATCH_RECORDS_MAX).contains(&put.records.len()), "malformed")?;
        let batch = put.records.into_iter();
        let batch = batch.map(|sealed| Ok((Verified::<Record>::from_bytes(&sealed.record)?, sealed.ciphertext)));
        let batch: Vec<(Verified<Record>, Option<Blob>)> = batch.collect::<Taken<_>>()?;
        let giver = put.refill.map(|refill| vouched(&batch, &refill)).transpose()?;
        let (id, signer) = (batch[0].0.chain, batch[0].0.signer());
        for (record, _) in &batch {
            ask(record.chain == id, "other-chain")?;
            ask(record.signer() == signer, "malformed")?;
        }
        let (at, given) = match giver {
            Some(member) => (self.acting(&id, &member)?, Given::ByMember(member)),
            None => {
                let at = self.find(&id)?.ok_or("not-a-member")?;
                let roster = &self.chains[at].roster;
                ask(!roster.is_closed() || roster.member(&signer).is_none(), "chain-closed")?;
                (at, Given::ByWriter)
            }
        };
        let chain = &mut self.chains[at];
        let before = chain.last_number();
        let numbers = batch.into_iter().map(|(record, ciphertext)| chain.take(record, ciphertext, given, before));
        Ok(Stored { numbers: numbers.collect::<Taken<_>>()? })
    }
}

/// Who vouches for exactly these records.
fn vouched(batch: &[(Verified<Record>, Option<Blob>)], refill: &[u8]) -> Taken<DeviceId> {
    let refill = Verified::<Refill>::from_bytes(refill)?;
    ask(batch.iter().all(|(record, _)| record.chain == refill.chain), "bad-field")?;
    ask(refill::hash_of(batch.iter().map(|(record, _)| record)) == refill.records, "bad-field")?;
    Ok(refill.signer())
}
