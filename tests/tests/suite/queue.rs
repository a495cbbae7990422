//! Writes without a connection: kept, sent in order when the relay is reached, once, and over nobody else's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign_tests::actor::COLLECTION;
use countersign_tests::home::{Home, failure_of};
use countersign_tests::liar::{Fate, Liar, Lie, Passed, conflict};
use countersign_tests::relay::Relay;
use countersign_tests::wait;
use http::Method;
use protocol::Verified;
use protocol::record::Record;
use tokio::sync::Notify;

fn queues(home: &Home, id: &str, value: &str) {
    let queued = home.reads(&["record", "put", "--queue", COLLECTION, id, value]);
    assert_eq!((&queued["state"], &queued["schema"]), (&"queued".into(), &"countersign.record-written/1".into()));
}

/// How many wait, and how many are set aside.
fn outbox(home: &Home) -> (u64, usize) {
    let status = home.reads(&["status"]);
    let outbox = &status["outbox"];
    assert_eq!(outbox["queued"] == 0, outbox["oldest_at"].is_null());
    (outbox["queued"].as_u64().unwrap(), outbox["refused"].as_array().unwrap().len())
}

#[test]
fn what_is_written_without_a_relay_is_sent_in_order_by_the_daemon() {
    let mut relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    relay.kill();
    for (id, value) in [("first", "one"), ("second", "two"), ("first", "three")] {
        queues(&laptop, id, value);
    }
    assert_eq!(laptop.types(&["record", "delete", "--queue", COLLECTION, "second"]).code(), 0);
    assert_eq!(laptop.fails(&["record", "delete", "--queue", COLLECTION, "second"]), (5, "not-found".to_owned()));
    assert_eq!(outbox(&laptop), (4, 0));
    let said = laptop.types(&["status"]);
    assert!(said.stdout.contains("\nqueued   4 writes, the oldest written "), "{}", said.stdout);
    assert!(said.stdout.contains("(sent when the relay is reached, by countersign run"), "{}", said.stdout);
    let away = laptop.puts("first", "now");
    assert!(away.code() == 7 && away.stderr.contains("--queue"), "{}", away.stderr);
    relay.start_again();
    assert_eq!(outbox(&laptop), (4, 0), "status reads, and sends nothing");
    let said = laptop.types(&["status"]);
    assert!(
        said.stdout.contains("(sent by countersign run, or by a command that reads or writes records)"),
        "{}",
        said.stdout
    );
    let daemon = laptop.runs();
    assert_eq!(phone.gets("first"), "three");
    assert_eq!(phone.fails(&["record", "get", COLLECTION, "second"]).0, 5);
    assert_eq!(phone.reads(&["log", "verify"])["records"], 4);
    assert_eq!(outbox(&laptop), (0, 0));
    // What is queued while the daemon is connected goes at once.
    queues(&laptop, "third", "four");
    assert!((0..200).any(|_| outbox(&laptop) == (0, 0)), "the daemon sends it by itself");
    assert_eq!(phone.gets("third"), "four");
    assert_eq!(daemon.stops().code(), 0);
}

#[test]
fn another_device_is_not_overwritten_and_status_says_what_to_type() {
    let mut relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    relay.kill();
    queues(&laptop, "first", "my draft");
    queues(&laptop, "first", "mine");
    queues(&laptop, "second", "other");
    relay.start_again();
    assert_eq!(phone.puts("first", "theirs").code(), 0);
    let read = laptop.types(&["record", "get", COLLECTION, "first"]);
    assert_eq!((read.stdout.as_str(), phone.gets("second").as_str()), ("theirs", "other"));
    // A sentence, and no line of a log.
    let said = read.stderr.lines().find(|line| line.starts_with("a write is set aside: ")).expect("a sentence");
    assert!(said.contains("countersign record queue") && !read.stderr.contains("code="), "{}", read.stderr);
    assert_eq!(outbox(&laptop), (0, 2));
    let said = laptop.types(&["status"]).stdout;
    let item = format!("{COLLECTION} first");
    assert!(said.contains(&format!("\nUNSENT   2 writes of {COLLECTION}/first: another device wrote it")), "{said}");
    assert_eq!(said.matches("UNSENT").count(), 1, "{said}");
    assert!(said.contains(&format!("countersign record get {item}, then record put {item}")), "{said}");
    assert_eq!(laptop.types(&["record", "queue", "get", COLLECTION, "first"]).stdout, "mine");
    assert_eq!(laptop.types(&["record", "queue", "replace", COLLECTION, "first"]).code(), 0);
    assert_eq!(outbox(&laptop), (2, 0));
    assert_eq!((laptop.gets("first").as_str(), phone.gets("first").as_str()), ("mine", "mine"));
    assert_eq!(laptop.fails(&["record", "queue", "drop", COLLECTION, "first"]), (5, "not-found".to_owned()));
}

#[test]
fn writing_again_at_once_ends_a_conflict() {
    let mut relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    relay.kill();
    queues(&laptop, "first", "mine");
    relay.start_again();
    assert_eq!(phone.puts("first", "theirs").code(), 0);
    assert_eq!(laptop.puts("first", "newer").code(), 0);
    assert_eq!(outbox(&laptop), (0, 0));
    assert_eq!(phone.gets("first"), "newer");
}

/// A relay that refuses the first records of a device as stale, as a real one does while a rotation goes round, the next ones for their
/// line, or loses answers.
#[derive(Default)]
struct Fickle {
    stale: AtomicUsize,
    broken: AtomicUsize,
    lost: AtomicUsize,
    lost_back: AtomicUsize,
    fired: Notify,
    released: Arc<Notify>,
    puts: Mutex<Vec<Verified<Record>>>,
}

fn one_less(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

impl Lie for Fickle {
    fn fate(&self, path: &str) -> Fate {
        let released = || Arc::clone(&self.released);
        match path {
            "/v1/records" if one_less(&self.lost) => {
                self.fired.notify_one();
                Fate::LostOnTheWay(released())
            }
            "/v1/records" if one_less(&self.lost_back) => Fate::LostOnTheWayBack(released()),
            _ => Fate::Arrives,
        }
    }

    fn arrived(&self) {
        self.fired.notify_one();
    }

    fn request(&self, _: &Method, path: &str, body: Vec<u8>) -> Passed {
        if path != "/v1/records" {
            return Passed::On(body);
        }
        let put: protocol::wire::Put = minicbor::decode(&body).unwrap();
        let records = put.records.iter().map(|record| Verified::from_bytes(&record.record).unwrap());
        self.puts.lock().unwrap().extend(records);
        match (one_less(&self.stale), &self.broken) {
            (true, _) => Passed::Swallowed(conflict("stale-epoch")),
            (false, broken) if one_less(broken) => Passed::Swallowed(conflict("broken-line")),
            (false, _) => Passed::On(body),
        }
    }
}

#[test]
fn a_record_that_is_refused_as_stale_is_sealed_anew_and_not_lost() {
    let lie = Arc::new(Fickle::default());
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    // Once: it is sealed anew at once.
    lie.stale.store(1, Ordering::SeqCst);
    assert_eq!(laptop.puts("zeroth", "zero").code(), 0);
    // For ever: it goes on waiting, whatever is typed meanwhile.
    queues(&laptop, "first", "one");
    lie.stale.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(laptop.reads(&["record", "list"])["records"].as_array().unwrap().len(), 1);
    assert_eq!(outbox(&laptop), (1, 0));
    assert_eq!(failure_of(&laptop.puts("second", "two")), "stale-epoch");
    assert_eq!(outbox(&laptop), (1, 0), "what its person was told of is not queued behind her back");
    lie.stale.store(0, Ordering::SeqCst);
    assert_eq!(laptop.gets("first"), "one");
    assert_eq!(laptop.reads(&["log", "verify"])["records"], 2);
    let puts = lie.puts.lock().unwrap();
    assert!(puts[0].counter == 1 && puts[1].counter == 1 && puts[0].hash() != puts[1].hash(), "sealed anew");
}

/// One count for both used up the looks at the records before there was one.
#[test]
fn a_write_that_the_log_overtook_twice_is_compared_all_the_same() {
    let lie = Arc::new(Fickle::default());
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    lie.stale.store(2, Ordering::SeqCst);
    lie.broken.store(1, Ordering::SeqCst);
    assert_eq!(laptop.puts("first", "one").code(), 0);
    assert_eq!(lie.puts.lock().unwrap().len(), 4);
    assert_eq!(laptop.gets("first"), "one");
}

/// The session stays up while the relay refuses: no new connection is the occasion to try again.
#[test]
fn a_daemon_whose_relay_refuses_for_a_while_tries_again_by_itself() {
    let lie = Arc::new(Fickle::default());
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let daemon = laptop.runs();
    lie.stale.store(usize::MAX, Ordering::SeqCst);
    queues(&laptop, "first", "one");
    let _ = daemon.waits_for("a try", |line| line.contains("what was queued is not sent yet"));
    lie.stale.store(0, Ordering::SeqCst);
    assert!((0..1000).any(|_| outbox(&laptop) == (0, 0)), "{}", daemon.said());
    assert_eq!(laptop.gets("first"), "one");
    assert_eq!(daemon.stops().code(), 0);
}

/// A record that somebody waited for, under way when the process died, is refused as stale afterwards: it was dropped once.
#[test]
fn a_record_under_way_when_the_agent_died_is_sealed_anew_too() {
    let lie = Arc::new(Fickle::default());
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    lie.lost.store(1, Ordering::SeqCst);
    let mut putting = laptop.starts(&["record", "put", COLLECTION, "first", "one"]);
    wait::run("the record on its way", lie.fired.notified());
    putting.kill();
    lie.released.notify_one();
    lie.stale.store(1, Ordering::SeqCst);
    assert_eq!(laptop.gets("first"), "one");
    assert_eq!(laptop.reads(&["log", "verify"])["records"], 1);
}

#[test]
fn an_agent_killed_between_the_acknowledgement_and_its_removal_writes_once() {
    let lie = Arc::new(Fickle::default());
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    queues(&laptop, "first", "one");
    queues(&laptop, "first", "two");
    lie.lost_back.store(1, Ordering::SeqCst);
    let mut sending = laptop.starts(&["record", "list"]);
    wait::run("the record at the relay", lie.fired.notified());
    sending.kill();
    lie.released.notify_one();
    assert_eq!(outbox(&laptop), (2, 0));
    assert_eq!(laptop.gets("first"), "two");
    assert_eq!(outbox(&laptop), (0, 0));
    assert_eq!(laptop.reads(&["log", "verify"])["records"], 2);
    let puts = lie.puts.lock().unwrap();
    let counters: Vec<u64> = puts.iter().map(|record| record.counter).collect();
    assert!(puts[0].hash() == puts[1].hash() && counters == [1, 1, 2], "{counters:?}");
}
