//! The doctor against real relays: what is well, what is not, and its exit code.

use std::collections::BTreeMap;

use countersign_tests::home::Home;
use countersign_tests::relay::{Relay, Setup};
use serde_json::Value;

/// Each check with its verdict.
fn verdicts(report: &str) -> BTreeMap<String, String> {
    let report: Value = serde_json::from_str(report).unwrap();
    assert_eq!(report["schema"], "countersign.doctor/1");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    report["checks"].as_array().unwrap().iter().map(|check| (text(&check["check"]), text(&check["verdict"]))).collect()
}

fn of<const N: usize>(expected: [(&str, &str); N]) -> BTreeMap<String, String> {
    expected.map(|(check, verdict)| (check.to_owned(), verdict.to_owned())).into()
}

#[test]
fn a_device_that_works_is_well_with_and_without_its_daemon() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let well = ["home", "keys", "log", "tcp", "http", "clock", "origin"].map(|check| (check, "ok"));
    let alone = laptop.types(&["doctor", "--json"]);
    assert_eq!(alone.code(), 0, "{}", alone.stdout);
    let mut expected = of(well);
    expected.insert("daemon".to_owned(), "warn".to_owned());
    assert_eq!(verdicts(&alone.stdout), expected);
    let _daemon = laptop.runs();
    expected.insert("daemon".to_owned(), "ok".to_owned());
    assert_eq!(verdicts(&laptop.types(&["doctor", "--json"]).stdout), expected);
}

#[test]
fn a_certificate_that_is_not_trusted_fails_and_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::default().over_tls(folder.path()).start();
    let origin = format!("https://{}", relay.address());
    let laptop = Home::new("laptop");
    let stranger = laptop.types(&["doctor", "--relay", &origin]);
    assert_eq!(stranger.code(), 1, "{}", stranger.stdout);
    assert!(stranger.stdout.contains("FAIL  tls"), "{}", stranger.stdout);
    assert!(stranger.stdout.contains("next: countersign init or join with --relay-ca FILE"), "{}", stranger.stdout);
    let ca = folder.path().join("relay.pem");
    let trusted = laptop.types(&["doctor", "--relay", &origin, "--relay-ca", ca.to_str().unwrap()]);
    assert!(trusted.stdout.contains("ok    tls     the certificate is trusted until 4096"), "{}", trusted.stdout);
    assert!(trusted.stdout.contains("ok    http    a Countersign relay answers"), "{}", trusted.stdout);
}

/// The relay took the founding, and refused every read that came after it.
#[test]
fn a_relay_that_knows_itself_by_another_address_is_told_of_before_anything_is_drawn() {
    let relay = Setup::default().known_as(&["https://relay.example.org"]).start();
    let dialled = format!("http://{}", relay.address());
    let laptop = Home::new("laptop");
    let refused = laptop.types(&["init", "--no-recovery", "--relay", &dialled]);
    assert_eq!(refused.code(), 3, "{}", refused.stderr);
    for said in [
        &format!("at {dialled} does not know itself"),
        "next: --relay URL",
        &format!("adds \"{dialled}\" to public_origins"),
    ] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    assert!(!laptop.state().join("device.keys").exists());
    let looked = laptop.types(&["doctor", "--relay", &dialled]);
    assert_eq!(looked.code(), 1, "{}", looked.stdout);
    assert!(looked.stdout.contains("FAIL  origin"), "{}", looked.stdout);
    let right = Relay::start();
    laptop.founds(&right.origin());
    let phone = Home::new("phone");
    let stranger = phone.asks(&dialled, &laptop.words()).end();
    assert_eq!(stranger.code(), 3, "{}", stranger.stderr);
    assert!(!phone.state().join("device.keys").exists());
    phone.joins(&right.origin(), &laptop);
}

#[test]
fn before_a_membership_a_relay_that_is_well_is_well() {
    let relay = Relay::start();
    let new = Home::new("laptop").types(&["doctor", "--json", "--relay", &relay.origin()]);
    assert_eq!(new.code(), 0, "{}", new.stdout);
    let expected = [("home", "warn"), ("tcp", "ok"), ("http", "ok"), ("clock", "ok"), ("origin", "ok")];
    assert_eq!(verdicts(&new.stdout), of(expected));
}
