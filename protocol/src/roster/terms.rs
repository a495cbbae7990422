//! What holds for everybody: epochs, policy, the end of a chain.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Admission, ClosingTerms, Epoch, Member, Refusal, Roster, Why};
use crate::approval::Subject;
use crate::cbor::Blob;
use crate::cut::{Cut, CutAt};
use crate::entry::{ChangePolicy, Close, Entry, Veto, VetoOf};
use crate::id::DeviceId;
use crate::policy::Role;
use crate::rotation::{Rotation, RotationPlace};
use crate::signed::Verified;

impl Roster {
    pub(super) fn rotate(&mut self, entry: &Verified<Entry>, rotation: &Rotation) -> Result<(), Refusal> {
        self.check_rotation(entry, rotation, &[])?;
        self.begin_epoch(entry, rotation);
        Ok(())
    }

    /// Checks a rotation beside which these devices go.
    pub(super) fn check_rotation(
        &self,
        entry: &Verified<Entry>,
        rotation: &Rotation,
        gone: &[DeviceId],
    ) -> Result<(), Refusal> {
        if rotation.epoch != self.epoch() + 1 {
            return Err(Refusal::StaleEpoch);
        }
        // An old sync code is known to devices that are not to ask any more.
        if rotation.join_key.is_some_and(|key| self.join_keys.contains(&key)) {
            return Err(Refusal::JoinKeyKnown);
        }
        let new = rotation.recovery;
        let known = |key: &[u8; 32]| self.known_keys.contains(key);
        if new.is_some_and(|device| known(&device.signing.0) || known(device.sealing.as_bytes())) {
            return Err(Refusal::KeyKnown);
        }
        // A recovery device fills quorums alone: whoever could bring one alone would fill them too.
        let quorum = self.policy.quorums.most();
        if new.is_some() && quorum > 1 && self.approver(&entry.signer()).is_some() {
            return Err(Refusal::Quorum { needed: usize::from(quorum) - 1, got: 0 });
        }
        let stays = |member: &&Member| {
            !gone.contains(&member.device.signing) && (new.is_none() || member.role != Role::Recovery)
        };
        let mut after: BTreeSet<DeviceId> =
            self.members.values().filter(stays).map(|member| member.device.signing).collect();
        after.extend(new.map(|device| device.signing));
        // A member that is left out could not read; one that is not a member could.
        if !rotation.recipients.iter().map(|recipient| recipient.device).eq(after) {
            return Err(Refusal::WrongRecipients);
        }
        Ok(())
    }

    pub(super) fn begin_epoch(&mut self, entry: &Verified<Entry>, rotation: &Rotation) {
        let place = RotationPlace { chain: self.chain, signer: entry.signer(), epoch: rotation.epoch, prev: self.head };
        self.epochs.push(Epoch { key_id: rotation.key_id, previous: Some(rotation.previous.clone()) });
        if let Some(join_key) = rotation.join_key {
            self.join_key = join_key;
            self.join_keys.insert(join_key);
        }
        if let Some(device) = rotation.recovery {
            let before = self.recovery().map(|member| member.device.signing);
            if let Some(before) = before {
                let nothing = Cut { counter: 0, last: None, at: CutAt::Last };
                self.depart(entry, &before, nothing, Why::Replaced);
            }
            let admission =
                Admission { seq: entry.seq, by: entry.signer(), how: None, at: entry.at, epoch: rotation.epoch };
            self.add(Member { device, role: Role::Recovery, admission, description: Blob::default() });
        }
        self.rotation = Some((place, Arc::new(rotation.clone())));
        self.rotation_owed = false;
    }

    pub(super) fn change_policy(&mut self, entry: &Verified<Entry>, change: &ChangePolicy) -> Result<(), Refusal> {
        change.policy.check()?;
        if change.policy == self.policy {
            return Err(Refusal::NothingChanges);
        }
        if self.people_count() > usize::from(change.policy.members_max) {
            return Err(Refusal::ChainFull);
        }
        let (left, needed) = (self.approver_count(), usize::from(change.policy.quorums.most()));
        if left < needed {
            return Err(Refusal::TooFewApprovers { left, needed });
        }
        let subject = Subject::Policy(Box::new(change.policy.clone()));
        self.check_approvals(entry, self.policy.quorums.policy, &subject)?;
        self.policy = change.policy.clone();
        self.policy_epoch = self.epoch();
        self.policy_seq = entry.seq;
        Ok(())
    }

    pub(super) fn announce_closing(&mut self, entry: &Verified<Entry>) -> Result<(), Refusal> {
        if self.closing().is_some() {
            return Err(Refusal::ClosingOpen);
        }
        self.check_approvals(entry, self.policy.quorums.closing, &Subject::Closing)?;
        let terms = ClosingTerms {
            hash: entry.hash(),
            by: entry.signer(),
            seq: entry.seq,
            delay: self.policy.closing_delay,
            at: entry.at,
        };
        self.closing = Some(terms);
        Ok(())
    }

    pub(super) fn veto(&mut self, veto: &Veto) -> Result<(), Refusal> {
        match veto.of {
            VetoOf::Closing if self.closing().is_none_or(|closing| closing.hash != veto.hash) => {
                Err(Refusal::NoSuchClosing)
            }
            VetoOf::Closing => {
                self.closing = None;
                Ok(())
            }
            VetoOf::Reset => Ok(()),
        }
    }

    pub(super) fn close(&mut self, close: &Close) -> Result<(), Refusal> {
        if self.closing().is_none_or(|closing| closing.hash != close.closing) {
            return Err(Refusal::NoSuchClosing);
        }
        self.closed = true;
        Ok(())
    }
}
