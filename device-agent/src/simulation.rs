//! A device in a simulated network: what the commands on it do, without their terminal, their local socket and their signals.
//!
//! Everything else is the agent as it is: the joiner that waits, the session that is kept, the router that every command calls.

use std::path::Path;

use protocol::code::SyncCode;
use protocol::entry::found;
use protocol::id::KeyId;
use protocol::keys::DeviceKeys;
use protocol::policy::Policy;
use protocol::{DeviceId, RequestId};
use serde_json::Value;

use crate::agent::Agent;
use crate::commands::{self, join};
use crate::dial::{Endpoint, Plaintext};
use crate::door::{Door, agent_of};
use crate::error::AgentError;
use crate::home::{Home, Lock};
use crate::joiner::{Joiner, Scene, Shows};
use crate::keyfile::{Secrets, Standing};
use crate::local::Place;
use crate::relay_client::RelayClient;
use crate::store::{Setting, Store};
use crate::{clock, exit, session};

/// How something ended other than well: what a command tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its exit code.
    pub exit: u8,
    /// A stable name.
    pub code: String,
    /// What happened and why.
    pub message: String,
}

impl From<AgentError> for Failed {
    fn from(error: AgentError) -> Self {
        let told = exit::tell(&error);
        Self { exit: told.exit.number(), code: told.code, message: told.message }
    }
}

/// Founds a chain without recovery words: `countersign init --no-recovery`.
///
/// # Errors
///
/// What the command tells.
pub async fn begin_chain(home: &Path, relay: &str, name: &str) -> Result<(), Failed> {
    let home = Home::locate(Some(home.to_owned()))?;
    home.create()?;
    let _lock = home.lock().await?;
    let mut store = Store::open(&home.store_file())?;
    let relay = client(relay)?;
    relay.check_address().await?;
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let keys = DeviceKeys::draw(&mut rng);
    let about = commands::description(Some(name));
    let founding =
        found(&keys, &about, Policy::default(), None, clock::now(), &mut rng).map_err(AgentError::OwnForm)?;
    Secrets { keys, standing: Standing::Member(founding.epoch_key) }.write(&home)?;
    store.set(Setting::Founding, founding.entry.bytes())?;
    store.keep_relay(relay.endpoint().origin(), None)?;
    relay.found(founding.entry.bytes()).await?;
    store.pin(std::slice::from_ref(&founding.entry))?;
    Ok(())
}

/// Joins by a sync code, or goes on with the join that is under way: `countersign join`. `seen` is told of the request, and of each
/// check code that the screen shows.
///
/// # Errors
///
/// What the command tells.
pub async fn join(
    home: &Path,
    relay: &str,
    words: Option<&str>,
    name: &str,
    seen: impl FnMut(Shown),
) -> Result<(), Failed> {
    let home = Home::locate(Some(home.to_owned()))?;
    home.create()?;
    let _lock = home.lock().await?;
    let relay = client(relay)?;
    let origin = relay.endpoint().origin().to_owned();
    let mut joiner = match (Joiner::resume(&home, relay)?, words) {
        (Ok(joiner), _) => joiner,
        (Err(_), None) => return Err(AgentError::NotAMember { home: home.dir().to_owned() }.into()),
        (Err(relay), Some(words)) => {
            relay.check_address().await?;
            let code = SyncCode::from_words(words).map_err(|error| AgentError::Task { what: error.to_string() })?;
            let mut joiner = Joiner::begin(&home, relay, code, &commands::description(Some(name)))?;
            joiner.keep_relay(&origin, None)?;
            joiner
        }
    };
    let done = match join::wait(&mut joiner, &mut Screen(seen)).await {
        Ok(()) => joiner.accept().await.map(|_| ()),
        Err(error) => Err(error),
    };
    done.inspect_err(|error| join::give_up(&mut joiner, error)).map_err(Failed::from)
}

/// What a joiner's screen shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The relay has the request.
    Request(RequestId),
    /// A check code.
    Code(String),
}

struct Screen<F>(F);

impl<F: FnMut(Shown)> Shows for Screen<F> {
    fn asked(&mut self, id: RequestId) {
        (self.0)(Shown::Request(id));
    }

    fn show(&mut self, scene: Scene) {
        if let Scene::Code { digits, .. } = scene {
            (self.0)(Shown::Code(digits.to_string()));
        }
    }

    fn tick(&mut self, _remaining: u64) {}
}

/// A member at work: `countersign run`, and the commands beside it.
#[derive(Clone)]
pub struct Member {
    agent: Agent,
    _lock: std::sync::Arc<Lock>,
}

impl Member {
    /// Opens what a home has.
    ///
    /// # Errors
    ///
    /// What the command tells.
    pub fn open(home: &Path) -> Result<Self, Failed> {
        let home = Home::locate(Some(home.to_owned()))?;
        let locked = || AgentError::Locked { home: home.dir().to_owned() };
        let lock = home.try_lock()?.ok_or_else(locked)?;
        Ok(Self { agent: agent_of(&home, None)?, _lock: std::sync::Arc::new(lock) })
    }

    /// Keeps the session with the relay. Returns why it ended for good.
    pub async fn keep_session(&self) -> Failed {
        session::keep(self.agent.clone()).await.into()
    }

    /// What a command asks of the daemon, by route and body; without a body it only reads.
    ///
    /// # Errors
    ///
    /// What the command tells.
    pub async fn call(&self, route: &str, body: Option<Value>) -> Result<Value, Failed> {
        let door = Door::within(&self.agent, Place::Daemon);
        match body {
            Some(body) => Ok(door.post(route, &body).await?),
            None => Ok(door.get(route).await?),
        }
    }

    /// The epoch keys that it holds.
    ///
    /// # Errors
    ///
    /// What the state says of itself.
    pub async fn epoch_keys(&self) -> Result<Vec<(u64, KeyId)>, Failed> {
        let held = self.agent.core(|core| {
            let keyring = core.keyring();
            let held = |epoch| Some((epoch, keyring.epoch_key_of(epoch)?.key_id(epoch)));
            (1..=keyring.epoch()).filter_map(held).collect()
        });
        Ok(held.await?)
    }
}

/// What the disk of a device has.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The device.
    pub device: DeviceId,
    /// Whether it holds the keys of a member.
    pub is_member: bool,
    /// Its pinned log.
    pub log: Vec<Vec<u8>>,
    /// The records that it accepted, in order of arrival: forms, without their ciphertext.
    pub records: Vec<Vec<u8>>,
    /// Those that wait for its log.
    pub aside: Vec<Vec<u8>>,
    /// Entries that contradict its log: evidence of forks.
    pub evidence: Vec<Vec<u8>>,
}

/// Reads the disk of a device, also while it is at work. Nothing where nobody lives.
///
/// # Errors
///
/// What the files say of themselves.
pub fn kept(home: &Path) -> Result<Option<Kept>, Failed> {
    let home = Home::locate(Some(home.to_owned()))?;
    let Some(secrets) = Secrets::read(&home)? else { return Ok(None) };
    let store = Store::open(&home.store_file())?;
    let rows = store.records_after(0, usize::MAX >> 1)?;
    Ok(Some(Kept {
        device: secrets.keys.id(),
        is_member: matches!(secrets.standing, Standing::Member(_)),
        log: store.log()?,
        records: rows.into_iter().map(|(_, row)| row.header).collect(),
        aside: store.aside()?.into_iter().map(|row| row.header).collect(),
        evidence: store.evidence()?.into_iter().map(|(entry, _)| entry).collect(),
    }))
}

fn client(relay: &str) -> Result<RelayClient, AgentError> {
    Ok(RelayClient::new(Endpoint::parse(relay, None, None, Plaintext::Accepted)?))
}
