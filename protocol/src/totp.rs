//! One-time codes of an authenticator (RFC 6238: SHA-1, six digits, 30 seconds). Members hold the secret, under the epoch key in the
//! policy; the relay never does.

use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use totp_rs::{Builder, Secret};
use zeroize::Zeroizing;

use crate::cbor::Blob;
use crate::keyring::{Acting, Keyring};
use crate::policy::Policy;
use crate::request::JoinRequest;
use crate::roster::Roster;
use crate::round::six_digits;
use crate::seal::{SealBroken, Wrapped};
use crate::signed::Verified;

const SECRET_BYTES: usize = 20;

/// The secret of an authenticator.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl core::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TotpSecret(secret)")
    }
}

/// What became of a one-time code.
#[derive(Debug, Clone)]
pub enum TotpAttempt {
    /// It is right, and of a time step that was not used.
    Right(TotpConfirmed),
    /// It is right, and its step, or a later one, admitted a device before.
    Used,
    /// It is wrong, too old, or no code.
    Wrong,
}

/// A request whose one-time code was right. Only [`TotpSecret::confirm`] makes it.
#[derive(Debug, Clone)]
pub struct TotpConfirmed {
    request: Arc<Verified<JoinRequest>>,
    step: u64,
}

impl TotpConfirmed {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &Arc<Verified<JoinRequest>> {
        &self.request
    }

    /// The time step of the code.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }
}

impl TotpSecret {
    /// Draws a secret of 160 bits (RFC 4226 §4).
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// Takes the 20 bytes of a secret.
    #[must_use]
    pub fn from_bytes(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret, for an authenticator.
    #[must_use]
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The line that authenticator apps read, as text or QR code. `label` names the chain there.
    #[must_use]
    pub fn otpauth(&self, label: &str) -> Zeroizing<String> {
        let secret = Zeroizing::new(BASE32_NOPAD.encode(self.expose()));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let label: String = label.chars().map(|c| if plain(c) { c } else { '-' }).collect();
        Zeroizing::new(format!(
            "otpauth://totp/Countersign:{label}?secret={}&issuer=Countersign&algorithm=SHA1&digits=6&period=30",
            *secret
        ))
    }

    /// The time step of a code that is right at `now` (unix seconds), one step of 30 s either side.
    #[must_use]
    pub fn step_of(&self, typed: &str, now: u64) -> Option<u64> {
        let digits = six_digits(typed)?;
        let totp = Builder::new().with_secret(Secret::new(Box::from(self.expose().as_slice()))).build().ok()?;
        totp.check(&digits, now)
    }

    /// Compares the code that came with a request. `last` is the step that the log has used.
    ///
    /// The caller counts wrong ones on its disk before it answers anybody: six digits are guessed in a million tries.
    #[must_use]
    pub fn confirm(
        &self,
        request: &Arc<Verified<JoinRequest>>,
        typed: &str,
        now: u64,
        last: Option<u64>,
    ) -> TotpAttempt {
        match self.step_of(typed, now) {
            None => TotpAttempt::Wrong,
            Some(step) if last.is_some_and(|last| step <= last) => TotpAttempt::Used,
            Some(step) => TotpAttempt::Right(TotpConfirmed { request: Arc::clone(request), step }),
        }
    }

    /// Wraps it for a policy that is about to be signed.
    ///
    /// # Errors
    ///
    /// [`SealBroken`], never.
    pub fn wrap(&self, acting: Acting<'_>, rng: &mut impl CryptoRng) -> Result<Blob, SealBroken> {
        let (epoch, chain) = (acting.keyring.epoch(), acting.roster.chain());
        acting.keyring.epoch_key().wrap(epoch, Wrapped::Totp, &[chain.as_bytes()], self.expose(), rng)
    }

    /// Opens the secret of the policy in force, if it has one.
    ///
    /// # Errors
    ///
    /// [`SealBroken`]: whoever signed the policy put something else there.
    pub fn open(roster: &Roster, keyring: &Keyring) -> Result<Option<Self>, SealBroken> {
        Self::open_of(roster.policy(), roster.policy_epoch(), roster.anchor(roster.policy_seq()), keyring)
    }

    /// Opens the secret of a policy that is to stand in the next entry. Whoever agrees to it asks this first: the log looks into no sealed
    /// value, and with another one in force no code would ever be right.
    ///
    /// # Errors
    ///
    /// [`SealBroken`]: whoever proposed the policy put something else there, or sealed it in another epoch.
    pub fn open_proposed(policy: &Policy, roster: &Roster, keyring: &Keyring) -> Result<Option<Self>, SealBroken> {
        Self::open_of(policy, roster.epoch(), roster.chain().as_bytes(), keyring)
    }

    fn open_of(policy: &Policy, epoch: u64, anchor: &[u8], keyring: &Keyring) -> Result<Option<Self>, SealBroken> {
        let Some(totp) = &policy.totp else { return Ok(None) };
        let key = keyring.epoch_key_of(epoch).ok_or(SealBroken)?;
        let opened = key.unwrap(epoch, Wrapped::Totp, &[anchor], &totp.secret)?;
        let bytes = opened.as_slice().try_into().map_err(|_| SealBroken)?;
        Ok(Some(Self::from_bytes(bytes)))
    }
}
