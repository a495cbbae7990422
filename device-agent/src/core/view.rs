//! What callers are shown: plain values with every stranger's text cleaned. They travel over the local socket as JSON.
//!
//! Each fact has one of three sources. *Verified*: ids, roles, decisions, order. *Seen by the relay*: addresses, times of arrival.
//! *Claimed by the device*: names, platforms, versions, and the clocks inside signed forms. Names are bare, for programs; sentences quote them.

mod approval;
mod policy;
mod totp;

use serde::{Deserialize, Serialize};

use crate::told::Told;

pub(crate) use approval::{ApprovalView, ApprovedView, OutcomeView, ProposalView, approved};
pub(crate) use policy::{CautionView, PolicyPlanView, PolicyView, SettingView};
pub(crate) use totp::{CodeView, NewSecretView, TotpView};

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

/// An item.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ItemView {
    /// Name of its collection.
    pub(crate) collection: String,
    /// Name within the collection.
    pub(crate) id: String,
    /// Base64 of the content.
    pub(crate) value: String,
    /// Verified: who wrote this version; the name is claimed.
    pub(crate) writer: String,
    /// Claimed by the writer, unix milliseconds.
    pub(crate) at: u64,
    /// Verified: hash of this version.
    pub(crate) version: String,
    /// Verified: whether its writer counts where it wrote this.
    pub(crate) standing: ItemStanding,
}

/// Whether a version counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ItemStanding {
    /// It does.
    Counts,
    /// Its writer was removed, and is not trusted from a place before it on: until somebody writes it anew.
    Disputed,
}

/// How far a pass over all items came that writes those of old epochs anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct RekeyView {
    /// The current epoch.
    pub(crate) epoch: u64,
    /// Items that there are, deleted ones included.
    pub(crate) items: u64,
    /// Items looked at.
    pub(crate) examined: u64,
    /// Items written anew.
    pub(crate) written: u64,
    /// Items that somebody else wrote meanwhile.
    pub(crate) overtaken: u64,
    /// Items whose current version is disputed: they stay as they are.
    pub(crate) disputed: u64,
    /// Items that do not open.
    pub(crate) damaged: u64,
    /// The place of the last item when this step began: a pass that began then ends there, however much is written meanwhile.
    pub(crate) last: u64,
    /// Where the next step begins; nothing at the end.
    pub(crate) next: Option<u64>,
}

impl std::fmt::Debug for ItemView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ItemView(secret, version {})", self.version)
    }
}

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

/// An own write that the relay has not acknowledged, without its content.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueuedView {
    /// Name of its collection.
    pub(crate) collection: String,
    /// Name within the collection.
    pub(crate) id: String,
    /// `put` or `delete`.
    pub(crate) kind: String,
    /// When it was written, unix milliseconds.
    pub(crate) at: u64,
    /// Stable code of why it is set aside: `conflict` where somebody wrote the item meanwhile. Nothing while it waits for the relay.
    pub(crate) refused: Option<String>,
}

impl std::fmt::Debug for QueuedView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QueuedView(secret, {}, refused {:?})", self.kind, self.refused)
    }
}

/// A record that the relay lost, and that has no place there any more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LostView {
    /// Name of its collection, where that is known here.
    pub(crate) collection: Option<String>,
    /// Name within the collection, where that is known here.
    pub(crate) id: Option<String>,
    /// Base64 of the content of a put, where it opens.
    pub(crate) value: Option<String>,
    /// `put` or `delete`.
    pub(crate) kind: String,
    /// Verified: who wrote it; the name is claimed.
    pub(crate) writer: String,
    /// Claimed by the writer, unix milliseconds.
    pub(crate) at: u64,
    /// Verified: hash of this version.
    pub(crate) version: String,
}

impl std::fmt::Debug for LostView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LostView(secret, version {})", self.version)
    }
}

/// Own writes that the relay has not acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutboxView {
    /// How many wait for the relay.
    pub(crate) queued: u64,
    /// When the oldest of those was written, unix milliseconds.
    pub(crate) oldest_at: Option<u64>,
    /// Those that are set aside until their person decides.
    pub(crate) refused: Vec<QueuedView>,
}

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

/// Name and version of the form in which events are told to programs.
pub(crate) const EVENT_SCHEMA: &str = "countersign.event/1";

/// Something that happened. Each is stored before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(crate) enum Event {
    /// A request is open.
    Requested {
        /// It.
        request: Box<RequestView>,
    },
    /// A prompt that was opened here has its answer.
    Answered {
        /// It.
        request: Box<RequestView>,
    },
    /// A request was decided, here or elsewhere.
    Decided {
        /// How.
        decision: Box<DecisionView>,
    },
    /// The membership changed otherwise, here or elsewhere.
    Changed {
        /// How.
        change: Box<ChangeView>,
    },
    /// An approver agreed to something that needs several, here or elsewhere.
    Approved {
        /// Who, and to what.
        approval: Box<ApprovalView>,
    },
    /// What approvers had agreed to counts no more: the chain changed before enough of them had.
    Dropped {
        /// What it was.
        proposal: Box<ProposalView>,
    },
    /// The one-time code of a request let nobody in, on a device that lets in by one.
    CodeFailed {
        /// The id of the request.
        request: String,
        /// Why.
        why: String,
    },
    /// A request is no longer open, undecided.
    Ended {
        /// Its id.
        request: String,
        /// `expired`, `withdrawn`, or `stale`: the sync code that it was made with is dead.
        ending: String,
    },
    /// An item has a new version.
    Record {
        /// It; without content for a delete.
        item: Box<ItemView>,
        /// `put` or `delete`.
        kind: String,
    },
    /// The relay lost records that this device had, and others stand in their place there.
    Lost {
        /// How many.
        records: u64,
    },
    /// Whoever has the sync code wants the chain deleted. Told at each connect while it stands.
    Reset {
        /// It.
        reset: Box<ResetView>,
    },
    /// The connection to the relay changed.
    Link {
        /// `connected` or why not.
        state: String,
    },
    /// The session with the relay ended for good.
    Stopped {
        /// Why.
        told: Told,
    },
    /// Somebody lied.
    Alarm {
        /// What was found.
        message: String,
    },
}

/// What is said where records went with what a relay lost.
pub(crate) fn lost_records(records: u64) -> String {
    let (count, place) =
        if records == 1 { ("1 record", "its place") } else { (&*format!("{records} records"), "their place") };
    format!("{count} that this device had, and the relay lost: others took {place} there")
}

/// The first eight characters of an id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
