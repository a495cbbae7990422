//! One-time codes, as they are shown.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret that is not in force, for an authenticator.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewSecretView {
    /// The line that authenticators read.
    pub(crate) line: Zeroizing<String>,
    /// The secret in hexadecimal, to be handed back with a code.
    pub(crate) secret: Zeroizing<String>,
}

impl std::fmt::Debug for NewSecretView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSecretView(secret)")
    }
}

/// What became of a code that the owner typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodeView {
    /// `right`, or `used` if one of this time step, or of a later one, let a device in.
    pub(crate) verdict: String,
    /// Its time step.
    pub(crate) step: u64,
}

/// One-time codes on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TotpView {
    /// Verified: `way` or `before-prompt`.
    pub(crate) mode: String,
    /// Codes that failed here since the owner last unlocked.
    pub(crate) failed: u64,
    /// At so many none is compared any more.
    pub(crate) failed_max: u64,
    /// `open`, `locked`, or `unopened` if the secret in the policy is none for this device.
    pub(crate) state: String,
    /// The role in which this device lets in by a right code alone, if it does.
    pub(crate) admits_as: Option<String>,
}
