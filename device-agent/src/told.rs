//! How an ending is told: exit code, stable name, what happened, what to type next. It travels from the daemon to the command.

use serde::{Deserialize, Serialize};

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    /// Done, or approved.
    Done,
    /// Failed for a reason of this machine.
    Failed,
    /// Wrong usage, or a flag that a run without terminal needs.
    Usage,
    /// Refused by the rules.
    Refused,
    /// Expired or timed out.
    Expired,
    /// Not found, or already decided.
    NotFound,
    /// Not a member.
    NotAMember,
    /// The relay is not reachable.
    Unreachable,
    /// Verification failed. Never retried by itself.
    Verification,
}

impl Exit {
    /// The number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Expired => 4,
            Self::NotFound => 5,
            Self::NotAMember => 6,
            Self::Unreachable => 7,
            Self::Verification => 8,
        }
    }
}

/// An ending other than done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The exit code.
    pub(crate) exit: Exit,
    /// A stable name.
    pub(crate) code: String,
    /// What happened and why.
    pub(crate) message: String,
    /// What to type next.
    pub(crate) hint: Option<String>,
    /// What a credential proved all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proven: Option<Box<Head>>,
}

/// The head of a log that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The chain.
    pub(crate) chain: String,
    /// The hash of the last entry.
    pub(crate) head: String,
    /// Its position.
    pub(crate) seq: u64,
}

impl Head {
    /// What `credential verify` takes it as.
    pub(crate) fn options(&self) -> String {
        let Self { chain, head, seq } = self;
        format!("--chain {chain} --head {head}@{seq}")
    }
}
