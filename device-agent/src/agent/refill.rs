//! Filling a relay that lost records, or never had any: every member can, as each keeps the signed ciphertext of its chain.

use std::collections::HashSet;

use protocol::cbor::Blob;
use protocol::record::{Record, RecordRefusal};
use protocol::refill::{Refill, hash_of};
use protocol::signed::Verified;
use protocol::wire::SealedRecord;
use protocol::{DeviceId, VERSION, limits as bounds};

use super::Agent;
use crate::core::{Content, Core, WholeFeed, does_not_fit};
use crate::error::AgentError;
use crate::limits;
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
            tracing::warn!(given, refused, "the relay had lost records: they were given back");
        }
        self.core(|core| core.store().unset(Setting::RefillOwed)).await?
    }

    /// Looks whether the relay's feed is another one than that in which this device stands, or ends before.
    pub(crate) async fn look_for_loss(&self) -> Result<(), AgentError> {
        let Some(cursor) = self.core(|core| core.cursor()).await?? else { return Ok(()) };
        let (keys, chain, _, _) = self.place().await?;
        let page = self.relay().record_at(&keys, chain, cursor).await?;
        if self.core(move |core| core.is_of_another_feed(cursor, &page)).await?? {
            self.owe_refill().await?;
        }
        Ok(())
    }

    /// Reads the relay's whole feed, and sends what it lacks in the order in which it came. Costs one pass over all records.
    ///
    /// What the relay refuses ends its writer's line: the others' go on.
    pub(super) async fn refill_records(&self) -> Result<Refilled, AgentError> {
        self.must_be_member().await?;
        let (feed, gone) = self.whole_feed().await?;
        let (mut refilled, mut broken) = (Refilled { given: 0, refused: gone }, HashSet::new());
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
                match feed.content_of(&record.hash()) {
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
                tracing::warn!(code, detail, count, "records that the relay lost do not fit in there any more");
                refilled.refused += count;
                broken.insert(writer);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// The relay's whole feed; what this device lacks of it is taken on the way. Where that does not fit beside what the relay lost, this
    /// device gives way. Returns how much went.
    async fn whole_feed(&self) -> Result<(WholeFeed, u64), AgentError> {
        let _turn = self.shared.following.lock().await;
        let (mut gone, mut tries) = (0, 1);
        loop {
            let (feed, misfit) = self.read_whole_feed().await?;
            let Some(refusal) = misfit else {
                if gone > 0 {
                    self.core(|core| core.refuse_overtaken()).await??;
                    self.shared.outbox.notify_one();
                }
                return Ok((feed, gone));
            };
            // Others may write while it is read. A relay that shows another feed each time ends here.
            if tries == limits::FEED_TRIES {
                return Err(AgentError::BadRecord(refusal));
            }
            tries += 1;
            gone += self.core(move |core| core.give_way(&feed)).await??;
        }
    }

    /// Reads it from its beginning, and takes it up to what does not fit.
    async fn read_whole_feed(&self) -> Result<(WholeFeed, Option<RecordRefusal>), AgentError> {
        let (mut feed, mut misfit, mut cursor) = (WholeFeed::default(), None, None);
        loop {
            let (keys, chain, _, _) = self.place().await?;
            let page = self.relay().records(&keys, chain, cursor).await?;
            let done = page.rows.is_empty() || page.cursor.number >= page.last;
            let moved = cursor != Some(page.cursor);
            cursor = Some(page.cursor);
            let stopped = misfit.is_some();
            let read = move |core: &mut Core| {
                core.follow_feed(&mut feed, &page)?;
                Ok::<_, AgentError>((feed, if stopped { Ok(()) } else { core.take_page(&page) }))
            };
            let (followed, taken) = self.core(read).await??;
            feed = followed;
            match taken {
                Err(AgentError::BadRecord(refusal)) if does_not_fit(&refusal) => misfit = Some(refusal),
                taken => taken?,
            }
            if done || !moved {
                return Ok((feed, misfit));
            }
        }
    }
}
