//! Writing items of old epochs anew, a step at a time, while others write.

use protocol::Hash;

use super::Agent;
use crate::core::view::RekeyView;
use crate::error::AgentError;
use crate::limits;

/// What became of one item.
enum Fate {
    Written,
    /// Somebody else wrote it meanwhile, or it is of the current epoch.
    Overtaken,
}

impl Agent {
    /// One step of a pass, after a place; the first begins at 0.
    pub(crate) async fn rekey(&self, after: u64) -> Result<RekeyView, AgentError> {
        if after == 0 {
            self.catch_up().await?;
        }
        let mut step = self.core(move |core| core.rekey_step(after)).await??;
        let _turn = self.shared.writing.lock().await;
        self.flush_staged_records().await?;
        for version in step.old {
            match self.rekey_one(version).await? {
                Fate::Written => step.view.written += 1,
                Fate::Overtaken => step.view.overtaken += 1,
            }
        }
        Ok(step.view)
    }

    async fn rekey_one(&self, version: Hash) -> Result<Fate, AgentError> {
        let mut tries = 1;
        loop {
            let Some(sealed) = self.core(move |core| core.write_anew(&version)).await?? else {
                return Ok(Fate::Overtaken);
            };
            match self.send(sealed).await {
                Ok(()) => return Ok(Fate::Written),
                Err(AgentError::Problem { code, .. })
                    if tries < limits::WRITE_TRIES && matches!(code.as_str(), "unknown-head" | "stale-epoch") =>
                {
                    self.catch_up_log().await?;
                }
                Err(AgentError::Problem { code, .. })
                    if tries < limits::WRITE_TRIES && matches!(code.as_str(), "broken-line" | "conflict") =>
                {
                    self.meet_records().await?;
                }
                Err(other) => return Err(other),
            }
            tries += 1;
        }
    }
}
