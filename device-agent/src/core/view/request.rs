//! Requests to join, their prompts, and how they ended.

use serde::{Deserialize, Serialize};

use super::Here;

/// An open request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestView {
    /// Verified: the request's id.
    pub(crate) id: String,
    /// Verified: fingerprint of the device's key.
    pub(crate) fingerprint: String,
    /// Claimed by the device.
    pub(crate) name: String,
    /// Claimed by the device.
    pub(crate) platform: String,
    /// Claimed by the device.
    pub(crate) version: String,
    /// Verified: members whose name is the same or looks the same.
    pub(crate) looks_like: Vec<String>,
    /// Seen by the relay.
    pub(crate) address: String,
    /// Seen by the relay: the trusted proxy that named the address.
    pub(crate) proxy: Option<String>,
    /// Seen by the relay, unix milliseconds.
    pub(crate) asked_at: u64,
    /// Whether the address is in the network of this device.
    pub(crate) same_network: SameNetwork,
    /// Milliseconds until it expires, the earlier of the relay's and this device's own count.
    pub(crate) remaining: u64,
    /// Where the prompt stands on this device.
    pub(crate) prompt: PromptView,
    /// Verified: what became of its one-time code here, if codes are asked for: `right`, `wrong`, `used`, `missing`, `not compared`.
    pub(crate) one_time_code: Option<String>,
    /// Verified: the role that approvers named for it; `approver` where none did yet. Who types the code lets it in as that.
    pub(crate) admits_as: String,
    /// Verified: approvers that have approved it as that; their names are claimed.
    pub(crate) approved_by: Vec<String>,
    /// Verified: approvers that must still approve it, if more than one must.
    pub(crate) more_needed: Option<u64>,
}

/// Whether an address is in this device's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SameNetwork {
    /// The same public address, or the same private network.
    Yes,
    /// Another one.
    No,
    /// The two addresses cannot be compared.
    Unknown,
}

impl SameNetwork {
    /// In words.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the prompt of a request stands on this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum PromptView {
    /// Nobody opened it here.
    Closed,
    /// Opened; the new device has not answered.
    Opening {
        /// The round.
        round: u8,
    },
    /// The new device shows a code, which may be typed here.
    Ready {
        /// The round: the number of the code where the new device shows several.
        round: u8,
        /// Wrong codes so far.
        wrong: u8,
    },
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DecisionView {
    /// The request.
    pub(crate) request: String,
    /// The device that had asked.
    pub(crate) device: String,
    /// `admitted` or `denied`.
    pub(crate) outcome: String,
    /// Why it was denied.
    pub(crate) reason: Option<String>,
    /// Name of the device that had asked, claimed by it; empty if it gave none, or none that opens.
    pub(crate) name: String,
    /// Platform of the device that had asked; claimed by it.
    pub(crate) platform: String,
    /// Claimed by the device that decided: how an admission was checked.
    pub(crate) checked: Option<String>,
    /// Verified: the device that decided; the name is claimed.
    pub(crate) by: String,
    /// Verified: that, and who approved besides, where several had to.
    pub(crate) approved_by: Vec<String>,
    /// What replaces a prompt: `approved on 'laptop'`.
    pub(crate) how: String,
    /// The one sentence that every screen shows.
    pub(crate) sentence: String,
    /// Whether that is this device.
    pub(crate) here: Here,
    /// Position of the entry.
    pub(crate) seq: u64,
    /// Members after it.
    pub(crate) members: u64,
}
