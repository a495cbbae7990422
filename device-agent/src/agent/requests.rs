//! Prompts and decisions. Every caller, whatever its face, comes through [`Agent::open`], [`Agent::approve`] and [`Agent::deny`].

use protocol::RequestId;
use protocol::entry::DenyReason;
use protocol::policy::Role;
use tokio::time::timeout;

use super::Agent;
use super::approvals::Carried;
use crate::core::view::{ApprovedView, DecisionView, RequestView};
use crate::core::{Answered, Core, Listing, Nonced, Typed, admit_subject};
use crate::error::AgentError;
use crate::limits;

impl Agent {
    /// The open requests, freshly read from the relay.
    pub(crate) async fn requests(&self) -> Result<Vec<RequestView>, AgentError> {
        self.refresh_requests().await?;
        self.core(|core| core.requests()).await?
    }

    /// Reads log and requests, so that nothing is decided on what was decided already.
    pub(crate) async fn refresh_requests(&self) -> Result<(), AgentError> {
        self.catch_up_log().await?;
        let (keys, chain, _, _) = self.place().await?;
        let before = self.core(|core| core.open_ids()).await?;
        let open = self.relay().open_requests(&keys, chain).await?;
        let own = self.relay().own_address();
        self.core(move |core| {
            core.note_address(own);
            core.take_requests(&open.requests, &Listing::All { before })
        })
        .await??;
        self.refresh_approvals().await
    }

    /// The request that a prefix names.
    pub(crate) async fn find(&self, prefix: &str) -> Result<RequestId, AgentError> {
        self.refresh_requests().await?;
        let prefix = prefix.to_owned();
        self.core(move |core| core.find(&prefix)).await?
    }

    /// Opens the prompt of a request, because a person asked for it, and waits for the new device's answer.
    pub(crate) async fn open(&self, id: RequestId) -> Result<RequestView, AgentError> {
        let mut opened = self.core(move |core| core.open_prompt(&id)).await??;
        if opened.answered == Answered::NotYet {
            opened = self.send_nonce(id, opened).await?;
        }
        if opened.answered == Answered::NotYet {
            self.wait_for_answer(id).await?;
        }
        self.core(move |core| core.view(&id)).await?
    }

    /// Sends the nonce; signs for the next round while others take ours.
    async fn send_nonce(&self, id: RequestId, mut opened: Nonced) -> Result<Nonced, AgentError> {
        loop {
            let taken = match self.relay().nonce(&opened.nonce).await {
                Ok(()) => return Ok(opened),
                Err(AgentError::Problem { code, .. }) if code == "round-taken" => opened.nonce.clone(),
                Err(AgentError::Problem { code, status, detail }) => {
                    let refused = AgentError::Problem { status, code, detail };
                    self.refresh_requests().await?;
                    return Err(self.core(move |core| core.decided(&id)).await?.unwrap_or(refused));
                }
                Err(other) => return Err(other),
            };
            self.refresh_requests().await?;
            opened = self.core(move |core| core.reopen_prompt(&id, &taken)).await??;
        }
    }

    /// Waits until the answer is kept: the session brings it, or a look at the relay.
    async fn wait_for_answer(&self, id: RequestId) -> Result<(), AgentError> {
        let mut events = self.listen();
        let looking = async {
            loop {
                self.refresh_requests().await?;
                let standing = self.core(move |core| core.open_prompt(&id)).await??;
                if standing.answered == Answered::Yes {
                    return Ok(());
                }
                let _ = timeout(limits::POLL, events.recv()).await;
            }
        };
        timeout(limits::REVEAL_WAIT, looking).await.map_err(|_| AgentError::NoAnswer { id: id.short() })?
    }

    /// Approves a request: the typed code is the approval. The third wrong one denies it.
    pub(crate) async fn approve(
        &self,
        id: RequestId,
        typed: zeroize::Zeroizing<String>,
        role: Role,
    ) -> Result<ApprovedView, AgentError> {
        self.refresh_requests().await?;
        let (typed, terms) = self
            .core(move |core| {
                core.must_agree_on_role(&id, role)?;
                core.type_code(&id, &typed).map(|typed| (typed, core.terms()))
            })
            .await??;
        match typed {
            Typed::Right(shown) => {
                let sign = move |core: &mut Core| core.admit(&shown, role, &terms);
                match self.carry_out_as_read(admit_subject(id, role), sign).await? {
                    Carried::Landed(_) => Ok(ApprovedView::Decided(Box::new(self.decision(id).await?))),
                    Carried::Proposed(proposal) => Ok(ApprovedView::Agreed(proposal)),
                }
            }
            Typed::Burned => {
                self.append_deny(id, DenyReason::WrongCode, 0).await?;
                Err(AgentError::Burned)
            }
        }
    }

    /// Lets a device in of which nothing was checked, where the policy allows it.
    pub(crate) async fn admit_unchecked(&self, id: RequestId, role: Role) -> Result<ApprovedView, AgentError> {
        let terms = self.core(|core| core.terms()).await?;
        self.append(move |core| core.admit_unchecked(&id, role, &terms)).await?;
        Ok(ApprovedView::Decided(Box::new(self.decision(id).await?)))
    }

    /// Denies a request. Where nobody here asked, the sync code has leaked: it is replaced in the same batch.
    pub(crate) async fn deny(&self, id: RequestId, reason: DenyReason, block: u32) -> Result<DecisionView, AgentError> {
        self.refresh_requests().await?;
        self.append_deny(id, reason, block).await?;
        self.decision(id).await
    }

    async fn append_deny(&self, id: RequestId, reason: DenyReason, block: u32) -> Result<(), AgentError> {
        let (device, terms) = self
            .core(move |core| {
                if let Some(decided) = core.decided(&id) {
                    return Err(decided);
                }
                Ok((core.asking_device(&id)?, core.terms()))
            })
            .await??;
        let sign = move |core: &mut Core| match reason {
            DenyReason::NotMe => core.deny_as_not_me((id, device), block, &terms),
            DenyReason::Denied | DenyReason::WrongCode => core.deny((id, device), reason, block, &terms),
        };
        self.append(sign).await.map(|_| ())
    }

    /// How a request was decided, from the pinned log.
    async fn decision(&self, id: RequestId) -> Result<DecisionView, AgentError> {
        let found = self.core(move |core| core.decision_view(&id)).await?;
        found.ok_or(AgentError::Damaged { what: "a decision is not in the log" })
    }

    /// Takes one pushed request.
    pub(crate) async fn take_request(&self, open: protocol::wire::OpenRequest) -> Result<(), AgentError> {
        let own = self.relay().own_address();
        self.core(move |core| {
            core.note_address(own);
            core.take_requests(&[open], &Listing::One)
        })
        .await??;
        self.admit_by_codes().await
    }
}
