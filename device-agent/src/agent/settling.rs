//! Ending a fork: seeing both branches, letting one go on at the relay, and following where an approver of both has done so.

use protocol::approval::Approval;
use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::roster::Refusal;
use protocol::signed::Verified;
use protocol::wire::Purpose;

use super::Agent;
use crate::core::view::{ForkView, OutcomeView};
use crate::core::{Branch, Keep, Shown};
use crate::error::{AgentError, Missing};

impl Agent {
    /// Both branches, the other one as far as the relay shows it.
    pub(crate) async fn fork(&self) -> Result<ForkView, AgentError> {
        let branch = self.other_branch().await?;
        self.core(move |core| core.fork_view(&branch)).await
    }

    /// Lets the branch go on whose first entry a prefix names, or agrees to that where several approvers must.
    pub(crate) async fn settle(&self, keep: String) -> Result<OutcomeView, AgentError> {
        let appending = self.shared.appending.lock().await;
        let branch = self.other_branch().await?;
        let shown = branch.clone();
        let view = self.core(move |core| core.fork_view(&shown)).await?;
        let wanted = keep.trim().to_ascii_lowercase();
        let named = |first: &str| wanted.len() >= 4 && first.starts_with(&wanted);
        let keep = match (named(&view.pinned.first), named(&view.other.first)) {
            (true, false) => Keep::Pinned,
            (false, true) => Keep::Other,
            _ => {
                return Err(AgentError::NotFound {
                    of: Missing::Other,
                    what: format!("one branch that begins with {}", crate::text::quote(&keep)),
                });
            }
        };
        let seq = match self.keep(&branch, keep).await {
            Err(AgentError::OwnRefused(Refusal::Quorum { .. })) => {
                let about = branch.clone();
                let approval = self.core(move |core| core.agree_to_settle(&about, keep)).await??;
                self.relay().approve(&approval).await?;
                // Another approver may have agreed in this moment: whoever of the two was later at the relay reads both now.
                match self.keep(&branch, keep).await {
                    Err(AgentError::OwnRefused(Refusal::Quorum { .. })) => {
                        let heard = self.heard().await?;
                        let proposal = self.core(move |core| core.settle_proposal(&branch, keep, &heard)).await??;
                        return Ok(OutcomeView::Proposed(Box::new(proposal)));
                    }
                    done => done?,
                }
            }
            done => done?,
        };
        drop(appending);
        self.give_what_the_branch_has().await;
        self.shared.outbox.notify_one();
        Ok(OutcomeView::Changed(Box::new(self.change(seq).await?)))
    }

    /// Before anybody else does: whoever stood on the other branch writes anew what it had there, and could come first in the place of what
    /// only this device has. What cannot be done now is owed.
    pub(super) async fn give_what_the_branch_has(&self) {
        if let Err(error) = self.refill_if_owed().await {
            tracing::info!(%error, "the relay has not got the records of the branch that goes on yet");
        }
    }

    async fn keep(&self, branch: &Branch, keep: Keep) -> Result<u64, AgentError> {
        let heard = self.heard().await?;
        match keep {
            Keep::Pinned => self.keep_pinned(branch.clone(), heard).await,
            Keep::Other => self.keep_other(branch.clone(), heard).await,
        }
    }

    /// What approvers of either branch agreed to, as the relay hands it on. Those of the other branch count on that one only, so they are
    /// not kept with those of the pinned log.
    async fn heard(&self) -> Result<Vec<Verified<Approval>>, AgentError> {
        let (keys, chain, _, _) = self.place().await?;
        let kept = self.relay().approvals(&keys, chain).await?;
        Ok(kept.approvals.iter().filter_map(|approval| Verified::from_bytes(&approval.0).ok()).collect())
    }

    async fn keep_pinned(&self, branch: Branch, heard: Vec<Verified<Approval>>) -> Result<u64, AgentError> {
        let entries = self.core(move |core| core.settle_here(&branch, &heard)).await??;
        match self.replace_branch(&entries, Purpose::New).await {
            Ok(()) => {
                let blobs: Vec<Blob> = bytes(&entries).into_iter().map(Blob).collect();
                self.core(move |core| core.take_entries(&blobs)).await??;
                self.core(|core| core.roster().seq()).await
            }
            Err(refused @ AgentError::Problem { .. }) => {
                let last = entries.last().map(Verified::hash);
                if let (Some(last), AgentError::Problem { status: ..500, .. }) = (last, &refused) {
                    self.core(move |core| core.store().unstage_entries(&last)).await??;
                }
                Err(refused)
            }
            Err(other) => Err(other),
        }
    }

    async fn keep_other(&self, branch: Branch, heard: Vec<Verified<Approval>>) -> Result<u64, AgentError> {
        let (branch, entries) = self.core(move |core| core.settle_there(&branch, &heard)).await??;
        self.replace_branch(&entries, Purpose::New).await?;
        self.core(move |core| core.go_over(branch)).await??;
        self.core(|core| core.roster().seq()).await
    }

    async fn other_branch(&self) -> Result<Branch, AgentError> {
        // What an approver of both settled meanwhile is no fork any more.
        if self.core(|core| core.fork().is_none()).await? {
            match self.catch_up_log().await {
                Ok(()) => return Err(no_fork()),
                Err(AgentError::Fork { .. } | AgentError::Forked) => {}
                Err(other) => return Err(other),
            }
        }
        if self.follow_settled().await? {
            return Err(no_fork());
        }
        if let Ok(Shown::Other(branch)) = self.shown_at_fork().await {
            return Ok(*branch);
        }
        self.core(|core| core.kept_branch()).await??.ok_or_else(no_fork)
    }

    /// What the relay has after the last entry that both branches have.
    async fn shown_at_fork(&self) -> Result<Shown, AgentError> {
        let Some(seq) = self.core(|core| core.fork_seq()).await? else { return Ok(Shown::Nothing) };
        self.shown_after(seq - 1).await
    }

    async fn shown_after(&self, common: u64) -> Result<Shown, AgentError> {
        let (mut after, mut shown) = (common, Vec::new());
        loop {
            let (keys, chain, _, _) = self.place().await?;
            let page = self.relay().log(&keys, chain, Some(after)).await?;
            let count = page.entries.len() as u64;
            shown.extend(page.entries);
            after += count;
            if count == 0 || after >= page.seq {
                return self.core(move |core| core.read_shown(&shown)).await?;
            }
        }
    }

    /// Whether the fork that this device knows of is over: an approver of both branches settled it, and this device followed.
    pub(super) async fn follow_settled(&self) -> Result<bool, AgentError> {
        match self.shown_at_fork().await {
            Ok(Shown::Other(branch)) => self.go_over_if_settled(*branch).await,
            // The pinned branch goes on: with the settle, if it names what this device has as evidence.
            Ok(Shown::Pinned) => {
                self.take_what_follows().await?;
                self.core(|core| core.fork().is_none()).await
            }
            Ok(Shown::Nothing) | Err(AgentError::Unreachable { .. } | AgentError::Problem { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Goes over to a branch that an approver of both settled upon.
    pub(super) async fn go_over_if_settled(&self, branch: Branch) -> Result<bool, AgentError> {
        let looked_at = branch.clone();
        if !self.core(move |core| core.is_settled_upon(&looked_at)).await? {
            return Ok(false);
        }
        self.owe_refill().await?;
        self.core(move |core| core.go_over(branch)).await??;
        Ok(true)
    }

    /// The same where the fork is met only now: an alarm is for one that nobody settled.
    pub(super) async fn is_settled_from(&self, common: u64) -> Result<bool, AgentError> {
        match self.shown_after(common).await? {
            Shown::Other(branch) => self.go_over_if_settled(*branch).await,
            Shown::Pinned | Shown::Nothing => Ok(false),
        }
    }

    async fn take_what_follows(&self) -> Result<(), AgentError> {
        let (keys, chain, _, seq) = self.place().await?;
        let page = self.relay().log(&keys, chain, Some(seq)).await?;
        self.core(move |core| core.take_settle(&page.entries)).await?
    }

    /// Brings a relay that still has an abandoned branch to this one.
    pub(super) async fn replace_at_relay(&self, common: u64) -> Result<(), AgentError> {
        let entries = self.core(move |core| core.replacement(common)).await??;
        self.replace_branch(&entries, Purpose::Heal).await
    }

    /// Sends a branch that takes the place of the relay's. With that one its records go there, and those of this one are owed: noted
    /// before it is sent, or a lost answer would leave the relay without them, and again after it, in case that a refill which ran
    /// meanwhile found nothing to give.
    async fn replace_branch(&self, entries: &[Verified<Entry>], purpose: Purpose) -> Result<(), AgentError> {
        self.owe_refill().await?;
        self.relay().append(bytes(entries), purpose).await?;
        self.owe_refill().await
    }
}

fn bytes(entries: &[Verified<Entry>]) -> Vec<Vec<u8>> {
    entries.iter().map(|entry| entry.bytes().to_vec()).collect()
}

fn no_fork() -> AgentError {
    AgentError::NotFound { of: Missing::Other, what: "a fork that this device knows of".to_owned() }
}
