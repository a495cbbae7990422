//! Records: verified as the relay's, opened for whoever asks here.

use data_encoding::BASE64;
use protocol::cbor::Blob;
use protocol::connect::Cursor;
use protocol::record::{self, Kind, Line, Record, RecordRefusal, Trust, blind_collection, blind_id};
use protocol::signed::Verified;
use protocol::wire::{RecordPage, SealedRecord};
use protocol::{DeviceId, Hash};
use std::collections::HashMap;

use super::view::{Event, ItemStanding, ItemView};
use super::{Core, does_not_fit, replay};
use crate::error::AgentError;
use crate::limits;
use crate::store::{ItemRow, Setting};

/// What a caller wants to write.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Name of the collection.
    pub(crate) collection: String,
    /// Name within it.
    pub(crate) id: String,
    /// The content, or nothing to delete.
    pub(crate) value: Option<zeroize::Zeroizing<Vec<u8>>>,
}

/// What became of a record from the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was accepted now.
    Accepted,
    /// It was here before.
    Known,
    /// It cites a head that is not in the log: it waits.
    Aside,
}

impl Core {
    /// Takes a page of the feed, and keeps the place after it.
    pub(crate) fn take_page(&mut self, page: &RecordPage) -> Result<(), AgentError> {
        for row in &page.rows {
            self.take_record(&row.sealed)?;
        }
        self.store.keep_cursor(page.cursor)
    }

    /// Takes one record: signature, cited head, writer's line, replaced version and ciphertext are checked; then it is kept.
    pub(crate) fn take_record(&mut self, sealed: &SealedRecord) -> Result<Verdict, AgentError> {
        let record = Verified::<Record>::from_bytes(&sealed.record).map_err(AgentError::BadForm)?;
        let waiting = self.store.aside_count()?;
        let verdict = self.judge_record(&record, sealed, waiting)?;
        if verdict == Verdict::Aside {
            self.set_aside(&record, sealed, waiting)?;
        }
        Ok(verdict)
    }

    /// Checks a verified record, and keeps it unless it must wait. So many records wait before it: while some do, what does not fit
    /// may build on them.
    fn judge_record(
        &mut self,
        record: &Verified<Record>,
        sealed: &SealedRecord,
        waiting: u64,
    ) -> Result<Verdict, AgentError> {
        let ciphertext = sealed.ciphertext.as_deref();
        let refuse = |refusal| Err(AgentError::BadRecord(refusal));
        if ciphertext.is_some() && !record.carries(ciphertext) {
            return refuse(RecordRefusal::OtherCiphertext);
        }
        if self.store.has_record(&record.hash())? {
            if let Some(ciphertext) = ciphertext.filter(|_| record.kind == Kind::Put)
                && self.store.lacks_ciphertext(&record.hash())?
            {
                self.store.add_ciphertext(&record.hash(), ciphertext)?;
            }
            return Ok(Verdict::Known);
        }
        match record::check_cited(&self.roster, record) {
            Err(RecordRefusal::UnknownHead) => return Ok(Verdict::Aside),
            Err(refusal) => return refuse(refusal),
            Ok(_) => {}
        }
        let (line, current) = (self.store.line(&record.signer())?, self.store.current(&record.collection, &record.id)?);
        let Some(line) = fit(record, line, current, waiting).map_err(AgentError::BadRecord)? else {
            return Ok(Verdict::Aside);
        };
        if ciphertext.is_none() && record.kind == Kind::Put {
            self.note_missed()?;
        }
        self.store.keep_record(record, ciphertext, line)?;
        self.tell(record, ciphertext);
        Ok(Verdict::Accepted)
    }

    /// Notes that a version came without its content. Mostly one follows that replaces it; not where that one went with a branch.
    fn note_missed(&self) -> Result<(), AgentError> {
        match self.store.setting(Setting::ContentMissed)? {
            Some(_) => Ok(()),
            None => self.store.set(Setting::ContentMissed, &[]),
        }
    }

    /// The current versions of which this device never had the content.
    pub(crate) fn missed(&self) -> Result<Vec<Verified<Record>>, AgentError> {
        if self.store.setting(Setting::ContentMissed)?.is_none() {
            return Ok(Vec::new());
        }
        let mut missed = Vec::new();
        for row in self.store.bare_items()? {
            missed.push(verified(&row)?);
        }
        missed.retain(|record| record.kind == Kind::Put);
        if missed.is_empty() {
            self.store.unset(Setting::ContentMissed)?;
        }
        Ok(missed)
    }

    /// Beyond the bound the cursor stops, so that nothing is passed over: what cannot wait here waits at the relay.
    fn set_aside(&self, record: &Verified<Record>, sealed: &SealedRecord, waiting: u64) -> Result<(), AgentError> {
        if waiting >= limits::ASIDE_KEPT && !self.store.is_aside(&record.hash())? {
            return Err(AgentError::AsideFull);
        }
        tracing::warn!(
            "record {} cites an entry that is not in the log here yet: it is set aside",
            record.hash().short()
        );
        self.store.set_aside(&record.hash(), &sealed.record, sealed.ciphertext.as_deref())
    }

    /// Every record that is kept, in the order of arrival, page by page.
    pub(super) fn each_record(&self, mut see: impl FnMut(&Verified<Record>)) -> Result<(), AgentError> {
        let mut after = 0;
        loop {
            let page = self.store.records_after(after, 256)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, row) in &page {
                see(&verified(row)?);
            }
        }
    }

    /// Forgets what was set aside and is in no feed any more, and tries the rest again.
    pub(crate) fn forget_aside(&mut self, absent: &[Hash]) -> Result<(), AgentError> {
        for hash in absent {
            self.store.forget_aside(hash)?;
        }
        self.retry_aside()
    }

    /// Tries again what was set aside, in the order of arrival, after the log grew. What still waits stays where it is; what
    /// waits for nothing that came before it is refused.
    pub(super) fn retry_aside(&mut self) -> Result<(), AgentError> {
        let mut waiting = 0;
        for row in self.store.aside()? {
            let sealed = SealedRecord { record: Blob(row.header), ciphertext: row.ciphertext.map(Blob) };
            let record = Verified::<Record>::from_bytes(&sealed.record)
                .map_err(|_| AgentError::Damaged { what: "a record that was set aside does not verify" })?;
            match self.judge_record(&record, &sealed, waiting) {
                Ok(Verdict::Aside) => waiting += 1,
                Ok(Verdict::Accepted | Verdict::Known) => self.store.forget_aside(&record.hash())?,
                Err(AgentError::BadRecord(error)) => {
                    tracing::warn!("record {}, which was set aside, is refused: {error}", record.hash().short());
                    // Its place in the feed is passed: what it does not fit beside may be what the relay lost.
                    if does_not_fit(&error) {
                        self.store.owe_refill()?;
                    }
                    self.store.forget_aside(&record.hash())?;
                }
                // The store failed: nothing is known of this record yet.
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Refuses a device that may not write, or not under the current keys.
    pub(super) fn must_write(&self) -> Result<(), AgentError> {
        self.must_hold_keys()?;
        match self.roster.member(&self.keys.id()) {
            Some(member) if member.role.writes() => Ok(()),
            _ => Err(AgentError::NotAWriter),
        }
    }

    /// Where this device stands in the feed.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, AgentError> {
        self.store.cursor()
    }

    /// The current content of an item; nothing if there is none, or it was deleted.
    pub(crate) fn item(&self, collection: &str, id: &str) -> Result<Option<ItemView>, AgentError> {
        let blinded = blind_collection(self.keyring.name_key(), collection);
        let row = self.store.item(&blinded, &blind_id(self.keyring.name_key(), &blinded, id))?;
        row.map(|row| self.open_row(&row)).transpose().map(Option::flatten)
    }

    /// The current content of every item of a collection, or of all.
    pub(crate) fn items(&self, collection: Option<&str>) -> Result<Vec<ItemView>, AgentError> {
        let mut items = Vec::new();
        for row in self.store.items()? {
            match self.open_row(&row) {
                Ok(Some(item)) if collection.is_none_or(|wanted| wanted == item.collection) => items.push(item),
                Ok(_) => {}
                // One member's garbage, or one epoch whose key was withheld, must not hide the rest.
                Err(error @ (AgentError::Sealed { .. } | AgentError::OtherEpochKey { .. } | AgentError::NoContent)) => {
                    tracing::warn!("a record is passed over: {error}")
                }
                Err(other) => return Err(other),
            }
        }
        items.sort_by(|a, b| (&a.collection, &a.id).cmp(&(&b.collection, &b.id)));
        Ok(items)
    }

    pub(super) fn open_row(&self, row: &ItemRow) -> Result<Option<ItemView>, AgentError> {
        let record = verified(row)?;
        if record.kind == Kind::Delete {
            return Ok(None);
        }
        let ciphertext = row.ciphertext.as_deref();
        let ciphertext = ciphertext.ok_or(AgentError::NoContent)?;
        self.open_record(&record, ciphertext).map(Some)
    }

    pub(super) fn open_record(&self, record: &Verified<Record>, ciphertext: &[u8]) -> Result<ItemView, AgentError> {
        if self.keyring.epoch_key_of(record.epoch).is_none()
            && let Some(alarm) = self.key_alarm()
        {
            return Err(alarm);
        }
        let content = record::open(&self.keyring, record, ciphertext)
            .map_err(|_| AgentError::Sealed { writer: self.name_of(&record.signer()) })?;
        Ok(ItemView {
            collection: content.collection,
            id: content.id,
            value: BASE64.encode(&content.value),
            writer: self.bare_name_of(&record.signer()),
            at: record.at,
            version: record.hash().to_string(),
            standing: self.standing_of(record),
        })
    }

    pub(super) fn standing_of(&self, record: &Verified<Record>) -> ItemStanding {
        match record::trust(&self.roster, record) {
            Trust::Counts => ItemStanding::Counts,
            Trust::Disputed => ItemStanding::Disputed,
        }
    }

    fn tell(&self, record: &Verified<Record>, ciphertext: Option<&[u8]>) {
        let opened = ciphertext.and_then(|ciphertext| self.open_record(record, ciphertext).ok());
        let item = opened.or_else(|| self.deleted_item(record));
        if let Some(item) = item {
            self.emit(Event::Record { item: Box::new(item), kind: record.kind.name().to_owned() });
        }
    }

    /// A delete carries no names: they are those of the version that it replaced, if that was kept with its content.
    pub(super) fn deleted_item(&self, record: &Verified<Record>) -> Option<ItemView> {
        let row = self.store.record_by_hash(&record.base.filter(|_| record.kind == Kind::Delete)?).ok()??;
        let mut item = self.open_row(&row).ok()??;
        item.value = String::new();
        item.writer = self.bare_name_of(&record.signer());
        item.at = record.at;
        item.version = record.hash().to_string();
        item.standing = self.standing_of(record);
        Some(item)
    }

    /// Verifies everything that is kept, from the first byte: the log from `found`, every record, every writer's line.
    pub(crate) fn verify_all(&self) -> Result<(u64, u64), AgentError> {
        let (_, roster) = replay::replay(&self.store.log()?)?;
        if roster.head() != self.roster.head() {
            return Err(AgentError::Damaged { what: "the pinned log is not the one in use" });
        }
        let mut lines: HashMap<DeviceId, Line> = HashMap::new();
        let (mut after, mut count) = (0, 0);
        loop {
            let page = self.store.records_after(after, 256)?;
            if page.is_empty() {
                return Ok((roster.seq() + 1, count));
            }
            for (arrival, row) in page {
                after = arrival;
                count += 1;
                let record = Verified::<Record>::from_bytes(&row.header).map_err(AgentError::BadForm)?;
                record::check_cited(&roster, &record).map_err(AgentError::BadRecord)?;
                let line = lines.entry(record.signer()).or_default();
                *line = line.follow(&record).map_err(AgentError::BadRecord)?;
                match row.ciphertext.as_deref().map(|ciphertext| self.open_record(&record, ciphertext)) {
                    // Its line and its hash hold; what its writer put into it is its writer's.
                    Some(Err(error @ (AgentError::Sealed { .. } | AgentError::OtherEpochKey { .. }))) => {
                        tracing::warn!("a record is verified, and not opened: {error}")
                    }
                    Some(Err(other)) => return Err(other),
                    Some(Ok(_)) | None => {}
                }
            }
        }
    }
}

/// Whether a record goes on from where its writer's line and its item end: the line after it. While others wait before it, what does not
/// fit may build on them: nothing.
pub(super) fn fit(
    record: &Verified<Record>,
    line: Line,
    current: Option<Hash>,
    waiting: u64,
) -> Result<Option<Line>, RecordRefusal> {
    let line = match line.follow(record) {
        Err(RecordRefusal::BrokenLine { .. }) if waiting > 0 => return Ok(None),
        followed => followed?,
    };
    match record.base == current {
        true => Ok(Some(line)),
        false if waiting > 0 => Ok(None),
        false => Err(RecordRefusal::Conflict),
    }
}

/// A record that is kept: it was verified when it came.
pub(super) fn verified(row: &ItemRow) -> Result<Verified<Record>, AgentError> {
    Verified::from_bytes(&row.header).map_err(|_| AgentError::Damaged { what: "a record does not verify" })
}
