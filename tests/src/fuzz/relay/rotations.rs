//! New epochs: keys that members hold, and the forms that bring them.

use protocol::code::SyncCode;
use protocol::keyring::Keyring;
use protocol::keys::{DevicePublic, EpochKey, SigningKey};
use protocol::policy::Role;
use protocol::roster::Roster;
use protocol::rotation::{Carried, Rotation, RotationPlace};
use protocol::{ChainId, DeviceId};

use super::World;
use super::cast::{CODES, Chain};

/// A rotation, and the keys that prove themselves in it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) rotation: Rotation,
    pub(super) provers: Vec<SigningKey>,
}

impl World {
    /// The roster of a chain as its members know it, also where the relay does not.
    pub(super) fn roster(&self, chain: &Chain) -> Roster {
        let known = self.book.known(&chain.entry.hash().into()).map(|chain| chain.roster.clone());
        known.unwrap_or_else(|| Roster::found(&chain.entry).expect("a roster"))
    }

    /// What members hold at a head.
    pub(super) fn keyring(&self, roster: &Roster) -> Keyring {
        let key = self.epoch_keys.iter().find(|(id, _)| *id == roster.key_id());
        let (_, key) = key.expect("every epoch was begun here");
        Keyring::open(roster, key.clone()).expect("rotations carry the right keys")
    }

    /// Which sync code a rotation brings, by the low bits: none, one of the chain's own, one of another chain.
    fn next_code(&self, chain: &Chain, how: u8) -> Option<SyncCode> {
        match usize::from(how % 8) {
            0 => None,
            own if own <= CODES => Some(self.cast.codes[chain.family][own % CODES].clone()),
            other => Some(self.cast.codes[1 - chain.family][other % CODES].clone()),
        }
    }

    /// A new epoch without some devices. Bits of `how` leave a recipient out, skip an epoch, or bring a recovery device.
    pub(super) fn turn(&mut self, chain: &Chain, roster: &Roster, by: DeviceId, gone: &[DeviceId], how: u8) -> Turn {
        let keyring = self.keyring(roster);
        let paper = (how & 0x20 != 0).then(|| &self.cast.papers[usize::from(how >> 7)]);
        let code = self.next_code(chain, how);
        let epoch = roster.epoch() + 1 + u64::from(how & 0x10 != 0);
        let place = RotationPlace { chain: ChainId(roster.chain().0), signer: by, epoch, prev: roster.head() };
        let stays =
            |device: &DeviceId, role: Role| !gone.contains(device) && (paper.is_none() || role != Role::Recovery);
        let members = roster.members().filter(|member| stays(&member.device.signing, member.role));
        let mut devices: Vec<DevicePublic> = members.map(|member| member.device).collect();
        devices.extend(paper.map(|paper| paper.public()));
        if how & 0x08 != 0 {
            devices.pop();
        }
        let epoch_key = EpochKey::draw(&mut self.rng);
        let carried = Carried {
            epoch_key: &epoch_key,
            previous: keyring.epoch_key(),
            name_key: keyring.name_key(),
            code: code.as_ref().unwrap_or(keyring.code()),
        };
        let join = code.as_ref().map(SyncCode::join_key);
        let join_key = join.as_ref().map(SigningKey::join_key);
        let recovery = paper.map(|paper| paper.public());
        let rotation = Rotation::seal(&place, &carried, join_key, &devices, recovery, &mut self.rng);
        let rotation = rotation.expect("members have good keys");
        self.epoch_keys.push((rotation.key_id, epoch_key));
        Turn { rotation, provers: join.into_iter().chain(paper.map(|paper| paper.signing.clone())).collect() }
    }
}
