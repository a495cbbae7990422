//! The end of a chain that is announced: by its approvers, or by whoever has the sync code.

use serde::{Deserialize, Serialize};

use super::Here;

/// An announced end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClosingView {
    /// Verified: hash of the announcement.
    pub(crate) id: String,
    /// Verified: who signed it; the name is claimed.
    pub(crate) by: String,
    /// Whether that is this device.
    pub(crate) here: Here,
    /// Verified: position of the announcement.
    pub(crate) seq: u64,
    /// Claimed by the signer, unix milliseconds.
    pub(crate) at: u64,
    /// Verified: seconds that must pass at the relay.
    pub(crate) delay: u32,
    /// By the signer's clock: from when on it may be carried out, unix milliseconds. The relay counts by itself.
    pub(crate) due_at: u64,
}

/// A reset that stands: whoever has the sync code wants the chain deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResetView {
    /// Verified: hash of what the sync code signed.
    pub(crate) id: String,
    /// Verified: seconds of its wait.
    pub(crate) wait: u64,
    /// Seen by the relay, by its count, told in this device's clock: when it is carried out, unix milliseconds.
    pub(crate) due_at: u64,
    /// Milliseconds until then.
    pub(crate) remaining: u64,
}
