//! Bodies of the local routes that are no views.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::core::view::{ClosingView, OutboxView, ProposalView, RequestView, ResetView, TotpView};
use crate::core::{PolicyWish, RecoveryView};

/// Names a request by a prefix of its id.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Named {
    /// The prefix.
    pub(crate) id: String,
}

/// Approves a request.
#[derive(Serialize, Deserialize)]
pub(crate) struct Approve {
    /// A prefix of its id.
    pub(crate) id: String,
    /// What was typed.
    pub(crate) code: Zeroizing<String>,
    /// The role in which it is let in, by name.
    pub(crate) role: String,
}

/// Lets a device in of which nothing was checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AdmitUnchecked {
    /// A prefix of its id.
    pub(crate) id: String,
    /// The role in which it is let in, by name.
    pub(crate) role: String,
}

/// Denies a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DenyRequest {
    /// A prefix of its id.
    pub(crate) id: String,
    /// Seconds for which the relay shows nobody what comes from the address range; 0 for none.
    pub(crate) block: u32,
    /// Why.
    pub(crate) reason: Denial,
}

/// Why a person denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Denial {
    /// It shall not come in.
    Denied,
    /// Nobody here asked: the sync code has leaked, and is replaced.
    NotMe,
}

/// Asks what a removal would come to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemovalAsked {
    /// Names, or prefixes of ids.
    pub(crate) devices: Vec<String>,
    /// From where on they are distrusted: the number of an entry, or a prefix of a record's version.
    pub(crate) from: Option<String>,
}

/// Removes devices.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemovalOrdered {
    /// Ids of those that go.
    pub(crate) devices: Vec<String>,
    /// Ids of those that one of them admitted, and that stay.
    pub(crate) keep: Vec<String>,
    /// Why, by name.
    pub(crate) reason: String,
    /// From where on they are distrusted.
    pub(crate) from: Option<String>,
}

/// Gives a member another role.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RoleAsked {
    /// Its name, or a prefix of its id.
    pub(crate) device: String,
    /// The role, by name.
    pub(crate) role: String,
}

/// Carries an announced end of the chain out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EndOrdered {
    /// The announcement that its person looked at.
    pub(crate) closing: String,
}

/// Stops an announced end or reset.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VetoOrdered {
    /// A prefix of its id; nothing for the only one.
    pub(crate) id: Option<String>,
}

/// Ends a fork.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SettleOrdered {
    /// A prefix of the hash of the first entry of the branch that goes on.
    pub(crate) keep: String,
}

/// A relay to move to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MoveAsked {
    /// Its address.
    pub(crate) relay: String,
    /// A certificate authority of its own, PEM.
    pub(crate) ca: Option<String>,
    /// Whether plain text over a network was accepted by name.
    pub(crate) plaintext: bool,
}

/// Agrees to what another approver proposed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// A prefix of its id.
    pub(crate) id: String,
    /// Why devices are removed, by name.
    pub(crate) reason: String,
    /// Risks that are taken, by name.
    pub(crate) accepted: Vec<String>,
}

/// What a new secret is for.
#[derive(Serialize, Deserialize)]
pub(crate) struct SecretWish {
    /// `way` or `before-prompt`.
    pub(crate) mode: String,
}

/// A secret whose code was typed back.
#[derive(Serialize, Deserialize)]
pub(crate) struct NewSecret {
    /// The secret, in hexadecimal.
    pub(crate) secret: Zeroizing<String>,
    /// What was typed.
    pub(crate) code: Zeroizing<String>,
    /// `way` or `before-prompt`.
    pub(crate) mode: String,
}

/// A one-time code.
#[derive(Serialize, Deserialize)]
pub(crate) struct OneTimeCode {
    /// What was typed.
    pub(crate) code: Zeroizing<String>,
}

/// Changes the policy.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PolicyOrdered {
    /// What it is to become.
    pub(crate) wish: PolicyWish,
    /// Position of the entry that brought the policy which was shown.
    pub(crate) base: u64,
}

/// Names an item.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    /// Its collection.
    pub(crate) collection: String,
    /// Its name in it.
    pub(crate) id: String,
}

/// Writes or deletes an item.
#[derive(Serialize, Deserialize)]
pub(crate) struct Write {
    /// Its collection.
    pub(crate) collection: String,
    /// Its name in it.
    pub(crate) id: String,
    /// Base64 of the content; nothing to delete.
    pub(crate) value: Option<Zeroizing<String>>,
}

/// A step of a pass over all items.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rekey {
    /// The place after which it begins; 0 at first.
    pub(crate) after: u64,
}

/// The content of a write that waits.
#[derive(Serialize, Deserialize)]
pub(crate) struct QueuedValue {
    /// Base64; nothing for a delete.
    pub(crate) value: Option<Zeroizing<String>>,
}

/// Which items.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Collection {
    /// Of one collection, or of all.
    pub(crate) collection: Option<String>,
}

/// The sync code.
#[derive(Serialize, Deserialize)]
pub(crate) struct Code {
    /// The 24 words.
    pub(crate) words: Zeroizing<String>,
    /// The relay's address, which the new device needs besides.
    pub(crate) relay: String,
    /// Both in one, as a QR code carries them.
    pub(crate) payload: Zeroizing<String>,
    /// Why nobody joins with it any more, if nobody does.
    pub(crate) over: Option<String>,
}

/// What was verified.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VerifiedCounts {
    /// Entries of the log.
    pub(crate) entries: u64,
    /// Records.
    pub(crate) records: u64,
    /// Hash of the last entry.
    pub(crate) head: String,
}

/// The state of the device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Verified: the chain.
    pub(crate) chain: String,
    /// Verified: its fingerprint.
    pub(crate) fingerprint: String,
    /// This device.
    pub(crate) device: String,
    /// Its name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: String,
    /// Verified: hash of the pinned head.
    pub(crate) head: String,
    /// Verified: its position.
    pub(crate) seq: u64,
    /// Verified: the epoch.
    pub(crate) epoch: u64,
    /// Verified: members.
    pub(crate) members: u64,
    /// Verified: the recovery device, if there is one.
    #[serde(default)]
    pub(crate) recovery: Option<RecoveryView>,
    /// The relay's origin.
    pub(crate) relay: String,
    /// `reachable`, or why not, or that it was not asked.
    pub(crate) relay_state: String,
    /// `running` or `not-running`.
    pub(crate) daemon: String,
    /// The socket of the daemon: `connected`, why not, or `no-session`.
    pub(crate) link: String,
    /// Position of a fork, if there is one.
    pub(crate) fork_at: Option<u64>,
    /// The announced end of the chain that stands.
    pub(crate) closing: Option<ClosingView>,
    /// The reset that stands, as far as the relay told.
    pub(crate) reset: Option<ResetView>,
    /// Verified: position of the entry that ended the chain.
    pub(crate) closed_at: Option<u64>,
    /// Why this device is a member no more: by the pinned log, or said by the relay.
    pub(crate) gone: Option<String>,
    /// Who says so: the verified `log` of this device, or the `relay` alone.
    pub(crate) gone_said_by: Option<String>,
    /// The stable name of that: `removed`, `left`, `not-a-member`, `reset`.
    pub(crate) gone_code: Option<String>,
    /// Verified: the current epoch's key was withheld from this device, and by which entry.
    pub(crate) alarm: Option<String>,
    /// Records that wait for the log.
    pub(crate) records_aside: u64,
    /// Records that the relay lost, and in whose place others stand there, until somebody has looked at them.
    #[serde(default)]
    pub(crate) records_lost: u64,
    /// Own writes that the relay has not acknowledged.
    pub(crate) outbox: OutboxView,
    /// Open requests.
    pub(crate) requests: Vec<RequestView>,
    /// What approvers have agreed to, and more must.
    pub(crate) approvals: Vec<ProposalView>,
    /// One-time codes, if the policy asks for them.
    pub(crate) totp: Option<TotpView>,
    /// When prompts come again, unix milliseconds, if those of a day are used up: at the relay, as far as this device saw them, or here.
    pub(crate) prompts_again_at: Option<u64>,
}

/// Whose credential.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CredentialOf {
    /// The device's name, or a prefix of its id; nothing for this device.
    pub(crate) device: Option<String>,
}

/// A credential.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// The device that it bears out.
    pub(crate) device: String,
    /// Its chain.
    pub(crate) chain: String,
    /// Hash of the last entry in it.
    pub(crate) head: String,
    /// Position of that.
    pub(crate) seq: u64,
    /// Why the relay was not asked for newer entries, if it could not be.
    pub(crate) not_caught_up: Option<String>,
    /// Base64 of its bytes.
    pub(crate) credential: String,
}
