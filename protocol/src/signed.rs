//! The one door from claim to proof: bytes → [`Signed`] → [`Verified`].

use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use minicbor::{Decode, Encode};

use crate::cbor;
use crate::cose::{self, Sign1};
use crate::error::FormError;
use crate::id::{DeviceId, Hash};
use crate::keys::{LastKey, SigningKey, signature_holds};

/// A kind of signed form: its context label, its bound, and what must hold beyond its signature.
pub trait Form: Sized + Encode<()> + for<'b> Decode<'b, ()> {
    /// What [`Form::check`] leaves behind: parts that are signed forms themselves, verified.
    type Evidence: fmt::Debug + Clone;
    /// The name in messages.
    const NAME: &'static str;
    /// The `external_aad` of its signature. A label of its own per form: a signature made for one is worthless for another.
    const LABEL: &'static str;
    /// Largest size on the wire, proofs included, in bytes.
    const BYTES_MAX: usize;

    /// Further keys, named in the form, that must prove themselves beside the signer, in order.
    fn proofs(&self) -> Vec<ProofKey> {
        Vec::new()
    }

    /// Checks everything that the form alone can show: version, that the signer is who the form says, fields, inner forms.
    ///
    /// `known` is what verifying an inner form left behind earlier. It stands for an inner form of exactly the same bytes, signatures
    /// and proofs included, and for no other: whatever differs by a bit is verified.
    fn check(&self, signer: &DeviceId, known: Option<&Self::Evidence>) -> Result<Self::Evidence, FormError>;
}

/// A key that must prove itself beside a form's signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofKey {
    /// Which proof it is.
    pub kind: ProofKind,
    /// The public key.
    pub key: [u8; 32],
}

/// The proofs that exist. Each has a label of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofKind {
    /// By a join key: whoever made the form knows the sync code.
    Join,
    /// By a recovery device: whoever made the form holds the recovery words.
    Recovery,
}

impl ProofKind {
    /// The `external_aad` of the proof's signature; the payload is the form's hash.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Join => "countersign/v1/join-proof",
            Self::Recovery => "countersign/v1/recovery-proof",
        }
    }

    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join proof",
            Self::Recovery => "recovery proof",
        }
    }
}

/// A form that is well-formed and claims to be signed. Nothing of it is believed yet.
#[must_use = "a claim is worth nothing until it is verified"]
pub struct Signed<T> {
    form: T,
    signer: DeviceId,
    sig_structure: Vec<u8>,
    hash: Hash,
    signature: [u8; 64],
    proofs: Vec<([u8; 32], Vec<u8>, [u8; 64])>,
    bytes: Arc<[u8]>,
}

impl<T: Form> Signed<T> {
    /// Takes a form apart: size first, then the exact COSE shape of it and its proofs, then the deterministic payload.
    ///
    /// The bytes are kept as received. Costs a hash over the form; no signature is looked at.
    ///
    /// # Errors
    ///
    /// [`FormError`] naming what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        if bytes.len() > T::BYTES_MAX {
            return Err(FormError::TooLarge { form: T::NAME, got: bytes.len(), limit: T::BYTES_MAX });
        }
        let malformed = |what: &str| FormError::Malformed { form: T::NAME, what: what.to_owned() };
        let (count, rest) = match bytes.split_first() {
            Some((0xd2, _)) => (0, bytes),
            Some((array @ 0x82..=0x84, rest)) => (array - 0x81, rest),
            _ => return Err(malformed("expected a COSE_Sign1 (tag 18), or an array of one and its proofs")),
        };
        let shape = "expected COSE_Sign1 with protected header {1: -8, 4: kid} and an empty unprotected one";
        let (outer, mut rest) = Sign1::take(rest).ok_or_else(|| malformed(shape))?;
        let mut proofs = Vec::new();
        for _ in 0..count {
            let (proof, after) = Sign1::take(rest).ok_or_else(|| malformed(shape))?;
            proofs.push((proof.kid, proof.payload.to_vec(), proof.signature));
            rest = after;
        }
        let form: T = cbor::decode(T::NAME, outer.payload, T::BYTES_MAX)?;
        if !rest.is_empty() {
            return Err(FormError::NotCanonical { form: T::NAME });
        }
        let sig_structure = cose::sig_structure(T::LABEL, &outer.kid, outer.payload);
        Ok(Self {
            form,
            signer: DeviceId(outer.kid),
            hash: cose::hash(&sig_structure),
            sig_structure,
            signature: outer.signature,
            proofs,
            bytes: bytes.into(),
        })
    }

    /// The form's hash, for looking up whether it is known. It says nothing about the signature.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// What the form claims, for limits that must come before the cost of verifying. Never for a decision.
    #[must_use]
    pub fn claimed(&self) -> &T {
        &self.form
    }

    /// Verifies the signature, every proof, and what [`Form::check`] asks.
    ///
    /// Costs one strict Ed25519 verification (about 35 µs) for the signer and each proof.
    ///
    /// # Errors
    ///
    /// [`FormError`] naming what does not hold.
    pub fn verify(self) -> Result<Verified<T>, FormError> {
        self.verify_knowing(None)
    }

    /// The same for whoever holds an inner form that was verified before: the same bytes are not verified twice. See [`Form::check`].
    ///
    /// # Errors
    ///
    /// [`FormError`] naming what does not hold, whatever is known.
    pub fn verify_knowing(self, known: Option<&T::Evidence>) -> Result<Verified<T>, FormError> {
        self.verify_with(known, &mut LastKey::default())
    }

    fn verify_with(self, known: Option<&T::Evidence>, key: &mut LastKey) -> Result<Verified<T>, FormError> {
        if !key.holds(&self.signer.0, &self.sig_structure, &self.signature) {
            return Err(FormError::BadSignature { form: T::NAME });
        }
        // Before the proofs: a form of a later version or kind may need other proofs than this program knows, and what its person
        // must hear is "update me", not "forged".
        let evidence = self.form.check(&self.signer, known)?;
        let asked = self.form.proofs();
        if let Some(missing) = asked.get(self.proofs.len()) {
            return Err(FormError::BadProof { form: T::NAME, proof: missing.kind.name() });
        }
        if self.proofs.len() > asked.len() {
            return Err(FormError::BadProof { form: T::NAME, proof: "number of proofs" });
        }
        for (asked, (kid, payload, signature)) in asked.iter().zip(&self.proofs) {
            let structure = cose::sig_structure(asked.kind.label(), kid, payload);
            let holds =
                *kid == asked.key && payload == self.hash.as_bytes() && signature_holds(kid, &structure, signature);
            if !holds {
                return Err(FormError::BadProof { form: T::NAME, proof: asked.kind.name() });
            }
        }
        Ok(Verified { form: self.form, evidence, signer: self.signer, hash: self.hash, bytes: self.bytes })
    }
}

impl<T> fmt::Debug for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signed({:?} by {:?}, not verified)", self.hash, self.signer)
    }
}

/// A form whose every signature was verified. It cannot be made in any other way than by [`Signed::verify`] or by signing.
#[derive(Clone)]
pub struct Verified<T: Form> {
    form: T,
    evidence: T::Evidence,
    signer: DeviceId,
    hash: Hash,
    bytes: Arc<[u8]>,
}

impl<T: Form> Verified<T> {
    /// Signs a form with a device's key, and with the further keys whose proofs it needs, in the order of [`Form::proofs`].
    ///
    /// # Errors
    ///
    /// The same as for a received form: nobody can sign by accident what others would refuse.
    pub fn sign(form: T, key: &SigningKey, provers: &[&SigningKey]) -> Result<Self, FormError> {
        Self::sign_knowing(form, key, provers, None)
    }

    /// The same for whoever holds an inner form that was verified before. See [`Form::check`].
    ///
    /// # Errors
    ///
    /// The same as for a received form, whatever is known.
    pub fn sign_knowing(
        form: T,
        key: &SigningKey,
        provers: &[&SigningKey],
        known: Option<&T::Evidence>,
    ) -> Result<Self, FormError> {
        let payload = cbor::encode(&form);
        let kid = key.public();
        let structure = cose::sig_structure(T::LABEL, &kid, &payload);
        let hash = cose::hash(&structure);
        let mut bytes = Vec::with_capacity(payload.len() + 128);
        let asked = form.proofs();
        if !asked.is_empty() {
            bytes.push(0x81 + u8::try_from(asked.len()).unwrap_or(u8::MAX - 0x81));
        }
        cose::write(&mut bytes, &kid, &payload, &key.sign(&structure));
        for (index, asked) in asked.iter().enumerate() {
            let prover = provers
                .get(index)
                .filter(|prover| prover.public() == asked.key)
                .ok_or(FormError::BadProof { form: T::NAME, proof: asked.kind.name() })?;
            let structure = cose::sig_structure(asked.kind.label(), &asked.key, hash.as_bytes());
            cose::write(&mut bytes, &asked.key, hash.as_bytes(), &prover.sign(&structure));
        }
        if bytes.len() > T::BYTES_MAX {
            return Err(FormError::TooLarge { form: T::NAME, got: bytes.len(), limit: T::BYTES_MAX });
        }
        let signer = DeviceId(kid);
        let evidence = form.check(&signer, known)?;
        Ok(Self { form, evidence, signer, hash, bytes: bytes.into() })
    }

    /// Decodes and verifies in one step, for callers that have nothing to ask in between.
    ///
    /// # Errors
    ///
    /// [`FormError`] naming what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormError> {
        Signed::decode(bytes)?.verify()
    }

    /// The same for one of many forms, mostly of one device.
    ///
    /// # Errors
    ///
    /// [`FormError`] naming what is wrong.
    pub fn from_bytes_after(bytes: &[u8], key: &mut LastKey) -> Result<Self, FormError> {
        Signed::decode(bytes)?.verify_with(None, key)
    }

    /// Who signed.
    #[must_use]
    pub fn signer(&self) -> DeviceId {
        self.signer
    }

    /// The form's hash: its identity.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The bytes exactly as received or made, proofs included. Kept and forwarded, never encoded anew.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The inner forms that were verified with this one.
    #[must_use]
    pub fn evidence(&self) -> &T::Evidence {
        &self.evidence
    }
}

impl<T: Form> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.form
    }
}

impl<T: Form> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verified<{}>({:?} by {:?})", T::NAME, self.hash, self.signer)
    }
}

/// Refuses a version other than [`crate::VERSION`].
pub(crate) fn check_version(form: &'static str, got: u8) -> Result<(), FormError> {
    if got == crate::VERSION { Ok(()) } else { Err(FormError::UnknownVersion { form, got }) }
}
