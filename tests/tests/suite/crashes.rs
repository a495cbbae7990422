//! kill −9 of relay and agent before and after each step: nothing acknowledged is lost, nothing is half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::home::{Home, failure_of};
use countersign_tests::liar::{Fate, Liar, Lie};
use countersign_tests::process::Process;
use countersign_tests::relay::Relay;
use countersign_tests::socket::Socket;
use countersign_tests::wait;
use protocol::policy::Role;
use protocol::round::Attempt;
use protocol::wire::{Purpose, Stage, ToDevice};
use tokio::sync::Notify;

/// The whole way with a crash between any two steps: each acknowledged step is there afterwards, and its repetition is no second one.
#[test]
fn the_whole_way_survives_a_crash_after_every_step() {
    let mut relay = Relay::start();
    let reach = Reach::to(&relay);
    let mut laptop = Member::found(reach.clone(), "laptop");
    relay.crash();
    assert_eq!(relay.post("/v1/chains", laptop.log[0].bytes()).status, 201, "the same bytes, the same answer");
    let mut phone = Joiner::ask(reach.clone().from("127.0.0.5"), &laptop.code(), "phone");
    relay.crash();
    let open = laptop.sees(&phone).expect("the request is there");
    assert_eq!(open.seen.address, "127.0.0.5");
    assert_eq!(phone.asks().status, 202);
    assert_eq!(laptop.requests().len(), 1, "and only once");
    let nonce = laptop.opens(&phone, 1);
    relay.crash();
    assert_eq!(relay.post("/v1/nonces", nonce.bytes()).told(), "200");
    let code = phone.answers().remove(0).code.digits();
    relay.crash();
    let again = phone.answers();
    assert_eq!((again.len(), again[0].code.digits()), (1, code.clone()), "the same code");
    let Attempt::Right(confirmed) = laptop.prompt(&phone, &nonce).type_code(&code) else { panic!("the right code") };
    let admit = laptop.admission(&confirmed, Role::Approver);
    laptop.appends(&admit);
    relay.crash();
    assert_eq!(laptop.append(&[admit.bytes()], Purpose::New).told(), "200");
    assert_eq!(phone.standing().stage, Stage::Admitted);
    let mut phone = phone.accepts();
    assert_eq!(phone.roster, laptop.roster);
    let sealed = phone.record("first", Some(b"hello"), None);
    assert_eq!(phone.put(std::slice::from_ref(&sealed)).told(), "200");
    relay.crash();
    assert_eq!(phone.put(std::slice::from_ref(&sealed)).told(), "200");
    phone.follows(&sealed);
    assert_eq!(laptop.reads("first").value.0, b"hello");
    assert_eq!(laptop.feed().rows.len(), 1);
}

/// Writes as fast as it can while the relay is killed: what was acknowledged is there, and the line has no gap.
#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let mut relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    for round in 0..3 {
        let writing = laptop.clone();
        let writer = std::thread::spawn(move || {
            let mut laptop = writing;
            let mut acknowledged = Vec::new();
            for at in 0..10_000 {
                let name = format!("{round}-{at}");
                let sealed = laptop.record(&name, Some(name.as_bytes()), None);
                let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    laptop.put(std::slice::from_ref(&sealed)).told()
                }));
                let Ok(told) = sent else { return (laptop, acknowledged, sealed) };
                assert_eq!(told, "200");
                laptop.follows(&sealed);
                acknowledged.push(name);
            }
            panic!("the relay was never killed")
        });
        let watching = laptop.clone();
        let before = watching.feed().last;
        // Some tens of writes, then the kill comes in between whatever is going on.
        let mut screen = Socket::of_member(&watching);
        screen.until("some writes", |message| match message {
            ToDevice::Records(page) if page.last > before + 30 => Some(()),
            _ => None,
        });
        relay.kill();
        let (after, acknowledged, in_flight) = writer.join().unwrap();
        relay.start_again();
        laptop = after;
        assert!(acknowledged.len() > 20);
        for name in &acknowledged {
            assert_eq!(laptop.reads(name).value.0, name.as_bytes());
        }
        // The one in flight is either there or not; sent again it is there once.
        assert_eq!(laptop.put(std::slice::from_ref(&in_flight)).told(), "200");
        laptop.follows(&in_flight);
    }
}

#[test]
fn a_terminated_relay_drains_says_so_and_exits_0() {
    let relay = Relay::start();
    let laptop = Member::found(Reach::to(&relay), "laptop");
    let mut screen = Socket::of_member(&laptop);
    relay.process().signal("TERM");
    assert_eq!(screen.closed(), 1012);
    assert_eq!(relay.stop().code(), 0);
}

/// Which side of a step something is killed on: before the relay has the request, or after it has done it and nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Agent,
    Relay,
}

/// The steps of the way, each by the request that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Found,
    Ask,
    Nonce,
    Reveal,
    Admit,
    Accept,
    Put,
}

impl Step {
    fn is_taken_by(self, path: &str) -> bool {
        match self {
            Self::Found => path == "/v1/chains",
            Self::Ask => path == "/v1/requests",
            Self::Nonce => path == "/v1/nonces",
            Self::Reveal => path == "/v1/reveals",
            Self::Admit => path == "/v1/log",
            // Only a joiner reads the log from its beginning.
            Self::Accept => path.starts_with("/v1/chains/") && path.ends_with("/log"),
            Self::Put => path == "/v1/records",
        }
    }
}

/// Holds the first request of a step on its side, and says so.
struct Holds {
    step: Step,
    side: Side,
    held: AtomicBool,
    fired: Notify,
    released: Arc<Notify>,
}

impl Lie for Holds {
    fn fate(&self, path: &str) -> Fate {
        if !self.step.is_taken_by(path) || self.held.swap(true, Ordering::SeqCst) {
            return Fate::Arrives;
        }
        match self.side {
            Side::Before => {
                self.fired.notify_one();
                Fate::LostOnTheWay(Arc::clone(&self.released))
            }
            Side::After => Fate::LostOnTheWayBack(Arc::clone(&self.released)),
        }
    }

    fn arrived(&self) {
        self.fired.notify_one();
    }
}

/// The way with one kill in it.
struct Way {
    liar: Liar,
    holds: Arc<Holds>,
    victim: Victim,
}

impl Way {
    /// Whether the kill of this way is at this step.
    fn is_at(&self, step: Step) -> bool {
        self.holds.step == step
    }

    /// Waits until the step is held, kills, and lets go. An agent that lives on tries again by itself.
    fn kills(&mut self, process: &mut Process) {
        wait::run("the step", self.holds.fired.notified());
        match self.victim {
            Victim::Agent => process.kill(),
            Victim::Relay => self.liar.relay.crash(),
        }
        self.holds.released.notify_one();
    }

    /// Types a command in which the kill happens if it is at this step, and types it again if that ended it.
    fn types(&mut self, step: Step, home: &Home, args: &[&str]) -> (i32, String) {
        if self.is_at(step) {
            let mut process = home.starts(args);
            self.kills(&mut process);
            if self.victim == Victim::Relay {
                let ended = process.end();
                if ended.code() == 0 {
                    return (0, String::new());
                }
            }
        }
        let ended = home.types(args);
        (ended.code(), failure_of(&ended))
    }
}

fn the_way_with_a_kill(step: Step, side: Side, victim: Victim) {
    let what = format!("{victim:?} killed {side:?} {step:?}");
    let holds = Arc::new(Holds {
        step,
        side,
        held: AtomicBool::new(false),
        fired: Notify::new(),
        released: Arc::new(Notify::new()),
    });
    let liar = Liar::start(Arc::clone(&holds));
    let origin = liar.origin();
    let mut way = Way { liar, holds, victim };
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    let founded =
        way.types(Step::Found, &laptop, &["init", "--no-recovery", "--relay", &origin, "--name", "laptop", "--json"]);
    assert_eq!(founded.0, 0, "{what}: {founded:?}");
    let words = laptop.words();
    let mut joining = phone.asks(&origin, &words);
    if way.is_at(Step::Ask) {
        way.kills(joining.process());
        if victim == Victim::Agent {
            joining = phone.asks_on();
        }
    }
    let id = joining.waits();
    if way.is_at(Step::Reveal) {
        let opening = laptop.starts(&["requests", "show", &id, "--json"]);
        way.kills(joining.process());
        if victim == Victim::Agent {
            joining = phone.asks_on();
        }
        let _ = joining.code(1);
        let opened = opening.end();
        // A person whose relay was away while she waited types it again, which is next.
        let away = victim == Victim::Relay && opened.code() == 7;
        assert!(opened.code() == 0 || away, "{what}: {}", opened.stdout);
    }
    let opened = way.types(Step::Nonce, &laptop, &["requests", "show", &id, "--json"]);
    assert_eq!(opened.0, 0, "{what}: {opened:?}");
    let code = joining.code(1);
    let approved = way.types(Step::Admit, &laptop, &["approve", &id, "--check-code", &code, "--json"]);
    assert!(approved.0 == 0 || approved.1 == "already-decided", "{what}: {approved:?}");
    if way.is_at(Step::Accept) {
        way.kills(joining.process());
        if victim == Victim::Agent {
            joining = phone.asks_on();
        }
    }
    let joined = joining.end();
    assert_eq!(joined.code(), 0, "{what}: {}{}", joined.stdout, joined.stderr);
    let put = ["record", "put", countersign_tests::actor::COLLECTION, "first", "hello", "--json"];
    let put = way.types(Step::Put, &phone, &put);
    assert_eq!(put.0, 0, "{what}: {put:?}");
    assert_eq!(laptop.gets("first"), "hello", "{what}");
    for home in [&laptop, &phone] {
        assert_eq!(home.kinds(), ["found", "admit"], "{what}");
        assert_eq!(home.fails(&["log", "verify"]).0, 0, "{what}");
    }
    assert_eq!(laptop.head(), phone.head(), "{what}");
    assert!(laptop.requests().is_empty(), "{what}");
}

fn at_every_step(side: Side, victim: Victim) {
    for step in [Step::Found, Step::Ask, Step::Nonce, Step::Reveal, Step::Admit, Step::Accept, Step::Put] {
        the_way_with_a_kill(step, side, victim);
    }
}

#[test]
fn an_agent_killed_before_any_step_takes_it_once() {
    at_every_step(Side::Before, Victim::Agent);
}

#[test]
fn an_agent_killed_after_any_step_does_not_take_it_twice() {
    at_every_step(Side::After, Victim::Agent);
}

#[test]
fn a_relay_killed_before_any_step_takes_it_once() {
    at_every_step(Side::Before, Victim::Relay);
}

#[test]
fn a_relay_killed_after_any_step_has_taken_it_once() {
    at_every_step(Side::After, Victim::Relay);
}
