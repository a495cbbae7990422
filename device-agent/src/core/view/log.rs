//! The log in words: the diary, changes of the membership, two branches.

use serde::{Deserialize, Serialize};

use super::{DeviceView, Here};

/// One line of the diary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepView {
    /// Verified: its position.
    pub(crate) seq: u64,
    /// Verified: its hash.
    pub(crate) hash: String,
    /// Verified: what it did.
    pub(crate) kind: String,
    /// Verified: who signed it; the name is claimed.
    pub(crate) by: String,
    /// Verified: that, and who approved it besides, where several had to.
    pub(crate) approved_by: Vec<String>,
    /// Claimed by the signer, unix milliseconds.
    pub(crate) at: u64,
    /// In words; names are quoted.
    pub(crate) what: String,
    /// Verified: the devices that it is about; their names are claimed.
    pub(crate) devices: Vec<DeviceView>,
    /// Claimed by the signer: why.
    pub(crate) reason: Option<String>,
    /// Verified: what has another value since.
    pub(crate) fields: Vec<FieldView>,
}

/// A change of the membership that decided no request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeView {
    /// Verified: position of its entry.
    pub(crate) seq: u64,
    /// Verified: the kind of its entry.
    pub(crate) kind: String,
    /// Verified: who signed it; the name is claimed.
    pub(crate) by: String,
    /// Verified: that, and who approved it besides, where several had to.
    pub(crate) approved_by: Vec<String>,
    /// Whether that is this device.
    pub(crate) here: Here,
    /// Claimed by the signer, unix milliseconds.
    pub(crate) at: u64,
    /// Verified: the devices that it is about; their names are claimed.
    pub(crate) devices: Vec<DeviceView>,
    /// Claimed by the signer: why.
    pub(crate) reason: Option<String>,
    /// Verified: what has another value since.
    pub(crate) fields: Vec<FieldView>,
    /// The one sentence that every screen shows.
    pub(crate) sentence: String,
}

/// One thing that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FieldView {
    /// What.
    pub(crate) field: String,
    /// Its value before.
    pub(crate) from: String,
    /// Its value now.
    pub(crate) to: String,
}

/// Two branches of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForkView {
    /// Verified: position of the first entry in which they differ.
    pub(crate) seq: u64,
    /// The one that is pinned here.
    pub(crate) pinned: BranchView,
    /// The other one, as far as it was shown.
    pub(crate) other: BranchView,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BranchView {
    /// Verified: hash of its first entry, which names it.
    pub(crate) first: String,
    /// Its entries in words.
    pub(crate) steps: Vec<StepView>,
    /// Verified: whether this device is an approver at its end.
    pub(crate) approver_here: bool,
}
