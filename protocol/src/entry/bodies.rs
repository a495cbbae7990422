//! What each kind of entry carries.

use minicbor::{Decode, Encode};

use crate::approval::REMOVALS;
use crate::cbor::{self, Blob, code_enum};
use crate::cut::{Cut, Removal};
use crate::id::{DeviceId, Hash, JoinKey, KeyId, RequestId};
use crate::keys::DevicePublic;
use crate::limits;
use crate::policy::{How, Policy, Role};
use crate::rotation::Rotation;

const APPROVALS: u64 = limits::MEMBERS_MAX as u64;

/// The body of `found`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Found {
    /// The founder's keys. Its signing key signs the entry.
    #[n(0)]
    pub device: DevicePublic,
    /// The first join key; it proves itself.
    #[n(1)]
    pub join_key: JoinKey,
    /// Key id of the epoch key of epoch 1.
    #[n(2)]
    pub key_id: KeyId,
    /// The founder's description, wrapped by the epoch key, bound to join key and device.
    #[n(3)]
    pub description: Blob,
    /// The name key, wrapped by the epoch key, bound to the join key.
    #[n(4)]
    pub name_key: Blob,
    /// The sync code, wrapped by the epoch key, bound to the join key.
    #[n(5)]
    pub sync_code: Blob,
    /// The first policy.
    #[n(6)]
    pub policy: Policy,
    /// A recovery device, if there is one; it proves itself.
    #[n(7)]
    pub recovery: Option<Recovery>,
}

/// A recovery device as an entry brings it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recovery {
    /// Its keys.
    #[n(0)]
    pub device: DevicePublic,
    /// The epoch key, sealed to it.
    #[n(1)]
    pub epoch_key: Blob,
}

/// The body of `admit`: the new device's credential.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Admit {
    /// The join request whole, with its proof, exactly as it was received.
    #[n(0)]
    pub request: Blob,
    /// What the device may do.
    #[n(1)]
    pub role: Role,
    /// The epoch it enters in: the current one.
    #[n(2)]
    pub epoch: u64,
    /// How the admission was checked.
    #[n(3)]
    pub how: How,
    /// The device's description, wrapped by the epoch key, bound to chain and device.
    #[n(4)]
    pub description: Blob,
    /// The epoch key, sealed to the device.
    #[n(5)]
    pub welcome: Blob,
    /// Signed approvals of other approvers, where the quorum is above one.
    #[cbor(n(6), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
    /// The signed ticket, where `how` is `ticket`.
    #[n(7)]
    pub ticket: Option<Blob>,
    /// The time step of the code, where `how` is `totp`.
    #[n(8)]
    pub totp_step: Option<u64>,
}

/// The body of `deny`. It holds nothing that a joiner could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Deny {
    /// The request that is denied.
    #[n(0)]
    pub request: RequestId,
    /// The key that asked; it can never be admitted.
    #[n(1)]
    pub device: DeviceId,
    /// Why.
    #[n(2)]
    pub reason: DenyReason,
    /// Seconds for which requests from the address range that the relay saw are shown to nobody; 0 for none.
    #[n(3)]
    pub block: u32,
}

code_enum! {
    /// Why a request was denied.
    DenyReason {
        /// A person said no.
        Denied = 0 "denied",
        /// Three wrong check codes.
        WrongCode = 1 "wrong-code",
        /// Nobody here asked: the sync code has leaked.
        NotMe = 2 "not-me",
    }
}

/// The body of `remove`: devices go, and a new epoch begins without them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Remove {
    /// The devices, ascending, each with what of its records counts.
    #[cbor(n(0), decode_with = "cbor::some::<_, _, REMOVALS>")]
    pub removals: Vec<Removal>,
    /// Why.
    #[n(1)]
    pub reason: RemoveReason,
    /// The epoch that begins, always with a new join key: they knew the sync code.
    #[n(2)]
    pub rotation: Rotation,
    /// Signed approvals of other approvers, where the quorum is above one.
    #[cbor(n(3), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
}

code_enum! {
    /// Why devices were removed: the claim of the signer.
    RemoveReason {
        /// Not used any more.
        Retired = 0 "retired",
        /// Lost or stolen.
        Lost = 1 "lost",
        /// Not to be trusted.
        Distrusted = 2 "distrusted",
    }
}

/// The body of `rotate`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rotate {
    /// The epoch that begins.
    #[n(0)]
    pub rotation: Rotation,
}

/// The body of `leave`: a member removes itself. The next approver rotates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Leave {
    /// What of its own records counts.
    #[n(0)]
    pub cut: Cut,
}

/// The body of `change-role`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChangeRole {
    /// The member.
    #[n(0)]
    pub device: DeviceId,
    /// Its role from here on.
    #[n(1)]
    pub role: Role,
    /// What of its records counts, where, and only where, writing is taken away.
    #[n(2)]
    pub cut: Option<Cut>,
    /// Signed approvals of other approvers, where the quorum is above one.
    #[cbor(n(3), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
}

/// The body of `change-policy`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChangePolicy {
    /// The whole policy from here on.
    #[n(0)]
    pub policy: Policy,
    /// Signed approvals of other approvers, where the quorum of the policy before is above one.
    #[cbor(n(1), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
}

/// The body of `closing`: the chain is to end after the delay of its policy.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Closing {
    /// Signed approvals of other approvers, where the quorum is above one.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
}

/// The body of `veto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Veto {
    /// What is stopped.
    #[n(0)]
    pub of: VetoOf,
    /// Its hash.
    #[n(1)]
    pub hash: Hash,
}

code_enum! {
    /// What a veto stops.
    VetoOf {
        /// A closing, by the hash of its entry.
        Closing = 0 "closing",
        /// A reset, by the hash of its form, which is no part of the log.
        Reset = 1 "reset",
    }
}

/// The body of `close`: the log takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Close {
    /// Hash of the closing that is carried out.
    #[n(0)]
    pub closing: Hash,
}

/// The body of `settle`: a fork ends, and this branch goes on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Settle {
    /// Hash of the first entry of the branch that is abandoned.
    #[n(0)]
    pub abandoned: Hash,
    /// The epoch that begins.
    #[n(1)]
    pub rotation: Rotation,
    /// Signed approvals of other approvers, where any quorum is above one.
    #[cbor(n(2), decode_with = "cbor::at_most::<_, _, APPROVALS>")]
    pub approvals: Vec<Blob>,
}
