//! A small world with fixed keys: a laptop that founds, devices that ask, a log that grows.

use protocol::code::SyncCode;
use protocol::decision;
use protocol::entry::{self, Body, Deny, DenyReason, Entry, Founding};
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Role};
use protocol::request::{Description, JoinRequest};
use protocol::roster::{Refusal, Roster};
use protocol::round::{Answer, Attempt, Commitments, Confirmed, JoinerRounds, Nonce, Prompt};
use protocol::{VERSION, Verified, cbor::Blob, id::Random};

use crate::support::SeededRng;

/// The instant at which everything happens, unix milliseconds.
pub(crate) const AT: u64 = 1_790_000_000_000;

/// A device that asks.
#[derive(Clone)]
pub(crate) struct Joiner {
    pub(crate) keys: DeviceKeys,
    pub(crate) description: Description,
    pub(crate) sealed: Blob,
    pub(crate) commitments: Commitments,
    pub(crate) request: Verified<JoinRequest>,
}

impl Joiner {
    pub(crate) fn rounds(&self) -> JoinerRounds {
        JoinerRounds::new(self.request.clone(), self.commitments.clone())
    }

    pub(crate) fn answers(&self, nonce: &Verified<Nonce>) -> Answer {
        self.rounds().answer(nonce.clone(), &self.keys.signing).unwrap()
    }
}

/// A chain as its founder holds it.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) laptop: DeviceKeys,
    pub(crate) founding: Founding,
    pub(crate) log: Vec<Verified<Entry>>,
    pub(crate) roster: Roster,
    pub(crate) keyring: Keyring,
}

pub(crate) fn keys(name: &str) -> DeviceKeys {
    DeviceKeys::draw(&mut SeededRng::new(&format!("keys of {name}")))
}

pub(crate) fn description(name: &str) -> Description {
    Description {
        name: name.to_owned(),
        platform: "Debian 12 x86_64".to_owned(),
        version: "0.1.0".to_owned(),
        totp: None,
    }
}

impl Chain {
    pub(crate) fn founded() -> Self {
        Self::founded_with("laptop", Policy::default())
    }

    pub(crate) fn founded_with(name: &str, policy: Policy) -> Self {
        let laptop = keys(name);
        let mut rng = SeededRng::new(&format!("founding by {name}"));
        let founding = entry::found(&laptop, &description(name), policy, None, AT, &mut rng).unwrap();
        let roster = Roster::found(&founding.entry).unwrap();
        let keyring = Keyring::open(&roster, founding.epoch_key.clone()).unwrap();
        Self { laptop, log: vec![founding.entry.clone()], founding, roster, keyring }
    }

    pub(crate) fn asks(&self, name: &str) -> Joiner {
        asks_with(name, &keys(name), self.keyring.code())
    }

    pub(crate) fn acting<'a>(&'a self, keys: &'a DeviceKeys) -> Acting<'a> {
        Acting { keys, roster: &self.roster, keyring: &self.keyring }
    }

    /// An approver opens the prompt in a round.
    pub(crate) fn opens(&self, approver: &DeviceKeys, joiner: &Joiner, round: u8) -> Verified<Nonce> {
        let nonce = Random::draw(&mut SeededRng::new(&format!("nonce {round} of {}", approver.id())));
        let form = Nonce {
            version: VERSION,
            chain: self.roster.chain(),
            request: joiner.request.id(),
            round,
            head: self.roster.head(),
            epoch: self.roster.epoch(),
            nonce,
        };
        Verified::sign(form, &approver.signing, &[]).unwrap()
    }

    /// The whole round, with the right code typed.
    pub(crate) fn confirms(&self, approver: &DeviceKeys, joiner: &Joiner) -> Confirmed {
        let nonce = self.opens(approver, joiner, 1);
        let answer = joiner.answers(&nonce);
        let prompt = Prompt::new(joiner.request.clone(), nonce, &answer.reveal).unwrap();
        match prompt.type_code(&answer.code.digits()) {
            Attempt::Right(confirmed) => confirmed,
            other => panic!("the code shown is the code asked for: {other:?}"),
        }
    }

    /// Signs an admit; the log does not have it yet.
    pub(crate) fn admits(&self, approver: &DeviceKeys, joiner: &Joiner, role: Role) -> Verified<Entry> {
        let confirmed = self.confirms(approver, joiner);
        let mut rng = SeededRng::new(&format!("admit {}", joiner.request.id()));
        decision::admit(self.acting(approver), &confirmed, &joiner.description, role, AT + 60_000, &mut rng).unwrap()
    }

    /// Signs a deny; the log does not have it yet.
    pub(crate) fn denies(&self, approver: &DeviceKeys, joiner: &Joiner) -> Verified<Entry> {
        let request = (joiner.request.id(), joiner.keys.id());
        decision::deny(&self.roster, approver, request, DenyReason::Denied, 0, AT + 60_000).unwrap()
    }

    /// The next entry, with fields changed before it is signed.
    pub(crate) fn changed(
        &self,
        approver: &DeviceKeys,
        entry: &Entry,
        change: impl FnOnce(&mut Entry),
    ) -> Verified<Entry> {
        let mut form = entry.clone();
        change(&mut form);
        Verified::sign(form, &approver.signing, &[]).unwrap()
    }

    /// A deny of a request that nobody made: the cheapest valid next entry.
    pub(crate) fn deny_body(&self) -> Entry {
        let body = Body::Deny(Deny {
            request: protocol::RequestId([7; 32]),
            device: protocol::DeviceId([8; 32]),
            reason: DenyReason::NotMe,
            block: 3600,
        });
        Entry {
            version: VERSION,
            chain: Some(self.roster.chain()),
            seq: self.roster.seq() + 1,
            prev: Some(self.roster.head()),
            at: AT + 1,
            body,
        }
    }

    pub(crate) fn try_append(&mut self, entry: &Verified<Entry>) -> Result<(), Refusal> {
        self.roster = self.roster.clone().apply(entry)?;
        self.log.push(entry.clone());
        if entry.body.rotation().is_some() && self.roster.member(&self.laptop.id()).is_some() {
            self.keyring = Keyring::follow(&self.roster, &self.laptop, self.keyring.epoch_key()).unwrap();
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, entry: &Verified<Entry>) {
        self.try_append(entry).unwrap();
    }

    /// A device joins, as role.
    pub(crate) fn joined(&mut self, name: &str, role: Role) -> Joiner {
        let joiner = self.asks(name);
        let admit = self.admits(&self.laptop.clone(), &joiner, role);
        self.append(&admit);
        joiner
    }
}

/// A device asks with any keys and any sync code.
pub(crate) fn asks_with(name: &str, keys: &DeviceKeys, code: &SyncCode) -> Joiner {
    let mut rng = SeededRng::new(&format!("request of {name}"));
    let description = description(name);
    let sealed = description.seal(code, &keys.id(), &mut rng).unwrap();
    let commitments = Commitments::draw(&mut rng);
    let request = JoinRequest::sign(code, keys, &sealed, commitments.public(), AT).unwrap();
    Joiner { keys: keys.clone(), description, sealed, commitments, request }
}
