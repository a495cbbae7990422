//! Own writes until the relay acknowledged them: as they were typed, and the record that carries one.
//!
//! A draft and its record are tied in each transaction: they are staged together, and go together when the record is kept.

use protocol::Hash;
use protocol::record::{Kind, Record};
use protocol::signed::Verified;
use rusqlite::{OptionalExtension as _, Transaction, params};
use zeroize::Zeroizing;

use super::records::{RecordRowKept, kept};
use super::{Store, id, signed, unsigned};
use crate::error::AgentError;

/// A write to keep.
pub(crate) struct NewDraft {
    /// Name of the collection.
    pub(crate) collection: String,
    /// Name within it.
    pub(crate) id: String,
    /// The content, or nothing to delete.
    pub(crate) value: Option<Zeroizing<Vec<u8>>>,
    /// The version that it replaces.
    pub(crate) base: Option<Hash>,
    /// When it was written, unix milliseconds.
    pub(crate) at: u64,
    /// What becomes of earlier drafts of the item that were refused.
    pub(crate) refused: Earlier,
}

/// What becomes of earlier drafts of an item that were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// They stay until the new one is acknowledged.
    Stay,
    /// The new one takes their place at once.
    MakeWay,
}

/// What becomes of an own write that goes with the branch on which it stood.
pub(crate) enum Again {
    /// It is queued anew.
    Queue(NewDraft),
    /// A draft that was to replace it is here: that replaces what is left.
    Replacing {
        /// Number of the draft.
        draft: u64,
        /// The version that is left, if one is.
        base: Option<Hash>,
    },
    /// A draft that was to delete it has nothing left to delete.
    Void {
        /// Number of the draft.
        draft: u64,
    },
}

/// A write that the relay has not acknowledged, without its content.
pub(crate) struct DraftRow {
    /// Its place in the order of writing.
    pub(crate) number: u64,
    /// Name of the collection.
    pub(crate) collection: String,
    /// Name within it.
    pub(crate) id: String,
    /// Put or delete.
    pub(crate) kind: Kind,
    /// The version that it replaces. While an earlier draft of the item is here, that one is replaced, and this means nothing.
    pub(crate) base: Option<Hash>,
    /// When it was written, unix milliseconds.
    pub(crate) at: u64,
    /// How far it came.
    pub(crate) state: DraftState,
}

/// How far a draft came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DraftState {
    /// It waits to be sealed.
    Waiting,
    /// It is sealed in the record of this hash, which may be at the relay already.
    Staged(Hash),
    /// The relay will not have it; its person decides.
    Refused {
        /// Stable code of the refusal.
        code: String,
    },
}

/// Names are the person's: they stay out of logs.
impl std::fmt::Debug for DraftRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DraftRow(secret, number {}, {:?})", self.number, self.state)
    }
}

const SELECT: &str = "SELECT number, collection, id, value IS NULL, base, queued_at, staged, refused FROM drafts";

/// A row whose hashes are not read yet.
type Raw = (DraftRow, Option<Vec<u8>>, Option<Vec<u8>>);

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<Raw> {
    let refused: Option<String> = row.get(7)?;
    let draft = DraftRow {
        number: unsigned(row.get(0)?),
        collection: row.get(1)?,
        id: row.get(2)?,
        kind: if row.get(3)? { Kind::Delete } else { Kind::Put },
        base: None,
        at: unsigned(row.get(5)?),
        state: refused.map_or(DraftState::Waiting, |code| DraftState::Refused { code }),
    };
    Ok((draft, row.get(4)?, row.get(6)?))
}

fn whole((mut draft, base, staged): Raw) -> Result<DraftRow, AgentError> {
    draft.base = base.map(|base| id(&base)).transpose()?;
    if let Some(staged) = staged {
        draft.state = DraftState::Staged(id(&staged)?);
    }
    Ok(draft)
}

impl Store {
    /// Keeps a draft after all others, and returns its number.
    pub(crate) fn queue(&mut self, draft: &NewDraft) -> Result<u64, AgentError> {
        let tx = self.db.transaction()?;
        let number = insert(&tx, draft)?;
        tx.commit()?;
        Ok(number)
    }

    /// Every draft, in the order of writing.
    pub(crate) fn drafts(&self) -> Result<Vec<DraftRow>, AgentError> {
        let mut query = self.db.prepare_cached(&format!("{SELECT} ORDER BY number"))?;
        let rows = query.query_map([], raw)?.collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().map(whole).collect()
    }

    /// A draft, unless it is settled or dropped.
    pub(crate) fn draft(&self, number: u64) -> Result<Option<DraftRow>, AgentError> {
        let mut query = self.db.prepare_cached(&format!("{SELECT} WHERE number = ?1"))?;
        query.query_row([signed(number)], raw).optional()?.map(whole).transpose()
    }

    /// The draft to send next: the one under way, for the line goes on after it, else the first that is not refused.
    pub(crate) fn next_draft(&self) -> Result<Option<u64>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT number FROM drafts WHERE refused IS NULL ORDER BY staged IS NULL, number LIMIT 1",
        )?;
        Ok(query.query_row([], |row| row.get(0)).optional()?.map(unsigned))
    }

    /// How many drafts there are.
    pub(crate) fn draft_count(&self) -> Result<u64, AgentError> {
        Ok(unsigned(self.db.query_row("SELECT count(*) FROM drafts", [], |row| row.get(0))?))
    }

    /// The content of a draft; nothing for a delete, or where there is none.
    pub(crate) fn draft_value(&self, number: u64) -> Result<Option<Zeroizing<Vec<u8>>>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT value FROM drafts WHERE number = ?1")?;
        let value: Option<Option<Vec<u8>>> = query.query_row([signed(number)], |row| row.get(0)).optional()?;
        Ok(value.flatten().map(Zeroizing::new))
    }

    /// Keeps the record that carries a draft, before it is sent.
    pub(crate) fn stage_record(
        &mut self,
        record: &Verified<Record>,
        ciphertext: Option<&[u8]>,
        draft: u64,
    ) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        let hash = record.hash();
        tx.execute(
            "INSERT OR REPLACE INTO outbox_records VALUES (?1, ?2, ?3, ?4)",
            params![signed(record.counter), hash.as_bytes(), record.bytes().as_ref(), ciphertext],
        )?;
        tx.execute("UPDATE drafts SET staged = ?2 WHERE number = ?1", params![signed(draft), hash.as_bytes()])?;
        Ok(tx.commit()?)
    }

    /// The record that was staged under a hash.
    pub(crate) fn staged_record(&self, hash: &Hash) -> Result<Option<RecordRowKept>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT header, ciphertext FROM outbox_records WHERE hash = ?1")?;
        Ok(query.query_row([hash.as_bytes()], kept).optional()?)
    }

    /// Staged records that carry no draft: an earlier version of this program kept none.
    pub(crate) fn staged_without_draft(&self) -> Result<Vec<RecordRowKept>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT header, ciphertext FROM outbox_records
             WHERE hash NOT IN (SELECT staged FROM drafts WHERE staged IS NOT NULL) ORDER BY counter",
        )?;
        let rows = query.query_map([], kept)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Destroys a staged record that carries no draft.
    pub(crate) fn destroy_staged(&self, hash: &Hash) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM outbox_records WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(())
    }

    /// Destroys the record that carries a draft: the relay refused it for good, and its counter is free. The draft waits again.
    pub(crate) fn unstage_record(&mut self, draft: u64) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        unstage(&tx, draft)?;
        Ok(tx.commit()?)
    }

    /// Sets a draft aside that the relay will not have, with those of its item that build on it.
    pub(crate) fn refuse_draft(&mut self, draft: u64, code: &str) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        unstage(&tx, draft)?;
        tx.execute(
            "UPDATE drafts SET refused = ?2 WHERE number >= ?1
             AND (collection, id) = (SELECT collection, id FROM drafts WHERE number = ?1)",
            params![signed(draft), code],
        )?;
        Ok(tx.commit()?)
    }

    /// Lets the refused drafts of an item be sent after all, in the place of a version. Returns how many.
    pub(crate) fn replace_with_drafts(
        &self,
        collection: &str,
        id: &str,
        base: Option<Hash>,
    ) -> Result<usize, AgentError> {
        Ok(self.db.execute(
            "UPDATE drafts SET refused = NULL, base = ?3 WHERE collection = ?1 AND id = ?2 AND refused IS NOT NULL",
            params![collection, id, base.as_ref().map(Hash::as_bytes)],
        )?)
    }

    /// Forgets the drafts of an item that are not under way. Returns how many.
    pub(crate) fn drop_drafts(&self, collection: &str, id: &str) -> Result<usize, AgentError> {
        Ok(self.db.execute(
            "DELETE FROM drafts WHERE collection = ?1 AND id = ?2 AND staged IS NULL",
            params![collection, id],
        )?)
    }

    /// Forgets one draft, and the record that carries it.
    pub(crate) fn forget_draft(&mut self, draft: u64) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        forget(&tx, draft)?;
        Ok(tx.commit()?)
    }
}

fn insert(tx: &Transaction<'_>, draft: &NewDraft) -> Result<u64, AgentError> {
    if draft.refused == Earlier::MakeWay {
        tx.execute(
            "DELETE FROM drafts WHERE collection = ?1 AND id = ?2 AND refused IS NOT NULL",
            params![draft.collection, draft.id],
        )?;
    }
    let value = draft.value.as_ref().map(|value| value.as_slice());
    tx.execute(
        "INSERT INTO drafts (collection, id, value, base, queued_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![draft.collection, draft.id, value, draft.base.as_ref().map(Hash::as_bytes), signed(draft.at)],
    )?;
    Ok(unsigned(tx.last_insert_rowid()))
}

fn forget(tx: &Transaction<'_>, draft: u64) -> Result<(), AgentError> {
    unstage(tx, draft)?;
    tx.execute("DELETE FROM drafts WHERE number = ?1", [signed(draft)])?;
    Ok(())
}

/// Does what becomes of an own write, with the branch that takes the place of the one on which it stood.
pub(super) fn write_again(tx: &Transaction<'_>, again: &Again) -> Result<(), AgentError> {
    match again {
        Again::Queue(draft) => insert(tx, draft).map(|_| ()),
        Again::Replacing { draft, base } => {
            tx.execute(
                "UPDATE drafts SET base = ?2 WHERE number = ?1",
                params![signed(*draft), base.as_ref().map(Hash::as_bytes)],
            )?;
            Ok(())
        }
        Again::Void { draft } => forget(tx, *draft),
    }
}

fn unstage(tx: &Transaction<'_>, draft: u64) -> Result<(), AgentError> {
    tx.execute(
        "DELETE FROM outbox_records WHERE hash = (SELECT staged FROM drafts WHERE number = ?1)",
        [signed(draft)],
    )?;
    tx.execute("UPDATE drafts SET staged = NULL WHERE number = ?1", [signed(draft)])?;
    Ok(())
}

/// A record is kept. If it carried a draft, that one is done, earlier ones of its item have no say any more, and later ones
/// replace the record.
pub(super) fn settle(tx: &Transaction<'_>, hash: &Hash) -> Result<(), AgentError> {
    let mut query = tx.prepare_cached("SELECT number, collection, id FROM drafts WHERE staged = ?1")?;
    let found = query.query_row([hash.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    if let Some((number, collection, id)) = found {
        let (number, collection, id): (i64, String, String) = (number, collection, id);
        tx.execute(
            "UPDATE drafts SET base = ?4 WHERE collection = ?2 AND id = ?3 AND number > ?1",
            params![number, collection, id, hash.as_bytes()],
        )?;
        tx.execute(
            "DELETE FROM drafts WHERE collection = ?2 AND id = ?3 AND number <= ?1",
            params![number, collection, id],
        )?;
    }
    tx.execute("DELETE FROM outbox_records WHERE hash = ?1", [hash.as_bytes()])?;
    Ok(())
}
