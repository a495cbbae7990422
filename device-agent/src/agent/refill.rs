//! Filling a relay that lost records, or never had any: every member can, as each keeps the signed ciphertext of its chain.

use std::collections::HashSet;

use protocol::cbor::Blob;
use protocol::record::{Record, RecordRefusal, check_given_back};
use protocol::refill::{Refill, hash_of};
use protocol::signed::Verified;
use protocol::wire::SealedRecord;
use protocol::{DeviceId, Hash, VERSION, limits as bounds};

use super::Agent;
use crate::core::{Content, Core, WholeFeed, does_not_fit};
use crate::error::AgentError;
use crate::limits;
use crate::store::{ItemRow, Setting};

/// Records read from the store at a time.
const PAGE: usize = 128;

/// What a relay got that it lacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refilled {
    /// Records that it has now.
    pub(super) given: u64,
    /// Records that it does not take, or takes from no reader.
    pub(super) refused: u64,
    /// Records in whose place somebody wrote: they went here.
    pub(super) gone: u64,
}

/// What the relay goes without: lines that end earlier there, and versions on which nothing can stand.
#[derive(Default)]
struct Without {
    writers: HashSet<DeviceId>,
    records: HashSet<Hash>,
}

impl Without {
    fn carries(&self, record: &Verified<Record>) -> bool {
        let stands_on = record.base.is_some_and(|base| self.records.contains(&base));
        !stands_on && !self.writers.contains(&record.signer())
    }

    fn end_at<'a>(&mut self, records: impl IntoIterator<Item = &'a Verified<Record>>) {
        for record in records {
            self.writers.insert(record.signer());
            self.records.insert(record.hash());
        }
    }
}

/// A record that this device holds, and whether its word brings it back.
struct Held {
    record: Verified<Record>,
    row: ItemRow,
    is_mine_to_give: bool,
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
        self.core(|core| core.store().owe_refill()).await?
    }

    /// Gives the relay back what it lost, if there was a sign that it lost anything. What was broken off is begun again.
    pub(crate) async fn refill_if_owed(&self) -> Result<(), AgentError> {
        let Some(sign) = self.core(|core| core.store().setting(Setting::RefillOwed)).await?? else { return Ok(()) };
        match self.catch_up_log().await {
            Ok(()) | Err(AgentError::Fork { .. } | AgentError::Forked) => {}
            Err(other) => return Err(other),
        }
        // A closed chain has no records at its relay, and takes none.
        if !self.core(|core| core.roster().is_closed()).await? {
            let Refilled { given, refused, gone } = self.refill_records().await?;
            match (given, refused + gone) {
                (0, 0) => tracing::info!("the relay's feed was compared: it lacks nothing that is here"),
                (given, left) => tracing::warn!(
                    "the relay had lost records: {given} were given back, {left} do not fit in there any more, or wait for a device that writes"
                ),
            }
        }
        // Not what another sign asked for meanwhile.
        self.core(move |core| core.store().refill_done(&sign)).await?
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
    /// What the relay refuses, or takes from no reader, ends its writer's line, and whatever stands on it goes with it: the others' go on.
    pub(super) async fn refill_records(&self) -> Result<Refilled, AgentError> {
        self.must_be_member().await?;
        let (feed, gone) = self.whole_feed().await?;
        let (mut refilled, mut without) = (Refilled { gone, ..Refilled::default() }, Without::default());
        let (mut after, mut batch) = (0, Batch::default());
        loop {
            let (end, page) = self.core(move |core| held_after(core, after)).await??;
            if page.is_empty() {
                self.give(batch, &mut refilled, &mut without).await?;
                return Ok(refilled);
            }
            after = end;
            for Held { record, row, is_mine_to_give } in page {
                let may = match feed.content_of(&record.hash()) {
                    Some(Content::There) => continue,
                    Some(Content::Missing) if !self.completes(&record, row.ciphertext.is_some()).await? => continue,
                    Some(Content::Missing) => true,
                    None => is_mine_to_give,
                };
                let bytes = row.header.len() + row.ciphertext.as_ref().map_or(0, Vec::len);
                if !may || !batch.takes(&record, bytes) {
                    self.give(std::mem::take(&mut batch), &mut refilled, &mut without).await?;
                }
                if !may || !without.carries(&record) {
                    refilled.refused += 1;
                    without.end_at([&record]);
                    continue;
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
    async fn give(&self, batch: Batch, refilled: &mut Refilled, without: &mut Without) -> Result<(), AgentError> {
        let Batch { records, sealed, .. } = batch;
        let count = records.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let hash = hash_of(&records);
        let sign = move |core: &mut Core| {
            let form = Refill { version: VERSION, chain: core.roster().chain(), records: hash };
            Verified::sign(form, &core.keys().signing, &[]).map_err(AgentError::OwnForm)
        };
        let refill = self.core(sign).await??;
        match self.relay().refill(sealed, &refill).await {
            Ok(_) => refilled.given += count,
            Err(AgentError::Problem { status, code, detail })
                if status < 500 && status != 429 && code != "not-a-member" =>
            {
                tracing::warn!("{count} records that the relay lost do not fit in there any more ({code}): {detail}");
                refilled.refused += count;
                without.end_at(&records);
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
            let waited = self.core(|core| core.store().aside_hashes()).await??;
            let (feed, stopped) = self.read_whole_feed().await?;
            let absent: Vec<Hash> = waited.into_iter().filter(|hash| feed.content_of(hash).is_none()).collect();
            if !absent.is_empty() {
                // They went with a branch, and as long as anything waits nothing is compared. Each goes once, so this ends.
                self.core(move |core| core.forget_aside(&absent)).await??;
                continue;
            }
            let refusal = match stopped {
                None => {
                    if gone > 0 {
                        self.core(|core| core.refuse_overtaken()).await??;
                        self.shared.outbox.notify_one();
                    }
                    return Ok((feed, gone));
                }
                Some(AgentError::BadRecord(refusal)) => refusal,
                Some(full) => return Err(full),
            };
            // Others may write while it is read. A relay that shows another feed each time ends here.
            if tries == limits::FEED_TRIES {
                return Err(AgentError::BadRecord(refusal));
            }
            tries += 1;
            gone += self.core(move |core| core.give_way(&feed)).await??;
        }
    }

    /// Reads it from its beginning, and takes it up to what does not fit, or has no place to wait. Returns that too.
    async fn read_whole_feed(&self) -> Result<(WholeFeed, Option<AgentError>), AgentError> {
        let (mut feed, mut stopped, mut cursor) = (WholeFeed::default(), None, None);
        loop {
            let (keys, chain, _, _) = self.place().await?;
            let page = self.relay().records(&keys, chain, cursor).await?;
            let done = page.rows.is_empty() || page.cursor.number >= page.last;
            let moved = cursor != Some(page.cursor);
            cursor = Some(page.cursor);
            let takes = stopped.is_none();
            let read = move |core: &mut Core| {
                core.follow_feed(&mut feed, &page)?;
                Ok::<_, AgentError>((feed, if takes { core.take_page(&page) } else { Ok(()) }))
            };
            let (followed, taken) = self.core(read).await??;
            feed = followed;
            match taken {
                Err(AgentError::BadRecord(refusal)) if does_not_fit(&refusal) => {
                    stopped = Some(AgentError::BadRecord(refusal))
                }
                Err(full @ AgentError::AsideFull) => stopped = Some(full),
                taken => taken?,
            }
            if done || !moved {
                return Ok((feed, stopped));
            }
        }
    }
}

/// The next records that this device holds, and where they end.
fn held_after(core: &mut Core, after: u64) -> Result<(u64, Vec<Held>), AgentError> {
    let rows = core.store().records_after(after, PAGE)?;
    let end = rows.last().map_or(after, |(arrival, _)| *arrival);
    let held = rows.into_iter().map(|(_, row)| {
        let damaged = |_| AgentError::Damaged { what: "a record does not verify" };
        let record = Verified::<Record>::from_bytes(&row.header).map_err(damaged)?;
        // Of anything else that the log says of it the relay is the judge: it may have another log.
        let refusal = check_given_back(core.roster(), &core.keys().id(), &record).err();
        Ok(Held { record, row, is_mine_to_give: refusal != Some(RecordRefusal::PastCut) })
    });
    Ok((end, held.collect::<Result<_, AgentError>>()?))
}
