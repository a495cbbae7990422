//! `docs/vectors/epochs.json`: which keys a device has after a log whose epoch has changed, or why it has none.

use protocol::Verified;
use protocol::change::CodeChange;
use protocol::entry::{Body, Entry};
use protocol::keyring::Keyring;
use protocol::keys::{DeviceKeys, EpochKey};
use protocol::rotation::{Rotation, RotationPlace};
use protocol::seal::Wrapped;

use super::json::{Json, hex, list, object};
use super::logs::{family, ring, roster_of};
use super::making::Pool;
use super::{compare, note};
use crate::forms::forms;
use crate::support::SeededRng;
use crate::world::{Chain, keys};

/// A device and the log that it has; its own epoch key, unless it is the recovery device, which keeps none.
struct Case {
    name: &'static str,
    says: &'static str,
    log: Vec<Verified<Entry>>,
    device: &'static str,
    own: Option<EpochKey>,
    error: Option<&'static str>,
}

impl Case {
    fn keys(&self) -> DeviceKeys {
        keys(self.device)
    }
}

type Change<'a> = &'a dyn Fn(&Chain) -> Verified<Entry>;

/// The family, after these entries of the laptop's.
fn after(changes: &[Change<'_>]) -> Chain {
    let mut chain = family();
    for change in changes {
        chain.append(&change(&chain));
    }
    chain
}

fn rotate(code: CodeChange) -> impl Fn(&Chain) -> Verified<Entry> {
    move |chain| chain.rotates(&chain.laptop, code)
}

fn good() -> Vec<Case> {
    let first = family().founding.epoch_key;
    let case =
        |name, says, chain: &Chain, device, own| Case { name, says, log: chain.log.clone(), device, own, error: None };
    let never = after(&[]);
    let twice = after(&[&rotate(CodeChange::Keep), &rotate(CodeChange::Draw)]);
    let between = after(&[&rotate(CodeChange::Keep)]).keyring.epoch_key().clone();
    let current = twice.keyring.epoch_key().clone();
    let removal = after(&[&|chain| chain.removes(&chain.laptop, &["phone"])]);
    let mut found = Chain::founded();
    found.log = vec![forms().found_with_recovery];
    found.roster = roster_of(&found.log);
    let mut drawer = found.clone();
    for _ in 0..3 {
        drawer.append(&drawer.rotates(&drawer.laptop, CodeChange::Draw));
    }
    vec![
        case("first-epoch", "nothing has changed", &never, "phone", Some(first.clone())),
        case("two-epochs-later", "a device that was away for two rotations", &twice, "phone", Some(first.clone())),
        case("one-epoch-later", "a device that was away for one", &twice, "reader", Some(between)),
        case("current-epoch", "a device that has the key already", &twice, "writer", Some(current)),
        case("after-a-removal", "a device that stayed", &removal, "writer", Some(first)),
        case(
            "recovery-at-once",
            "the recovery device of a chain that was never rotated",
            &found,
            "recovery words",
            None,
        ),
        case("recovery-from-a-drawer", "after three rotations it has every key", &drawer, "recovery words", None),
    ]
}

/// A rotation of the laptop's, changed and signed again.
fn lies(change: impl FnOnce(&mut Rotation, &RotationPlace)) -> Vec<Verified<Entry>> {
    let chain = family();
    let mut form = (*chain.rotates(&chain.laptop, CodeChange::Keep)).clone();
    let place =
        RotationPlace { chain: chain.roster.chain(), signer: chain.laptop.id(), epoch: 2, prev: chain.roster.head() };
    let Body::Rotate(rotate) = &mut form.body else { panic!("a rotation is one") };
    change(&mut rotate.rotation, &place);
    let mut log = chain.log;
    log.push(Verified::sign(form, &chain.laptop.signing, &[]).unwrap());
    log
}

fn bad() -> Vec<Case> {
    let first = family().founding.epoch_key;
    let removal = after(&[&|chain| chain.removes(&chain.laptop, &["phone"])]);
    let phone = keys("phone");
    let replace = |rotation: &mut Rotation, place: &RotationPlace, key: &EpochKey, for_phone: &str| {
        let to = (phone.id(), &phone.sealing.public());
        let sealed = place.seal(to, key, &mut SeededRng::new(for_phone)).unwrap();
        rotation.recipients.iter_mut().find(|recipient| recipient.device == phone.id()).unwrap().sealed = sealed;
    };
    let other_key = lies(|rotation, place| replace(rotation, place, &EpochKey::from_bytes([9; 32]), "other key"));
    let other_place = lies(|rotation, place| {
        let elsewhere = RotationPlace { epoch: 3, ..*place };
        replace(rotation, &elsewhere, &EpochKey::from_bytes([9; 32]), "other place");
    });
    let mut random = family().randomness();
    let drawn = EpochKey::draw(&mut random);
    let chain_id = family().roster.chain();
    let wrapped = |what, value: [u8; 32], seed: &str| {
        drawn.wrap(2, what, &[chain_id.as_bytes()], &value, &mut SeededRng::new(seed)).unwrap()
    };
    let other_before = lies(|rotation, _| rotation.previous = wrapped(Wrapped::EpochKey, [9; 32], "other before"));
    let other_code = lies(|rotation, _| rotation.sync_code = wrapped(Wrapped::SyncCode, [9; 32], "other code"));
    let other_name_key = lies(|rotation, _| rotation.name_key = wrapped(Wrapped::NameKey, [9; 32], "other name key"));
    let swapped = lies(|rotation, _| rotation.previous = rotation.name_key.clone());
    let case = |name, says, log: Vec<Verified<Entry>>, error| Case {
        name,
        says,
        log,
        device: "phone",
        own: Some(first.clone()),
        error: Some(error),
    };
    vec![
        case("removed", "nothing is sealed to a device that is gone", removal.log, "not-sealed-here"),
        case("another-key", "the phone is handed another key than the others", other_key, "other-epoch-key"),
        case("another-place", "sealed for another epoch", other_place, "does-not-open"),
        case("another-key-before", "the key before is not the one that the log names", other_before, "other-epoch-key"),
        case("another-code", "the sync code inside is not the join key's", other_code, "other-sync-code"),
        case("another-name-key", "the name key is not the one of found", other_name_key, "other-name-key"),
        case("values-swapped", "the name key stands where the key before should", swapped, "does-not-open"),
    ]
}

#[test]
fn keys_of_every_epoch_are_the_same_as_ever() {
    let ring = ring();
    let mut pool = Pool::default();
    let case = |case: Case| {
        let (roster, device) = (roster_of(&case.log), case.keys());
        let opened = match &case.own {
            Some(own) => Keyring::follow(&roster, &device, own),
            None => Keyring::recover(&roster, &device),
        };
        assert_eq!(opened.as_ref().err().map(|error| error.code()), case.error, "{}", case.name);
        let mut json = object! {
            "name": case.name, "comment": case.says, "error": case.error, "device": case.device,
            "epoch_key": case.own.as_ref().map(|own| hex(own.expose())),
            "log": pool.keep_log(&ring, &case.log),
        };
        if let Ok(keyring) = opened {
            let key = |epoch| hex(keyring.epoch_key_of(epoch).unwrap().expose());
            json.push("epoch_keys", list((1..=roster.epoch()).map(key)));
            json.push("name_key", hex(keyring.name_key().expose()));
            json.push("sync_code", hex(keyring.code().expose()));
        }
        json
    };
    let cases: Vec<Json> = good().into_iter().chain(bad()).map(case).collect();
    let file = object! {
        "about": note("The keys that a device has after a log: its own epoch key, if it kept one, and what the rotations seal to it."),
        "keys": ring.to_json(),
        "entries": pool.into_json(),
        "cases": cases,
    };
    compare("epochs.json", &file);
}
