//! What happens, as whoever listens is told.

use serde::{Deserialize, Serialize};

use super::{ApprovalView, ChangeView, DecisionView, ItemView, ProposalView, RequestView, ResetView};
use crate::told::Told;

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
