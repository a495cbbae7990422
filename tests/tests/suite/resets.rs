//! A reset: whoever has the sync code and no device has the relay delete the chain, after a wait in which any approver can stop it.

use countersign_tests::actor::{self, Reach};
use countersign_tests::home::{Home, failure_of};
use countersign_tests::process::Ended;
use countersign_tests::relay::Relay;
use protocol::change;
use protocol::policy::Policy;
use serde_json::Value;

/// Types it on a machine that has nothing but the words.
fn resets(relay: &Relay, words: &str, more: &[&str]) -> Ended {
    let anybody = Home::new("anybody");
    let file = anybody.keeps("words", words);
    let origin = relay.origin();
    let typed = [&["chain", "reset", "--relay", &origin, "--code-file", &file, "--json"], more].concat();
    let ended = anybody.types(&typed);
    assert!(!anybody.state().exists(), "nothing is kept");
    ended
}

fn shown(ended: &Ended) -> Value {
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

const SURE: &str = "--accept-risk=reset";

#[test]
fn every_member_is_told_of_a_reset_at_each_connect_and_any_approver_stops_it() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    let words = laptop.words();
    let other = protocol::code::SyncCode::draw(&mut actor::rng()).words();
    assert_eq!(failure_of(&resets(&relay, &other, &[SURE])), "unknown-join-key");
    let unsure = resets(&relay, &words, &[]);
    assert_eq!((unsure.code(), failure_of(&unsure)), (2, "usage".to_owned()));
    let fingerprint = laptop.reads(&["status"])["fingerprint"].clone();
    assert!(
        unsure.stderr.contains(fingerprint.as_str().unwrap()) && unsure.stderr.contains("7 d"),
        "{}",
        unsure.stderr
    );
    let daemon = laptop.runs();
    let announced = shown(&resets(&relay, &words, &[SURE]));
    assert_eq!((&announced["state"], &announced["fingerprint"]), (&"announced".into(), &fingerprint));
    assert!(daemon.says("RESET announced").contains("countersign chain veto"));
    assert_eq!(laptop.reads(&["status"])["reset"]["wait"], 604_800);
    assert!(laptop.types(&["status"]).stdout.contains("countersign chain veto"));
    // Again says what is left, and a daemon that comes back is told again.
    assert!(shown(&resets(&relay, &words, &[SURE]))["remaining"].as_u64().unwrap() <= 604_800_000);
    assert_eq!(failure_of(&resets(&relay, &words, &[SURE, "--wait", "8d"])), "reset-stands");
    assert_eq!(failure_of(&resets(&relay, &words, &[SURE, "--wait", "1d"])), "wait-too-short");
    assert_eq!(daemon.stops().code(), 0);
    let daemon = laptop.runs();
    let _ = daemon.says("RESET announced");
    // The phone runs no daemon, and has heard of nothing before.
    assert_eq!(phone.reads(&["status"])["reset"]["wait"], 604_800);
    assert!(phone.types(&["status"]).stdout.contains("RESET    somebody with the sync code"));
    let warned = phone.types(&["record", "list"]);
    assert!(warned.stderr.contains("countersign chain veto stops it"), "{}", warned.stderr);
    assert_eq!(phone.reads(&["chain", "veto"])["kind"], "veto");
    assert!(!phone.types(&["record", "list"]).stderr.contains("RESET"));
    let _ = daemon.says("STOPPED a reset by 'phone'");
    assert!(laptop.reads(&["status"])["reset"].is_null());
    let over = resets(&relay, &words, &[SURE]);
    assert_eq!((over.code(), failure_of(&over)), (5, "reset-over".to_owned()));
    let _ = shown(&resets(&relay, &words, &[SURE, "--wait", "8d"]));
    let _ = daemon.says("RESET announced");
    // A new sync code ends it as well.
    assert_eq!(laptop.types(&["code", "rotate"]).code(), 0);
    assert!(laptop.reads(&["status"])["reset"].is_null());
    assert_eq!(laptop.fails(&["chain", "veto"]), (5, "not-found".to_owned()));
    assert_eq!(failure_of(&resets(&relay, &words, &[SURE])), "unknown-join-key");
}

/// Nothing but `run` and `chain veto` said that one stands.
#[test]
fn a_command_that_reaches_the_relay_asks_for_a_reset_where_no_daemon_was_told() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    let _ = shown(&resets(&relay, &laptop.words(), &[SURE]));
    // It was never connected before.
    let put = phone.types(&["record", "put", "notes", "first", "hello"]);
    assert_eq!(put.code(), 0, "{}", put.stderr);
    assert!(put.stderr.contains("RESET: somebody with the sync code"), "{}", put.stderr);
    // Another relay has heard of none.
    let new = Relay::start();
    assert_eq!(phone.types(&["relay", "move", "--relay", &new.origin()]).code(), 0);
    let status = phone.types(&["status"]);
    assert_eq!((status.code(), status.stdout.contains("RESET")), (0, false), "{}", status.stdout);
    let _ = new.stop();
    assert!(phone.reads(&["status"])["reset"].is_null());
}

#[test]
fn after_a_reset_members_keep_what_they_hold_and_say_whose_word_the_end_is() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    assert_eq!(laptop.puts("first", "hello").code(), 0);
    assert_eq!(phone.gets("first"), "hello");
    let mut clerk = laptop.admits(Reach::to(&relay), "clerk");
    let policy = Policy { reset_delay: 0, ..clerk.roster.policy().clone() };
    let entry = change::change_policy(clerk.acting(), policy, Vec::new(), actor::now()).unwrap();
    clerk.appends(&entry);
    let words = laptop.words();
    let daemon = laptop.runs();
    let late = Home::new("late");
    let asking = late.asks(&relay.origin(), &words);
    let _ = asking.waits();
    let _ = shown(&resets(&relay, &words, &[SURE]));
    let asked = asking.end();
    assert_eq!((asked.code(), failure_of(&asked)), (6, "reset".to_owned()), "{}", asked.stderr);
    // It has nothing that it could take out, or to another relay.
    assert!(asked.stderr.contains("next: countersign init --relay URL"), "{}", asked.stderr);
    let ended = daemon.end();
    assert_eq!(ended.code(), 6, "{}", ended.stderr);
    assert!(ended.stderr.contains("the relay says that the chain was reset"), "{}", ended.stderr);
    assert!(ended.stderr.contains("verified: signed by the sync code"), "{}", ended.stderr);
    assert_eq!(shown(&resets(&relay, &words, &[]))["state"], "done");
    // The phone was away all the time. Its log does not have the new policy, at whose entry the reset was signed.
    for home in [&laptop, &phone] {
        let put = home.puts("first", "again");
        assert_eq!((put.code(), failure_of(&put)), (6, "reset".to_owned()));
        assert!(put.stderr.contains("verified: signed by the sync code"), "{}", put.stderr);
        let exported = home.types(&["record", "export"]);
        assert!(exported.stdout.contains("aGVsbG8="), "{}{}", exported.stdout, exported.stderr);
    }
    assert_eq!(laptop.gets("first"), "hello");
    let status = laptop.types(&["status"]);
    assert!(!status.stdout.contains("RESET") && status.stdout.contains("chain was reset"), "{}", status.stdout);
    let code = laptop.types(&["code", "show"]);
    assert!(code.stderr.contains("nobody joins with it: the relay says that the chain was reset"), "{}", code.stderr);
    assert!(!code.stderr.contains("countersign join"), "{}", code.stderr);
    // Another relay takes the chain as it is.
    let new = Relay::start();
    let moved = laptop.types(&["relay", "move", "--relay", &new.origin()]);
    assert_eq!(moved.code(), 0, "{}", moved.stderr);
    assert!(moved.stderr.contains("Before anything else: countersign code rotate"), "{}", moved.stderr);
    assert_eq!(phone.types(&["relay", "move", "--relay", &new.origin()]).code(), 0);
    assert_eq!(laptop.puts("first", "goes on").code(), 0);
    assert_eq!(phone.gets("first"), "goes on");
}
