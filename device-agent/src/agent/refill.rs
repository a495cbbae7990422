//! Filling a relay that lost records: any member can, as each keeps the signed ciphertext of its chain. It vouches for what it gives
//! back, since writers may have been removed, and epochs be over, since.

use std::collections::HashSet;

use protocol::cbor::Blob;
use protocol::record::Record;
use protocol::refill::{Refill, hash_of};
use protocol::signed::Verified;
use protocol::wire::SealedRecord;
use protocol::{DeviceId, Hash, limits as bounds};

use super::Agent;
use crate::error::AgentError;
use crate::store::Setting;

/// Records read from the store at a time.
const PAGE: usize = 128;
/// Bytes of ciphertext in one put, unless a single record is larger: half of what a body may have.
const RUN_BYTES: usize = bounds::BODY_BYTES_MAX / 2;

/// Whether a relay lacked anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refilled {
    /// It has now what it lacked.
    Something,
    /// It had everything.
    Nothing,
}

/// Records of one writer that follow each other in the feed.
#[derive(Default)]
struct Run {
    records: Vec<Verified<Record>>,
    sealed: Vec<SealedRecord>,
    bytes: usize,
}

impl Run {
    /// Whether a record must go into a put of its own or a later one: another writer's, since the order of the feed is that of the
    /// versions, or one too many.
    fn is_over_at(&self, record: &Verified<Record>) -> bool {
        let others = self.records.first().is_some_and(|first| first.signer() != record.signer());
        others || self.records.len() >= bounds::BATCH_RECORDS_MAX || self.bytes >= RUN_BYTES
    }

    fn add(&mut self, record: Verified<Record>, ciphertext: Option<Vec<u8>>) {
        self.bytes += record.bytes().len() + ciphertext.as_ref().map_or(0, Vec::len);
        let header = Blob(record.bytes().to_vec());
        self.sealed.push(SealedRecord { record: header, ciphertext: ciphertext.map(Blob) });
        self.records.push(record);
    }
}

impl Agent {
    /// Notes that the relay lost the end of its log, before it is given back: then it lost records as well.
    pub(super) async fn owe_refill(&self) -> Result<(), AgentError> {
        self.core(|core| core.store().set(Setting::RefillOwed, &[])).await?
    }

    /// Fills a relay whose log was given back. What was broken off is begun again.
    pub(crate) async fn refill_if_owed(&self) -> Result<(), AgentError> {
        if self.core(|core| core.store().setting(Setting::RefillOwed)).await??.is_none() {
            return Ok(());
        }
        self.refill_records().await?;
        self.core(|core| core.store().unset(Setting::RefillOwed)).await?
    }

    /// Reads the relay's whole feed, and gives back what it lacks in the order in which it came. Costs one pass over all records.
    ///
    /// What the relay refuses, or whose content is not here, ends its writer's line: the others' go on.
    pub(super) async fn refill_records(&self) -> Result<Refilled, AgentError> {
        self.must_be_member().await?;
        let known = self.whole_feed().await?;
        let mut refilled = Refilled::Nothing;
        let mut broken: HashSet<DeviceId> = HashSet::new();
        let mut run = Run::default();
        let mut after = 0;
        loop {
            let page = self.core(move |core| core.store().records_after(after, PAGE)).await??;
            let last = page.is_empty();
            for (arrival, row) in page {
                after = arrival;
                let record = Verified::<Record>::from_bytes(&row.header)
                    .map_err(|_| AgentError::Damaged { what: "a record does not verify" })?;
                if known.contains(&record.hash()) || broken.contains(&record.signer()) {
                    continue;
                }
                if record.ciphertext_hash.is_some() && row.ciphertext.is_none() {
                    tracing::warn!(record = record.hash().short(), "the relay lost a record whose content is not here");
                    broken.insert(record.signer());
                    continue;
                }
                if run.is_over_at(&record) {
                    self.give_back(std::mem::take(&mut run), &mut broken, &mut refilled).await?;
                }
                run.add(record, row.ciphertext);
            }
            if last {
                self.give_back(run, &mut broken, &mut refilled).await?;
                return Ok(refilled);
            }
        }
    }

    async fn give_back(
        &self,
        run: Run,
        broken: &mut HashSet<DeviceId>,
        refilled: &mut Refilled,
    ) -> Result<(), AgentError> {
        let Some(writer) = run.records.first().map(Verified::signer).filter(|writer| !broken.contains(writer)) else {
            return Ok(());
        };
        let records = hash_of(&run.records);
        let refill = self
            .core(move |core| {
                let form = Refill { version: protocol::VERSION, chain: core.roster().chain(), records };
                Verified::sign(form, &core.keys().signing, &[]).map_err(AgentError::OwnForm)
            })
            .await??;
        match self.relay().refill(run.sealed, &refill).await {
            Ok(_) => *refilled = Refilled::Something,
            Err(AgentError::Problem { status, code, .. })
                if status < 500 && status != 429 && code != "not-a-member" =>
            {
                tracing::warn!(code, writer = writer.short(), "the relay does not take records back that it lost");
                broken.insert(writer);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// The hashes of everything in the relay's feed; what this device lacks of it is taken on the way.
    async fn whole_feed(&self) -> Result<HashSet<Hash>, AgentError> {
        let _turn = self.shared.following.lock().await;
        let mut known = HashSet::new();
        let mut cursor = None;
        loop {
            let (keys, chain, _, _) = self.place().await?;
            let page = self.relay().records(&keys, chain, cursor).await?;
            for row in &page.rows {
                known.insert(Verified::<Record>::from_bytes(&row.sealed.record).map_err(AgentError::BadForm)?.hash());
            }
            let done = page.rows.is_empty() || page.cursor.number >= page.last;
            let moved = cursor != Some(page.cursor);
            cursor = Some(page.cursor);
            self.core(move |core| core.take_page(&page)).await??;
            if done || !moved {
                return Ok(known);
            }
        }
    }
}
