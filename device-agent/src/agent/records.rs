//! Writing and reading records through the relay.

use protocol::wire::SealedRecord;

use super::Agent;
use super::refill::Refilled;
use crate::core::Draft;
use crate::core::view::ItemView;
use crate::error::AgentError;
use crate::limits;

impl Agent {
    /// Writes one record; when this returns, the relay has it durably.
    pub(crate) async fn write(&self, draft: Draft) -> Result<(), AgentError> {
        self.catch_up().await?;
        let _turn = self.shared.writing.lock().await;
        // Whoever wrote while we waited may have left a record that the relay has or will get: ours comes after it.
        self.flush_staged_records().await?;
        let mut tries = 1;
        loop {
            let drafted = draft.clone();
            let sealed = self.core(move |core| core.write(&drafted)).await??;
            match self.send(sealed).await {
                Err(AgentError::Problem { code, .. })
                    if tries < limits::WRITE_TRIES && matches!(code.as_str(), "unknown-head" | "stale-epoch") =>
                {
                    tries += 1;
                    self.catch_up_log().await?;
                }
                // Our own line is beyond the relay's, or it lacks the version that is replaced: it lost something.
                Err(AgentError::Problem { status, code, detail })
                    if tries < limits::WRITE_TRIES && matches!(code.as_str(), "broken-line" | "conflict") =>
                {
                    tries += 1;
                    if self.refill_records().await? == Refilled::Nothing {
                        return Err(AgentError::Problem { status, code, detail });
                    }
                }
                done => return done,
            }
        }
    }

    /// Sends own records that were kept but not acknowledged, with the same bytes.
    pub(crate) async fn flush_records(&self) -> Result<(), AgentError> {
        let _turn = self.shared.writing.lock().await;
        self.flush_staged_records().await
    }

    pub(super) async fn flush_staged_records(&self) -> Result<(), AgentError> {
        for sealed in self.core(|core| core.staged_records()).await?? {
            match self.send(sealed).await {
                Ok(()) => {}
                Err(AgentError::Problem { code, .. }) => {
                    tracing::warn!(code, "a record that was written earlier is refused by the relay");
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Sends a kept record. A refusal for good destroys it: its counter is free again.
    pub(super) async fn send(&self, sealed: SealedRecord) -> Result<(), AgentError> {
        match self.relay().put(vec![sealed.clone()]).await {
            Ok(_) => {
                self.core(move |core| core.take_record(&sealed)).await??;
                Ok(())
            }
            Err(AgentError::Problem { status, code, detail }) if status < 500 && status != 429 => {
                self.core(|core| core.drop_staged_records()).await??;
                Err(AgentError::Problem { status, code, detail })
            }
            Err(other) => Err(other),
        }
    }

    /// The current content of an item.
    pub(crate) async fn item(&self, collection: String, id: String) -> Result<ItemView, AgentError> {
        let found = self.core(move |core| core.item(&collection, &id)).await??;
        found.ok_or_else(|| AgentError::NotFound { what: "this record".to_owned() })
    }
}
