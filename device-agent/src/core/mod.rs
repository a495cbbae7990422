//! What a member knows and may do, without any network: the pinned log, open requests, prompts, records.
//!
//! Everything here is synchronous. A function that changes something has it on the disk before it returns.

pub(crate) mod view;
mod replay;
mod settings;
mod deed;
mod keys;
mod diary;
mod entries;
mod totp;
mod requests;
mod prompt;
mod decide;
mod membership;
mod policy;
mod approvals;
mod records;
mod outbox;
mod rekey;
mod export;
mod credential;
mod ending;
mod resets;
mod recovery;
mod forks;
mod losses;
mod settling;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use protocol::approval::Approval;
use protocol::entry::Entry;
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::Role;
use protocol::request::Description;
use protocol::roster::Roster;
use protocol::signed::Verified;
use protocol::{DeviceId, RequestId};
use tokio::sync::broadcast;

use crate::error::AgentError;
use crate::home::Home;
use crate::keyfile::{Secrets, Standing};
use crate::store::{Setting, Store};
use crate::text;
use crate::{clock, limits};

pub(crate) use decide::admit_subject;
pub(crate) use entries::{Divergence, Judged};
pub(crate) use forks::{Branch, Shown, is_forked};
pub(crate) use losses::{Content, WholeFeed, does_not_fit};
pub(crate) use membership::{Exactness, RemovalOrder};
pub(crate) use outbox::{Sealing, conflict};
pub(crate) use policy::{NO_CHECK, PolicyWish};
pub(crate) use prompt::{Answered, Nonced, Typed};
pub(crate) use records::Draft;
pub(crate) use recovery::{RecoveryView, Words};
pub(crate) use replay::next_of;
use requests::Pending;
pub(crate) use requests::{Listing, held_back};
pub(crate) use settings::duration;
pub(crate) use settling::Keep;
pub(crate) use totp::{Allowed, CodeRight};
use view::Event;

/// A member's state.
pub(crate) struct Core {
    home: Home,
    keys: DeviceKeys,
    keyring: Keyring,
    roster: Roster,
    store: Store,
    /// Every pinned entry, for the diary and for looking up decisions.
    log: Vec<Verified<Entry>>,
    pending: BTreeMap<RequestId, Pending>,
    /// What devices said of themselves that asked while this process lived: a denied one has no name in the log.
    claims: BTreeMap<RequestId, Description>,
    /// Requests that ended with their sync code while this process lived.
    stale: BTreeSet<RequestId>,
    events: broadcast::Sender<Event>,
    standing: LogStanding,
    /// The rotation whose key this device cannot open, if the latest is one.
    unopened: Option<keys::Unopened>,
    telling: Telling,
    /// Those that count in the next entry, in the order in which they came.
    approvals: Vec<Verified<Approval>>,
    /// The role in which this device lets in by a right one-time code alone, if its owner wants that.
    admits_by_code: Option<Role>,
    codes_right: VecDeque<CodeRight>,
    /// This device's address towards the relay, to compare with those that the relay sees.
    own_address: Option<IpAddr>,
}

/// Whether membership may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogStanding {
    /// One log.
    Whole,
    /// Two branches were seen from this position on.
    Forked {
        /// Position of the two entries.
        seq: u64,
    },
}

/// Whether somebody is told what happens: then what was told is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// A command that looks at something else.
    Nobody,
    /// The daemon.
    Daemon,
}

impl Core {
    /// Opens the state of a member: keys, the pinned log applied from `found`, and what the epoch key opens.
    pub(crate) fn open(home: &Home) -> Result<Self, AgentError> {
        let nobody = || AgentError::NotAMember { home: home.dir().to_owned() };
        let secrets = Secrets::read(home)?.ok_or_else(nobody)?;
        let Standing::Member(epoch_key) = secrets.standing else {
            return Err(nobody());
        };
        let store = Store::open(&home.store_file())?;
        let bytes = store.log()?;
        if bytes.is_empty() {
            let founding = store.setting(Setting::Founding)?;
            let recovering = store.setting(Setting::Recovering)?;
            return Err(match (founding, recovering) {
                (Some(_), _) => AgentError::Unfounded,
                (None, Some(_)) => AgentError::Unrecovered,
                (None, None) => nobody(),
            });
        }
        let (log, roster) = replay::replay(&bytes)?;
        let (keyring, unopened) = keys::open(&log, &roster, &secrets.keys, &epoch_key)?;
        if keyring.epoch_key().key_id(keyring.epoch()) != epoch_key.key_id(keyring.epoch()) {
            keys::keep(home, &secrets.keys, &keyring);
        }
        let long_ago = clock::now().saturating_sub(limits::SIGHTINGS_KEPT);
        store.forget_sightings(long_ago)?;
        store.forget_verdicts(long_ago)?;
        let (events, _) = broadcast::channel(limits::EVENTS_KEPT);
        let mut core = Self {
            home: home.clone(),
            keys: secrets.keys,
            keyring,
            roster,
            store,
            log,
            pending: BTreeMap::new(),
            claims: BTreeMap::new(),
            stale: BTreeSet::new(),
            events,
            standing: LogStanding::Whole,
            unopened,
            telling: Telling::Nobody,
            approvals: Vec::new(),
            admits_by_code: None,
            codes_right: VecDeque::new(),
            own_address: None,
        };
        core.stand()?;
        core.adopt_staged()?;
        core.load_approvals()?;
        Ok(core)
    }

    /// Everything that happens from now on.
    pub(crate) fn events(&self) -> broadcast::Sender<Event> {
        self.events.clone()
    }

    /// Notes this device's address towards the relay.
    pub(crate) fn note_address(&mut self, own: Option<IpAddr>) {
        self.own_address = own.or(self.own_address);
    }

    /// The device's keys.
    pub(crate) fn keys(&self) -> &DeviceKeys {
        &self.keys
    }

    /// The chain's keys.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The roster at the pinned head.
    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps another relay's address, and how its certificates are checked.
    pub(crate) fn keep_relay(&mut self, origin: &str, ca: Option<&[u8]>) -> Result<(), AgentError> {
        self.store.keep_relay(origin, ca)
    }

    fn acting(&self) -> Acting<'_> {
        Acting { keys: &self.keys, roster: &self.roster, keyring: &self.keyring }
    }

    /// Position of the fork, if there is one.
    pub(crate) fn fork(&self) -> Option<u64> {
        match self.standing {
            LogStanding::Whole => None,
            LogStanding::Forked { seq } => Some(seq),
        }
    }

    /// Refuses to go on where membership would change on a forked log, or this device may not decide.
    fn may_decide(&self) -> Result<(), AgentError> {
        if self.fork().is_some() {
            return Err(AgentError::Forked);
        }
        self.must_go_on()?;
        self.must_hold_keys()?;
        match self.roster.approver(&self.keys.id()) {
            Some(_) => Ok(()),
            None => Err(AgentError::NotAnApprover),
        }
    }

    /// The name of a device that is or was a member, cleaned and quoted; the short id of any other, or of one whose name does not open.
    pub(crate) fn name_of(&self, device: &DeviceId) -> String {
        match self.plain_name(device) {
            Some(name) => text::quote(&name),
            None => self.nameless(device),
        }
    }

    /// The same for programs: not quoted.
    pub(crate) fn bare_name_of(&self, device: &DeviceId) -> String {
        self.plain_name(device).unwrap_or_else(|| self.nameless(device))
    }

    fn nameless(&self, device: &DeviceId) -> String {
        match self.roster.known(device) {
            Some(member) if member.role == Role::Recovery => "the recovery device".to_owned(),
            _ => format!("device {}", device.short()),
        }
    }

    fn plain_name(&self, device: &DeviceId) -> Option<String> {
        let opened = self.roster.known(device).and_then(|member| self.keyring.describe(&self.roster, member).ok());
        opened.map(|description| text::clean(&description.name)).filter(|name| !name.is_empty())
    }

    /// Tells everybody who listens. Nobody listening is no error.
    fn emit(&self, event: Event) {
        let _ = self.events.send(event);
    }
}
