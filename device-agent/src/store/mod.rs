//! The store of a device: SQLite, WAL, `synchronous=FULL`. What a function here returned from is on the disk.
//!
//! It holds no key: those live in the key file. Records lie here as ciphertext; only what waits to be sealed lies here as it was typed,
//! in a file that nobody else can read.

mod log;
mod records;
mod outbox;
mod approvals;
mod totp;
mod rounds;
mod joining;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use protocol::connect::Cursor;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::AgentError;

pub(crate) use approvals::Sent;
pub(crate) use log::Crossing;
pub(crate) use outbox::{Again, DraftRow, DraftState, Earlier, NewDraft};
pub(crate) use records::ItemRow;
pub(crate) use rounds::{Ended, OpenedRow};
pub(crate) use totp::CodeVerdict;

/// The form of the tables, a step for each version: a store of an earlier one goes on from where it is, one of a later one is refused,
/// never guessed at. A step that was released is not changed any more.
const STEPS: [&str; 5] = [FIRST, DRAFTS, APPROVALS, CODES, LOST];

const FIRST: &str = "
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
-- The pinned log: every entry that this device verified and applied. The last one is the head.
CREATE TABLE log (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, entry BLOB NOT NULL) STRICT;
-- Own entry that was signed but not acknowledged: repeated with the same bytes, destroyed once another holds its place.
CREATE TABLE outbox_entry (one INTEGER PRIMARY KEY CHECK (one = 1), hash BLOB NOT NULL, entry BLOB NOT NULL) STRICT;
CREATE TABLE outbox_records (counter INTEGER PRIMARY KEY, hash BLOB NOT NULL, header BLOB NOT NULL, ciphertext BLOB) STRICT;
-- Every record of the chain as it was received, in the order of arrival.
CREATE TABLE records (arrival INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, writer BLOB NOT NULL, counter INTEGER NOT NULL,
  collection BLOB NOT NULL, id BLOB NOT NULL, header BLOB NOT NULL, ciphertext BLOB, UNIQUE (writer, counter)) STRICT;
CREATE TABLE items (collection BLOB NOT NULL, id BLOB NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (collection, id)) STRICT;
CREATE TABLE lines (writer BLOB PRIMARY KEY, counter INTEGER NOT NULL, last BLOB NOT NULL) STRICT;
-- Records that cite a head which is not in the pinned log.
CREATE TABLE aside (hash BLOB PRIMARY KEY, header BLOB NOT NULL, ciphertext BLOB) STRICT;
-- When this device first saw a request: its own count of the lifetime.
CREATE TABLE sightings (request BLOB PRIMARY KEY, first_at INTEGER NOT NULL) STRICT;
-- Prompts that were opened here, with the exact bytes that were shown. Rows of a day are never deleted: they are the count.
CREATE TABLE rounds (request BLOB PRIMARY KEY, join_key BLOB NOT NULL, ask BLOB NOT NULL, description BLOB NOT NULL,
  nonce BLOB NOT NULL, reveal BLOB, wrong INTEGER NOT NULL DEFAULT 0, opened_at INTEGER NOT NULL, ended TEXT) STRICT;
CREATE TABLE joining (one INTEGER PRIMARY KEY CHECK (one = 1), request BLOB NOT NULL, description BLOB NOT NULL) STRICT;
CREATE TABLE join_nonces (round INTEGER PRIMARY KEY, nonce BLOB NOT NULL) STRICT;
CREATE TABLE evidence (hash BLOB PRIMARY KEY, entry BLOB NOT NULL, found_at INTEGER NOT NULL) STRICT;
";

/// Own writes until the relay acknowledged them, unsealed, in order. `staged` is the hash of the record in `outbox_records` that carries
/// one; `refused` is why the relay will not have it. Numbers are never given twice.
const DRAFTS: &str = "
CREATE TABLE drafts (number INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, id TEXT NOT NULL, value BLOB, base BLOB,
  queued_at INTEGER NOT NULL, staged BLOB UNIQUE, refused TEXT) STRICT;
";

/// Approvals that count in the next entry. `unsent` ones are this device's own, and the relay has not taken them.
const APPROVALS: &str = "
CREATE TABLE approvals (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, approval BLOB NOT NULL, unsent INTEGER NOT NULL) STRICT;
";

/// What became of the one-time codes of requests. Those that count have failed since the owner last unlocked.
const CODES: &str = "
CREATE TABLE totp_checks (request BLOB PRIMARY KEY, verdict TEXT NOT NULL, counts INTEGER NOT NULL, checked_at INTEGER NOT NULL) STRICT;
";

/// Records that the relay lost, and in whose place others stand there: evidence of what this device once had.
const LOST: &str = "
CREATE TABLE lost (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL, ciphertext BLOB,
  lost_at INTEGER NOT NULL) STRICT;
";

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    db: Connection,
}

/// Settings by name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Setting {
    /// The relay's address.
    Relay,
    /// A private certificate authority for it, PEM.
    RelayCa,
    /// The founding entry until the relay acknowledged it.
    Founding,
    /// Where this device stands in the feed of records.
    Cursor,
    /// There while a relay that lost its log was not given back its records.
    RefillOwed,
    /// There while a version may be the current one of which this device never had the content.
    ContentMissed,
    /// Position of the last entry that a person was told of.
    Told,
    /// A reset that the relay told of in the last connection.
    Reset,
    /// When a session last began, which is told of a reset that stands.
    ResetLooked,
    /// The sync code under which requests are seen, by its join key, and since when by this device's clock.
    Sighted,
    /// The recovery device whose words were made here and not typed back yet.
    WordsUntyped,
    /// The batch of a recovery until it is in the pinned log.
    Recovering,
    /// There once a relay took the request to join that is under way.
    Asked,
}

impl Setting {
    const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::RelayCa => "relay-ca",
            Self::Founding => "founding",
            Self::Cursor => "cursor",
            Self::RefillOwed => "refill-owed",
            Self::ContentMissed => "content-missed",
            Self::Told => "told",
            Self::Reset => "reset",
            Self::ResetLooked => "reset-looked",
            Self::Sighted => "sighted",
            Self::Recovering => "recovering",
            Self::WordsUntyped => "words-untyped",
            Self::Asked => "asked",
        }
    }
}

impl Store {
    /// Opens a store, making its tables if it is new.
    pub(crate) fn open(path: &Path) -> Result<Self, AgentError> {
        // SQLite gives its side files the mode of the first one.
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| AgentError::File { path: path.to_owned(), source })?;
        Self::prepare(Connection::open(path)?)
    }

    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::prepare(Connection::open_in_memory().unwrap()).unwrap()
    }

    fn prepare(mut db: Connection) -> Result<Self, AgentError> {
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A simulated machine crashes and keeps its disk: to sync would only take time.
        let level = if cfg!(feature = "simulation") { "OFF" } else { "FULL" };
        db.pragma_update(None, "synchronous", level)?;
        db.pragma_update(None, "foreign_keys", "ON")?;
        // A write that was sent must not stay in a free page as it was typed.
        db.pragma_update(None, "secure_delete", "ON")?;
        db.busy_timeout(std::time::Duration::from_secs(5))?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let done = usize::try_from(version).map_err(|_| AgentError::Damaged { what: "its version is no number" })?;
        for (number, step) in STEPS.iter().enumerate().skip(done) {
            let tx = db.transaction()?;
            tx.execute_batch(step)?;
            tx.pragma_update(None, "user_version", signed(number as u64 + 1))?;
            tx.commit()?;
        }
        if done > STEPS.len() {
            return Err(AgentError::Damaged { what: "it was written by a later version of this program" });
        }
        Ok(Self { db })
    }

    /// Reads a setting.
    pub(crate) fn setting(&self, setting: Setting) -> Result<Option<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
        Ok(query.query_row([setting.name()], |row| row.get(0)).optional()?)
    }

    /// Reads a setting that is text.
    pub(crate) fn text_setting(&self, setting: Setting) -> Result<Option<String>, AgentError> {
        let bytes = self.setting(setting)?;
        bytes
            .map(|bytes| String::from_utf8(bytes).map_err(|_| AgentError::Damaged { what: "a setting is not text" }))
            .transpose()
    }

    /// Writes a setting.
    pub(crate) fn set(&self, setting: Setting, value: &[u8]) -> Result<(), AgentError> {
        self.db.execute(
            "INSERT INTO settings VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            params![setting.name(), value],
        )?;
        Ok(())
    }

    /// Notes that a relay may have lost records. Each sign has a value of its own: whoever works it off clears the one that it saw.
    pub(crate) fn owe_refill(&self) -> Result<(), AgentError> {
        owe_refill(&self.db)
    }

    /// Clears that sign, unless there was another since.
    pub(crate) fn refill_done(&self, sign: &[u8]) -> Result<(), AgentError> {
        let name = Setting::RefillOwed.name();
        self.db.execute("DELETE FROM settings WHERE name = ?1 AND value = ?2", params![name, sign])?;
        Ok(())
    }

    /// Removes a setting.
    pub(crate) fn unset(&self, setting: Setting) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM settings WHERE name = ?1", [setting.name()])?;
        Ok(())
    }

    /// Keeps the relay's address and a certificate authority of its own, both or neither.
    pub(crate) fn keep_relay(&mut self, origin: &str, ca: Option<&[u8]>) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        let of_relay = [Setting::Relay, Setting::RelayCa, Setting::Reset, Setting::ResetLooked].map(Setting::name);
        tx.execute("DELETE FROM settings WHERE name IN (?1, ?2, ?3, ?4)", of_relay)?;
        let values = [(Setting::Relay, Some(origin.as_bytes())), (Setting::RelayCa, ca)];
        for (setting, value) in values.into_iter().filter_map(|(setting, value)| Some((setting, value?))) {
            tx.execute("INSERT INTO settings VALUES (?1, ?2)", params![setting.name(), value])?;
        }
        Ok(tx.commit()?)
    }

    /// Position of the last entry that a person was told of.
    pub(crate) fn told(&self) -> Result<Option<u64>, AgentError> {
        let bytes = self.setting(Setting::Told)?;
        let number = |bytes: Vec<u8>| bytes.try_into().map(u64::from_be_bytes);
        bytes
            .map(|bytes| number(bytes).map_err(|_| AgentError::Damaged { what: "a position is no number" }))
            .transpose()
    }

    /// Remembers the last entry that a person was told of.
    pub(crate) fn keep_told(&self, seq: u64) -> Result<(), AgentError> {
        self.set(Setting::Told, &seq.to_be_bytes())
    }

    /// Where this device stands in the relay's feed.
    pub(crate) fn cursor(&self) -> Result<Option<Cursor>, AgentError> {
        let bytes = self.setting(Setting::Cursor)?;
        bytes
            .map(|bytes| {
                protocol::cbor::decode("cursor", &bytes, 64)
                    .map_err(|_| AgentError::Damaged { what: "the cursor is no cursor" })
            })
            .transpose()
    }
}

/// Also within a transaction.
fn owe_refill(db: &Connection) -> Result<(), AgentError> {
    db.execute("INSERT OR REPLACE INTO settings VALUES (?1, randomblob(8))", [Setting::RefillOwed.name()])?;
    Ok(())
}

/// Turns a blob of the store into an id.
fn id<T: for<'a> TryFrom<&'a [u8]>>(bytes: &[u8]) -> Result<T, AgentError> {
    T::try_from(bytes).map_err(|_| AgentError::Damaged { what: "an id has not 32 bytes" })
}

/// SQLite counts with a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// SQLite counts with a sign.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_an_earlier_version_goes_on_and_one_of_a_later_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(FIRST).unwrap();
        db.execute("INSERT INTO settings VALUES ('relay', x'61')", []).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.text_setting(Setting::Relay).unwrap().as_deref(), Some("a"));
        assert!(store.drafts().unwrap().is_empty());
        drop(store);
        let store = Store::open(&path).unwrap();
        let version: i64 = store.db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, signed(STEPS.len() as u64));
        db.pragma_update(None, "user_version", version + 1).unwrap();
        assert!(matches!(Store::open(&path), Err(AgentError::Damaged { .. })));
    }
}
