//! What leaves and what is synced, in order. Killing a process keeps the page cache; this does not look away.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::home::Home;
use countersign_tests::relay::{Relay, Setup};
use countersign_tests::trace::{self, Witness};
use protocol::policy::Role;

/// Every kind of success once: found, ask, nonce, reveal, append, put.
fn whole_way(relay: &Relay) {
    let mut laptop = Member::found(Reach::to(relay), "laptop");
    let mut phone = laptop.joined_by("phone", Role::Approver);
    phone.writes("first", b"hello");
    let tablet = Joiner::ask(Reach::to(relay), &laptop.code(), "tablet");
    laptop.appends(&laptop.denial(&tablet, 0));
}

#[test]
fn no_success_of_the_relay_leaves_before_its_commit_is_synced() {
    let witness = Witness::new();
    let relay = Setup::default().witnessed_by(&witness).start();
    whole_way(&relay);
    drop(relay);
    let findings = trace::relay_successes(&witness.events());
    assert!(findings.seen >= 8, "it saw only {} successes", findings.seen);
    assert!(findings.early.is_empty(), "left before they were synced: {:?}", findings.early);
}

/// The test above can fail: a store that leaves syncing to the system is found out by it.
#[test]
fn a_relay_that_does_not_sync_is_found_out() {
    let witness = Witness::new();
    let relay = Setup::default().with("store.synchronous = \"off\"").witnessed_by(&witness).start();
    whole_way(&relay);
    drop(relay);
    assert!(!trace::relay_successes(&witness.events()).early.is_empty());
}

#[test]
fn no_agent_takes_a_step_before_what_it_acts_on_is_pinned() {
    let relay = Relay::start();
    let witnesses = [Witness::new(), Witness::new()];
    let [watching_laptop, watching_phone] = &witnesses;
    let laptop = Home::new("laptop").witnessed_by(watching_laptop);
    let phone = Home::new("phone").witnessed_by(watching_phone);
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    assert_eq!(phone.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
    for (witness, least) in witnesses.iter().zip([3, 3]) {
        let findings = trace::agent_steps(&witness.events());
        assert!(findings.seen >= least, "it saw only {} steps", findings.seen);
        assert!(findings.early.is_empty(), "taken before they were pinned: {:?}", findings.early);
    }
}

#[test]
fn a_disk_that_does_not_sync_is_answered_not_durable_and_the_same_bytes_may_be_sent_again() {
    let witness = Witness::new();
    let relay = Setup::default().witnessed_by(&witness).start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let sealed = laptop.record("first", Some(b"hello"), None);
    witness.breaks_the_disk();
    assert_eq!(laptop.put(std::slice::from_ref(&sealed)).told(), "503 not-durable");
    assert_eq!(laptop.feed().rows.len(), 0, "nothing half done");
    let asks = Joiner::new(Reach::to(&relay), &laptop.code(), "phone");
    assert_eq!(asks.asks().told(), "503 not-durable");
    assert!(laptop.requests().is_empty());
    witness.mends_the_disk();
    assert_eq!(laptop.put(std::slice::from_ref(&sealed)).told(), "200");
    laptop.follows(&sealed);
    assert_eq!(laptop.reads("first").value.0, b"hello");
    assert_eq!(asks.asks().status, 202);
    assert_eq!(laptop.requests().len(), 1);
}
