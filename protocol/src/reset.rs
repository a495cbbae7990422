//! Resets: whoever has only the sync code ends a chain at its relay, after a wait in which any member can stop it.

use minicbor::{Decode, Encode};

use crate::error::FormError;
use crate::id::{ChainId, DeviceId, Hash, JoinKey};
use crate::limits;
use crate::roster::Roster;
use crate::signed::{Form, Verified, check_version};

/// The wish that a relay deletes a chain, signed by the chain's join key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Reset {
    /// Always [`crate::VERSION`].
    #[n(0)]
    pub version: u8,
    /// The chain.
    #[n(1)]
    pub chain: ChainId,
    /// A head of its log at which the policy was the one in force: the terms that its signer knew.
    #[n(2)]
    pub head: Hash,
    /// Seconds that members have to stop it.
    #[n(3)]
    pub wait: u64,
}

impl Form for Reset {
    type Evidence = ();
    const NAME: &'static str = "reset";
    // Without a label of its own the join proof of a request could be passed off as the wish to delete the chain.
    const LABEL: &'static str = "countersign/v1/reset";
    const BYTES_MAX: usize = limits::SMALL_FORM_BYTES_MAX;

    fn check(&self, _signer: &DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        check_version(Self::NAME, self.version)?;
        if self.wait > limits::DELAY_MAX.as_secs() {
            return Err(FormError::BadField { form: Self::NAME, what: "wait is above 365 days" });
        }
        Ok(())
    }
}

impl Verified<Reset> {
    /// The join key that signed. Whether it is the chain's, the log says.
    #[must_use]
    pub fn join_key(&self) -> JoinKey {
        JoinKey(self.signer().0)
    }
}

/// What a relay knows of the resets of a chain when another form comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// None stands.
    Nothing,
    /// This very one stands, by its hash.
    Same,
    /// Another one stands.
    Another {
        /// Milliseconds that it still waits.
        remaining: u64,
    },
    /// This one was stopped by a veto, or another took its place.
    Over,
}

/// Why a relay does not take a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetRefusal {
    /// It is of another chain, or its signer is not the current join key.
    #[error("the signer is not a member of this chain")]
    NotAMember,
    /// The log takes nothing more, and nothing is left that could be deleted.
    #[error("the chain is closed: its log can be read, and nothing else")]
    ChainClosed,
    /// It was stopped, or another took its place.
    #[error("this reset is over: a member stopped it, or one that ends earlier took its place")]
    Over,
    /// It cites a head that is not in the log.
    #[error("the head is not in the log: ask for the chain of the sync code again")]
    UnknownHead,
    /// It cites a head of an older policy.
    #[error("the policy has changed since the head that the reset names: ask for the chain of the sync code again")]
    StaleTerms,
    /// It waits shorter than the policy asks for.
    #[error("the policy asks for a wait of {least} seconds at least")]
    WaitTooShort {
        /// Seconds that it asks for.
        least: u64,
    },
    /// Another one stands.
    #[error("another reset of this chain stands, and does not end later than this one would")]
    Stands,
}

impl ResetRefusal {
    /// The stable code of this refusal, as it stands in problems and vectors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAMember => "not-a-member",
            Self::ChainClosed => "chain-closed",
            Self::Over => "reset-over",
            Self::UnknownHead => "unknown-head",
            Self::StaleTerms => "stale-terms",
            Self::WaitTooShort { .. } => "wait-too-short",
            Self::Stands => "reset-stands",
        }
    }
}

/// The whole rule by which a relay takes a reset.
///
/// # Errors
///
/// [`ResetRefusal`], the first that does not hold. For any key but the current join key it says nothing of the chain.
pub fn gate(roster: &Roster, before: Before, reset: &Verified<Reset>) -> Result<(), ResetRefusal> {
    if reset.chain != roster.chain() || reset.join_key() != roster.join_key() {
        return Err(ResetRefusal::NotAMember);
    }
    if roster.is_closed() {
        return Err(ResetRefusal::ChainClosed);
    }
    match before {
        Before::Over => return Err(ResetRefusal::Over),
        // A later policy changes nothing about it.
        Before::Same => return Ok(()),
        Before::Nothing | Before::Another { .. } => {}
    }
    let cited = roster.position(&reset.head).ok_or(ResetRefusal::UnknownHead)?;
    // Of an older policy its signer knew other terms than its members agreed to.
    if cited.seq < roster.policy_seq() {
        return Err(ResetRefusal::StaleTerms);
    }
    let least = u64::from(roster.policy().reset_delay);
    if reset.wait < least {
        return Err(ResetRefusal::WaitTooShort { least });
    }
    match before {
        // Of two that have the code neither keeps the other from the least wait: a thief could announce one of a year.
        Before::Another { remaining } if reset.wait.saturating_mul(1000) >= remaining => Err(ResetRefusal::Stands),
        _ => Ok(()),
    }
}
