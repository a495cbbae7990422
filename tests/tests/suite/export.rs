//! Every record taken out: with and without a relay, through the daemon and without one, whole or not at all.

use std::os::unix::fs::PermissionsExt as _;

use countersign_tests::actor::COLLECTION;
use countersign_tests::home::Home;
use countersign_tests::relay::Relay;
use serde_json::Value;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_has_every_record_with_and_without_relay_and_daemon() {
    let mut relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    let long = "x".repeat(200_000);
    let file = laptop.keeps("long", &long);
    for id in ["long", "longer", "longest"] {
        assert_eq!(laptop.types(&["record", "put", COLLECTION, id, "--file", &file]).code(), 0);
    }
    assert_eq!(laptop.types(&["record", "put", "other", "first", "hello"]).code(), 0);
    let daemon = phone.runs();
    let exported = lines(&phone.types(&["record", "export"]).stdout);
    assert_eq!((&exported[0]["schema"], &exported[0]["relay"]), (&"countersign.export/1".into(), &"caught-up".into()));
    assert_eq!(exported.len(), 5);
    assert_eq!((&exported[4]["value"], &exported[4]["writer_name"]), (&"aGVsbG8=".into(), &"laptop".into()));
    assert!(exported[1..4].iter().all(|item| item["value"].as_str().unwrap().len() > 260_000));
    assert_eq!(daemon.stops().code(), 0);
    relay.kill();
    let alone = phone.types(&["record", "export", "--collection", "other", "-"]);
    assert!(alone.stderr.contains("the relay was not reached"), "{}", alone.stderr);
    let alone = (alone.code(), lines(&alone.stdout));
    assert_eq!((alone.0, alone.1.len(), &alone.1[0]["relay"]), (0, 2, &"not-reached".into()));
    assert_eq!(alone.1[1], exported[4]);
    // So is every other read of what is here, in a sentence.
    let listed = phone.types(&["record", "list", "other"]);
    assert_eq!(listed.code(), 0, "{}", listed.stderr);
    let said: Vec<&str> = listed.stderr.lines().collect();
    assert!(said[0].starts_with("the relay http") && said[0].ends_with("; this is what this device has"), "{said:?}");
    let logged = phone.types(&["-v", "record", "list", "other"]).stderr;
    assert!(logged.contains(" WARN the relay http"), "{logged}");
}

#[test]
fn a_file_is_new_closed_to_others_and_whole() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    assert_eq!(laptop.puts("first", "hello").code(), 0);
    let file = laptop.state().with_file_name("export.jsonl");
    let name = file.to_str().unwrap();
    let done = laptop.reads(&["record", "export", name]);
    assert_eq!((&done["schema"], &done["records"]), (&"countersign.record-export/1".into(), &1.into()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(lines(&std::fs::read_to_string(&file).unwrap()).len(), 2);
    let before = std::fs::read(&file).unwrap();
    assert_eq!(laptop.fails(&["record", "export", name]), (2, "usage".to_owned()));
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(laptop.fails(&["record", "export", "/nowhere/at/all"]).0, 1);
}
