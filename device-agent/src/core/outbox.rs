//! Own writes: kept as they were typed, then sealed and signed at the head and under the epoch of the moment in which they are sent.
//!
//! A draft is sealed anew whenever the relay refuses the record that carries it for what has changed meanwhile, so a rotation loses no
//! write. It never replaces another version than the one that its person saw.

use std::collections::HashSet;

use data_encoding::BASE64;
use protocol::cbor::Blob;
use protocol::record::{self, Kind, Record, RecordRefusal, blind_collection, blind_id};
use protocol::signed::Verified;
use protocol::wire::SealedRecord;
use protocol::{FormError, Hash, limits as bounds};
use zeroize::Zeroizing;

use super::view::{OutboxView, QueuedView};
use super::{Core, Draft};
use crate::error::{AgentError, Missing};
use crate::store::{DraftRow, DraftState, Earlier, NewDraft};
use crate::{clock, exit, limits};

/// What a draft became when it was to be sent.
#[derive(Debug)]
pub(crate) enum Sealing {
    /// The record that carries it; the same bytes until the relay refuses them.
    Sealed(SealedRecord),
    /// It is set aside: its item has another version than the one that it replaces, or no record can carry it.
    Refused(AgentError),
    /// It is settled or dropped already.
    Gone,
}

impl Core {
    /// Keeps a write for whenever the relay is reached. It takes the place of refused ones of its item.
    pub(crate) fn queue_for_later(&mut self, draft: &Draft) -> Result<(), AgentError> {
        if self.store.draft_count()? >= limits::DRAFTS_KEPT {
            return Err(AgentError::OutboxFull);
        }
        self.queue(draft, Earlier::MakeWay).map(|_| ())
    }

    /// Keeps a write that somebody waits for, and returns its number.
    pub(crate) fn queue_for_now(&mut self, draft: &Draft) -> Result<u64, AgentError> {
        self.queue(draft, Earlier::Stay)
    }

    fn queue(&mut self, draft: &Draft, refused: Earlier) -> Result<u64, AgentError> {
        for name in [&draft.collection, &draft.id] {
            if name.is_empty() || name.chars().count() > bounds::NAME_CHARS_MAX {
                return Err(AgentError::BadName);
            }
        }
        let base = self.current(&draft.collection, &draft.id)?;
        if draft.value.is_none() && !self.is_there(draft)? {
            return Err(AgentError::NotFound { of: Missing::Record, what: "this record".to_owned() });
        }
        let Draft { collection, id, value } = draft.clone();
        let at = clock::now();
        // What can never be sealed is told now, and not to a daemon in an hour.
        let bytes = value.as_ref().map(|value| value.as_slice());
        self.sign(&record::Draft { collection: &collection, id: &id, value: bytes, base, at }).map_err(|error| {
            match error {
                AgentError::OwnForm(FormError::TooLarge { form: "ciphertext", got, limit }) => {
                    AgentError::ValueTooLong { got, limit }
                }
                other => other,
            }
        })?;
        self.store.queue(&NewDraft { collection, id, value, base, at, refused })
    }

    /// Whether an item is there to be deleted, once everything before this draft is sent.
    fn is_there(&self, draft: &Draft) -> Result<bool, AgentError> {
        let same = |row: &DraftRow| (&row.collection, &row.id) == (&draft.collection, &draft.id);
        let waits = |row: &DraftRow| !matches!(row.state, DraftState::Refused { .. });
        match self.store.drafts()?.iter().rfind(|row| same(row) && waits(row)) {
            Some(last) => Ok(last.kind == Kind::Put),
            None => Ok(self.item(&draft.collection, &draft.id)?.is_some()),
        }
    }

    /// The version of an item that this device knows, a tombstone included.
    pub(super) fn current(&self, collection: &str, id: &str) -> Result<Option<Hash>, AgentError> {
        let blinded = blind_collection(self.keyring.name_key(), collection);
        self.store.current(&blinded, &blind_id(self.keyring.name_key(), &blinded, id))
    }

    fn sign(&self, draft: &record::Draft<'_>) -> Result<(Verified<Record>, Option<Blob>), AgentError> {
        self.must_go_on()?;
        self.must_write()?;
        let line = self.store.line(&self.keys.id())?;
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        record::write(self.acting(), line, draft, &mut rng).map_err(AgentError::OwnForm)
    }

    /// The draft to send next.
    pub(crate) fn next_draft(&self) -> Result<Option<u64>, AgentError> {
        self.store.next_draft()
    }

    /// Seals and signs a draft as the next record of this device's line, and keeps that before it is sent.
    pub(crate) fn seal(&mut self, number: u64) -> Result<Sealing, AgentError> {
        let Some(row) = self.store.draft(number)? else { return Ok(Sealing::Gone) };
        if let DraftState::Staged(hash) = row.state
            && let Some(kept) = self.store.staged_record(&hash)?
        {
            let (record, ciphertext) = (Blob(kept.header), kept.ciphertext.map(Blob));
            return Ok(Sealing::Sealed(SealedRecord { record, ciphertext }));
        }
        let (collection, id, base, at) = (row.collection.as_str(), row.id.as_str(), row.base, row.at);
        if self.current(collection, id)? != base {
            return self.refuse(number, conflict()).map(Sealing::Refused);
        }
        let value = self.store.draft_value(number)?;
        let value = value.as_ref().map(|value| value.as_slice());
        match self.sign(&record::Draft { collection, id, value, base, at }) {
            Ok((record, ciphertext)) => {
                self.store.stage_record(&record, ciphertext.as_deref(), number)?;
                Ok(Sealing::Sealed(SealedRecord { record: record.bytes().to_vec().into(), ciphertext }))
            }
            Err(error @ (AgentError::OwnForm(_) | AgentError::Closed)) => {
                self.refuse(number, error).map(Sealing::Refused)
            }
            Err(other) => Err(other),
        }
    }

    /// Sets a draft aside that cannot land as it is, with those of its item that build on it. Returns why.
    pub(crate) fn refuse(&mut self, number: u64, why: AgentError) -> Result<AgentError, AgentError> {
        let told = exit::tell(&why);
        self.store.refuse_draft(number, &told.code)?;
        Ok(why)
    }

    /// Sets aside what waits to be sent and has another version in its place by now: its person is told at once, and not when its turn
    /// comes.
    pub(crate) fn refuse_overtaken(&mut self) -> Result<(), AgentError> {
        let mut items = HashSet::new();
        for row in self.store.drafts()? {
            // One behind another replaces that, and not what is here.
            let waits = !matches!(row.state, DraftState::Refused { .. });
            let is_first = waits && items.insert((row.collection.clone(), row.id.clone()));
            let overtaken = self.current(&row.collection, &row.id)? != row.base;
            if is_first && overtaken && row.state == DraftState::Waiting {
                self.refuse(row.number, conflict())?;
            }
        }
        Ok(())
    }

    /// Destroys the record that carries a draft. It is sealed anew when it is its turn.
    pub(crate) fn unseal(&mut self, number: u64) -> Result<(), AgentError> {
        self.store.unstage_record(number)
    }

    /// Where a draft stands after everything before it was sent: settled, refused, or still here.
    pub(crate) fn draft_state(&self, number: u64) -> Result<Option<DraftState>, AgentError> {
        Ok(self.store.draft(number)?.map(|row| row.state))
    }

    /// Forgets a draft whose person was told that it failed.
    pub(crate) fn forget_draft(&mut self, number: u64) -> Result<(), AgentError> {
        self.store.forget_draft(number)
    }

    /// Everything that waits, in the order of writing.
    pub(crate) fn queued(&self) -> Result<Vec<QueuedView>, AgentError> {
        Ok(self.store.drafts()?.into_iter().map(shown).collect())
    }

    /// What a person is told of it.
    pub(crate) fn outbox(&self) -> Result<OutboxView, AgentError> {
        let (refused, waiting): (Vec<_>, Vec<_>) = self.queued()?.into_iter().partition(|it| it.refused.is_some());
        let oldest_at = waiting.first().map(|oldest| oldest.at);
        Ok(OutboxView { queued: waiting.len() as u64, oldest_at, refused })
    }

    /// The content of the last write of an item that waits; nothing if that deletes it.
    pub(crate) fn queued_value(&self, collection: &str, id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AgentError> {
        let rows = self.store.drafts()?;
        let last = rows.iter().rfind(|row| (row.collection.as_str(), row.id.as_str()) == (collection, id));
        let last = last.ok_or_else(|| AgentError::NotFound {
            of: Missing::Queued,
            what: "a queued write of this record".to_owned(),
        })?;
        self.store.draft_value(last.number)
    }

    /// Lets the refused writes of an item be sent after all, in the place of the version that this device knows.
    pub(crate) fn replace_with_queued(&mut self, collection: &str, id: &str) -> Result<(), AgentError> {
        let base = self.current(collection, id)?;
        found(self.store.replace_with_drafts(collection, id, base)?, "a refused write of this record")
    }

    /// Forgets what waits of an item, but for what may be at the relay already.
    pub(crate) fn drop_queued(&mut self, collection: &str, id: &str) -> Result<(), AgentError> {
        found(self.store.drop_drafts(collection, id)?, "a write of this record that can still be dropped")
    }

    /// Makes drafts of records that an earlier version of this program staged without: those could not be sealed anew.
    pub(super) fn adopt_staged(&mut self) -> Result<(), AgentError> {
        for row in self.store.staged_without_draft()? {
            let record = Verified::<Record>::from_bytes(&row.header)
                .map_err(|_| AgentError::Damaged { what: "a record under way does not verify" })?;
            let Some(draft) = self.draft_of(&record, row.ciphertext.as_deref()) else {
                tracing::warn!("record {} was under way and does not open: it is given up", record.hash().short());
                self.store.destroy_staged(&record.hash())?;
                continue;
            };
            let number = self.store.queue(&draft)?;
            self.store.stage_record(&record, row.ciphertext.as_deref(), number)?;
        }
        Ok(())
    }

    /// A record as it was typed, if it opens; a delete, if the version opens that it replaced.
    pub(super) fn draft_of(&self, record: &Verified<Record>, ciphertext: Option<&[u8]>) -> Option<NewDraft> {
        let opened = ciphertext.and_then(|ciphertext| self.open_record(record, ciphertext).ok());
        let item = opened.or_else(|| self.deleted_item(record))?;
        let value = match record.kind {
            Kind::Put => Some(Zeroizing::new(BASE64.decode(item.value.as_bytes()).ok()?)),
            Kind::Delete => None,
        };
        let (collection, id) = (item.collection, item.id);
        Some(NewDraft { collection, id, value, base: record.base, at: record.at, refused: Earlier::Stay })
    }

    /// Queues a write and seals it at once.
    #[cfg(test)]
    pub(crate) fn write(&mut self, draft: &Draft) -> Result<SealedRecord, AgentError> {
        let number = self.queue_for_now(draft)?;
        match self.seal(number)? {
            Sealing::Sealed(sealed) => Ok(sealed),
            other => panic!("a sealed record, and not {other:?}"),
        }
    }

    /// Own records under way.
    #[cfg(test)]
    pub(crate) fn staged_records(&mut self) -> Result<Vec<SealedRecord>, AgentError> {
        let mut sealed = Vec::new();
        for row in self.store.drafts()? {
            if let (DraftState::Staged(_), Sealing::Sealed(record)) = (row.state, self.seal(row.number)?) {
                sealed.push(record);
            }
        }
        Ok(sealed)
    }
}

/// Somebody wrote the item after the draft was queued. The words are the relay's, whoever finds it out.
pub(crate) fn conflict() -> AgentError {
    let refusal = RecordRefusal::Conflict;
    AgentError::Problem { status: 409, code: refusal.code().to_owned(), detail: refusal.to_string() }
}

fn found(count: usize, what: &str) -> Result<(), AgentError> {
    if count == 0 { Err(AgentError::NotFound { of: Missing::Queued, what: what.to_owned() }) } else { Ok(()) }
}

fn shown(row: DraftRow) -> QueuedView {
    let refused = match row.state {
        DraftState::Refused { code } => Some(code),
        DraftState::Waiting | DraftState::Staged(_) => None,
    };
    QueuedView { collection: row.collection, id: row.id, kind: row.kind.name().to_owned(), at: row.at, refused }
}
