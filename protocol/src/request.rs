//! The join request: a device's signed wish, with the proof that it knows the sync code.

use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

use crate::cbor::{self, Blob};
use crate::code::SyncCode;
use crate::error::FormError;
use crate::id::{Commitment, DeviceId, Hash, JoinKey, RequestId};
use crate::keys::{DeviceKeys, DevicePublic};
use crate::limits;
use crate::seal::{SealBroken, open_under, seal_under};
use crate::signed::{Form, ProofKey, ProofKind, Verified, check_version};

/// What a device says of itself. All of it is a claim: show it quoted and cleaned, and decide nothing by it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Description {
    /// Name that its person chose, at most [`limits::DESCRIPTION_TEXT_MAX`] characters.
    #[n(0)]
    pub name: String,
    /// Operating system and machine.
    #[n(1)]
    pub platform: String,
    /// Version of the agent.
    #[n(2)]
    pub version: String,
    /// Beside a join request: the one-time code that was typed on the device. An admit does not keep it.
    #[n(3)]
    pub totp: Option<String>,
}

impl Description {
    /// Decodes a description that was opened.
    ///
    /// # Errors
    ///
    /// [`FormError`]: it is another device's claim, so it can be anything.
    pub fn from_opened(bytes: &[u8]) -> Result<Self, FormError> {
        cbor::decode("description", bytes, limits::DESCRIPTION_BYTES_MAX)
    }

    /// The same without the one-time code, as an admit keeps it.
    #[must_use]
    pub fn without_totp(&self) -> Self {
        Self { totp: None, ..self.clone() }
    }

    /// The bytes that are sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Seals it for the members, under a key of the sync code. The relay, which lacks the code, reads nothing.
    ///
    /// # Errors
    ///
    /// [`SealBroken`], never for a description of allowed size.
    pub fn seal(&self, code: &SyncCode, device: &DeviceId, rng: &mut impl CryptoRng) -> Result<Blob, SealBroken> {
        seal_under(&code.description_key(), &description_aad(device), &self.to_bytes(), rng)
    }

    /// Opens what [`Description::seal`] made.
    ///
    /// # Errors
    ///
    /// [`SealBroken`] also if what was sealed is no description.
    pub fn open(code: &SyncCode, device: &DeviceId, blob: &[u8]) -> Result<Self, SealBroken> {
        let opened = open_under(&code.description_key(), &description_aad(device), blob)?;
        Self::from_opened(&opened).map_err(|_| SealBroken)
    }
}

fn description_aad(device: &DeviceId) -> Vec<u8> {
    [b"countersign/v1/description".as_slice(), device.as_bytes()].concat()
}

/// A join request. It names the join key, never the chain: the joiner does not know it yet.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JoinRequest {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// Public half of the join key that the sync code yields; it proves itself beside the device.
    #[n(1)]
    pub join_key: JoinKey,
    /// The joiner's keys. The signing key signs the request.
    #[n(2)]
    pub device: DevicePublic,
    /// SHA-256 of the sealed description that travels beside the request.
    #[n(3)]
    pub description_hash: Hash,
    /// c₀ of the joiner's commitments (see [`crate::round`]).
    #[n(4)]
    pub commitment: Commitment,
    /// The joiner's clock, unix milliseconds. A claim.
    #[n(5)]
    pub at: u64,
}

impl JoinRequest {
    /// Signs a request with the device's key and the join key.
    ///
    /// # Errors
    ///
    /// [`FormError`], never for keys that were drawn.
    pub fn sign(
        code: &SyncCode,
        keys: &DeviceKeys,
        description: &Blob,
        commitment: Commitment,
        at: u64,
    ) -> Result<Verified<Self>, FormError> {
        let join = code.join_key();
        let form = Self {
            version: crate::VERSION,
            join_key: join.join_key(),
            device: keys.public(),
            description_hash: description_hash(description),
            commitment,
            at,
        };
        Verified::sign(form, &keys.signing, &[&join])
    }
}

/// The hash that a request names its sealed description by.
#[must_use]
pub fn description_hash(sealed: &[u8]) -> Hash {
    Hash(Sha256::digest(sealed).into())
}

impl Form for JoinRequest {
    type Evidence = ();
    const NAME: &'static str = "join request";
    const LABEL: &'static str = "countersign/v1/join-request";
    const BYTES_MAX: usize = limits::REQUEST_BYTES_MAX;

    fn proofs(&self) -> Vec<ProofKey> {
        vec![ProofKey { kind: ProofKind::Join, key: self.join_key.0 }]
    }

    fn check(&self, signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        if *signer != self.device.signing {
            return Err(FormError::WrongSigner { form: Self::NAME });
        }
        if self.join_key.0 == signer.0 {
            return Err(FormError::BadField { form: Self::NAME, what: "the join key is the device's own key" });
        }
        Ok(())
    }
}

impl Verified<JoinRequest> {
    /// The request's id: its hash.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.hash().into()
    }

    /// Whether a sealed description is the one that the request names.
    #[must_use]
    pub fn names(&self, sealed_description: &[u8]) -> bool {
        sealed_description.len() <= limits::DESCRIPTION_BYTES_MAX
            && description_hash(sealed_description) == self.description_hash
    }
}

/// A joiner takes its request back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdrawal {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The request; whoever takes the withdrawal checks that its device signed both.
    #[n(1)]
    pub request: RequestId,
}

impl Form for Withdrawal {
    type Evidence = ();
    const NAME: &'static str = "withdrawal";
    const LABEL: &'static str = "countersign/v1/withdrawal";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)
    }
}
