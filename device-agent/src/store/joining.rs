//! A join under way: the request, and the nonces that were answered.

use rusqlite::{OptionalExtension as _, params};

use super::{Setting, Store, signed};
use crate::error::AgentError;

/// The bytes of a request and of its sealed description.
pub(crate) type Asked = (Vec<u8>, Vec<u8>);

impl Store {
    /// Keeps a new request, and forgets everything of an earlier one.
    pub(crate) fn begin_join(&mut self, request: &[u8], description: &[u8]) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        tx.execute("DELETE FROM join_nonces", [])?;
        tx.execute("DELETE FROM settings WHERE name = ?1", [Setting::Asked.name()])?;
        tx.execute("INSERT OR REPLACE INTO joining VALUES (1, ?1, ?2)", params![request, description])?;
        Ok(tx.commit()?)
    }

    /// The request under way and its sealed description.
    pub(crate) fn joining(&self) -> Result<Option<Asked>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT request, description FROM joining")?;
        Ok(query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Keeps a nonce before it is answered: a restart repeats the same answer.
    pub(crate) fn keep_join_nonce(&self, round: u8, nonce: &[u8]) -> Result<(), AgentError> {
        self.db
            .execute("INSERT OR IGNORE INTO join_nonces VALUES (?1, ?2)", params![signed(u64::from(round)), nonce])?;
        Ok(())
    }

    /// The nonces that were answered, in order.
    pub(crate) fn join_nonces(&self) -> Result<Vec<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT nonce FROM join_nonces ORDER BY round")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The request is over: the next join makes new keys.
    pub(crate) fn end_join(&mut self) -> Result<(), AgentError> {
        let tx = self.db.transaction()?;
        tx.execute("DELETE FROM join_nonces", [])?;
        tx.execute("DELETE FROM joining", [])?;
        Ok(tx.commit()?)
    }
}
