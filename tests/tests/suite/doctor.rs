//! The doctor against real relays: what is well, what is not, and its exit code.

use std::collections::BTreeMap;

use countersign_tests::actor::{self, Reach};
use countersign_tests::home::Home;
use countersign_tests::relay::{Backup, Relay, Setup};
use protocol::change;
use protocol::policy::Policy;
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
    let well = ["home", "keys", "log", "tcp", "http", "clock", "origin", "member"].map(|check| (check, "ok"));
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

/// What the check of the membership says, and what to type.
fn member(home: &Home) -> (String, String) {
    let ended = home.types(&["doctor", "--json"]);
    assert_eq!(ended.code(), 1, "{}", ended.stdout);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["check"] == "member").unwrap();
    assert_eq!(check["verdict"], "fail");
    let text = |name: &str| check[name].as_str().unwrap().to_owned();
    (text("says"), text("next"))
}

/// It said "ok" everywhere, and advised to start the daemon, which ended at once.
#[test]
fn a_device_that_is_no_member_any_more_is_not_called_well() {
    let relay = Relay::start();
    let (laptop, phone, tablet) = (Home::new("laptop"), Home::new("phone"), Home::new("tablet"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    tablet.joins(&relay.origin(), &laptop);
    assert_eq!(laptop.types(&["devices", "remove", "phone", "--reason", "lost"]).code(), 0);
    let (says, next) = member(&phone);
    assert!(says.contains("member") || says.contains("removed"), "{says}");
    assert!(next.starts_with("countersign "), "{next}");
    assert_eq!(tablet.types(&["leave", "--accept-risk=leave"]).code(), 0);
    let (says, _) = member(&tablet);
    assert!(says.starts_with("this device left the chain"), "{says}");
    let report = tablet.types(&["doctor"]).stdout;
    assert!(!report.contains("countersign run"), "{report}");
}

#[test]
fn the_end_of_a_chain_fails_the_check_of_the_membership() {
    for end in ["purge", "reset"] {
        let relay = Relay::start();
        let laptop = Home::new("laptop");
        laptop.founds(&relay.origin());
        let mut clerk = laptop.admits(Reach::to(&relay), "clerk");
        let policy = Policy { reset_delay: 0, closing_delay: 0, ..clerk.roster.policy().clone() };
        clerk.appends(&change::change_policy(clerk.acting(), policy, Vec::new(), actor::now()).unwrap());
        let words = laptop.keeps("words", &laptop.words());
        let origin = relay.origin();
        let reset = ["chain", "reset", "--relay", &origin, "--code-file", &words, "--accept-risk=reset"];
        let typed =
            if end == "purge" { vec![vec!["chain", "purge", "--accept-risk=purge"]; 2] } else { vec![reset.into()] };
        let daemon = laptop.runs();
        for words in typed {
            assert_eq!(laptop.types(&words).code(), 0, "{words:?}");
        }
        // The relay carries a reset out when it is due, and says so to whoever is connected.
        let ended = if end == "reset" { daemon.end() } else { daemon.stops() };
        assert_eq!(ended.code(), if end == "reset" { 6 } else { 0 });
        let (says, next) = member(&laptop);
        assert!(says.contains(if end == "purge" { "the chain is closed" } else { "the chain was reset" }), "{says}");
        assert!(next.contains("countersign record export FILE"), "{next}");
    }
}

#[test]
fn a_fork_is_seen_before_and_after_the_alarm_and_the_way_out_is_named() {
    let mut relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    let backup = Backup::of(&mut relay);
    assert_eq!(laptop.types(&["code", "rotate"]).code(), 0);
    backup.is_restored(&mut relay);
    assert_eq!(phone.types(&["code", "rotate"]).code(), 0);
    let (says, next) = member(&laptop);
    assert!(says.contains("another log") && next.starts_with("countersign status"), "{says} {next}");
    assert_eq!(laptop.types(&["code", "rotate"]).code(), 8);
    let forked = || {
        let (says, next) = member(&laptop);
        assert!(says.contains("the log forks at entry 2"), "{says}");
        assert!(next.starts_with("countersign log settle"), "{next}");
    };
    forked();
    let daemon = laptop.starts(&["run"]);
    daemon.all.wait("the alarm", |line| line.contains("ALARM").then_some(()));
    daemon.all.wait("its socket", |line| line.starts_with("running").then_some(()));
    forked();
}
