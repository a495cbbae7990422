//! Rotations: a new epoch, its key sealed to everyone who stays, and the old one wrapped under it.

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use crate::cbor::{self, Blob};
use crate::code::SyncCode;
use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash, JoinKey, KeyId};
use crate::keys::{DevicePublic, EpochKey, NameKey, SealingKey, SealingSecret};
use crate::limits;
use crate::seal::{
    SEALED_KEY_BYTES, SUITE_HPKE, SUITE_XCHACHA, SealBroken, WRAPPED_KEY_BYTES, Wrapped, open_with, seal_to,
    secret_bytes,
};
use crate::signed::{ProofKey, ProofKind};

const RECIPIENTS: u64 = limits::RECIPIENTS_MAX as u64;

/// What begins a new epoch, inside `remove`, `rotate` or `settle`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rotation {
    /// The new epoch: the current one plus one.
    #[n(0)]
    pub epoch: u64,
    /// Key id of its key.
    #[n(1)]
    pub key_id: KeyId,
    /// A new join key, which proves itself. Without one the current sync code goes on.
    #[n(2)]
    pub join_key: Option<JoinKey>,
    /// The epoch key, sealed to each member after the entry, ascending by device.
    #[cbor(n(3), decode_with = "cbor::some::<_, _, RECIPIENTS>")]
    pub recipients: Vec<Recipient>,
    /// The epoch key before, wrapped by the new one: every old record stays readable.
    #[n(4)]
    pub previous: Blob,
    /// The name key, wrapped by the new epoch key, bound to the chain.
    #[n(5)]
    pub name_key: Blob,
    /// The sync code, wrapped by the new epoch key, bound to the chain.
    #[n(6)]
    pub sync_code: Blob,
    /// The recovery device from now on, which proves itself. Without one the one before stays.
    #[n(7)]
    pub recovery: Option<DevicePublic>,
}

/// The epoch key for one device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recipient {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The epoch key, sealed to it.
    #[n(1)]
    pub sealed: Blob,
}

/// Where a rotation stands: everything that its sealed keys are bound to besides their recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationPlace {
    /// The chain.
    pub chain: ChainId,
    /// Who signs the entry.
    pub signer: DeviceId,
    /// The new epoch.
    pub epoch: u64,
    /// The entry's `prev`.
    pub prev: Hash,
}

impl RotationPlace {
    /// The HPKE `info`: `countersign/v1/rotation-seal` ‖ chain ‖ recipient ‖ signer ‖ epoch. Its `aad` is the entry's `prev`.
    fn info(&self, recipient: &DeviceId) -> Vec<u8> {
        [
            b"countersign/v1/rotation-seal".as_slice(),
            self.chain.as_bytes(),
            recipient.as_bytes(),
            self.signer.as_bytes(),
            &self.epoch.to_be_bytes(),
        ]
        .concat()
    }

    /// Seals the new epoch key to a device.
    ///
    /// # Errors
    ///
    /// [`SealBroken`], never for a member's key.
    pub fn seal(
        &self,
        to: (DeviceId, &SealingKey),
        key: &EpochKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Blob, SealBroken> {
        seal_to(to.1, &self.info(&to.0), self.prev.as_bytes(), key.expose(), rng)
    }

    /// Opens the new epoch key as a device. The caller compares the key id.
    ///
    /// # Errors
    ///
    /// [`SealBroken`] if it was made for another device or another place.
    pub fn open(&self, device: &DeviceId, secret: &SealingSecret, sealed: &[u8]) -> Result<EpochKey, SealBroken> {
        let opened = open_with(secret, &self.info(device), self.prev.as_bytes(), sealed)?;
        secret_bytes(&opened).map(EpochKey::from_bytes)
    }
}

/// The secrets that a rotation carries on.
#[derive(Debug, Clone)]
pub struct Carried<'a> {
    /// The new epoch key.
    pub epoch_key: &'a EpochKey,
    /// The one before.
    pub previous: &'a EpochKey,
    /// The name key, which never changes.
    pub name_key: &'a NameKey,
    /// The sync code from now on.
    pub code: &'a SyncCode,
}

impl Rotation {
    /// Seals and wraps a new epoch for these devices. `join_key` is that of the code carried, if it is a new one.
    ///
    /// # Errors
    ///
    /// [`SealBroken`], never for members' keys.
    pub fn seal(
        place: &RotationPlace,
        carried: &Carried<'_>,
        join_key: Option<JoinKey>,
        devices: &[DevicePublic],
        recovery: Option<DevicePublic>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealBroken> {
        let mut devices: Vec<&DevicePublic> = devices.iter().collect();
        devices.sort_by_key(|device| device.signing);
        let recipients = devices
            .into_iter()
            .map(|device| {
                let sealed = place.seal((device.signing, &device.sealing), carried.epoch_key, rng)?;
                Ok(Recipient { device: device.signing, sealed })
            })
            .collect::<Result<_, SealBroken>>()?;
        let mut wrap =
            |what, value: &[u8]| carried.epoch_key.wrap(place.epoch, what, &[place.chain.as_bytes()], value, rng);
        Ok(Self {
            epoch: place.epoch,
            key_id: carried.epoch_key.key_id(place.epoch),
            join_key,
            recipients,
            previous: wrap(Wrapped::EpochKey, carried.previous.expose())?,
            name_key: wrap(Wrapped::NameKey, carried.name_key.expose())?,
            sync_code: wrap(Wrapped::SyncCode, carried.code.expose())?,
            recovery,
        })
    }

    /// The key sealed to a device.
    #[must_use]
    pub fn sealed_to(&self, device: &DeviceId) -> Option<&Blob> {
        self.recipients.iter().find(|recipient| recipient.device == *device).map(|recipient| &recipient.sealed)
    }

    /// The keys that prove themselves beside the entry's signer.
    pub(crate) fn proofs(&self) -> Vec<ProofKey> {
        let join = self.join_key.map(|key| ProofKey { kind: ProofKind::Join, key: key.0 });
        let recovery = self.recovery.map(|device| ProofKey { kind: ProofKind::Recovery, key: device.signing.0 });
        join.into_iter().chain(recovery).collect()
    }

    /// What the form alone can show.
    pub(crate) fn check(&self, signer: &DeviceId) -> Result<(), FormError> {
        let bad = |what| Err(FormError::BadField { form: "entry", what });
        if !self.recipients.windows(2).all(|pair| matches!(pair, [a, b] if a.device < b.device)) {
            return bad("recipients ascend, none twice");
        }
        let mut own: Vec<[u8; 32]> = self.proofs().iter().map(|proof| proof.key).collect();
        own.push(signer.0);
        own.sort_unstable();
        if own.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return bad("signer, join key and recovery device must have keys of their own");
        }
        for recipient in &self.recipients {
            check_sealed(&recipient.sealed, SUITE_HPKE)?;
        }
        for wrapped in [&self.previous, &self.name_key, &self.sync_code] {
            check_sealed(wrapped, SUITE_XCHACHA)?;
        }
        Ok(())
    }
}

/// A sealed key has one size. Without this anybody could keep 64 KiB of anything in each founding that a relay takes.
pub(crate) fn check_sealed(key: &Blob, suite: u8) -> Result<(), FormError> {
    let bytes = if suite == SUITE_HPKE { SEALED_KEY_BYTES } else { WRAPPED_KEY_BYTES };
    if key.first() == Some(&suite) && key.len() == bytes {
        return Ok(());
    }
    Err(FormError::BadField { form: "entry", what: "a sealed key has another suite or size" })
}

/// The HPKE `info` of the epoch key in `found` for the recovery device: `countersign/v1/recovery-seal` ‖ founding join key ‖ its id ‖
/// epoch. Its `aad` is empty: the chain has no id and the entry no `prev` yet.
fn recovery_info(join_key: &JoinKey, device: &DeviceId) -> Vec<u8> {
    [b"countersign/v1/recovery-seal".as_slice(), join_key.as_bytes(), device.as_bytes(), &1_u64.to_be_bytes()].concat()
}

/// Seals the key of epoch 1 to the recovery device of a founding.
///
/// # Errors
///
/// [`SealBroken`], never for keys that were drawn.
pub fn seal_recovery(
    to: &DevicePublic,
    join_key: &JoinKey,
    key: &EpochKey,
    rng: &mut impl CryptoRng,
) -> Result<Blob, SealBroken> {
    seal_to(&to.sealing, &recovery_info(join_key, &to.signing), &[], key.expose(), rng)
}

/// Opens what [`seal_recovery`] made. The caller compares the key id.
///
/// # Errors
///
/// [`SealBroken`] if it was made for another device or another founding.
pub fn open_recovery(
    device: &DeviceId,
    secret: &SealingSecret,
    join_key: &JoinKey,
    sealed: &[u8],
) -> Result<EpochKey, SealBroken> {
    let opened = open_with(secret, &recovery_info(join_key, device), &[], sealed)?;
    secret_bytes(&opened).map(EpochKey::from_bytes)
}
