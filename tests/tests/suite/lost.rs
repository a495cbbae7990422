//! A relay that lost records and took others in their place, and two relays that took different ones: the devices come to one set of
//! versions and lines, whoever comes first, and whoever wrote what went is told.

use countersign_tests::actor::COLLECTION;
use countersign_tests::home::Home;
use countersign_tests::relay::{Backup, Relay};
use serde_json::Value;

fn founded(origin: &str, names: &[&'static str]) -> Vec<Home> {
    let homes: Vec<Home> = names.iter().copied().map(Home::new).collect();
    homes[0].founds(origin);
    for home in &homes[1..] {
        home.joins(origin, &homes[0]);
    }
    homes
}

/// Identifiers of own writes that wait for their person.
fn unsent(home: &Home) -> Vec<String> {
    let status = home.reads(&["status"]);
    let refused = status["outbox"]["refused"].as_array().unwrap().iter();
    refused.map(|row| format!("{} {}", row["id"].as_str().unwrap(), row["refused"].as_str().unwrap())).collect()
}

/// What went, as `record lost` shows it.
fn lost(home: &Home) -> Vec<(String, String)> {
    let shown = home.reads(&["record", "lost"]);
    let rows = shown["records"].as_array().unwrap();
    assert_eq!(home.reads(&["status"])["records_lost"], rows.len());
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "id"), text(row, "value"))).collect()
}

fn pair(id: &str, value: &str) -> (String, String) {
    (id.to_owned(), value.to_owned())
}

fn queued(home: &Home, id: &str) -> String {
    home.types(&["record", "queue", "get", COLLECTION, id]).stdout
}

fn moves(home: &Home, relay: &Relay) -> Value {
    home.reads(&["relay", "move", "--relay", &relay.origin()])
}

/// All of them show the same, everything of it verifies, and each one writes on and is read by the others.
fn are_one(homes: &[&Home]) {
    for (number, home) in homes.iter().enumerate() {
        let put = home.puts(&format!("after-{number}"), "goes on");
        assert_eq!(put.code(), 0, "{}", put.stderr);
    }
    let shows = |home: &Home| home.reads(&["record", "list"])["records"].clone();
    let first = shows(homes[0]);
    assert!(first.as_array().unwrap().len() >= homes.len());
    for home in homes {
        assert_eq!(shows(home), first);
        assert_eq!(home.reads(&["log", "verify"])["records"], homes[0].reads(&["log", "verify"])["records"]);
    }
}

/// A record that was written at both relays split the chain for good: whoever moved second was refused at every relay.
#[test]
fn a_record_written_at_both_relays_goes_on_as_the_new_one_has_it_and_the_other_writer_is_told() {
    let (old, new, third) = (Relay::start(), Relay::start(), Relay::start());
    let homes = founded(&old.origin(), &["laptop", "phone", "tablet"]);
    let [laptop, phone, tablet] = &homes[..] else { panic!("three") };
    assert_eq!(laptop.puts("x", "0").code(), 0);
    assert_eq!(phone.gets("x"), "0");
    let _ = moves(laptop, &new);
    assert_eq!(laptop.puts("x", "A").code(), 0);
    assert_eq!(phone.puts("x", "B").code(), 0);
    assert_eq!(phone.puts("other", "by the phone").code(), 0);
    assert_eq!(tablet.gets("x"), "B");
    let moved = moves(phone, &new);
    assert_eq!(moved["records_refused"], 2, "{moved}");
    // What has no rival in its place is written anew, what has one waits for its person.
    assert_eq!((phone.gets("x"), phone.gets("other")), ("A".to_owned(), "by the phone".to_owned()));
    assert_eq!((unsent(phone), queued(phone, "x")), (vec!["x conflict".to_owned()], "B".to_owned()));
    let said = phone.types(&["status"]);
    assert_eq!(said.code(), 0);
    assert!(said.stdout.contains(&format!("\nUNSENT   {COLLECTION}/x: another device wrote it")), "{}", said.stdout);
    assert!(said.stdout.contains("\nLOST     2 records"), "{}", said.stdout);
    // The tablet had read them, and comes when nobody knows them any more.
    let _ = moves(tablet, &new);
    assert_eq!((tablet.gets("x"), tablet.gets("other")), ("A".to_owned(), "by the phone".to_owned()));
    assert_eq!(lost(tablet), [pair("x", "B"), pair("other", "by the phone")]);
    assert!(unsent(tablet).is_empty(), "they are not its own");
    are_one(&[laptop, phone, tablet]);
    // The phone's person wants hers all the same.
    assert_eq!(phone.types(&["record", "queue", "replace", COLLECTION, "x"]).code(), 0);
    assert_eq!((phone.gets("x"), laptop.gets("x"), tablet.gets("x")), ("B".into(), "B".into(), "B".into()));
    assert!(unsent(phone).is_empty());
    let _ = tablet.reads(&["record", "lost", "--forget"]);
    assert!(lost(tablet).is_empty());
    // And on to an empty one.
    for home in &homes {
        let _ = moves(home, &third);
    }
    are_one(&[laptop, phone, tablet]);
}

/// Each relay had another version of one record, and a branch of the log of its own.
#[test]
fn after_a_fork_that_was_settled_the_versions_of_both_relays_come_to_one() {
    let (old, new) = (Relay::start(), Relay::start());
    let homes = founded(&old.origin(), &["laptop", "phone"]);
    let [laptop, phone] = &homes[..] else { panic!("two") };
    assert_eq!(laptop.puts("x", "0").code(), 0);
    assert_eq!(phone.gets("x"), "0");
    let _ = moves(laptop, &new);
    for (home, value) in [(laptop, "A"), (phone, "B")] {
        assert_eq!(home.puts("x", value).code(), 0);
        assert_eq!(home.types(&["code", "rotate", "--json"]).code(), 0);
    }
    assert_eq!(phone.fails(&["relay", "move", "--relay", &new.origin()]), (8, "fork".to_owned()));
    let branch = phone.reads(&["log", "show"])["entries"][2]["hash"].as_str().unwrap().to_owned();
    let settled = phone.types(&["log", "settle", "--keep", &branch]);
    assert_eq!(settled.code(), 0, "{}", settled.stderr);
    let moved = moves(phone, &new);
    assert_eq!(moved["records_refused"], 1, "{moved}");
    assert_eq!((phone.gets("x"), laptop.gets("x")), ("A".to_owned(), "A".to_owned()));
    assert_eq!((unsent(phone), queued(phone, "x")), (vec!["x conflict".to_owned()], "B".to_owned()));
    are_one(&[laptop, phone]);
    assert_eq!(laptop.head(), phone.head());
}

/// A backup was restored, and somebody wrote in the place of what was lost before anybody gave it back: the phone writes what is lost, the tablet and the watch read it, the laptop takes its place. `known` is what was there before.
fn restored(known: Option<&str>) -> (Relay, Vec<Home>) {
    let mut relay = Relay::start();
    let homes = founded(&relay.origin(), &["laptop", "phone", "tablet", "watch"]);
    let [laptop, phone, tablet, watch] = &homes[..] else { panic!("four") };
    assert_eq!(phone.puts("x", "0").code(), 0);
    if let Some(value) = known {
        assert_eq!(laptop.puts("y", value).code(), 0);
    }
    for home in [laptop, phone] {
        assert_eq!(home.gets("x"), "0");
    }
    let backup = Backup::of(&mut relay);
    assert_eq!(phone.puts("y", "A1").code(), 0);
    assert_eq!(watch.puts("z", "of the watch").code(), 0);
    assert_eq!((tablet.gets("y"), tablet.gets("z")), ("A1".to_owned(), "of the watch".to_owned()));
    assert_eq!(watch.gets("y"), "A1");
    backup.is_restored(&mut relay);
    assert_eq!(laptop.puts("y", "B1").code(), 0);
    (relay, homes)
}

fn every_command_goes_on(phone: &Home) {
    assert_eq!(phone.types(&["record", "list"]).code(), 0);
    assert_eq!(phone.gets("y"), "B1");
    assert_eq!(phone.fails(&["log", "verify"]).0, 0);
    assert_eq!((unsent(phone), queued(phone, "y")), (vec!["y conflict".to_owned()], "A1".to_owned()));
    assert_eq!(lost(phone), [pair("y", "A1")]);
    assert_eq!(phone.types(&["status"]).code(), 0);
    let doctor = phone.types(&["doctor"]);
    assert!(doctor.stdout.contains("record lost"), "{}", doctor.stdout);
    let daemon = phone.runs();
    assert_eq!(phone.types(&["record", "put", "--queue", COLLECTION, "later", "sent"]).code(), 0);
    assert_eq!(daemon.stops().code(), 0);
    assert_eq!(phone.gets("later"), "sent");
}

#[test]
fn whoever_wrote_what_a_restored_relay_lost_keeps_it_unsent_and_goes_on() {
    for known in [None, Some("before")] {
        let (_relay, homes) = restored(known);
        let [laptop, phone, tablet, watch] = &homes[..] else { panic!("four") };
        every_command_goes_on(phone);
        assert_eq!(watch.gets("y"), "B1");
        assert_eq!(tablet.gets("z"), "of the watch");
        assert_eq!((lost(tablet), lost(watch)), (vec![pair("y", "A1")], vec![pair("y", "A1")]));
        are_one(&[laptop, phone, tablet, watch]);
    }
}

/// The feed is as long as before, and ends with the very record at which the tablet stands.
#[test]
fn a_device_that_had_read_what_was_lost_finds_it_out_though_its_place_in_the_feed_looks_the_same() {
    let (_relay, homes) = restored(None);
    let [laptop, phone, tablet, watch] = &homes[..] else { panic!("four") };
    assert_eq!(watch.gets("z"), "of the watch");
    assert_eq!(tablet.gets("y"), "B1");
    assert_eq!(lost(tablet), [pair("y", "A1")]);
    every_command_goes_on(phone);
    are_one(&[laptop, tablet, phone, watch]);
}

#[test]
fn a_daemon_that_meets_what_took_the_place_of_a_lost_record_says_so_and_stays() {
    let (_relay, homes) = restored(Some("before"));
    let [laptop, phone, tablet, watch] = &homes[..] else { panic!("four") };
    let daemons = [tablet, phone].map(Home::runs);
    for daemon in &daemons {
        let _ = daemon.says("LOST 1 record");
    }
    assert_eq!(laptop.puts("y", "B2").code(), 0);
    for home in [tablet, phone] {
        assert_eq!(home.gets("y"), "B2");
    }
    assert_eq!(unsent(phone), ["y conflict"]);
    are_one(&[laptop, phone, tablet, watch]);
    for daemon in daemons {
        assert_eq!(daemon.stops().code(), 0);
    }
}
