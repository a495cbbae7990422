//! Two branches of one log: settled by an approver of both, and nobody else; whoever stood on the other one goes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_tests::actor::{COLLECTION, Joiner, Reach};
use countersign_tests::home::Home;
use countersign_tests::http::Answer;
use countersign_tests::liar::{Liar, Lie, answered};
use countersign_tests::relay::{Backup, Relay};
use http::StatusCode;
use protocol::policy::Role;
use protocol::wire::Purpose;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

/// Both branches, as a device that saw the fork shows them.
fn shown(home: &Home) -> Value {
    let shown = home.types(&["log", "settle", "--json"]);
    assert_eq!(shown.code(), 8, "{}{}", shown.stdout, shown.stderr);
    assert!(shown.stderr.contains("countersign log settle --keep"), "{}", shown.stderr);
    json(&shown.stdout)
}

/// The relay came back from an old backup. The laptop had changed the code meanwhile, the phone was away, and changes it as well.
fn torn() -> (Relay, Home, Home) {
    let mut relay = Relay::start();
    let origin = relay.origin();
    let (laptop, phone) = torn_at(&mut relay, &origin);
    (relay, laptop, phone)
}

fn torn_at(relay: &mut Relay, origin: &str) -> (Home, Home) {
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(origin);
    phone.joins(origin, &laptop);
    are_torn(relay, &laptop, &phone);
    (laptop, phone)
}

fn are_torn(relay: &mut Relay, laptop: &Home, phone: &Home) {
    assert_eq!(phone.puts("both", "common").code(), 0);
    assert_eq!(laptop.gets("both"), "common");
    let backup = Backup::of(relay);
    assert_eq!(laptop.types(&["code", "rotate"]).code(), 0);
    assert_eq!(laptop.puts("mine", "by the laptop").code(), 0);
    backup.is_restored(relay);
    assert_eq!(phone.puts("before", "from before both").code(), 0);
    assert_eq!(phone.types(&["code", "rotate"]).code(), 0);
    assert_eq!(phone.puts("theirs", "by the phone").code(), 0);
    let alarm = laptop.types(&["code", "rotate"]);
    assert_eq!(alarm.code(), 8, "{}", alarm.stderr);
}

/// Both stand on one log, which verifies, and both write.
fn are_one(laptop: &Home, phone: &Home) {
    for (from, to) in [(laptop, phone), (phone, laptop)] {
        assert_eq!(from.puts("after", "goes on").code(), 0);
        assert_eq!(to.gets("after"), "goes on");
    }
    assert_eq!(laptop.head(), phone.head());
    assert_eq!(laptop.words(), phone.words());
    for home in [laptop, phone] {
        assert_eq!(home.kinds(), ["found", "admit", "rotate", "settle"]);
        assert_eq!(home.gets("both"), "common");
        assert_eq!(home.fails(&["log", "verify"]).0, 0);
        assert_eq!(home.fails(&["log", "settle"]), (5, "not-found".to_owned()));
    }
}

#[test]
fn the_pinned_branch_is_kept_and_the_device_of_the_other_one_goes_over() {
    let (_relay, laptop, phone) = torn();
    let fork = shown(&laptop);
    assert_eq!(fork["seq"], 2);
    for (branch, by) in [("pinned", "laptop"), ("other", "phone")] {
        assert_eq!(
            (&fork[branch]["steps"][0]["kind"], &fork[branch]["steps"][0]["by"]),
            (&"rotate".into(), &by.into())
        );
        assert_eq!(fork[branch]["approver_here"], true);
    }
    let daemon = phone.runs();
    assert_eq!(laptop.fails(&["log", "settle", "--keep", "ffffffff"]), (5, "not-found".to_owned()));
    let kept = laptop.reads(&["log", "settle", "--keep", &fork["pinned"]["first"].as_str().unwrap()[..8]]);
    assert_eq!(kept["kind"], "settle");
    let _ = daemon.says("SETTLED the fork by 'laptop'");
    are_one(&laptop, &phone);
    assert_eq!(phone.gets("mine"), "by the laptop");
    // What the phone wrote on its branch alone is gone with that, and written anew.
    assert_eq!(daemon.stops().code(), 0);
    assert_eq!(phone.gets("theirs"), "by the phone");
    assert_eq!(laptop.gets("theirs"), "by the phone");
}

#[test]
fn where_anything_takes_two_approvers_one_proposes_the_end_of_a_fork_and_the_other_ends_it() {
    let mut relay = Relay::start();
    let (laptop, phone) = (Home::new("laptop"), Home::new("phone"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    assert_eq!(laptop.types(&["policy", "set", "--quorum-remove", "2"]).code(), 0);
    are_torn(&mut relay, &laptop, &phone);
    let fork = shown(&laptop);
    let keep = |branch: &str| {
        let first = fork[branch]["first"].as_str().unwrap();
        let proposed = laptop.types(&["log", "settle", "--keep", first]);
        assert_eq!(proposed.code(), 0, "{}", proposed.stderr);
        assert!(proposed.stdout.contains("PROPOSED to end the fork"), "{}", proposed.stdout);
        assert!(proposed.stderr.contains("1 more needed"), "{}", proposed.stderr);
    };
    // Nobody else stands on its own branch, and the relay has the other one: whoever agrees to that cannot see it there.
    keep("pinned");
    assert_eq!(phone.reads(&["approvals", "list"])["approvals"], serde_json::json!([]));
    keep("other");
    let list = phone.reads(&["approvals", "list"]);
    let [proposal] = list["approvals"].as_array().unwrap().as_slice() else { panic!("one proposal: {list}") };
    assert_eq!(proposal["kind"], "settle");
    let agreed = phone.types(&["approvals", "agree", &proposal["proposal"].as_str().unwrap()[..8]]);
    assert!(agreed.stdout.contains("SETTLED the fork by 'phone'"), "{}{}", agreed.stdout, agreed.stderr);
    assert_eq!(laptop.gets("theirs"), "by the phone");
    assert_eq!(laptop.head(), phone.head());
    assert_eq!(phone.kinds(), ["found", "admit", "change-policy", "rotate", "settle"]);
    assert_eq!(laptop.puts("after", "goes on").code(), 0);
    assert_eq!(phone.gets("after"), "goes on");
    assert_eq!(phone.gets("mine"), "by the laptop", "written anew, as its branch is gone");
}

/// One write that waited ended the session of a daemon at each connection, and every other command before it read anything.
#[test]
fn reading_goes_on_while_a_write_waits_for_the_fork_to_end() {
    let (_relay, laptop, phone) = torn();
    assert_eq!(laptop.types(&["record", "put", "--queue", COLLECTION, "waits", "for the end"]).code(), 0);
    assert_eq!(laptop.gets("before"), "from before both");
    let daemon = laptop.runs();
    assert_eq!(laptop.gets("both"), "common");
    let fork = shown(&laptop);
    let kept = laptop.types(&["log", "settle", "--keep", fork["pinned"]["first"].as_str().unwrap()]);
    assert_eq!(kept.code(), 0, "{}", kept.stderr);
    assert_eq!(daemon.stops().code(), 0);
    assert_eq!(laptop.gets("waits"), "for the end");
    assert_eq!(phone.gets("waits"), "for the end");
}

/// A relay that takes an entry, and whose answer is lost.
#[derive(Default)]
struct Forgetful(AtomicBool);

impl Lie for Forgetful {
    fn answer(&self, path: &str, answer: Answer) -> Answer {
        let lost = path == "/v1/log" && self.0.swap(false, Ordering::SeqCst);
        if lost { answered(StatusCode::BAD_GATEWAY, Vec::new()) } else { answer }
    }
}

/// The relay dropped the records of this branch with the one that it had, and nothing was noted of that.
#[test]
fn a_settle_whose_answer_is_lost_gives_the_relay_its_records_back_all_the_same() {
    let forgetful = Arc::new(Forgetful::default());
    let mut liar = Liar::start(Arc::clone(&forgetful));
    let origin = liar.origin();
    let (laptop, phone) = torn_at(&mut liar.relay, &origin);
    let fork = shown(&laptop);
    forgetful.0.store(true, Ordering::SeqCst);
    let lost = laptop.types(&["log", "settle", "--keep", fork["pinned"]["first"].as_str().unwrap()]);
    assert_eq!(lost.code(), 7, "{}", lost.stderr);
    assert_eq!(laptop.gets("mine"), "by the laptop");
    assert_eq!(phone.gets("mine"), "by the laptop");
    are_one(&laptop, &phone);
}

#[test]
fn the_other_branch_is_kept_and_this_device_goes_over_itself() {
    let (_relay, laptop, phone) = torn();
    let fork = shown(&laptop);
    let kept = laptop.types(&["log", "settle", "--keep", fork["other"]["first"].as_str().unwrap()]);
    assert_eq!(kept.code(), 0, "{}", kept.stderr);
    are_one(&laptop, &phone);
    assert_eq!(laptop.gets("theirs"), "by the phone");
    assert_eq!(phone.gets("mine"), "by the laptop");
    assert_eq!(laptop.types(&["status"]).code(), 0);
}

#[test]
fn a_removed_device_settles_nothing_and_its_branch_is_replaced() {
    let mut relay = Relay::start();
    let (laptop, watch) = (Home::new("laptop"), Home::new("watch"));
    laptop.founds(&relay.origin());
    watch.joins(&relay.origin(), &laptop);
    let mut thief = laptop.admits(Reach::to(&relay), "thief");
    let backup = Backup::of(&mut relay);
    assert_eq!(laptop.types(&["devices", "remove", "thief", "--reason", "lost"]).code(), 0);
    assert_eq!(watch.kinds().len(), 4);
    backup.is_restored(&mut relay);
    let friend = thief.joined_by("friend", Role::Approver);
    // Whoever was removed cannot settle: not even with the very entry that an approver would sign.
    let removal = laptop.reads(&["log", "show"])["entries"][3]["hash"].as_str().unwrap().to_owned();
    let settle = protocol::change::settle(
        thief.acting(),
        removal.parse().unwrap(),
        Vec::new(),
        0,
        &mut countersign_tests::actor::rng(),
    );
    let settle = settle.unwrap();
    let _ = thief.append(&[settle.bytes()], Purpose::New);
    let alarm = laptop.types(&["devices", "role", "watch", "reader"]);
    assert_eq!(alarm.code(), 8, "{}", alarm.stderr);
    let fork = shown(&laptop);
    assert_eq!(fork["other"]["steps"][0]["kind"], "admit");
    let kept = laptop.types(&["log", "settle", "--keep", fork["pinned"]["first"].as_str().unwrap()]);
    assert_eq!(kept.code(), 0, "{}", kept.stderr);
    assert_eq!(laptop.types(&["status"]).code(), 0);
    for gone in [&thief, &friend] {
        assert_eq!(gone.read("/log").told(), "403 not-a-member");
    }
    assert_eq!(watch.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
    assert_eq!(watch.head(), laptop.head());
    assert_eq!(laptop.kinds(), ["found", "admit", "admit", "remove", "settle"]);
    // The same backup again: what was settled is no second alarm.
    backup.is_restored(&mut relay);
    let _ = Reach::to(&relay);
    assert_eq!(laptop.puts("second", "after another fire").code(), 0);
    assert_eq!(watch.gets("second"), "after another fire");
}

/// The phone's version stands on the branch that is abandoned, and the relay gave up the content of the one before it. Whoever settles
/// has no record of this chain; the laptop has, and stood on the right branch all the time.
#[test]
fn what_is_current_again_is_given_back_by_whoever_has_its_content_and_read_by_those_who_came_before() {
    let mut relay = Relay::start();
    let (laptop, phone, server) = (Home::new("laptop"), Home::new("phone"), Home::new("server"));
    laptop.founds(&relay.origin());
    phone.joins(&relay.origin(), &laptop);
    server.joins(&relay.origin(), &laptop);
    let watch = laptop.admits(Reach::to(&relay), "watch");
    assert_eq!(phone.puts("both", "common").code(), 0);
    assert_eq!(phone.puts("other", "untouched").code(), 0);
    assert_eq!(laptop.gets("both"), "common");
    let backup = Backup::of(&mut relay);
    let deny = watch.denial(&Joiner::new(Reach::to(&relay), &watch.code(), "stranger"), 0);
    let mut ahead = watch.clone();
    ahead.appends(&deny);
    assert_eq!(laptop.gets("both"), "common");
    backup.is_restored(&mut relay);
    assert_eq!(phone.types(&["code", "rotate"]).code(), 0);
    assert_eq!(phone.puts("both", "replaced").code(), 0);
    let abandoned = phone.reads(&["log", "show"])["entries"][4]["hash"].as_str().unwrap().parse().unwrap();
    let settle =
        protocol::change::settle(ahead.acting(), abandoned, Vec::new(), 0, &mut countersign_tests::actor::rng())
            .unwrap();
    assert_eq!(ahead.append(&[deny.bytes(), settle.bytes()], Purpose::New).told(), "200");
    let missing = server.fails(&["record", "get", COLLECTION, "both"]);
    assert_eq!(missing, (1, "no-content".to_owned()));
    let listed = server.types(&["record", "list"]);
    assert!(listed.code() == 0 && listed.stdout.contains("other"), "{}{}", listed.stdout, listed.stderr);
    assert_eq!(laptop.types(&["status"]).code(), 0);
    assert_eq!(laptop.gets("other"), "untouched");
    assert_eq!(server.gets("both"), "common");
    let tablet = Home::new("tablet");
    tablet.joins(&relay.origin(), &laptop);
    assert_eq!(tablet.gets("both"), "common");
}
