//! What the SQLite file holds.
//!
//! Rows lie in the order of their arrival (rowid tables), and indexes hold small numbers instead of 32-byte ids wherever they
//! grow with the data: random keys cost ten times the writes.

use rusqlite::Connection;

/// The version of this schema, kept in `user_version`. A file with a higher one was written by a newer relay and is refused.
pub(super) const VERSION: i64 = 2;

const TABLES: &str = "
CREATE TABLE identity (
  store INTEGER NOT NULL,
  probe INTEGER NOT NULL            -- changed to find out whether the store takes writes
);

CREATE TABLE chains (
  number  INTEGER PRIMARY KEY,
  id      BLOB NOT NULL UNIQUE,
  head    BLOB NOT NULL,
  seq     INTEGER NOT NULL,
  records INTEGER NOT NULL          -- number of the last record in the feed
);

-- Every join key that was ever current in a chain: none serves a second one.
CREATE TABLE join_keys (
  number INTEGER PRIMARY KEY,
  key    BLOB NOT NULL UNIQUE,
  chain  INTEGER NOT NULL
);

CREATE TABLE entries (
  row   INTEGER PRIMARY KEY,
  chain INTEGER NOT NULL,
  seq   INTEGER NOT NULL,
  bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_in_order ON entries (chain, seq);

CREATE TABLE requests (
  number      INTEGER PRIMARY KEY,
  id          BLOB NOT NULL UNIQUE,
  chain       INTEGER NOT NULL,
  join_key    INTEGER NOT NULL,     -- what limits and blocks are counted by: a new sync code begins anew
  device      BLOB NOT NULL,
  bytes       BLOB NOT NULL,
  description BLOB NOT NULL,
  address     TEXT NOT NULL,
  net         TEXT NOT NULL,        -- the address range that a block covers
  proxy       TEXT,
  seen_at     INTEGER NOT NULL,     -- wall clock, unix milliseconds
  begun       INTEGER NOT NULL,     -- steady clock; set back to seen_at, or the start, at each start
  lifetime    INTEGER NOT NULL,     -- milliseconds
  muted       INTEGER NOT NULL,     -- 0 no, 1 for good, 2 with its sync code: no member is shown it
  decision    INTEGER NOT NULL,     -- 0 none, 1 admitted, 2 denied
  withdrawal  BLOB
);
CREATE INDEX requests_by_chain ON requests (chain, begun);
CREATE INDEX requests_by_join_key ON requests (join_key, begun);

CREATE TABLE rounds (
  request INTEGER NOT NULL,
  round   INTEGER NOT NULL,
  hash    BLOB NOT NULL,
  nonce   BLOB NOT NULL,
  reveal  BLOB,
  PRIMARY KEY (request, round)
) WITHOUT ROWID;

-- Address ranges from which no request with a join key is shown for a while.
CREATE TABLE blocks (
  join_key INTEGER NOT NULL,
  net      TEXT NOT NULL,
  until    INTEGER NOT NULL,        -- steady clock
  PRIMARY KEY (join_key, net)
) WITHOUT ROWID;

CREATE TABLE writers (
  number  INTEGER PRIMARY KEY,
  chain   INTEGER NOT NULL,
  device  BLOB NOT NULL,
  counter INTEGER NOT NULL,
  last    BLOB NOT NULL
);
CREATE UNIQUE INDEX writers_by_device ON writers (chain, device);

CREATE TABLE collections (
  number  INTEGER PRIMARY KEY,
  chain   INTEGER NOT NULL,
  blinded BLOB NOT NULL
);
CREATE UNIQUE INDEX collections_by_name ON collections (chain, blinded);

CREATE TABLE records (
  row        INTEGER PRIMARY KEY,
  chain      INTEGER NOT NULL,
  number     INTEGER NOT NULL,
  writer     INTEGER NOT NULL,
  counter    INTEGER NOT NULL,
  hash       BLOB NOT NULL,
  header     BLOB NOT NULL,
  ciphertext BLOB                   -- NULL for a delete, and once the version is replaced
);
CREATE UNIQUE INDEX records_in_order ON records (chain, number);
CREATE UNIQUE INDEX records_by_line ON records (writer, counter);

-- The current version of each item.
CREATE TABLE items (
  collection INTEGER NOT NULL,
  id         BLOB NOT NULL,
  record     INTEGER NOT NULL,
  PRIMARY KEY (collection, id)
) WITHOUT ROWID;
";

/// What version 2 adds.
const TABLES_2: &str = "
-- Numbers are never used twice: a session remembers the last one that it told.
CREATE TABLE approvals (
  number  INTEGER PRIMARY KEY AUTOINCREMENT,
  chain   INTEGER NOT NULL,
  hash    BLOB NOT NULL,
  signer  BLOB NOT NULL,
  request BLOB,                     -- which one is to be admitted, if one is
  bytes   BLOB NOT NULL
);
CREATE UNIQUE INDEX approvals_by_hash ON approvals (chain, hash);

-- Milliseconds that this relay was up, over all its starts: written down while anything waits.
ALTER TABLE identity ADD COLUMN uptime INTEGER NOT NULL DEFAULT 0;

-- Delays between an announcement and what it announces.
CREATE TABLE waits (
  chain  INTEGER NOT NULL,
  what   INTEGER NOT NULL,          -- 0 the end of the chain, 1 a reset
  hash   BLOB NOT NULL,             -- of the announcement
  wall   INTEGER NOT NULL,          -- wall clock at its begin, unix milliseconds
  uptime INTEGER NOT NULL,          -- uptime at its begin
  delay  INTEGER NOT NULL,          -- milliseconds
  PRIMARY KEY (chain, what, hash)
) WITHOUT ROWID;

-- Wishes to reset a chain: at most one stands, and who was stopped stays stopped.
CREATE TABLE resets (
  chain INTEGER NOT NULL,
  hash  BLOB NOT NULL,
  form  BLOB,                       -- NULL: a member stopped it, or another one took its place
  PRIMARY KEY (chain, hash)
) WITHOUT ROWID;

-- The signed form by which the chain was reset. Of such a chain nothing else is left but its join keys and recovery device, by which
-- their holders learn that it was.
ALTER TABLE chains ADD COLUMN reset BLOB;

-- How often its log was replaced from some entry on: a session that was told of another branch begins anew.
ALTER TABLE chains ADD COLUMN branch INTEGER NOT NULL DEFAULT 0;

-- The recovery device that each chain has now: its holder finds the chain by it.
CREATE TABLE recovery_devices (
  chain  INTEGER PRIMARY KEY,
  device BLOB NOT NULL
);
CREATE INDEX recovery_devices_by_device ON recovery_devices (device);
";

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer relay.
    #[error(
        "{path} has schema version {got}, and this relay knows {VERSION}: start the newer relay again, or restore a backup"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        got: i64,
    },
    /// Another relay has it open.
    #[error("the store {path} is in use by another relay: stop that one first")]
    InUse {
        /// The file.
        path: String,
    },
    /// The folder or the file cannot be used.
    #[error("cannot open the store {path}: {source}")]
    Sqlite {
        /// The file.
        path: String,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The folder cannot be made, or the writer's thread not started.
    #[error("cannot open the store {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Brings a fresh file, or an older one, to [`VERSION`], refuses a newer one, and returns which store it is, and how long it was served.
pub(super) fn prepare(connection: &mut Connection, path: &str, now: u64) -> Result<(u64, u64), OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let got: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if got > VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), got });
    }
    let transaction = connection.transaction().map_err(failed)?;
    if got < 1 {
        transaction.execute_batch(TABLES).map_err(failed)?;
        // Random, so that a device's cursor of another store is not taken for one of this.
        transaction
            .execute("INSERT INTO identity (store, probe) VALUES (random() & 0x7fffffffffffffff, 0)", [])
            .map_err(failed)?;
    }
    if got < 2 {
        transaction.execute_batch(TABLES_2).map_err(failed)?;
        super::recovery::fill(&transaction).map_err(failed)?;
    }
    if got < VERSION {
        transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    }
    // The steady clock begins anew at the wall clock: what elapsed while the relay was down counts, by the wall clock. What was
    // asked in its future, before somebody set the clock right, begins now: it would hold its place until that time has come.
    transaction
        .execute("UPDATE requests SET begun = min(seen_at, ?1) WHERE begun <> min(seen_at, ?1)", [super::int(now)])
        .map_err(failed)?;
    // What began in the future, before somebody set the clock right, begins now.
    transaction.execute("UPDATE waits SET wall = ?1 WHERE wall > ?1", [super::int(now)]).map_err(failed)?;
    let (identity, uptime): (i64, i64) = transaction
        .query_row("SELECT store, uptime FROM identity", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok((identity.unsigned_abs(), super::uint(uptime)))
}
