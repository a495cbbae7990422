//! The relay of this device, and a move to another one.

use serde::{Deserialize, Serialize};

/// The relay of this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayView {
    /// Its origin.
    pub(crate) relay: String,
    /// `reachable`, or why not.
    pub(crate) state: String,
    /// `tls`, or `plain`: everything but what is sealed travels readable.
    pub(crate) transport: String,
    /// `system`, or `own`: a certificate authority that was named when the address was given.
    pub(crate) authority: Option<String>,
    /// The proxy on the way, without its password.
    pub(crate) proxy: Option<String>,
    /// Verified: position of the pinned head, which a relay that is reached has too.
    pub(crate) seq: u64,
    /// Verified: hash of the pinned head.
    pub(crate) head: String,
}

/// A move to another relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MovedView {
    /// The old relay's origin.
    pub(crate) from: String,
    /// The new relay's origin.
    pub(crate) relay: String,
    /// What became of the last look at the old one.
    pub(crate) old_relay: String,
    /// Verified: hash of the head that the new one has.
    pub(crate) head: String,
    /// Its position.
    pub(crate) seq: u64,
    /// Records that the new one did not have.
    pub(crate) records_given: u64,
    /// Records that it could not take: somebody wrote in their place there.
    pub(crate) records_refused: u64,
    /// What should be done before anything else, if something should.
    #[serde(default)]
    pub(crate) advice: Option<String>,
}
