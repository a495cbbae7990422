//! Ending a fork: what this device signs so that one branch goes on, and what it asks before it gives its own up.

use std::collections::BTreeMap;

use protocol::approval::{Approval, SettleSubject, Subject};
use protocol::cbor::Blob;
use protocol::entry::{Body, Entry};
use protocol::keyring::Acting;
use protocol::roster::Roster;
use protocol::signed::Verified;
use protocol::{DeviceId, Hash, change};

use super::forks::{Branch, nothing, within};
use super::replay::replay_verified;
use super::view::ProposalView;
use super::{Core, keys};
use crate::clock;
use crate::error::AgentError;

/// Which branch goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The one that is pinned here.
    Pinned,
    /// The other one.
    Other,
}

/// A fork, looked at from the branch that is to go on.
struct Choice<'a> {
    goes_on: &'a Roster,
    given_up: &'a Roster,
    abandoned: Hash,
}

impl Core {
    /// Signs and keeps that the pinned branch goes on: the batch that takes the other one's place at a relay. `heard` are approvals that
    /// the relay hands on.
    pub(crate) fn settle_here(
        &mut self,
        branch: &Branch,
        heard: &[Verified<Approval>],
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        let choice = self.choice(branch, Keep::Pinned)?;
        self.must_hold_keys()?;
        let (abandoned, approvals) = (choice.abandoned, self.consents(&choice, heard));
        let own = self.after(branch.common).to_vec();
        let staged = self.staged()?;
        // What was signed before this process ended is repeated.
        let same = |entry: &&Verified<Entry>| {
            entry.prev == Some(self.roster.head())
                && matches!(&entry.body, Body::Settle(settle) if settle.abandoned == abandoned && settle.approvals == approvals)
        };
        let settle = match staged.first().filter(same) {
            Some(settle) => settle.clone(),
            None => sign(self.acting(), abandoned, approvals)?,
        };
        self.roster.clone().apply(&settle).map_err(AgentError::OwnRefused)?;
        let entries = within(own.into_iter().chain([settle.clone()]).collect())?;
        // Only what is sent: a settle that no relay takes would lie here until the next one, and go there by itself.
        self.store.stage_entries(std::slice::from_ref(&settle))?;
        Ok(entries)
    }

    /// Signs that the other branch goes on. This device follows it once the relay has that.
    pub(crate) fn settle_there(
        &mut self,
        branch: &Branch,
        heard: &[Verified<Approval>],
    ) -> Result<(Branch, Vec<Verified<Entry>>), AgentError> {
        let choice = self.choice(branch, Keep::Other)?;
        let base = replay_verified(self.up_to(branch.common))?;
        let known = self.keyring.epoch_key_of(base.epoch()).unwrap_or(self.keyring.epoch_key());
        let log: Vec<_> = self.up_to(branch.common).iter().chain(&branch.entries).cloned().collect();
        let (keyring, unopened) = keys::open(&log, &branch.roster, &self.keys, known)?;
        if unopened.is_some() {
            return Err(AgentError::Lie { what: "the keys of the other branch do not open here".to_owned() });
        }
        let acting = Acting { keys: &self.keys, roster: &branch.roster, keyring: &keyring };
        let settle = sign(acting, choice.abandoned, self.consents(&choice, heard))?;
        let roster = branch.roster.clone().apply(&settle).map_err(AgentError::OwnRefused)?;
        let entries: Vec<_> = branch.entries.iter().cloned().chain([settle]).collect();
        Ok((Branch { common: branch.common, entries: entries.clone(), roster }, within(entries)?))
    }

    /// Signs and keeps that the pinned log goes on, as another approver proposed who stands on the branch that is given up. This device
    /// need not have seen that: nothing of its own log changes but the epoch.
    pub(super) fn settle_as_agreed(&mut self, settle: SettleSubject) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.must_hold_keys()?;
        let approvals = self.approvals_for(&Subject::Settle(settle));
        let entry = sign(self.acting(), settle.abandoned, approvals)?;
        self.stage(vec![entry])
    }

    /// Signs that this device agrees, for another approver who settles. It is kept nowhere here: the same command signs the same bytes.
    pub(crate) fn agree_to_settle(&self, branch: &Branch, keep: Keep) -> Result<Verified<Approval>, AgentError> {
        let choice = self.choice(branch, keep)?;
        let acting = Acting { keys: &self.keys, roster: choice.goes_on, keyring: &self.keyring };
        change::approve(acting, subject(choice.abandoned)).map_err(AgentError::OwnForm)
    }

    /// How far that has come.
    pub(crate) fn settle_proposal(
        &self,
        branch: &Branch,
        keep: Keep,
        heard: &[Verified<Approval>],
    ) -> Result<ProposalView, AgentError> {
        let choice = self.choice(branch, keep)?;
        let counting: Vec<_> = heard.iter().filter(|it| choice.goes_on.counts(it, &it.signer())).cloned().collect();
        Ok(self.view_of(&subject(choice.abandoned), &counting))
    }

    /// What is chosen, if this device is an approver of both branches, and no fewer approvers are asked for than the branch that is given
    /// up asks for.
    fn choice<'a>(&'a self, branch: &'a Branch, keep: Keep) -> Result<Choice<'a>, AgentError> {
        let own_first = self.after(branch.common).first().map(Verified::hash);
        let other_first = branch.entries.first().map(Verified::hash);
        let (goes_on, given_up, abandoned) = match keep {
            Keep::Pinned => (&self.roster, &branch.roster, other_first),
            Keep::Other => (&branch.roster, &self.roster, own_first),
        };
        let approves = |roster: &Roster| roster.approver(&self.keys.id()).is_some();
        if !approves(goes_on) || !approves(given_up) {
            return Err(AgentError::MayNotSettle);
        }
        if goes_on.policy().quorums.most() < given_up.policy().quorums.most() {
            return Err(AgentError::BranchAsksForMore);
        }
        Ok(Choice { goes_on, given_up, abandoned: abandoned.ok_or_else(nothing)? })
    }

    /// As many approvals of others as the branch that goes on asks for, by approvers of both.
    fn consents(&self, choice: &Choice<'_>, heard: &[Verified<Approval>]) -> Vec<Blob> {
        let needed = usize::from(choice.goes_on.policy().quorums.most()).saturating_sub(1);
        let wanted = subject(choice.abandoned);
        let others: BTreeMap<DeviceId, &Verified<Approval>> = heard
            .iter()
            .filter(|approval| approval.subject == wanted && approval.signer() != self.keys.id())
            .filter(|approval| choice.goes_on.counts(approval, &approval.signer()))
            .filter(|approval| choice.given_up.approver(&approval.signer()).is_some())
            .map(|approval| (approval.signer(), approval))
            .collect();
        others.values().take(needed).map(|approval| Blob(approval.bytes().to_vec())).collect()
    }

    /// Whether another branch was settled upon by those who could: it names the first entry of the pinned one that it leaves, and the
    /// pinned log gives way to it. A removed device settles nothing.
    pub(crate) fn is_settled_upon(&self, branch: &Branch) -> bool {
        let own = self.after(branch.common).first().map(Verified::hash);
        let (Some(own), Some(other)) = (own, branch.entries.first().map(Verified::hash)) else { return false };
        branch.entries.iter().any(|entry| {
            matches!(&entry.body, Body::Settle(settle) if settle.abandoned == own)
                && self.roster.gives_way_to(entry).is_ok()
        }) && !self.roster.goes_on_beside(&branch.roster, &own, &other)
    }
}

fn subject(abandoned: Hash) -> Subject {
    Subject::Settle(SettleSubject { abandoned })
}

fn sign(acting: Acting<'_>, abandoned: Hash, approvals: Vec<Blob>) -> Result<Verified<Entry>, AgentError> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    change::settle(acting, abandoned, approvals, clock::now(), &mut rng).map_err(AgentError::OwnForm)
}
