//! The end of a chain: announced to everybody, delayed, stopped by any approver, and carried out by a person.

use countersign_tests::actor::{self, Member, Reach};
use countersign_tests::home::{Home, failure_of};
use countersign_tests::relay::Relay;
use protocol::change;
use protocol::policy::{Policy, Quorums};

const PURGE: [&str; 3] = ["chain", "purge", "--accept-risk=purge"];

/// A laptop whose chain has another policy, changed by a clerk whom it let in.
fn with_policy(relay: &Relay, change: impl FnOnce(Policy) -> Policy) -> (Home, Member) {
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let mut clerk = laptop.admits(Reach::to(relay), "clerk");
    let policy = change(clerk.roster.policy().clone());
    let entry = change::change_policy(clerk.acting(), policy, Vec::new(), actor::now()).unwrap();
    clerk.appends(&entry);
    (laptop, clerk)
}

fn at_once(policy: Policy) -> Policy {
    Policy { closing_delay: 0, ..policy }
}

#[test]
fn an_announced_end_is_told_to_everybody_and_any_approver_stops_it() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    assert_eq!(laptop.fails(&["chain", "purge"]), (2, "usage".to_owned()));
    assert_eq!(laptop.fails(&["chain", "veto"]), (5, "not-found".to_owned()));
    let daemon = laptop.runs();
    let announced = phone.reads(&PURGE);
    assert_eq!((&announced["schema"], &announced["kind"]), (&"countersign.change/1".into(), &"closing".into()));
    let said = daemon.says("ANNOUNCED the end of the chain by 'phone'");
    assert!(said.contains("after 7 d") && said.contains("countersign chain veto"), "{said}");
    let closing = laptop.reads(&["status"])["closing"].clone();
    assert_eq!((closing["by"].as_str(), closing["delay"].as_u64()), (Some("phone"), Some(604_800)));
    // The relay counts, whoever asks, and nothing of the try is left in the way.
    let early = phone.types(&PURGE);
    assert_eq!(early.code(), 3, "{}", early.stderr);
    assert!(
        early.stderr.contains("at the earliest") && early.stderr.contains("countersign chain veto"),
        "{}",
        early.stderr
    );
    assert_eq!(phone.fails(&PURGE), (3, "closing-too-early".to_owned()));
    assert_eq!(laptop.fails(&["chain", "veto", "ffff"]), (5, "not-found".to_owned()));
    let id = closing["id"].as_str().unwrap();
    assert_eq!(laptop.reads(&["chain", "veto", &id[..6]])["kind"], "veto");
    let _ = daemon.says("STOPPED the end of the chain by 'laptop'");
    assert!(phone.reads(&["status"])["closing"].is_null());
    assert_eq!(phone.puts("first", "goes on").code(), 0);
    assert_eq!(laptop.kinds(), ["found", "admit", "closing", "veto"]);
}

#[test]
fn a_closed_chain_is_told_to_everybody_read_and_exported_and_takes_nothing_more() {
    let relay = Relay::start();
    let (laptop, clerk) = with_policy(&relay, at_once);
    let (phone, tablet) = (Home::new("phone"), Home::new("tablet"));
    phone.joins(&relay.origin(), &laptop);
    tablet.joins(&relay.origin(), &laptop);
    assert_eq!(laptop.puts("first", "hello").code(), 0);
    assert_eq!(phone.gets("first"), "hello");
    // It is away when it happens, and was told of everything before.
    assert_eq!(tablet.gets("first"), "hello");
    assert_eq!(phone.types(&["record", "put", "--queue", "notes", "late", "unsent"]).code(), 0);
    let daemon = phone.runs();
    let late = Home::new("late");
    let asking = late.asks(&relay.origin(), &laptop.words());
    let _ = asking.waits();
    assert_eq!(laptop.reads(&PURGE)["kind"], "closing");
    assert_eq!(laptop.reads(&PURGE)["kind"], "close");
    let asked = asking.end();
    assert_eq!((asked.code(), failure_of(&asked)), (3, "chain-closed".to_owned()));
    let _ = daemon.says("CLOSED the chain by 'laptop'");
    let back = tablet.runs();
    let _ = back.says("CLOSED the chain by 'laptop'");
    assert_eq!(clerk.feed().rows.len(), 0, "the relay has nothing any more");
    for home in [&laptop, &phone, &tablet] {
        assert_eq!(failure_of(&home.puts("first", "again")), "chain-closed");
        assert_eq!(home.puts("first", "again").code(), 3);
        assert_eq!(home.fails(&["record", "put", "--queue", "notes", "more", "x"]), (3, "chain-closed".to_owned()));
        assert_eq!(home.fails(&PURGE), (3, "chain-closed".to_owned()));
        assert_eq!(home.fails(&["chain", "veto"]), (3, "chain-closed".to_owned()));
        assert!(home.reads(&["status"])["closed_at"].is_u64());
        assert_eq!(home.gets("first"), "hello");
        assert!(home.types(&["record", "export"]).stdout.contains("aGVsbG8="));
        assert_eq!(home.fails(&["log", "verify"]).0, 0);
    }
    let words = Home::new("watch").asks(&relay.origin(), &laptop.words()).end();
    assert_eq!((words.code(), failure_of(&words)), (3, "chain-closed".to_owned()));
    assert_eq!(laptop.fails(&["relay", "move", "--relay", &Relay::start().origin()]), (3, "chain-closed".to_owned()));
}

#[test]
fn where_it_takes_two_approvers_one_proposes_the_end_and_the_other_announces_it() {
    let relay = Relay::start();
    let quorums = |policy: &Policy| Quorums { closing: 2, ..policy.quorums };
    let (laptop, _) = with_policy(&relay, |policy| Policy { quorums: quorums(&policy), ..policy });
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    let proposed = laptop.types(&PURGE);
    assert_eq!(proposed.code(), 0, "{}", proposed.stderr);
    assert!(proposed.stdout.contains("PROPOSED to announce the end of the chain"), "{}", proposed.stdout);
    assert_eq!(laptop.kinds(), ["found", "admit", "change-policy", "admit"]);
    let announced = phone.types(&PURGE);
    let said = "ANNOUNCED the end of the chain by 'phone'";
    assert!(announced.stdout.contains(said), "{}{}", announced.stdout, announced.stderr);
    assert_eq!(laptop.types(&["chain", "veto"]).code(), 0, "one suffices to stop it");
}

#[test]
fn at_a_terminal_the_beginning_of_the_fingerprint_is_typed() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let fingerprint = laptop.reads(&["status"])["fingerprint"].as_str().unwrap().to_owned();
    for (typed, answer) in [("purge", "nothing was done"), (&fingerprint[..9], "ANNOUNCED the end of the chain")] {
        let mut screen = laptop.sits_at(&["chain", "purge"]);
        let asked = screen.all.wait_on_screen(0, &format!("Type {}", &fingerprint[..9]));
        screen.say(&format!("{typed}\r"));
        let _ = screen.all.wait_on_screen(asked, answer);
        let _ = screen.end();
    }
    assert_eq!(laptop.kinds(), ["found", "closing"]);
}
