//! Key pairs and secrets. None can be printed, and each is wiped when dropped.

use core::fmt;

use ed25519_dalek::Signer as _;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::id::{DeviceId, JoinKey};

/// Declares a 32-byte secret: wiped on drop, redacted in `Debug`, compared in constant time, never displayed.
macro_rules! secret {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name(zeroize::Zeroizing<[u8; 32]>);

        impl $name {
            /// Takes the bytes as the secret.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(zeroize::Zeroizing::new(bytes))
            }

            /// Draws a fresh secret.
            pub fn draw(rng: &mut impl rand_core::CryptoRng) -> Self {
                let mut bytes = zeroize::Zeroizing::new([0; 32]);
                rng.fill_bytes(bytes.as_mut());
                Self(bytes)
            }

            /// The bytes, for sealing and for the key file. They must not be copied elsewhere.
            #[must_use]
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(secret)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
            }
        }

        impl Eq for $name {}
    )+};
}
pub(crate) use secret;

secret! {
    /// The data key of one epoch.
    EpochKey;
    /// The key under which names of collections and records are blinded. Random, made once with the chain.
    NameKey;
    /// A symmetric key that was derived for one purpose.
    DerivedKey;
}

/// An Ed25519 key pair of a device, a join key or a recovery device.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Draws a fresh key.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(seed.as_mut());
        Self::from_seed(&seed)
    }

    /// The key of a 32-byte seed (RFC 8032 §5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for the key file.
    #[must_use]
    pub fn expose_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key, 32 bytes.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public key as a device's identity.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        DeviceId(self.public())
    }

    /// The public key as a join key.
    #[must_use]
    pub fn join_key(&self) -> JoinKey {
        JoinKey(self.public())
    }

    /// Signs. Only [`crate::signed`] and [`crate::http_signature`] call it, each with a context label.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", self.device_id().short())
    }
}

/// The public key that a signature was verified with last, parsed. To parse it is a ninth of a verification, so whoever verifies many
/// forms of one device keeps this from one to the next.
#[derive(Debug, Clone, Default)]
pub struct LastKey(Option<ed25519_dalek::VerifyingKey>);

impl LastKey {
    /// Verifies an Ed25519 signature by the strict rules: canonical `s`, canonical and not low-order keys, no batch equation.
    ///
    /// Plain and batch verification disagree with these rules on hundreds of known edge vectors, so members would disagree about
    /// who is a member. This is the only function in the crate that verifies a signature.
    #[must_use]
    pub(crate) fn holds(&mut self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        if self.0.is_none_or(|key| key.as_bytes() != public) {
            self.0 = parsed(public);
        }
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.is_some_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// [`LastKey::holds`] for a single signature.
#[must_use]
pub(crate) fn signature_holds(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    LastKey::default().holds(public, message, signature)
}

/// A public key, if it is in the one encoding that is canonical.
fn parsed(public: &[u8; 32]) -> Option<ed25519_dalek::VerifyingKey> {
    let mut without_sign = *public;
    without_sign[31] &= 0x7f;
    if !below_p(&without_sign) {
        return None;
    }
    ed25519_dalek::VerifyingKey::from_bytes(public).ok()
}

/// Whether a little-endian field element is below p = 2²⁵⁵ − 19, whose encoding is `ed ff … ff 7f`: each has one encoding only.
fn below_p(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    *last < 0x7f || (*last == 0x7f && (*first < 0xed || middle.iter().any(|byte| *byte != 0xff)))
}

/// A public X25519 sealing key (RFC 7748), in the one encoding below 2²⁵⁵−19 and not of low order.
///
/// A key of low order makes every shared secret zero: whatever is sealed to it can be opened by anybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealingKey([u8; 32]);

/// The canonical encodings of the points of order 1, 2, 4 and 8 on the curve and its twist.
const LOW_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
];

impl SealingKey {
    /// Takes an encoding, if it is canonical and not of low order.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        (below_p(&bytes) && !LOW_ORDER.contains(&bytes)).then_some(Self(bytes))
    }

    /// The encoding (RFC 7748 §5).
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({}…)", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

impl<C> Encode<C> for SealingKey {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SealingKey {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?.try_into().map_err(|_| decode::Error::message("expected 32 bytes"))?;
        Self::from_bytes(bytes).ok_or_else(|| decode::Error::message("not a canonical X25519 key, or one of low order"))
    }
}

/// A device's X25519 key pair.
#[derive(Clone)]
pub struct SealingSecret(x25519_dalek::StaticSecret);

impl SealingSecret {
    /// Draws a fresh key.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self::from_bytes(&bytes)
    }

    /// Takes 32 bytes as the secret scalar; it is clamped when used (RFC 7748 §5).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(x25519_dalek::StaticSecret::from(*bytes))
    }

    /// The secret, for the key file and for HPKE.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half. A clamped scalar never yields a low-order point from the base point.
    #[must_use]
    pub fn public(&self) -> SealingKey {
        SealingKey(x25519_dalek::PublicKey::from(&self.0).to_bytes())
    }
}

impl fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingSecret(secret)")
    }
}

/// The two public keys of a device. They are made separately: a flaw in one use does not touch the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DevicePublic {
    /// Its Ed25519 key, which is its identity.
    #[n(0)]
    pub signing: DeviceId,
    /// Its X25519 key, to which the epoch key is sealed.
    #[n(1)]
    pub sealing: SealingKey,
}

/// The two key pairs of a device.
#[derive(Debug, Clone)]
pub struct DeviceKeys {
    /// Signs everything the device says.
    pub signing: SigningKey,
    /// Opens what is sealed to the device.
    pub sealing: SealingSecret,
}

impl DeviceKeys {
    /// Draws both keys.
    pub fn draw(rng: &mut impl CryptoRng) -> Self {
        Self { signing: SigningKey::draw(rng), sealing: SealingSecret::draw(rng) }
    }

    /// The device's identity.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.signing.device_id()
    }

    /// The public halves.
    #[must_use]
    pub fn public(&self) -> DevicePublic {
        DevicePublic { signing: self.id(), sealing: self.sealing.public() }
    }
}
