//! Why the relay does not do what it was asked, sorted by blame.

use protocol::error::FormError;
use protocol::http_signature::ReadRefusal;
use protocol::record::RecordRefusal;
use protocol::reset::ResetRefusal;
use protocol::roster;
use protocol::round::RoundError;
use protocol::{DeviceId, Hash};

/// Where a log stands, for whoever must catch up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Hash of the last entry.
    pub head: Hash,
    /// Its position.
    pub seq: u64,
}

/// The peer's request is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not the form they claim to be.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The signature on a read does not hold.
    #[error(transparent)]
    Read(#[from] ReadRefusal),
    /// The log does not take the entry.
    #[error("{refusal}")]
    Log {
        /// Which entry of the list, from 0.
        index: usize,
        /// Why.
        refusal: roster::Refusal,
    },
    /// The log moved on. The compare-and-swap lost.
    #[error("the log has moved on: fetch what is missing, verify it, and sign again")]
    HeadMoved(Stand),
    /// A cut says that it is the last record of a line, and is not.
    #[error(
        "the cut is not the device's last record here: fetch the records, verify them, and sign again, or cut earlier"
    )]
    CutBehind {
        /// Whose line it is.
        device: DeviceId,
        /// Counter of its last record here; 0 if there is none.
        counter: u64,
        /// Hash of it.
        last: Option<Hash>,
    },
    /// A record is not taken, and with it none of its batch.
    #[error("record {index}: {refusal}")]
    Record {
        /// Which record of the batch, from 0.
        index: usize,
        /// Why.
        refusal: RecordRefusal,
    },
    /// A nonce or a reveal does not continue the rounds of its request.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// Another nonce stands in this round, or the rounds are used up.
    #[error("round {got} is not free: the next is {next}")]
    RoundTaken {
        /// Round named.
        got: u8,
        /// Next free round, 9 if none is.
        next: u8,
    },
    /// The nonce was answered by another reveal.
    #[error("this nonce was answered before, with another value")]
    RevealTaken,
    /// The join key belongs, or belonged, to another chain.
    #[error("this sync code belongs to a chain already: found with a fresh one")]
    JoinKeyTaken,
    /// No chain has this join key. It is all that a stranger learns.
    #[error("no chain here has this sync code: check the words and the relay's address")]
    UnknownJoinKey,
    /// As many requests wait as one join key may have.
    #[error(
        "three requests that were made with this sync code still wait, and denied ones count until they expire: approve or withdraw one, or wait; a new sync code ends them"
    )]
    TooManyPending {
        /// When the next slot is free, milliseconds from now.
        retry_after: u64,
    },
    /// The address or the join key asks too often.
    #[error("too many requests: come back later")]
    TooMany {
        /// When to come back, milliseconds from now.
        retry_after: u64,
    },
    /// No request of this id that the asker may know of.
    #[error("no such join request is open here")]
    RequestUnknown,
    /// The request expired, was withdrawn, or was decided.
    #[error("the join request is over: it expired, was withdrawn, or was decided")]
    RequestClosed,
    /// The signer is not a member.
    #[error("the signer is not a member of this chain")]
    NotAMember,
    /// The signer may not decide.
    #[error("the signer is no approver of this chain")]
    NotAnApprover,
    /// A nonce cites a head that is not in the log.
    #[error("the head is not in the log: fetch the log, or append what is missing")]
    UnknownHead,
    /// A nonce is of another epoch.
    #[error("the epoch is not the current one: fetch the log")]
    StaleEpoch,
    /// The delay of a closing has not passed here.
    #[error("the delay of the closing has not passed at this relay: repeat the close when it has")]
    ClosingTooEarly {
        /// Milliseconds that are left.
        left: u64,
    },
    /// The chain was closed.
    #[error("the chain is closed: its log can be read, and nothing else")]
    ChainClosed,
    /// The chain was reset.
    #[error(
        "the chain was reset by whoever has its sync code, and is never served here again: `form` is what was signed"
    )]
    Reset {
        /// The signed form.
        form: Vec<u8>,
    },
    /// A reset is not taken.
    #[error(transparent)]
    Announcement(#[from] ResetRefusal),
    /// An approval would count in no entry.
    #[error("the approval does not count: made before the chain changed, or by a device that has no voice in it")]
    ApprovalVoid,
    /// As many approvals wait as a chain may have.
    #[error(
        "as many approvals wait as a chain may have: put them into an entry, or wait until one has changed the chain"
    )]
    TooManyApprovals,
    /// There is nothing at this address.
    #[error("there is nothing here")]
    NotFound,
    /// The address takes another method.
    #[error("this address takes another method")]
    MethodNotAllowed,
    /// The body is larger than any that this route takes.
    #[error("the body is larger than the {limit} bytes that this address takes")]
    BodyTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The body did not arrive, or not in time.
    #[error("the body did not arrive whole, or not in time")]
    BodyIncomplete,
    /// The body or the query is not what this route takes.
    #[error("{0}")]
    BadRequest(&'static str),
}

/// Anything but an answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The peer's fault, or its bad luck.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The environment's: the disk is full, or did not sync. The same bytes may be sent again.
    #[error("the store could not make this durable: {0}")]
    NotDurable(String),
    /// Ours, or a damaged store.
    #[error("the store holds what it cannot hold: {0}")]
    Broken(&'static str),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::NotDurable(error.to_string())
    }
}

impl From<ResetRefusal> for Failure {
    fn from(refusal: ResetRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<FormError> for Failure {
    fn from(error: FormError) -> Self {
        Self::Refused(error.into())
    }
}
