//! Writing items of old epochs anew under the current keys: whoever was removed holds the old ones.

use protocol::Hash;
use protocol::record::{self, Kind, Record, Trust};
use protocol::signed::Verified;

use super::records::verified;
use super::view::RekeyView;
use super::{Core, Draft};
use crate::error::AgentError;
use crate::store::ItemRow;

/// Items looked at in one step.
const STEP: usize = 64;

/// A step of a pass over all items.
pub(crate) struct RekeyStep {
    /// Versions that are to be written anew.
    pub(crate) old: Vec<Hash>,
    /// What was looked at, and what of it stays as it is.
    pub(crate) view: RekeyView,
}

impl Core {
    /// The next items after a place, in the order of writing. What is written anew comes to the end, and is of the current epoch there:
    /// so a pass ends, and one that was broken off can begin again.
    pub(crate) fn rekey_step(&self, after: u64) -> Result<RekeyStep, AgentError> {
        self.must_write()?;
        let (items, last) = self.store.items_count()?;
        let mut view = RekeyView { items, last, epoch: self.roster.epoch(), ..RekeyView::default() };
        let mut old = Vec::new();
        let page = self.store.items_after(after, STEP)?;
        view.next = page.last().map(|(arrival, _)| *arrival);
        for (_, row) in page {
            view.examined += 1;
            let record = verified(&row)?;
            match (record.kind, record.epoch < self.roster.epoch(), record::trust(&self.roster, &record)) {
                (Kind::Delete, ..) | (_, false, _) => {}
                // Written anew by a machine it would count, and nobody would have looked.
                (Kind::Put, true, Trust::Disputed) => view.disputed += 1,
                (Kind::Put, true, Trust::Counts) if self.opened(&record, &row).is_none() => view.damaged += 1,
                (Kind::Put, true, Trust::Counts) => old.push(record.hash()),
            }
        }
        Ok(RekeyStep { old, view })
    }

    /// Queues a version anew, and returns its number; nothing if it is not the current one of its item any more, or is of the current
    /// epoch.
    pub(crate) fn queue_anew(&mut self, version: &Hash) -> Result<Option<u64>, AgentError> {
        self.must_write()?;
        let Some(row) = self.store.record_by_hash(version)? else {
            return Ok(None);
        };
        let record = verified(&row)?;
        let current = self.store.current(&record.collection, &record.id)?;
        if current != Some(*version) || record.epoch >= self.roster.epoch() {
            return Ok(None);
        }
        let Some(content) = self.opened(&record, &row) else {
            return Ok(None);
        };
        let value = Some(zeroize::Zeroizing::new(content.value.0));
        self.queue_for_now(&Draft { collection: content.collection, id: content.id, value }).map(Some)
    }

    fn opened(&self, record: &Verified<Record>, row: &ItemRow) -> Option<record::Content> {
        record::open(&self.keyring, record, row.ciphertext.as_deref()?).ok()
    }
}
