//! `rounds.json`.

use protocol::decision::{Accepts, AdmissionError, accept_admission};
use protocol::entry::{Body, Entry};
use protocol::keys::{DeviceKeys, SealingSecret, SigningKey};
use protocol::request::JoinRequest;
use protocol::roster::Roster;
use protocol::round::{
    AnswerError, Attempt, Commitments, JoinerRounds, Nonce, Prompt, Reveal, RoundError, check_reveal,
};
use protocol::{Form, Verified};
use serde_json::Value;

use crate::logs::{log_of, read};
use crate::reading::{Disagreements, bytes, error, file, id, items, number, text};

fn form<T: Form>(file: &Value, name: &Value) -> Verified<T> {
    Verified::from_bytes(&bytes(&file["forms"][name.as_str().unwrap()], "bytes")).unwrap()
}

#[test]
fn every_reveal_answers_its_nonce_or_not() {
    let file = file("rounds.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "reveals") {
        let request: Verified<JoinRequest> = form(&file, &case["request"]);
        let nonce: Verified<Nonce> = form(&file, &case["nonce"]);
        let reveal: Verified<Reveal> = form(&file, &case["reveal"]);
        let refused = check_reveal(&request, &nonce, &reveal).err();
        wrong.compare(case, refused.as_ref().map(RoundError::code), error(case));
    }
    wrong.none();
}

#[test]
fn a_joiner_answers_every_nonce_as_its_case_says() {
    let file = file("rounds.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "answers") {
        let key = SigningKey::from_seed(&id(&file["keys"][text(case, "device")], "signing_seed"));
        let mut rounds = JoinerRounds::new(form(&file, &case["request"]), Commitments::from_bytes(id(case, "c8")));
        let mut answers = items(case, "answers").iter();
        let mut refused = None;
        for (index, nonce) in items(case, "nonces").iter().enumerate() {
            match rounds.answer(form(&file, nonce), &key) {
                Ok(answer) => {
                    let expected = answers.next().unwrap();
                    let reveal: Verified<Reveal> = form(&file, &expected["reveal"]);
                    wrong.compare(case, answer.reveal.bytes(), reveal.bytes());
                    wrong.compare(case, answer.code.digits().replace(' ', ""), text(expected, "check_code").to_owned());
                }
                Err(AnswerError::Round(error)) => {
                    refused = Some((index as u64, error.code()));
                    break;
                }
                Err(AnswerError::Form(error)) => panic!("{error}"),
            }
        }
        assert!(answers.next().is_none(), "{}", text(case, "name"));
        wrong.compare(case, refused, error(case).map(|code| (number(case, "index"), code)));
    }
    wrong.none();
}

#[test]
fn a_typed_text_is_right_wrong_or_no_code() {
    let file = file("rounds.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "typed") {
        let reveal: Verified<Reveal> = form(&file, &case["reveal"]);
        let prompt = Prompt::new(form(&file, &case["request"]), form(&file, &case["nonce"]), &reveal).unwrap();
        let attempt = match prompt.type_code(text(case, "text")) {
            Attempt::Right(_) => "right",
            Attempt::Wrong => "wrong",
            Attempt::NotACode => "not-a-code",
        };
        wrong.compare(case, attempt, text(case, "attempt"));
    }
    wrong.none();
}

/// The entry that admits a device: where there is none, the first, which admits nobody.
fn admitting(roster: &Roster, log: &[Vec<u8>], keys: &DeviceKeys) -> Verified<Entry> {
    let seq = roster.member(&keys.id()).map_or(0, |member| member.admission.seq);
    let entry = Verified::<Entry>::from_bytes(&log[usize::try_from(seq).unwrap()]).unwrap();
    assert_eq!(matches!(entry.body, Body::Admit(_)), seq > 0);
    entry
}

#[test]
fn a_joiner_believes_only_its_own_admission() {
    let file = file("rounds.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "admissions") {
        let log = log_of(&file, case);
        let roster = read(&log).unwrap();
        let keys = DeviceKeys {
            signing: SigningKey::from_seed(&id(case, "signing_seed")),
            sealing: SealingSecret::from_bytes(&id(case, "sealing_secret")),
        };
        let shown: Vec<String> =
            items(case, "showed_code_for").iter().map(|device| device.as_str().unwrap().to_owned()).collect();
        let entry = admitting(&roster, &log, &keys);
        let request = form(&file, &case["request"]);
        let showed = |device: &protocol::DeviceId| shown.contains(&device.to_string());
        let accepts: Vec<Accepts<'_>> = items(case, "accepts")
            .iter()
            .map(|way| match way.as_str().unwrap() {
                "typed" => Accepts::TypedBy(&showed),
                "totp" => Accepts::Totp,
                "none" => Accepts::Unchecked,
                other => panic!("no way: {other}"),
            })
            .collect();
        let accepted = accept_admission(&roster, &entry, &keys, &request, &accepts);
        wrong.compare(case, accepted.as_ref().err().map(AdmissionError::code), error(case));
        if let Ok(keyring) = accepted {
            wrong.compare(case, *keyring.epoch_key().expose(), id(case, "epoch_key"));
            wrong.compare(case, *keyring.name_key().expose(), id(case, "name_key"));
            wrong.compare(case, *keyring.code().expose(), id(case, "sync_code"));
        }
    }
    wrong.none();
}
