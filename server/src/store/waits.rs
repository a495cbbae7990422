//! Delays that the relay enforces: between an announcement and what it announces.
//!
//! A delay is over when it has passed by the wall clock and by the time that this relay was up since. The wall clock alone could be
//! set forward; uptime alone would say nothing of a relay that is up for an hour a week. Uptime is written down now and then, so a
//! restart loses a little of it and never adds any.

use std::time::Duration;

use protocol::Hash;
use rusqlite::{OptionalExtension as _, params};

use super::{Tx, int, uint};
use crate::clock::{Moment, millis};
use crate::failure::Failure;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The end of a chain, from its closing entry on.
    Closing,
    /// A reset, from its announcement on.
    Reset,
}

impl What {
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Closing => 0,
            Self::Reset => 1,
        }
    }
}

/// How long this relay has been up, over all its starts.
#[derive(Debug, Clone, Copy)]
pub struct Uptime {
    /// Milliseconds before this start, as far as they were written down.
    pub(super) before: u64,
    /// The steady clock at this start.
    pub(super) started: u64,
}

impl Uptime {
    fn at(self, now: Moment) -> u64 {
        self.before.saturating_add(now.steady.saturating_sub(self.started))
    }
}

/// Begins a delay now, unless it began before.
pub(super) fn begin(
    tx: Tx<'_>,
    chain: i64,
    (what, hash): (What, Hash),
    delay: Duration,
    now: Moment,
) -> Result<(), Failure> {
    let uptime = int(tx.uptime.at(now));
    tx.sql
        .prepare_cached(
            "INSERT INTO waits (chain, what, hash, wall, uptime, delay) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![chain, what.number(), hash.as_bytes(), int(now.wall), uptime, int(millis(delay))])?;
    note_uptime(tx, now)
}

/// Ends all delays of a kind but one.
pub(super) fn end_others(tx: Tx<'_>, chain: i64, what: What, but: Option<Hash>) -> Result<(), Failure> {
    tx.sql.prepare_cached("DELETE FROM waits WHERE chain = ?1 AND what = ?2 AND hash IS NOT ?3")?.execute(params![
        chain,
        what.number(),
        but.as_ref().map(Hash::as_bytes)
    ])?;
    Ok(())
}

/// Milliseconds that are left of a delay; nothing if none began.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn left(tx: Tx<'_>, chain: i64, (what, hash): (What, Hash), now: Moment) -> Result<Option<u64>, Failure> {
    let mut statement =
        tx.sql.prepare_cached("SELECT wall, uptime, delay FROM waits WHERE chain = ?1 AND what = ?2 AND hash = ?3")?;
    let left = statement.query_row(params![chain, what.number(), hash.as_bytes()], |row| {
        let (wall, uptime, delay) = (uint(row.get(0)?), uint(row.get(1)?), uint(row.get(2)?));
        let by_wall = delay.saturating_sub(now.wall.saturating_sub(wall));
        let by_uptime = delay.saturating_sub(tx.uptime.at(now).saturating_sub(uptime));
        Ok(by_wall.max(by_uptime))
    });
    Ok(left.optional()?)
}

/// Whether time must go on being counted: a reset is waited for, which the relay carries out itself, or a delay has not passed yet by the
/// uptime that was written down. A closing that nobody carries out needs nothing more from then on.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn is_any_counted(tx: Tx<'_>) -> Result<bool, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT 1 FROM waits, identity WHERE what = ?1 OR waits.uptime + delay > identity.uptime LIMIT 1",
    )?;
    Ok(statement.exists([What::Reset.number()])?)
}

/// Writes down how long the relay has been up.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn note_uptime(tx: Tx<'_>, now: Moment) -> Result<(), Failure> {
    tx.sql.prepare_cached("UPDATE identity SET uptime = max(uptime, ?1)")?.execute([int(tx.uptime.at(now))])?;
    Ok(())
}
