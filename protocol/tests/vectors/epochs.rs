//! `epochs.json`.

use protocol::keyring::Keyring;
use protocol::keys::{DeviceKeys, EpochKey, SealingSecret, SigningKey};
use serde_json::Value;

use crate::logs::{log_of, read};
use crate::reading::{Disagreements, bytes, error, file, id, items, text};

fn keys(file: &Value, name: &str) -> DeviceKeys {
    let known = &file["keys"][name];
    DeviceKeys {
        signing: SigningKey::from_seed(&id(known, "signing_seed")),
        sealing: SealingSecret::from_bytes(&id(known, "sealing_secret")),
    }
}

#[test]
fn a_device_has_the_keys_that_its_case_says() {
    let file = file("epochs.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let roster = read(&log_of(&file, case)).unwrap();
        let device = keys(&file, text(case, "device"));
        let opened = match case["epoch_key"].is_string() {
            true => Keyring::follow(&roster, &device, &EpochKey::from_bytes(id(case, "epoch_key"))),
            false => Keyring::recover(&roster, &device),
        };
        wrong.compare(case, opened.as_ref().err().map(|error| error.code()), error(case));
        let Ok(keyring) = opened else { continue };
        let expected: Vec<&str> = items(case, "epoch_keys").iter().map(|key| key.as_str().unwrap()).collect();
        let key = |epoch| data_encoding::HEXLOWER.encode(keyring.epoch_key_of(epoch).unwrap().expose());
        wrong.compare(
            case,
            (1..=roster.epoch()).map(key).collect::<Vec<_>>(),
            expected.iter().map(|key| (*key).to_owned()).collect(),
        );
        wrong.compare(case, keyring.name_key().expose().to_vec(), bytes(case, "name_key"));
        wrong.compare(case, keyring.code().expose().to_vec(), bytes(case, "sync_code"));
    }
    wrong.none();
}
