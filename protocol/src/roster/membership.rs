//! Who is in and who is out: admit, deny, remove, leave, change-role.

use super::{Admission, Decision, Departure, Former, Member, Outcome, Refusal, Roster, Why};
use crate::approval::{AdmitSubject, RoleSubject, Subject};
use crate::cut::{Cut, CutAt};
use crate::entry::{Admit, ChangeRole, Deny, Entry, Leave, Remove};
use crate::id::{DeviceId, RequestId};
use crate::policy::{How, Role};
use crate::request::JoinRequest;
use crate::signed::Verified;

impl Roster {
    pub(super) fn admit(&mut self, entry: &Verified<Entry>, admit: &Admit) -> Result<(), Refusal> {
        // `Entry::check` leaves the request of every admit.
        let request = entry.evidence().request().ok_or(Refusal::OtherChain)?;
        self.check_admit(entry, admit, request)?;
        self.decide(entry, request.id(), request.device.signing, Outcome::Admitted);
        self.totp_step = admit.totp_step.or(self.totp_step);
        let admission =
            Admission { seq: entry.seq, by: entry.signer(), how: Some(admit.how), at: entry.at, epoch: self.epoch() };
        self.add(Member {
            device: request.device,
            role: admit.role,
            admission,
            description: admit.description.clone(),
        });
        Ok(())
    }

    fn check_admit(
        &self,
        entry: &Verified<Entry>,
        admit: &Admit,
        request: &Verified<JoinRequest>,
    ) -> Result<(), Refusal> {
        if self.decisions.contains_key(&request.id()) {
            return Err(Refusal::AlreadyDecided);
        }
        let keys = [request.device.signing.0, *request.device.sealing.as_bytes()];
        if keys.iter().any(|key| self.known_keys.contains(key)) {
            return Err(Refusal::KeyKnown);
        }
        if request.join_key != self.join_key {
            return Err(Refusal::StaleJoinKey);
        }
        if admit.epoch != self.epoch() {
            return Err(Refusal::StaleEpoch);
        }
        let by_recovery = self.approver(&entry.signer()).is_none();
        let way_counts = if by_recovery { admit.how == How::Recovery } else { self.policy.ways.contains(&admit.how) };
        if !way_counts {
            return Err(Refusal::WayNotAllowed);
        }
        // In the log, and not only in memory of an agent: two approvers could else use one code at once.
        if admit.totp_step.is_some_and(|step| self.totp_step.is_some_and(|last| step <= last)) {
            return Err(Refusal::TotpStepUsed);
        }
        if admit.role == Role::Recovery {
            return Err(Refusal::RoleNotAllowed);
        }
        let subject = Subject::Admit(AdmitSubject { request: request.id(), role: admit.role });
        self.check_approvals(entry, self.policy.quorums.admit, &subject)?;
        if self.people_count() >= usize::from(self.policy.members_max) {
            return Err(Refusal::ChainFull);
        }
        Ok(())
    }

    pub(super) fn deny(&mut self, entry: &Verified<Entry>, deny: &Deny) -> Result<(), Refusal> {
        if self.decisions.contains_key(&deny.request) {
            return Err(Refusal::AlreadyDecided);
        }
        if self.members.contains_key(&deny.device) {
            return Err(Refusal::KeyIsMember);
        }
        self.decide(entry, deny.request, deny.device, Outcome::Denied(deny.reason));
        self.known_keys.insert(deny.device.0);
        Ok(())
    }

    fn decide(&mut self, entry: &Verified<Entry>, request: RequestId, device: DeviceId, outcome: Outcome) {
        let decision = Decision { outcome, device, by: entry.signer(), seq: entry.seq, at: entry.at };
        self.decisions.insert(request, decision);
    }

    pub(super) fn remove(&mut self, entry: &Verified<Entry>, remove: &Remove) -> Result<(), Refusal> {
        let gone: Vec<DeviceId> = remove.removals.iter().map(|removal| removal.device).collect();
        if !gone.iter().all(|device| self.members.contains_key(device)) {
            return Err(Refusal::NoSuchMember);
        }
        if gone.contains(&entry.signer()) {
            return Err(Refusal::SelfRemoval);
        }
        let by_recovery = self.approver(&entry.signer()).is_none();
        self.check_approvers_left(&gone, if by_recovery { 1 } else { self.policy.quorums.most() })?;
        self.check_rotation(entry, &remove.rotation, &gone)?;
        let subject = Subject::Remove(remove.removals.clone());
        self.check_approvals(entry, self.policy.quorums.remove, &subject)?;
        for removal in &remove.removals {
            self.depart(entry, &removal.device, removal.cut, Why::Removed(remove.reason));
        }
        self.begin_epoch(entry, &remove.rotation);
        Ok(())
    }

    pub(super) fn leave(&mut self, entry: &Verified<Entry>, leave: &Leave) -> Result<(), Refusal> {
        if self.approver(&entry.signer()).is_some() {
            self.check_approvers_left(&[entry.signer()], self.policy.quorums.most())?;
        }
        // It says of itself what counts. Were that to end other people's records, a writer could undo them by leaving.
        let cut = Cut { at: CutAt::Earlier, ..leave.cut };
        self.depart(entry, &entry.signer(), cut, Why::Left);
        self.rotation_owed = true;
        Ok(())
    }

    pub(super) fn change_role(&mut self, entry: &Verified<Entry>, change: &ChangeRole) -> Result<(), Refusal> {
        let member = self.members.get(&change.device).ok_or(Refusal::NoSuchMember)?;
        if member.role == Role::Recovery || change.role == Role::Recovery {
            return Err(Refusal::RoleNotAllowed);
        }
        if member.role == change.role {
            return Err(Refusal::NothingChanges);
        }
        let (wrote, writes) = (member.role.writes(), change.role.writes());
        if change.cut.is_some() != (wrote && !writes) {
            return Err(Refusal::BadCut);
        }
        if member.role == Role::Approver {
            self.check_approvers_left(&[change.device], self.policy.quorums.most())?;
        }
        let subject = Subject::Role(RoleSubject { device: change.device, role: change.role, cut: change.cut });
        self.check_approvals(entry, self.policy.quorums.policy, &subject)?;
        if let Some(cut) = change.cut {
            self.stops_writing(&change.device, entry.seq, cut);
        }
        if writes && !wrote {
            self.writes_from(change.device, entry.seq);
        }
        if let Some(member) = self.members.get_mut(&change.device) {
            member.role = change.role;
        }
        Ok(())
    }

    /// Whether enough approvers are left when these devices decide no more.
    fn check_approvers_left(&self, gone: &[DeviceId], needed: u8) -> Result<(), Refusal> {
        let gone = gone.iter().filter(|device| self.approver(device).is_some()).count();
        let (left, needed) = (self.approver_count().saturating_sub(gone), usize::from(needed));
        match left {
            0 => Err(Refusal::LastApprover),
            left if left < needed => Err(Refusal::TooFewApprovers { left, needed }),
            _ => Ok(()),
        }
    }

    /// Ends a membership.
    pub(super) fn depart(&mut self, entry: &Verified<Entry>, device: &DeviceId, cut: Cut, why: Why) {
        self.stops_writing(device, entry.seq, cut);
        if let Some(member) = self.members.remove(device) {
            let departure = Departure { seq: entry.seq, by: entry.signer(), why, at: entry.at };
            self.former.insert(*device, Former { member, departure });
        }
    }
}
