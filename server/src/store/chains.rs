//! Chains: which there are, where each stands, and who is a member.

use std::sync::Arc;

use protocol::reset::Reset;
use protocol::roster::Roster;
use protocol::{ChainId, DeviceId, Hash, JoinKey, Verified};
use rusqlite::OptionalExtension as _;

use super::{Tx, uint};
use crate::failure::{Failure, Refusal, Stand};

/// A chain as the store has it.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Its number in this store.
    pub number: i64,
    /// Where its log stands.
    pub stand: Stand,
    /// Number of the last record in its feed.
    pub records: u64,
    /// How often a fork was settled here.
    pub branch: u64,
}

/// Whether a request changed anything. What changed nothing wakes nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It did.
    Fresh,
    /// The same bytes came before.
    Replay,
}

impl Change {
    /// Whether it did.
    #[must_use]
    pub fn is_fresh(self) -> bool {
        self == Self::Fresh
    }
}

/// Finds a chain.
///
/// # Errors
///
/// [`Refusal::Reset`] for one that was: every route begins here, so none serves it. Or a [`Failure`] of the store.
pub fn find(tx: Tx<'_>, id: &ChainId) -> Result<Option<Chain>, Failure> {
    let mut statement =
        tx.sql.prepare_cached("SELECT number, head, seq, records, reset, branch FROM chains WHERE id = ?1")?;
    let found = statement.query_row([id.as_bytes()], |row| {
        let stand = Stand { head: Hash(row.get(1)?), seq: uint(row.get(2)?) };
        let reset: Option<Vec<u8>> = row.get(4)?;
        let (records, branch) = (uint(row.get(3)?), uint(row.get(5)?));
        Ok((Chain { number: row.get(0)?, stand, records, branch }, reset))
    });
    match found.optional()? {
        Some((_, Some(form))) => Err(Refusal::Reset { form }.into()),
        found => Ok(found.map(|(chain, _)| chain)),
    }
}

/// A join key as the store has it.
#[derive(Debug, Clone, Copy)]
pub struct JoinKeyRow {
    /// Its number in this store.
    pub number: i64,
    /// The chain in which it is, or was, current.
    pub chain: ChainId,
}

/// Finds a join key that was ever current in a chain.
///
/// # Errors
///
/// [`Failure`] of the store.
pub fn find_join_key(tx: Tx<'_>, key: &JoinKey) -> Result<Option<JoinKeyRow>, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT join_keys.number, chains.id FROM join_keys JOIN chains ON chains.number = join_keys.chain WHERE key = ?1",
    )?;
    let row = |row: &rusqlite::Row<'_>| Ok(JoinKeyRow { number: row.get(0)?, chain: ChainId(row.get(1)?) });
    Ok(statement.query_row([key.as_bytes()], row).optional()?)
}

/// Finds a join key, and the chain in which it is, or was, current.
///
/// # Errors
///
/// [`Refusal::UnknownJoinKey`], [`Refusal::Reset`] for the key by which it was, or a [`Failure`] of the store.
pub fn find_of_join_key(tx: Tx<'_>, key: &JoinKey) -> Result<(JoinKeyRow, Chain), Failure> {
    let row = find_join_key(tx, key)?.ok_or(Refusal::UnknownJoinKey)?;
    match find(tx, &row.chain) {
        Ok(chain) => Ok((row, chain.ok_or(Failure::Broken("a join key without its chain"))?)),
        // An older one was dead before.
        Err(Failure::Refused(Refusal::Reset { form })) if reset_of(&form)?.join_key() != *key => {
            Err(Refusal::UnknownJoinKey.into())
        }
        Err(failure) => Err(failure),
    }
}

/// A reset that was stored.
pub(super) fn reset_of(form: &[u8]) -> Result<Verified<Reset>, Failure> {
    Verified::from_bytes(form).map_err(|_| Failure::Broken("a reset that does not verify"))
}

/// The roster at the chain's head, as this transaction sees it.
///
/// # Errors
///
/// [`Failure::Broken`] if the stored log does not verify.
pub fn roster(tx: Tx<'_>, chain: &Chain) -> Result<Arc<Roster>, Failure> {
    if let Some(roster) = tx.rosters.find(&chain.stand.head) {
        return Ok(roster);
    }
    let mut statement = tx.sql.prepare_cached("SELECT bytes FROM entries WHERE chain = ?1 ORDER BY seq")?;
    let entries = statement.query_map([chain.number], |row| row.get(0))?.collect::<rusqlite::Result<Vec<Vec<u8>>>>()?;
    let roster = super::Rosters::rebuild(&entries).ok_or(Failure::Broken("a log that does not verify"))?;
    if roster.head() != chain.stand.head {
        return Err(Failure::Broken("a head that is not the log's"));
    }
    Ok(tx.rosters.keep(roster))
}

/// Deletes everything of a chain but its log and its join keys. What was read of it before is behind nobody's cursor any more.
pub(super) fn empty(tx: Tx<'_>, chain: &Chain) -> Result<(), Failure> {
    for statement in [
        "DELETE FROM items WHERE collection IN (SELECT number FROM collections WHERE chain = ?1)",
        "DELETE FROM collections WHERE chain = ?1",
        "DELETE FROM records WHERE chain = ?1",
        "DELETE FROM writers WHERE chain = ?1",
        "DELETE FROM rounds WHERE request IN (SELECT number FROM requests WHERE chain = ?1)",
        "DELETE FROM requests WHERE chain = ?1",
        "DELETE FROM blocks WHERE join_key IN (SELECT number FROM join_keys WHERE chain = ?1)",
        "DELETE FROM approvals WHERE chain = ?1",
        "DELETE FROM waits WHERE chain = ?1",
        "UPDATE chains SET records = 0 WHERE number = ?1",
    ] {
        tx.sql.execute(statement, [chain.number])?;
    }
    Ok(())
}

/// The chain and its roster, for a member of a chain that goes on.
///
/// # Errors
///
/// [`Refusal::NotAMember`], [`Refusal::ChainClosed`], or a [`Failure`] of the store.
pub fn for_acting_member(tx: Tx<'_>, id: &ChainId, device: &DeviceId) -> Result<(Chain, Arc<Roster>), Failure> {
    let (chain, roster) = for_member(tx, id, device)?;
    if roster.is_closed() { Err(Refusal::ChainClosed.into()) } else { Ok((chain, roster)) }
}

/// The chain and its roster, for a member. A stranger is told the same of a chain that exists and of one that does not.
///
/// # Errors
///
/// [`Refusal::NotAMember`], or a [`Failure`] of the store.
pub fn for_member(tx: Tx<'_>, id: &ChainId, device: &DeviceId) -> Result<(Chain, Arc<Roster>), Failure> {
    let chain = find(tx, id)?.ok_or(Refusal::NotAMember)?;
    let roster = roster(tx, &chain)?;
    if roster.member(device).is_none() {
        return Err(Refusal::NotAMember.into());
    }
    Ok((chain, roster))
}
