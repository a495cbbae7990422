//! Landing the batch: kept before it is sent, repeated with the same bytes, signed again where another entry came first.
//!
//! Once the batch is in the log the words from before are worth nothing, and only this machine's new device can go on. So its keys are
//! in the key file and the batch is in the store before anything is sent: whatever happens then, the same command goes on without words.

use std::collections::HashMap;

use minicbor::{Decode, Encode};
use protocol::ChainId;
use protocol::cbor::{self, Blob};
use protocol::entry::{Entry, EntryEvidence};
use protocol::keys::DeviceKeys;
use protocol::limits::BODY_BYTES_MAX;
use protocol::request::JoinRequest;
use protocol::roster::Roster;
use protocol::signed::Verified;
use protocol::wire::Purpose;

use super::Opened;
use super::batch::{self, Exactness, Fresh, Order};
use crate::error::AgentError;
use crate::home::Home;
use crate::keyfile::{Secrets, Standing};
use crate::limits;
use crate::relay_client::RelayClient;
use crate::store::{Setting, Store};
use crate::whole_log::whole_log;

/// What is kept of a batch until it is known to be in the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Staged {
    #[n(0)]
    chain: ChainId,
    #[n(1)]
    entries: Vec<Blob>,
    #[n(2)]
    request: Blob,
    #[n(3)]
    description: Blob,
    #[n(4)]
    purpose: Purpose,
}

/// A machine that takes up a chain.
pub(crate) struct Landing<'a> {
    /// Its state directory.
    pub(crate) home: &'a Home,
    /// Its store.
    pub(crate) store: &'a mut Store,
    /// The relay.
    pub(crate) relay: &'a RelayClient,
}

/// What became of it, all of it verified.
pub(crate) struct Taken {
    /// Where the log stands.
    pub(crate) roster: Roster,
    /// The new device.
    pub(crate) keys: DeviceKeys,
}

/// Whether a batch was signed here that may be in the log.
pub(crate) fn is_under_way(store: &Store) -> Result<bool, AgentError> {
    Ok(store.setting(Setting::Recovering)?.is_some() && store.log()?.is_empty())
}

/// What a refusal of the relay leads to.
enum Next {
    /// Sign again at the head that the relay has now.
    FromTheLog,
    /// Sign again with the records that the relay has now.
    FromTheRecords,
    /// Sign again for a relay that will not open the request.
    Unasked,
    /// Send the same bytes later.
    Wait,
    /// It is no use.
    GiveUp,
}

impl Landing<'_> {
    /// Signs, keeps and sends the batch until it is in the log.
    pub(crate) async fn take_up(&mut self, mut opened: Opened, order: &Order) -> Result<Taken, AgentError> {
        let fresh = Fresh::draw(&opened, &order.about)?;
        let mut purpose = Purpose::New;
        let mut exact = limits::CUT_TRIES;
        for _ in 0..limits::APPEND_TRIES {
            let exactness = if purpose == Purpose::New && exact > 0 { Exactness::Last } else { Exactness::Here };
            let staged = self.stage(&opened, order, &fresh, (exactness, purpose)).await?;
            let error = match self.send(&staged).await {
                Ok(()) => return self.finish(&staged, fresh.keys).await,
                Err(error) => error,
            };
            match next(&error) {
                Next::FromTheLog => opened = self.look_again(opened).await?,
                Next::FromTheRecords => exact = exact.saturating_sub(1),
                Next::Unasked if purpose == Purpose::New => purpose = Purpose::Heal,
                Next::Wait => return Err(error),
                Next::Unasked | Next::GiveUp => {
                    self.forget()?;
                    return Err(error);
                }
            }
        }
        self.forget()?;
        Err(AgentError::HeadKeepsMoving)
    }

    /// Goes on with a batch that was kept: the same bytes, without the words. Nothing if there is none, or another entry holds its
    /// place.
    pub(crate) async fn go_on(&mut self) -> Result<Option<Taken>, AgentError> {
        let Some(bytes) = self.store.setting(Setting::Recovering)? else { return Ok(None) };
        let damaged = AgentError::Damaged { what: "the recovery under way cannot be read" };
        let staged: Staged = cbor::decode("recovery", &bytes, BODY_BYTES_MAX).map_err(|_| damaged)?;
        let Some(Secrets { keys, standing: Standing::Member(_) }) = Secrets::read(self.home)? else {
            self.forget()?;
            return Ok(None);
        };
        match self.send(&staged).await {
            Ok(()) => self.finish(&staged, keys).await.map(Some),
            Err(error) if matches!(next(&error), Next::Wait) => Err(error),
            Err(error) => self.look_for(&staged, keys, error).await,
        }
    }

    /// The relay refuses what it may have taken: the log says whether it did, to whoever is a member by it.
    ///
    /// Only this device's keys open what the batch sealed to it, so they are given up only where that is no use to anybody: another relay
    /// than the one that it was sent to knows nothing of it.
    async fn look_for(
        &mut self,
        staged: &Staged,
        keys: DeviceKeys,
        refused: AgentError,
    ) -> Result<Option<Taken>, AgentError> {
        match self.landed(staged, &keys).await {
            Ok(roster) => return Ok(Some(Taken { roster, keys })),
            Err(error @ AgentError::Lie { .. }) => return Err(error),
            Err(AgentError::Problem { code, .. }) if code == "not-a-member" => {}
            Err(AgentError::Problem { .. } | AgentError::WasReset { .. }) => {}
            Err(other) => return Err(other),
        }
        if self.store.text_setting(Setting::Relay)?.as_deref() != Some(self.relay.endpoint().origin()) {
            return Err(refused);
        }
        tracing::warn!("what was signed here before is refused: {refused}");
        self.forget()?;
        Ok(None)
    }

    /// Signs the batch, and keeps it with the keys of the new device.
    async fn stage(
        &self,
        opened: &Opened,
        order: &Order,
        fresh: &Fresh,
        (exactness, purpose): (Exactness, Purpose),
    ) -> Result<Staged, AgentError> {
        let lines = if order.remove.is_empty() { HashMap::new() } else { batch::lines(self.relay, opened).await? };
        let (entries, epoch_key) = batch::sign(opened, order, fresh, &lines, exactness)?;
        let staged = Staged {
            chain: opened.roster.chain(),
            entries: entries.iter().map(|entry| Blob(entry.bytes().to_vec())).collect(),
            request: Blob(fresh.request.bytes().to_vec()),
            description: fresh.sealed.clone(),
            purpose,
        };
        Secrets { keys: fresh.keys.clone(), standing: Standing::Member(epoch_key) }.write(self.home)?;
        self.store.set(Setting::Recovering, &cbor::encode(&staged))?;
        Ok(staged)
    }

    /// The request, so that the relay knows what is admitted, and at once the batch that decides it.
    async fn send(&self, staged: &Staged) -> Result<(), AgentError> {
        if staged.purpose == Purpose::New {
            self.relay.ask(&staged.request, &staged.description).await?;
        }
        let entries = staged.entries.iter().map(|entry| entry.to_vec()).collect();
        self.relay.append(entries, staged.purpose).await.map(|_| ())
    }

    /// The log went on before the batch was in it. What a person was shown must still be so.
    async fn look_again(&self, before: Opened) -> Result<Opened, AgentError> {
        let now = Opened::find(self.relay, before.keys.clone()).await?;
        let unchanged = |now: &Opened| {
            let (now, before) = (&now.roster, &before.roster);
            now.position(&before.head()).is_some()
                && now.members().eq(before.members())
                && (now.epoch(), now.join_key()) == (before.epoch(), before.join_key())
        };
        if unchanged(&now) {
            return Ok(now);
        }
        self.forget()?;
        Err(AgentError::Overtaken)
    }

    /// Believes nothing that the relay says: the whole log is verified by the new device, and has the batch in it.
    async fn finish(&mut self, staged: &Staged, keys: DeviceKeys) -> Result<Taken, AgentError> {
        match self.landed(staged, &keys).await {
            // It came in, and somebody removed it since.
            Err(AgentError::Problem { code, .. }) if code == "not-a-member" => {
                self.forget()?;
                Err(AgentError::ShutOut)
            }
            landed => Ok(Taken { roster: landed?, keys }),
        }
    }

    /// The roster of the log that has the batch, which is pinned then.
    async fn landed(&mut self, staged: &Staged, keys: &DeviceKeys) -> Result<Roster, AgentError> {
        let lie = |what: &str| AgentError::Lie { what: what.to_owned() };
        let form = |bytes: &Blob| Verified::<Entry>::from_bytes(bytes).map_err(AgentError::OwnForm);
        let request = Verified::<JoinRequest>::from_bytes(&staged.request).map_err(AgentError::OwnForm)?;
        let own = EntryEvidence::of(std::sync::Arc::new(request));
        let (log, roster) = whole_log(self.relay, keys, staged.chain, Some(&own)).await?;
        for entry in &staged.entries {
            if roster.position(&form(entry)?.hash()).is_none() {
                return Err(lie("the relay acknowledged what its log does not have"));
            }
        }
        if roster.member(&keys.id()).map(|member| member.device) != Some(keys.public()) {
            return Err(lie("the log does not have this device"));
        }
        self.store.pin_whole(&log)?;
        Ok(roster)
    }

    /// The keys first: what is kept without them is of no use, and is passed over.
    fn forget(&self) -> Result<(), AgentError> {
        let path = self.home.key_file();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(AgentError::File { path, source });
            }
            _ => {}
        }
        self.store.unset(Setting::Recovering)
    }
}

fn next(error: &AgentError) -> Next {
    let (status, code) = match error {
        AgentError::Problem { status, code, .. } => (status, code),
        AgentError::WasReset { .. } => return Next::GiveUp,
        _ => return Next::Wait,
    };
    match code.as_str() {
        "head-moved" | "unknown-join-key" => Next::FromTheLog,
        "cut-behind" => Next::FromTheRecords,
        // All places for requests are taken, or requests with this sync code are shown to nobody today: whoever has the code can bring
        // that about, and must not be able to keep the chain's owner out.
        "too-many-pending" | "request-unknown" => Next::Unasked,
        _ if *status >= 500 || *status == 429 => Next::Wait,
        _ => Next::GiveUp,
    }
}
