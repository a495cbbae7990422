//! A device in a few lines, as the page tells: it pins, follows, and stops changing membership at a fork.

use std::collections::BTreeSet;

use protocol::approval::{Approval, RoleSubject, Subject};
use protocol::cbor::Blob;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::Removal;
use protocol::decision::{self, Accepts, accept_admission};
use protocol::entry::{self, Body, Entry, RemoveReason, VetoOf};
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Quorums, Role};
use protocol::record::{self, Draft, Line, Record, Trust, check_cited};
use protocol::roster::Roster;
use protocol::round::{Attempt, Nonce, Prompt};
use protocol::{DeviceId, Hash, RequestId, VERSION, Verified, id::Random};

use crate::life::NOTHING;
use crate::support::SeededRng;
use crate::world::{AT, Joiner, asks_with, description, keys};

pub(super) fn roster_of(log: &[Verified<Entry>]) -> Roster {
    let first = Roster::found(&log[0]).unwrap();
    log[1..].iter().fold(first, |roster, entry| roster.apply(entry).unwrap())
}

pub(super) struct Device {
    pub(super) name: String,
    pub(super) keys: DeviceKeys,
    pub(super) log: Vec<Verified<Entry>>,
    /// What follows from the log.
    roster: Option<Roster>,
    keyring: Option<Keyring>,
    pub(super) line: Line,
    /// Position at which it saw a second entry.
    pub(super) alarm: Option<u64>,
    /// Records that it believed.
    pub(super) believed: Vec<Verified<Record>>,
    asked: u64,
    rng: SeededRng,
}

impl Device {
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            keys: keys(name),
            log: Vec::new(),
            roster: None,
            keyring: None,
            line: Line::default(),
            alarm: None,
            believed: Vec::new(),
            asked: 0,
            rng: SeededRng::new(&format!("randomness of {name}")),
        }
    }

    pub(super) fn roster(&self) -> Option<&Roster> {
        self.roster.as_ref()
    }

    /// The keys that it can open at its head; none where it is no member any more.
    pub(super) fn keyring(&self) -> Option<&Keyring> {
        self.keyring.as_ref().filter(|keyring| self.roster().is_some_and(|roster| roster.epoch() == keyring.epoch()))
    }

    pub(super) fn was_member(&self) -> bool {
        !self.log.is_empty()
    }

    pub(super) fn decides(&self) -> bool {
        self.alarm.is_none() && self.roster().is_some_and(|roster| roster.approver(&self.keys.id()).is_some())
    }

    pub(super) fn founds(&mut self) -> Verified<Entry> {
        let described = description(&self.name);
        let founding = entry::found(&self.keys, &described, Policy::default(), None, AT, &mut self.rng).unwrap();
        self.log.push(founding.entry.clone());
        let roster = roster_of(&self.log);
        self.keyring = Keyring::open(&roster, founding.epoch_key).ok();
        self.roster = Some(roster);
        founding.entry
    }

    /// Signs as what it pinned, also when it was removed by an entry that it does not know or does not like: whether others care is
    /// their business. A device that holds no keys of its pinned head signs nothing.
    fn signs(
        &mut self,
        make: impl FnOnce(Acting<'_>, &mut SeededRng) -> Option<Verified<Entry>>,
    ) -> Option<Verified<Entry>> {
        let (roster, keyring) = (self.roster()?.clone(), self.keyring()?.clone());
        make(Acting { keys: &self.keys, roster: &roster, keyring: &keyring }, &mut self.rng)
    }

    /// Another device asks with the code that this one knows.
    pub(super) fn heard_of(&mut self, name: &str, joiner: &DeviceKeys) -> Option<Joiner> {
        self.asked += 1;
        let keyring = self.keyring()?.clone();
        Some(asks_with(&format!("{name} by {} for the {}th", self.name, self.asked), joiner, keyring.code()))
    }

    pub(super) fn admits(&mut self, joiner: &Joiner, role: Role, approvals: Vec<Blob>) -> Option<Verified<Entry>> {
        self.signs(|acting, rng| {
            let nonce = Nonce {
                version: VERSION,
                chain: acting.roster.chain(),
                request: joiner.request.id(),
                round: 1,
                head: acting.roster.head(),
                epoch: acting.roster.epoch(),
                nonce: Random::draw(rng),
            };
            let nonce = Verified::sign(nonce, &acting.keys.signing, &[]).unwrap();
            let answer = joiner.answers(&nonce);
            let prompt = Prompt::new(joiner.request.clone(), nonce, &answer.reveal).unwrap();
            let Attempt::Right(confirmed) = prompt.type_code(&answer.code.digits()) else { panic!("typed as shown") };
            decision::admit_together(acting, &confirmed, &joiner.description, role, approvals, AT, rng).ok()
        })
    }

    pub(super) fn agrees(&self, subject: &Subject) -> Option<Verified<Approval>> {
        let (roster, keyring) = (self.roster()?, self.keyring()?);
        change::approve(Acting { keys: &self.keys, roster, keyring }, subject.clone()).ok()
    }

    pub(super) fn denies(&mut self, number: u64) -> Option<Verified<Entry>> {
        let mut id = [3; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        self.signs(|acting, _| {
            let request = (RequestId(id), DeviceId(id));
            decision::deny(acting.roster, acting.keys, request, entry::DenyReason::Denied, 0, AT).ok()
        })
    }

    pub(super) fn removes(&mut self, removals: Vec<Removal>, approvals: Vec<Blob>) -> Option<Verified<Entry>> {
        self.signs(|acting, rng| {
            change::remove(acting, removals, RemoveReason::Lost, RecoveryChange::Keep, approvals, AT, rng).ok()
        })
    }

    pub(super) fn rotates(&mut self, draws: bool) -> Option<Verified<Entry>> {
        let code = if draws { CodeChange::Draw } else { CodeChange::Keep };
        self.signs(|acting, rng| change::rotate(acting, code, RecoveryChange::Keep, AT, rng).ok())
    }

    pub(super) fn leaves(&mut self) -> Option<Verified<Entry>> {
        self.signs(|acting, _| change::leave(acting, NOTHING, AT).ok())
    }

    pub(super) fn makes(&mut self, device: &DeviceId, role: Role) -> Option<Verified<Entry>> {
        self.signs(|acting, _| {
            let wrote = acting.roster.member(device)?.role.writes();
            let cut = (wrote && !role.writes()).then_some(NOTHING);
            change::change_role(acting, RoleSubject { device: *device, role, cut }, Vec::new(), AT).ok()
        })
    }

    /// The policy that it knows, with another number of approvers to admit and remove.
    pub(super) fn policy(&self, quorum: u8) -> Option<Policy> {
        let policy = self.roster()?.policy().clone();
        Some(Policy { quorums: Quorums { admit: quorum, remove: quorum, ..policy.quorums }, ..policy })
    }

    pub(super) fn rules(&mut self, policy: Policy, approvals: Vec<Blob>) -> Option<Verified<Entry>> {
        self.signs(|acting, _| change::change_policy(acting, policy, approvals, AT).ok())
    }

    /// Announces the end; where it is announced, stops it or carries it out.
    pub(super) fn ends(&mut self) -> Option<Verified<Entry>> {
        let stands = self.roster()?.closing().copied();
        self.signs(|acting, rng| match stands {
            None => change::closing(acting, Vec::new(), AT).ok(),
            Some(closing) if !Random::draw(rng).0[0].is_multiple_of(4) => {
                change::veto(acting, VetoOf::Closing, closing.hash, AT).ok()
            }
            Some(closing) => change::close(acting, closing.hash, AT).ok(),
        })
    }

    pub(super) fn writes(&mut self) -> Option<(Verified<Record>, Blob)> {
        let (roster, keyring) = (self.roster()?.clone(), self.keyring()?.clone());
        let acting = Acting { keys: &self.keys, roster: &roster, keyring: &keyring };
        let id = format!("{} {}", self.name, self.line.counter);
        let draft = Draft { collection: "notes", id: &id, value: Some(b"x"), base: None, at: AT };
        let (record, ciphertext) = record::write(acting, self.line, &draft, &mut self.rng).ok()?;
        Some((record, ciphertext?))
    }

    pub(super) fn reads(&mut self, record: &Verified<Record>) {
        let Some(roster) = self.roster() else { return };
        if check_cited(roster, record) == Ok(Trust::Counts) {
            self.believed.push(record.clone());
        }
    }

    /// Reads a log from its beginning: pins what follows, raises the alarm at a second entry for a place.
    pub(super) fn takes(&mut self, shown: &[Verified<Entry>]) {
        for entry in shown {
            self.is_handed(entry);
        }
    }

    /// Is handed one entry, out of any order.
    pub(super) fn is_handed(&mut self, entry: &Verified<Entry>) {
        if self.log.is_empty() || self.log.iter().any(|known| known.hash() == entry.hash()) {
            return;
        }
        let Some(parent) = self.log.iter().position(|known| Some(known.hash()) == entry.prev) else { return };
        let Some(roster) = self.roster.clone() else { return };
        let is_next = parent + 1 == self.log.len();
        let before = if is_next { roster } else { roster_of(&self.log[..=parent]) };
        let Ok(after) = before.apply(entry) else { return };
        if !is_next {
            self.alarm.get_or_insert(entry.seq);
        } else if self.alarm.is_none() {
            self.pins(entry, after);
        }
    }

    fn pins(&mut self, entry: &Verified<Entry>, after: Roster) {
        self.log.push(entry.clone());
        if let Some(held) = self.keyring.take() {
            // A device that is gone keeps what it held.
            let opened = Keyring::follow(&after, &self.keys, held.epoch_key());
            self.keyring = Some(opened.unwrap_or(held));
        }
        self.roster = Some(after);
    }

    /// What this device has and the relay lost.
    pub(super) fn heals(&self, relay: &[Verified<Entry>]) -> Option<Vec<Verified<Entry>>> {
        let common = self.log.iter().zip(relay).take_while(|(own, theirs)| own.hash() == theirs.hash()).count();
        (common == relay.len() && common < self.log.len() && self.alarm.is_none()).then(|| self.log[common..].to_vec())
    }

    /// A joiner's last step.
    pub(super) fn believes(&mut self, joiner: &Joiner, log: &[Verified<Entry>]) {
        let admits = |entry: &&Verified<Entry>| {
            entry.evidence().request().is_some_and(|request| request.id() == joiner.request.id())
        };
        let Some(entry) = log.iter().find(admits) else { return };
        let signer = entry.signer();
        let roster = roster_of(log);
        let accepted = accept_admission(
            &roster,
            entry,
            &self.keys,
            &joiner.request,
            &[Accepts::TypedBy(&|device| *device == signer)],
        );
        if let Ok(keyring) = accepted {
            self.log = log.to_vec();
            self.roster = Some(roster);
            self.keyring = Some(keyring);
        }
    }

    /// Every epoch key that it holds, by epoch, as far as it can open them.
    pub(super) fn held(&self) -> Vec<(u64, Hash)> {
        let Some(keyring) = &self.keyring else { return Vec::new() };
        let id = |epoch| keyring.epoch_key_of(epoch).map(|key| (epoch, Hash(key.key_id(epoch).0)));
        (1..=keyring.epoch()).filter_map(id).collect()
    }

    /// The entries whose rotation seals something to this device.
    pub(super) fn sealed_in(&self, log: &[Verified<Entry>]) -> BTreeSet<u64> {
        let sealed = |entry: &&Verified<Entry>| {
            entry.body.rotation().is_some_and(|rotation| rotation.sealed_to(&self.keys.id()).is_some())
        };
        log.iter().filter(sealed).map(|entry| entry.seq).collect()
    }
}

/// Whether an entry is a deny: the one kind that voids no approval.
pub(super) fn is_deny(entry: &Verified<Entry>) -> bool {
    matches!(entry.body, Body::Deny(_))
}
