//! What happens to a chain after its members are in, with fixed randomness: removals, new epochs, roles, policies, its end.

use protocol::approval::{RoleSubject, Subject};
use protocol::cbor::Blob;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::code::SyncCode;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::{Entry, RemoveReason, VetoOf};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Role};
use protocol::{Hash, Verified};

use crate::support::SeededRng;
use crate::world::{AT, Chain, keys};

/// Nothing of a line counts, and nothing is there.
pub(crate) const NOTHING: Cut = Cut { counter: 0, last: None, at: CutAt::Last };

impl Chain {
    /// The randomness of the entry that comes next.
    pub(crate) fn randomness(&self) -> SeededRng {
        randomness(self.roster.seq() + 1, &self.roster.head())
    }

    /// Signs a removal of these devices, none of whose records count.
    pub(crate) fn removes(&self, signer: &DeviceKeys, names: &[&str]) -> Verified<Entry> {
        self.removes_together(signer, removals(names), Vec::new())
    }

    pub(crate) fn removes_together(
        &self,
        signer: &DeviceKeys,
        removals: Vec<Removal>,
        approvals: Vec<Blob>,
    ) -> Verified<Entry> {
        let (acting, rng) = (self.acting(signer), &mut self.randomness());
        change::remove(acting, removals, RemoveReason::Lost, RecoveryChange::Keep, approvals, AT, rng).unwrap()
    }

    pub(crate) fn rotates(&self, signer: &DeviceKeys, code: CodeChange) -> Verified<Entry> {
        change::rotate(self.acting(signer), code, RecoveryChange::Keep, AT, &mut self.randomness()).unwrap()
    }

    /// A new recovery device, in the place of the one before.
    pub(crate) fn recovers_with(&self, signer: &DeviceKeys, recovery: &DeviceKeys) -> Verified<Entry> {
        let replace = RecoveryChange::Replace(recovery);
        change::rotate(self.acting(signer), CodeChange::Keep, replace, AT, &mut self.randomness()).unwrap()
    }

    pub(crate) fn leaves(&self, device: &DeviceKeys) -> Verified<Entry> {
        change::leave(self.acting(device), NOTHING, AT).unwrap()
    }

    pub(crate) fn makes(&self, signer: &DeviceKeys, name: &str, role: Role, cut: Option<Cut>) -> Verified<Entry> {
        let subject = RoleSubject { device: keys(name).id(), role, cut };
        change::change_role(self.acting(signer), subject, Vec::new(), AT).unwrap()
    }

    pub(crate) fn rules(&self, signer: &DeviceKeys, policy: Policy, approvals: Vec<Blob>) -> Verified<Entry> {
        change::change_policy(self.acting(signer), policy, approvals, AT).unwrap()
    }

    pub(crate) fn announces(&self, signer: &DeviceKeys, approvals: Vec<Blob>) -> Verified<Entry> {
        change::closing(self.acting(signer), approvals, AT).unwrap()
    }

    pub(crate) fn vetoes(&self, signer: &DeviceKeys, of: VetoOf, hash: Hash) -> Verified<Entry> {
        change::veto(self.acting(signer), of, hash, AT).unwrap()
    }

    pub(crate) fn closes(&self, signer: &DeviceKeys, closing: Hash) -> Verified<Entry> {
        change::close(self.acting(signer), closing, AT).unwrap()
    }

    pub(crate) fn settles(&self, signer: &DeviceKeys, abandoned: Hash) -> Verified<Entry> {
        change::settle(self.acting(signer), abandoned, Vec::new(), AT, &mut self.randomness()).unwrap()
    }

    /// An approval, as it stands in an entry.
    pub(crate) fn agrees(&self, signer: &DeviceKeys, subject: Subject) -> Blob {
        Blob(change::approve(self.acting(signer), subject).unwrap().bytes().to_vec())
    }
}

fn randomness(seq: u64, prev: &Hash) -> SeededRng {
    SeededRng::new(&format!("entry {seq} after {prev}"))
}

/// The sync code of the new epoch that an entry begins, if it draws one: its first randomness.
pub(crate) fn drawn_code(entry: &Entry) -> Option<SyncCode> {
    let join_key = entry.body.rotation()?.join_key?;
    let code = SyncCode::draw(&mut randomness(entry.seq, &entry.prev?));
    (code.join_key().join_key() == join_key).then_some(code)
}

/// These devices, in their order, none of whose records count.
pub(crate) fn removals(names: &[&str]) -> Vec<Removal> {
    let mut removals: Vec<Removal> =
        names.iter().map(|name| Removal { device: keys(name).id(), cut: NOTHING }).collect();
    removals.sort_by_key(|removal| removal.device);
    removals
}
