//! Resets: announced by whoever has the sync code, stopped by any member, carried out once their wait has passed.

use std::time::Duration;

use protocol::entry::Entry;
use protocol::reset::{self, Before, Reset, ResetRefusal};
use protocol::roster::Roster;
use protocol::wire::{ChainOfKey, ResetStanding};
use protocol::{ChainId, Hash, JoinKey, Signed, Verified};
use rusqlite::{OptionalExtension as _, params};

use super::chains::{self, Chain, Change, JoinKeyRow};
use super::waits::{self, What};
use super::{Tx, int};
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// What became of the wish to reset a chain.
#[derive(Debug)]
pub struct Announced {
    /// How it stands.
    pub standing: ResetStanding,
    /// Whether it is new.
    pub change: Change,
}

/// Stores a reset, once, and begins its wait. One that ends earlier than the one that stands takes its place.
///
/// # Errors
///
/// A [`ResetRefusal`] naming what does not hold: for any key but the current join key that of a stranger. Or a [`Failure`] of the store.
pub fn announce(tx: Tx<'_>, reset: &Verified<Reset>, now: Moment) -> Result<Announced, Failure> {
    let chain = chains::find(tx, &reset.chain)?.ok_or(ResetRefusal::NotAMember)?;
    let roster = chains::roster(tx, &chain)?;
    let hash = reset.hash();
    let before = before(tx, &chain, &hash, now)?;
    reset::gate(&roster, before, reset)?;
    let change = if before == Before::Same { Change::Replay } else { Change::Fresh };
    if change.is_fresh() {
        if let Some((other, _)) = standing(tx, &chain, now)? {
            stop(tx, chain.number, other)?;
        }
        tx.sql.prepare_cached("INSERT INTO resets (chain, hash, form) VALUES (?1, ?2, ?3)")?.execute(params![
            chain.number,
            hash.as_bytes(),
            &reset.bytes()[..]
        ])?;
        waits::begin(tx, chain.number, (What::Reset, hash), Duration::from_secs(reset.wait), now)?;
    }
    let (_, standing) = standing(tx, &chain, now)?.ok_or(Failure::Broken("a reset that was just stored"))?;
    Ok(Announced { standing, change })
}

/// What is known here of the resets of a chain, as a reset with this hash sees it.
fn before(tx: Tx<'_>, chain: &Chain, hash: &Hash, now: Moment) -> Result<Before, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT form IS NULL FROM resets WHERE chain = ?1 AND hash = ?2")?;
    let over: Option<bool> =
        statement.query_row(params![chain.number, hash.as_bytes()], |row| row.get(0)).optional()?;
    Ok(match over {
        Some(true) => Before::Over,
        Some(false) => Before::Same,
        None => match standing(tx, chain, now)? {
            Some((_, other)) => Before::Another { remaining: other.remaining },
            None => Before::Nothing,
        },
    })
}

/// What whoever has only the sync code must know of its chain. It changes with the policy and the code alone: a head that moved with
/// every entry would tell a thief that he was denied.
///
/// # Errors
///
/// [`Refusal::UnknownJoinKey`], [`Refusal::ChainClosed`], [`Refusal::Reset`], or a [`Failure`] of the store.
pub fn chain_of(tx: Tx<'_>, key: &JoinKey) -> Result<ChainOfKey, Failure> {
    let (JoinKeyRow { chain: id, .. }, chain) = chains::find_of_join_key(tx, key)?;
    let roster = chains::roster(tx, &chain)?;
    if roster.join_key() != *key {
        return Err(Refusal::UnknownJoinKey.into());
    }
    if roster.is_closed() {
        return Err(Refusal::ChainClosed.into());
    }
    let seq = roster.policy_seq();
    let head = hash_at(tx, &chain, seq)?;
    Ok(ChainOfKey { chain: id, head, seq, reset_delay: roster.policy().reset_delay })
}

/// The hash of an entry.
fn hash_at(tx: Tx<'_>, chain: &Chain, seq: u64) -> Result<Hash, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT bytes FROM entries WHERE chain = ?1 AND seq = ?2")?;
    let bytes: Vec<u8> = statement.query_row(params![chain.number, int(seq)], |row| row.get(0))?;
    let entry = Signed::<Entry>::decode(&bytes).map_err(|_| Failure::Broken("an entry that does not decode"))?;
    Ok(entry.hash())
}

/// The reset that stands, and its hash.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn standing(tx: Tx<'_>, chain: &Chain, now: Moment) -> Result<Option<(Hash, ResetStanding)>, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT hash, form FROM resets WHERE chain = ?1 AND form IS NOT NULL")?;
    let found: Option<([u8; 32], Vec<u8>)> =
        statement.query_row([chain.number], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((hash, form)) = found else { return Ok(None) };
    let left = waits::left(tx, chain.number, (What::Reset, Hash(hash)), now)?;
    let remaining = left.ok_or(Failure::Broken("a reset without its wait"))?;
    Ok(Some((Hash(hash), ResetStanding { reset: form.into(), remaining })))
}

/// A member stops a reset, or another one takes its place: for good, also if the same bytes come again.
pub(super) fn stop(tx: Tx<'_>, chain: i64, hash: Hash) -> Result<(), Failure> {
    tx.sql
        .prepare_cached("INSERT OR REPLACE INTO resets (chain, hash, form) VALUES (?1, ?2, NULL)")?
        .execute(params![chain, hash.as_bytes()])?;
    tx.sql.prepare_cached("DELETE FROM waits WHERE chain = ?1 AND what = ?2 AND hash = ?3")?.execute(params![
        chain,
        What::Reset.number(),
        hash.as_bytes()
    ])?;
    Ok(())
}

/// The join key that signed it is replaced, or the chain closed.
pub(super) fn end(tx: Tx<'_>, chain: i64) -> Result<(), Failure> {
    tx.sql.prepare_cached("DELETE FROM resets WHERE chain = ?1 AND form IS NOT NULL")?.execute([chain])?;
    waits::end_others(tx, chain, What::Reset, None)
}

/// Ends the reset that stands, unless it is one of this log: signed by its join key, at a head of it.
pub(super) fn end_unless_of(tx: Tx<'_>, chain: i64, roster: &Roster) -> Result<(), Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT form FROM resets WHERE chain = ?1 AND form IS NOT NULL")?;
    let form: Option<Vec<u8>> = statement.query_row([chain], |row| row.get(0)).optional()?;
    let Some(form) = form else { return Ok(()) };
    let reset = chains::reset_of(&form)?;
    let stays = reset.join_key() == roster.join_key() && roster.position(&reset.head).is_some();
    if stays { Ok(()) } else { end(tx, chain) }
}

/// Carries out every reset whose wait has passed: everything of the chain is deleted but its id, its join keys, its recovery
/// device, and the signed form. Returns the chains.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn carry_out(tx: Tx<'_>, now: Moment) -> Result<Vec<ChainId>, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT chains.id, resets.hash, resets.form FROM resets JOIN chains ON chains.number = resets.chain
         WHERE resets.form IS NOT NULL",
    )?;
    let standing = statement
        .query_map([], |row| Ok((ChainId(row.get(0)?), Hash(row.get(1)?), row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(ChainId, Hash, Vec<u8>)>>>()?;
    let mut done = Vec::new();
    for (id, hash, form) in standing {
        let chain = chains::find(tx, &id)?.ok_or(Failure::Broken("a reset without its chain"))?;
        if waits::left(tx, chain.number, (What::Reset, hash), now)? != Some(0) {
            continue;
        }
        chains::empty(tx, &chain)?;
        tx.sql.execute("DELETE FROM entries WHERE chain = ?1", [chain.number])?;
        tx.sql.execute("DELETE FROM resets WHERE chain = ?1", [chain.number])?;
        tx.sql.execute("UPDATE chains SET reset = ?2, seq = 0 WHERE number = ?1", params![chain.number, form])?;
        done.push(id);
    }
    Ok(done)
}

/// Milliseconds until the first reset is due, if one stands.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn next(tx: Tx<'_>, now: Moment) -> Result<Option<u64>, Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT chain, hash FROM resets WHERE form IS NOT NULL")?;
    let standing = statement
        .query_map([], |row| Ok((row.get(0)?, Hash(row.get(1)?))))?
        .collect::<rusqlite::Result<Vec<(i64, Hash)>>>()?;
    let mut next: Option<u64> = None;
    for (chain, hash) in standing {
        let left = waits::left(tx, chain, (What::Reset, hash), now)?;
        next = next.into_iter().chain(left).min();
    }
    Ok(next)
}
