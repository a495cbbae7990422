//! The way of a join request through a real relay, with devices that speak the protocol from outside.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::relay::Relay;
use countersign_tests::socket::Socket;
use protocol::policy::{Policy, Role};
use protocol::roster::Outcome;
use protocol::round::Attempt;
use protocol::wire::{Ending, Purpose, Stage, ToDevice};

fn home() -> (Relay, Member) {
    let relay = Relay::start();
    let laptop = Member::found(Reach::to(&relay), "laptop");
    (relay, laptop)
}

#[test]
fn a_phone_joins_with_a_typed_code_and_writes_and_the_laptop_reads_it() {
    let (relay, mut laptop) = home();
    let mut phone = Joiner::ask(Reach::to(&relay).from("127.0.0.7"), &laptop.code(), "phone");
    assert_eq!(phone.standing().stage, Stage::Waiting);
    let open = laptop.sees(&phone).unwrap();
    assert_eq!(open.seen.address, "127.0.0.7");
    laptop.admits(&mut phone, Role::Approver);
    assert_eq!(phone.standing().stage, Stage::Admitted);
    assert!(laptop.sees(&phone).is_none(), "the prompt is gone");
    let mut phone = phone.accepts();
    phone.writes("first", b"hello from the phone");
    assert_eq!(laptop.reads("first").value.0, b"hello from the phone");
    let feed = laptop.feed();
    assert_eq!((feed.rows.len(), feed.last), (1, feed.cursor.number));
    assert_eq!(laptop.opens_row(&feed.rows[0]).id, "first");
}

#[test]
fn a_request_is_pushed_to_every_connected_member_with_its_address_and_ends_everywhere() {
    let (relay, mut laptop) = home();
    let tablet = laptop.joined_by("tablet", Role::Approver);
    let mut screens = [Socket::of_member(&laptop), Socket::of_member(&tablet)];
    let mut phone = Joiner::ask(Reach::to(&relay).from("127.0.0.9"), &laptop.code(), "phone");
    assert!(phone.standing().online);
    for screen in &mut screens {
        let address = screen.until("the request", |message| match message {
            ToDevice::Requested(open) if *open.request == **phone.request.bytes() => Some(open.seen.address.clone()),
            _ => None,
        });
        assert_eq!(address, "127.0.0.9");
    }
    laptop.admits(&mut phone, Role::Writer);
    for screen in &mut screens {
        let id = phone.request.id();
        let mut ended = None;
        let mut entry = false;
        screen.until("the end of the prompt", |message| {
            match message {
                ToDevice::Ended(end) if end.request == id => ended = Some(end.ending),
                ToDevice::Entries(page) => entry |= page.seq == laptop.roster.seq(),
                _ => {}
            }
            (ended.is_some() && entry).then_some(())
        });
        assert_eq!(ended, Some(Ending::Decided));
    }
}

#[test]
fn a_joiner_is_pushed_its_code_and_its_admission() {
    let (relay, mut laptop) = home();
    let mut phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let mut screen = Socket::of_joiner(&phone);
    let stage = |socket: &mut Socket, wanted: Stage| {
        socket.until("a stage", |message| match message {
            ToDevice::Standing(standing) if standing.stage == wanted => Some(standing.nonces.len()),
            _ => None,
        })
    };
    assert_eq!(stage(&mut screen, Stage::Waiting), 0);
    let nonce = laptop.opens(&phone, 1);
    assert_eq!(stage(&mut screen, Stage::Code), 1);
    let code = phone.answers().remove(0).code.digits();
    let Attempt::Right(confirmed) = laptop.prompt(&phone, &nonce).type_code(&code) else { panic!("the right code") };
    let admit = laptop.admission(&confirmed, Role::Writer);
    laptop.appends(&admit);
    assert_eq!(stage(&mut screen, Stage::Admitted), 1);
}

#[test]
fn a_denied_device_is_shown_waiting_with_the_same_answers_until_its_lifetime_ends() {
    let policy = Policy { request_lifetime: 4, ..Policy::default() };
    let relay = Relay::start();
    let mut laptop = Member::found_with(Reach::to(&relay), "laptop", policy);
    let phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let watched = Joiner::ask(Reach::to(&relay), &laptop.code(), "never looked at");
    let denial = laptop.denial(&phone, 0);
    laptop.appends(&denial);
    assert!(laptop.sees(&phone).is_none());
    let (denied, waiting) = (phone.standing(), watched.standing());
    assert_eq!((denied.stage, denied.online, denied.nonces.len()), (waiting.stage, waiting.online, 0));
    assert_eq!(denied.stage, Stage::Waiting);
    assert_eq!(phone.asks().status, 202, "the same bytes, the same answer");
    let mut screens = [Socket::of_joiner(&phone), Socket::of_joiner(&watched)];
    for screen in &mut screens {
        screen.until("its end", |message| match message {
            ToDevice::Standing(standing) if standing.stage == Stage::Expired => Some(()),
            _ => None,
        });
    }
    assert_eq!(phone.standing().stage, Stage::Expired);
}

#[test]
fn an_expired_request_is_neither_shown_nor_admitted() {
    let policy = Policy { request_lifetime: 3, ..Policy::default() };
    let relay = Relay::start();
    let laptop = Member::found_with(Reach::to(&relay), "laptop", policy);
    let mut phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let mut screen = Socket::of_member(&laptop);
    let confirmed = laptop.confirms(&mut phone, 1);
    let ending = screen.until("its end", |message| match message {
        ToDevice::Ended(end) => Some(end.ending),
        _ => None,
    });
    assert_eq!(ending, Ending::Expired);
    assert!(laptop.requests().is_empty());
    let admit = laptop.admission(&confirmed, Role::Writer);
    assert_eq!(laptop.append(&[admit.bytes()], Purpose::New).told(), "409 request-closed");
    let nonce = laptop.nonce(phone.request.id(), 2);
    assert_eq!(laptop.line.caller.post("/v1/nonces", nonce.bytes()).told(), "409 request-closed");
}

#[test]
fn a_withdrawn_request_vanishes_from_the_prompt_and_cannot_be_admitted() {
    let (relay, laptop) = home();
    let mut phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let mut screen = Socket::of_member(&laptop);
    let confirmed = laptop.confirms(&mut phone, 1);
    assert_eq!(phone.withdraws().told(), "200");
    assert_eq!(phone.withdraws().told(), "200", "the same bytes, the same answer");
    let ending = screen.until("its end", |message| match message {
        ToDevice::Ended(end) => Some(end.ending),
        _ => None,
    });
    assert_eq!((ending, phone.standing().stage), (Ending::Withdrawn, Stage::Withdrawn));
    let admit = laptop.admission(&confirmed, Role::Writer);
    assert_eq!(laptop.append(&[admit.bytes()], Purpose::New).told(), "409 request-closed");
}

#[test]
fn two_approvers_that_open_one_prompt_have_two_rounds_and_two_codes() {
    let (relay, mut laptop) = home();
    let tablet = laptop.joined_by("tablet", Role::Approver);
    let mut phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let first = laptop.opens(&phone, 1);
    let taken = tablet.nonce(phone.request.id(), 1);
    assert_eq!(tablet.line.caller.post("/v1/nonces", taken.bytes()).told(), "409 round-taken");
    let second = tablet.opens(&phone, 2);
    let codes: Vec<String> = phone.answers().iter().map(|reply| reply.code.digits().to_string()).collect();
    let [one, two] = codes.as_slice() else { panic!("two codes") };
    assert!(matches!(laptop.prompt(&phone, &first).type_code(one), Attempt::Right(_)));
    assert!(matches!(laptop.prompt(&phone, &first).type_code(two), Attempt::Wrong));
    let Attempt::Right(confirmed) = tablet.prompt(&phone, &second).type_code(two) else { panic!("the right code") };
    let admit = tablet.admission(&confirmed, Role::Writer);
    assert_eq!(tablet.append(&[admit.bytes()], Purpose::New).told(), "200");
    assert_eq!(phone.accepts().roster.head(), admit.hash());
}

#[test]
fn approve_against_deny_at_once_has_one_outcome_everywhere() {
    let (relay, mut laptop) = home();
    let mut tablet = laptop.joined_by("tablet", Role::Approver);
    // Four rounds: five prompts a day that end in no admission are the limit.
    for _ in 0..4 {
        let mut phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
        let confirmed = laptop.confirms(&mut phone, 1);
        let admit = laptop.admission(&confirmed, Role::Writer);
        let deny = tablet.denial(&phone, 0);
        let answers = std::thread::scope(|scope| {
            let one = scope.spawn(|| laptop.append(&[admit.bytes()], Purpose::New).told());
            let two = scope.spawn(|| tablet.append(&[deny.bytes()], Purpose::New).told());
            [one.join().unwrap(), two.join().unwrap()]
        });
        let lost = answers.iter().filter(|answer| *answer == "409 head-moved").count();
        assert_eq!((lost, answers.contains(&"200".to_owned())), (1, true), "{answers:?}");
        laptop.sync();
        tablet.sync();
        assert_eq!(laptop.roster, tablet.roster);
        let outcome = laptop.roster.decision(&phone.request.id()).unwrap().outcome;
        // A code was shown before the deny, and stays shown: a denied device notices nothing.
        let expected = if answers[0] == "200" { Stage::Admitted } else { Stage::Code };
        assert_eq!(outcome == Outcome::Admitted, answers[0] == "200");
        assert_eq!(phone.standing().stage, expected);
        let _ = phone.withdraws();
    }
}

#[test]
fn an_approver_that_comes_late_is_shown_what_waits() {
    let (relay, laptop) = home();
    let phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    assert!(!phone.standing().online, "nobody is there yet");
    let mut screen = Socket::of_member(&laptop);
    screen.until("the request that waited", |message| match message {
        ToDevice::Requested(open) if *open.request == **phone.request.bytes() => Some(()),
        _ => None,
    });
}

#[test]
fn three_requests_of_one_sync_code_wait_and_the_fourth_is_told_to_come_back() {
    let (relay, laptop) = home();
    let waiting: Vec<Joiner> =
        (0..3).map(|at| Joiner::ask(Reach::to(&relay), &laptop.code(), &format!("phone {at}"))).collect();
    let fourth = Joiner::new(Reach::to(&relay), &laptop.code(), "one more");
    let refused = fourth.asks();
    assert_eq!(refused.told(), "429 too-many-pending");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(waiting[0].asks().status, 202, "a repeated request takes no slot");
    assert_eq!(waiting[0].withdraws().told(), "200");
    assert_eq!(fourth.asks().status, 202);
}

/// A denial that freed its slot would tell the thief of a sync code that somebody is watching.
#[test]
fn a_denied_request_keeps_its_slot() {
    let (relay, mut laptop) = home();
    for at in 0..3 {
        let joiner = Joiner::ask(Reach::to(&relay), &laptop.code(), &format!("thief {at}"));
        let denial = laptop.denial(&joiner, 0);
        laptop.appends(&denial);
    }
    let fourth = Joiner::new(Reach::to(&relay), &laptop.code(), "thief 4");
    assert_eq!(fourth.asks().told(), "429 too-many-pending");
}

#[test]
fn a_sync_code_that_was_ever_current_founds_no_second_chain() {
    let (relay, laptop) = home();
    let found = laptop.log[0].bytes();
    let again = relay.post("/v1/chains", found);
    assert_eq!(again.status, 201, "the same bytes, the same answer");
    let keys = protocol::keys::DeviceKeys::draw(&mut countersign_tests::actor::rng());
    let mut form = (*laptop.log[0]).clone();
    let protocol::entry::Body::Found(body) = &mut form.body else { panic!("found is found") };
    body.device = keys.public();
    let join = laptop.code().join_key();
    let second = protocol::Verified::sign(form, &keys.signing, &[&join]).unwrap();
    assert_eq!(relay.post("/v1/chains", second.bytes()).told(), "409 join-key-taken");
}

/// The relay's half of the bound: whoever has the code cannot make five devices ring all day.
#[test]
fn the_sixth_request_of_a_day_waits_unseen_until_one_is_admitted() {
    let (relay, mut laptop) = home();
    for at in 0..5 {
        let mut joiner = Joiner::ask(Reach::to(&relay), &laptop.code(), &format!("thief {at}"));
        assert!(laptop.sees(&joiner).is_some(), "request {at}");
        if at == 0 {
            // What is admitted does not count.
            laptop.admits(&mut joiner, Role::Writer);
        } else {
            assert_eq!(joiner.withdraws().told(), "200");
        }
    }
    let fifth = Joiner::ask(Reach::to(&relay), &laptop.code(), "thief 5");
    assert!(laptop.sees(&fifth).is_some());
    assert_eq!(fifth.withdraws().told(), "200");
    let mut screen = Socket::of_member(&laptop);
    let sixth = Joiner::ask(Reach::to(&relay), &laptop.code(), "thief 6");
    assert_eq!(
        (sixth.standing().stage, sixth.standing().online),
        (Stage::Waiting, true),
        "it is told what all are told"
    );
    assert!(laptop.sees(&sixth).is_none());
    let nonce = laptop.nonce(sixth.request.id(), 1);
    assert_eq!(relay.post("/v1/nonces", nonce.bytes()).told(), "409 request-unknown");
    laptop.writes("behind it", b"x");
    screen.until("what came after it", |message| match message {
        ToDevice::Requested(_) => panic!("a sixth prompt"),
        ToDevice::Records(_) => Some(()),
        _ => None,
    });
}

#[test]
fn a_deny_that_blocks_hides_its_address_range_and_no_other() {
    let (relay, mut laptop) = home();
    let thief = Joiner::ask(Reach::to(&relay).from("127.0.0.66"), &laptop.code(), "thief");
    let denial = laptop.denial(&thief, 3600);
    laptop.appends(&denial);
    let again = Joiner::ask(Reach::to(&relay).from("127.0.0.66"), &laptop.code(), "thief again");
    assert_eq!(again.standing().stage, Stage::Waiting, "it is told what all are told");
    assert!(laptop.sees(&again).is_none());
    let phone = Joiner::ask(Reach::to(&relay).from("127.0.0.7"), &laptop.code(), "phone");
    assert!(laptop.sees(&phone).is_some());
}

/// A joiner that restarts the relay gains no time.
#[test]
fn a_lifetime_goes_on_through_a_restart() {
    let (mut relay, laptop) = home();
    let phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let before = phone.standing().remaining;
    relay.crash();
    let after = phone.standing().remaining;
    assert!(after <= before && after + 120_000 > before, "{before} then {after}");
}
