//! Filling a relay that lost records: any member can, as each keeps the signed ciphertext of its chain.

use std::collections::HashSet;

use protocol::Hash;
use protocol::cbor::Blob;
use protocol::record::Record;
use protocol::signed::Verified;
use protocol::wire::SealedRecord;

use super::Agent;
use crate::error::AgentError;

/// Records read from the store at a time.
const PAGE: usize = 128;

/// Whether a relay lacked anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refilled {
    /// It has now what it lacked.
    Something,
    /// It had everything.
    Nothing,
}

impl Agent {
    /// Reads the relay's whole feed, and sends what it lacks in the order in which it came. Costs one pass over all records.
    pub(super) async fn refill_records(&self) -> Result<Refilled, AgentError> {
        let known = self.whole_feed().await?;
        let mut refilled = Refilled::Nothing;
        let mut after = 0;
        loop {
            let page = self.core(move |core| core.store().records_after(after, PAGE)).await??;
            if page.is_empty() {
                return Ok(refilled);
            }
            for (arrival, row) in page {
                after = arrival;
                let record = Verified::<Record>::from_bytes(&row.header)
                    .map_err(|_| AgentError::Damaged { what: "a record does not verify" })?;
                if known.contains(&record.hash()) {
                    continue;
                }
                if record.ciphertext_hash.is_some() && row.ciphertext.is_none() {
                    tracing::warn!(record = record.hash().short(), "the relay lost a record whose content is not here");
                    continue;
                }
                let sealed = SealedRecord { record: Blob(row.header), ciphertext: row.ciphertext.map(Blob) };
                self.relay().put(vec![sealed]).await?;
                refilled = Refilled::Something;
            }
        }
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
