//! `credentials.json`.

use protocol::credential::{CredentialError, Known, Link, Proven, verify};
use protocol::roster::{Departure, Why};
use protocol::{ChainId, Hash};
use serde_json::Value;

use crate::reading::{Disagreements, bytes, error, file, id, items, number, text};

fn known(case: &Value) -> Known {
    let known = &case["known"];
    let chain = known["chain"].is_string().then(|| ChainId(id(known, "chain")));
    let head = known["head"].is_object().then(|| (Hash(id(&known["head"], "hash")), number(&known["head"], "seq")));
    Known { chain, head }
}

fn shown(case: &Value) -> Vec<u8> {
    match &case["fill"] {
        Value::Null => bytes(case, "bytes"),
        fill => vec![bytes(fill, "byte")[0]; usize::try_from(number(fill, "count")).unwrap()],
    }
}

fn same_departure(departure: Option<&Departure>, expected: &Value) {
    assert_eq!(departure.is_some(), expected.is_object(), "{expected}");
    let Some(departure) = departure else { return };
    let why = match departure.why {
        Why::Removed(reason) => reason.name(),
        Why::Left => "left",
        Why::Replaced => "replaced",
    };
    assert_eq!((departure.seq, why), (number(expected, "seq"), text(expected, "why")));
    assert_eq!(departure.by.0, id(expected, "by"));
}

fn same_link(link: &Link, expected: &Value) {
    assert_eq!((link.device.0, link.by.0), (id(expected, "device"), id(expected, "by")));
    assert_eq!((link.seq, link.how.map(|how| how.name())), (number(expected, "seq"), expected["how"].as_str()));
    let with: Vec<String> = link.with.iter().map(ToString::to_string).collect();
    assert_eq!(with, items(expected, "with").iter().map(|device| device.as_str().unwrap()).collect::<Vec<_>>());
    same_departure(link.ended.as_ref(), &expected["ended"]);
}

fn same_proven(proven: &Proven, expected: &Value) {
    assert_eq!((proven.chain().0, proven.founder().0), (id(expected, "chain"), id(expected, "founder")));
    assert_eq!(proven.device().signing.0, id(expected, "signing"));
    assert_eq!(*proven.device().sealing.as_bytes(), id(expected, "sealing"));
    assert_eq!((proven.role().name(), proven.epoch()), (text(expected, "role"), number(expected, "epoch")));
    assert_eq!((proven.head().0, proven.seq()), (id(expected, "head"), number(expected, "seq")));
    assert_eq!(proven.links().len(), items(expected, "links").len());
    proven.links().iter().zip(items(expected, "links")).for_each(|(link, expected)| same_link(link, expected));
    let newest = Known { chain: Some(proven.chain()), head: Some((proven.head(), proven.seq())) };
    assert_eq!(proven.newest(), newest);
}

#[test]
fn a_credential_proves_what_its_case_says() {
    let file = file("credentials.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let expected = error(case).map(|code| (code, case["index"].as_u64()));
        let verdict = verify(&shown(case), &known(case));
        let place = match &verdict {
            Err(CredentialError::Entry { index, .. } | CredentialError::Refused { index, .. }) => Some(*index as u64),
            _ => None,
        };
        wrong.compare(case, verdict.as_ref().err().map(|error| (error.code(), place)), expected);
        match verdict {
            Ok(proven) => same_proven(&proven, &case["proven"]),
            Err(CredentialError::NotAMember { former, .. }) => same_departure(former.as_ref(), &case["former"]),
            Err(_) => assert!(case.get("former").is_none() && case.get("proven").is_none(), "{case}"),
        }
    }
    wrong.none();
}
