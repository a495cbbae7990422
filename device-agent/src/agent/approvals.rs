//! What more than one approver must agree to: given, handed on through the relay, and carried out by whoever completes it.

use std::sync::Arc;

use protocol::approval::{Approval, Subject};
use protocol::cut::Removal;
use protocol::entry::{Entry, RemoveReason};
use protocol::roster::Refusal;
use protocol::signed::Verified;

use super::Agent;
use crate::core::Core;
use crate::core::view::{OutcomeView, ProposalView};
use crate::error::{AgentError, Missing};

/// How far something has come.
pub(super) enum Carried {
    /// It is in the log, at this position.
    Landed(u64),
    /// Others must agree first.
    Proposed(Box<ProposalView>),
}

/// What an approver who agrees says besides.
#[derive(Debug, Clone)]
pub(crate) struct Agreement {
    /// A prefix of the id of what is agreed to.
    pub(crate) id: String,
    /// Why devices are removed, if this approver completes it: the reason is its signer's, no part of what is agreed to.
    pub(crate) reason: RemoveReason,
    /// Risks that are taken, by name.
    pub(crate) accepted: Vec<String>,
}

impl Agent {
    /// Signs an entry and lands it, if enough approvers have agreed; else gives this device's approval to the others.
    pub(super) async fn carry_out(
        &self,
        subject: Subject,
        sign: impl Fn(&mut Core) -> Result<Vec<Verified<Entry>>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<Carried, AgentError> {
        self.refresh_approvals().await?;
        self.carry_out_as_read(subject, sign).await
    }

    /// The same where the approvals of the others were read just now.
    pub(super) async fn carry_out_as_read(
        &self,
        subject: Subject,
        sign: impl Fn(&mut Core) -> Result<Vec<Verified<Entry>>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<Carried, AgentError> {
        let subject = Arc::new(subject);
        let about = Arc::clone(&subject);
        let (since, quorum) = self.core(move |core| (core.roster().seq(), core.quorum_of(&about))).await?;
        let missing = match self.sign_or_approve(&subject, sign).await {
            Ok(seq) => return Ok(Carried::Landed(seq)),
            Err(error) => error,
        };
        let (done, proposal) =
            self.core(move |core| (core.carried_out_at(&subject, since), core.proposal(&subject))).await?;
        match (missing, done, proposal) {
            // Whatever went wrong: others may have carried it out meanwhile, and then whoever comes too late wanted just that.
            (_, Some(seq), _) if quorum > 1 => Ok(Carried::Landed(seq)),
            (AgentError::OwnRefused(Refusal::Quorum { .. }), None, Some(proposal)) => {
                Ok(Carried::Proposed(Box::new(proposal)))
            }
            (error, ..) => Err(error),
        }
    }

    async fn sign_or_approve(
        &self,
        subject: &Arc<Subject>,
        sign: impl Fn(&mut Core) -> Result<Vec<Verified<Entry>>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<u64, AgentError> {
        match self.append(sign.clone()).await {
            Err(AgentError::OwnRefused(Refusal::Quorum { .. })) => {}
            done => return done,
        }
        let about = Arc::clone(subject);
        self.core(move |core| core.approve_subject(&about)).await??;
        self.give_and_try(sign).await
    }

    /// Gives this device's approval, and looks once more. Another approver may have agreed in this moment, and have seen ours as little
    /// as we saw its own: whoever of the two was later at the relay reads both now. The log is read last, so that approvals which
    /// an entry has used up are missed together with that entry.
    async fn give_and_try(
        &self,
        sign: impl Fn(&mut Core) -> Result<Vec<Verified<Entry>>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<u64, AgentError> {
        let given = self.send_approvals().await;
        self.refresh_approvals().await?;
        self.catch_up_log().await?;
        given?;
        self.append(sign).await
    }

    pub(super) async fn outcome(&self, carried: Carried) -> Result<OutcomeView, AgentError> {
        match carried {
            Carried::Landed(seq) => Ok(OutcomeView::Changed(Box::new(self.change(seq).await?))),
            Carried::Proposed(proposal) => Ok(OutcomeView::Proposed(proposal)),
        }
    }

    /// Agrees to what another approver proposed, and carries it out if that completes it.
    pub(crate) async fn agree(&self, agreement: Agreement) -> Result<OutcomeView, AgentError> {
        self.catch_up().await?;
        self.refresh_approvals().await?;
        let Agreement { id, reason, accepted } = agreement;
        let (subject, terms) = self
            .core(move |core| {
                let subject = core.find_proposal(&id)?;
                core.must_have_a_voice(&subject)?;
                match &subject {
                    Subject::Admit(admit) => return Err(AgentError::TypeTheCode { id: admit.request.short() }),
                    Subject::Policy(policy) => core.policy_refused(policy, &accepted)?,
                    Subject::Remove(_) | Subject::Role(_) | Subject::Closing | Subject::Settle(_) => {}
                }
                Ok((subject, core.terms()))
            })
            .await??;
        let about = subject.clone();
        let sign = move |core: &mut Core| {
            if core.terms() != terms {
                return Err(AgentError::ChangedMeanwhile);
            }
            core.sign_subject(&about, reason)
        };
        let ends_fork = matches!(subject, Subject::Settle(_));
        let carried = self.carry_out_as_read(subject, sign).await?;
        if ends_fork && matches!(carried, Carried::Landed(_)) {
            self.give_what_the_branch_has().await;
        }
        self.outcome(carried).await
    }

    /// Proposes a removal that several must agree to, or completes one.
    pub(super) async fn propose_removal(
        &self,
        removals: Vec<Removal>,
        reason: RemoveReason,
    ) -> Result<OutcomeView, AgentError> {
        let about = removals.clone();
        let sign = move |core: &mut Core| core.sign_removal(about.clone(), reason);
        let carried = self.carry_out(Subject::Remove(removals), sign).await?;
        self.outcome(carried).await
    }

    /// What approvers have agreed to and is not carried out.
    pub(crate) async fn proposals(&self) -> Result<Vec<ProposalView>, AgentError> {
        self.refresh_requests().await?;
        self.core(|core| core.proposals()).await
    }

    /// One of them, by a prefix of its id.
    pub(crate) async fn proposal(&self, prefix: String) -> Result<ProposalView, AgentError> {
        self.catch_up().await?;
        self.refresh_approvals().await?;
        let view = self.core(move |core| core.find_proposal(&prefix).map(|subject| core.proposal(&subject))).await??;
        view.ok_or(AgentError::NotFound { of: Missing::Proposal, what: "a proposal of this id".to_owned() })
    }

    /// Reads the approvals of the others. Where one approver suffices there are none.
    pub(crate) async fn refresh_approvals(&self) -> Result<(), AgentError> {
        if self.core(|core| core.roster().policy().quorums.most() <= 1).await? {
            return Ok(());
        }
        let (keys, chain, _, _) = self.place().await?;
        let kept = self.relay().approvals(&keys, chain).await?;
        for approval in kept.approvals {
            self.take_approval(approval.0).await?;
        }
        Ok(())
    }

    /// Takes one approval. One that does not verify is no approver's word: it is passed over.
    pub(crate) async fn take_approval(&self, bytes: Vec<u8>) -> Result<(), AgentError> {
        match self.core(move |core| core.take_approval(&bytes)).await? {
            Err(AgentError::BadForm(error)) => {
                tracing::warn!("an approval from the relay is passed over: {error}");
                Ok(())
            }
            done => done,
        }
    }

    /// Sends own approvals that the relay has not taken, always the same bytes.
    pub(crate) async fn send_approvals(&self) -> Result<(), AgentError> {
        let unsent: Vec<Verified<Approval>> = self.core(|core| core.unsent_approvals()).await??;
        for approval in unsent {
            let hash = approval.hash();
            match self.relay().approve(&approval).await {
                Ok(()) => self.core(move |core| core.store().approval_sent(&hash)).await??,
                Err(AgentError::Problem { status: status @ (400..=428 | 430..=499), code, detail }) => {
                    self.core(move |core| core.give_up_approval(&hash)).await??;
                    return Err(AgentError::Problem { status, code, detail });
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}
