//! The end of a fork: what the branch that goes on must carry, and what the one that is abandoned asks before it gives way.

use super::{Refusal, Roster};
use crate::approval::{SettleSubject, Subject};
use crate::entry::{Body, Entry, Settle};
use crate::id::Hash;
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
        self.abandoned.insert(settle.abandoned);
        Ok(())
    }

    /// Whether this log gives way to a branch whose entries were verified, which begins with `other` and has this `settle`. It is asked of
    /// the branch that is abandoned, by the relay that has it and by each device that pinned it: a branch can settle upon itself
    /// whatever it likes.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: whoever signed it, or agreed to it, is no approver here; or they are fewer than the highest quorum here; or each of the
    /// two branches settled upon itself, and this one begins with the smaller hash.
    pub fn gives_way_to(&self, settle: &Verified<Entry>, other: &Hash) -> Result<(), Refusal> {
        let Body::Settle(body) = &settle.body else { return Err(Refusal::NotAbandoned) };
        let signer = self.member(&settle.signer()).ok_or(Refusal::NotAMember)?;
        if self.approver(&signer.device.signing).is_none() {
            return Err(Refusal::NotAnApprover);
        }
        if self.is_closed() {
            return Err(Refusal::ChainClosed);
        }
        let approvals = settle.evidence().approvals();
        let (needed, got) = (usize::from(self.policy.quorums.most()).saturating_sub(1), approvals.len());
        if got < needed {
            return Err(Refusal::Quorum { needed, got });
        }
        if let Some(index) = approvals.iter().position(|approval| self.approver(&approval.signer()).is_none()) {
            return Err(Refusal::ApprovalVoid { index });
        }
        // Else devices would go to and fro between the two for as long as anybody shows them the other one.
        if self.abandoned.contains(other) && *other > body.abandoned {
            return Err(Refusal::NotAbandoned);
        }
        Ok(())
    }
}
