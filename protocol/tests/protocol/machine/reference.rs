//! What a log means, in a few lines that look at no signature and no seal: who is a member, what is decided, which epoch it is.

use std::collections::{BTreeMap, BTreeSet};

use protocol::entry::{Body, Entry, VetoOf};
use protocol::policy::{Policy, Role};
use protocol::{DeviceId, Hash, RequestId, Verified};

#[derive(Clone, Default)]
pub(super) struct Reference {
    pub(super) roles: BTreeMap<DeviceId, Role>,
    pub(super) decided: BTreeSet<RequestId>,
    pub(super) admitted: BTreeSet<DeviceId>,
    pub(super) epoch: u64,
    pub(super) policy: Policy,
    pub(super) closing: Option<(Hash, DeviceId)>,
    pub(super) closed: bool,
}

impl Reference {
    /// After each entry, the first one first. Panics where an entry could not stand.
    pub(super) fn of(log: &[Verified<Entry>]) -> Vec<Self> {
        let mut now = Self::default();
        log.iter()
            .map(|entry| {
                now.step(entry);
                now.clone()
            })
            .collect()
    }

    fn approvers(&self) -> usize {
        self.roles.values().filter(|role| **role == Role::Approver).count()
    }

    fn decides(&self, device: DeviceId) -> bool {
        self.roles.get(&device) == Some(&Role::Approver)
    }

    /// Invariant 7: as many as asked, each another approver, none of them concerned.
    fn agreed(&self, entry: &Verified<Entry>, quorum: u8) {
        let mut voices: BTreeSet<DeviceId> = entry.evidence().approvals().iter().map(|form| form.signer()).collect();
        voices.insert(entry.signer());
        assert_eq!(voices.len(), usize::from(quorum), "invariant 7: as many as asked");
        assert!(voices.iter().all(|voice| self.decides(*voice)), "invariant 7: approvers");
        if let Body::Remove(remove) = &entry.body {
            assert!(
                !remove.removals.iter().any(|removal| voices.contains(&removal.device)),
                "invariant 7: not concerned"
            );
        }
    }

    fn step(&mut self, entry: &Verified<Entry>) {
        let by = entry.signer();
        assert!(!self.closed, "nothing follows the end");
        let leaves = matches!(entry.body, Body::Leave(_));
        assert!(entry.seq == 0 || self.decides(by) || leaves, "invariant 1: who signs may");
        match &entry.body {
            Body::Found(found) => {
                self.roles.insert(found.device.signing, Role::Approver);
                self.admitted.insert(found.device.signing);
                self.epoch = 1;
                self.policy = found.policy.clone();
            }
            Body::Admit(admit) => {
                let request = entry.evidence().request().unwrap();
                let device = request.device.signing;
                assert!(self.decided.insert(request.id()), "invariant 2: one decision");
                assert!(self.admitted.insert(device), "invariant 9: admitted once");
                self.agreed(entry, self.policy.quorums.admit);
                self.roles.insert(device, admit.role);
            }
            Body::Deny(deny) => {
                assert!(self.decided.insert(deny.request), "invariant 2: one decision");
                self.admitted.insert(deny.device);
            }
            Body::Remove(remove) => {
                self.agreed(entry, self.policy.quorums.remove);
                for removal in &remove.removals {
                    assert!(self.roles.remove(&removal.device).is_some(), "who is removed was there");
                }
                self.epoch += 1;
            }
            Body::Rotate(_) | Body::Settle(_) => self.epoch += 1,
            Body::Leave(_) => {
                assert!(self.roles.remove(&by).is_some(), "who leaves was there");
            }
            Body::ChangeRole(change) => {
                self.roles.insert(change.device, change.role);
            }
            Body::ChangePolicy(change) => self.policy = change.policy.clone(),
            Body::Closing(_) => {
                assert!(self.closing.is_none(), "invariant 8: one at a time");
                self.closing = Some((entry.hash(), by));
            }
            Body::Veto(veto) => {
                if veto.of == VetoOf::Closing {
                    assert_eq!(self.closing.take().map(|(hash, _)| hash), Some(veto.hash));
                }
            }
            Body::Close(close) => {
                assert_eq!(self.closing.map(|(hash, _)| hash), Some(close.closing), "invariant 8: unvetoed");
                self.closed = true;
            }
            Body::Unknown { .. } => unreachable!(),
        }
        if let Some(rotation) = entry.body.rotation() {
            let recipients = rotation.recipients.iter().map(|recipient| recipient.device);
            assert!(recipients.eq(self.roles.keys().copied()), "invariant 6: sealed to exactly the members");
        }
        if self.closing.is_some_and(|(_, by)| !self.decides(by)) {
            self.closing = None;
        }
        assert!(self.approvers() >= 1, "somebody decides");
    }
}
