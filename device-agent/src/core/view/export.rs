//! Records as they are taken out. `docs/export.md` has each field.

use serde::{Deserialize, Serialize};

/// What stands above the items of an export. `docs/export.md` has each field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ExportHeader {
    /// Name and version of the form.
    pub(crate) schema: String,
    /// Verified: the chain.
    pub(crate) chain: String,
    /// Verified: hash of the pinned head.
    pub(crate) head: String,
    /// This device's clock, unix milliseconds.
    pub(crate) at: u64,
    /// Whether the relay's records were read first.
    pub(crate) relay: Freshness,
}

/// Whether the relay was asked for what is new before its records were shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Freshness {
    /// Everything that it had is in.
    CaughtUp,
    /// It did not answer: it is what this device has.
    NotReached,
    /// It answered, and gave nothing, or nothing that verifies: it is what this device has.
    Refused,
}

/// An item of an export.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ExportedView {
    /// Name of its collection, where its content opens or the collection was asked for.
    pub(crate) collection: Option<String>,
    /// Name within the collection, where its content opens.
    pub(crate) id: Option<String>,
    /// Base64 of the content, where it opens.
    pub(crate) value: Option<String>,
    /// Verified: the device that wrote this version.
    pub(crate) writer: String,
    /// Claimed by the writer: its name.
    pub(crate) writer_name: String,
    /// Claimed by the writer, unix milliseconds.
    pub(crate) at: u64,
    /// Verified: hash of this version.
    pub(crate) version: String,
    /// Why there is no content: `sealed` or `withheld`.
    pub(crate) damaged: Option<String>,
    /// Whether it was written on one branch of a forked log.
    pub(crate) disputed: bool,
}

impl std::fmt::Debug for ExportedView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExportedView(secret, version {})", self.version)
    }
}
