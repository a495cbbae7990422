//! A joiner: asks, answers nonces, shows codes, and believes its admission only after verifying the whole log.

use std::sync::Arc;

use protocol::ChainId;
use protocol::code::SyncCode;
use protocol::decision::{Accepts, accept_admission};
use protocol::entry::{Entry, EntryEvidence};
use protocol::keyring::Keyring;
use protocol::keys::DeviceKeys;
use protocol::policy::How;
use protocol::request::{Description, JoinRequest, Withdrawal};
use protocol::roster::Roster;
use protocol::round::{AnswerError, Commitments, JoinerRounds, Nonce, RoundError};
use protocol::signed::Verified;
use protocol::wire::{Stage, Standing, ToDevice};
use zeroize::Zeroizing;

use crate::error::AgentError;
use crate::home::Home;
use crate::keyfile::{self, JoinerSecrets, Secrets};
use crate::relay_client::{Identity, RelayClient, Socket};
use crate::store::{Setting, Store};
use crate::whole_log::whole_log;
use crate::{clock, text};

/// What a joiner's screen shows.
#[derive(Debug, Clone)]
pub(crate) enum Scene {
    /// The request is at the relay.
    Waiting {
        /// Milliseconds until it expires.
        remaining: u64,
        /// Whether any member is connected.
        members: Members,
    },
    /// A device opened the prompt.
    Code {
        /// The number of the code.
        round: u8,
        /// Six digits in two groups.
        digits: Zeroizing<String>,
    },
}

/// Where a joiner shows what happens.
pub(crate) trait Shows {
    /// The relay has the request.
    fn asked(&mut self, id: protocol::RequestId);
    /// Shows what happened.
    fn show(&mut self, scene: Scene);
    /// A second went by.
    fn tick(&mut self, remaining: u64);
}

/// Whether members are connected, as the relay says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Members {
    /// At least one is.
    Online,
    /// None is.
    Offline,
}

/// What is known at the end of a join, all of it verified.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    /// The log that was verified.
    pub(crate) roster: Roster,
    /// Name of the device that approved, quoted; claimed by it.
    pub(crate) by: String,
    /// What that device says it checked.
    pub(crate) how: How,
}

/// What a standing leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Go on waiting.
    Wait,
    /// The relay says that the log admits this device.
    Admitted,
}

/// A join under way. Its secrets are in the key file and its request in the store before anything is sent.
pub(crate) struct Joiner {
    home: Home,
    store: Store,
    relay: RelayClient,
    keys: DeviceKeys,
    request: Verified<JoinRequest>,
    sealed: Vec<u8>,
    rounds: JoinerRounds,
    /// Rounds whose answer the relay has taken from this process.
    sent: u8,
    /// The chain, as the relay named it to a device that was sent no nonce.
    told_chain: Option<ChainId>,
    one_time_code: OneTimeCode,
    /// What it said of itself.
    name: Option<String>,
    unchecked: Unchecked,
}

/// Whether a one-time code went along with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OneTimeCode {
    /// One did.
    Sent,
    /// None did.
    NotSent,
}

/// Whether an admission is believed for which nothing was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchecked {
    /// It is: the person took that risk by its name.
    Accepted,
    /// It is not.
    Refused,
}

impl Joiner {
    /// The unfinished request of a home, if there is one: same keys, same request, same codes.
    pub(crate) fn resume(home: &Home, relay: RelayClient) -> Result<Result<Self, RelayClient>, AgentError> {
        let Some(Secrets { keys, standing: keyfile::Standing::Joiner(secrets) }) = Secrets::read(home)? else {
            return Ok(Err(relay));
        };
        let store = Store::open(&home.store_file())?;
        let Some((request, sealed)) = store.joining()? else {
            return Ok(Err(relay));
        };
        let described = Description::open(&secrets.code, &keys.id(), &sealed).ok();
        let one_time_code = sent_with(described.as_ref());
        let damaged = |_| AgentError::Damaged { what: "the unfinished request does not verify" };
        let request = Verified::<JoinRequest>::from_bytes(&request).map_err(damaged)?;
        let mut rounds = JoinerRounds::new(request.clone(), secrets.commitments);
        for nonce in store.join_nonces()? {
            let nonce = Verified::<Nonce>::from_bytes(&nonce).map_err(damaged)?;
            rounds
                .answer(nonce, &keys.signing)
                .map_err(|_| AgentError::Damaged { what: "the answered codes do not follow" })?;
        }
        Ok(Ok(Self {
            home: home.clone(),
            store,
            relay,
            keys,
            request,
            sealed,
            rounds,
            sent: 0,
            told_chain: None,
            one_time_code,
            name: described.map(|described| described.name),
            unchecked: Unchecked::Refused,
        }))
    }

    /// Draws new keys and signs a new request.
    pub(crate) fn begin(
        home: &Home,
        relay: RelayClient,
        code: SyncCode,
        description: &Description,
    ) -> Result<Self, AgentError> {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let keys = DeviceKeys::draw(&mut rng);
        let commitments = Commitments::draw(&mut rng);
        let sealed = description
            .seal(&code, &keys.id(), &mut rng)
            .map_err(|error| AgentError::Task { what: error.to_string() })?;
        let request = JoinRequest::sign(&code, &keys, &sealed, commitments.public(), clock::now())
            .map_err(AgentError::OwnForm)?;
        let mut store = Store::open(&home.store_file())?;
        store.end_join()?;
        let standing = keyfile::Standing::Joiner(JoinerSecrets { code, commitments: commitments.clone() });
        Secrets { keys: keys.clone(), standing }.write(home)?;
        store.begin_join(request.bytes(), &sealed)?;
        let rounds = JoinerRounds::new(request.clone(), commitments);
        let one_time_code = sent_with(Some(description));
        Ok(Self {
            home: home.clone(),
            store,
            relay,
            keys,
            request,
            sealed: sealed.0,
            rounds,
            sent: 0,
            told_chain: None,
            one_time_code,
            name: Some(description.name.clone()),
            unchecked: Unchecked::Refused,
        })
    }

    /// Believes an admission for which nothing was checked, as the person asked for by the name of its risk.
    pub(crate) fn accept_unchecked(&mut self) {
        self.unchecked = Unchecked::Accepted;
    }

    /// Whether a one-time code went along.
    pub(crate) fn one_time_code(&self) -> OneTimeCode {
        self.one_time_code
    }

    /// The name under which it was made, if that opens.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Keeps what this device dials from now on.
    pub(crate) fn keep_relay(&mut self, origin: &str, ca: Option<&[u8]>) -> Result<(), AgentError> {
        self.store.keep_relay(origin, ca)
    }

    /// This device.
    pub(crate) fn device(&self) -> protocol::DeviceId {
        self.keys.id()
    }

    /// The id of the request.
    pub(crate) fn id(&self) -> protocol::RequestId {
        self.request.id()
    }

    /// Asks: the same bytes each time, and the same answer.
    pub(crate) async fn ask(&self) -> Result<Standing, AgentError> {
        let standing = self.relay.ask(self.request.bytes(), &self.sealed).await?;
        if self.store.setting(Setting::Asked)?.is_none() {
            self.store.set(Setting::Asked, &[])?;
        }
        Ok(standing)
    }

    /// Opens the socket on which the relay says what becomes of the request.
    pub(crate) async fn socket(&self) -> Result<Socket, AgentError> {
        self.relay.socket(&self.keys, Identity::Joiner { request: self.request.id() }).await
    }

    /// Reads a message of that socket.
    pub(crate) fn standing_of(message: ToDevice) -> Option<Standing> {
        match message {
            ToDevice::Standing(standing) => Some(standing),
            _ => None,
        }
    }

    /// Takes what the relay says: answers new nonces, after they are stored, and shows what there is to show.
    pub(crate) async fn take(&mut self, standing: &Standing, show: &mut dyn FnMut(Scene)) -> Result<Step, AgentError> {
        if standing.request != self.request.id() {
            return Err(AgentError::Garbled { what: "it speaks of another request".to_owned() });
        }
        for nonce in &standing.nonces {
            let nonce = Verified::<Nonce>::from_bytes(nonce).map_err(AgentError::BadForm)?;
            self.answer(nonce, show).await?;
        }
        self.told_chain = standing.chain.or(self.told_chain);
        match standing.stage {
            Stage::Admitted => Ok(Step::Admitted),
            Stage::Expired => Err(AgentError::Expired),
            Stage::Withdrawn => Err(AgentError::Withdrawn),
            Stage::Waiting | Stage::Code => {
                let members = if standing.online { Members::Online } else { Members::Offline };
                show(Scene::Waiting { remaining: standing.remaining, members });
                Ok(Step::Wait)
            }
        }
    }

    async fn answer(&mut self, nonce: Verified<Nonce>, show: &mut dyn FnMut(Scene)) -> Result<(), AgentError> {
        let answer = self.rounds.answer(nonce.clone(), &self.keys.signing).map_err(|error| match error {
            AnswerError::Round(error @ (RoundError::SecondNonce { .. } | RoundError::SecondChain)) => AgentError::Lie {
                what: format!("{error}; somebody tries to get another device in: the join ends here"),
            },
            AnswerError::Round(error) => AgentError::Lie { what: format!("a nonce from the relay: {error}") },
            AnswerError::Form(error) => AgentError::OwnForm(error),
        })?;
        if answer.round <= self.sent {
            return Ok(());
        }
        self.store.keep_join_nonce(answer.round, nonce.bytes())?;
        match self.relay.reveal(&answer.reveal).await {
            Ok(()) => {}
            // The request may have ended in this moment; the next standing says how.
            Err(AgentError::Problem { status, code, .. }) if status < 500 && status != 429 => {
                tracing::warn!("the relay does not take what the code is made of ({code})");
            }
            Err(other) => return Err(other),
        }
        self.sent = answer.round;
        show(Scene::Code { round: answer.round, digits: answer.code.digits() });
        Ok(())
    }

    /// Fetches and verifies the whole log, opens the welcome, and stores the membership. Nothing is believed before that.
    pub(crate) async fn accept(&mut self) -> Result<Joined, AgentError> {
        let lie = |what: &str| AgentError::Lie { what: what.to_owned() };
        let chain = self.rounds.chain().or(self.told_chain);
        let chain = chain.ok_or_else(|| lie("admitted, but no device was ever shown a code"))?;
        let request = EntryEvidence::of(Arc::new(self.request.clone()));
        let (log, roster) = whole_log(&self.relay, &self.keys, chain, Some(&request)).await?;
        let own = self.request.id();
        let admits = |entry: &&Verified<Entry>| entry.evidence().request().is_some_and(|request| request.id() == own);
        let admitting = log.iter().find(admits).ok_or_else(|| lie("the log does not admit this device"))?;
        let showed = |device: &protocol::DeviceId| self.rounds.showed_code_for(device);
        let totp = (self.one_time_code == OneTimeCode::Sent).then_some(Accepts::Totp);
        let unchecked = (self.unchecked == Unchecked::Accepted).then_some(Accepts::Unchecked);
        let accepts: Vec<Accepts<'_>> = [Accepts::TypedBy(&showed)].into_iter().chain(totp).chain(unchecked).collect();
        let keyring = accept_admission(&roster, admitting, &self.keys, &self.request, &accepts)
            .map_err(|error| AgentError::Lie { what: error.to_string() })?;
        let by = name_of(&keyring, &roster, &admitting.signer());
        self.store.pin_whole(&log)?;
        let standing = keyfile::Standing::Member(keyring.epoch_key().clone());
        Secrets { keys: self.keys.clone(), standing }.write(&self.home)?;
        self.store.end_join()?;
        let how = roster.member(&self.keys.id()).and_then(|member| member.admission.how).unwrap_or(How::Typed);
        Ok(Joined { roster, by, how })
    }

    /// Takes the request back, at the relay and here.
    pub(crate) async fn withdraw(&mut self) -> Result<(), AgentError> {
        let form = Withdrawal { version: protocol::VERSION, request: self.request.id() };
        let withdrawal = Verified::sign(form, &self.keys.signing, &[]).map_err(AgentError::OwnForm)?;
        let told = self.relay.withdraw(&withdrawal).await;
        self.forget()?;
        told
    }

    /// Ends the request here: the next join makes new keys.
    pub(crate) fn forget(&mut self) -> Result<(), AgentError> {
        self.store.end_join()
    }
}

fn sent_with(description: Option<&Description>) -> OneTimeCode {
    match description.and_then(|described| described.totp.as_ref()) {
        Some(_) => OneTimeCode::Sent,
        None => OneTimeCode::NotSent,
    }
}

fn name_of(keyring: &Keyring, roster: &Roster, device: &protocol::DeviceId) -> String {
    let described = roster.known(device).and_then(|member| keyring.describe(roster, member).ok());
    described.map_or_else(|| format!("device {}", device.short()), |described| text::clean(&described.name))
}
