//! The policy, over the network.

use protocol::approval::Subject;

use super::Agent;
use crate::core::PolicyWish;
use crate::core::view::{OutcomeView, PolicyPlanView, PolicyView};
use crate::error::AgentError;

impl Agent {
    /// The policy in force.
    pub(crate) async fn policy(&self) -> Result<PolicyView, AgentError> {
        self.core(|core| core.policy_view()).await
    }

    /// What a change of the policy would come to. Nothing is changed.
    pub(crate) async fn policy_plan(&self, wish: PolicyWish) -> Result<PolicyPlanView, AgentError> {
        self.catch_up_log().await?;
        self.core(move |core| core.policy_plan(&wish)).await?
    }

    /// Changes the policy that was shown: it is signed again by itself only as long as that one is in force.
    pub(crate) async fn set_policy(&self, wish: PolicyWish, base: u64) -> Result<OutcomeView, AgentError> {
        self.catch_up_log().await?;
        let policy = self
            .core(move |core| {
                let policy = core.wished(&wish)?;
                core.policy_refused(&policy, &wish.accepted)?;
                Ok::<_, AgentError>(policy)
            })
            .await??;
        let subject = Subject::Policy(Box::new(policy.clone()));
        let carried = self.carry_out(subject, move |core| core.change_policy(&policy, base)).await?;
        self.outcome(carried).await
    }
}
