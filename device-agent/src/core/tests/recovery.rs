//! The recovery device as a member sees it, and another in its place.

use protocol::code::RecoveryCode;
use protocol::keyring::{Keyring, KeyringError};

use super::super::Words;
use super::*;
use crate::store::Setting;

fn replaced(laptop: &mut Laptop, code: &RecoveryCode) {
    let before = laptop.core.recovery_device();
    let entry = laptop.core.replace_recovery(&code.keys(), before).unwrap();
    entry.iter().for_each(|entry| laptop.takes(entry));
}

#[test]
fn a_recovery_device_is_named_and_stands_in_no_list_of_devices() {
    let mut laptop = Laptop::founds();
    assert_eq!(laptop.core.recovery().unwrap(), None);
    let code = RecoveryCode::draw(&mut rng());
    replaced(&mut laptop, &code);
    let view = laptop.core.recovery().unwrap().unwrap();
    assert_eq!((view.device, view.seq, view.by.as_str()), (code.keys().id().to_string(), 1, "laptop"));
    assert_eq!(laptop.core.members().len(), 1);
    assert_eq!(laptop.core.name_of(&code.keys().id()), "the recovery device");
}

#[test]
fn only_the_latest_words_open_the_chain_however_often_it_was_rotated_since() {
    let mut laptop = Laptop::founds();
    let (first, second) = (RecoveryCode::draw(&mut rng()), RecoveryCode::draw(&mut rng()));
    replaced(&mut laptop, &first);
    replaced(&mut laptop, &second);
    let tablet = laptop.admits("tablet");
    for _ in 0..3 {
        let (keep, acting) = (protocol::change::RecoveryChange::Keep, laptop.acting(&tablet.keys));
        let draw = protocol::change::CodeChange::Draw;
        let entry = protocol::change::rotate(acting, draw, keep, clock::now(), &mut rng()).unwrap();
        laptop.takes(&entry);
    }
    let roster = laptop.core.roster();
    let keyring = Keyring::recover(roster, &second.keys()).unwrap();
    assert_eq!(keyring.code(), laptop.core.keyring().code());
    assert!(matches!(Keyring::recover(roster, &first.keys()), Err(KeyringError::NotSealedHere)));
}

#[test]
fn words_do_not_take_the_place_of_others_that_came_meanwhile() {
    let mut laptop = Laptop::founds();
    let before = laptop.core.recovery_device();
    replaced(&mut laptop, &RecoveryCode::draw(&mut rng()));
    let late = laptop.core.replace_recovery(&RecoveryCode::draw(&mut rng()).keys(), before);
    assert!(matches!(late, Err(AgentError::Overtaken)));
}

#[test]
fn words_that_were_never_typed_back_are_remembered_until_others_take_their_place() {
    let mut laptop = Laptop::founds();
    let (first, second) = (RecoveryCode::draw(&mut rng()), RecoveryCode::draw(&mut rng()));
    laptop.core.store().set(Setting::WordsUntyped, first.keys().id().as_bytes()).unwrap();
    let words = |laptop: &Laptop| laptop.core.recovery().unwrap().unwrap().words;
    replaced(&mut laptop, &first);
    assert_eq!(words(&laptop), Words::NeverTypedBack);
    replaced(&mut laptop, &second);
    assert_eq!(words(&laptop), Words::Kept);
}
