//! One-time codes, over the network: the secret in the policy, and admissions that a right code makes.

use protocol::approval::Subject;
use protocol::policy::{Policy, TotpMode};
use zeroize::Zeroizing;

use super::Agent;
use crate::core::CodeRight;
use crate::core::view::{NewSecretView, OutcomeView};
use crate::error::AgentError;

impl Agent {
    /// A new secret, for an authenticator. It is in force only once a code of it was typed back.
    pub(crate) async fn new_secret(&self, mode: TotpMode) -> Result<NewSecretView, AgentError> {
        self.catch_up_log().await?;
        self.core(move |core| core.draw_secret(mode)).await?
    }

    /// Puts a secret in force whose code was typed back.
    pub(crate) async fn set_secret(
        &self,
        secret: Zeroizing<String>,
        typed: Zeroizing<String>,
        mode: TotpMode,
    ) -> Result<OutcomeView, AgentError> {
        self.catch_up_log().await?;
        let policy = self.core(move |core| core.policy_with_secret(&secret, &typed, mode)).await??;
        self.replace_policy(policy).await
    }

    /// Ends one-time codes.
    pub(crate) async fn end_secret(&self) -> Result<OutcomeView, AgentError> {
        self.catch_up_log().await?;
        let policy = self.core(|core| core.policy_without_secret()).await??;
        self.replace_policy(policy).await
    }

    async fn replace_policy(&self, policy: Policy) -> Result<OutcomeView, AgentError> {
        let about = policy.clone();
        let base =
            self.core(move |core| core.policy_refused(&about, &[]).map(|()| core.roster().policy_seq())).await??;
        let subject = Subject::Policy(Box::new(policy.clone()));
        let carried = self.carry_out(subject, move |core| core.change_policy(&policy, base)).await?;
        self.outcome(carried).await
    }

    /// Admits what came with a right code, if this device does so. Another device may be faster: then there is nothing to do.
    pub(super) async fn admit_by_codes(&self) -> Result<(), AgentError> {
        while let Some(right) = self.core(|core| core.take_code_right()).await? {
            let (id, sent): (_, CodeRight) = (right.id(), right.clone());
            match self.append(move |core| core.admit_by_right_code(&sent)).await {
                Ok(_) => {}
                Err(error @ (AgentError::Decided { .. } | AgentError::Withdrawn | AgentError::Expired)) => {
                    tracing::info!(%error, request = id.short(), "a right one-time code was not needed any more");
                }
                Err(error @ (AgentError::Unreachable { .. } | AgentError::Problem { status: 429 | 500.., .. })) => {
                    self.core(move |core| core.put_back(right)).await?;
                    return Err(error);
                }
                Err(error) => {
                    let why = error.to_string();
                    self.core(move |core| core.tell_failure(&id, &why)).await?;
                }
            }
        }
        Ok(())
    }
}
