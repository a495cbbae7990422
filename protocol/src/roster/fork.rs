//! The end of a fork: what the branch that goes on must carry, and what the one that is abandoned asks before it gives way.

use super::{Refusal, Roster};
use crate::approval::{SettleSubject, Subject};
use crate::entry::{Body, Entry, Settle};
use crate::id::{DeviceId, Hash};
use crate::signed::Verified;

impl Roster {
    pub(super) fn settle(&mut self, entry: &Verified<Entry>, settle: &Settle) -> Result<(), Refusal> {
        if self.position(&settle.abandoned).is_some() {
            return Err(Refusal::NotAbandoned);
        }
        self.check_rotation(entry, &settle.rotation, &[])?;
        let subject = Subject::Settle(SettleSubject { abandoned: settle.abandoned });
        // It can undo whatever any quorum decided.
        self.check_approvals(entry, self.policy.quorums.most(), &subject)?;
        self.begin_epoch(entry, &settle.rotation);
        self.abandoned.insert(settle.abandoned, voices(entry));
        Ok(())
    }

    /// Whether this log hears those who signed a `settle` of another branch, and agreed to it. It is asked of the branch that is to be
    /// abandoned, by the relay that has it and by each device that pinned it: a branch can settle upon itself whatever it likes.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: the signer, or one that agreed, is no approver here; this chain is closed; or they are fewer than the highest quorum here.
    pub fn gives_way_to(&self, settle: &Verified<Entry>) -> Result<(), Refusal> {
        if !matches!(settle.body, Body::Settle(_)) {
            return Err(Refusal::NotAbandoned);
        }
        self.hears(&voices(settle))
    }

    /// Whether this log goes on all the same, since both branches settled upon themselves and each hears the other: then the one goes on
    /// whose first entry has the smaller hash, or devices would go to and fro. `own` and `first` are the first entries of this branch and of
    /// the other one.
    #[must_use]
    pub fn goes_on_beside(&self, other: &Self, own: &Hash, first: &Hash) -> bool {
        own < first && self.abandoned.get(first).is_some_and(|voices| other.hears(voices).is_ok())
    }

    fn hears(&self, voices: &[DeviceId]) -> Result<(), Refusal> {
        let signer = voices.first().ok_or(Refusal::NotAMember)?;
        if self.member(signer).is_none() {
            return Err(Refusal::NotAMember);
        }
        if self.approver(signer).is_none() {
            return Err(Refusal::NotAnApprover);
        }
        if self.is_closed() {
            return Err(Refusal::ChainClosed);
        }
        let (needed, got) = (usize::from(self.policy.quorums.most()).saturating_sub(1), voices.len() - 1);
        if got < needed {
            return Err(Refusal::Quorum { needed, got });
        }
        match voices.iter().skip(1).position(|agreed| self.approver(agreed).is_none()) {
            Some(index) => Err(Refusal::ApprovalVoid { index }),
            None => Ok(()),
        }
    }
}

/// Who signed an entry, and then who agreed to it.
fn voices(entry: &Verified<Entry>) -> Vec<DeviceId> {
    let agreed = entry.evidence().approvals().iter().map(|approval| approval.signer());
    core::iter::once(entry.signer()).chain(agreed).collect()
}
