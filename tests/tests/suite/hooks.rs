//! `run --on-event`: a program of the person's own is told what happens.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use countersign_tests::actor::COLLECTION;
use countersign_tests::home::Home;
use countersign_tests::liar::{Liar, Lie};
use countersign_tests::process::Process;
use countersign_tests::relay::Relay;
use protocol::cbor::Blob;
use protocol::wire::{LogPage, ToDevice};
use serde_json::Value;

/// A program that keeps what it is told beside itself.
fn program(home: &Home) -> (String, PathBuf) {
    let told = home.state().with_file_name("told");
    let program = home.keeps("program", &format!("#!/bin/sh\ncat >> {}\n", told.display()));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    (program, told)
}

fn runs(home: &Home, program: &str) -> Process {
    let process = home.starts(&["run", "-vv", "--on-event", program]);
    process.all.wait("the daemon's connection", |line| line.contains("RELAY connected").then_some(()));
    process
}

fn events(told: &PathBuf) -> Vec<Value> {
    let text = std::fs::read_to_string(told).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn requests_decisions_and_records_are_told_before_the_daemon_ends_and_no_content_is() {
    let relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    let (program, told) = program(&laptop);
    let daemon = runs(&laptop, &program);
    phone.joins(&relay.origin(), &laptop);
    assert_eq!(phone.puts("first", "confidential").code(), 0);
    assert_eq!(laptop.gets("first"), "confidential");
    daemon.signal("TERM");
    assert_eq!(daemon.end().code(), 0);
    let events = events(&told);
    assert!(events.iter().all(|event| event["schema"] == "countersign.event/1"));
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let at = |kind: &str| kinds.iter().position(|told| *told == kind).unwrap_or_else(|| panic!("{kind}: {kinds:?}"));
    assert!(at("link") < at("requested") && at("requested") < at("answered"), "{kinds:?}");
    assert!(at("answered") < at("decided") && at("decided") < at("record"), "{kinds:?}");
    assert_eq!(events[at("requested")]["request"]["name"], "phone");
    let record = &events[at("record")];
    assert_eq!((&record["collection"], &record["id"]), (&COLLECTION.into(), &"first".into()));
    assert_eq!(record.as_object().unwrap().len(), 6, "{record}");
}

/// Shows an entry of the log that is none.
struct Forges;

impl Lie for Forges {
    fn push(&self, message: ToDevice) -> Vec<ToDevice> {
        match message {
            ToDevice::Requested(_) => {
                let entries = vec![Blob(b"no entry".to_vec())];
                vec![ToDevice::Entries(LogPage { entries, head: protocol::Hash([9; 32]), seq: 1 })]
            }
            other => vec![other],
        }
    }
}

#[test]
fn the_alarm_that_ends_the_daemon_is_told_too() {
    let liar = Liar::start(Forges);
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let (program, told) = program(&laptop);
    let daemon = runs(&laptop, &program);
    let joining = Home::new("phone").asks(&liar.origin(), &laptop.words());
    assert_eq!(daemon.end().code(), 8);
    let last = events(&told).pop().unwrap();
    assert_eq!((&last["event"], &last["told"]["exit"]), (&"stopped".into(), &8.into()), "{last}");
    drop(joining);
}

#[test]
fn what_is_no_program_is_refused_at_once() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let text = laptop.keeps("text", "no program");
    let ended = laptop.types(&["run", "--on-event", &text]);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains(&format!("next: chmod +x {text}")), "{}", ended.stderr);
}
