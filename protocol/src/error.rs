//! What can be wrong with bytes that a peer sent, before any rule of the log is asked.

/// Bytes that are not the signed form they claim to be. The blame is the peer's; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// More bytes than this form may have. Checked before anything is parsed.
    #[error("{form} is {got} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Which form it claims to be.
        form: &'static str,
        /// Bytes received.
        got: usize,
        /// Bytes allowed, from [`crate::limits`].
        limit: usize,
    },
    /// Not CBOR, or not the shape that the form's CDDL gives.
    #[error("{form} is not well-formed: {what}")]
    Malformed {
        /// Which form it claims to be.
        form: &'static str,
        /// What was found instead.
        what: String,
    },
    /// Well-formed, but another encoding of the same value exists that is the only one allowed (RFC 8949 §4.2.1).
    #[error("{form} is not in deterministic encoding: shortest integers, known keys in order, no trailing bytes")]
    NotCanonical {
        /// Which form it claims to be.
        form: &'static str,
    },
    /// A version of the form that this program does not know.
    #[error("{form} has version {got}; this program knows version 1: update it")]
    UnknownVersion {
        /// Which form it claims to be.
        form: &'static str,
        /// The version named.
        got: u8,
    },
    /// An entry of a kind that this program does not know. It must not be skipped: it may remove a member.
    #[error("the log has an entry of kind {kind} ({name}), which this program does not know: update it")]
    UnknownKind {
        /// The number of the kind.
        kind: u64,
        /// Its name where it is reserved, else "unknown".
        name: &'static str,
    },
    /// A signature does not hold: forged, of another form, or over other bytes.
    #[error("the signature on {form} does not hold")]
    BadSignature {
        /// Which form it claims to be.
        form: &'static str,
    },
    /// A proof that the form needs is missing, superfluous, or by another key.
    #[error("{form} lacks a valid {proof}")]
    BadProof {
        /// Which form it claims to be.
        form: &'static str,
        /// Which proof.
        proof: &'static str,
    },
    /// Signed by a key other than the one that the form itself names.
    #[error("{form} is not signed by the key it names")]
    WrongSigner {
        /// Which form it claims to be.
        form: &'static str,
    },
    /// A field has a value that the form never has.
    #[error("{form}: {what}")]
    BadField {
        /// Which form it claims to be.
        form: &'static str,
        /// What is wrong with which field.
        what: &'static str,
    },
}

impl FormError {
    /// The stable code of this error, as it stands in problems and vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Malformed { .. } => "malformed",
            Self::NotCanonical { .. } => "not-canonical",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::UnknownKind { .. } => "unknown-kind",
            Self::BadSignature { .. } => "bad-signature",
            Self::BadProof { .. } => "bad-proof",
            Self::WrongSigner { .. } => "wrong-signer",
            Self::BadField { .. } => "bad-field",
        }
    }
}
