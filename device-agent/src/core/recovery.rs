//! The recovery device: whether there is one, and another in its place.

use protocol::DeviceId;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::entry::Entry;
use protocol::keys::DeviceKeys;
use protocol::signed::Verified;
use serde::{Deserialize, Serialize};

use super::Core;
use crate::clock;
use crate::error::AgentError;
use crate::store::Setting;

/// The recovery device of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecoveryView {
    /// Verified: its id.
    pub(crate) device: String,
    /// Verified: position of the entry that brought it.
    pub(crate) seq: u64,
    /// Verified: who signed that; the name is claimed, and not quoted.
    pub(crate) by: String,
    /// Claimed by the signer, unix milliseconds.
    pub(crate) at: u64,
    /// Whether its words were typed back, where they were shown on this device.
    pub(crate) words: Words,
}

/// What this device knows of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Words {
    /// Nothing that speaks against them.
    Kept,
    /// They were made here, and never typed back: perhaps nobody has them.
    NeverTypedBack,
}

impl Core {
    /// The recovery device, if there is one.
    pub(crate) fn recovery(&self) -> Result<Option<RecoveryView>, AgentError> {
        let Some(member) = self.roster().recovery() else { return Ok(None) };
        let id = member.device.signing;
        let untyped = self.store().setting(Setting::WordsUntyped)?;
        let words =
            if untyped.as_deref() == Some(id.as_bytes().as_slice()) { Words::NeverTypedBack } else { Words::Kept };
        Ok(Some(RecoveryView {
            device: id.to_string(),
            seq: member.admission.seq,
            by: self.bare_name_of(&member.admission.by),
            at: member.admission.at,
            words,
        }))
    }

    /// The id of the recovery device.
    pub(crate) fn recovery_device(&self) -> Option<DeviceId> {
        self.roster().recovery().map(|member| member.device.signing)
    }

    /// Refuses where this device may not replace it.
    pub(crate) fn may_replace_recovery(&self) -> Result<(), AgentError> {
        self.may_decide()?;
        if self.roster().policy().quorums.most() > 1 { Err(AgentError::RecoveryUnderQuorum) } else { Ok(()) }
    }

    /// Signs and keeps a new epoch with another recovery device, unless somebody else replaced the one `before` meanwhile.
    pub(crate) fn replace_recovery(
        &mut self,
        keys: &DeviceKeys,
        before: Option<DeviceId>,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_replace_recovery()?;
        if self.recovery_device() != before {
            return Err(AgentError::Overtaken);
        }
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let replace = RecoveryChange::Replace(keys);
        let entry = change::rotate(self.acting(), CodeChange::Keep, replace, clock::now(), &mut rng)
            .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }
}
