//! Approvals that count in the next entry, own ones and those of others.

use protocol::Hash;
use protocol::approval::Approval;
use protocol::signed::Verified;
use rusqlite::params;

use super::Store;
use crate::error::AgentError;

/// Whether the relay has an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Not as far as is known: it is this device's own.
    NotYet,
    /// It took it, or handed it over.
    Yes,
}

impl Store {
    /// Keeps an approval, once.
    pub(crate) fn keep_approval(&self, approval: &Verified<Approval>, sent: Sent) -> Result<(), AgentError> {
        self.db.execute(
            "INSERT OR IGNORE INTO approvals (hash, approval, unsent) VALUES (?1, ?2, ?3)",
            params![approval.hash().as_bytes(), approval.bytes().as_ref(), sent == Sent::NotYet],
        )?;
        Ok(())
    }

    /// The bytes of every approval that is kept, in the order in which they came.
    pub(crate) fn approvals(&self) -> Result<Vec<Vec<u8>>, AgentError> {
        self.approvals_where("SELECT approval FROM approvals ORDER BY number")
    }

    /// Own approvals that the relay has not taken.
    pub(crate) fn unsent_approvals(&self) -> Result<Vec<Vec<u8>>, AgentError> {
        self.approvals_where("SELECT approval FROM approvals WHERE unsent ORDER BY number")
    }

    fn approvals_where(&self, select: &str) -> Result<Vec<Vec<u8>>, AgentError> {
        let mut query = self.db.prepare_cached(select)?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The relay took an own approval.
    pub(crate) fn approval_sent(&self, hash: &Hash) -> Result<(), AgentError> {
        self.db.execute("UPDATE approvals SET unsent = 0 WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(())
    }

    /// Forgets an approval.
    pub(crate) fn drop_approval(&self, hash: &Hash) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM approvals WHERE hash = ?1", [hash.as_bytes()])?;
        Ok(())
    }
}
