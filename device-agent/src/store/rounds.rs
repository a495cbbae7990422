//! Requests as this device first saw them, and the prompts that were opened here.

use protocol::{JoinKey, RequestId};
use rusqlite::{OptionalExtension as _, params};

use super::{Store, id, signed, unsigned};
use crate::error::AgentError;

/// A prompt that was opened here.
#[derive(Debug, Clone)]
pub(crate) struct OpenedRow {
    /// The request, exactly as it was shown.
    pub(crate) ask: Vec<u8>,
    /// Its sealed description, exactly as it was shown.
    pub(crate) description: Vec<u8>,
    /// The signed nonce.
    pub(crate) nonce: Vec<u8>,
    /// The signed answer, once it came.
    pub(crate) reveal: Option<Vec<u8>>,
    /// Wrong codes so far.
    pub(crate) wrong: u8,
}

/// How an opened prompt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The device was admitted, by whomever.
    Admitted,
    /// The request was denied.
    Denied,
    /// Its time was over, or it was withdrawn.
    Over,
}

impl Ended {
    const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Denied => "denied",
            Self::Over => "over",
        }
    }
}

impl Store {
    /// When this device first saw a request; now, if it never did.
    pub(crate) fn first_sight(&self, request: &RequestId, now: u64) -> Result<u64, AgentError> {
        self.db.execute("INSERT OR IGNORE INTO sightings VALUES (?1, ?2)", params![request.as_bytes(), signed(now)])?;
        let mut query = self.db.prepare_cached("SELECT first_at FROM sightings WHERE request = ?1")?;
        Ok(unsigned(query.query_row([request.as_bytes()], |row| row.get(0))?))
    }

    /// When this device first saw a request, if it did.
    pub(crate) fn sighting(&self, request: &RequestId) -> Result<Option<u64>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT first_at FROM sightings WHERE request = ?1")?;
        Ok(query.query_row([request.as_bytes()], |row| row.get(0)).optional()?.map(unsigned))
    }

    /// The requests that this device first saw since a time, and when, the latest first.
    pub(crate) fn sightings_since(&self, since: u64) -> Result<Vec<(RequestId, u64)>, AgentError> {
        let mut query = self
            .db
            .prepare_cached("SELECT request, first_at FROM sightings WHERE first_at > ?1 ORDER BY first_at DESC")?;
        let rows = query.query_map([signed(since)], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)))?;
        rows.map(|row| row.map_err(AgentError::from).and_then(|(request, at)| Ok((id(&request)?, unsigned(at)))))
            .collect()
    }

    /// Forgets requests that were first seen before a time: long after the longest lifetime.
    pub(crate) fn forget_sightings(&self, before: u64) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM sightings WHERE first_at < ?1", [signed(before)])?;
        Ok(())
    }

    /// Every request that this device saw of late.
    pub(crate) fn sightings(&self) -> Result<Vec<RequestId>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT request FROM sightings")?;
        let rows = query.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|row| id(&row?)).collect()
    }

    /// A prompt that was opened here.
    pub(crate) fn opened(&self, request: &RequestId) -> Result<Option<OpenedRow>, AgentError> {
        let mut query =
            self.db.prepare_cached("SELECT ask, description, nonce, reveal, wrong FROM rounds WHERE request = ?1")?;
        let row = query.query_row([request.as_bytes()], |row| {
            Ok(OpenedRow {
                ask: row.get(0)?,
                description: row.get(1)?,
                nonce: row.get(2)?,
                reveal: row.get(3)?,
                wrong: u8::try_from(row.get::<_, i64>(4)?).unwrap_or(u8::MAX),
            })
        });
        Ok(row.optional()?)
    }

    /// Keeps an opened prompt and its nonce before the nonce is sent.
    pub(crate) fn keep_opened(
        &self,
        request: &RequestId,
        join_key: &JoinKey,
        shown: (&[u8], &[u8]),
        nonce: &[u8],
        now: u64,
    ) -> Result<(), AgentError> {
        self.db.execute(
            "INSERT INTO rounds (request, join_key, ask, description, nonce, opened_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (request) DO UPDATE SET nonce = excluded.nonce",
            params![request.as_bytes(), join_key.as_bytes(), shown.0, shown.1, nonce, signed(now)],
        )?;
        Ok(())
    }

    /// Keeps the joiner's answer.
    pub(crate) fn keep_reveal(&self, request: &RequestId, reveal: &[u8]) -> Result<(), AgentError> {
        self.db.execute(
            "UPDATE rounds SET reveal = ?2 WHERE request = ?1 AND reveal IS NULL",
            params![request.as_bytes(), reveal],
        )?;
        Ok(())
    }

    /// Counts a wrong code; returns how many there are now. When this returns, it is on the disk.
    pub(crate) fn count_wrong(&self, request: &RequestId) -> Result<u8, AgentError> {
        let mut query =
            self.db.prepare_cached("UPDATE rounds SET wrong = wrong + 1 WHERE request = ?1 RETURNING wrong")?;
        let wrong: i64 = query.query_row([request.as_bytes()], |row| row.get(0))?;
        Ok(u8::try_from(wrong).unwrap_or(u8::MAX))
    }

    /// Notes how an opened prompt ended. The first ending stays, but an admission counts whenever it comes.
    pub(crate) fn end_round(&self, request: &RequestId, ended: Ended) -> Result<(), AgentError> {
        self.db.execute(
            "UPDATE rounds SET ended = ?2 WHERE request = ?1 AND (ended IS NULL OR ?2 = 'admitted')",
            params![request.as_bytes(), ended.name()],
        )?;
        Ok(())
    }

    /// Prompts opened for a join key since a time that did not end in an admission.
    pub(crate) fn prompts_since(&self, join_key: &JoinKey, since: u64) -> Result<u64, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT count(*) FROM rounds WHERE join_key = ?1 AND opened_at > ?2 AND ended IS NOT 'admitted'",
        )?;
        Ok(unsigned(query.query_row(params![join_key.as_bytes(), signed(since)], |row| row.get(0))?))
    }

    /// When the latest prompts for a join key were opened that did not end in an admission, the newest first.
    pub(crate) fn prompts_latest(&self, join_key: &JoinKey, most: usize) -> Result<Vec<u64>, AgentError> {
        let mut query = self.db.prepare_cached(
            "SELECT opened_at FROM rounds WHERE join_key = ?1 AND ended IS NOT 'admitted' ORDER BY opened_at DESC LIMIT ?2",
        )?;
        let rows = query.query_map(params![join_key.as_bytes(), signed(most as u64)], |row| row.get(0))?;
        Ok(rows.map(|row| row.map(unsigned)).collect::<Result<_, _>>()?)
    }

    /// Requests whose prompt was opened since a time and has not ended.
    pub(crate) fn rounds_open_since(&self, since: u64) -> Result<Vec<RequestId>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT request FROM rounds WHERE ended IS NULL AND opened_at > ?1")?;
        let rows = query.query_map([signed(since)], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|row| id(&row?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(store: &Store, number: u8, at: u64) {
        store.keep_opened(&RequestId([number; 32]), &JoinKey([9; 32]), (b"ask", b"description"), b"nonce", at).unwrap();
    }

    #[test]
    fn prompts_of_a_day_are_counted_until_an_admission() {
        let store = Store::in_memory();
        for number in 0..4 {
            open(&store, number, 100 + u64::from(number));
        }
        assert_eq!(store.prompts_since(&JoinKey([9; 32]), 100).unwrap(), 3);
        store.end_round(&RequestId([2; 32]), Ended::Over).unwrap();
        assert_eq!(store.prompts_since(&JoinKey([9; 32]), 100).unwrap(), 3);
        store.end_round(&RequestId([2; 32]), Ended::Admitted).unwrap();
        assert_eq!(store.prompts_since(&JoinKey([9; 32]), 100).unwrap(), 2);
        assert_eq!(store.prompts_since(&JoinKey([8; 32]), 0).unwrap(), 0);
    }

    #[test]
    fn opening_again_is_no_second_prompt() {
        let store = Store::in_memory();
        open(&store, 1, 100);
        open(&store, 1, 200);
        assert_eq!(store.prompts_since(&JoinKey([9; 32]), 0).unwrap(), 1);
    }

    #[test]
    fn wrong_codes_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let store = Store::open(&path).unwrap();
        open(&store, 1, 100);
        assert_eq!(store.count_wrong(&RequestId([1; 32])).unwrap(), 1);
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(store.opened(&RequestId([1; 32])).unwrap().unwrap().wrong, 1);
        assert_eq!(store.count_wrong(&RequestId([1; 32])).unwrap(), 2);
    }

    #[test]
    fn the_first_sight_of_a_request_stays() {
        let store = Store::in_memory();
        assert_eq!(store.first_sight(&RequestId([1; 32]), 100).unwrap(), 100);
        assert_eq!(store.first_sight(&RequestId([1; 32]), 900).unwrap(), 100);
    }
}
