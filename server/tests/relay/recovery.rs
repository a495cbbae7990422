//! Whoever holds the recovery words finds the chain by the key that follows from them, and takes it up with one append.

use std::num::NonZeroU32;
use std::sync::Arc;

use countersign_relay::rates::Rate;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::code::RecoveryCode;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::decision::admit_recovered;
use protocol::entry::{Entry, RemoveReason};
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::Policy;
use protocol::record::Line;
use protocol::reset::Reset;
use protocol::roster::Roster;
use protocol::wire::{Purpose, Whereabouts, close};
use protocol::{DeviceId, VERSION, Verified};

use crate::harness::{Answer, House, Joiner, Member, description, rng};
use crate::members::put;

fn words() -> DeviceKeys {
    RecoveryCode::draw(&mut rng()).keys()
}

/// A chain with a recovery device.
async fn founded(house: &House, recovery: &DeviceKeys) -> Member {
    founded_with(house, recovery, Policy::default()).await
}

async fn founded_with(house: &House, recovery: &DeviceKeys, policy: Policy) -> Member {
    let keys = DeviceKeys::draw(&mut rng());
    let founding =
        protocol::entry::found(&keys, &description("laptop"), policy, Some(recovery), 1, &mut rng()).unwrap();
    assert_eq!(house.post("/v1/chains", founding.entry.bytes()).await.status, 201);
    let roster = Roster::found(&founding.entry).unwrap();
    let keyring = Keyring::open(&roster, founding.epoch_key).unwrap();
    Member { keys, roster, keyring, line: Line::default() }
}

async fn asks(house: &House, signer: &DeviceKeys, of: DeviceId) -> Answer {
    house.read(signer, &format!("/v1/keys/{of}")).await
}

async fn finds(house: &House, words: &DeviceKeys) -> Whereabouts {
    asks(house, words, words.id()).await.decode()
}

fn stands(member: &Member) -> Whereabouts {
    Whereabouts { chain: member.chain(), head: member.roster.head(), seq: member.roster.seq() }
}

/// A new epoch with another recovery device.
async fn replaces(house: &House, member: &mut Member, words: &DeviceKeys) {
    let recovery = RecoveryChange::Replace(words);
    let entry = change::rotate(member.acting(), CodeChange::Keep, recovery, 3, &mut rng()).unwrap();
    assert_eq!(house.append(&entry).await.status, 200);
    member.opens(&entry);
}

#[tokio::test]
async fn the_holder_of_the_words_finds_its_chain_and_everybody_else_finds_nothing() {
    let house = House::start().await;
    let (paper, stranger) = (words(), DeviceKeys::draw(&mut rng()));
    let mut laptop = founded(&house, &paper).await;
    assert_eq!(finds(&house, &paper).await, stands(&laptop));
    let phone = crate::members::phone_of(&house, &mut laptop).await;
    assert_eq!(finds(&house, &paper).await, stands(&laptop), "where the log stands now");
    let told = |answer: Answer| {
        let mut said = answer.json();
        said["instance"] = "".into();
        (answer.status, said)
    };
    let nothing = told(asks(&house, &stranger, stranger.id()).await);
    assert_eq!((nothing.0, nothing.1["code"].as_str()), (404, Some("not-found")));
    for (signer, of) in
        [(&stranger, &paper), (&laptop.keys, &laptop.keys), (&phone.keys, &paper), (&paper, &laptop.keys)]
    {
        assert_eq!(told(asks(&house, signer, of.id()).await), nothing);
    }
    assert_eq!(house.get(&format!("/v1/keys/{}", paper.id()), &[]).await.code(), "signature-missing");
}

#[tokio::test]
async fn words_that_were_replaced_or_removed_find_nothing_also_after_a_restart() {
    let house = House::start().await;
    let (first, second) = (words(), words());
    let mut laptop = founded(&house, &first).await;
    replaces(&house, &mut laptop, &second).await;
    let house = house.restart().await;
    assert_eq!(asks(&house, &first, first.id()).await.code(), "not-found");
    assert_eq!(finds(&house, &second).await, stands(&laptop));
    let gone = Removal { device: second.id(), cut: Cut { counter: 0, last: None, at: CutAt::Last } };
    let keep = RecoveryChange::Keep;
    let removal =
        change::remove(laptop.acting(), vec![gone], RemoveReason::Lost, keep, Vec::new(), 4, &mut rng()).unwrap();
    assert_eq!(house.append(&removal).await.status, 200);
    assert_eq!(asks(&house, &second, second.id()).await.code(), "not-found");
}

#[tokio::test]
async fn one_address_looks_for_a_chain_only_so_often() {
    let house = House::start_with(|config| config.rates.requests_per_address = Rate(NonZeroU32::MIN)).await;
    let paper = words();
    let _ = founded(&house, &paper).await;
    assert_eq!(asks(&house, &paper, paper.id()).await.status, 200);
    assert_eq!(asks(&house, &paper, paper.id()).await.code(), "too-many-requests");
}

/// Admits a new device by the recovery device; what its holder then knows.
async fn admits(house: &House, paper: &DeviceKeys, before: &Member) -> (Joiner, Verified<Entry>, Roster, Keyring) {
    let keyring = Keyring::recover(&before.roster, paper).unwrap();
    let fresh = Joiner::new(keyring.code());
    assert_eq!(fresh.asks(house).await.status, 202);
    let acting = Acting { keys: paper, roster: &before.roster, keyring: &keyring };
    let request = Arc::new(fresh.request.clone());
    let admit = admit_recovered(acting, &request, &description("new"), 5, &mut rng()).unwrap();
    let after = before.roster.clone().apply(&admit).unwrap();
    (fresh, admit, after, keyring)
}

#[tokio::test]
async fn one_append_admits_a_device_removes_the_lost_ones_and_replaces_the_words() {
    let house = House::start().await;
    let (paper, next) = (words(), words());
    let mut laptop = founded(&house, &paper).await;
    assert_eq!(laptop.puts(&house, "first").await.status, 200);
    let (fresh, admit, roster, keyring) = admits(&house, &paper, &laptop).await;
    let acting = Acting { keys: &paper, roster: &roster, keyring: &keyring };
    let cut = Cut { counter: laptop.line.counter, last: laptop.line.last, at: CutAt::Last };
    let (gone, by) = (vec![Removal { device: laptop.keys.id(), cut }], RecoveryChange::Replace(&next));
    let removal = change::remove(acting, gone, RemoveReason::Lost, by, Vec::new(), 6, &mut rng()).unwrap();
    assert_eq!(house.append_as(&[&admit, &removal], Purpose::New).await.status, 200);
    let roster = roster.apply(&removal).unwrap();
    let keyring = Keyring::follow(&roster, &fresh.keys, keyring.epoch_key()).unwrap();
    let mut fresh = Member { keys: fresh.keys, roster, keyring, line: Line::default() };
    assert_eq!(fresh.puts(&house, "second").await.status, 200);
    assert_eq!(fresh.feed(&house).await.len(), 2);
    let late = laptop.writes("third", Some(b"1"), None);
    assert_eq!(house.post("/v1/records", &put(late)).await.code(), "not-a-member");
    assert_eq!(asks(&house, &paper, paper.id()).await.code(), "not-found");
    assert_eq!(finds(&house, &next).await, stands(&fresh));
}

#[tokio::test]
async fn where_nobody_is_removed_the_new_device_itself_replaces_the_words() {
    let house = House::start().await;
    let (paper, next) = (words(), words());
    let laptop = founded(&house, &paper).await;
    let (fresh, admit, roster, keyring) = admits(&house, &paper, &laptop).await;
    let acting = Acting { keys: &fresh.keys, roster: &roster, keyring: &keyring };
    let by = RecoveryChange::Replace(&next);
    let rotation = change::rotate(acting, CodeChange::Keep, by, 6, &mut rng()).unwrap();
    assert_eq!(house.append_as(&[&admit, &rotation], Purpose::New).await.status, 200);
    let roster = roster.apply(&rotation).unwrap();
    let whereabouts = Whereabouts { chain: roster.chain(), head: roster.head(), seq: 2 };
    assert_eq!(finds(&house, &next).await, whereabouts);
    assert_eq!(roster.people_count(), 2);
}

#[tokio::test]
async fn the_recovery_device_alone_fills_any_quorum() {
    let house = House::start().await;
    let (paper, next) = (words(), words());
    let mut laptop = founded(&house, &paper).await;
    let phone = crate::members::phone_of(&house, &mut laptop).await;
    let mut policy = laptop.roster.policy().clone();
    (policy.quorums.admit, policy.quorums.remove) = (2, 2);
    let change = change::change_policy(laptop.acting(), policy, Vec::new(), 4).unwrap();
    assert_eq!(house.append(&change).await.status, 200);
    laptop.follows(&change);
    let (_, admit, roster, keyring) = admits(&house, &paper, &laptop).await;
    let gone = |member: &Member| {
        let cut = Cut { counter: 0, last: None, at: CutAt::Last };
        Removal { device: member.keys.id(), cut }
    };
    let mut gone = vec![gone(&laptop), gone(&phone)];
    gone.sort_by_key(|removal| removal.device);
    let acting = Acting { keys: &paper, roster: &roster, keyring: &keyring };
    let by = RecoveryChange::Replace(&next);
    let removal = change::remove(acting, gone, RemoveReason::Lost, by, Vec::new(), 6, &mut rng()).unwrap();
    assert_eq!(house.append_as(&[&admit, &removal], Purpose::New).await.status, 200);
    assert_eq!(finds(&house, &next).await.seq, 4);
}

/// A settled fork puts the recovery device of the branch that goes on in the place of the abandoned one's.
#[tokio::test]
async fn after_a_fork_is_settled_the_words_of_the_branch_that_goes_on_count() {
    let house = House::start().await;
    let (first, second) = (words(), words());
    let mut laptop = founded(&house, &first).await;
    let (roster, keyring) = (laptop.roster.clone(), laptop.keyring.clone());
    replaces(&house, &mut laptop, &second).await;
    let log = laptop.log(&house).await;
    (laptop.roster, laptop.keyring) = (roster, keyring);
    let rotate = laptop.rotates(CodeChange::Keep);
    laptop.opens(&rotate);
    let settle = change::settle(laptop.acting(), log.last().unwrap().hash(), Vec::new(), 4, &mut rng()).unwrap();
    assert_eq!(house.append_as(&[&rotate, &settle], Purpose::New).await.status, 200);
    laptop.opens(&settle);
    assert_eq!(finds(&house, &first).await, stands(&laptop));
    assert_eq!(asks(&house, &second, second.id()).await.code(), "not-found");
}

#[tokio::test]
async fn the_holder_of_the_words_of_a_chain_that_was_reset_is_told_so() {
    let house = House::start().await;
    let paper = words();
    let laptop = founded_with(&house, &paper, Policy { reset_delay: 0, ..Policy::default() }).await;
    let mut screen = laptop.connects(&house, None).await;
    let (chain, head) = (laptop.chain(), laptop.roster.head());
    let form = Reset { version: VERSION, chain, head, wait: 0 };
    let form = Verified::sign(form, &laptop.keyring.code().join_key(), &[]).unwrap();
    assert_eq!(house.post("/v1/resets", form.bytes()).await.status, 202);
    assert_eq!(screen.closed().await.0, close::RESET);
    let told = asks(&house, &paper, paper.id()).await;
    assert_eq!((told.status, told.code().as_str()), (410, "reset"));
}
