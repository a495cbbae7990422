//! A member's state without a network: what it counts, keeps, repeats and refuses.

mod diary;
mod entries;
mod forks;
mod settling;
mod epochs;
mod epochs_records;
mod membership;
mod policy;
mod approvals;
mod totp;
mod records;
mod recovery;
mod aside;
mod losses;
mod outbox;
mod resets;
mod export;
mod credential;
mod requests;

use protocol::cbor::Blob;
use protocol::code::SyncCode;
use protocol::entry::{DenyReason, Entry, found};
use protocol::id::Random;
use protocol::keyring::Acting;
use protocol::keys::DeviceKeys;
use protocol::policy::Policy;
use protocol::policy::Role;
use protocol::record::Record;
use protocol::request::{Description, JoinRequest};
use protocol::round::{Commitments, JoinerRounds, Nonce};
use protocol::signed::Verified;
use protocol::wire::{OpenRequest, Round, SealedRecord, Seen};
use protocol::{DeviceId, RequestId, decision};

use super::prompt::Shown;
use super::{Answered, Core, Divergence, Draft, Listing, Typed};
use crate::clock;
use crate::error::AgentError;
use crate::home::Home;
use crate::keyfile::{Secrets, Standing};
use crate::store::Store;

fn rng() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn named(name: &str) -> Description {
    Description { name: name.to_owned(), platform: "test".to_owned(), version: "0".to_owned(), totp: None }
}

/// A laptop that founded a chain, in a folder of its own.
struct Laptop {
    _dir: tempfile::TempDir,
    home: Home,
    core: Core,
    code: SyncCode,
}

impl Laptop {
    fn founds() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path().join("state"))).unwrap();
        home.create().unwrap();
        let keys = DeviceKeys::draw(&mut rng());
        let founding = found(&keys, &named("laptop"), Policy::default(), None, clock::now(), &mut rng()).unwrap();
        let standing = Standing::Member(founding.epoch_key);
        Secrets { keys, standing }.write(&home).unwrap();
        Store::open(&home.store_file()).unwrap().pin(&[founding.entry]).unwrap();
        let core = Core::open(&home).unwrap();
        Self { _dir: dir, home, core, code: founding.code }
    }

    fn restarts(self) -> Self {
        let Self { _dir, home, core, code } = self;
        drop(core);
        let core = Core::open(&home).unwrap();
        Self { _dir, home, core, code }
    }

    fn hears(&mut self, asks: &Asks, rounds: Vec<Round>) -> Result<(), AgentError> {
        self.hears_of(asks, 900_000, rounds)
    }

    fn hears_of(&mut self, asks: &Asks, remaining: u64, rounds: Vec<Round>) -> Result<(), AgentError> {
        let seen = Seen { address: "192.0.2.7".to_owned(), proxy: None, at: 0 };
        let open = OpenRequest {
            request: asks.request.bytes().to_vec().into(),
            description: asks.sealed.clone(),
            seen,
            remaining,
            rounds,
        };
        self.core.take_requests(&[open], &Listing::One)
    }

    /// Opens the prompt of a phone, and types the right code.
    fn types_the_code_of(&mut self, phone: &mut Asks) -> Shown {
        self.hears(phone, Vec::new()).unwrap();
        let code = phone.is_opened_on(self);
        let Typed::Right(shown) = self.core.type_code(&phone.id(), &code).unwrap() else { panic!("the right code") };
        *shown
    }

    /// Lets a phone in.
    fn admits(&mut self, name: &str) -> Asks {
        let mut phone = Asks::with(&self.code, name);
        let shown = self.types_the_code_of(&mut phone);
        let terms = self.core.terms();
        let entries = self.core.admit(&shown, Role::Approver, &terms).unwrap();
        self.takes(&entries[0]);
        phone
    }

    /// Takes an entry as the relay hands it over.
    fn takes(&mut self, entry: &Verified<Entry>) {
        assert_eq!(self.core.take_entries(&[entry.bytes().to_vec().into()]).unwrap(), Divergence::None);
    }

    /// As a device acts that stands where this one stands.
    fn acting<'a>(&'a self, keys: &'a DeviceKeys) -> Acting<'a> {
        Acting { keys, roster: self.core.roster(), keyring: self.core.keyring() }
    }

    /// Writes an item, and has it back from the relay.
    fn writes(&mut self, id: &str, value: &[u8]) -> SealedRecord {
        let value = Some(zeroize::Zeroizing::new(value.to_vec()));
        let sealed = self.core.write(&Draft { collection: "notes".to_owned(), id: id.to_owned(), value }).unwrap();
        self.core.take_record(&sealed).unwrap();
        sealed
    }

    fn reads(&self, id: &str) -> Option<String> {
        self.core.item("notes", id).unwrap().map(|item| item.value)
    }

    /// Sees a second entry where it has pinned another.
    fn sees_a_fork(&mut self) {
        let (one, other) = (own_deny(self, 1), own_deny(self, 2));
        self.core.take_entries(&[one.bytes().to_vec().into()]).unwrap();
        assert!(matches!(self.core.judge(other.bytes()), Err(AgentError::Fork { .. })));
    }
}

/// A phone that asks.
struct Asks {
    keys: DeviceKeys,
    request: Verified<JoinRequest>,
    sealed: Blob,
    rounds: JoinerRounds,
}

impl Asks {
    fn with(code: &SyncCode, name: &str) -> Self {
        let keys = DeviceKeys::draw(&mut rng());
        let commitments = Commitments::draw(&mut rng());
        let sealed = named(name).seal(code, &keys.id(), &mut rng()).unwrap();
        let request = JoinRequest::sign(code, &keys, &sealed, commitments.public(), clock::now()).unwrap();
        let rounds = JoinerRounds::new(request.clone(), commitments);
        Self { keys, request, sealed, rounds }
    }

    fn id(&self) -> RequestId {
        self.request.id()
    }

    /// Opens the prompt on a laptop and answers it: the code that this phone shows.
    fn is_opened_on(&mut self, laptop: &mut Laptop) -> String {
        let opened = laptop.core.open_prompt(&self.id()).unwrap();
        let answer = self.rounds.answer(opened.nonce.clone(), &self.keys.signing).unwrap();
        let round =
            Round { nonce: opened.nonce.bytes().to_vec().into(), reveal: Some(answer.reveal.bytes().to_vec().into()) };
        laptop.hears(self, vec![round]).unwrap();
        answer.code.digits().to_string()
    }
}

fn another(code: &str) -> String {
    let number: u32 = code.replace(' ', "").parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

#[test]
fn the_sixth_prompt_of_a_day_is_not_opened_whatever_the_relay_says() {
    let mut laptop = Laptop::founds();
    for number in 0..5 {
        let phone = Asks::with(&laptop.code, &format!("phone {number}"));
        laptop.hears(&phone, Vec::new()).unwrap();
        let held = laptop.core.prompts_again_at(crate::clock::now()).unwrap();
        assert_eq!(held.is_some(), number == 4, "it saw as many as the relay shows in a day");
        laptop.core.open_prompt(&phone.id()).unwrap();
        laptop.core.end_request(&phone.id(), "withdrawn").unwrap();
    }
    let mut laptop = laptop.restarts();
    let again_at = laptop.core.prompts_again_at(crate::clock::now()).unwrap().unwrap();
    assert_eq!(laptop.core.prompts_again_at(again_at).unwrap(), None, "a day later");
    let phone = Asks::with(&laptop.code, "sixth");
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::PromptLimit { opened: 5 })));
}

#[test]
fn a_fourth_prompt_at_a_time_is_not_opened() {
    let mut laptop = Laptop::founds();
    let phones: Vec<Asks> = (0..4).map(|number| Asks::with(&laptop.code, &format!("phone {number}"))).collect();
    for phone in &phones {
        laptop.hears(phone, Vec::new()).unwrap();
    }
    for phone in &phones[..3] {
        laptop.core.open_prompt(&phone.id()).unwrap();
    }
    assert!(matches!(laptop.core.open_prompt(&phones[3].id()), Err(AgentError::OpenLimit { open: 3 })));
}

#[test]
fn opening_again_repeats_the_same_nonce_also_after_a_restart() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let first = laptop.core.open_prompt(&phone.id()).unwrap();
    let mut laptop = laptop.restarts();
    laptop.hears(&phone, Vec::new()).unwrap();
    let again = laptop.core.open_prompt(&phone.id()).unwrap();
    assert_eq!(first.nonce.bytes(), again.nonce.bytes());
    assert_eq!(again.answered, Answered::NotYet);
}

#[test]
fn a_round_is_not_signed_twice_because_a_relay_says_that_it_is_taken() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let first = laptop.core.open_prompt(&phone.id()).unwrap();
    assert!(matches!(laptop.core.reopen_prompt(&phone.id(), &first.nonce), Err(AgentError::Lie { .. })));
}

#[test]
fn a_round_is_not_signed_twice_because_a_relay_shows_this_devices_own_nonce_in_it() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let first = laptop.core.open_prompt(&phone.id()).unwrap();
    let own = Round { nonce: first.nonce.bytes().to_vec().into(), reveal: None };
    laptop.hears(&phone, vec![own]).unwrap();
    assert!(matches!(laptop.core.reopen_prompt(&phone.id(), &first.nonce), Err(AgentError::Lie { .. })));
}

#[test]
fn two_callers_that_find_their_round_taken_repeat_one_nonce_for_the_next() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let first = laptop.core.open_prompt(&phone.id()).unwrap();
    let theirs = Nonce { nonce: Random::draw(&mut rng()), ..(*first.nonce).clone() };
    let theirs = Verified::sign(theirs, &tablet.keys.signing, &[]).unwrap();
    laptop.hears(&phone, vec![Round { nonce: theirs.bytes().to_vec().into(), reveal: None }]).unwrap();
    let next = laptop.core.reopen_prompt(&phone.id(), &first.nonce).unwrap();
    let again = laptop.core.reopen_prompt(&phone.id(), &first.nonce).unwrap();
    assert_eq!((next.nonce.round, next.nonce.bytes()), (2, again.nonce.bytes()));
}

#[test]
fn a_request_with_another_sync_code_is_not_shown() {
    let mut laptop = Laptop::founds();
    let stranger = Asks::with(&SyncCode::draw(&mut rng()), "stranger");
    laptop.hears(&stranger, Vec::new()).unwrap();
    assert!(laptop.core.requests().unwrap().is_empty());
}

#[test]
fn the_typed_code_admits_and_a_wrong_one_does_not() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let code = phone.is_opened_on(&mut laptop);
    let wrong = laptop.core.type_code(&phone.id(), &another(&code));
    assert!(matches!(wrong, Err(AgentError::WrongCode { left: 2 })));
    assert!(matches!(laptop.core.type_code(&phone.id(), "12"), Err(AgentError::NotACode)));
    let Typed::Right(shown) = laptop.core.type_code(&phone.id(), &code).unwrap() else { panic!("the right code") };
    let terms = laptop.core.terms();
    let entries = laptop.core.admit(&shown, Role::Approver, &terms).unwrap();
    laptop.takes(&entries[0]);
    assert_eq!(laptop.core.members().len(), 2);
    assert!(matches!(laptop.core.type_code(&phone.id(), &code), Err(AgentError::Decided { .. })));
}

#[test]
fn the_third_wrong_code_burns_the_request_also_after_a_restart() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let code = phone.is_opened_on(&mut laptop);
    let wrong = another(&code);
    let _ = laptop.core.type_code(&phone.id(), &wrong);
    let _ = laptop.core.type_code(&phone.id(), &wrong);
    assert!(matches!(laptop.core.type_code(&phone.id(), &wrong), Ok(Typed::Burned)));
    let mut laptop = laptop.restarts();
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(matches!(laptop.core.type_code(&phone.id(), &code), Ok(Typed::Burned)));
}

#[test]
fn an_answer_that_is_not_the_joiners_is_a_lie() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    let mut other = Asks::with(&laptop.code, "other");
    laptop.hears(&phone, Vec::new()).unwrap();
    laptop.hears(&other, Vec::new()).unwrap();
    let opened = laptop.core.open_prompt(&phone.id()).unwrap();
    let theirs = laptop.core.open_prompt(&other.id()).unwrap();
    let answer = other.rounds.answer(theirs.nonce, &other.keys.signing).unwrap();
    let round =
        Round { nonce: opened.nonce.bytes().to_vec().into(), reveal: Some(answer.reveal.bytes().to_vec().into()) };
    assert!(matches!(laptop.hears(&phone, vec![round]), Err(AgentError::Lie { .. })));
}

/// Signs a deny of a phone that nobody knows, at the laptop's head.
fn own_deny(laptop: &Laptop, number: u8) -> Verified<Entry> {
    let phone = Asks::with(&laptop.code, &format!("phone {number}"));
    let subject = (phone.id(), phone.keys.id());
    decision::deny(laptop.core.roster(), laptop.core.keys(), subject, DenyReason::Denied, 0, clock::now()).unwrap()
}

#[test]
fn an_own_entry_is_kept_until_its_place_is_taken() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let terms = laptop.core.terms();
    let subject = (phone.id(), phone.keys.id());
    let signed = laptop.core.deny(subject, DenyReason::Denied, 0, &terms).unwrap();
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.staged().unwrap()[0].bytes(), signed[0].bytes());
    let other = own_deny(&laptop, 1);
    laptop.core.take_entries(&[other.bytes().to_vec().into()]).unwrap();
    assert!(laptop.core.staged().unwrap().is_empty());
}

#[test]
fn two_entries_at_one_place_are_a_fork_that_stops_membership_and_survives_a_restart() {
    let mut laptop = Laptop::founds();
    let (one, other) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    assert_eq!(laptop.core.take_entries(&[one.bytes().to_vec().into()]).unwrap(), Divergence::None);
    assert_eq!(laptop.core.take_entries(&[other.bytes().to_vec().into()]).unwrap(), Divergence::NotNext);
    assert!(matches!(laptop.core.judge(other.bytes()), Err(AgentError::Fork { seq: 1 })));
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.fork(), Some(1));
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::Forked)));
}

#[test]
fn an_entry_by_a_stranger_is_no_fork() {
    let mut laptop = Laptop::founds();
    let stranger = Laptop::founds();
    let foreign = own_deny(&stranger, 1);
    let own = own_deny(&laptop, 1);
    laptop.core.take_entries(&[own.bytes().to_vec().into()]).unwrap();
    assert!(matches!(laptop.core.judge(foreign.bytes()), Err(AgentError::Lie { .. })));
    assert_eq!(laptop.core.fork(), None);
}

#[test]
fn a_record_is_kept_before_it_is_sent_and_read_back_after_it_landed() {
    let mut laptop = Laptop::founds();
    let value = Some(zeroize::Zeroizing::new(b"hello".to_vec()));
    let draft = Draft { collection: "notes".to_owned(), id: "first".to_owned(), value };
    let sealed = laptop.core.write(&draft).unwrap();
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.staged_records().unwrap(), vec![sealed.clone()]);
    assert!(laptop.core.item("notes", "first").unwrap().is_none());
    laptop.core.take_record(&sealed).unwrap();
    assert!(laptop.core.staged_records().unwrap().is_empty());
    assert_eq!(laptop.core.item("notes", "first").unwrap().unwrap().value, "aGVsbG8=");
    assert_eq!(laptop.core.verify_all().unwrap(), (1, 1));
}

#[test]
fn a_record_with_another_ciphertext_is_refused() {
    let mut laptop = Laptop::founds();
    let draft = |value: &[u8]| Draft {
        collection: "notes".to_owned(),
        id: "first".to_owned(),
        value: Some(zeroize::Zeroizing::new(value.to_vec())),
    };
    let mut sealed = laptop.core.write(&draft(b"one")).unwrap();
    sealed.ciphertext = laptop.core.write(&draft(b"two")).unwrap().ciphertext;
    assert!(matches!(laptop.core.take_record(&sealed), Err(AgentError::BadRecord(_))));
}

/// A member can sign whatever it likes. One record of garbage made every list and every verification of the others fail.
#[test]
fn garbage_of_one_record_hides_no_other() {
    let mut laptop = Laptop::founds();
    let draft = |id: &str| Draft {
        collection: "notes".to_owned(),
        id: id.to_owned(),
        value: Some(zeroize::Zeroizing::new(b"hello".to_vec())),
    };
    let good = laptop.core.write(&draft("good")).unwrap();
    laptop.core.take_record(&good).unwrap();
    let sealed = laptop.core.write(&draft("garbage")).unwrap();
    let mut form = (*Verified::<Record>::from_bytes(&sealed.record).unwrap()).clone();
    form.ciphertext_hash = Some(protocol::request::description_hash(b"garbage"));
    let garbage = Verified::sign(form, &laptop.core.keys().signing, &[]).unwrap();
    let garbage =
        SealedRecord { record: garbage.bytes().to_vec().into(), ciphertext: Some(b"garbage".as_slice().into()) };
    laptop.core.take_record(&garbage).unwrap();
    let listed: Vec<String> = laptop.core.items(None).unwrap().into_iter().map(|item| item.id).collect();
    assert_eq!(listed, ["good"]);
    assert!(
        matches!(laptop.core.item("notes", "garbage"), Err(AgentError::Sealed { .. })),
        "asked for by name, it is said"
    );
    assert_eq!(laptop.core.verify_all().unwrap(), (1, 2));
}
