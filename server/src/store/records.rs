//! Records: the write gate inside the transaction that stores them, and the feed.

use protocol::cbor::Blob;
use protocol::connect::Cursor;
use protocol::id::{BlindedCollection, BlindedId};
use protocol::record::{self, Line, Record, RecordRefusal};
use protocol::refill;
use protocol::roster::Roster;
use protocol::wire::{RecordPage, RecordRow, SealedRecord, Stored};
use protocol::{ChainId, DeviceId, Hash, Verified, limits};
use rusqlite::{OptionalExtension as _, params};

use super::chains::{self, Chain, Change};
use super::{Tx, int, uint};
use crate::failure::{Failure, Refusal};

/// A record that was verified, with what came beside it.
#[derive(Debug)]
pub struct Incoming {
    /// The header.
    pub record: Verified<Record>,
    /// The ciphertext.
    pub ciphertext: Option<Blob>,
}

/// What a put did.
#[derive(Debug)]
pub struct Put {
    /// The answer.
    pub stored: Stored,
    /// Whether anything is new.
    pub change: Change,
}

/// The writer of a batch, as its line stands.
struct Writer {
    number: i64,
    line: Line,
}

/// Who gives records to the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giver {
    /// Their writer: they are new.
    Writer,
    /// A member that vouches for them: the relay lost them, and their writer may be none any more.
    Member(DeviceId),
}

impl Giver {
    /// [`record::gate`] or [`record::gate_refill`].
    fn gate(&self, roster: &Roster, line: Line, current: Option<Hash>, incoming: &Incoming) -> Gated {
        let (record, ciphertext) = (&incoming.record, incoming.ciphertext.as_deref());
        match self {
            Self::Writer => record::gate(roster, line, current, record, ciphertext),
            Self::Member(by) => record::gate_refill((roster, by), line, current, record, ciphertext),
        }
    }
}

type Gated = Result<Line, RecordRefusal>;

/// Stores records of one signer: all, or none. The gate runs on the roster of the head that this same transaction sees.
///
/// # Errors
///
/// [`Refusal::Record`] naming the record and what does not hold, [`Refusal::NotAMember`] where somebody vouches who is none,
/// [`Refusal::ChainClosed`], or a [`Failure`] of the store.
pub fn put(tx: Tx<'_>, id: &ChainId, signer: &DeviceId, batch: &[Incoming], giver: Giver) -> Result<Put, Failure> {
    let refused = |index| move |refusal| Refusal::Record { index, refusal };
    let (chain, roster) = match giver {
        Giver::Writer => {
            let chain = chains::find(tx, id)?.ok_or_else(|| refused(0)(RecordRefusal::NotAMember))?;
            let roster = chains::roster(tx, &chain)?;
            if roster.is_closed() && roster.member(signer).is_some() {
                return Err(Refusal::ChainClosed.into());
            }
            (chain, roster)
        }
        Giver::Member(device) => chains::for_acting_member(tx, id, &device)?,
    };
    let mut writer = writer(tx, &chain, signer)?;
    let (mut last, mut collection) = (chain.records, None);
    let mut numbers = Vec::with_capacity(batch.len());
    for (index, incoming) in batch.iter().enumerate() {
        let record = &incoming.record;
        if record.counter <= writer.line.counter {
            let known = known_number(tx, writer.number, record)?;
            let replayed = RecordRefusal::Replayed { counter: record.counter };
            numbers.push(known.ok_or_else(|| refused(index)(replayed))?);
            if let Giver::Member(_) = giver {
                fill(tx, writer.number, incoming)?;
            }
            continue;
        }
        if last == chain.records && last > 0 && giver != Giver::Writer {
            last += refill::leap(&record.hash());
        }
        last += 1;
        // Records of a batch are mostly of one collection: its number is looked up where it changes.
        let collection = match collection {
            Some((blinded, number)) if blinded == record.collection => number,
            _ => collection.insert((record.collection, self::collection(tx, &chain, record)?)).1,
        };
        let judge = |current| giver.gate(&roster, writer.line, current, incoming);
        writer.line =
            insert(tx, collection, writer.number, incoming, (&chain, last), judge)?.map_err(refused(index))?;
        numbers.push(last);
    }
    let change = if last == chain.records { Change::Replay } else { Change::Fresh };
    if change == Change::Fresh {
        finish(tx, &chain, &writer, last)?;
    }
    Ok(Put { stored: Stored { numbers }, change })
}

/// Where a device's line ends.
pub(super) fn line(tx: Tx<'_>, chain: i64, device: &DeviceId) -> Result<Line, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT counter, last FROM writers WHERE chain = ?1 AND device = ?2")?;
    let line = statement.query_row(params![chain, device.as_bytes()], |row| {
        Ok(Line { counter: uint(row.get(0)?), last: Some(Hash(row.get(1)?)) })
    });
    Ok(line.optional()?.unwrap_or_default())
}

fn writer(tx: Tx<'_>, chain: &Chain, device: &DeviceId) -> Result<Writer, Failure> {
    let mut statement =
        tx.sql.prepare_cached("SELECT number, counter, last FROM writers WHERE chain = ?1 AND device = ?2")?;
    let found = statement.query_row(params![chain.number, device.as_bytes()], |row| {
        Ok(Writer { number: row.get(0)?, line: Line { counter: uint(row.get(1)?), last: Some(Hash(row.get(2)?)) } })
    });
    if let Some(writer) = found.optional()? {
        return Ok(writer);
    }
    // If no record of the batch is taken, the row goes with the rest of the transaction.
    tx.sql
        .prepare_cached("INSERT INTO writers (chain, device, counter, last) VALUES (?1, ?2, 0, x'')")?
        .execute(params![chain.number, device.as_bytes()])?;
    Ok(Writer { number: tx.sql.last_insert_rowid(), line: Line::default() })
}

/// The number that a record got when it came first, if it is the same record.
fn known_number(tx: Tx<'_>, writer: i64, record: &Verified<Record>) -> Result<Option<u64>, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT number, hash FROM records WHERE writer = ?1 AND counter = ?2")?;
    let found = statement
        .query_row(params![writer, int(record.counter)], |row| Ok((uint(row.get(0)?), Hash(row.get(1)?))))
        .optional()?;
    Ok(found.filter(|(_, hash)| *hash == record.hash()).map(|(number, _)| number))
}

/// Gives a current version its content, where whoever gave it back did not have that.
fn fill(tx: Tx<'_>, writer: i64, Incoming { record, ciphertext }: &Incoming) -> Result<(), Failure> {
    if let Some(ciphertext) = ciphertext.as_deref().filter(|bytes| record.carries(Some(bytes))) {
        tx.sql
            .prepare_cached(
                "UPDATE records SET ciphertext = ?3 WHERE writer = ?1 AND counter = ?2 AND ciphertext IS NULL
                 AND EXISTS (SELECT 1 FROM items WHERE record = records.row)",
            )?
            .execute(params![writer, int(record.counter), ciphertext])?;
    }
    Ok(())
}

fn insert(
    tx: Tx<'_>,
    collection: i64,
    writer: i64,
    incoming: &Incoming,
    (chain, number): (&Chain, u64),
    judge: impl FnOnce(Option<Hash>) -> Gated,
) -> Result<Gated, Failure> {
    let record = &incoming.record;
    let mut statement = tx.sql.prepare_cached(
        "SELECT records.row, hash FROM items JOIN records ON records.row = record WHERE collection = ?1 AND id = ?2",
    )?;
    let current = statement
        .query_row(params![collection, record.id.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, Hash(row.get(1)?))))
        .optional()?;
    let ciphertext = incoming.ciphertext.as_deref();
    let line = match judge(current.map(|(_, hash)| hash)) {
        Ok(line) => line,
        Err(refusal) => return Ok(Err(refusal)),
    };
    tx.sql
        .prepare_cached(
            "INSERT INTO records (chain, number, writer, counter, hash, header, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            chain.number,
            int(number),
            writer,
            int(record.counter),
            record.hash().as_bytes(),
            &record.bytes()[..],
            ciphertext,
        ])?;
    let row = tx.sql.last_insert_rowid();
    tx.sql
        .prepare_cached("INSERT OR REPLACE INTO items (collection, id, record) VALUES (?1, ?2, ?3)")?
        .execute(params![collection, record.id.as_bytes(), row])?;
    if let Some((replaced, _)) = current {
        tx.sql.prepare_cached("UPDATE records SET ciphertext = NULL WHERE row = ?1")?.execute([replaced])?;
    }
    Ok(Ok(line))
}

fn collection(tx: Tx<'_>, chain: &Chain, record: &Record) -> Result<i64, Failure> {
    let name = params![chain.number, record.collection.as_bytes()];
    let mut statement = tx.sql.prepare_cached("SELECT number FROM collections WHERE chain = ?1 AND blinded = ?2")?;
    if let Some(number) = statement.query_row(name, |row| row.get(0)).optional()? {
        return Ok(number);
    }
    tx.sql.prepare_cached("INSERT INTO collections (chain, blinded) VALUES (?1, ?2)")?.execute(name)?;
    Ok(tx.sql.last_insert_rowid())
}

fn finish(tx: Tx<'_>, chain: &Chain, writer: &Writer, last: u64) -> Result<(), Failure> {
    let hash = writer.line.last.ok_or(Failure::Broken("a line without its last record"))?;
    tx.sql.prepare_cached("UPDATE writers SET counter = ?2, last = ?3 WHERE number = ?1")?.execute(params![
        writer.number,
        int(writer.line.counter),
        hash.as_bytes()
    ])?;
    tx.sql
        .prepare_cached("UPDATE chains SET records = ?2 WHERE number = ?1")?
        .execute(params![chain.number, int(last)])?;
    Ok(())
}

const ROW: &str = "number, header, ciphertext";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordRow> {
    let (number, header, ciphertext): (i64, Vec<u8>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let sealed = SealedRecord { record: header.into(), ciphertext: ciphertext.map(Into::into) };
    Ok(RecordRow { number: uint(number), sealed })
}

/// A page of the feed after a number.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn page(tx: Tx<'_>, chain: &Chain, after: u64, limit: usize) -> Result<RecordPage, Failure> {
    let mut statement = tx.sql.prepare_cached(&format!(
        "SELECT {ROW} FROM records WHERE chain = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
    ))?;
    let limit = limit.clamp(1, limits::PAGE_ITEMS_MAX);
    let mut rows = statement.query(params![chain.number, int(after), int(limit as u64)])?;
    let mut page =
        RecordPage { rows: Vec::new(), cursor: Cursor { store: tx.store, number: after }, last: chain.records };
    let mut bytes = 0;
    while let Some(next) = rows.next()? {
        let next = row(next)?;
        bytes += next.sealed.record.len() + next.sealed.ciphertext.as_ref().map_or(0, |bytes| bytes.len());
        if bytes > limits::PAGE_BYTES_TARGET && !page.rows.is_empty() {
            return Ok(page);
        }
        page.cursor.number = next.number;
        page.rows.push(next);
    }
    // The last ones may be gone with a branch: who has read to the end stands at the end.
    if page.rows.len() < limit {
        page.cursor.number = chain.records;
    }
    Ok(page)
}

/// The current version of an item, a tombstone included.
///
/// # Errors
///
/// [`Refusal::NotFound`], or a [`Failure`] of the store.
pub fn current(
    tx: Tx<'_>,
    chain: &Chain,
    collection: &BlindedCollection,
    id: &BlindedId,
) -> Result<RecordRow, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT records.number, header, ciphertext FROM collections
         JOIN items ON items.collection = collections.number JOIN records ON records.row = items.record
         WHERE collections.chain = ?1 AND blinded = ?2 AND items.id = ?3",
    )?;
    let found = statement.query_row(params![chain.number, collection.as_bytes(), id.as_bytes()], row).optional()?;
    found.ok_or_else(|| Refusal::NotFound.into())
}
