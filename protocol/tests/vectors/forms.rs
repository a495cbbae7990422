//! `forms.json`.

use protocol::approval::Approval;
use protocol::connect::Connect;
use protocol::entry::Entry;
use protocol::record::Record;
use protocol::refill::Refill;
use protocol::request::{JoinRequest, Withdrawal};
use protocol::reset::Reset;
use protocol::round::{Nonce, Reveal};
use protocol::{Form, FormError, Verified, cbor};
use serde_json::Value;

use crate::reading::{Disagreements, bytes, error, file, id, items, number, text};

/// What is known of a form that was accepted.
pub(crate) struct Accepted {
    pub(crate) signer: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) payload: Vec<u8>,
}

/// Takes bytes as the form of a CDDL rule.
pub(crate) fn take(rule: &str, bytes: &[u8]) -> Result<Accepted, FormError> {
    fn of<T: Form>(bytes: &[u8]) -> Result<Accepted, FormError> {
        let form = Verified::<T>::from_bytes(bytes)?;
        Ok(Accepted { signer: form.signer().0, hash: form.hash().0, payload: cbor::encode(&*form) })
    }
    match rule {
        "entry" => of::<Entry>(bytes),
        "join-request" => of::<JoinRequest>(bytes),
        "withdrawal" => of::<Withdrawal>(bytes),
        "nonce" => of::<Nonce>(bytes),
        "reveal" => of::<Reveal>(bytes),
        "record" => of::<Record>(bytes),
        "connect" => of::<Connect>(bytes),
        "approval" => of::<Approval>(bytes),
        "refill" => of::<Refill>(bytes),
        "reset" => of::<Reset>(bytes),
        other => panic!("no form {other}"),
    }
}

/// The bytes of a case: written down, or one byte many times.
fn received(case: &Value) -> Vec<u8> {
    match case.get("fill") {
        Some(fill) => vec![bytes(fill, "byte")[0]; usize::try_from(number(fill, "count")).unwrap()],
        None => bytes(case, "bytes"),
    }
}

#[test]
fn every_form_is_taken_or_refused_as_its_case_says() {
    let file = file("forms.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let taken = take(text(case, "form"), &received(case));
        wrong.compare(case, taken.as_ref().err().map(FormError::code), error(case));
        let Ok(taken) = taken else { continue };
        wrong.compare(case, taken.hash, id(case, "hash"));
        wrong.compare(case, taken.payload, bytes(case, "payload"));
        wrong.compare(case, taken.signer, id(&file["keys"][text(case, "signer")], "signing"));
    }
    wrong.none();
}

#[test]
fn no_two_cases_have_one_name() {
    let file = file("forms.json");
    let mut names: Vec<&str> = items(&file, "cases").iter().map(|case| text(case, "name")).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
