//! `sealing.json`.

use protocol::keys::{DerivedKey, SealingSecret};
use protocol::seal::{open_under, open_with};

use crate::reading::{Disagreements, bytes, error, file, id, items, text};

#[test]
fn every_blob_opens_or_not_as_its_case_says() {
    let mut wrong = Disagreements::default();
    for case in items(&file("sealing.json"), "cases") {
        let (aad, sealed) = (bytes(case, "aad"), bytes(case, "sealed"));
        let opened = match text(case, "suite") {
            "01" => {
                open_with(&SealingSecret::from_bytes(&id(case, "sealing_secret")), &bytes(case, "info"), &aad, &sealed)
            }
            _ => open_under(&DerivedKey::from_bytes(id(case, "key")), &aad, &sealed),
        };
        wrong.compare(case, opened.is_err().then_some("does-not-open"), error(case));
        if let Ok(plaintext) = opened {
            wrong.compare(case, plaintext.to_vec(), bytes(case, "plaintext"));
        }
    }
    wrong.none();
}
