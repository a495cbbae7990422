//! The devices of the chain, and what a removal of some comes to.

use serde::{Deserialize, Serialize};

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberView {
    /// Verified.
    pub(crate) device: String,
    /// Claimed by the device.
    pub(crate) name: String,
    /// Claimed by the device.
    pub(crate) platform: String,
    /// Claimed by the device.
    pub(crate) version: String,
    /// Verified.
    pub(crate) role: String,
    /// Verified: position of the entry that admitted it.
    pub(crate) admitted_at_seq: u64,
    /// Verified: who signed that; the name is claimed.
    pub(crate) admitted_by: String,
    /// Claimed by the signer: how it was checked.
    pub(crate) how: Option<String>,
    /// Claimed by the signer, unix milliseconds.
    pub(crate) admitted_at: u64,
    /// Whether it is this device.
    pub(crate) here: Here,
}

/// Which device a row speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Here {
    /// This one.
    ThisDevice,
    /// Another one.
    Other,
}

/// What a removal comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovalView {
    /// The devices that are to go.
    pub(crate) devices: Vec<RemovedView>,
    /// Members that one of them admitted, and those that these admitted in turn.
    pub(crate) admitted: Vec<AdmittedView>,
}

/// A device that is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedView {
    /// Verified.
    pub(crate) device: String,
    /// Claimed by the device.
    pub(crate) name: String,
    /// Verified.
    pub(crate) role: String,
    /// Verified: records that it wrote.
    pub(crate) records: u64,
    /// How many of them count afterwards.
    pub(crate) counted: u64,
}

/// A member that a device admitted which is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AdmittedView {
    /// Verified.
    pub(crate) device: String,
    /// Claimed by the device.
    pub(crate) name: String,
    /// Verified: who signed that; the name is claimed.
    pub(crate) by: String,
    /// Verified: position of the entry.
    pub(crate) seq: u64,
    /// Claimed by the signer, unix milliseconds.
    pub(crate) at: u64,
    /// `remove` where it came after what is distrusted, else `ask`.
    pub(crate) proposed: String,
}

/// A device that is or was a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceView {
    /// Verified.
    pub(crate) device: String,
    /// Claimed by the device.
    pub(crate) name: String,
}
