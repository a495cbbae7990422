//! The chain's keys: followed through every epoch by the log alone, and whether this device is a member that holds them.
//!
//! The key file holds the key of the epoch in which it was written. Between pinning a rotation and writing the file a process may
//! end, so the file may be behind: what the log seals to this device brings it up again.

use protocol::entry::Entry;
use protocol::keyring::{Keyring, KeyringError};
use protocol::keys::{DeviceKeys, EpochKey};
use protocol::roster::{Roster, Why};
use protocol::signed::Verified;
use protocol::{DeviceId, Hash};

use super::Core;
use super::view::Event;
use crate::error::AgentError;
use crate::home::Home;
use crate::keyfile::{Secrets, Standing};

/// A rotation whose key this device cannot open. The entry is in the pinned log: it is the evidence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unopened {
    seq: u64,
    hash: Hash,
    by: DeviceId,
    why: KeyringError,
}

/// The keys of the latest epoch that this device can open, and the rotation after it that it cannot.
pub(super) fn open(
    log: &[Verified<Entry>],
    roster: &Roster,
    keys: &DeviceKeys,
    own: &EpochKey,
) -> Result<(Keyring, Option<Unopened>), AgentError> {
    match Keyring::follow(roster, keys, own) {
        Ok(keyring) => Ok((keyring, None)),
        Err(last) => open_behind(log, roster, keys, own, last),
    }
}

/// Goes along the log from the epoch of the key in the key file, and opens what can be opened.
fn open_behind(
    log: &[Verified<Entry>],
    last: &Roster,
    keys: &DeviceKeys,
    own: &EpochKey,
    error: KeyringError,
) -> Result<(Keyring, Option<Unopened>), AgentError> {
    let named = (1..).zip(last.epochs()).find(|(number, epoch)| own.key_id(*number) == epoch.key_id);
    let from = named.map_or(1, |(number, _)| number);
    let mut roster: Option<Roster> = None;
    let mut opened: Option<Keyring> = None;
    let mut unopened = None;
    for entry in log {
        let after = match roster.take() {
            None => Roster::found(entry),
            Some(roster) => roster.apply(entry),
        };
        let after = after.map_err(AgentError::BadEntry)?;
        let begins = entry.seq == 0 || entry.body.rotation().is_some();
        if begins && after.epoch() >= from && after.member(&keys.id()).is_some() {
            let known = opened.as_ref().map_or(own, Keyring::epoch_key);
            match Keyring::follow(&after, keys, known) {
                Ok(keyring) => (opened, unopened) = (Some(keyring), None),
                Err(why) => {
                    unopened = Some(Unopened { seq: entry.seq, hash: entry.hash(), by: entry.signer(), why });
                }
            }
        }
        roster = Some(after);
    }
    match opened {
        Some(keyring) => Ok((keyring, unopened)),
        None => Err(AgentError::Lie { what: format!("the own epoch key: {error}") }),
    }
}

/// Writes the key file whole. Its failure loses nothing: the log alone yields the key again.
pub(super) fn keep(home: &Home, keys: &DeviceKeys, keyring: &Keyring) {
    let standing = Standing::Member(keyring.epoch_key().clone());
    if let Err(error) = (Secrets { keys: keys.clone(), standing }).write(home) {
        tracing::warn!("the new epoch key could not be written; the log yields it again: {error}");
    }
}

impl Core {
    /// Opens the keys of the current epoch after entries were pinned. A key that is not the log's is an alarm, and what was sealed
    /// before stays readable.
    pub(super) fn follow_epoch(&mut self) {
        if self.keyring.epoch() == self.roster.epoch() || self.roster.member(&self.keys.id()).is_none() {
            return;
        }
        match open(&self.log, &self.roster, &self.keys, self.keyring.epoch_key()) {
            Ok((keyring, unopened)) => {
                if keyring.epoch() > self.keyring.epoch() {
                    keep(&self.home, &self.keys, &keyring);
                }
                self.keyring = keyring;
                self.unopened = unopened;
            }
            // Unreachable with a key of an epoch of this log; the old keys stay.
            Err(error) => tracing::error!("the keys of this chain do not open: {error}"),
        }
        if let Some(alarm) = self.key_alarm() {
            self.emit(Event::Alarm { message: alarm.to_string() });
        }
    }

    /// The alarm of a member that was handed another key than the log names.
    pub(crate) fn key_alarm(&self) -> Option<AgentError> {
        let Unopened { seq, hash, by, why } = self.unopened?;
        Some(AgentError::OtherEpochKey { seq, hash: hash.short(), by: self.name_of(&by), why })
    }

    /// Why this device is a member no more, as the pinned log says.
    pub(crate) fn gone(&self) -> Option<AgentError> {
        let own = self.keys.id();
        if self.roster.member(&own).is_some() {
            return None;
        }
        let Some(departure) = self.roster.former(&own).map(|former| former.departure) else {
            return Some(AgentError::NotAMember { home: self.home.dir().to_owned() });
        };
        let (seq, at, by) = (departure.seq, departure.at, self.name_of(&departure.by));
        Some(match departure.why {
            Why::Left => AgentError::Left { seq, at },
            Why::Removed(reason) => AgentError::Removed { by, reason: reason.name(), seq, at },
            Why::Replaced => AgentError::Removed { by, reason: "replaced", seq, at },
        })
    }

    /// Refuses what only a member that holds the current keys can do.
    pub(crate) fn must_hold_keys(&self) -> Result<(), AgentError> {
        match self.gone().or_else(|| self.key_alarm()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
