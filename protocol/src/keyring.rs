//! What a member opens with an epoch key: the name key and the sync code of the chain, and descriptions.

use crate::cbor::Blob;
use crate::code::SyncCode;
use crate::keys::{DeviceKeys, EpochKey, NameKey};
use crate::request::Description;
use crate::roster::{Member, Roster};
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
            Self::OtherCode => "other-sync-code",
        }
    }
}

/// The keys of a chain in one epoch. It exists only if the epoch key is the one that the log names.
#[derive(Debug, Clone)]
pub struct Keyring {
    epoch: u64,
    epoch_key: EpochKey,
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
    /// Opens everything that an epoch key opens, checking its key id first.
    ///
    /// # Errors
    ///
    /// [`KeyringError`].
    pub fn open(roster: &Roster, epoch_key: EpochKey) -> Result<Self, KeyringError> {
        let epoch = roster.epoch();
        if epoch_key.key_id(epoch) != roster.key_id() {
            return Err(KeyringError::OtherKey);
        }
        let anchor = roster.founding_join_key();
        let unwrap = |what, blob: &Blob| epoch_key.unwrap(epoch, what, &[anchor.as_bytes()], blob);
        let name_key = secret_bytes(&unwrap(Wrapped::NameKey, roster.wrapped_name_key())?).map(NameKey::from_bytes)?;
        let code = secret_bytes(&unwrap(Wrapped::SyncCode, roster.wrapped_sync_code())?).map(SyncCode::from_bytes)?;
        if code.join_key().join_key() != roster.join_key() {
            return Err(KeyringError::OtherCode);
        }
        Ok(Self { epoch, epoch_key, name_key, code })
    }

    /// The epoch of the key.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The epoch key, for the key file and for welcomes.
    #[must_use]
    pub fn epoch_key(&self) -> &EpochKey {
        &self.epoch_key
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
        let opened = if member.admission.seq == 0 {
            let anchor = roster.founding_join_key();
            self.epoch_key.unwrap(
                self.epoch,
                Wrapped::Description,
                &[anchor.as_bytes(), device.as_bytes()],
                &member.description,
            )
        } else {
            let anchor = roster.chain();
            self.epoch_key.unwrap(
                self.epoch,
                Wrapped::Description,
                &[anchor.as_bytes(), device.as_bytes()],
                &member.description,
            )
        }?;
        Description::from_opened(&opened).map_err(|_| SealBroken)
    }
}
