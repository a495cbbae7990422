//! The store: one SQLite file, one writer with group commit, readers with snapshots.
//!
//! What was answered with success is synced. A failing disk is answered `not-durable`, and nothing of it is served: readers see
//! committed rows only. One cache ([`Rosters`]) is keyed by head, so it knows what follows from a log but never which log is
//! current; the other ([`feed`]) is of use until the next commit.

mod schema;
mod writer;
mod readers;
pub mod rosters;
pub mod chains;
pub mod requests;
pub mod rounds;
pub mod records;
pub mod approvals;
pub mod waits;
pub mod resets;
pub mod recovery;
mod consequences;
mod settle;
pub mod log;
pub mod feed;

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::ChainId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

pub use rosters::Rosters;
pub use schema::OpenError;

use crate::failure::Failure;
use crate::recent::Recent;

/// How long a statement waits for a lock that another process holds (`backup`). Our own writer is alone.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept for each connection: more than there are.
const STATEMENTS: usize = 128;

/// When SQLite syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// At each commit: what was acknowledged survives a power loss.
    #[default]
    Full,
    /// Never. Loses acknowledged writes; it exists to show that the durability test fails.
    Off,
}

/// What a job or a read works with: a connection inside its transaction, and the rosters that follow from its logs.
#[derive(Debug, Clone, Copy)]
pub struct Tx<'a> {
    /// The connection.
    pub sql: &'a Connection,
    /// The rosters.
    pub rosters: &'a Rosters,
    /// Which store it is.
    pub store: u64,
    /// How long the relay has been up.
    pub uptime: waits::Uptime,
}

/// The relay's store.
#[derive(Debug)]
pub struct Store {
    identity: u64,
    uptime: waits::Uptime,
    rosters: Arc<Rosters>,
    readers: readers::Readers,
    writer: writer::Writer,
    feeds: Recent<(ChainId, u64), Arc<feed::Shared>>,
    /// Held for as long as the store is open. Declared last, so that it is dropped after the writer has finished.
    _lock: File,
}

impl Store {
    /// Opens or makes the file `relay.db` in a folder. `now` is the wall clock, unix milliseconds, at which the steady count begins.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(folder: &Path, synchronous: Synchronous, now: u64) -> Result<Self, OpenError> {
        let path = folder.join("relay.db");
        let shown = path.display().to_string();
        let io = |source| OpenError::Io { path: shown.clone(), source };
        // Only for us: the file names who joined from where.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let lock = lock(&folder.join("relay.lock"), &shown)?;
        // SQLite gives its own files the mode of this one.
        private(&path).map_err(io)?;
        let failed = |source| OpenError::Sqlite { path: shown.clone(), source };
        let mut connection = connect(&path, synchronous).map_err(failed)?;
        let (identity, before) = schema::prepare(&mut connection, &shown, now)?;
        let connections = (0..readers::CONNECTIONS).map(|_| connect_to_read(&path)).collect::<Result<_, _>>();
        let readers = readers::Readers::start(connections.map_err(failed)?).map_err(io)?;
        let writer = writer::Writer::start(connection).map_err(io)?;
        let (rosters, feeds) = (Arc::new(Rosters::default()), Recent::new(feed::KEPT));
        let uptime = waits::Uptime { before, started: now };
        Ok(Self { identity, uptime, rosters, readers, writer, feeds, _lock: lock })
    }

    /// Which store it is: the `store` of cursors.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// What was verified lately.
    #[must_use]
    pub fn rosters(&self) -> &Arc<Rosters> {
        &self.rosters
    }

    /// Changes state: one transaction, all or nothing, answered when it is durable.
    ///
    /// # Errors
    ///
    /// The job's own, or [`Failure::NotDurable`]; then nothing was changed, or it is found by sending the same bytes again.
    pub async fn change<T: Send + 'static>(
        &self,
        job: impl FnOnce(Tx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (rosters, store, uptime) = (Arc::clone(&self.rosters), self.identity, self.uptime);
        self.writer.run(move |sql| job(Tx { sql, rosters: &rosters, store, uptime })).await
    }

    /// Reads one snapshot.
    ///
    /// # Errors
    ///
    /// The job's own, or [`Failure::NotDurable`].
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(Tx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (rosters, store, uptime) = (Arc::clone(&self.rosters), self.identity, self.uptime);
        self.readers.run(move |sql| job(Tx { sql, rosters: &rosters, store, uptime })).await
    }

    /// Reads one snapshot in place where that is short: what was written lately is in memory, and to hand it to another thread
    /// would cost more than the read. A `chain` that is named must have its roster at hand: to compute one takes
    /// verifications, and the sockets beside this one would wait. Otherwise the same as [`Store::read`].
    ///
    /// # Errors
    ///
    /// The job's own, or [`Failure::NotDurable`].
    pub async fn glance<T: Send + 'static>(
        &self,
        chain: Option<ChainId>,
        job: impl FnOnce(Tx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let is_short = |sql: &Connection| {
            let Some(chain) = chain else { return Ok(true) };
            let tx = Tx { sql, rosters: &self.rosters, store: self.identity, uptime: self.uptime };
            let found = chains::find(tx, &chain)?;
            Ok(found.is_none_or(|chain| self.rosters.find(&chain.stand.head).is_some()))
        };
        let (rosters, store, uptime) = (Arc::clone(&self.rosters), self.identity, self.uptime);
        let job = move |sql: &Connection| job(Tx { sql, rosters: &rosters, store, uptime });
        match self.readers.run_in_place(is_short, job) {
            Ok(result) => result,
            Err(job) => self.readers.run(job).await,
        }
    }

    /// Whether the store takes writes: the last commit succeeded, or a fresh one does.
    pub async fn is_writable(&self) -> bool {
        // A probe writes, so strangers who ask often must not cause it while all is well. It changes a value: SQLite does not
        // write, and so not sync, what is overwritten with itself.
        let probe = |tx: Tx<'_>| Ok(tx.sql.execute("UPDATE identity SET probe = probe + 1", [])?);
        self.writer.is_healthy() || self.change(probe).await.is_ok()
    }
}

/// One relay a store: a second one would not wake the sessions of the first.
fn lock(path: &Path, shown: &str) -> Result<File, OpenError> {
    let io = |source| OpenError::Io { path: shown.to_owned(), source };
    let file = private(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: shown.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Opens a file, making it for us alone: the folder may be an operator's, open to others.
fn private(path: &Path) -> std::io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn connect(path: &Path, synchronous: Synchronous) -> rusqlite::Result<Connection> {
    let connection = prepared(Connection::open(path)?)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // No temporary files: a relay that is out of descriptors must still be able to write.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let level = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", level)?;
    Ok(connection)
}

fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = prepared(Connection::open_with_flags(path, flags)?)?;
    // SQLite opens its files at the first statement. That must be now: later there may be no descriptor left.
    connection.query_row("SELECT store FROM identity", [], |_| Ok(()))?;
    Ok(connection)
}

fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a plan may depend on what is bound, and every new value makes SQLite parse and plan the statement again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// A number for SQLite, which knows signed ones only. Ours stay far below.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from SQLite.
pub(crate) fn uint(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests;
