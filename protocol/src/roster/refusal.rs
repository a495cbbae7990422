//! Why the log refuses an entry.

use crate::policy::PolicyError;

/// Why the log refuses an entry that is validly signed. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It belongs to another chain, or founds one where one exists.
    #[error("the entry belongs to another chain")]
    OtherChain,
    /// It does not follow the head.
    #[error("the entry does not follow the head (seq {expected} is next): fetch the log and sign again")]
    NotNext {
        /// The next position.
        expected: u64,
    },
    /// Its signer is not a member.
    #[error("the signer is not a member")]
    NotAMember,
    /// Its signer may not decide.
    #[error("the signer is no approver")]
    NotAnApprover,
    /// The request was decided before.
    #[error("the request was already decided")]
    AlreadyDecided,
    /// One of the device's keys was in this log before.
    #[error("a key of the device was in this log before: it must ask with new keys")]
    KeyKnown,
    /// The key that a deny names belongs to a member.
    #[error("the key that is denied belongs to a member")]
    KeyIsMember,
    /// The request was made with a join key that is not current.
    #[error("the request was made with an old sync code")]
    StaleJoinKey,
    /// The admit is for another epoch.
    #[error("the admit is for another epoch than the current one")]
    StaleEpoch,
    /// The way of the admission is not one that the policy names.
    #[error("the policy does not name this way of admission")]
    WayNotAllowed,
    /// The role is not one that an admission can give.
    #[error("a joiner cannot be admitted in this role")]
    RoleNotAllowed,
    /// More or fewer approvals than the policy asks for.
    #[error("the policy asks for {needed} approvals besides the signer's own, and the entry has {got}")]
    Quorum {
        /// Approvals that the entry must carry.
        needed: usize,
        /// Approvals that it carries.
        got: usize,
    },
    /// An approval does not count here.
    #[error(
        "approval {index} does not count: about something else, made before the chain changed, or by a device that has no voice"
    )]
    ApprovalVoid {
        /// Which one, from 0.
        index: usize,
    },
    /// The chain was closed.
    #[error("the chain is closed")]
    ChainClosed,
    /// A one-time code of this time step, or of a later one, was used before.
    #[error("a one-time code of this time step was used before")]
    TotpStepUsed,
    /// The device that the entry is about is not a member.
    #[error("the device is not a member")]
    NoSuchMember,
    /// A removal by the device that is removed.
    #[error("a device does not remove itself: it leaves")]
    SelfRemoval,
    /// Nobody could decide any more.
    #[error("this is the last approver: make another device one first")]
    LastApprover,
    /// Fewer approvers than a quorum of the policy asks for.
    #[error("{left} approvers would be left, and the policy asks for {needed}")]
    TooFewApprovers {
        /// Approvers after the entry.
        left: usize,
        /// The largest quorum.
        needed: usize,
    },
    /// The entry changes nothing.
    #[error("nothing changes: it is so already")]
    NothingChanges,
    /// A cut where writing is not taken away, or none where it is.
    #[error("a cut stands where, and only where, writing is taken away")]
    BadCut,
    /// A join key that was current before.
    #[error("the join key was current in this log before")]
    JoinKeyKnown,
    /// The new epoch key is not sealed to exactly the members after the entry.
    #[error("the new key is not sealed to exactly the members that there are afterwards")]
    WrongRecipients,
    /// A closing stands already.
    #[error("the end of the chain was announced already")]
    ClosingOpen,
    /// The closing that is named does not stand.
    #[error("there is no such closing: it was stopped, or its signer may not decide any more")]
    NoSuchClosing,
    /// The branch that is to be abandoned goes on: it is this one, or was settled upon as well and begins with the smaller hash.
    #[error("the branch that is to be abandoned goes on")]
    NotAbandoned,
    /// The chain has as many members as its policy allows.
    #[error("the chain has as many members as its policy allows")]
    ChainFull,
    /// The policy cannot be in force.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl Refusal {
    /// The stable code of this refusal, as it stands in problems and vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherChain => "other-chain",
            Self::NotNext { .. } => "head-moved",
            Self::NotAMember => "not-a-member",
            Self::NotAnApprover => "not-an-approver",
            Self::AlreadyDecided => "already-decided",
            Self::KeyKnown => "key-known",
            Self::KeyIsMember => "key-is-member",
            Self::StaleJoinKey => "stale-join-key",
            Self::StaleEpoch => "stale-epoch",
            Self::WayNotAllowed => "way-not-allowed",
            Self::RoleNotAllowed => "role-not-allowed",
            Self::Quorum { .. } => "quorum",
            Self::ApprovalVoid { .. } => "approval-void",
            Self::ChainClosed => "chain-closed",
            Self::TotpStepUsed => "totp-step-used",
            Self::NoSuchMember => "no-such-member",
            Self::SelfRemoval => "self-removal",
            Self::LastApprover => "last-approver",
            Self::TooFewApprovers { .. } => "too-few-approvers",
            Self::NothingChanges => "nothing-changes",
            Self::BadCut => "bad-cut",
            Self::JoinKeyKnown => "join-key-known",
            Self::WrongRecipients => "wrong-recipients",
            Self::ClosingOpen => "closing-open",
            Self::NoSuchClosing => "no-such-closing",
            Self::NotAbandoned => "not-abandoned",
            Self::ChainFull => "chain-full",
            Self::Policy(PolicyError::Invalid(_)) => "bad-policy",
            Self::Policy(PolicyError::Unsupported(_)) => "not-supported",
        }
    }
}
