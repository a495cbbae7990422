//! The end of a fork at this relay: its branch is abandoned, and another one takes its place.
//!
//! Only an approver of both branches settles. What was decided, written or announced on the abandoned branch alone is undone in the same
//! transaction, so that a reader who begins anew finds nothing that the log does not carry.

use std::collections::HashMap;

use protocol::carried::Carried;
use protocol::entry::{Body, Entry, Settle};
use protocol::id::{BlindedCollection, BlindedId};
use protocol::record::Record;
use protocol::roster::{Refusal as LogRefusal, Roster};
use protocol::wire::Purpose;
use protocol::{DeviceId, Hash, RequestId, Signed, Verified};
use rusqlite::params;

use super::chains::Chain;
use super::requests::Decided;
use super::waits::{self, What};
use super::{Tx, consequences, int, requests, resets};
use crate::clock::Moment;
use crate::failure::{Failure, Refusal};

/// A batch that may take the place of the relay's branch.
pub(super) struct Settling<'a> {
    entry: &'a Verified<Entry>,
    settle: &'a Settle,
    /// The first entry of the branch that it goes on with.
    first: Hash,
    /// Position of the last entry that both branches have.
    common: u64,
}

impl<'a> Settling<'a> {
    /// Whether new entries leave this log before its head, and end with a settle.
    pub(super) fn of(before: &Roster, fresh: &'a [Verified<Entry>]) -> Option<Self> {
        let (first, entry) = (fresh.first()?, fresh.last()?);
        let common = before.position(&first.prev?)?.seq;
        match &entry.body {
            Body::Settle(settle) if common < before.seq() => Some(Self { entry, settle, first: first.hash(), common }),
            _ => None,
        }
    }

    /// Replaces the relay's branch. Returns the roster after it. `index` is the place of the first new entry in its append.
    pub(super) fn replace(
        &self,
        tx: Tx<'_>,
        (chain, before): (&Chain, &Roster),
        (index, fresh): (usize, &[Verified<Entry>]),
        now: Moment,
    ) -> Result<Roster, Failure> {
        let refused = |refusal| Failure::from(Refusal::Log { index: index + fresh.len() - 1, refusal });
        // A removed device settles nothing, nor do fewer approvers than this log asks for.
        before.gives_way_to(self.entry).map_err(refused)?;
        let base = self.base(tx, chain)?;
        tx.sql
            .prepare_cached("DELETE FROM entries WHERE chain = ?1 AND seq > ?2")?
            .execute(params![chain.number, int(self.common)])?;
        undecide(tx, chain, &base)?;
        // Whoever saw the fork could stop no closing, and whoever knew the veto of the other branch had no reason to.
        waits::end_others(tx, chain.number, What::Closing, None)?;
        let mut after = base;
        for (index, entry) in (index..).zip(fresh) {
            after = after.apply(entry).map_err(|refusal| Refusal::Log { index, refusal })?;
            // Decided elsewhere already, as what is healed was.
            consequences::carry(tx, chain, (entry, &after), Purpose::Heal, now)?;
        }
        if before.goes_on_beside(&after, &self.settle.abandoned, &self.first) {
            return Err(refused(LogRefusal::NotAbandoned));
        }
        drop_records(tx, chain, &after)?;
        // The new branch may bring no join key of its own: then the one before the fork is current again.
        requests::follow_join_key(tx, chain.number, &after.join_key())?;
        resets::end_unless_of(tx, chain.number, &after)?;
        tx.sql.prepare_cached("UPDATE chains SET branch = branch + 1 WHERE number = ?1")?.execute([chain.number])?;
        Ok(after)
    }

    /// The roster at the last common entry, if what the settle abandons is what follows it here.
    fn base(&self, tx: Tx<'_>, chain: &Chain) -> Result<Roster, Failure> {
        let mut statement =
            tx.sql.prepare_cached("SELECT bytes FROM entries WHERE chain = ?1 AND seq <= ?2 ORDER BY seq")?;
        let mut entries = statement
            .query_map(params![chain.number, int(self.common + 1)], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<Vec<u8>>>>()?;
        let broken = || Failure::Broken("a log that does not verify");
        let next = entries.pop().and_then(|bytes| Signed::<Entry>::decode(&bytes).ok()).ok_or_else(broken)?;
        if next.hash() != self.settle.abandoned {
            return Err(Refusal::HeadMoved(chain.stand).into());
        }
        super::Rosters::rebuild(&entries).ok_or_else(broken)
    }
}

/// Requests that only the abandoned branch decided are undecided again.
fn undecide(tx: Tx<'_>, chain: &Chain, base: &Roster) -> Result<(), Failure> {
    let mut statement = tx.sql.prepare_cached("SELECT number, id FROM requests WHERE chain = ?1 AND decision <> 0")?;
    let decided = statement
        .query_map([chain.number], |row| Ok((row.get(0)?, RequestId(row.get(1)?))))?
        .collect::<rusqlite::Result<Vec<(i64, RequestId)>>>()?;
    for (number, id) in decided {
        requests::decide(tx, number, Decided::by(base, &id))?;
    }
    Ok(())
}

/// A stored record, as far as it matters whether it stays.
struct Row {
    row: i64,
    device: DeviceId,
    hash: Hash,
    record: Record,
}

fn rows(tx: Tx<'_>, chain: &Chain) -> Result<Vec<Row>, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT row, device, hash, header FROM records JOIN writers ON writers.number = writer
         WHERE records.chain = ?1 ORDER BY records.number",
    )?;
    let mut found = statement.query([chain.number])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let header: Vec<u8> = row.get(3)?;
        let broken = |_| Failure::Broken("a record that does not decode");
        let record = Signed::<Record>::decode(&header).map_err(broken)?.claimed().clone();
        rows.push(Row { row: row.get(0)?, device: DeviceId(row.get(1)?), hash: Hash(row.get(2)?), record });
    }
    Ok(rows)
}

/// Deletes what the log carries no more, with everything that stands on it: what comes later in its writer's line, and what replaced it.
/// Then lines and items are those of what is left. Numbers of the feed are not used again.
pub(super) fn drop_records(tx: Tx<'_>, chain: &Chain, roster: &Roster) -> Result<(), Failure> {
    let rows = rows(tx, chain)?;
    let mut carried = Carried::by(roster);
    let mut lines: HashMap<DeviceId, (u64, Hash)> = HashMap::new();
    let mut items: HashMap<(BlindedCollection, BlindedId), i64> = HashMap::new();
    for row in &rows {
        if !carried.stays(&row.record, row.device, row.hash) {
            tx.sql.prepare_cached("DELETE FROM records WHERE row = ?1")?.execute([row.row])?;
            continue;
        }
        lines.insert(row.device, (row.record.counter, row.hash));
        items.insert((row.record.collection, row.record.id), row.row);
    }
    if carried.gone().is_empty() {
        return Ok(());
    }
    for device in carried.cut_off() {
        match lines.get(device) {
            Some((counter, last)) => tx
                .sql
                .prepare_cached("UPDATE writers SET counter = ?3, last = ?4 WHERE chain = ?1 AND device = ?2")?
                .execute(params![chain.number, device.as_bytes(), int(*counter), last.as_bytes()])?,
            None => tx
                .sql
                .prepare_cached("DELETE FROM writers WHERE chain = ?1 AND device = ?2")?
                .execute(params![chain.number, device.as_bytes()])?,
        };
    }
    keep_items(tx, chain, &items)
}

fn keep_items(tx: Tx<'_>, chain: &Chain, items: &HashMap<(BlindedCollection, BlindedId), i64>) -> Result<(), Failure> {
    tx.sql.execute(
        "DELETE FROM items WHERE collection IN (SELECT number FROM collections WHERE chain = ?1)",
        [chain.number],
    )?;
    for ((collection, id), row) in items {
        tx.sql
            .prepare_cached(
                "INSERT INTO items (collection, id, record)
                 SELECT number, ?3, ?4 FROM collections WHERE chain = ?1 AND blinded = ?2",
            )?
            .execute(params![chain.number, collection.as_bytes(), id.as_bytes(), row])?;
    }
    Ok(())
}
