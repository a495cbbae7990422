//! `reads.json`.

use protocol::http_signature::{ReadRefusal, sign, verify};
use protocol::id::Random;
use protocol::keys::SigningKey;

use crate::reading::{Disagreements, error, file, id, items, number, text};

#[test]
fn every_read_is_answered_or_refused_as_its_case_says() {
    let file = file("reads.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let targets = [text(case, "target_uri").to_owned()];
        let (input, signature) = (case["signature_input"].as_str(), case["signature"].as_str());
        let verdict = verify(input, signature, text(case, "method"), &targets, number(case, "now_s"));
        wrong.compare(case, verdict.as_ref().err().map(ReadRefusal::code), error(case));
        if let Ok(device) = verdict {
            wrong.compare(case, device.0, id(&file["keys"][text(case, "signer")], "signing"));
        }
    }
    wrong.none();
}

#[test]
fn the_first_case_is_what_this_crate_sends() {
    let file = file("reads.json");
    let case = &items(&file, "cases")[0];
    let key = SigningKey::from_seed(&id(&file["keys"]["phone"], "signing_seed"));
    let headers = sign(&key, text(case, "method"), text(case, "target_uri"), number(case, "now_s"), Random([0x33; 32]));
    assert_eq!(
        (headers.input.as_str(), headers.signature.as_str()),
        (text(case, "signature_input"), text(case, "signature"))
    );
}
