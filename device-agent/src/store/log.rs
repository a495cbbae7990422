//! The pinned log, the own entry under way, and evidence of a fork.

use protocol::cbor::{self, Blob};
use protocol::entry::Entry;
use protocol::signed::Verified;
use protocol::wire::{Append, Purpose};
use protocol::{Hash, limits};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::outbox::write_again;
use super::records::drop_records;
use super::{Again, Store, id, signed, unsigned};
use crate::error::AgentError;

/// The major type of a CBOR map (RFC 8949 §3.1).
const CBOR_MAP: u8 = 5;

/// What changes where another branch is pinned.
pub(crate) struct Crossing<'a> {
    /// Position of the last entry that both branches have.
    pub(crate) common: u64,
    /// What follows there on the branch that goes on.
    pub(crate) fresh: &'a [Verified<Entry>],
    /// What followed there on the one before, to be kept as evidence.
    pub(crate) old: &'a [Verified<Entry>],
    /// Records that the branch does not carry.
    pub(crate) gone: &'a [Hash],
    /// What becomes of those of them that this device wrote.
    pub(crate) again: &'a [Again],
}

impl Store {
    /// The bytes of every pinned entry, in order.
    pub(crate) fn log(&self) -> Result<Vec<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare("SELECT seq, entry FROM log ORDER BY seq")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        let mut entries = Vec::new();
        for row in rows {
            let (seq, entry) = row?;
            if unsigned(seq) != entries.len() as u64 {
                return Err(AgentError::Damaged { what: "the pinned log has a gap" });
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The bytes of pinned entries from a position on.
    pub(crate) fn log_from(&self, seq: u64, most: usize) -> Result<Vec<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT entry FROM log WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
        let rows = query.query_map(params![signed(seq), signed(most as u64)], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The hash pinned at a position.
    pub(crate) fn pinned(&self, seq: u64) -> Result<Option<Hash>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT hash FROM log WHERE seq = ?1")?;
        let bytes: Option<Vec<u8>> = query.query_row([signed(seq)], |row| row.get(0)).optional()?;
        bytes.map(|bytes| id(&bytes)).transpose()
    }

    /// Pins entries that were verified and applied. An own entry under way is destroyed once its place is taken, by itself or by another.
    /// When this returns they are on the disk: only then may they be acted on or shown.
    pub(crate) fn pin(&mut self, entries: &[Verified<Entry>]) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        for entry in entries {
            tx.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3)")?.execute(params![
                signed(entry.seq),
                entry.hash().as_bytes(),
                entry.bytes().as_ref()
            ])?;
        }
        if !entries.is_empty() {
            tx.execute("DELETE FROM outbox_entry", [])?;
            tx.execute("DELETE FROM settings WHERE name = 'founding'", [])?;
        }
        Ok(tx.commit()?)
    }

    /// Replaces everything by a log that a joiner, or a device that recovered its chain, verified from `found`. Repeating it after a crash changes nothing.
    pub(crate) fn pin_whole(&mut self, entries: &[Verified<Entry>]) -> Result<(), AgentError> {
        let tx: Transaction<'_> = self.db.transaction()?;
        tx.execute("DELETE FROM log", [])?;
        for entry in entries {
            tx.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3)")?.execute(params![
                signed(entry.seq),
                entry.hash().as_bytes(),
                entry.bytes().as_ref()
            ])?;
        }
        tx.execute("DELETE FROM settings WHERE name = 'recovering'", [])?;
        Ok(tx.commit()?)
    }

    /// Keeps own entries before they are sent, in the place of any before: one as it is, several as the body in which they travel.
    pub(crate) fn stage_entries(&self, entries: &[Verified<Entry>]) -> Result<(), AgentError> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        let bytes = match entries {
            [one] => one.bytes().to_vec(),
            several => {
                let entries = several.iter().map(|entry| Blob(entry.bytes().to_vec())).collect();
                cbor::encode(&Append { entries, purpose: Purpose::New })
            }
        };
        self.db.execute(
            "INSERT OR REPLACE INTO outbox_entry VALUES (1, ?1, ?2)",
            params![first.hash().as_bytes(), bytes],
        )?;
        Ok(())
    }

    /// The own entries under way, in order.
    pub(crate) fn staged_entries(&self) -> Result<Vec<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT entry FROM outbox_entry")?;
        let Some(bytes) = query.query_row([], |row| row.get::<_, Vec<u8>>(0)).optional()? else {
            return Ok(Vec::new());
        };
        // No form is a map; that body is one.
        if bytes.first().is_none_or(|first| first >> 5 != CBOR_MAP) {
            return Ok(vec![bytes]);
        }
        let append: Append = cbor::decode("append", &bytes, limits::BODY_BYTES_MAX)
            .map_err(|_| AgentError::Damaged { what: "the entries under way are none" })?;
        Ok(append.entries.into_iter().map(|entry| entry.0).collect())
    }

    /// Destroys own entries, named by the first, that the relay refused for good.
    pub(crate) fn unstage_entries(&self, first: &Hash) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM outbox_entry WHERE hash = ?1", [first.as_bytes()])?;
        Ok(())
    }

    /// Keeps a validly signed entry that does not fit the pinned log.
    pub(crate) fn keep_evidence(&self, entry: &Verified<Entry>, at: u64) -> Result<(), AgentError> {
        self.db.execute(
            "INSERT OR IGNORE INTO evidence VALUES (?1, ?2, ?3)",
            params![entry.hash().as_bytes(), entry.bytes().as_ref(), signed(at)],
        )?;
        Ok(())
    }

    /// Evidence of forks: the entries' bytes and when they were found.
    pub(crate) fn evidence(&self) -> Result<Vec<(Vec<u8>, u64)>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT entry, found_at FROM evidence ORDER BY found_at")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Pins another branch after the last common entry. What it replaces is kept as evidence; records that it does not carry go, own ones
    /// are drafts from then on, and the feed is read anew: all of it or nothing, or own ones would be lost, or written twice.
    pub(crate) fn go_over(&mut self, crossing: &Crossing<'_>, at: u64) -> Result<(), AgentError> {
        let Crossing { common, fresh, old, gone, again } = *crossing;
        let tx = self.db.transaction()?;
        tx.execute("DELETE FROM log WHERE seq > ?1", [signed(common)])?;
        for entry in fresh {
            tx.execute(
                "INSERT INTO log VALUES (?1, ?2, ?3)",
                params![signed(entry.seq), entry.hash().as_bytes(), entry.bytes().as_ref()],
            )?;
        }
        for entry in old {
            tx.execute(
                "INSERT OR IGNORE INTO evidence VALUES (?1, ?2, ?3)",
                params![entry.hash().as_bytes(), entry.bytes().as_ref(), signed(at)],
            )?;
        }
        drop_records(&tx, gone)?;
        tx.execute("DELETE FROM outbox_entry", [])?;
        for again in again {
            write_again(&tx, again)?;
        }
        Ok(tx.commit()?)
    }
}
