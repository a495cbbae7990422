//! What a device shows to somebody outside the chain: the pinned log, with the name of the device that it is to bear out.

use protocol::DeviceId;
use protocol::credential::{Credential, CredentialError};

use super::Core;
use crate::error::AgentError;

impl Core {
    /// The credential of this device, or of the one that is named.
    pub(crate) fn credential(&self, named: Option<&str>) -> Result<(DeviceId, Credential), AgentError> {
        let device = named.map_or(Ok(self.keys.id()), |named| self.bearer(named))?;
        let made = Credential::of(device, &self.log).map_err(|error| match error {
            // Of a log that was verified before only the length can be wrong.
            CredentialError::Form(error) => AgentError::OwnForm(error),
            error => AgentError::NotProven { what: format!("device {}", device.short()), error },
        });
        Ok((device, made?))
    }

    /// The device that is named, as everywhere; or one that was a member, by its id, so that it is told how that ended.
    fn bearer(&self, named: &str) -> Result<DeviceId, AgentError> {
        let unknown = match self.find_device(named) {
            Err(error @ AgentError::NotFound { .. }) => error,
            found => return found,
        };
        let prefix = named.trim().to_ascii_lowercase();
        let begins = |device: &DeviceId| !prefix.is_empty() && device.to_string().starts_with(&prefix);
        let mut former = self.roster.former_members().map(|former| former.member.device.signing).filter(begins);
        match (former.next(), former.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(unknown),
        }
    }
}
