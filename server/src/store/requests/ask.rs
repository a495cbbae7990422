//! A device asks: limits of the sync code, blocks, and the row.

use std::net::IpAddr;

use protocol::request::JoinRequest;
use protocol::roster::Roster;
use protocol::wire::Standing;
use protocol::{ChainId, Verified, limits};
use rusqlite::params;

use super::super::chains::{self, Chain, Change};
use super::super::{Tx, int, uint};
use super::{Decided, Shown, find, standing};
use crate::address::Net;
use crate::clock::{Moment, millis};
use crate::failure::{Failure, Refusal};

/// Where a request came from, as the relay saw it.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The trusted proxy that named it.
    pub proxy: Option<IpAddr>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Asked {
    /// What its joiner is told; whether a member is online is filled in by the caller.
    pub standing: Standing,
    /// The chain to wake.
    pub chain: ChainId,
    /// Whether it is new.
    pub change: Change,
}

/// Stores a join request, once. The caller verified it and compared the description with it.
///
/// # Errors
///
/// [`Refusal::UnknownJoinKey`], [`Refusal::ChainClosed`], [`Refusal::Reset`], [`Refusal::TooManyPending`], or a [`Failure`] of the store.
pub fn ask(
    tx: Tx<'_>,
    request: &Verified<JoinRequest>,
    description: &[u8],
    origin: Origin,
    now: Moment,
) -> Result<Asked, Failure> {
    let (key, chain) = chains::find_of_join_key(tx, &request.join_key)?;
    let roster = chains::roster(tx, &chain)?;
    let change = if find(tx, &request.id())?.is_some() {
        Change::Replay
    } else if roster.join_key() == request.join_key && roster.is_closed() {
        return Err(Refusal::ChainClosed.into());
    } else if roster.join_key() == request.join_key {
        insert(tx, (&chain, &roster, key.number), request, description, origin, now)?;
        Change::Fresh
    } else {
        return Err(Refusal::UnknownJoinKey.into());
    };
    let stored = find(tx, &request.id())?.ok_or(Failure::Broken("a request that was just stored"))?;
    Ok(Asked { standing: standing(tx, &stored, now)?, chain: key.chain, change })
}

fn insert(
    tx: Tx<'_>,
    (chain, roster, join_key): (&Chain, &Roster, i64),
    request: &Verified<JoinRequest>,
    description: &[u8],
    origin: Origin,
    now: Moment,
) -> Result<(), Failure> {
    // A log that was healed may have decided a request before the relay saw it again.
    let decided = Decided::by(roster, &request.id());
    check_slots(tx, join_key, now)?;
    let net = Net::of(origin.address).to_string();
    let quiet = prompts_today(tx, join_key, now)? >= limits::PROMPTS_PER_DAY_MAX
        || is_blocked(tx, join_key, &net, now)?
        || was_denied(tx, chain, request)?;
    let shown = if quiet { Shown::ToNobody } else { Shown::ToMembers };
    tx.sql
        .prepare_cached(
            "INSERT INTO requests (id, chain, device, bytes, description, address, net, proxy, seen_at, begun, lifetime, muted,
             decision, join_key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            request.id().as_bytes(),
            chain.number,
            request.device.signing.as_bytes(),
            &request.bytes()[..],
            description,
            origin.address.to_string(),
            net,
            origin.proxy.map(|proxy| proxy.to_string()),
            int(now.wall),
            int(now.steady),
            int(millis(roster.policy().lifetime())),
            shown == Shown::ToNobody,
            decided.number(),
            join_key,
        ])?;
    Ok(())
}

/// Refuses one more than may wait. A denied or muted request holds its slot like one that nobody looked at.
fn check_slots(tx: Tx<'_>, join_key: i64, now: Moment) -> Result<(), Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT begun + lifetime FROM requests
         WHERE join_key = ?1 AND begun > ?2 AND begun + lifetime > ?3 AND decision <> 1 AND withdrawal IS NULL",
    )?;
    let ends = statement
        .query_map(params![join_key, since(limits::REQUEST_LIFETIME_RANGE.1, now), int(now.steady)], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    if ends.len() < limits::PENDING_PER_JOIN_KEY_MAX {
        return Ok(());
    }
    let first = ends.into_iter().min().map_or(now.steady, uint);
    Err(Refusal::TooManyPending { retry_after: first.saturating_sub(now.steady) }.into())
}

/// Prompts of the last day that did not end in an admission.
fn prompts_today(tx: Tx<'_>, join_key: i64, now: Moment) -> Result<usize, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT count(*) FROM requests WHERE join_key = ?1 AND begun > ?2 AND muted = 0 AND decision <> 1",
    )?;
    let count: i64 = statement.query_row(params![join_key, since(limits::PROMPT_DAY, now)], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn is_blocked(tx: Tx<'_>, join_key: i64, net: &str, now: Moment) -> Result<bool, Failure> {
    let mut statement =
        tx.sql.prepare_cached("SELECT 1 FROM blocks WHERE join_key = ?1 AND net = ?2 AND until > ?3")?;
    Ok(statement.exists(params![join_key, net, int(now.steady)])?)
}

/// A denial is final for the key as well: a new request of the same device is shown to nobody.
fn was_denied(tx: Tx<'_>, chain: &Chain, request: &Verified<JoinRequest>) -> Result<bool, Failure> {
    let mut statement =
        tx.sql.prepare_cached("SELECT 1 FROM requests WHERE chain = ?1 AND device = ?2 AND decision = 2")?;
    Ok(statement.exists(params![chain.number, request.device.signing.as_bytes()])?)
}

fn since(span: std::time::Duration, now: Moment) -> i64 {
    int(now.steady.saturating_sub(millis(span)))
}
