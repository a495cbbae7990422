//! Approvals, where the policy asks for more than one approver: own ones and those of others, kept while they count.
//!
//! The relay hands them on and is not believed: each is verified here, and the entry that they are put into is judged by the log.

use std::collections::BTreeMap;

use protocol::approval::{AdmitSubject, Approval, RoleSubject, SettleSubject, Subject};
use protocol::cbor::{self, Blob};
use protocol::cut::Removal;
use protocol::entry::{Body, Entry, RemoveReason};
use protocol::policy::Role;
use protocol::signed::Verified;
use protocol::{DeviceId, Hash, RequestId, change, limits as bounds};
use sha2::{Digest as _, Sha256};

use super::Core;
use super::decide::admit_subject;
use super::settings::duration;
use super::view::{ApprovalView, DeviceView, Event, FieldView, Here, ProposalView};
use crate::error::{AgentError, Missing};
use crate::store::Sent;
use crate::text;

/// The id under which something is agreed to: its hash, the same on every device.
pub(crate) fn subject_id(subject: &Subject) -> Hash {
    Hash(Sha256::digest(cbor::encode(subject)).into())
}

/// What an entry carried out that approvers may have agreed to.
fn carried_out(entry: &Verified<Entry>) -> Option<Subject> {
    Some(match &entry.body {
        Body::Admit(admit) => {
            Subject::Admit(AdmitSubject { request: entry.evidence().request()?.id(), role: admit.role })
        }
        Body::Remove(remove) => Subject::Remove(remove.removals.clone()),
        Body::ChangeRole(change) => {
            Subject::Role(RoleSubject { device: change.device, role: change.role, cut: change.cut })
        }
        Body::ChangePolicy(change) => Subject::Policy(Box::new(change.policy.clone())),
        Body::Closing(_) => Subject::Closing,
        Body::Settle(settle) => Subject::Settle(SettleSubject { abandoned: settle.abandoned }),
        _ => return None,
    })
}

fn names_request(subject: &Subject, id: &RequestId) -> bool {
    matches!(subject, Subject::Admit(admit) if admit.request == *id)
}

impl Core {
    /// Reads what was kept; what counts no more goes.
    pub(super) fn load_approvals(&mut self) -> Result<(), AgentError> {
        let damaged = |_| AgentError::Damaged { what: "an approval does not verify" };
        for bytes in self.store.approvals()? {
            self.approvals.push(Verified::from_bytes(&bytes).map_err(damaged)?);
        }
        self.drop_void(self.roster.seq())
    }

    /// Takes an approval from the relay. One that does not count here is passed over: either it is void, or the entries that it
    /// follows have not come, and then it is read again with them.
    pub(crate) fn take_approval(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        let approval = Verified::<Approval>::from_bytes(bytes).map_err(AgentError::BadForm)?;
        if !self.may_be_kept(&approval) {
            return Ok(());
        }
        self.keep_approval(approval, Sent::Yes)
    }

    fn may_be_kept(&self, approval: &Verified<Approval>) -> bool {
        let hash = approval.hash();
        let undecided = match &approval.subject {
            Subject::Admit(admit) => self.roster.decision(&admit.request).is_none(),
            _ => true,
        };
        undecided
            && self.roster.counts(approval, &approval.signer())
            && !self.approvals.iter().any(|known| known.hash() == hash)
    }

    fn keep_approval(&mut self, approval: Verified<Approval>, sent: Sent) -> Result<(), AgentError> {
        // As at the relay: one approver's oldest makes room, so that none uses up what all share.
        let of_signer = |known: &&Verified<Approval>| known.signer() == approval.signer();
        if self.approvals.iter().filter(of_signer).count() >= bounds::APPROVALS_OF_ONE_MAX
            && let Some(oldest) = self.approvals.iter().find(of_signer).map(|oldest| oldest.hash())
        {
            self.store.drop_approval(&oldest)?;
            self.approvals.retain(|known| known.hash() != oldest);
        }
        if self.approvals.len() >= bounds::APPROVALS_KEPT_MAX {
            tracing::warn!("as many approvals wait as a chain may have: another is passed over");
            return Ok(());
        }
        self.store.keep_approval(&approval, sent)?;
        self.approvals.push(approval.clone());
        self.tell_approval(&approval);
        Ok(())
    }

    fn tell_approval(&self, approval: &Verified<Approval>) {
        let request = match &approval.subject {
            Subject::Admit(admit) => self.view(&admit.request).ok().map(Box::new),
            _ => None,
        };
        let Some(proposal) = self.proposal(&approval.subject) else { return };
        let by = self.bare_name_of(&approval.signer());
        self.emit(Event::Approved { approval: Box::new(ApprovalView { by, proposal, request }) });
    }

    /// Signs and keeps this device's own approval, or finds the one that it gave before.
    pub(crate) fn approve_subject(&mut self, subject: &Subject) -> Result<(), AgentError> {
        self.may_decide()?;
        self.must_have_a_voice(subject)?;
        if let Subject::Policy(policy) = subject {
            self.must_open_secret(policy)?;
        }
        let own = self.keys.id();
        if self.approvals.iter().any(|known| known.signer() == own && known.subject == *subject) {
            return Ok(());
        }
        let approval = change::approve(self.acting(), subject.clone()).map_err(AgentError::OwnForm)?;
        self.keep_approval(approval, Sent::NotYet)
    }

    /// Refuses what is about this device itself.
    pub(crate) fn must_have_a_voice(&self, subject: &Subject) -> Result<(), AgentError> {
        if subject.devices().contains(&self.keys.id()) { Err(AgentError::NoVoice) } else { Ok(()) }
    }

    /// Signs and keeps the entry that carries a proposal out, with the approvals that there are.
    pub(crate) fn sign_subject(
        &mut self,
        subject: &Subject,
        reason: RemoveReason,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        match subject {
            Subject::Admit(admit) => Err(AgentError::TypeTheCode { id: admit.request.short() }),
            Subject::Remove(removals) => self.sign_removal(removals.clone(), reason),
            Subject::Role(change) => self.sign_role(*change),
            Subject::Policy(policy) => self.change_policy(policy, self.roster.policy_seq()),
            Subject::Closing => self.announce_end(),
            Subject::Settle(settle) => self.settle_as_agreed(*settle),
        }
    }

    /// Own approvals that the relay has not taken.
    pub(crate) fn unsent_approvals(&self) -> Result<Vec<Verified<Approval>>, AgentError> {
        let bytes = self.store.unsent_approvals()?;
        bytes.iter().map(|bytes| Verified::from_bytes(bytes).map_err(AgentError::OwnForm)).collect()
    }

    /// Forgets an own approval that the relay will not have.
    pub(crate) fn give_up_approval(&mut self, hash: &Hash) -> Result<(), AgentError> {
        self.approvals.retain(|known| known.hash() != *hash);
        self.store.drop_approval(hash)
    }

    /// The approvals of others that an entry about this subject carries: as many as its quorum asks for, ascending by signer. Fewer
    /// if there are fewer, and then the log says so.
    pub(super) fn approvals_for(&self, subject: &Subject) -> Vec<Blob> {
        let needed = usize::from(self.quorum_of(subject)).saturating_sub(1);
        let others: BTreeMap<DeviceId, &Verified<Approval>> = self
            .approvals
            .iter()
            .filter(|approval| approval.subject == *subject && approval.signer() != self.keys.id())
            .filter(|approval| self.roster.counts(approval, &approval.signer()))
            .map(|approval| (approval.signer(), approval))
            .collect();
        others.values().take(needed).map(|approval| Blob(approval.bytes().to_vec())).collect()
    }

    /// Approvers that must agree to this.
    pub(crate) fn quorum_of(&self, subject: &Subject) -> u8 {
        let quorums = self.roster.policy().quorums;
        match subject {
            Subject::Admit(_) => quorums.admit,
            Subject::Remove(_) => quorums.remove,
            Subject::Role(_) | Subject::Policy(_) => quorums.policy,
            Subject::Closing => quorums.closing,
            Subject::Settle(_) => quorums.most(),
        }
    }

    /// Drops what counts no more, and tells it, where the entries that follow on a position did not carry it out.
    pub(super) fn drop_void(&mut self, since: u64) -> Result<(), AgentError> {
        let done: Vec<Subject> = self.after(since).iter().filter_map(carried_out).collect();
        let decided = |subject: &Subject| matches!(subject, Subject::Admit(admit) if self.roster.decision(&admit.request).is_some());
        let (counting, void): (Vec<_>, Vec<_>) = std::mem::take(&mut self.approvals)
            .into_iter()
            .partition(|approval| self.roster.counts(approval, &approval.signer()) && !decided(&approval.subject));
        let mut untold: Vec<&Verified<Approval>> = Vec::new();
        for approval in &void {
            self.store.drop_approval(&approval.hash())?;
            let known = untold.iter().any(|told| told.subject == approval.subject);
            if !known && !done.contains(&approval.subject) && !decided(&approval.subject) {
                untold.push(approval);
            }
        }
        let proposals: Vec<ProposalView> = untold.iter().map(|lost| self.view_of(&lost.subject, &void)).collect();
        self.approvals = counting;
        for proposal in proposals {
            self.emit(Event::Dropped { proposal: Box::new(proposal) });
        }
        Ok(())
    }

    /// A request ended: what was agreed about it goes with it.
    pub(super) fn drop_approvals_of(&mut self, id: &RequestId) -> Result<(), AgentError> {
        for approval in self.approvals.iter().filter(|approval| names_request(&approval.subject, id)) {
            self.store.drop_approval(&approval.hash())?;
        }
        self.approvals.retain(|approval| !names_request(&approval.subject, id));
        Ok(())
    }

    /// Position of the entry after `since` that carried this out.
    pub(crate) fn carried_out_at(&self, subject: &Subject, since: u64) -> Option<u64> {
        let entry = self.log.iter().rev().take_while(|entry| entry.seq > since);
        entry.into_iter().find(|entry| carried_out(entry).as_ref() == Some(subject)).map(|entry| entry.seq)
    }

    /// Everything that approvers have agreed to and is not carried out, the oldest first.
    pub(crate) fn proposals(&self) -> Vec<ProposalView> {
        let ended =
            |subject: &&Subject| matches!(subject, Subject::Admit(admit) if !self.pending.contains_key(&admit.request));
        self.subjects()
            .into_iter()
            .filter(|subject| !ended(subject))
            .filter_map(|subject| self.proposal(subject))
            .collect()
    }

    fn subjects(&self) -> Vec<&Subject> {
        let mut subjects: Vec<&Subject> = Vec::new();
        for approval in &self.approvals {
            if !subjects.contains(&&approval.subject) {
                subjects.push(&approval.subject);
            }
        }
        subjects
    }

    /// What a prefix of its id names, among what approvers have agreed to.
    pub(crate) fn find_proposal(&self, prefix: &str) -> Result<Subject, AgentError> {
        let wanted = prefix.trim().to_ascii_lowercase();
        let fits = |subject: &&Subject| !wanted.is_empty() && subject_id(subject).to_string().starts_with(&wanted);
        let found: Vec<&Subject> = self.subjects().into_iter().filter(fits).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(AgentError::NotFound {
                of: Missing::Proposal,
                what: format!("a proposal that begins with {:?}", text::clean(prefix)),
            }),
            _ => Err(AgentError::AmbiguousProposal { prefix: text::clean(prefix) }),
        }
    }

    /// How far a subject has come; nothing if one approver suffices.
    pub(crate) fn proposal(&self, subject: &Subject) -> Option<ProposalView> {
        (self.quorum_of(subject) > 1).then(|| self.view_of(subject, &self.approvals))
    }

    pub(super) fn view_of(&self, subject: &Subject, approvals: &[Verified<Approval>]) -> ProposalView {
        let mut signers: Vec<DeviceId> = Vec::new();
        for approval in approvals.iter().filter(|approval| approval.subject == *subject) {
            if !signers.contains(&approval.signer()) {
                signers.push(approval.signer());
            }
        }
        let here = if signers.contains(&self.keys.id()) { Here::ThisDevice } else { Here::Other };
        let devices = subject.devices();
        let device = |device: &DeviceId| DeviceView { device: device.to_string(), name: self.bare_name_of(device) };
        let (kind, request) = match subject {
            Subject::Admit(admit) => ("admit", Some(admit.request.to_string())),
            Subject::Remove(_) => ("remove", None),
            Subject::Role(_) => ("change-role", None),
            Subject::Policy(_) => ("change-policy", None),
            Subject::Closing => ("closing", None),
            Subject::Settle(_) => ("settle", None),
        };
        let role = match subject {
            Subject::Admit(admit) => Some(admit.role.name().to_owned()),
            _ => None,
        };
        let (what, fields, details) = self.words_of(subject);
        ProposalView {
            proposal: subject_id(subject).to_string(),
            kind: kind.to_owned(),
            what,
            approved_by: signers.iter().map(|signer| self.bare_name_of(signer)).collect(),
            here,
            more_needed: u64::from(self.quorum_of(subject)).saturating_sub(signers.len() as u64),
            request,
            role,
            devices: devices.iter().map(device).collect(),
            fields,
            details,
        }
    }

    /// What exactly is agreed to, in words.
    fn words_of(&self, subject: &Subject) -> (String, Vec<FieldView>, Vec<String>) {
        match subject {
            Subject::Admit(AdmitSubject { request, role }) => {
                let claimed = self.claims.get(request).map(|described| text::clean(&described.name));
                let name = claimed.filter(|name| !name.is_empty());
                let name = name.map_or_else(|| "a device".to_owned(), |name| text::quote(&name));
                (format!("let {name} in as {} (request {})", role.name(), request.short()), Vec::new(), Vec::new())
            }
            Subject::Remove(removals) => {
                let names: Vec<String> = removals.iter().map(|removal| self.name_of(&removal.device)).collect();
                let details = removals.iter().map(|removal| self.removal_words(removal)).collect();
                (format!("remove {}", names.join(", ")), Vec::new(), details)
            }
            Subject::Role(RoleSubject { device, role, cut }) => {
                let from = self.roster.member(device).map(|member| member.role);
                let field = FieldView {
                    field: "role".to_owned(),
                    from: from.map(Role::name).unwrap_or_default().to_owned(),
                    to: role.name().to_owned(),
                };
                let cut = cut.map(|cut| self.removal_words(&Removal { device: *device, cut }));
                let what = format!("change {} to {}", self.name_of(device), role.name());
                (what, vec![field], cut.into_iter().collect())
            }
            Subject::Policy(policy) => {
                let plan = self.plan_of(policy, None);
                let cautions = plan.cautions.iter().map(|caution| format!("CAUTION {}", caution.text)).collect();
                let fields: Vec<String> = plan
                    .fields
                    .iter()
                    .map(|field| format!("{} from {} to {}", field.field, field.from, field.to))
                    .collect();
                (format!("change the policy: {}", fields.join("; ")), plan.fields, cautions)
            }
            Subject::Closing => {
                let delay = duration(self.roster.policy().closing_delay);
                let details =
                    vec![format!("after {delay} any approver may end it: every record is then deleted at the relay")];
                ("announce the end of the chain".to_owned(), Vec::new(), details)
            }
            Subject::Settle(SettleSubject { abandoned }) => {
                let what = format!("end the fork, and abandon the branch that begins with {}", abandoned.short());
                (what, Vec::new(), Vec::new())
            }
        }
    }

    /// What of a device's records counts after it.
    fn removal_words(&self, Removal { device, cut }: &Removal) -> String {
        let name = self.name_of(device);
        match (self.store.line(device).map(|line| line.counter).unwrap_or_default(), cut.counter) {
            (0, 0) => format!("{name} (device {}) wrote no records", device.short()),
            (_, 0) => format!("{name} (device {}): none of its records count afterwards", device.short()),
            (known, counted) => format!(
                "{name} (device {}): its first {} of {} known here; later ones are disputed",
                device.short(),
                if counted == 1 { "record counts,".to_owned() } else { format!("{counted} records count,") },
                known.max(counted)
            ),
        }
    }

    /// The role as which a request was approved first, and who approved it as that; approver and nobody if none did.
    fn admit_standing(&self, id: &RequestId) -> (Role, Vec<DeviceId>) {
        let voices = self.approvals.iter().filter_map(|approval| match &approval.subject {
            Subject::Admit(admit) if admit.request == *id => Some((admit.role, approval.signer())),
            _ => None,
        });
        let voices: Vec<(Role, DeviceId)> = voices.collect();
        let role = voices.first().map_or(Role::Approver, |(role, _)| *role);
        (role, voices.into_iter().filter(|(named, _)| *named == role).map(|(_, signer)| signer).collect())
    }

    /// The role in which a request is let in as far as approvers have said it, else approver.
    pub(super) fn admits_as(&self, id: &RequestId) -> Role {
        self.admit_standing(id).0
    }

    /// Refuses a role that nobody named where another one was: approvals of different roles never add up to one admission.
    pub(crate) fn must_agree_on_role(&self, id: &RequestId, role: Role) -> Result<(), AgentError> {
        let (first, by) = self.admit_standing(id);
        let subject = admit_subject(*id, role);
        match by.first() {
            Some(by) if first != role && !self.approvals.iter().any(|approval| approval.subject == subject) => {
                Err(AgentError::OtherRole { id: id.short(), by: self.name_of(by), role: first.name() })
            }
            _ => Ok(()),
        }
    }

    /// Names of those that approved a request.
    pub(super) fn admit_approved_by(&self, id: &RequestId) -> Vec<String> {
        self.admit_standing(id).1.iter().map(|signer| self.bare_name_of(signer)).collect()
    }

    /// How many more must approve a request, if more than one must.
    pub(super) fn admit_more_needed(&self, id: &RequestId) -> Option<u64> {
        let quorum = u64::from(self.roster.policy().quorums.admit);
        (quorum > 1).then(|| quorum.saturating_sub(self.admit_standing(id).1.len() as u64))
    }
}
