//! What members change of a chain: who is in it, its keys, its policy, its end.

use protocol::approval::{RoleSubject, Subject};
use protocol::cbor::{self, Blob};
use protocol::entry::{
    Body, ChangePolicy, ChangeRole, Close, Closing, Deny, DenyReason, Entry, Leave, Remove, RemoveReason, Rotate, Veto,
    VetoOf,
};
use protocol::keys::{DeviceKeys, SigningKey};
use protocol::roster::Roster;
use protocol::wire::{Append, Purpose};
use protocol::{VERSION, Verified};

use super::World;
use super::book::Route;
use super::cast::Chain;
use super::rotations::Turn;

/// Kinds of entries that a member signs here.
const KINDS: u8 = 11;

impl World {
    /// A member signs an entry; the bits of `what` name its kind and chain, whether it heals, and whether it is kept for later.
    pub(super) fn acts(&mut self, who: u8, what: u8, which: u8, how: u8) {
        let chain = self.cast.chain(what >> 4 & 3);
        let roster = self.roster(chain);
        let keys = self.cast.signer(who).clone();
        let (body, provers) = self.body((chain, &roster), &keys, what % 16 % KINDS, which, how);
        let Some(entry) = self.signs(&roster, &keys, (body, provers), how) else { return };
        if what & 0x80 == 0 {
            let purpose = if what & 0x40 == 0 { Purpose::New } else { Purpose::Heal };
            self.posts_entries(&[entry], purpose);
        }
    }

    pub(super) fn posts_entries(&mut self, entries: &[Verified<Entry>], purpose: Purpose) {
        let entries = entries.iter().map(|entry| Blob(entry.bytes().to_vec())).collect();
        self.posts(Route::Log, &cbor::encode(&Append { entries, purpose }));
    }

    /// The next entry of a log, signed, and remembered.
    pub(super) fn signs(
        &mut self,
        roster: &Roster,
        keys: &DeviceKeys,
        (body, provers): (Body, Vec<SigningKey>),
        at: u8,
    ) -> Option<Verified<Entry>> {
        let (seq, prev) = (roster.seq() + 1, Some(roster.head()));
        let form = Entry { version: VERSION, chain: Some(roster.chain()), seq, prev, at: u64::from(at), body };
        let entry = Verified::sign(form, &keys.signing, &provers.iter().collect::<Vec<_>>()).ok()?;
        self.entries.push(entry.clone());
        Some(entry)
    }

    /// What an entry does, and the keys that prove themselves in it.
    pub(super) fn body(
        &mut self,
        (chain, roster): (&'static Chain, &Roster),
        keys: &DeviceKeys,
        kind: u8,
        which: u8,
        how: u8,
    ) -> (Body, Vec<SigningKey>) {
        let id = keys.id();
        let closing = roster.closing().filter(|_| how & 1 == 0).map_or(roster.head(), |closing| closing.hash);
        let body = match kind {
            0 => self.admit(self.cast.asking(which), roster, id, how),
            1 => {
                let removals = self.removals(roster, which, how);
                let gone: Vec<_> = removals.iter().map(|removal| removal.device).collect();
                let Turn { rotation, provers } = self.turn(chain, roster, id, &gone, how >> 2);
                let approvals = self.approvals_for(roster, id, &Subject::Remove(removals.clone()), how);
                let remove = Remove { removals, reason: RemoveReason::Lost, rotation, approvals };
                return (Body::Remove(Box::new(remove)), provers);
            }
            2..=4 => {
                let subject = self.subject(roster, kind, which, how);
                let approvals = self.approvals_for(roster, id, &subject, how);
                match subject {
                    Subject::Role(RoleSubject { device, role, cut }) => {
                        Body::ChangeRole(ChangeRole { device, role, cut, approvals })
                    }
                    Subject::Policy(policy) => {
                        Body::ChangePolicy(Box::new(ChangePolicy { policy: *policy, approvals }))
                    }
                    _ => Body::Closing(Closing { approvals }),
                }
            }
            5 => {
                let Turn { rotation, provers } = self.turn(chain, roster, id, &[], how);
                return (Body::Rotate(Box::new(Rotate { rotation })), provers);
            }
            6 => Body::Veto(Veto { of: VetoOf::Closing, hash: closing }),
            7 => Body::Close(Close { closing }),
            8 => Body::Veto(Veto { of: VetoOf::Reset, hash: self.some_reset(roster, how) }),
            9 => {
                let asking = self.cast.asking(which);
                let (request, device) = (asking.form.id(), asking.form.signer());
                Body::Deny(Deny { request, device, reason: DenyReason::NotMe, block: u32::from(how) })
            }
            _ => Body::Leave(Leave { cut: self.cut(roster, &id, how) }),
        };
        (body, Vec::new())
    }
}
