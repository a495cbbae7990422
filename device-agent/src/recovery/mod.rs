//! Taking up a chain with nothing but its recovery words.
//!
//! The words yield the keys of a member, the recovery device. It finds its chain, verifies the log from `found` on, opens the keys of the
//! latest epoch, and signs one batch: the admission of this machine's new device, and a new epoch without the devices that are lost, with
//! other recovery words. What it cannot know is whether the relay shows the latest log: that, a person is asked.

mod batch;
mod landing;

use protocol::DeviceId;
use protocol::entry::Entry;
use protocol::keyring::Keyring;
use protocol::keys::DeviceKeys;
use protocol::policy::Role;
use protocol::roster::{Member, Roster};
use protocol::signed::Verified;
use protocol::wire::Whereabouts;

use crate::error::{AgentError, Missing};
use crate::relay_client::RelayClient;
use crate::text;
use crate::whole_log::whole_log;

pub(crate) use batch::Order;
pub(crate) use landing::{Landing, Taken, is_under_way};

/// A chain as the recovery device found it: verified and opened, and perhaps not the latest.
pub(crate) struct Opened {
    /// The recovery device.
    keys: DeviceKeys,
    log: Vec<Verified<Entry>>,
    /// Where the log stands.
    pub(crate) roster: Roster,
    keyring: Keyring,
}

/// A device of the chain.
pub(crate) struct DeviceRow {
    /// Verified.
    pub(crate) device: DeviceId,
    /// Claimed by the device: cleaned, not quoted.
    pub(crate) name: String,
    /// Verified.
    pub(crate) role: &'static str,
    /// Claimed by the signer of its admission, unix milliseconds.
    pub(crate) at: u64,
}

/// How a head that a person names stands to the log.
pub(crate) enum Known {
    /// It is the last.
    Last,
    /// The log went on after it.
    Earlier,
    /// It is not in the log.
    Missing,
}

impl Opened {
    /// Finds the chain of a recovery device, verifies its log and opens its keys.
    pub(crate) async fn find(relay: &RelayClient, keys: DeviceKeys) -> Result<Self, AgentError> {
        let lie = |what: &str| AgentError::Lie { what: what.to_owned() };
        let Whereabouts { chain, head, seq } = match relay.whereabouts(&keys).await {
            Err(AgentError::Problem { status: 404, .. }) => return Err(AgentError::NoSuchWords),
            answer => answer?,
        };
        let (log, roster) = whole_log(relay, &keys, chain, None).await?;
        if roster.position(&head).map(|position| position.seq) != Some(seq) {
            return Err(lie("the relay names a head that the log which it shows does not have"));
        }
        // Its proof stands in the entry that brought it, or that would not have been verified.
        if roster.recovery().map(|member| member.device) != Some(keys.public()) {
            return Err(lie("the log has another recovery device than these words make: they were replaced"));
        }
        let keyring = Keyring::recover(&roster, &keys).map_err(|error| lie(&error.to_string()))?;
        Ok(Self { keys, log, roster, keyring })
    }

    /// The clock of the last entry's signer. A claim.
    pub(crate) fn last_at(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.at)
    }

    /// The devices that persons use, oldest first.
    pub(crate) fn devices(&self) -> Vec<DeviceRow> {
        let mut members: Vec<&Member> = self.roster.members().filter(|member| member.role != Role::Recovery).collect();
        members.sort_by_key(|member| member.admission.seq);
        members.into_iter().map(|member| self.row(member)).collect()
    }

    fn row(&self, member: &Member) -> DeviceRow {
        let device = member.device.signing;
        let described = self.keyring.describe(&self.roster, member).map(|described| text::clean(&described.name));
        let name =
            described.ok().filter(|name| !name.is_empty()).unwrap_or_else(|| format!("device {}", device.short()));
        DeviceRow { device, name, role: member.role.name(), at: member.admission.at }
    }

    /// The device that a name or a prefix of an id names.
    pub(crate) fn device_called(&self, named: &str) -> Result<DeviceId, AgentError> {
        let (wanted, prefix) = (text::clean(named), named.trim().to_ascii_lowercase());
        let fits = |row: &DeviceRow| {
            let by_id = !prefix.is_empty() && row.device.to_string().starts_with(&prefix);
            by_id || (!wanted.is_empty() && row.name == wanted)
        };
        let found: Vec<DeviceRow> = self.devices().into_iter().filter(fits).collect();
        match found.as_slice() {
            [one] => Ok(one.device),
            [] => Err(AgentError::NotFound {
                of: Missing::Other,
                what: format!("a device called {}, or whose id begins so,", text::quote(named)),
            }),
            _ => Err(AgentError::AmbiguousDevice { name: text::quote(named) }),
        }
    }

    /// How a head stands to this log that a person names by its first digits, at least eight.
    pub(crate) fn knows(&self, named: &str) -> Option<Known> {
        let named = named.trim().to_ascii_lowercase();
        if named.len() < 8 || !named.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let is_named = |entry: &Verified<Entry>| entry.hash().to_string().starts_with(&named);
        Some(match self.log.iter().rposition(is_named) {
            Some(at) if at + 1 == self.log.len() => Known::Last,
            Some(_) => Known::Earlier,
            None => Known::Missing,
        })
    }
}
