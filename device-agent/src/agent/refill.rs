//! Filling a relay that lost records, or never had any: every member can, as each keeps the signed ciphertext of its chain.

use std::collections::{HashMap, HashSet};

use protocol::cbor::Blob;
use protocol::record::Record;
use protocol::refill::{Refill, hash_of};
use protocol::signed::Verified;
use protocol::wire::SealedRecord;
use protocol::{DeviceId, Hash, VERSION, limits as bounds};

use super::Agent;
use crate::core::Core;
use crate::error::AgentError;
use crate::store::Setting;

/// Records read from the store at a time.
const PAGE: usize = 128;

/// What a relay got that it lacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refilled {
    /// Records that it has now.
    pub(super) given: u64,
    /// Records that do not fit in there any more: somebody wrote in their place.
    pub(super) refused: u64,
}

/// Records of one writer that follow each other: what one put carries.
#[derive(Default)]
struct Batch {
    records: Vec<Verified<Record>>,
    sealed: Vec<SealedRecord>,
    bytes: usize,
}

impl Batch {
    fn takes(&self, record: &Verified<Record>, bytes: usize) -> bool {
        let first = self.records.first();
        first.is_none_or(|first| first.signer() == record.signer())
            && self.records.len() < bounds::BATCH_RECORDS_MAX
            && (first.is_none() || self.bytes + bytes <= bounds::BODY_BYTES_MAX / 2)
    }
}

impl Agent {
    /// Notes that the relay lost the end of its log or feed, before that is given back.
    pub(super) async fn owe_refill(&self) -> Result<(), AgentError> {
        self.core(|core| core.store().set(Setting::RefillOwed, &[])).await?
    }

    /// Gives the relay back what it lost, if there was a sign that it lost anything. What was broken off is begun again.
    pub(crate) async fn refill_if_owed(&self) -> Result<(), AgentError> {
        if self.core(|core| core.store().setting(Setting::RefillOwed)).await??.is_none() {
            return Ok(());
        }
        match self.catch_up_log().await {
            Ok(()) | Err(AgentError::Fork { .. } | AgentError::Forked) => {}
            Err(other) => return Err(other),
        }
        // A closed chain has no records at its relay, and takes none.
        if !self.core(|core| core.roster().is_closed()).await? {
            let Refilled { given, refused } = self.refill_records().await?;
            tracing::warn!(
                "the relay had lost records: {given} were given back, {refused} do not fit in there any more"
            );
        }
        self.core(|core| core.store().unset(Setting::RefillOwed)).await?
    }

    /// Looks whether the relay's feed ends before the place where this device stands in it, or is another relay's.
    pub(crate) async fn look_for_loss(&self) -> Result<(), AgentError> {
        let Some(cursor) = self.core(|core| core.cursor()).await?? else { return Ok(()) };
        let (keys, chain, _, _) = self.place().await?;
        let end = self.relay().records_end(&keys, chain, cursor).await?;
        if end.cursor.store != cursor.store || end.last < cursor.number {
            self.owe_refill().await?;
        }
        Ok(())
    }

    /// Reads the relay's whole feed, and sends what it lacks in the order in which it came. Costs one pass over all records.
    ///
    /// What the relay refuses ends its writer's line: the others' go on.
    pub(super) async fn refill_records(&self) -> Result<Refilled, AgentError> {
        self.must_be_member().await?;
        let known = self.whole_feed().await?;
        let (mut refilled, mut broken) = (Refilled::default(), HashSet::new());
        let (mut after, mut batch) = (0, Batch::default());
        loop {
            let page = self.core(move |core| core.store().records_after(after, PAGE)).await??;
            if page.is_empty() {
                self.give(batch, &mut refilled, &mut broken).await?;
                return Ok(refilled);
            }
            for (arrival, row) in page {
                after = arrival;
                let record = Verified::<Record>::from_bytes(&row.header)
                    .map_err(|_| AgentError::Damaged { what: "a record does not verify" })?;
                match known.get(&record.hash()) {
                    Some(Content::There) => continue,
                    Some(Content::Missing) if !self.completes(&record, row.ciphertext.is_some()).await? => continue,
                    Some(Content::Missing) | None => {}
                }
                let bytes = row.header.len() + row.ciphertext.as_ref().map_or(0, Vec::len);
                if !batch.takes(&record, bytes) {
                    self.give(std::mem::take(&mut batch), &mut refilled, &mut broken).await?;
                }
                batch.records.push(record);
                batch.sealed.push(SealedRecord { record: Blob(row.header), ciphertext: row.ciphertext.map(Blob) });
                batch.bytes += bytes;
            }
        }
    }

    /// Whether this device has the content of a current version that the relay shows without.
    async fn completes(&self, record: &Verified<Record>, is_here: bool) -> Result<bool, AgentError> {
        if !is_here || record.ciphertext_hash.is_none() {
            return Ok(false);
        }
        let (collection, id, hash) = (record.collection, record.id, record.hash());
        self.core(move |core| Ok(core.store().current(&collection, &id)? == Some(hash))).await?
    }

    /// Gives records back, with this member's word for them: their writer may be none any more, and their epoch over.
    async fn give(
        &self,
        batch: Batch,
        refilled: &mut Refilled,
        broken: &mut HashSet<DeviceId>,
    ) -> Result<(), AgentError> {
        let count = batch.records.len() as u64;
        let Some(writer) = batch.records.first().map(Verified::signer) else {
            return Ok(());
        };
        if broken.contains(&writer) {
            refilled.refused += count;
            return Ok(());
        }
        let refill = move |core: &mut Core| {
            let form = Refill { version: VERSION, chain: core.roster().chain(), records: hash_of(&batch.records) };
            let signed = Verified::sign(form, &core.keys().signing, &[]).map_err(AgentError::OwnForm)?;
            Ok::<_, AgentError>((batch.sealed, signed))
        };
        let (sealed, refill) = self.core(refill).await??;
        match self.relay().refill(sealed, &refill).await {
            Ok(_) => refilled.given += count,
            Err(AgentError::Problem { status, code, detail })
                if status < 500 && status != 429 && code != "not-a-member" =>
            {
                tracing::warn!("{count} records that the relay lost do not fit in there any more ({code}): {detail}");
                refilled.refused += count;
                broken.insert(writer);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Everything in the relay's feed; what this device lacks of it is taken on the way.
    async fn whole_feed(&self) -> Result<HashMap<Hash, Content>, AgentError> {
        let _turn = self.shared.following.lock().await;
        let mut known = HashMap::new();
        let mut cursor = None;
        loop {
            let (keys, chain, _, _) = self.place().await?;
            let page = self.relay().records(&keys, chain, cursor).await?;
            for row in &page.rows {
                let record = Verified::<Record>::from_bytes(&row.sealed.record).map_err(AgentError::BadForm)?;
                let complete = record.ciphertext_hash.is_none() || row.sealed.ciphertext.is_some();
                known.insert(record.hash(), if complete { Content::There } else { Content::Missing });
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

/// Whether a relay has the content of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// It has, or there is none.
    There,
    /// It shows the version without.
    Missing,
}
