//! The log of a chain: founded, appended to by compare-and-swap, and read.

use protocol::entry::Entry;
use protocol::limits;
use protocol::roster::{Refusal as LogRefusal, Roster};
use protocol::wire::{Appended, LogPage, Purpose};
use protocol::{ChainId, Verified};
use rusqlite::params;

use super::chains::{Chain, Change, find, find_join_key, roster};
use super::settle::{self, Settling};
use super::{Tx, consequences, int, recovery};
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// What an append did.
#[derive(Debug)]
pub struct Extended {
    /// Where the log stands.
    pub appended: Appended,
    /// Whether it stands there only now.
    pub change: Change,
}

/// Founds a chain.
///
/// # Errors
///
/// [`Refusal::JoinKeyTaken`], a refusal of the log, or a [`Failure`] of the store.
pub fn found(tx: Tx<'_>, entry: &Verified<Entry>) -> Result<Extended, Failure> {
    let refused = |refusal| Refusal::Log { index: 0, refusal };
    let roster = Roster::found(entry).map_err(refused)?;
    let appended = Appended { head: entry.hash(), seq: 0 };
    if find(tx, &roster.chain())?.is_some() {
        return Ok(Extended { appended, change: Change::Replay });
    }
    if find_join_key(tx, &roster.join_key())?.is_some() {
        return Err(Refusal::JoinKeyTaken.into());
    }
    tx.sql
        .prepare_cached("INSERT INTO chains (id, head, seq, records) VALUES (?1, ?2, 0, 0)")?
        .execute(params![roster.chain().as_bytes(), entry.hash().as_bytes()])?;
    let number = tx.sql.last_insert_rowid();
    tx.sql
        .prepare_cached("INSERT INTO join_keys (key, chain) VALUES (?1, ?2)")?
        .execute(params![roster.join_key().as_bytes(), number])?;
    insert_entry(tx, number, entry)?;
    recovery::keep(tx, number, &roster)?;
    tx.rosters.keep(roster);
    Ok(Extended { appended, change: Change::Fresh })
}

/// Applies entries that follow the head.
fn follow(
    tx: Tx<'_>,
    (chain, before): (&Chain, &Roster),
    (index, fresh): (usize, &[Verified<Entry>]),
    purpose: Purpose,
    now: Moment,
) -> Result<Roster, Failure> {
    let mut after = before.clone();
    let mut is_passed = false;
    for (index, entry) in (index..).zip(fresh) {
        after = after.apply(entry).map_err(|refusal| Refusal::Log { index, refusal })?;
        // A new cut that says *last* must be the last.
        is_passed |= purpose == Purpose::Heal && consequences::is_passed(tx, chain, entry)?;
        consequences::carry(tx, chain, (entry, &after), purpose, now)?;
    }
    if is_passed {
        // Taken in good faith, from a device that was gone already. A reader would end its session at such a record, each time.
        settle::drop_records(tx, chain, &after)?;
    }
    Ok(after)
}

fn insert_entry(tx: Tx<'_>, chain: i64, entry: &Verified<Entry>) -> Result<(), Failure> {
    tx.sql.prepare_cached("INSERT INTO entries (chain, seq, bytes) VALUES (?1, ?2, ?3)")?.execute(params![
        chain,
        int(entry.seq),
        &entry.bytes()[..]
    ])?;
    Ok(())
}

/// Appends entries by compare-and-swap on the head: all, or none. Entries that leave the log before its head, and end with a settle,
/// take the place of what follows there.
///
/// Entries that stand in the log already are passed over, so the same bytes get the same answer, and a device can heal a log
/// without knowing where exactly it was cut.
///
/// # Errors
///
/// [`Refusal::HeadMoved`], a refusal of the log, [`Refusal::RequestClosed`] or [`Refusal::RequestUnknown`] for an admission of
/// a request that is not open here, [`Refusal::CutBehind`], [`Refusal::ClosingTooEarly`], [`Refusal::JoinKeyTaken`], or a [`Failure`] of the store.
pub fn append(
    tx: Tx<'_>,
    id: &ChainId,
    entries: &[Verified<Entry>],
    purpose: Purpose,
    now: Moment,
) -> Result<Extended, Failure> {
    // A stranger's entry learns nothing about which chains exist.
    let not_a_member = || Refusal::Log { index: 0, refusal: LogRefusal::NotAMember };
    let chain = find(tx, id)?.ok_or_else(not_a_member)?;
    let before = roster(tx, &chain)?;
    let known = entries.iter().take_while(|entry| before.position(&entry.hash()).is_some()).count();
    let fresh = entries.get(known..).unwrap_or_default();
    let Some(first) = fresh.first() else {
        let appended = Appended { head: chain.stand.head, seq: chain.stand.seq };
        return Ok(Extended { appended, change: Change::Replay });
    };
    let after = if let Some(settling) = Settling::of(&before, fresh) {
        settling.replace(tx, (&chain, &before), (known, fresh), now)?
    } else {
        if before.member(&first.signer()).is_none() {
            return Err(not_a_member().into());
        }
        if first.prev != Some(chain.stand.head) {
            return Err(Refusal::HeadMoved(chain.stand).into());
        }
        follow(tx, (&chain, &before), (known, fresh), purpose, now)?
    };
    for entry in fresh {
        insert_entry(tx, chain.number, entry)?;
    }
    let appended = Appended { head: after.head(), seq: after.seq() };
    if after.recovery() != before.recovery() {
        recovery::keep(tx, chain.number, &after)?;
    }
    tx.sql.prepare_cached("UPDATE chains SET head = ?2, seq = ?3 WHERE number = ?1")?.execute(params![
        chain.number,
        appended.head.as_bytes(),
        int(appended.seq)
    ])?;
    tx.rosters.keep(after);
    Ok(Extended { appended, change: Change::Fresh })
}

/// A page of a log, after a position; from the founding entry without one.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn page(tx: Tx<'_>, chain: &Chain, after: Option<u64>, limit: usize) -> Result<LogPage, Failure> {
    let mut statement =
        tx.sql.prepare_cached("SELECT bytes FROM entries WHERE chain = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3")?;
    let after = after.map_or(-1, int);
    let limit = int(limit.clamp(1, limits::PAGE_ITEMS_MAX) as u64);
    let mut rows = statement.query(params![chain.number, after, limit])?;
    let mut page = LogPage { entries: Vec::new(), head: chain.stand.head, seq: chain.stand.seq };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let entry: Vec<u8> = row.get(0)?;
        bytes += entry.len();
        if bytes > limits::PAGE_BYTES_TARGET && !page.entries.is_empty() {
            break;
        }
        page.entries.push(entry.into());
    }
    Ok(page)
}
