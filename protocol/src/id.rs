//! 32-byte identities, each a type of its own so that one cannot stand for another.

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct BadId;

macro_rules! id {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The first eight hexadecimal digits, for logs.
            #[must_use]
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(8);
                text
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER_PERMISSIVE.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| BadId)?;
                bytes.try_into().map(Self).map_err(|_| BadId)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = BadId;
            fn try_from(bytes: &[u8]) -> Result<Self, BadId> {
                bytes.try_into().map(Self).map_err(|_| BadId)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                d.bytes()?.try_into().map(Self).map_err(|_| decode::Error::message("expected 32 bytes"))
            }
        }
    )+};
}

id! {
    /// SHA-256 of a form's Sig_structure (RFC 9052 §4.4): label, signer and payload, never the signature.
    Hash;
    /// A chain: the hash of its founding entry.
    ChainId;
    /// A device: its Ed25519 public key (RFC 8032 §5.1.5). It may name no valid point; then no signature of it verifies.
    DeviceId;
    /// A join request: its hash, so a retry is the same request.
    RequestId;
    /// The public half of a join key, Ed25519. All that the relay knows of a sync code.
    JoinKey;
    /// Which epoch key a number stands for, so that nobody can hand two members different keys unnoticed.
    KeyId;
    /// 32 fresh random bytes against replay.
    Random;
    /// One value of a join request's chain of commitments.
    Commitment;
    /// A collection's name, blinded with the chain's name key.
    BlindedCollection;
    /// A record's name within its collection, blinded with the chain's name key.
    BlindedId;
}

impl From<Hash> for ChainId {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl From<Hash> for RequestId {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl Random {
    /// Draws a fresh value.
    pub fn draw(rng: &mut impl rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// A fingerprint for people: the first 32 hexadecimal digits in groups of four.
#[must_use]
pub fn fingerprint(bytes: &[u8; 32]) -> String {
    let digits = HEXLOWER_PERMISSIVE.encode(bytes);
    let groups: Vec<&str> = (0..8).filter_map(|group| digits.get(group * 4..group * 4 + 4)).collect();
    groups.join(" ")
}
