//! Another recovery device, over the network.

use protocol::code::RecoveryCode;

use super::Agent;
use crate::core::RecoveryView;
use crate::error::AgentError;

impl Agent {
    /// Puts the device that follows from these words in the place of the recovery device. When this returns, the log has it.
    pub(crate) async fn replace_recovery(&self, code: RecoveryCode) -> Result<RecoveryView, AgentError> {
        self.catch_up_log().await?;
        let before = self.core(|core| core.recovery_device()).await?;
        let keys = code.keys();
        // The words were on paper before this was asked for: the same ones asked for again have landed.
        if before != Some(keys.id()) {
            let signing = keys.clone();
            self.append(move |core| core.replace_recovery(&signing, before)).await?;
        }
        let recovery = self.core(|core| core.recovery()).await??;
        recovery.ok_or(AgentError::Damaged { what: "a new recovery device is not in the log" })
    }
}
