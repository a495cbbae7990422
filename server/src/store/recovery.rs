//! Which chain a recovery device is of. Whoever holds one has nothing but words, and asks for its chain by the key that follows from them.

use protocol::entry::{Body, Entry};
use protocol::roster::Roster;
use protocol::wire::Whereabouts;
use protocol::{ChainId, DeviceId, Signed};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Tx, chains};
use crate::failure::{Failure, Refusal, Stand};

/// Keeps which device is a chain's recovery device, in the transaction that stores the entry which made it so.
pub(super) fn keep(tx: Tx<'_>, chain: i64, roster: &Roster) -> Result<(), Failure> {
    let device = roster.recovery().map(|member| member.device.signing);
    Ok(set(tx.sql, chain, device.as_ref())?)
}

fn set(sql: &Connection, chain: i64, device: Option<&DeviceId>) -> rusqlite::Result<()> {
    match device {
        Some(device) => sql
            .prepare_cached(
                "INSERT INTO recovery_devices (chain, device) VALUES (?1, ?2)
                 ON CONFLICT (chain) DO UPDATE SET device = excluded.device",
            )?
            .execute(params![chain, device.as_bytes()])?,
        None => sql.prepare_cached("DELETE FROM recovery_devices WHERE chain = ?1")?.execute([chain])?,
    };
    Ok(())
}

/// The chain of which a device is the recovery device now. Two chains have one only if somebody used the same words twice: then the
/// later one.
///
/// # Errors
///
/// [`Refusal::NotFound`] for every other key, [`Refusal::Reset`] for a chain that was, or a [`Failure`] of the store.
pub fn whereabouts(tx: Tx<'_>, device: &DeviceId) -> Result<Whereabouts, Failure> {
    let mut statement = tx.sql.prepare_cached(
        "SELECT chains.id FROM recovery_devices JOIN chains ON chains.number = recovery_devices.chain
         WHERE device = ?1 ORDER BY chain DESC LIMIT 1",
    )?;
    let id = statement.query_row([device.as_bytes()], |row| row.get(0).map(ChainId)).optional()?;
    let id = id.ok_or(Refusal::NotFound)?;
    let Stand { head, seq } =
        chains::find(tx, &id)?.ok_or(Failure::Broken("a recovery device without its chain"))?.stand;
    Ok(Whereabouts { chain: id, head, seq })
}

/// Fills the table of a store that had none: no entry but the founding one could name a recovery device then.
pub(super) fn fill(sql: &Connection) -> rusqlite::Result<()> {
    let mut statement = sql.prepare("SELECT chain, bytes FROM entries WHERE seq = 0")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(1)?;
        let broken = |error| rusqlite::Error::FromSqlConversionFailure(1, Type::Blob, Box::new(error));
        let entry = Signed::<Entry>::decode(&bytes).map_err(broken)?;
        if let Body::Found(found) = &entry.claimed().body {
            set(sql, row.get(0)?, found.recovery.as_ref().map(|recovery| &recovery.device.signing))?;
        }
    }
    Ok(())
}
