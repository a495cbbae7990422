//! One-time codes that came with requests: what became of each, and how many were wrong in total.

use protocol::RequestId;
use rusqlite::{OptionalExtension as _, params};

use super::{Store, signed, unsigned};
use crate::error::AgentError;

/// What became of the one-time code of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeVerdict {
    /// It was right, of a step that was not used.
    Right,
    /// It was right, and had let a device in before.
    Used,
    /// It was wrong.
    Wrong,
    /// There was none.
    Missing,
}

impl CodeVerdict {
    /// Its stable name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Used => "used",
            Self::Wrong => "wrong",
            Self::Missing => "missing",
        }
    }

    fn read(name: &str) -> Result<Self, AgentError> {
        let all = [Self::Right, Self::Used, Self::Wrong, Self::Missing];
        let found = all.into_iter().find(|verdict| verdict.name() == name);
        found.ok_or(AgentError::Damaged { what: "a one-time code has no verdict that is known" })
    }
}

impl Store {
    /// What became of the code of a request, if it was looked at.
    pub(crate) fn code_verdict(&self, request: &RequestId) -> Result<Option<CodeVerdict>, AgentError> {
        let mut query = self.db.prepare_cached("SELECT verdict FROM totp_checks WHERE request = ?1")?;
        let name: Option<String> = query.query_row([request.as_bytes()], |row| row.get(0)).optional()?;
        name.map(|name| CodeVerdict::read(&name)).transpose()
    }

    /// Keeps what became of a code, once for each request; a failed one counts from then on. Returns how many have failed.
    pub(crate) fn keep_verdict(
        &mut self,
        request: &RequestId,
        verdict: CodeVerdict,
        now: u64,
    ) -> Result<u64, AgentError> {
        let counts = matches!(verdict, CodeVerdict::Used | CodeVerdict::Wrong);
        self.db.execute(
            "INSERT OR IGNORE INTO totp_checks (request, verdict, counts, checked_at) VALUES (?1, ?2, ?3, ?4)",
            params![request.as_bytes(), verdict.name(), counts, signed(now)],
        )?;
        self.failed_codes()
    }

    /// Codes that failed since the owner last unlocked.
    pub(crate) fn failed_codes(&self) -> Result<u64, AgentError> {
        let mut query = self.db.prepare_cached("SELECT count(*) FROM totp_checks WHERE counts")?;
        Ok(unsigned(query.query_row([], |row| row.get(0))?))
    }

    /// The owner lets codes be compared again.
    pub(crate) fn unlock_codes(&self) -> Result<(), AgentError> {
        self.db.execute("UPDATE totp_checks SET counts = 0", [])?;
        Ok(())
    }

    /// Forgets what nobody asks for any more. What counts stays.
    pub(crate) fn forget_verdicts(&self, before: u64) -> Result<(), AgentError> {
        self.db.execute("DELETE FROM totp_checks WHERE checked_at < ?1 AND NOT counts", [signed(before)])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_codes_are_counted_once_for_each_request_until_the_owner_unlocks() {
        let mut store = Store::in_memory();
        assert_eq!(store.keep_verdict(&RequestId([1; 32]), CodeVerdict::Wrong, 100).unwrap(), 1);
        assert_eq!(store.keep_verdict(&RequestId([1; 32]), CodeVerdict::Wrong, 100).unwrap(), 1);
        assert_eq!(store.keep_verdict(&RequestId([2; 32]), CodeVerdict::Missing, 100).unwrap(), 1);
        assert_eq!(store.keep_verdict(&RequestId([3; 32]), CodeVerdict::Used, 100).unwrap(), 2);
        store.forget_verdicts(200).unwrap();
        assert_eq!(store.failed_codes().unwrap(), 2);
        assert_eq!(store.code_verdict(&RequestId([2; 32])).unwrap(), None);
        assert_eq!(store.code_verdict(&RequestId([1; 32])).unwrap(), Some(CodeVerdict::Wrong));
        store.unlock_codes().unwrap();
        assert_eq!(store.failed_codes().unwrap(), 0);
        assert_eq!(store.code_verdict(&RequestId([1; 32])).unwrap(), Some(CodeVerdict::Wrong));
    }
}
