//! What a log says: of members and those who were, of requests, of epochs, of an announced end.

use crate::cbor::Blob;
use crate::cut::CutAt;
use crate::entry::{DenyReason, RemoveReason};
use crate::id::{DeviceId, Hash, KeyId};
use crate::keys::DevicePublic;
use crate::policy::{How, Role};

/// A device that the log admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its keys.
    pub device: DevicePublic,
    /// What it may do.
    pub role: Role,
    /// How it came in.
    pub admission: Admission,
    /// Its description, wrapped under the epoch key of its admission.
    pub description: Blob,
}

/// How a member came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Position of the entry that admitted it.
    pub seq: u64,
    /// Its signer: the approver, or the founder itself.
    pub by: DeviceId,
    /// What the signer claims to have checked; absent for the founder and its recovery device.
    pub how: Option<How>,
    /// The signer's clock, unix milliseconds. A claim.
    pub at: u64,
    /// The epoch then, under whose key its description is wrapped.
    pub epoch: u64,
}

/// A device that was a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// What it was.
    pub member: Member,
    /// How that ended.
    pub departure: Departure,
}

/// How a membership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Position of the entry that ended it.
    pub seq: u64,
    /// Its signer.
    pub by: DeviceId,
    /// Why.
    pub why: Why,
    /// The signer's clock, unix milliseconds. A claim.
    pub at: u64,
}

/// Why a membership ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was removed.
    Removed(RemoveReason),
    /// It left by itself.
    Left,
    /// A new recovery device took its place.
    Replaced,
}

/// What the log says of a record: whether its writer could write at the head it cites, and whether it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cited {
    /// It counts.
    Counts,
    /// It lies past a cut of this kind.
    PastCut(CutAt),
    /// Its signer could not write there.
    NoWriter,
}

/// An epoch: the key id of its key, and how the key before it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Key id of its key.
    pub key_id: KeyId,
    /// The key of the epoch before, wrapped by this one; absent in epoch 1.
    pub previous: Option<Blob>,
}

/// The announced end of a chain. Its terms are those of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosingTerms {
    /// Hash of the closing.
    pub hash: Hash,
    /// Its signer.
    pub by: DeviceId,
    /// Its position.
    pub seq: u64,
    /// Seconds that must pass at the relay.
    pub delay: u32,
    /// The signer's clock, unix milliseconds. A claim.
    pub at: u64,
}

/// How a request ended. The first decision is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// Which device had asked.
    pub device: DeviceId,
    /// Who decided.
    pub by: DeviceId,
    /// Position of the entry.
    pub seq: u64,
    /// The signer's clock, unix milliseconds. A claim.
    pub at: u64,
}

/// What was decided on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The device is a member.
    Admitted,
    /// The device was denied.
    Denied(DenyReason),
}

/// A place in the log that a record or a nonce may cite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its seq.
    pub seq: u64,
    /// The epoch at it.
    pub epoch: u64,
}
