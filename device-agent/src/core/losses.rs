//! What a relay lost, and what took its place there.
//!
//! A relay that lost records takes others in their place, and both sides have kept their word. A device that has the lost ones holds
//! what cannot stand beside the relay's feed: then it reads that feed whole, and gives way to it.

use std::collections::HashMap;

use protocol::connect::Cursor;
use protocol::id::{BlindedCollection, BlindedId};
use protocol::record::{self, Kind, Line, Record, RecordRefusal};
use protocol::signed::{Signed, Verified};
use protocol::wire::RecordPage;
use protocol::{DeviceId, Hash};

use super::Core;
use super::records::{fit, verified};
use super::view::{Event, LostView};
use crate::clock;
use crate::error::AgentError;

/// A relay's whole feed, as a device takes it that has nothing.
#[derive(Default)]
pub(crate) struct WholeFeed {
    there: HashMap<Hash, Content>,
    ends: Ends,
    /// How many cite a head that is not in the log, or may build on one that does.
    waiting: u64,
    /// Why that device would refuse it.
    unsound: Option<RecordRefusal>,
}

/// Where the lines of writers and the versions of items end.
#[derive(Default)]
struct Ends {
    lines: HashMap<DeviceId, Line>,
    items: HashMap<(BlindedCollection, BlindedId), Hash>,
}

/// Whether a relay has the content of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// It has, or there is none.
    There,
    /// It shows the version without.
    Missing,
}

/// Whether a refusal says nothing of the record, and that it does not fit beside what this device has: one of the two may be lost.
pub(crate) fn does_not_fit(refusal: &RecordRefusal) -> bool {
    matches!(refusal, RecordRefusal::Replayed { .. } | RecordRefusal::BrokenLine { .. } | RecordRefusal::Conflict)
}

impl WholeFeed {
    /// Whether a record is in it, and its content.
    pub(crate) fn content_of(&self, hash: &Hash) -> Option<Content> {
        self.there.get(hash).copied()
    }
}

impl Ends {
    fn fit(&self, record: &Verified<Record>, waiting: u64) -> Result<Option<Line>, RecordRefusal> {
        let line = self.lines.get(&record.signer()).copied().unwrap_or_default();
        fit(record, line, self.items.get(&(record.collection, record.id)).copied(), waiting)
    }

    fn go_on(&mut self, record: &Verified<Record>, line: Line) {
        self.lines.insert(record.signer(), line);
        self.items.insert((record.collection, record.id), record.hash());
    }
}

impl Core {
    /// Whether a page that begins with the record at which this device stands is of another feed than it read: of another store, of one
    /// that ends before, or has something else in that place.
    pub(crate) fn is_of_another_feed(&self, cursor: Cursor, page: &RecordPage) -> Result<bool, AgentError> {
        if page.cursor.store != cursor.store || page.last < cursor.number {
            return Ok(true);
        }
        let Some(row) = page.rows.first().filter(|_| cursor.number > 0) else { return Ok(false) };
        let hash = Signed::<Record>::decode(&row.sealed.record).map_err(AgentError::BadForm)?.hash();
        Ok(row.number != cursor.number || !(self.store.has_record(&hash)? || self.store.is_aside(&hash)?))
    }

    /// Reads a page of the whole feed, from its beginning.
    pub(crate) fn follow_feed(&self, feed: &mut WholeFeed, page: &RecordPage) -> Result<(), AgentError> {
        for row in &page.rows {
            let record = Verified::<Record>::from_bytes(&row.sealed.record).map_err(AgentError::BadForm)?;
            let complete = record.ciphertext_hash.is_none() || row.sealed.ciphertext.is_some();
            let content = if complete { Content::There } else { Content::Missing };
            if feed.there.insert(record.hash(), content).is_some() || feed.unsound.is_some() {
                continue;
            }
            // What was taken before the log cut its line off stays taken.
            let cited = if self.store.has_record(&record.hash())? {
                Ok(())
            } else {
                record::check_cited(&self.roster, &record).map(|_| ())
            };
            match cited.and_then(|()| feed.ends.fit(&record, feed.waiting)) {
                Ok(Some(line)) => feed.ends.go_on(&record, line),
                Ok(None) | Err(RecordRefusal::UnknownHead) => feed.waiting += 1,
                Err(refusal) => feed.unsound = Some(refusal),
            }
        }
        Ok(())
    }

    /// Gives way to the relay's feed: what this device has and the feed lacks, and what cannot go on from there, is set aside. Own ones are
    /// written anew, or wait for their person where somebody else stands in their place. Returns how many went; the feed is to be read
    /// anew.
    ///
    /// Nothing goes for a feed that does not hold by itself, and nothing that the relay merely lacks.
    pub(crate) fn give_way(&mut self, feed: &WholeFeed) -> Result<u64, AgentError> {
        if let Some(refusal) = feed.unsound {
            return Err(AgentError::BadRecord(refusal));
        }
        let gone = self.without_place_in(feed)?;
        if gone.is_empty() {
            return Ok(0);
        }
        let again = self.written_again(&gone)?;
        self.store.give_way(&gone, &again, clock::now())?;
        let records = gone.len() as u64;
        tracing::warn!(records, "records that the relay lost do not fit in there any more: countersign record lost");
        self.emit(Event::Lost { records });
        Ok(records)
    }

    /// Records that the feed lacks, and that cannot be given back: their writer's line, or their item, went on without them.
    fn without_place_in(&self, feed: &WholeFeed) -> Result<Vec<Hash>, AgentError> {
        let mut ends = Ends { lines: feed.ends.lines.clone(), items: feed.ends.items.clone() };
        let mut gone = Vec::new();
        self.each_record(|record| {
            if feed.there.contains_key(&record.hash()) {
                return;
            }
            match ends.fit(record, 0) {
                Ok(Some(line)) => ends.go_on(record, line),
                Ok(None) | Err(_) => gone.push(record.hash()),
            }
        })?;
        Ok(gone)
    }

    /// What was set aside for what stands in its place at the relay, oldest first.
    pub(crate) fn lost(&self) -> Result<Vec<LostView>, AgentError> {
        let mut views = Vec::new();
        for row in self.store.lost()? {
            let record = verified(&row)?;
            let opened = row.ciphertext.as_deref().and_then(|bytes| self.open_record(&record, bytes).ok());
            let item = opened.or_else(|| self.deleted_item(&record));
            let (collection, id, value) = match item {
                Some(item) => (Some(item.collection), Some(item.id), (record.kind == Kind::Put).then_some(item.value)),
                None => (None, None, None),
            };
            views.push(LostView {
                collection,
                id,
                value,
                kind: record.kind.name().to_owned(),
                writer: self.bare_name_of(&record.signer()),
                at: record.at,
                version: record.hash().to_string(),
            });
        }
        Ok(views)
    }
}
