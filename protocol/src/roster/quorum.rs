//! Approvals: whether an entry carries exactly those that the policy asks for.

use super::{Refusal, Roster};
use crate::approval::{Approval, Subject};
use crate::entry::{Body, Entry, Veto, VetoOf};
use crate::id::DeviceId;
use crate::policy::Role;
use crate::signed::Verified;

impl Roster {
    /// Checks the approvals of an entry about this subject. The recovery device fills any quorum for admit and remove by itself.
    pub(super) fn check_approvals(
        &self,
        entry: &Verified<Entry>,
        quorum: u8,
        subject: &Subject,
    ) -> Result<(), Refusal> {
        let alone = self.members.get(&entry.signer()).is_some_and(|signer| signer.role == Role::Recovery);
        let needed = if alone { 0 } else { usize::from(quorum).saturating_sub(1) };
        let approvals = entry.evidence().approvals();
        if approvals.len() != needed {
            return Err(Refusal::Quorum { needed, got: approvals.len() });
        }
        let mut before = None;
        for (index, approval) in approvals.iter().enumerate() {
            let signer = approval.signer();
            let is_another = signer != entry.signer() && before.is_none_or(|before| before < signer);
            if !is_another || approval.subject != *subject || !self.counts(approval, &signer) {
                return Err(Refusal::ApprovalVoid { index });
            }
            before = Some(signer);
        }
        Ok(())
    }

    /// Notes which approvals an entry that was just applied makes void: those that were given in view of what it changed.
    pub(super) fn lapse(&mut self, body: &Body) {
        match body {
            Body::Deny(_) | Body::Veto(Veto { of: VetoOf::Reset, .. }) => return,
            // A policy may hold what is sealed under the epoch's key, an admission is of an epoch; a removal names neither.
            Body::Rotate(rotate) if rotate.rotation.recovery.is_none() => {}
            _ => self.lapses.removal = self.seq,
        }
        self.lapses.other = self.seq;
    }

    fn lapsed_at(&self, subject: &Subject) -> u64 {
        match subject {
            Subject::Remove(_) => self.lapses.removal,
            _ => self.lapses.other,
        }
    }

    /// Whether an approval would count in the next entry, whoever signs it.
    #[must_use]
    pub fn counts(&self, approval: &Approval, signer: &DeviceId) -> bool {
        approval.chain == self.chain
            && self.position(&approval.head).is_some_and(|position| position.seq >= self.lapsed_at(&approval.subject))
            && self.approver(signer).is_some()
            && !approval.subject.devices().contains(signer)
    }
}
