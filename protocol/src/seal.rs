//! Sealing: to a device's key (HPKE, RFC 9180) and under a symmetric key (XChaCha20-Poly1305).
//!
//! Every sealed blob begins with a suite id, so that a later suite is a new number and not a guess.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;
use sha2::Sha256;

use crate::cbor::Blob;
use crate::id::KeyId;
use crate::keys::{DerivedKey, EpochKey, SealingKey, SealingSecret};

/// HPKE base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
pub const SUITE_HPKE: u8 = 1;
/// XChaCha20-Poly1305 with a random 24-byte nonce.
pub const SUITE_XCHACHA: u8 = 2;

const ENC_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Bytes of a 32-byte key sealed to a device.
pub const SEALED_KEY_BYTES: usize = 1 + ENC_BYTES + 32 + TAG_BYTES;
/// Bytes of a wrapped secret of one-time codes.
pub const WRAPPED_TOTP_BYTES: usize = 1 + NONCE_BYTES + 20 + TAG_BYTES;
/// Bytes of a 32-byte key wrapped under another.
pub const WRAPPED_KEY_BYTES: usize = 1 + NONCE_BYTES + 32 + TAG_BYTES;

/// A sealed blob that does not open: another key, another context, or changed bytes. Which one is not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open with this key in this place")]
pub struct SealBroken;

/// Seals to a device: `suite ‖ enc ‖ ciphertext`. It proves nothing about the sender, so it stands inside a signed form.
///
/// # Errors
///
/// [`SealBroken`] if the key cannot be sealed to. A [`SealingKey`] always can.
pub fn seal_to(
    to: &SealingKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Blob, SealBroken> {
    let key = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| SealBroken)?;
    let (enc, ciphertext) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        info,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| SealBroken)?;
    let mut blob = vec![SUITE_HPKE];
    blob.extend_from_slice(&enc.to_bytes());
    blob.extend_from_slice(&ciphertext);
    Ok(Blob(blob))
}

/// Opens what [`seal_to`] made.
///
/// # Errors
///
/// [`SealBroken`].
pub fn open_with(
    secret: &SealingSecret,
    info: &[u8],
    aad: &[u8],
    blob: &[u8],
) -> Result<zeroize::Zeroizing<Vec<u8>>, SealBroken> {
    let rest = blob.strip_prefix(&[SUITE_HPKE]).ok_or(SealBroken)?;
    let (enc, ciphertext) = rest.split_at_checked(ENC_BYTES).ok_or(SealBroken)?;
    let secret =
        <X25519HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(secret.expose().as_ref()).map_err(|_| SealBroken)?;
    let enc = <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(enc).map_err(|_| SealBroken)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &enc,
        info,
        ciphertext,
        aad,
    )
    .map(zeroize::Zeroizing::new)
    .map_err(|_| SealBroken)
}

/// Seals under a symmetric key: `suite ‖ nonce ‖ ciphertext`.
///
/// # Errors
///
/// [`SealBroken`] only for plaintexts beyond 256 GiB.
pub fn seal_under(
    key: &DerivedKey,
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Blob, SealBroken> {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let ciphertext = XChaCha20Poly1305::new(&Key::from(*key.expose()))
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad })
        .map_err(|_| SealBroken)?;
    let mut blob = Vec::with_capacity(1 + NONCE_BYTES + ciphertext.len());
    blob.push(SUITE_XCHACHA);
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(&ciphertext);
    Ok(Blob(blob))
}

/// Opens what [`seal_under`] made.
///
/// # Errors
///
/// [`SealBroken`].
pub fn open_under(key: &DerivedKey, aad: &[u8], blob: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, SealBroken> {
    let rest = blob.strip_prefix(&[SUITE_XCHACHA]).ok_or(SealBroken)?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealBroken)?;
    XChaCha20Poly1305::new(&Key::from(*key.expose()))
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad })
        .map(zeroize::Zeroizing::new)
        .map_err(|_| SealBroken)
}

/// HKDF-SHA256 (RFC 5869) without salt, 32 bytes out.
#[expect(clippy::expect_used, reason = "HKDF-SHA256 yields up to 8,160 bytes and 32 are asked for")]
pub(crate) fn derive(secret: &[u8], info: &[&[u8]]) -> DerivedKey {
    let mut out = zeroize::Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret).expand_multi_info(info, out.as_mut()).expect("32 bytes");
    DerivedKey::from_bytes(*out)
}

/// What a value sealed under an epoch key is: its place in the associated data, so that none stands in for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapped {
    /// The name key, 32 bytes.
    NameKey,
    /// The sync code, 32 bytes.
    SyncCode,
    /// A member's description.
    Description,
    /// The epoch key before this one, 32 bytes.
    EpochKey,
    /// The secret of one-time codes, 20 bytes.
    Totp,
}

impl Wrapped {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::NameKey => b"countersign/v1/wrapped-name-key",
            Self::SyncCode => b"countersign/v1/wrapped-sync-code",
            Self::Description => b"countersign/v1/wrapped-description",
            Self::EpochKey => b"countersign/v1/wrapped-epoch-key",
            Self::Totp => b"countersign/v1/wrapped-totp",
        }
    }
}

impl EpochKey {
    /// The key id of this key for an epoch: HKDF(epoch key, info = `countersign/v1/key-id` ‖ epoch).
    #[must_use]
    pub fn key_id(&self, epoch: u64) -> KeyId {
        KeyId(*derive(self.expose(), &[b"countersign/v1/key-id", &epoch.to_be_bytes()]).expose())
    }

    /// The key under which records of an epoch are sealed.
    #[must_use]
    pub(crate) fn record_key(&self, epoch: u64) -> DerivedKey {
        derive(self.expose(), &[b"countersign/v1/record-key", &epoch.to_be_bytes()])
    }

    /// Wraps a value under this epoch's key. `anchor` is what binds it to its place: the founding join key for a value in
    /// `found` (the chain has no id yet), the chain's id later; a description adds the device.
    ///
    /// # Errors
    ///
    /// [`SealBroken`], never for values of these sizes.
    pub fn wrap(
        &self,
        epoch: u64,
        what: Wrapped,
        anchor: &[&[u8]],
        value: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Blob, SealBroken> {
        seal_under(&self.wrap_key(epoch), &wrap_aad(what, anchor), value, rng)
    }

    /// Opens what [`EpochKey::wrap`] made.
    ///
    /// # Errors
    ///
    /// [`SealBroken`].
    pub fn unwrap(
        &self,
        epoch: u64,
        what: Wrapped,
        anchor: &[&[u8]],
        blob: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, SealBroken> {
        open_under(&self.wrap_key(epoch), &wrap_aad(what, anchor), blob)
    }

    fn wrap_key(&self, epoch: u64) -> DerivedKey {
        derive(self.expose(), &[b"countersign/v1/wrap-key", &epoch.to_be_bytes()])
    }
}

fn wrap_aad(what: Wrapped, anchor: &[&[u8]]) -> Vec<u8> {
    let mut aad = what.label().to_vec();
    for part in anchor {
        aad.extend_from_slice(part);
    }
    aad
}

/// Turns opened bytes into a 32-byte secret.
pub(crate) fn secret_bytes(opened: &[u8]) -> Result<[u8; 32], SealBroken> {
    opened.try_into().map_err(|_| SealBroken)
}
