//! The whole way as people go it: the agent's commands on several homes, through a real relay.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::home::{Home, failure_of};
use countersign_tests::relay::{Relay, Setup};
use countersign_tests::scan::{self, Secrecy};
use serde_json::Value;

fn laptop_on(relay: &Relay) -> Home {
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    laptop
}

#[test]
fn joined_and_wrote() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.runs();
    let phone = Home::new("phone").at("127.0.0.7");
    let joining = phone.asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let pushed = daemon.says("REQUEST");
    assert!(pushed.contains("127.0.0.7") && pushed.contains("phone") && pushed.contains(&id[..8]), "{pushed}");
    let prompt = laptop.opens(&id);
    assert_eq!((prompt["address"].as_str(), prompt["name"].as_str()), (Some("127.0.0.7"), Some("phone")));
    let approved = laptop.approves(&id, &joining.code(1));
    assert_eq!(approved.code(), 0, "{}", approved.stderr);
    let joined = joining.end();
    assert_eq!(joined.code(), 0, "{}", joined.stderr);
    let last: Value = serde_json::from_str(joined.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((last["state"].as_str(), last["devices"].as_u64()), (Some("joined"), Some(2)));
    assert!(daemon.says("ADDED").contains("phone"));
    assert_eq!(phone.puts("first", "hello from the phone").code(), 0);
    assert_eq!(laptop.gets("first"), "hello from the phone");
    assert_eq!(phone.head(), laptop.head());
    for home in [&laptop, &phone] {
        assert_eq!(home.reads(&["log", "verify"])["entries"], 2);
        assert_eq!(home.reads(&["devices", "list"])["devices"].as_array().unwrap().len(), 2);
        home.is_closed_to_others();
    }
    assert_eq!(daemon.stops().code(), 0);
}

#[test]
fn a_device_that_did_not_join_is_no_member() {
    let phone = Home::new("phone");
    assert_eq!(phone.fails(&["record", "get", "a", "b"]), (6, "not-a-member".to_owned()));
    assert_eq!(phone.fails(&["status"]).0, 6);
}

#[test]
fn a_sync_code_is_never_an_argument_and_wrong_words_are_named() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    let refused = phone.types(&["join", "--relay", &relay.origin(), "abandon", "ability"]);
    assert_eq!(refused.code(), 2);
    assert!(refused.stderr.contains("--code-file"), "{}", refused.stderr);
    let mut words: Vec<String> = laptop.words().split(' ').map(str::to_owned).collect();
    words[2] = "abandn".to_owned();
    let ended = phone.asks(&relay.origin(), &words.join(" ")).end();
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("word 3") && ended.stderr.contains("abandon"), "{}", ended.stderr);
    assert_eq!(phone.types(&["join", "--relay", "http://192.0.2.1"]).code(), 2, "plain text over a network");
}

#[test]
fn a_denied_device_goes_on_waiting() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    let joining = phone.asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let denied = laptop.types(&["deny", &id]);
    assert_eq!(denied.code(), 0, "{}", denied.stderr);
    assert!(denied.stderr.contains("The new device is not told"), "{}", denied.stderr);
    assert!(laptop.requests().is_empty());
    assert_eq!(laptop.kinds(), ["found", "deny"]);
    assert_eq!(laptop.fails(&["approve", &id, "--check-code", "123456"]).0, 5, "the second decision is too late");
    assert!(!joining.has_shown_a_code());
    let ended = joining.interrupted();
    assert!(!ended.stdout.contains("denied") && !ended.stderr.contains("denied"), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code(), 4);
}

#[test]
fn an_interrupted_join_withdraws_the_request() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.runs();
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let _ = daemon.says("REQUEST");
    let ended = joining.interrupted();
    assert_eq!(ended.code(), 4, "{}", ended.stderr);
    assert!(daemon.says("ENDED").contains(&id[..8]));
    assert!(laptop.requests().is_empty());
}

#[test]
fn three_wrong_codes_deny_the_request() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let _ = laptop.opens(&id);
    let right = joining.code(1);
    let wrong = if right == "000000" { "111111" } else { "000000" };
    assert_eq!(laptop.fails(&["approve", &id, "--check-code", "12345"]).1, "not-a-code", "which is no guess");
    for expected in ["wrong-code", "wrong-code", "burned"] {
        assert_eq!(laptop.fails(&["approve", &id, "--check-code", wrong]), (3, expected.to_owned()));
    }
    assert_eq!(failure_of(&laptop.approves(&id, &right)), "already-decided");
    assert_eq!(laptop.kinds(), ["found", "deny"]);
    assert_eq!(joining.interrupted().code(), 4);
}

#[test]
fn two_approvers_that_open_one_prompt_have_a_code_each() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let tablet = Home::new("tablet");
    tablet.joins(&relay.origin(), &laptop);
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let _ = laptop.opens(&id);
    let _ = tablet.opens(&id);
    let (first, second) = (joining.code(1), joining.code(2));
    if first != second {
        assert_eq!(failure_of(&tablet.approves(&id, &first)), "wrong-code", "the other device's code");
    }
    assert_eq!(tablet.approves(&id, &second).code(), 0);
    assert_eq!(joining.end().code(), 0);
    assert_eq!(failure_of(&laptop.approves(&id, &first)), "already-decided");
    assert_eq!(laptop.head(), tablet.head());
}

#[test]
fn approve_against_deny_at_once_has_one_outcome_everywhere() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let tablet = Home::new("tablet");
    tablet.joins(&relay.origin(), &laptop);
    let daemon = laptop.runs();
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let _ = laptop.opens(&id);
    let code = joining.code(1);
    let approving = laptop.starts(&["approve", &id, "--check-code", &code, "--json"]);
    let denying = tablet.starts(&["deny", &id, "--json"]);
    let (approved, denied) = (approving.end(), denying.end());
    let codes = [approved.code(), denied.code()];
    assert!(codes == [0, 5] || codes == [5, 0], "{codes:?} {}{}", approved.stdout, denied.stdout);
    let outcome = if approved.code() == 0 { "admit" } else { "deny" };
    for home in [&laptop, &tablet] {
        assert_eq!(home.kinds().last().unwrap(), outcome);
    }
    assert_eq!(laptop.head(), tablet.head());
    let line = daemon.says(if outcome == "admit" { "ADDED" } else { "DENIED" });
    assert!(line.contains("phone"), "{line}");
    let ended = if outcome == "admit" { joining.end() } else { joining.interrupted() };
    assert_eq!(ended.code(), if outcome == "admit" { 0 } else { 4 });
}

#[test]
fn an_approver_that_comes_late_decides_what_waited() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let daemon = laptop.runs();
    assert!(daemon.says("REQUEST").contains(&id[..8]));
    let _ = laptop.opens(&id[..8]);
    assert_eq!(laptop.approves(&id[..8], &joining.code(1)).code(), 0, "any unique prefix names it");
    assert_eq!(joining.end().code(), 0);
}

/// The device's half of the bound: it counts for itself, whatever a relay says, and a relay that lost its store says nothing.
#[test]
fn the_sixth_prompt_of_a_day_is_not_opened_even_for_a_relay_that_forgot_the_first_five() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let words = laptop.words();
    for at in 0..5 {
        let joining = Home::new("thief").asks(&relay.origin(), &words);
        let id = joining.waits();
        let _ = laptop.opens(&id);
        let _ = joining.code(1);
        // At most three are open at a time; a denied one is not.
        assert_eq!(laptop.types(&["deny", &id]).code(), 0);
        assert_eq!(joining.interrupted().code(), 4, "{at}");
    }
    let origin = relay.origin();
    let port = relay.address();
    drop(relay);
    let relay = Setup::default().on_address(port).start();
    assert_eq!(relay.origin(), origin);
    // The empty relay is filled again by the first member that comes.
    assert_eq!(laptop.head().1, 5);
    assert!(laptop.requests().is_empty());
    let joining = Home::new("thief").asks(&relay.origin(), &words);
    let id = joining.waits();
    assert_eq!(laptop.requests(), std::slice::from_ref(&id), "this relay shows it");
    assert_eq!(laptop.fails(&["requests", "show", &id]), (3, "prompt-limit".to_owned()));
    assert!(!joining.has_shown_a_code());
}

/// "nobody asks" was all that an owner read, while a sixth device waited for her.
#[test]
fn an_owner_is_told_that_prompts_are_held_back_and_how_they_come_again() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let words = laptop.words();
    let daemon = laptop.runs();
    for at in 0..5 {
        assert!(laptop.reads(&["status"])["prompts_again_at"].is_null(), "{at}");
        let joining = Home::new("phone").asks(&relay.origin(), &words);
        let id = joining.waits();
        assert_eq!(laptop.requests(), [id]);
        assert_eq!(joining.interrupted().code(), 4);
    }
    let _ = daemon.waits_for("that no more come", |line| line.contains("prompts are held back until "));
    let sixth = Home::new("phone").asks(&relay.origin(), &words);
    let _ = sixth.waits();
    let listed = laptop.types(&["requests", "list"]);
    assert!(!listed.stderr.contains("nobody asks"), "{}", listed.stderr);
    let status = laptop.types(&["status"]).stdout;
    for said in [&listed.stderr, &status] {
        assert!(said.contains("held back until") && said.contains("countersign code rotate begins anew"), "{said}");
    }
    let again_at = laptop.reads(&["requests", "list"])["prompts_again_at"].clone();
    assert!(again_at.is_u64());
    assert_eq!(laptop.reads(&["status"])["prompts_again_at"], again_at);
    assert_eq!(daemon.stops().code(), 0);
    let daemon = laptop.runs();
    assert!(daemon.said().contains("prompts are held back until "), "{}", daemon.said());
    assert_eq!(laptop.types(&["code", "rotate"]).code(), 0);
    assert!(laptop.reads(&["status"])["prompts_again_at"].is_null());
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
}

#[test]
fn who_finds_every_place_taken_is_told_that_denied_requests_count_and_what_ends_them() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let words = laptop.words();
    let thieves: Vec<_> = (0..3)
        .map(|_| {
            let joining = Home::new("thief").asks(&relay.origin(), &words);
            assert_eq!(laptop.types(&["deny", &joining.waits()]).code(), 0);
            joining
        })
        .collect();
    let phone = Home::new("phone");
    let refused = phone.asks(&relay.origin(), &words).end();
    assert_eq!((refused.code(), failure_of(&refused)), (3, "too-many-pending".to_owned()));
    for said in ["three requests", "denied ones count", "next: countersign code rotate"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    assert_eq!(laptop.types(&["code", "rotate"]).code(), 0);
    drop(thieves);
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
}

#[test]
fn kill_9_of_everybody_between_the_steps_loses_nothing() {
    let mut relay = Relay::start();
    let laptop = laptop_on(&relay);
    relay.crash();
    let phone = Home::new("phone");
    let mut joining = phone.asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    joining.process().kill();
    relay.crash();
    let joining = phone.asks_on();
    assert_eq!(joining.waits(), id, "the same request");
    let daemon = laptop.runs();
    let _ = laptop.opens(&id);
    let code = joining.code(1);
    daemon.crashes();
    let mut joining = joining;
    joining.process().kill();
    relay.crash();
    let joining = phone.asks_on();
    assert_eq!(joining.code(1), code, "the same code");
    let daemon = laptop.runs();
    let wrong = if code == "000000" { "111111" } else { "000000" };
    assert_eq!(laptop.fails(&["approve", &id, "--check-code", wrong]).1, "wrong-code");
    daemon.crashes();
    let daemon = laptop.runs();
    assert_eq!(laptop.approves(&id, &code).code(), 0);
    daemon.crashes();
    relay.crash();
    assert_eq!(joining.end().code(), 0);
    assert_eq!(phone.puts("first", "hello").code(), 0);
    relay.crash();
    assert_eq!(laptop.gets("first"), "hello");
    assert_eq!(laptop.kinds(), ["found", "admit"]);
    assert_eq!(laptop.head(), phone.head());
}

#[test]
fn a_relay_that_is_away_is_said_to_be_and_commands_go_on_when_it_is_back() {
    let mut relay = Relay::start();
    let laptop = laptop_on(&relay);
    assert_eq!(laptop.puts("first", "one").code(), 0);
    relay.kill();
    assert_eq!(laptop.fails(&["requests", "list"]).0, 7);
    relay.start_again();
    assert_eq!(laptop.puts("second", "two").code(), 0);
    assert_eq!((laptop.gets("first"), laptop.gets("second")), ("one".to_owned(), "two".to_owned()));
}

#[test]
fn an_empty_relay_is_filled_again_by_a_member() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    let head = laptop.head();
    let address = relay.address();
    drop(relay);
    let relay = Setup::default().on_address(address).start();
    let daemon = laptop.runs();
    assert_eq!(laptop.head(), head);
    assert_eq!(phone.head(), head);
    assert_eq!(phone.puts("after", "all").code(), 0);
    assert_eq!(laptop.gets("after"), "all");
    assert_eq!(daemon.stops().code(), 0);
    drop(relay);
}

/// A new store of a relay counts from one again: whoever read on from its old place would pass over what was written there.
#[test]
fn a_relay_with_another_store_is_read_from_its_beginning() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    for id in ["one", "two", "three"] {
        assert_eq!(laptop.puts(id, "there").code(), 0);
    }
    assert_eq!(laptop.gets("three"), "there");
    let address = relay.address();
    drop(relay);
    let relay = Setup::default().on_address(address).start();
    assert_eq!(phone.puts("four", "here").code(), 0);
    assert_eq!(laptop.gets("four"), "here");
    drop(relay);
}

#[test]
fn what_a_stranger_calls_itself_is_cleaned_and_quoted() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.runs();
    let evil = "lap\u{1b}[2Jtop\u{202e}evil";
    let joining = Home::new(evil).asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let line = daemon.says("REQUEST");
    let shown = laptop.types(&["requests", "show", &id]);
    for text in [&line, &shown.stdout, &shown.stderr] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
    }
}

/// Three prompts were opened, and their joiners went away. Until their lifetime ended no fourth could be opened.
#[test]
fn a_withdrawn_request_does_not_hold_its_prompt() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let words = laptop.words();
    for _ in 0..4 {
        let joining = Home::new("phone").asks(&relay.origin(), &words);
        let id = joining.waits();
        let _ = laptop.opens(&id);
        assert_eq!(joining.interrupted().code(), 4);
    }
}

/// The chain's policy lets a request live three seconds; its founder is a device from outside, as `init` asks for no lifetime.
#[test]
fn a_join_that_nobody_answers_expires() {
    let relay = Relay::start();
    let policy = protocol::policy::Policy { request_lifetime: 3, ..protocol::policy::Policy::default() };
    let founder = Member::found_with(Reach::to(&relay), "founder", policy);
    let phone = Home::new("phone");
    let joining = phone.asks(&relay.origin(), &founder.code().words());
    let id = joining.waits();
    let ended = joining.end();
    assert_eq!((ended.code(), failure_of(&ended)), (4, "expired".to_owned()));
    let again = phone.asks(&relay.origin(), &founder.code().words());
    assert_ne!(again.waits(), id, "the next join draws new keys");
}

#[test]
fn over_tls_the_relay_is_known_by_its_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::default().over_tls(folder.path()).start();
    let origin = format!("https://{}", relay.address());
    let authority = folder.path().join("relay.pem");
    let authority = authority.to_str().unwrap();
    let laptop = Home::new("laptop");
    assert_eq!(laptop.fails(&["init", "--no-recovery", "--relay", &origin]).0, 7, "nobody vouches for it");
    let plain = format!("http://{}", relay.address());
    assert_eq!(laptop.fails(&["init", "--no-recovery", "--relay", &plain]).0, 7, "it does not speak plain HTTP");
    assert_eq!(laptop.types(&["init", "--no-recovery", "--relay", &origin, "--relay-ca", authority]).code(), 0);
    let daemon = laptop.runs();
    let words = folder.path().join("words");
    std::fs::write(&words, laptop.words()).unwrap();
    let phone = Home::new("phone");
    let arguments =
        ["join", "--relay", &origin, "--relay-ca", authority, "--code-file", words.to_str().unwrap(), "--json"];
    let joining = phone.starts(&arguments);
    let pushed = daemon.says("REQUEST");
    let id = pushed.split_whitespace().nth(1).unwrap();
    let _ = laptop.opens(id);
    let code = joining.stdout.wait("a code", |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["code"].as_str().map(str::to_owned)
    });
    assert_eq!(laptop.approves(id, &code).code(), 0);
    assert_eq!(joining.end().code(), 0);
    assert_eq!(phone.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
}

/// The bytes of a request are sent again and again: the person is asked once.
#[test]
fn a_replayed_request_raises_no_second_prompt() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.runs();
    let code = protocol::code::SyncCode::from_words(&laptop.words()).unwrap();
    let thief = Joiner::ask(Reach::to(&relay), &code, "thief");
    let _ = daemon.says("REQUEST");
    for _ in 0..5 {
        assert_eq!(thief.asks().status, 202);
    }
    assert_eq!(thief.withdraws().told(), "200");
    let _ = daemon.says("ENDED");
    let again = Joiner::ask(Reach::to(&relay), &code, "second");
    let second = again.request.id().short();
    let said = daemon.waits_for("the second request", |line| line.starts_with("REQUEST") && line.contains(&second));
    assert!(said.contains("second"));
    assert_eq!(daemon.said().lines().filter(|line| line.starts_with("REQUEST")).count(), 2, "{}", daemon.said());
}

#[test]
fn a_shell_is_offered_the_ids_of_open_requests_while_the_daemon_runs() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    assert_eq!(
        laptop.completes(&["approve", ""]),
        Vec::<String>::new(),
        "it neither waits for a relay nor takes the lock"
    );
    let _daemon = laptop.runs();
    for line in [&["approve", ""][..], &["deny", &id[..2]], &["requests", "show", &id[..4]]] {
        assert_eq!(laptop.completes(line), [&id[..8]], "{line:?}");
    }
    assert_eq!(laptop.completes(&["approve", &id[..9]]), [id.as_str()], "more than the short form was typed");
}

#[test]
fn keys_that_others_can_read_are_refused_with_the_command_to_type() {
    use std::os::unix::fs::PermissionsExt as _;
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let keys = laptop.state().join("device.keys");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = laptop.types(&["record", "list"]);
    assert_eq!(refused.code(), 1);
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
}

#[test]
fn one_process_at_a_time_signs_for_a_device() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.runs();
    assert_eq!(laptop.fails(&["run"]), (1, "locked".to_owned()));
    // Commands go through the daemon; many at once write one line without a gap.
    let writing: Vec<_> =
        (0..8).map(|at| laptop.starts(&["record", "put", "quiet-collection", &at.to_string(), "x"])).collect();
    for put in writing {
        let ended = put.end();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
    }
    assert_eq!(daemon.stops().code(), 0);
    let writing: Vec<_> =
        (8..12).map(|at| laptop.starts(&["record", "put", "quiet-collection", &at.to_string(), "x"])).collect();
    for put in writing {
        let ended = put.end();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
    }
    assert_eq!(laptop.reads(&["log", "verify"])["records"], 12);
}

#[test]
fn a_home_has_one_chain() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    assert_eq!(laptop.fails(&["init", "--no-recovery", "--relay", &relay.origin()]), (3, "home-in-use".to_owned()));
    let ended = laptop.asks(&relay.origin(), &laptop.words()).end();
    assert_eq!(failure_of(&ended), "home-in-use");
}

/// On a terminal: the request appears by itself, is opened by its number, and its code is typed.
#[test]
fn a_person_at_a_terminal_types_the_code_and_the_device_is_added() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let mut screen = laptop.sits_at(&["run"]);
    let _ = screen.all.wait_on_screen(0, "nobody asks");
    let phone = Home::new("phone").at("127.0.0.7");
    let joining = phone.asks(&relay.origin(), &laptop.words());
    let _ = joining.waits();
    let at = screen.all.wait_on_screen(0, "[1]");
    screen.say("1");
    let code = joining.code(1);
    let at = screen.all.wait_on_screen(at, "A device wants to join");
    let _ = screen.all.wait_on_screen(at, "127.0.0.7");
    let _ = screen.all.wait_on_screen(at, "press Enter");
    let wrong = if code == "000000" { "111111" } else { "000000" };
    screen.say(&format!("{wrong}\r"));
    let at = screen.all.wait_on_screen(at, "this is not the code");
    screen.say(&format!("{code}\r"));
    let _ = screen.all.wait_on_screen(at, "ADDED 'phone'");
    assert_eq!(joining.end().code(), 0);
    screen.say("\u{3}");
    assert_eq!(screen.end().code(), 0);
}

#[test]
fn a_prompt_on_a_terminal_vanishes_when_another_device_decides_first() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let tablet = Home::new("tablet");
    tablet.joins(&relay.origin(), &laptop);
    let mut screen = laptop.sits_at(&["run"]);
    let _ = screen.all.wait_on_screen(0, "nobody asks");
    let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let at = screen.all.wait_on_screen(0, "[1]");
    screen.say("1");
    let at = screen.all.wait_on_screen(at, "press Enter");
    let code = joining.code(1);
    // Half a code is on the screen when the tablet denies.
    screen.say(&code[..3]);
    assert_eq!(tablet.types(&["deny", &id]).code(), 0);
    let at = screen.all.wait_on_screen(at, "denied on 'tablet'");
    let at = screen.all.wait_on_screen(at, "nobody asks");
    // The other half goes nowhere.
    screen.say(&format!("{}\r", &code[3..]));
    screen.say("\u{3}");
    let _ = at;
    assert_eq!(screen.end().code(), 0);
    assert_eq!(laptop.kinds(), ["found", "admit", "deny"]);
    assert_eq!(joining.interrupted().code(), 4);
}

#[test]
fn a_person_types_the_words_at_a_prompt_that_does_not_show_them() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    let mut screen = phone.sits_at(&["join", "--relay", &relay.origin(), "--name", "phone"]);
    let _ = screen.all.wait_on_screen(0, "Sync code");
    let words = laptop.words();
    screen.say(&format!("{words}\n"));
    let at = screen.all.wait_on_screen(0, "Open this request on one of your devices");
    let shown = screen.all.lines().concat();
    // Pairs, because "device" is a word of the list and of the prompt.
    let words: Vec<&str> = words.split(' ').collect();
    assert!(!words.windows(2).any(|pair| shown.contains(&pair.join(" "))), "{shown}");
    let id = laptop.requests().remove(0);
    let _ = laptop.opens(&id);
    let at = screen.all.wait_on_screen(at, "type this on the device where you opened it");
    screen.say("\u{3}");
    let _ = screen.all.wait_on_screen(at, "withdrawn");
    assert_eq!(screen.end().code(), 4);
    assert!(laptop.requests().is_empty());
}

/// What a camera reads off the screen of `code show --qr` is pasted with whatever a phone puts around it.
#[test]
fn the_line_of_a_qr_code_joins_as_it_was_pasted_and_names_the_relay() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let shown = laptop.types(&["code", "show", "--qr"]);
    assert_eq!(shown.code(), 0, "without a terminal it is a result all the same");
    let (drawn, payload): (Vec<&str>, Vec<&str>) = shown.stdout.lines().partition(|line| line.contains('█'));
    assert!(drawn.len() > 15 && !shown.stdout.contains('\u{1b}'), "{}", shown.stdout);
    let [payload] = payload[..] else { panic!("one line, and not {payload:?}") };
    let (_, code) = payload.rsplit_once('=').unwrap();
    scan::secret("the payload of a QR code", Secrecy::Strict, code);
    assert_eq!(laptop.reads(&["code", "show", "--qr"])["payload"], payload);
    assert!(laptop.types(&["--color", "always", "code", "show", "--qr"]).stdout.contains("\u{1b}[38;5;231;48;5;16m"));
    for (name, around) in [("phone", ["", "\n"]), ("tablet", [" \u{a0}\t", " \r\n\r\n "]), ("watch", ["\u{feff}", ""])]
    {
        let [before, after] = around;
        let pasted = format!("{before}{payload}{after}");
        let home = Home::new(name);
        let mut by_hand = home.starts(&["join", "--name", name, "--code-file", "-", "--json"]);
        by_hand.say(&pasted);
        by_hand.hush();
        by_hand.stdout.wait("waiting", |line| line.contains("\"waiting\"").then_some(()));
        by_hand.signal("INT");
        assert_eq!(by_hand.end().code(), 4, "{name}");
        let file = home.keeps("pasted", &pasted);
        let from_file = home.starts(&["join", "--name", name, "--code-file", &file, "--json"]);
        from_file.stdout.wait("waiting", |line| line.contains("\"waiting\"").then_some(()));
        from_file.signal("INT");
        assert_eq!(from_file.end().code(), 4, "{name}");
    }
    let tail = payload.get(..payload.len() - 1).unwrap();
    let cut = Home::new("cut");
    let file = cut.keeps("pasted", tail);
    assert_eq!(cut.fails(&["join", "--code-file", &file]), (2, "usage".to_owned()));
}

/// At the prompt too.
#[test]
fn the_line_of_a_qr_code_is_pasted_at_the_prompt_and_not_shown() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let payload = laptop.reads(&["code", "show"])["payload"].as_str().unwrap().to_owned();
    let phone = Home::new("phone");
    let mut screen = phone.sits_at(&["join", "--name", "phone"]);
    let _ = screen.all.wait_on_screen(0, "or the line of a QR code");
    screen.say(&format!("{payload} \n"));
    let at = screen.all.wait_on_screen(0, "Open this request on one of your devices");
    let (_, code) = payload.rsplit_once('=').unwrap();
    assert!(!screen.all.lines().concat().contains(code));
    screen.say("\u{3}");
    let _ = screen.all.wait_on_screen(at, "withdrawn");
    assert_eq!(screen.end().code(), 4);
}

/// Words name no relay, and are long: it is asked for when they are there, and they are not typed twice.
#[test]
fn the_relay_is_asked_for_where_the_words_do_not_name_it() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    let mut screen = phone.sits_at(&["join", "--name", "phone"]);
    let at = screen.all.wait_on_screen(0, "Sync code (24 words");
    screen.say(&format!("{}\n", laptop.words()));
    let at = screen.all.wait_on_screen(at, "Address of the relay");
    screen.say("nowhere\n");
    let at = screen.all.wait_on_screen(at, "Address of the relay");
    screen.say(&format!("{}\n", relay.origin()));
    let at = screen.all.wait_on_screen(at, "Open this request on one of your devices");
    screen.say("\u{3}");
    let _ = screen.all.wait_on_screen(at, "withdrawn");
    assert_eq!(screen.end().code(), 4);
}

#[test]
fn words_of_another_chain_are_forgotten_so_that_the_right_ones_can_be_typed() {
    let (relay, elsewhere) = (Relay::start(), Relay::start());
    let laptop = laptop_on(&relay);
    let other = laptop_on(&elsewhere);
    let phone = Home::new("phone");
    let refused = phone.asks(&relay.origin(), &other.words()).end();
    assert_eq!((refused.code(), failure_of(&refused).as_str()), (5, "unknown-join-key"));
    phone.joins(&relay.origin(), &laptop);
}

#[test]
fn a_join_that_goes_on_at_the_right_address_leaves_a_member_that_dials_it() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = Home::new("phone");
    assert_eq!(phone.asks("http://127.0.0.1:1", &laptop.words()).end().code(), 7, "nobody is there");
    phone.joins(&relay.origin(), &laptop);
    assert_eq!(phone.puts("first", "hello").code(), 0);
}

/// From the first: the stream is open before the session begins.
#[test]
fn with_json_the_daemon_tells_each_event_as_an_object() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.starts(&["run", "--json"]);
    let told = |event: &str| {
        let of = |line: &str| serde_json::from_str(line).ok().filter(|told: &Value| told["event"] == event);
        let object = daemon.stdout.wait(event, of);
        assert_eq!(object["schema"], "countersign.event/1");
        object
    };
    assert_eq!(told("link")["state"], "connected");
    let id = Home::new("phone").asks(&relay.origin(), &laptop.words()).waits();
    assert_eq!(told("requested")["request"]["id"], id.as_str());
    daemon.signal("TERM");
    let ended = daemon.end();
    assert_eq!(ended.code(), 0);
    assert!(!ended.stderr.contains("REQUEST"), "{}", ended.stderr);
}

#[test]
fn a_block_is_said_as_it_is_typed_to_the_person_and_in_seconds_to_programs() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let denied = |args: &[&str]| {
        let joining = Home::new("phone").asks(&relay.origin(), &laptop.words());
        let id = joining.waits();
        let ended = laptop.types(&[&["deny", &id][..], args].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        ended.stdout
    };
    assert!(!denied(&[]).contains("its address range"));
    let object: Value = serde_json::from_str(&denied(&["--json"])).unwrap();
    assert_eq!((&object["outcome"], &object["block"]), (&"denied".into(), &0.into()));
    assert!(
        denied(&["--block", "2m"])
            .contains("the relay is asked to show nobody what comes from its address range for 2m")
    );
}

#[test]
fn a_value_that_is_too_long_is_refused_with_the_limit() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let value = |length: usize| laptop.keeps("value", &"x".repeat(length));
    let refused = laptop.types(&["record", "put", "notes", "long", "--file", &value(256 * 1024)]);
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("at most 256 KiB, less its names and the seal"), "{}", refused.stderr);
    let longer = laptop.types(&["record", "put", "notes", "long", "--file", &value(600 * 1024)]);
    assert!(longer.code() == 2 && longer.stderr.contains("at most 256 KiB"), "{}", longer.stderr);
    assert_eq!(laptop.types(&["record", "put", "notes", "long", "--file", &value(255 * 1024)]).code(), 0);
}

#[test]
fn names_are_quoted_for_people_and_bare_for_programs() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    Home::new("phone").joins(&relay.origin(), &laptop);
    assert_eq!(laptop.reads(&["status"])["name"], "laptop");
    assert_eq!(laptop.reads(&["devices"])["devices"][1]["admitted_by"], "laptop");
    assert!(laptop.types(&["status"]).stdout.contains("device   'laptop' "));
    assert!(laptop.types(&["devices"]).stdout.contains("admitted by 'laptop' ("));
}

/// What was not found, or may not be done, is followed by what to type.
#[test]
fn an_error_says_where_to_look() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let long = "x".repeat(257);
    for (args, code, next) in [
        (&["approve", "ffff", "--check-code", "123456"][..], 5, "next: countersign requests list"),
        (&["approve", "ffff"], 2, "countersign requests show ffff"),
        (&["record", "get", "notes", "none"], 5, "next: countersign record list"),
        (&["record", "queue", "get", "notes", "none"], 5, "next: countersign record queue"),
        (&["devices", "remove", "nobody"], 5, "next: countersign devices list"),
        (&["approvals", "agree", "ffff"], 5, "next: countersign approvals list"),
        (&["record", "put", "notes", "", "value"], 2, "has 1 to 256 characters"),
        (&["record", "put", "notes", &long, "value"], 2, "has 1 to 256 characters"),
        (&["credential", "export", "a.credential"], 5, "countersign credential export - a.credential"),
        (&["credential", "export", "nobody"], 5, "next: countersign devices list"),
        (&["record", "put", "notes", "first", "--file", "/nowhere/at/all"], 1, "is the name right?"),
    ] {
        let ended = laptop.types(args);
        assert_eq!(ended.code(), code, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(next), "{args:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("this program made a form"), "{args:?}: {}", ended.stderr);
    }
}
