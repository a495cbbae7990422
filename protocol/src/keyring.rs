//! What a member opens with an epoch key: the keys of the epochs before, the name key and the sync code of the chain, and descriptions.

use crate::cbor::Blob;
use crate::code::SyncCode;
use crate::keys::{DeviceKeys, EpochKey, NameKey};
use crate::request::Description;
use crate::roster::{Member, Roster};
use crate::rotation::open_recovery;
use crate::seal::{SealBroken, Wrapped, secret_bytes};

/// Why an epoch key does not fit a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The key is not the one whose key id the log names: its giver handed different keys to different members.
    #[error("the epoch key is not the one that the log names: whoever handed it out is not to be trusted")]
    OtherKey,
    /// A value in the log does not open with it.
    #[error("a value sealed in the log does not open")]
    Broken(#[from] SealBroken),
    /// The current epoch's key was never sealed to this device.
    #[error("the current epoch's key was not sealed to this device")]
    NotSealedHere,
    /// The name key of a rotation is not the chain's.
    #[error("the name key sealed in a rotation is not the one that the chain was founded with")]
    OtherNameKey,
    /// The sync code in the log does not yield the log's join key.
    #[error("the sync code sealed in the log is not the one that the join key was made from")]
    OtherCode,
}

impl KeyringError {
    /// The stable code of this error, as it stands in the test vectors. It never travels.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherKey => "other-epoch-key",
            Self::Broken(_) => "does-not-open",
            Self::NotSealedHere => "not-sealed-here",
            Self::OtherNameKey => "other-name-key",
            Self::OtherCode => "other-sync-code",
        }
    }
}

/// The keys of a chain, of every epoch up to the current one. It exists only if each is the one that the log names.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// The current one first.
    epoch_keys: Vec<EpochKey>,
    name_key: NameKey,
    code: SyncCode,
}

/// A member as it acts: its keys, at the head that it has pinned, with what the epoch key opens.
#[derive(Debug, Clone, Copy)]
pub struct Acting<'a> {
    /// The device's keys.
    pub keys: &'a DeviceKeys,
    /// The roster at the pinned head.
    pub roster: &'a Roster,
    /// The chain's keys in the current epoch.
    pub keyring: &'a Keyring,
}

impl Keyring {
    /// Opens everything that the current epoch's key opens, the keys of all epochs before it included, comparing each key id.
    ///
    /// # Errors
    ///
    /// [`KeyringError`].
    pub fn open(roster: &Roster, epoch_key: EpochKey) -> Result<Self, KeyringError> {
        let epoch = roster.epoch();
        let anchor = roster.anchor(if epoch == 1 { 0 } else { roster.seq() });
        let epoch_keys = epoch_keys(roster, epoch_key)?;
        let current = epoch_keys.first().ok_or(KeyringError::OtherKey)?;
        let unwrap = |what, blob: &Blob| current.unwrap(epoch, what, &[anchor], blob);
        let name_key = secret_bytes(&unwrap(Wrapped::NameKey, roster.wrapped_name_key())?).map(NameKey::from_bytes)?;
        let code = secret_bytes(&unwrap(Wrapped::SyncCode, roster.wrapped_sync_code())?).map(SyncCode::from_bytes)?;
        if code.join_key().join_key() != roster.join_key() {
            return Err(KeyringError::OtherCode);
        }
        // With another name key every record would seem to be gone.
        if let Some(first) = epoch_keys.last().filter(|_| epoch > 1) {
            let founding = roster.founding_join_key();
            let before = first.unwrap(1, Wrapped::NameKey, &[founding.as_bytes()], roster.founding_name_key())?;
            if *before != *name_key.expose() {
                return Err(KeyringError::OtherNameKey);
            }
        }
        Ok(Self { epoch_keys, name_key, code })
    }

    /// The same for a member whose own epoch key may be of an epoch before: what began the current one holds it, sealed to the device.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]: also if the signer of the rotation sealed to this device what is no key of the log.
    pub fn follow(roster: &Roster, keys: &DeviceKeys, own: &EpochKey) -> Result<Self, KeyringError> {
        match roster.rotation() {
            None => Self::open(roster, own.clone()),
            Some(_) if own.key_id(roster.epoch()) == roster.key_id() => Self::open(roster, own.clone()),
            Some(_) => Self::open_sealed(roster, keys),
        }
    }

    /// Opens what began the current epoch as one of its recipients.
    fn open_sealed(roster: &Roster, keys: &DeviceKeys) -> Result<Self, KeyringError> {
        let (place, rotation) = roster.rotation().ok_or(KeyringError::NotSealedHere)?;
        let sealed = rotation.sealed_to(&keys.id()).ok_or(KeyringError::NotSealedHere)?;
        Self::open(roster, place.open(&keys.id(), &keys.sealing, sealed)?)
    }

    /// Opens the chain as its recovery device, however often it was rotated meanwhile.
    ///
    /// # Errors
    ///
    /// [`KeyringError`]: also if these are not the keys of the recovery device.
    pub fn recover(roster: &Roster, keys: &DeviceKeys) -> Result<Self, KeyringError> {
        match roster.founding_recovery() {
            Some((device, sealed)) if roster.epoch() == 1 && *device == keys.id() => {
                Self::open(roster, open_recovery(device, &keys.sealing, &roster.founding_join_key(), sealed)?)
            }
            _ => Self::open_sealed(roster, keys),
        }
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch_keys.len() as u64
    }

    /// The current epoch's key, for the key file and for welcomes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "`open` makes no keyring without the current key")]
    pub fn epoch_key(&self) -> &EpochKey {
        self.epoch_keys.first().expect("the current key")
    }

    /// The key of an epoch, for what was sealed in it.
    #[must_use]
    pub fn epoch_key_of(&self, epoch: u64) -> Option<&EpochKey> {
        let back = self.epoch().checked_sub(epoch)?;
        self.epoch_keys.get(usize::try_from(back).ok()?)
    }

    /// The chain's name key.
    #[must_use]
    pub fn name_key(&self) -> &NameKey {
        &self.name_key
    }

    /// The current sync code.
    #[must_use]
    pub fn code(&self) -> &SyncCode {
        &self.code
    }

    /// A member's description. It is still the device's own claim.
    ///
    /// # Errors
    ///
    /// [`SealBroken`] if it does not open, or is none.
    pub fn describe(&self, roster: &Roster, member: &Member) -> Result<Description, SealBroken> {
        let device = &member.device.signing;
        let epoch = member.admission.epoch;
        let anchor = roster.anchor(member.admission.seq);
        let key = self.epoch_key_of(epoch).ok_or(SealBroken)?;
        let opened = key.unwrap(epoch, Wrapped::Description, &[anchor, device.as_bytes()], &member.description)?;
        Description::from_opened(&opened).map_err(|_| SealBroken)
    }
}

/// The key of each epoch, the current one first. Each unwraps the one before it.
fn epoch_keys(roster: &Roster, current: EpochKey) -> Result<Vec<EpochKey>, KeyringError> {
    let chain = roster.chain();
    let mut keys = Vec::with_capacity(roster.epochs().len());
    let mut next = Some(current);
    let mut number = roster.epoch();
    for epoch in roster.epochs().iter().rev() {
        let key = next.take().ok_or(KeyringError::OtherKey)?;
        if key.key_id(number) != epoch.key_id {
            return Err(KeyringError::OtherKey);
        }
        if let Some(previous) = &epoch.previous {
            let opened = key.unwrap(number, Wrapped::EpochKey, &[chain.as_bytes()], previous)?;
            next = Some(secret_bytes(&opened).map(EpochKey::from_bytes)?);
        }
        keys.push(key);
        number -= 1;
    }
    Ok(keys)
}
