//! The policy of a chain: whole in every entry that carries one, so that nobody has to add up changes.

use core::time::Duration;

use minicbor::{Decode, Encode};

use crate::cbor::{self, Blob, code_enum};
use crate::limits;
use crate::seal::{SUITE_XCHACHA, WRAPPED_TOTP_BYTES};

code_enum! {
    /// What a member may do.
    Role {
        /// Decides and writes. The default.
        Approver = 0 "approver",
        /// Writes.
        Writer = 1 "writer",
        /// Reads.
        Reader = 2 "reader",
        /// A key on paper. Never counts as the last approver.
        Recovery = 3 "recovery",
    }
}

impl Role {
    /// Whether this role may write records.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Approver | Self::Writer)
    }
}

code_enum! {
    /// How an admission was checked: the claim of its signer.
    How {
        /// A person typed the check code.
        Typed = 0 "typed",
        /// The joiner held a one-time ticket.
        Ticket = 1 "ticket",
        /// The joiner sent a right TOTP code.
        Totp = 2 "totp",
        /// Nothing was checked. It voids the promise about a stolen code.
        None = 3 "none",
        /// By the recovery device.
        Recovery = 4 "recovery",
    }
}

/// How many approvers each kind of decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Quorums {
    /// To admit a device.
    #[n(0)]
    pub admit: u8,
    /// To remove devices.
    #[n(1)]
    pub remove: u8,
    /// To change the policy or a role.
    #[n(2)]
    pub policy: u8,
    /// To close the chain.
    #[n(3)]
    pub closing: u8,
}

impl Quorums {
    /// The largest of them: so many approvers a chain must have.
    #[must_use]
    pub fn most(&self) -> u8 {
        self.admit.max(self.remove).max(self.policy).max(self.closing)
    }
}

code_enum! {
    /// What a TOTP code is asked for.
    TotpMode {
        /// One of the ways to be admitted.
        Way = 0 "way",
        /// Required before a person is disturbed.
        BeforePrompt = 1 "before-prompt",
    }
}

/// A shared secret for RFC 6238 codes. Members hold it, the relay does not.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Totp {
    /// What codes are asked for.
    #[n(0)]
    pub mode: TotpMode,
    /// The secret, wrapped under the epoch key.
    #[n(1)]
    pub secret: Blob,
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Policy {
    /// Ways of admission that count, ascending, none twice, at least one.
    #[cbor(n(0), decode_with = "cbor::at_most::<_, _, 5>")]
    pub ways: Vec<How>,
    /// Approvers that decisions need.
    #[n(1)]
    pub quorums: Quorums,
    /// Lifetime of a join request, seconds.
    #[n(2)]
    pub request_lifetime: u32,
    /// Most members, the recovery device aside.
    #[n(3)]
    pub members_max: u8,
    /// Delay between closing and close, seconds.
    #[n(4)]
    pub closing_delay: u32,
    /// Wait of a reset, seconds.
    #[n(5)]
    pub reset_delay: u32,
    /// One-time codes of an authenticator.
    #[n(6)]
    pub totp: Option<Totp>,
}

/// Why a policy cannot be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A field has a value that no policy has.
    #[error("policy: {0}")]
    Invalid(&'static str),
    /// A field asks for something that this version does not do yet.
    #[error("policy: {0} is not supported by this version")]
    Unsupported(&'static str),
}

impl Default for Policy {
    fn default() -> Self {
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        Self {
            ways: vec![How::Typed],
            quorums: Quorums { admit: 1, remove: 1, policy: 1, closing: 1 },
            request_lifetime: seconds(limits::REQUEST_LIFETIME_DEFAULT),
            members_max: limits::MEMBERS_DEFAULT,
            closing_delay: seconds(limits::DELAY_DEFAULT),
            reset_delay: seconds(limits::DELAY_DEFAULT),
            totp: None,
        }
    }
}

impl Policy {
    /// The lifetime of a join request.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.request_lifetime))
    }

    /// Checks every field, and that nothing asks for what this version lacks: a rule that is not enforced must not be in force.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] naming the field.
    pub fn check(&self) -> Result<(), PolicyError> {
        let ascending = self.ways.windows(2).all(|pair| pair.first() < pair.last());
        if self.ways.is_empty() || !ascending || self.ways.contains(&How::Recovery) {
            return Err(PolicyError::Invalid("ways must be ascending, none twice, at least one, without recovery"));
        }
        let Quorums { admit, remove, policy, closing } = self.quorums;
        let quorums = [admit, remove, policy, closing];
        if quorums.iter().any(|quorum| *quorum == 0 || *quorum > self.members_max) {
            return Err(PolicyError::Invalid("a quorum is 0 or above the most members"));
        }
        if self.members_max == 0 || usize::from(self.members_max) > limits::MEMBERS_MAX {
            return Err(PolicyError::Invalid("most members is not between 1 and 128"));
        }
        let (shortest, longest) = limits::REQUEST_LIFETIME_RANGE;
        if !(shortest..=longest).contains(&self.lifetime()) {
            return Err(PolicyError::Invalid("request lifetime is not between 1 second and 24 hours"));
        }
        let delay_max = limits::DELAY_MAX.as_secs();
        if u64::from(self.closing_delay) > delay_max || u64::from(self.reset_delay) > delay_max {
            return Err(PolicyError::Invalid("a delay is above 365 days"));
        }
        let is_way = self.totp.as_ref().is_some_and(|totp| totp.mode == TotpMode::Way);
        if self.ways.contains(&How::Totp) != is_way {
            return Err(PolicyError::Invalid("the way totp and the mode way each ask for the other"));
        }
        let sealed =
            |totp: &Totp| totp.secret.first() == Some(&SUITE_XCHACHA) && totp.secret.len() == WRAPPED_TOTP_BYTES;
        if !self.totp.as_ref().is_none_or(sealed) {
            return Err(PolicyError::Invalid("the secret of one-time codes has another suite or size"));
        }
        if self.ways.contains(&How::Ticket) {
            return Err(PolicyError::Unsupported("the way ticket"));
        }
        Ok(())
    }
}
