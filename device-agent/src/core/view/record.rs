//! Records: what is read, what waits to be sent, and a pass that writes old ones anew.

use serde::{Deserialize, Serialize};

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

/// What is said where records went with what a relay lost.
pub(crate) fn lost_records(records: u64) -> String {
    let (count, place) =
        if records == 1 { ("1 record", "its place") } else { (&*format!("{records} records"), "their place") };
    format!("{count} that this device had, and the relay lost: others took {place} there")
}
