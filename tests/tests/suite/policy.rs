//! The rules of a chain: shown, changed, and agreed to by several approvers.

use std::mem;
use std::sync::{Arc, Mutex};

use countersign_tests::home::{Home, failure_of};
use countersign_tests::http::Answer;
use countersign_tests::liar::{Liar, Lie, Passed, answered, conflict};
use countersign_tests::process::Ended;
use countersign_tests::relay::Relay;
use http::{Method, StatusCode};
use serde_json::Value;

/// A laptop, a tablet and a phone of one chain, all approvers.
fn three(origin: &str) -> (Home, Home, Home) {
    let laptop = Home::new("laptop");
    laptop.founds(origin);
    let (tablet, phone) = (Home::new("tablet"), Home::new("phone"));
    tablet.joins(origin, &laptop);
    phone.joins(origin, &laptop);
    (laptop, tablet, phone)
}

fn setting(home: &Home, name: &str) -> String {
    let policy = home.reads(&["policy", "show"]);
    let settings = policy["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["name"] == name).unwrap();
    found["value"].as_str().unwrap().to_owned()
}

fn object(ended: &Ended) -> Value {
    assert_eq!(ended.code(), 0, "{}{}", ended.stderr, ended.stdout);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The one thing that is proposed, as a device sees it.
fn proposed(home: &Home) -> Value {
    let list = home.reads(&["approvals", "list"]);
    let [proposal] = list["approvals"].as_array().unwrap().as_slice() else { panic!("one proposal: {list}") };
    proposal.clone()
}

#[test]
fn a_policy_is_checked_changed_and_seen_by_all() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    assert_eq!(laptop.fails(&["policy", "set", "--quorum-admit", "2"]), (3, "too-few-approvers".to_owned()));
    let checked = laptop.types(&["policy", "check", "--quorum-admit", "2"]);
    assert_eq!(checked.code(), 3);
    assert!(checked.stderr.contains("1 approvers would be left"), "{}", checked.stderr);
    let tablet = Home::new("tablet");
    tablet.joins(&relay.origin(), &laptop);
    let checked = laptop.types(&["policy", "check", "--quorum-admit", "2"]);
    assert_eq!(checked.code(), 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("quorum-admit: 1 -> 2"), "{}", checked.stdout);
    assert!(checked.stderr.contains("CAUTION all 2 approvers are needed"), "{}", checked.stderr);
    assert_eq!(laptop.fails(&["policy", "set", "--ways", "typed,none"]), (2, "risk-not-taken".to_owned()));
    let set = laptop.types(&["policy", "set", "--request-lifetime", "30m", "--members-max", "5"]);
    assert_eq!(set.code(), 0, "{}", set.stderr);
    assert!(set.stderr.contains("request-lifetime: 15m -> 30m"), "{}", set.stderr);
    for home in [&laptop, &tablet] {
        assert_eq!((setting(home, "request-lifetime").as_str(), setting(home, "members-max").as_str()), ("30m", "5"));
    }
    let none = laptop.types(&["policy", "set", "--members-max", "0"]);
    assert!(none.code() == 2 && none.stderr.contains("1..=128"), "{}", none.stderr);
    let kinds = laptop.kinds();
    assert_eq!(kinds, ["found", "admit", "change-policy"], "a check changes nothing");
}

#[test]
fn a_device_is_let_in_when_two_approvers_have_typed_its_codes() {
    let relay = Relay::start();
    let (laptop, tablet, phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-admit", "2", "--json"]));
    let daemon = tablet.runs();
    let watch = Home::new("watch");
    let joining = watch.asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    assert_eq!(laptop.opens(&id)["more_needed"], 2);
    let first = laptop.approves(&id, &joining.code(1));
    let agreed = object(&first);
    assert_eq!((agreed["schema"].as_str(), agreed["more_needed"].as_u64()), (Some("countersign.proposal/1"), Some(1)));
    let told = daemon.says("APPROVED");
    assert!(told.contains("by 'laptop'") && told.contains("1 more needed") && told.contains("watch"), "{told}");
    let prompt = tablet.opens(&id);
    assert_eq!((&prompt["approved_by"][0], prompt["more_needed"].as_u64()), (&Value::from("laptop"), Some(1)));
    assert_eq!(
        failure_of(&tablet.types(&["approvals", "agree", &agreed["proposal"].as_str().unwrap()[..8], "--json"])),
        "type-the-code",
        "nobody is let in by agreeing"
    );
    let second = tablet.approves(&id, &joining.code(2));
    let decided = object(&second);
    assert_eq!(decided["schema"], "countersign.decision/1");
    assert_eq!((&decided["name"], &decided["by"]), (&"watch".into(), &"tablet".into()), "names are bare");
    assert_eq!(decided["approved_by"], serde_json::json!(["tablet", "laptop"]));
    let sentence = decided["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("ADDED 'watch'") && sentence.contains("on 'tablet' and 'laptop'"), "{sentence}");
    assert_eq!(joining.end().code(), 0);
    assert_eq!(watch.head(), phone.head());
    assert!(phone.types(&["log", "show"]).stdout.contains("'watch' admitted by 'tablet' and 'laptop'"));
    assert!(phone.reads(&["approvals", "list"])["approvals"].as_array().unwrap().is_empty());
}

#[test]
fn a_device_comes_in_in_the_role_that_all_its_approvers_name() {
    let relay = Relay::start();
    let (laptop, tablet, _phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-admit", "2", "--json"]));
    let watch = Home::new("watch");
    let joining = watch.asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let _ = (laptop.opens(&id), tablet.opens(&id));
    let typed = |home: &Home, code: &str, role: &[&str]| {
        home.types(&[&["approve", &id, "--check-code", code, "--json"], role].concat())
    };
    object(&typed(&laptop, &joining.code(1), &["--role", "writer"]));
    assert_eq!(tablet.opens(&id)["admits_as"], "writer");
    let other = typed(&tablet, &joining.code(2), &[]);
    assert_eq!(failure_of(&other), "other-role");
    assert!(other.stderr.contains(&format!("countersign approve {} --role writer", &id[..8])), "{}", other.stderr);
    object(&typed(&tablet, &joining.code(2), &["--role", "writer"]));
    assert_eq!(joining.end().code(), 0);
    assert_eq!(watch.reads(&["status"])["role"], "writer");
}

#[test]
fn two_that_type_their_codes_at_once_let_the_device_in() {
    let relay = Relay::start();
    let (laptop, tablet, _phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-admit", "2", "--json"]));
    let joining = Home::new("watch").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let (_, _) = (laptop.opens(&id), tablet.opens(&id));
    let (first, second) = (joining.code(1), joining.code(2));
    let approving = [(&laptop, first), (&tablet, second)]
        .map(|(home, code)| home.starts(&["approve", &id, "--check-code", &code, "--json"]));
    let ended: Vec<Value> = approving.map(|process| object(&process.end())).into();
    assert!(ended.iter().any(|told| told["schema"] == "countersign.decision/1"), "{ended:?}");
    assert_eq!(joining.end().code(), 0);
    assert_eq!(laptop.kinds()[4..], ["admit"], "once");
}

#[test]
fn one_deny_ends_what_another_approved() {
    let relay = Relay::start();
    let (laptop, tablet, _phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-admit", "2", "--json"]));
    let joining = Home::new("watch").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let _ = laptop.opens(&id);
    object(&laptop.approves(&id, &joining.code(1)));
    assert_eq!(tablet.types(&["deny", &id]).code(), 0);
    assert_eq!(failure_of(&laptop.approves(&id, &joining.code(1))), "already-decided");
    assert!(laptop.reads(&["approvals", "list"])["approvals"].as_array().unwrap().is_empty());
    assert_eq!(joining.interrupted().code(), 4);
}

#[test]
fn a_removal_is_proposed_by_one_and_carried_out_by_another_who_is_not_its_subject() {
    let relay = Relay::start();
    let (laptop, tablet, phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-remove", "2", "--json"]));
    assert_eq!(phone.puts("first", "before").code(), 0);
    let removed = laptop.types(&["devices", "remove", "phone", "--reason", "lost"]);
    assert_eq!(removed.code(), 0, "{}", removed.stderr);
    assert!(removed.stdout.contains("PROPOSED to remove 'phone'"), "{}", removed.stdout);
    assert!(removed.stderr.contains("1 more needed"), "{}", removed.stderr);
    assert_eq!(phone.puts("second", "while the others agree").code(), 0, "it goes on writing meanwhile");
    let proposal = proposed(&tablet);
    assert_eq!(proposal["approved_by"][0], "laptop");
    let id = proposal["proposal"].as_str().unwrap()[..8].to_owned();
    assert_eq!(failure_of(&phone.types(&["approvals", "agree", &id, "--json"])), "no-voice");
    let status = tablet.types(&["status"]);
    assert!(status.stdout.contains("PROPOSED") && status.stdout.contains(&id), "{}", status.stdout);
    let agreed = tablet.types(&["approvals", "agree", &id, "--reason", "lost"]);
    assert_eq!(agreed.code(), 0, "{}{}", agreed.stderr, agreed.stdout);
    assert!(agreed.stderr.contains("its first record counts, of 2 known here"), "{}", agreed.stderr);
    assert!(agreed.stdout.contains("REMOVED 'phone' by 'tablet' and 'laptop' (lost)"), "{}", agreed.stdout);
    assert_eq!(phone.fails(&["record", "get", "a", "b"]).0, 6, "it is shut out");
    assert_eq!(laptop.gets("first"), "before");
    assert_eq!(laptop.head(), tablet.head());
}

#[test]
fn what_was_agreed_to_counts_no_more_after_a_change_and_everybody_hears_of_it() {
    let relay = Relay::start();
    let (laptop, tablet, phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-policy", "2", "--json"]));
    let proposal = object(&laptop.types(&["policy", "set", "--members-max", "4", "--json"]));
    let id = proposal["proposal"].as_str().unwrap().to_owned();
    assert_eq!(setting(&laptop, "members-max"), "32", "one approver changes nothing");
    let daemon = phone.runs();
    Home::new("watch").joins(&relay.origin(), &tablet);
    let told = daemon.says("DROPPED");
    assert!(told.contains("'laptop'") && told.contains("members-max from 32 to 4"), "{told}");
    assert_eq!(failure_of(&tablet.types(&["approvals", "agree", &id, "--json"])), "not-found");
    let proposal = object(&laptop.types(&["policy", "set", "--members-max", "6", "--json"]));
    let agreed = tablet.types(&["approvals", "agree", &proposal["proposal"].as_str().unwrap()[..8], "--json"]);
    assert_eq!(object(&agreed)["kind"], "change-policy");
    assert_eq!(setting(&phone, "members-max"), "6");
    let role = object(&tablet.types(&["devices", "role", "watch", "reader", "--json"]));
    assert_eq!(role["kind"], "change-role");
    let agreed = laptop.types(&["approvals", "agree", &role["proposal"].as_str().unwrap()[..8], "--json"]);
    assert_eq!(object(&agreed)["kind"], "change-role");
    assert_eq!(phone.head(), laptop.head());
    assert_eq!(daemon.stops().code(), 0);
}

/// A relay that holds one device's entry back, and lets it come first when the next device sends its own.
#[derive(Default)]
struct Overtakes(Mutex<Overtaking>);

#[derive(Default)]
enum Overtaking {
    #[default]
    Nobody,
    HoldsTheNext,
    Holds(Vec<u8>),
    WasFirst,
}

impl Lie for Overtakes {
    fn request(&self, _: &Method, path: &str, body: Vec<u8>) -> Passed {
        let mut now = self.0.lock().unwrap();
        if path != "/v1/log" {
            return Passed::On(body);
        }
        match mem::take(&mut *now) {
            Overtaking::HoldsTheNext => {
                *now = Overtaking::Holds(body);
                Passed::Swallowed(answered(StatusCode::BAD_GATEWAY, Vec::new()))
            }
            Overtaking::Holds(first) => {
                *now = Overtaking::WasFirst;
                Passed::On(first)
            }
            Overtaking::Nobody | Overtaking::WasFirst => Passed::On(body),
        }
    }

    fn answer(&self, path: &str, answer: Answer) -> Answer {
        let mut now = self.0.lock().unwrap();
        if path != "/v1/log" || !matches!(*now, Overtaking::WasFirst) {
            return answer;
        }
        *now = Overtaking::Nobody;
        assert_eq!(answer.status, StatusCode::OK);
        conflict("head-moved")
    }
}

/// Whoever came a moment too late was told that something had changed, or was not found.
#[test]
fn of_two_that_complete_a_proposal_at_once_both_hear_that_it_is_done() {
    let lie = Arc::new(Overtakes::default());
    let liar = Liar::start(Arc::clone(&lie));
    let (laptop, tablet, phone) = three(&liar.origin());
    object(&laptop.types(&["policy", "set", "--quorum-policy", "2", "--json"]));
    object(&laptop.types(&["policy", "set", "--members-max", "5", "--json"]));
    let id = proposed(&tablet)["proposal"].as_str().unwrap().to_owned();
    *lie.0.lock().unwrap() = Overtaking::HoldsTheNext;
    assert_eq!(tablet.types(&["approvals", "agree", &id]).code(), 7);
    let late = object(&phone.types(&["approvals", "agree", &id, "--json"]));
    assert_eq!((&late["kind"], &late["by"]), (&"change-policy".into(), &"tablet".into()));
    assert_eq!(setting(&phone, "members-max"), "5");
}

#[test]
fn the_end_of_a_chain_is_proposed_by_one_and_announced_by_another() {
    let relay = Relay::start();
    let (laptop, tablet, phone) = three(&relay.origin());
    object(&laptop.types(&["policy", "set", "--quorum-closing", "2", "--json"]));
    let purge = laptop.types(&["chain", "purge", "--accept-risk=purge"]);
    assert!(purge.code() == 0 && purge.stdout.contains("PROPOSED to announce the end"), "{}", purge.stdout);
    let id = proposed(&tablet)["proposal"].as_str().unwrap()[..8].to_owned();
    let agreed = tablet.types(&["approvals", "agree", &id]);
    assert_eq!(agreed.code(), 0, "{}", agreed.stderr);
    assert!(agreed.stdout.contains("ANNOUNCED the end of the chain by 'tablet'"), "{}", agreed.stdout);
    assert!(agreed.stderr.contains("after 7d any approver may end it"), "{}", agreed.stderr);
    assert_eq!(phone.types(&["chain", "veto"]).code(), 0, "one approver suffices to stop it");
    assert_eq!(laptop.kinds()[4..], ["closing", "veto"]);
}
