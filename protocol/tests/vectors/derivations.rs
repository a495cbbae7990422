//! `derivations.json`.

use protocol::Verified;
use protocol::code::{RecoveryCode, SyncCode};
use protocol::id::Commitment;
use protocol::keys::{EpochKey, NameKey};
use protocol::record::{Record, blind_collection, blind_id};
use protocol::refill;
use protocol::round::{Commitments, commit, links};
use protocol::totp::TotpSecret;
use serde_json::Value;

use crate::reading::{Disagreements, bytes, error, file, id, items, number, text};

#[test]
fn sync_codes_give_these_words_and_keys() {
    for case in items(&file("derivations.json"), "sync_codes") {
        let code = SyncCode::from_bytes(id(case, "sync_code"));
        assert_eq!(*code.words(), text(case, "words"));
        assert_eq!(SyncCode::from_words(text(case, "words")), Ok(code.clone()));
        assert_eq!(code.join_key().public(), id(case, "join_key"));
        let [seed, description] = &items(case, "derived")[..] else { panic!("two derivations") };
        assert_eq!(code.join_key().expose_seed().as_slice(), bytes(seed, "out"));
        assert_eq!(code.description_key().expose().as_slice(), bytes(description, "out"));
    }
}

#[test]
fn recovery_codes_give_these_words_and_keys() {
    for case in items(&file("derivations.json"), "recovery_codes") {
        let code = RecoveryCode::from_bytes(id(case, "recovery_code"));
        assert_eq!(*code.words(), text(case, "words"));
        assert_eq!(RecoveryCode::from_words(text(case, "words")), Ok(code.clone()));
        let keys = code.keys();
        assert_eq!((keys.id().0, *keys.sealing.public().as_bytes()), (id(case, "signing"), id(case, "sealing")));
        let [seed, secret] = &items(case, "derived")[..] else { panic!("two derivations") };
        assert_eq!(keys.signing.expose_seed().as_slice(), bytes(seed, "out"));
        assert_eq!(keys.sealing.expose().as_slice(), bytes(secret, "out"));
    }
}

#[test]
fn one_time_codes_are_right_for_a_minute_and_a_half() {
    for case in items(&file("derivations.json"), "one_time_codes") {
        let secret = TotpSecret::from_bytes(bytes(case, "secret").try_into().unwrap());
        let (now, step) = (number(case, "now_s"), number(case, "step"));
        for at in [step.saturating_sub(1), step, step + 1] {
            assert_eq!(secret.step_of(text(case, "code"), at * 30), Some(step), "{now}");
        }
        assert_eq!(secret.step_of(text(case, "code"), (step + 2) * 30), None);
    }
}

#[test]
fn epoch_keys_have_these_key_ids() {
    for case in items(&file("derivations.json"), "epoch_keys") {
        let key = EpochKey::from_bytes(id(case, "epoch_key"));
        let derived = &items(case, "derived")[0];
        assert_eq!(text(derived, "name"), "key id");
        assert_eq!(key.key_id(number(case, "epoch")).0, id(derived, "out"), "{}", text(case, "name"));
    }
}

#[test]
fn names_are_blinded_to_these() {
    for case in items(&file("derivations.json"), "blinded_names") {
        let key = NameKey::from_bytes(id(case, "name_key"));
        let collection = blind_collection(&key, text(case, "collection"));
        assert_eq!(collection.0, id(case, "blinded_collection"));
        assert_eq!(blind_id(&key, &collection, text(case, "id")).0, id(case, "blinded_id"));
    }
}

#[test]
fn commitments_hash_back_to_these() {
    for case in items(&file("derivations.json"), "commitments") {
        let c: Vec<Commitment> =
            items(case, "c").iter().map(|value| Commitment(hex32(value.as_str().unwrap()))).collect();
        let secret = Commitments::from_bytes(c[8].0);
        for round in 0..=8u8 {
            assert_eq!(secret.value(round), c[usize::from(round)]);
            assert_eq!(links(&c[0], round, &c[usize::from(round)]), round > 0);
        }
        assert_eq!(commit(&c[1]), c[0]);
    }
}

fn hex32(text: &str) -> [u8; 32] {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

#[test]
fn payloads_name_code_and_relay() {
    for case in items(&file("derivations.json"), "payloads") {
        let code = SyncCode::from_bytes(id(case, "sync_code"));
        assert_eq!(*code.payload(text(case, "relay")), text(case, "payload"));
        assert_eq!(SyncCode::from_payload(text(case, "payload")), Ok((code, text(case, "relay").to_owned())));
    }
}

#[test]
fn refills_name_the_records_beside_them() {
    let (file, forms) = (file("derivations.json"), crate::reading::file("forms.json"));
    for case in items(&file, "refills") {
        let record = |hash: &Value| {
            let made =
                items(&forms, "cases").iter().find(|form| form["hash"] == *hash && form["error"].is_null()).unwrap();
            Verified::<Record>::from_bytes(&bytes(made, "bytes")).unwrap()
        };
        let records: Vec<Verified<Record>> = items(case, "records").iter().map(record).collect();
        assert_eq!(refill::hash_of(&records).0, id(case, "out"));
    }
}

#[test]
fn typed_and_scanned_texts_are_read_or_refused() {
    let mut wrong = Disagreements::default();
    for case in items(&file("derivations.json"), "texts") {
        let read = match text(case, "kind") {
            "words" => SyncCode::from_words(text(case, "text")),
            _ => SyncCode::from_payload(text(case, "text")).map(|(code, _)| code),
        };
        wrong.compare(case, read.as_ref().err().map(protocol::code::CodeError::code), error(case));
        if let Ok(code) = read {
            assert_eq!(*code.expose(), id(case, "sync_code"));
        }
        if let Err(protocol::code::CodeError::UnknownWord { position, .. }) = SyncCode::from_words(text(case, "text")) {
            assert_eq!(position as u64, number(case, "position"));
        }
    }
    wrong.none();
}
