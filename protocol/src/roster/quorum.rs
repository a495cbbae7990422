//! Approvals: whether an entry carries exactly those that the policy asks for.

use super::{Refusal, Roster};
use crate::approval::{Approval, Subject};
use crate::entry::Entry;
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
            if !is_another || approval.subject != *subject || !self.counts(approval) {
                return Err(Refusal::ApprovalVoid { index });
            }
            before = Some(signer);
        }
        Ok(())
    }

    /// Whether an approval would count in the next entry, whoever signs it.
    #[must_use]
    pub fn counts(&self, approval: &Verified<Approval>) -> bool {
        approval.chain == self.chain
            && self.position(&approval.head).is_some_and(|position| position.seq >= self.changed_at)
            && self.approver(&approval.signer()).is_some()
            && !approval.subject.devices().contains(&approval.signer())
    }
}
