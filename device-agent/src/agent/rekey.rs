//! Writing items of old epochs anew, a step at a time, while others write.

use super::Agent;
use crate::core::view::RekeyView;
use crate::error::AgentError;

impl Agent {
    /// One step of a pass, after a place; the first begins at 0.
    pub(crate) async fn rekey(&self, after: u64) -> Result<RekeyView, AgentError> {
        if after == 0 {
            self.catch_up().await?;
        }
        let mut step = self.core(move |core| core.rekey_step(after)).await??;
        let _turn = self.shared.writing.lock().await;
        for version in step.old {
            let Some(number) = self.core(move |core| core.queue_anew(&version)).await?? else {
                step.view.overtaken += 1;
                continue;
            };
            match self.send_now(number).await {
                Ok(()) => step.view.written += 1,
                // Somebody else wrote it meanwhile: under the current keys.
                Err(AgentError::Problem { code, .. }) if code == "conflict" => step.view.overtaken += 1,
                Err(other) => return Err(other),
            }
        }
        Ok(step.view)
    }
}
