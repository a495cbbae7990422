//! Records as they were received, and who wrote how far.

use protocol::connect::Cursor;
use protocol::id::{BlindedCollection, BlindedId};
use protocol::record::{Line, Record};
use protocol::signed::Verified;
use protocol::{DeviceId, Hash};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::outbox::write_again;
use super::{Again, Setting, Store, id, signed, unsigned};
use crate::error::AgentError;

/// A record as the store keeps it.
#[derive(Debug, Clone)]
pub(crate) struct RecordRowKept {
    /// The signed header.
    pub(crate) header: Vec<u8>,
    /// The ciphertext, if this device ever had it.
    pub(crate) ciphertext: Option<Vec<u8>>,
}

/// The current version of an item.
pub(crate) type ItemRow = RecordRowKept;
/// A record that waits for the log to catch up.
pub(crate) type AsideRow = RecordRowKept;

/// Reads the header and ciphertext of a row.
pub(super) fn kept(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordRowKept> {
    Ok(RecordRowKept { header: row.get(0)?, ciphertext: row.get(1)? })
}

impl Store {
    /// Whether a record is kept.
    pub(crate) fn has_record(&self, hash: &Hash) -> Result<bool, AgentError> {
        let mut query = self.db.prepare_cached("SELECT 1 FROM records WHERE hash = ?1")?;
        Ok(query.exists([hash.as_bytes()])?)
    }

    /// Whether a kept put lacks its ciphertext.
    pub(crate) fn lacks_ciphertext(&self, hash: &Hash) -> Result<bool, AgentError> {
        let mut query = self.db.prepare_cached("SELECT 1 FROM records WHERE hash = ?1 AND ciphertext IS NULL")?;
        Ok(query.exists([hash.as_bytes()])?)
    }

    /// Adds the ciphertext of a record that came without it.
    pub(crate) fn add_ciphertext(&self, hash: &Hash, ciphertext: &[u8]) -> Result<(), AgentError> {
        self.db.execute("UPDATE records SET ciphertext = ?2 WHERE hash = ?1", params![hash.as_bytes(), ciphertext])?;
        Ok(())
    }

    /// Where a writer's line ends.
    pub(crate) fn line(&self, writer: &DeviceId) -> Result<Line, AgentError> {
        let mut query = self.db.prepare_cached("SELECT counter, last FROM lines WHERE writer = ?1")?;
        let row: Option<(i64, Vec<u8>)> =
            query.query_row([writer.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((counter, last)) = row else {
            return Ok(Line::default());
        };
        Ok(Line { counter: unsigned(counter), last: Some(id(&last)?) })
    }

    /// The hash of the current version of an item, a tombstone included.
    pub(crate) fn current(&self, collection: &BlindedCollection, name: &BlindedId) -> Result<Option<Hash>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT hash FROM items WHERE collection = ?1 AND id = ?2")?;
        let bytes: Option<Vec<u8>> =
            query.query_row(params![collection.as_bytes(), name.as_bytes()], |row| row.get(0)).optional()?;
        bytes.map(|bytes| id(&bytes)).transpose()
    }

    /// Keeps a record that was verified as the next of its writer's line and as the current version of its item. An own one settles
    /// its draft.
    pub(crate) fn keep_record(
        &mut self,
        record: &Verified<Record>,
        ciphertext: Option<&[u8]>,
        line: Line,
    ) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        let (hash, writer) = (record.hash(), record.signer());
        tx.prepare_cached(
            "INSERT INTO records (hash, writer, counter, collection, id, header, ciphertext) VALUES (?1,?2,?3,?4,?5,?6,?7)",
        )?
        .execute(params![
            hash.as_bytes(),
            writer.as_bytes(),
            signed(record.counter),
            record.collection.as_bytes(),
            record.id.as_bytes(),
            record.bytes().as_ref(),
            ciphertext
        ])?;
        tx.prepare_cached("INSERT OR REPLACE INTO items VALUES (?1, ?2, ?3)")?.execute(params![
            record.collection.as_bytes(),
            record.id.as_bytes(),
            hash.as_bytes()
        ])?;
        tx.prepare_cached("INSERT OR REPLACE INTO lines VALUES (?1, ?2, ?3)")?.execute(params![
            writer.as_bytes(),
            signed(line.counter),
            hash.as_bytes()
        ])?;
        super::outbox::settle(&tx, &hash)?;
        tx.execute("DELETE FROM aside WHERE hash = ?1", [hash.as_bytes()])?;
        tx.execute("DELETE FROM lost WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(tx.commit()?)
    }

    /// Keeps records as evidence only that have no place in the relay's feed any more. Own ones are drafts from then on, and the feed is
    /// read anew and given what it lacks: all of it or nothing, or own ones would be lost, or written twice.
    pub(crate) fn give_way(&mut self, gone: &[Hash], again: &[Again], at: u64) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        for hash in gone {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO lost (hash, header, ciphertext, lost_at)
                 SELECT hash, header, ciphertext, ?2 FROM records WHERE hash = ?1",
            )?
            .execute(params![hash.as_bytes(), signed(at)])?;
        }
        drop_records(&tx, gone)?;
        super::owe_refill(&tx)?;
        for again in again {
            if let Again::Queue(draft) = again {
                // It went before, came back, and goes again.
                tx.execute(
                    "DELETE FROM drafts WHERE collection = ?1 AND id = ?2 AND queued_at = ?3 AND refused IS NOT NULL",
                    params![draft.collection, draft.id, signed(draft.at)],
                )?;
            }
            write_again(&tx, again)?;
        }
        Ok(tx.commit()?)
    }

    /// Records that have no place in the relay's feed any more, oldest first.
    pub(crate) fn lost(&self) -> Result<Vec<RecordRowKept>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT header, ciphertext FROM lost ORDER BY number")?;
        let rows = query.query_map([], kept)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many there are.
    pub(crate) fn lost_count(&self) -> Result<u64, AgentError> {
        Ok(unsigned(self.db.query_row("SELECT count(*) FROM lost", [], |row| row.get(0))?))
    }

    /// Forgets those whose person has seen them.
    pub(crate) fn forget_lost(&self) -> Result<usize, AgentError> {
        Ok(self.db.execute("DELETE FROM lost", [])?)
    }

    /// The current version of an item.
    pub(crate) fn item(&self, collection: &BlindedCollection, name: &BlindedId) -> Result<Option<ItemRow>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT header, ciphertext FROM records JOIN items USING (hash) WHERE items.collection = ?1 AND items.id = ?2",
        )?;
        Ok(query.query_row(params![collection.as_bytes(), name.as_bytes()], kept).optional()?)
    }

    /// The current versions without a ciphertext: tombstones, and what came without its content.
    pub(crate) fn bare_items(&self) -> Result<Vec<ItemRow>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT header, ciphertext FROM records JOIN items USING (hash) WHERE ciphertext IS NULL ORDER BY arrival",
        )?;
        let rows = query.query_map([], kept)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A record by its hash.
    pub(crate) fn record_by_hash(&self, hash: &Hash) -> Result<Option<RecordRowKept>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT header, ciphertext FROM records WHERE hash = ?1")?;
        Ok(query.query_row([hash.as_bytes()], kept).optional()?)
    }

    /// The headers of a writer's records, in its order.
    pub(crate) fn headers_of(&self, writer: &DeviceId) -> Result<Vec<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT header FROM records WHERE writer = ?1 ORDER BY counter")?;
        let rows = query.query_map([writer.as_bytes()], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The current version of every item, in the order of writing.
    pub(crate) fn items(&self) -> Result<Vec<ItemRow>, AgentError> {
        let mut query = self
            .db
            .prepare_cached("SELECT header, ciphertext FROM records JOIN items USING (hash) ORDER BY arrival")?;
        let rows = query.query_map([], kept)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The current version of items in the order of writing, a page at a time: those after `after`, with their place.
    pub(crate) fn items_after(&self, after: u64, most: usize) -> Result<Vec<(u64, ItemRow)>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT header, ciphertext, arrival FROM records JOIN items USING (hash) WHERE arrival > ?1
             ORDER BY arrival LIMIT ?2",
        )?;
        let rows = query
            .query_map(params![signed(after), signed(most as u64)], |row| Ok((unsigned(row.get(2)?), kept(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many items there are, deleted ones included, and the place of the last record.
    pub(crate) fn items_count(&self) -> Result<(u64, u64), AgentError> {
        let count = "SELECT (SELECT count(*) FROM items), (SELECT coalesce(max(arrival), 0) FROM records)";
        Ok(self.db.query_row(count, [], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?)
    }

    /// Where the current version of every item arrived, of one collection or of all, in the order of arrival.
    pub(crate) fn current_places(&self, collection: Option<&BlindedCollection>) -> Result<Vec<u64>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT arrival FROM records JOIN items USING (hash) WHERE ?1 IS NULL OR items.collection = ?1 ORDER BY arrival",
        )?;
        let places = query.query_map([collection.map(BlindedCollection::as_bytes)], |row| Ok(unsigned(row.get(0)?)))?;
        Ok(places.collect::<Result<_, _>>()?)
    }

    /// The record that arrived at a place.
    pub(crate) fn record_at(&self, arrival: u64) -> Result<Option<RecordRowKept>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT header, ciphertext FROM records WHERE arrival = ?1")?;
        Ok(query.query_row([signed(arrival)], kept).optional()?)
    }

    /// Every record in the order of arrival, a page at a time: those after `after`, with their place.
    pub(crate) fn records_after(&self, after: u64, most: usize) -> Result<Vec<(u64, RecordRowKept)>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT header, ciphertext, arrival FROM records WHERE arrival > ?1 ORDER BY arrival LIMIT ?2",
        )?;
        let rows = query
            .query_map(params![signed(after), signed(most as u64)], |row| Ok((unsigned(row.get(2)?), kept(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Sets a record aside that cites a head which is not in the pinned log.
    pub(crate) fn set_aside(&self, hash: &Hash, header: &[u8], ciphertext: Option<&[u8]>) -> Result<(), AgentError> {
        self.db
            .execute("INSERT OR IGNORE INTO aside VALUES (?1, ?2, ?3)", params![hash.as_bytes(), header, ciphertext])?;
        Ok(())
    }

    /// Takes a record out again that will never be accepted.
    pub(crate) fn forget_aside(&self, hash: &Hash) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM aside WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(())
    }

    /// Everything that was set aside, in the order of arrival.
    pub(crate) fn aside(&self) -> Result<Vec<AsideRow>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT header, ciphertext FROM aside ORDER BY rowid")?;
        let rows = query.query_map([], kept)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a record is set aside.
    pub(crate) fn is_aside(&self, hash: &Hash) -> Result<bool, AgentError> {
        let mut query = self.db.prepare_cached("SELECT 1 FROM aside WHERE hash = ?1")?;
        Ok(query.exists([hash.as_bytes()])?)
    }

    /// The records that are set aside.
    pub(crate) fn aside_hashes(&self) -> Result<Vec<Hash>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT hash FROM aside")?;
        let rows = query.query_map([], |row| row.get(0).map(Hash))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many records are set aside.
    pub(crate) fn aside_count(&self) -> Result<u64, AgentError> {
        Ok(unsigned(self.db.query_row("SELECT count(*) FROM aside", [], |row| row.get(0))?))
    }

    /// Keeps the place in the feed, after everything before it was kept.
    pub(crate) fn keep_cursor(&self, cursor: Cursor) -> Result<(), AgentError> {
        self.set(Setting::Cursor, &protocol::cbor::encode(&cursor))
    }
}

/// Drops records, and the place in the feed. What is left of lines and items is what the last record of each says.
pub(super) fn drop_records(tx: &Transaction<'_>, gone: &[Hash]) -> Result<(), AgentError> {
    for hash in gone {
        tx.prepare_cached("DELETE FROM records WHERE hash = ?1")?.execute([hash.as_bytes()])?;
    }
    tx.execute_batch(
        "DELETE FROM lines; DELETE FROM items;
         INSERT INTO lines SELECT writer, max(counter), hash FROM records GROUP BY writer;
         INSERT INTO items SELECT collection, id, hash FROM
           (SELECT collection, id, hash, max(arrival) FROM records GROUP BY collection, id);
         DELETE FROM settings WHERE name = 'cursor';",
    )?;
    Ok(())
}
