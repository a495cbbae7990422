//! Devices that sign what they may not, with the relay's help: they know every log and lend each other their keys.

use std::sync::Arc;

use protocol::approval::Subject;
use protocol::cbor::Blob;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::Removal;
use protocol::decision;
use protocol::entry::{Body, Entry, RemoveReason, VetoOf};
use protocol::keyring::Acting;
use protocol::policy::{How, Role};
use protocol::{Hash, Verified};
use rand_core::Rng as _;

use super::World;
use crate::life::NOTHING;
use crate::support::SeededRng;
use crate::world::{AT, asks_with};

impl World {
    /// Somebody signs something crooked at the relay's head, with the keys of whoever knows them. The relay takes what the log
    /// takes; somebody else is handed it besides.
    pub(super) fn somebody_cheats(&mut self, who: usize) {
        let kind = self.dice.below(9);
        let Some(entry) = self.crooked(who, kind) else { return };
        let landed = self.relay.takes(&entry);
        self.told.push(format!(
            "{who} cheats ({kind}, {}) at {}: {}",
            entry.body.name(),
            entry.seq,
            if landed { "landed" } else { "refused" }
        ));
        let reader = self.dice.below(self.devices.len());
        self.devices[reader].is_handed(&entry);
    }

    fn crooked(&mut self, who: usize, kind: usize) -> Option<Verified<Entry>> {
        let roster = self.relay.roster();
        let knows = self.devices.iter().find(|device| {
            device.keyring().is_some() && device.roster().is_some_and(|known| known.head() == roster.head())
        })?;
        let keyring = knows.keyring()?.clone();
        let keys = self.devices[who].keys.clone();
        let acting = Acting { keys: &keys, roster: &roster, keyring: &keyring };
        let mut rng = SeededRng::new(&format!("crook {who} {kind} at {}", roster.head()));
        let other = self.devices[self.dice.below(self.devices.len())].keys.id();
        let fresh = self.dice.below(self.devices.len());
        let joiner = if self.dice.one_in(3) {
            self.dice.pick(&self.asked).cloned()
        } else {
            let (name, keys) = (&self.devices[fresh].name, &self.devices[fresh].keys);
            Some(asks_with(&format!("{name} with {who} at {}", roster.head()), keys, keyring.code()))
        };
        match kind {
            // Whoever asked, ever, decided or not, is let in by whoever, as if nothing had to be checked.
            0..=2 => {
                let joiner = joiner?;
                let request = Arc::new(joiner.request.clone());
                let made =
                    decision::admit_unchecked(acting, &request, &joiner.description, Role::Approver, AT, &mut rng)
                        .ok()?;
                let mut form = (*made).clone();
                if let Body::Admit(admit) = &mut form.body {
                    admit.how = [How::Typed, How::None, How::Recovery][kind];
                }
                Verified::sign(form, &keys.signing, &[]).ok()
            }
            3 => {
                let removals = vec![Removal { device: other, cut: NOTHING }];
                let own = change::approve(acting, Subject::Remove(removals.clone())).ok()?;
                let approvals = vec![Blob(own.bytes().to_vec())];
                let reason = RemoveReason::Distrusted;
                change::remove(acting, removals, reason, RecoveryChange::Keep, approvals, AT, &mut rng).ok()
            }
            4 => {
                let subject = protocol::approval::RoleSubject { device: keys.id(), role: Role::Approver, cut: None };
                change::change_role(acting, subject, Vec::new(), AT).ok()
            }
            // A key for a stranger, or none for a member.
            5 => {
                let mut form =
                    (*change::rotate(acting, CodeChange::Keep, RecoveryChange::Keep, AT, &mut rng).ok()?).clone();
                let Body::Rotate(rotate) = &mut form.body else { unreachable!() };
                let recipients = &mut rotate.rotation.recipients;
                let mut coin = [0];
                rng.fill_bytes(&mut coin);
                if coin[0] % 2 == 0 || recipients.iter().any(|recipient| recipient.device == other) {
                    recipients.pop();
                } else {
                    let sealed = recipients[0].sealed.clone();
                    recipients.push(protocol::rotation::Recipient { device: other, sealed });
                    recipients.sort_by_key(|recipient| recipient.device);
                }
                Verified::sign(form, &keys.signing, &[]).ok()
            }
            6 => change::close(acting, roster.closing().map_or(Hash([9; 32]), |closing| closing.hash), AT).ok(),
            7 => change::veto(
                acting,
                VetoOf::Closing,
                roster.closing().map_or(Hash([9; 32]), |closing| closing.hash),
                AT,
            )
            .ok(),
            _ => change::leave(acting, NOTHING, AT).ok(),
        }
    }
}
