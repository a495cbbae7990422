//! kill −9 of the relay before and after each step: nothing acknowledged is lost, nothing is half done.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::relay::Relay;
use countersign_tests::socket::Socket;
use protocol::policy::Role;
use protocol::round::Attempt;
use protocol::wire::{Purpose, Stage, ToDevice};

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
