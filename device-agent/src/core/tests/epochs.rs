//! New epochs: followed by the log alone, withheld, and left behind.

use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::{Body, RemoveReason};
use protocol::keyring::Keyring;

use super::super::view::Event;
use super::*;

const NOTHING: Cut = Cut { counter: 0, last: None, at: CutAt::Last };

fn rotated(laptop: &Laptop, by: &DeviceKeys) -> Verified<Entry> {
    change::rotate(laptop.acting(by), CodeChange::Draw, RecoveryChange::Keep, clock::now(), &mut rng()).unwrap()
}

fn removed(laptop: &Laptop, by: &DeviceKeys, device: DeviceId) -> Verified<Entry> {
    let removals = vec![Removal { device, cut: NOTHING }];
    let (reason, recovery) = (RemoveReason::Lost, RecoveryChange::Keep);
    change::remove(laptop.acting(by), removals, reason, recovery, Vec::new(), clock::now(), &mut rng()).unwrap()
}

/// A rotation in which one device gets what was sealed for another.
fn withheld(laptop: &Laptop, by: &DeviceKeys) -> Verified<Entry> {
    let own = laptop.core.keys().id();
    let (code, recovery) = (CodeChange::Keep, RecoveryChange::Keep);
    let entry = change::rotate(laptop.acting(by), code, recovery, clock::now(), &mut rng()).unwrap();
    let mut form = (*entry).clone();
    let Body::Rotate(rotate) = &mut form.body else { panic!("a rotation") };
    let theirs = rotate.rotation.sealed_to(&by.id()).unwrap().clone();
    for recipient in rotate.rotation.recipients.iter_mut().filter(|recipient| recipient.device == own) {
        recipient.sealed = theirs.clone();
    }
    Verified::sign(form, &by.signing, &[]).unwrap()
}

#[test]
fn a_rotation_is_followed_and_its_key_is_in_the_key_file() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    laptop.writes("old", b"one");
    let before = laptop.core.keyring().code().words();
    let entry = rotated(&laptop, &tablet.keys);
    laptop.takes(&entry);
    assert_eq!(laptop.core.keyring().epoch(), 2);
    assert_ne!(laptop.core.keyring().code().words(), before);
    let Some(Secrets { standing: Standing::Member(key), .. }) = Secrets::read(&laptop.home).unwrap() else {
        panic!("a member")
    };
    assert_eq!(key.key_id(2), laptop.core.roster().key_id());
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.reads("old").unwrap(), "b25l", "an epoch before");
    laptop.writes("new", b"two");
    assert_eq!(laptop.reads("new").unwrap(), "dHdv");
}

/// The process ended between pinning and writing the key file, twice.
#[test]
fn the_log_alone_yields_the_keys_of_epochs_that_the_key_file_missed() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    laptop.writes("old", b"one");
    let behind = std::fs::read(laptop.home.key_file()).unwrap();
    for _ in 0..2 {
        let entry = rotated(&laptop, &tablet.keys);
        laptop.takes(&entry);
    }
    laptop.home.write_private(&laptop.home.key_file(), &behind).unwrap();
    let laptop = laptop.restarts();
    assert_eq!((laptop.core.keyring().epoch(), laptop.core.key_alarm().is_some()), (3, false));
    assert_eq!(laptop.reads("old").unwrap(), "b25l");
    assert_ne!(std::fs::read(laptop.home.key_file()).unwrap(), behind, "and it is brought up");
}

#[test]
fn a_withheld_key_is_an_alarm_and_what_was_written_before_stays_readable() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    laptop.writes("old", b"one");
    let mut events = laptop.core.events().subscribe();
    let entry = withheld(&laptop, &tablet.keys);
    laptop.takes(&entry);
    let Event::Alarm { message } = events.try_recv().unwrap() else { panic!("an alarm") };
    assert!(message.contains("'tablet'") && message.contains(&entry.hash().short()), "{message}");
    let mut laptop = laptop.restarts();
    assert!(matches!(laptop.core.key_alarm(), Some(AgentError::OtherEpochKey { seq: 2, .. })));
    assert_eq!(laptop.reads("old").unwrap(), "b25l");
    let value = Some(zeroize::Zeroizing::new(b"two".to_vec()));
    let draft = Draft { collection: "notes".to_owned(), id: "new".to_owned(), value };
    assert!(matches!(laptop.core.write(&draft), Err(AgentError::OtherEpochKey { .. })));
    assert!(matches!(laptop.core.must_hold_keys(), Err(AgentError::OtherEpochKey { .. })));
}

#[test]
fn a_later_rotation_ends_the_alarm_of_a_withheld_key() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let entry = withheld(&laptop, &tablet.keys);
    laptop.takes(&entry);
    assert!(laptop.core.key_alarm().is_some());
    let mut laptop = laptop.restarts();
    let Body::Rotate(rotate) = &entry.body else { panic!("a rotation") };
    let (place, _) = laptop.core.roster().rotation().unwrap();
    let sealed = rotate.rotation.sealed_to(&tablet.keys.id()).unwrap();
    let key = place.open(&tablet.keys.id(), &tablet.keys.sealing, sealed).unwrap();
    let keyring = Keyring::open(laptop.core.roster(), key).unwrap();
    let acting = Acting { keyring: &keyring, ..laptop.acting(&tablet.keys) };
    let next = change::rotate(acting, CodeChange::Draw, RecoveryChange::Keep, clock::now(), &mut rng()).unwrap();
    laptop.takes(&next);
    assert!(laptop.core.key_alarm().is_none());
    assert_eq!((laptop.core.keyring().epoch(), laptop.restarts().core.keyring().epoch()), (3, 3));
}

#[test]
fn a_removed_device_knows_by_whom_and_where_also_after_a_restart() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    laptop.writes("old", b"one");
    let own = laptop.core.keys().id();
    let entry = removed(&laptop, &tablet.keys, own);
    laptop.takes(&entry);
    let mut laptop = laptop.restarts();
    let gone = laptop.core.gone().unwrap();
    let at = clock::show(entry.at);
    let said = "this device was removed from the chain by 'tablet', at entry 2 of the log (lost), on";
    assert_eq!(gone.to_string(), format!("{said} {at} by that device's clock"));
    assert_eq!(crate::exit::tell(&gone).exit, crate::told::Exit::NotAMember);
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::Removed { .. })));
    assert_eq!(laptop.reads("old").unwrap(), "b25l", "what it had it has");
}

/// The round that a device took while it was a member stays taken; it was refused as a lie of the relay.
#[test]
fn a_round_of_an_approver_that_was_removed_since_is_passed_over() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let own = laptop.core.keys().clone();
    let entry = removed(&laptop, &own, tablet.keys.id());
    let (chain, head) = (laptop.core.roster().chain(), laptop.core.roster().head());
    laptop.takes(&entry);
    let phone = Asks::with(&laptop.core.keyring().code().clone(), "phone");
    let (version, nonce) = (protocol::VERSION, Random::draw(&mut rng()));
    let nonce = Nonce { version, chain, request: phone.id(), round: 1, head, epoch: 1, nonce };
    let nonce = Verified::sign(nonce, &tablet.keys.signing, &[]).unwrap();
    laptop.hears(&phone, vec![Round { nonce: nonce.bytes().to_vec().into(), reveal: None }]).unwrap();
    assert_eq!(laptop.core.open_prompt(&phone.id()).unwrap().nonce.round, 2);
}

#[test]
fn the_name_of_a_device_outlives_its_membership() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let own = laptop.core.keys().clone();
    let entry = removed(&laptop, &own, tablet.keys.id());
    laptop.takes(&entry);
    assert_eq!(laptop.core.name_of(&tablet.keys.id()), "'tablet'");
}
