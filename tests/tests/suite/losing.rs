//! Losing devices and codes, as people live it: removed, left, rotated, and what is readable afterwards.

use countersign_tests::actor::{COLLECTION, Joiner, Reach};
use countersign_tests::home::{Home, failure_of};
use countersign_tests::relay::{Relay, Setup};
use protocol::code::SyncCode;
use serde_json::Value;

fn laptop_on(relay: &Relay) -> Home {
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    laptop
}

fn joined(relay: &Relay, name: &str, approver: &Home) -> Home {
    let home = Home::new(name);
    home.joins(&relay.origin(), approver);
    home
}

/// Who says that a device is no member any more.
fn said_by(home: &Home) -> String {
    let status: Value = serde_json::from_str(&home.types(&["status", "--json"]).stdout).unwrap();
    status["gone_said_by"].as_str().unwrap().to_owned()
}

fn epoch(home: &Home) -> u64 {
    home.reads(&["status"])["epoch"].as_u64().unwrap()
}

/// Names of the members, oldest first.
fn members(home: &Home) -> Vec<String> {
    let list = home.reads(&["devices", "list"]);
    let names = list["devices"].as_array().unwrap().iter();
    names.map(|device| device["name"].as_str().unwrap().to_owned()).collect()
}

/// Sentences of the diary.
fn diary(home: &Home) -> Vec<String> {
    let log = home.reads(&["log", "show"]);
    let steps = log["entries"].as_array().unwrap().iter();
    steps.map(|step| step["what"].as_str().unwrap().to_owned()).collect()
}

/// Its status called it an approver of five that reached its relay, and it queued writes that no relay ever takes.
#[test]
fn a_device_that_is_no_member_any_more_says_that_first_and_takes_out_what_it_has() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let (phone, tablet) = (joined(&relay, "phone", &laptop), joined(&relay, "tablet", &laptop));
    assert_eq!(laptop.puts("first", "hello").code(), 0);
    assert_eq!((phone.gets("first"), tablet.gets("first")), ("hello".to_owned(), "hello".to_owned()));
    assert_eq!(laptop.types(&["devices", "remove", "phone", "--reason", "lost"]).code(), 0);
    assert_eq!(tablet.types(&["leave", "--accept-risk=leave"]).code(), 0);
    for home in [&phone, &tablet] {
        let status = home.types(&["status"]);
        assert_eq!(status.code(), 6, "{}", status.stderr);
        let lines: Vec<&str> = status.stdout.lines().collect();
        let next = lines[..3].iter().any(|line| line.contains("next: countersign record export FILE"));
        assert!(lines[0].starts_with("GONE     ") && next, "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("device ") && line.ends_with("(no member)")), "{lines:?}");
        for wrong in ["(approver)", "(reachable)", "countersign run"] {
            assert!(!status.stdout.contains(wrong), "{}", status.stdout);
        }
        let exported = home.types(&["record", "export"]);
        assert!(exported.stdout.contains("aGVsbG8=") && exported.stdout.contains("\"relay\":\"refused\""));
        assert!(exported.stderr.starts_with("the relay gives this device nothing"), "{}", exported.stderr);
    }
    assert_eq!(tablet.fails(&["record", "put", "--queue", COLLECTION, "first", "late"]), (6, "left".to_owned()));
}

/// The laptop is stolen, unlocked, and writes as fast as it can; the phone removes it all the same, and nothing acknowledged is lost.
#[test]
fn a_stolen_laptop_is_removed_while_it_hammers() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    let tablet = joined(&relay, "tablet", &laptop);
    let daemon = laptop.runs();
    let (removed, written, last) = std::thread::scope(|scope| {
        let (first, begun) = std::sync::mpsc::channel();
        let laptop = &laptop;
        let hammering = scope.spawn(move || {
            let mut written = Vec::new();
            loop {
                let id = format!("r{}", written.len());
                let put = laptop.puts(&id, "written by a thief");
                if put.code() != 0 {
                    return (written, put);
                }
                written.push(id);
                let _ = first.send(());
            }
        });
        begun.recv().unwrap();
        let removed = phone.types(&["devices", "remove", "laptop", "--reason", "lost", "--keep", "tablet", "--json"]);
        let (written, last) = hammering.join().unwrap();
        (removed, written, last)
    });
    assert_eq!(removed.code(), 0, "{}{}", removed.stdout, removed.stderr);
    assert_eq!(last.code(), 6, "{}{}", last.stdout, last.stderr);
    let ended = daemon.end();
    assert_eq!(ended.code(), 6, "{}", ended.stderr);
    assert!(ended.stderr.contains("the relay says that this device is not a member"), "{}", ended.stderr);
    assert_eq!(laptop.fails(&["record", "list"]).0, 6);
    assert_eq!(laptop.types(&["status"]).code(), 6);
    assert!(!written.is_empty());
    for id in &written {
        assert_eq!(tablet.gets(id), "written by a thief");
    }
    assert_eq!(members(&tablet), ["phone", "tablet"]);
    assert_eq!((epoch(&phone), epoch(&tablet)), (2, 2));
    assert_eq!(phone.words(), tablet.words());
    assert_eq!(tablet.puts("after", "safe").code(), 0);
    assert_eq!(phone.gets("after"), "safe");
    assert!(
        diary(&phone)[3].starts_with("'laptop' removed by 'phone' (lost); epoch 2, new sync code"),
        "{:?}",
        diary(&phone)
    );
    for home in [&phone, &tablet] {
        let _ = home.reads(&["log", "verify"]);
    }
}

/// A thief with a program of its own writes a record a millisecond: the end of its line is never the one that was just read.
#[test]
fn a_thief_that_writes_without_a_pause_is_removed_all_the_same() {
    let relay = Relay::start();
    let phone = Home::new("phone");
    phone.founds(&relay.origin());
    let code = SyncCode::from_words(&phone.words()).unwrap();
    let mut joiner = Joiner::ask(Reach::to(&relay), &code, "thief");
    let id = joiner.request.id().to_string();
    let opening = phone.starts(&["requests", "show", &id]);
    let replies = (0..10_000).map(|_| joiner.answers()).find(|replies| !replies.is_empty()).unwrap();
    assert_eq!(opening.end().code(), 0);
    assert_eq!(phone.approves(&id, &replies[0].code.digits()).code(), 0);
    let mut thief = joiner.accepts();
    let (removed, written, refused) = std::thread::scope(|scope| {
        let (first, begun) = std::sync::mpsc::channel();
        let hammering = scope.spawn(move || {
            for number in 0.. {
                let sealed = thief.record(&format!("r{number}"), Some(b"spam"), None);
                let answer = thief.put(std::slice::from_ref(&sealed));
                if answer.status != 200 {
                    return (number, answer.told());
                }
                thief.follows(&sealed);
                let _ = first.send(());
            }
            unreachable!("it is removed");
        });
        begun.recv().unwrap();
        let removed = phone.types(&["devices", "remove", "thief", "--reason", "lost", "--json"]);
        let (written, refused) = hammering.join().unwrap();
        (removed, written, refused)
    });
    assert_eq!(removed.code(), 0, "{}{}", removed.stdout, removed.stderr);
    assert_eq!(refused, "403 not-a-member");
    let list = phone.reads(&["record", "list"]);
    assert_eq!(list["records"].as_array().unwrap().len(), written, "whether they count or are disputed");
    let _ = phone.reads(&["log", "verify"]);
}

#[test]
fn a_rotation_reaches_a_member_that_was_away_and_everything_stays_readable() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    assert_eq!(phone.puts("old", "of epoch 1").code(), 0);
    let before = laptop.words();
    for _ in 0..2 {
        let rotated = laptop.reads(&["code", "rotate"]);
        assert_eq!(rotated["kind"], "rotate");
    }
    assert_eq!(laptop.puts("new", "of epoch 3").code(), 0);
    assert_ne!(laptop.words(), before);
    assert_eq!((phone.gets("old"), phone.gets("new")), ("of epoch 1".to_owned(), "of epoch 3".to_owned()));
    assert_eq!(phone.words(), laptop.words());
    assert_eq!(phone.puts("newer", "of the phone").code(), 0);
    assert_eq!(laptop.gets("newer"), "of the phone");
    // A device that comes now reads it all.
    let tablet = joined(&relay, "tablet", &phone);
    assert_eq!((tablet.gets("old"), epoch(&tablet)), ("of epoch 1".to_owned(), 3));
}

#[test]
fn the_old_sync_code_is_dead_and_the_new_one_lets_a_device_in() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let before = laptop.words();
    let shown = laptop.types(&["code", "rotate"]);
    assert_eq!(shown.code(), 0, "{}", shown.stderr);
    assert!(shown.stdout.starts_with("ROTATED the keys by 'laptop'"), "{}", shown.stdout);
    assert!(shown.stderr.contains("next: countersign code show"), "{}", shown.stderr);
    assert!(!shown.stdout.contains(&laptop.words()), "nobody asked for the words");
    let late = Home::new("phone").asks(&relay.origin(), &before).end();
    assert_eq!((late.code(), failure_of(&late)), (5, "unknown-join-key".to_owned()));
    let phone = joined(&relay, "phone", &laptop);
    assert_eq!(phone.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
}

#[test]
fn a_device_leaves_and_the_next_approver_that_is_connected_rotates() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    assert_eq!(phone.puts("kept", "by who left").code(), 0);
    assert_eq!(laptop.types(&["devices", "role", "laptop", "writer"]).code(), 0, "there is another approver");
    assert_eq!(phone.fails(&["leave", "--accept-risk=leave"]), (3, "last-approver".to_owned()));
    assert_eq!(phone.types(&["devices", "role", "laptop", "approver"]).code(), 0);
    let unsaid = phone.types(&["leave"]);
    assert_eq!(unsaid.code(), 2, "{}", unsaid.stderr);
    assert!(unsaid.stderr.contains("countersign leave --accept-risk=leave"), "{}", unsaid.stderr);
    let left = phone.types(&["leave", "--accept-risk=leave"]);
    assert_eq!(left.code(), 0, "{}", left.stderr);
    assert!(left.stdout.starts_with("LEFT 'phone' by itself"), "{}", left.stdout);
    assert_eq!(phone.fails(&["record", "list"]), (6, "left".to_owned()));
    let status = phone.types(&["status"]);
    assert_eq!(status.code(), 6);
    assert!(status.stdout.contains("GONE     this device left the chain, at entry 4"), "{}", status.stdout);
    assert_eq!(said_by(&phone), "log");
    let daemon = laptop.runs();
    let _ = daemon.says("LEFT 'phone'");
    let _ = daemon.says("ROTATED the keys by 'laptop'");
    assert_eq!((epoch(&laptop), laptop.gets("kept")), (2, "by who left".to_owned()));
    assert_eq!(members(&laptop), ["laptop"]);
}

#[test]
fn of_two_approvers_one_rotates_after_a_device_left() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let (phone, tablet) = (joined(&relay, "phone", &laptop), joined(&relay, "tablet", &laptop));
    let daemons = [laptop.runs(), tablet.runs()];
    assert_eq!(phone.types(&["leave", "--accept-risk=leave"]).code(), 0);
    for daemon in &daemons {
        let _ = daemon.says("ROTATED the keys");
    }
    assert_eq!(laptop.kinds(), ["found", "admit", "admit", "leave", "rotate"]);
    assert_eq!(laptop.head(), tablet.head());
    assert_eq!(laptop.words(), tablet.words());
}

#[test]
fn not_me_denies_and_replaces_the_code_at_once() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let daemon = laptop.runs();
    let before = laptop.words();
    let thieves =
        [Home::new("thief").asks(&relay.origin(), &before), Home::new("other").asks(&relay.origin(), &before)];
    let ids = thieves.each_ref().map(|joining| joining.waits());
    let denied = laptop.reads(&["deny", &ids[0], "--not-me"]);
    assert_eq!(denied["reason"], "not-me");
    assert_eq!(laptop.kinds(), ["found", "deny", "rotate"]);
    let ended = daemon.says("ENDED");
    assert!(
        ended.contains(&ids[1][..8]) && laptop.requests().is_empty(),
        "what else asked with that code is over: {ended}"
    );
    assert_eq!(laptop.fails(&["requests", "show", &ids[1]]).0, 4);
    let again = Home::new("thief").asks(&relay.origin(), &before).end();
    assert_eq!(failure_of(&again), "unknown-join-key");
    let phone = joined(&relay, "phone", &laptop);
    assert_eq!(members(&phone), ["laptop", "phone"]);
    for joining in thieves {
        assert_eq!(joining.interrupted().code(), 4);
    }
}

#[test]
fn not_me_is_a_choice_of_the_prompt() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let mut screen = laptop.sits_at(&["run"]);
    let _ = screen.all.wait_on_screen(0, "nobody asks");
    let joining = Home::new("thief").asks(&relay.origin(), &laptop.words());
    let _ = joining.waits();
    let at = screen.all.wait_on_screen(0, "[1]");
    screen.say("1");
    let at = screen.all.wait_on_screen(at, "[n] not me");
    let at = screen.all.wait_on_screen(at, "the sync code has leaked");
    screen.say("n");
    let _ = screen.all.wait_on_screen(at, "(not-me)");
    let _ = screen.all.wait_on_screen(at, "ROTATED the keys by 'laptop'");
    let _ = screen.all.wait_on_screen(at, "nobody asks");
    screen.say("\u{3}");
    assert_eq!(screen.end().code(), 0);
    assert_eq!(laptop.kinds(), ["found", "deny", "rotate"]);
    assert_eq!(joining.interrupted().code(), 4);
}

#[test]
fn not_me_can_be_typed_line_by_line() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let words = laptop.words();
    let mut watching = laptop.types_at_a_terminal(&["run", "--plain"]);
    watching.all.wait("the connection", |line| line.starts_with("RELAY connected").then_some(()));
    let joining = Home::new("thief").asks(&relay.origin(), &words);
    let id = joining.waits();
    watching.all.wait("the request", |line| line.starts_with("REQUEST").then_some(()));
    watching.say(&format!("{}\n", &id[..8]));
    watching.all.wait("what it means", |line| line.starts_with("not me: nobody here asked").then_some(()));
    watching.say("not me\n");
    watching.all.wait("the denial", |line| line.starts_with("DENIED 'thief'").then_some(()));
    watching.all.wait("the new code", |line| line.starts_with("ROTATED the keys by 'laptop'").then_some(()));
    watching.all.wait("what to type", |line| line.contains("next: countersign code show").then_some(()));
    assert_eq!(joining.interrupted().code(), 4);
}

#[test]
fn a_removal_without_a_terminal_names_everybody_that_must_be_spoken_of() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    let tablet = joined(&relay, "tablet", &phone);
    let asked = laptop.types(&["devices", "remove", "phone"]);
    assert_eq!(asked.code(), 2);
    assert!(asked.stderr.contains("'tablet'") && asked.stderr.contains("--keep") && asked.stderr.contains("--also"));
    assert_eq!(laptop.fails(&["devices", "remove", "watch"]).0, 5);
    assert_eq!(laptop.fails(&["devices", "remove", "laptop"]), (3, "self-removal".to_owned()));
    assert_eq!(laptop.types(&["devices", "remove", "phone", "--also", "tablet"]).code(), 0);
    assert_eq!(members(&laptop), ["laptop"]);
    for gone in [&phone, &tablet] {
        assert_eq!(gone.fails(&["record", "list"]), (6, "not-a-member".to_owned()));
        let status = gone.types(&["status"]);
        assert_eq!(status.code(), 6);
        let said =
            "GONE     the relay says that this device is not a member of the chain (any more). That is its word alone";
        assert!(status.stdout.contains(said), "{}", status.stdout);
        assert_eq!(said_by(gone), "relay", "it was not shown the entry");
    }
}

#[test]
fn at_a_terminal_a_removal_asks_of_each_and_wants_a_word_typed() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    let _tablet = joined(&relay, "tablet", &phone);
    let mut screen = laptop.sits_at(&["devices", "remove", "phone", "--reason", "lost"]);
    let at = screen.all.wait_on_screen(0, "'tablet' (device");
    let at = screen.all.wait_on_screen(at, "was admitted by 'phone' at entry 2");
    screen.say("keep\n");
    let at = screen.all.wait_on_screen(at, "To be removed (lost):");
    let at = screen.all.wait_on_screen(at, "Type remove to go on");
    screen.say("yes\n");
    let _ = screen.all.wait_on_screen(at, "nothing was done");
    assert_eq!(screen.end().code(), 2);
    assert_eq!(members(&laptop), ["laptop", "phone", "tablet"]);
    let mut screen = laptop.sits_at(&["devices", "remove", "phone", "--reason", "lost", "--keep", "tablet"]);
    let at = screen.all.wait_on_screen(0, "Type remove to go on");
    screen.say("remove\n");
    let _ = screen.all.wait_on_screen(at, "REMOVED 'phone' by 'laptop' (lost)");
    assert_eq!(screen.end().code(), 0);
    assert_eq!(members(&laptop), ["laptop", "tablet"]);
}

/// The relay lost its store. A member fills the next one: with records of who is gone, of epochs that are over, in the order of the feed.
#[test]
fn an_empty_relay_is_filled_with_records_of_who_is_gone_and_of_epochs_that_are_over() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    for round in 0..3 {
        for writer in [&laptop, &phone] {
            assert_eq!(writer.puts("shared", &format!("version {round}")).code(), 0);
            assert_eq!(phone.gets("shared"), format!("version {round}"), "it has the content of each version");
        }
    }
    assert_eq!(laptop.puts("old", "of the removed").code(), 0);
    assert_eq!(phone.types(&["code", "rotate", "--json"]).code(), 0);
    assert_eq!(laptop.puts("newer", "of the removed, in epoch 2").code(), 0);
    let removed = phone.types(&["devices", "remove", "laptop"]);
    assert_eq!(removed.code(), 0, "{}", removed.stderr);
    assert_eq!(phone.puts("after", "of epoch 3").code(), 0);
    let address = relay.address();
    drop(relay);
    let relay = Setup::default().on_address(address).start();
    // The laptop comes first. It never saw its removal, so it gives back the log of before, and is let in once more.
    assert_eq!(laptop.types(&["record", "list"]).code(), 0);
    let daemon = phone.runs();
    assert_eq!(daemon.stops().code(), 0);
    let tablet = joined(&relay, "tablet", &phone);
    for (id, value) in [
        ("shared", "version 2"),
        ("old", "of the removed"),
        ("newer", "of the removed, in epoch 2"),
        ("after", "of epoch 3"),
    ] {
        assert_eq!(tablet.gets(id), value);
    }
    assert_eq!(members(&tablet), ["phone", "tablet"]);
    assert_eq!(tablet.reads(&["log", "verify"])["records"], phone.reads(&["log", "verify"])["records"]);
    assert_eq!(laptop.fails(&["record", "list"]).0, 6);
}

/// Past a cut that says earlier a reader's word brings nothing back. It gives the relay the rest, and whoever writes the remainder.
#[test]
fn a_reader_fills_an_empty_relay_with_all_but_what_is_disputed_and_a_writer_adds_that() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    let tablet = joined(&relay, "tablet", &laptop);
    let _ = laptop.reads(&["devices", "role", "tablet", "reader"]);
    assert_eq!(phone.puts("before", "good").code(), 0);
    assert_eq!(phone.puts("after", "bad").code(), 0);
    assert_eq!(laptop.puts("own", "of the laptop").code(), 0);
    let version = laptop.reads(&["record", "get", COLLECTION, "after"])["version"].clone();
    assert_eq!(laptop.puts("after", "good again").code(), 0);
    assert_eq!(laptop.puts("last", "later in its line").code(), 0);
    let _ = laptop.reads(&["devices", "remove", "phone", "--from", version.as_str().unwrap()]);
    assert_eq!(tablet.gets("last"), "later in its line");
    let address = relay.address();
    drop(relay);
    let relay = Setup::default().on_address(address).start();
    let filled = |home: &Home| {
        let ended = home.types(&["record", "list"]);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        ended.stderr
    };
    let stderr = filled(&tablet);
    assert!(
        stderr.contains("2 were given back, 3 do not fit"),
        "what stands on the disputed one waits with it: {stderr}"
    );
    assert!(!filled(&tablet).contains("given back"), "it is not tried for ever");
    let stderr = filled(&laptop);
    assert!(stderr.contains("3 were given back"), "{stderr}");
    let watch = joined(&relay, "watch", &laptop);
    for (id, value) in
        [("before", "good"), ("after", "good again"), ("own", "of the laptop"), ("last", "later in its line")]
    {
        assert_eq!(watch.gets(id), value);
    }
    let _ = watch.reads(&["log", "verify"]);
}

#[test]
fn a_device_that_left_fills_no_relay() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    let words = laptop.words();
    assert_eq!(phone.types(&["leave", "--accept-risk=leave"]).code(), 0);
    assert_eq!(laptop.kinds().last().unwrap(), "leave");
    let address = relay.address();
    drop(relay);
    let relay = Setup::default().on_address(address).start();
    assert_eq!(phone.fails(&["record", "list"]), (6, "left".to_owned()));
    let asked = Home::new("late").asks(&relay.origin(), &words).end();
    assert_eq!(failure_of(&asked), "unknown-join-key", "the relay knows no chain");
    assert_eq!(laptop.puts("first", "hello").code(), 0);
    assert_eq!(laptop.kinds(), ["found", "admit", "leave", "rotate"]);
}

/// Each write is sealed under the keys of the moment; one that a rotation overtakes is sealed anew.
#[test]
fn no_write_is_lost_while_the_keys_rotate() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    std::thread::scope(|scope| {
        let (laptop, phone) = (&laptop, &phone);
        scope.spawn(move || {
            for _ in 0..6 {
                assert_eq!(laptop.types(&["code", "rotate", "--json"]).code(), 0);
            }
        });
        for number in 0..12 {
            let put = phone.puts(&format!("r{number}"), "kept");
            assert_eq!(put.code(), 0, "{}{}", put.stdout, put.stderr);
        }
    });
    for number in 0..12 {
        assert_eq!(laptop.gets(&format!("r{number}")), "kept");
    }
    assert_eq!(epoch(&phone), 7);
    let _ = laptop.reads(&["log", "verify"]);
}

#[test]
fn records_of_old_epochs_are_written_anew_while_others_write() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    for number in 0..8 {
        assert_eq!(laptop.puts(&format!("r{number}"), "old").code(), 0);
    }
    assert_eq!(laptop.types(&["code", "rotate", "--json"]).code(), 0);
    let rekeyed = std::thread::scope(|scope| {
        let phone = &phone;
        scope.spawn(move || {
            for number in 0..8 {
                // It may lose against the one that is written anew: then it is told so.
                let put = phone.puts(&format!("r{number}"), "new");
                assert!(put.code() == 0 || failure_of(&put) == "conflict", "{}{}", put.stdout, put.stderr);
            }
        });
        laptop.reads(&["record", "rekey"])
    });
    assert_eq!(rekeyed["epoch"], 2);
    let (written, overtaken) = (rekeyed["written"].as_u64().unwrap(), rekeyed["overtaken"].as_u64().unwrap());
    assert!(written + overtaken <= 8, "{rekeyed}");
    assert_eq!(laptop.reads(&["record", "rekey"])["written"], 0, "all is done");
    let list = phone.reads(&["record", "list"]);
    let records = list["records"].as_array().unwrap();
    assert_eq!(records.len(), 8);
    assert!(records.iter().all(|record| record["value"] == "old" || record["value"] == "new"));
    let _ = phone.reads(&["log", "verify"]);
}

#[test]
fn what_a_distrusted_device_wrote_is_shown_as_disputed_until_it_is_written_anew() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    assert_eq!(laptop.puts("before", "good").code(), 0);
    assert_eq!(laptop.puts("after", "bad").code(), 0);
    let version = phone.reads(&["record", "get", COLLECTION, "after"])["version"].clone();
    let version = &version.as_str().unwrap()[..12];
    let removed = phone.reads(&["devices", "remove", "laptop", "--from", version]);
    assert_eq!(removed["reason"], "distrusted");
    let disputed = |id: &str| phone.reads(&["record", "get", COLLECTION, id])["disputed"].clone();
    assert_eq!((disputed("before"), disputed("after")), (false.into(), true.into()));
    assert!(phone.types(&["record", "list"]).stdout.contains("DISPUTED"));
    let exported = phone.types(&["record", "export", "-"]).stdout;
    let line = |id: &str| exported.lines().find(|line| line.contains(&format!("\"id\":\"{id}\""))).unwrap();
    assert!(line("after").contains("\"disputed\":true") && line("before").contains("\"disputed\":false"), "{exported}");
    assert_eq!(phone.puts("after", "good again").code(), 0);
    assert_eq!(disputed("after"), false);
}

#[test]
fn a_reader_reads_and_does_not_write() {
    let relay = Relay::start();
    let laptop = laptop_on(&relay);
    let phone = joined(&relay, "phone", &laptop);
    assert_eq!(phone.puts("first", "of an approver").code(), 0);
    let changed = laptop.reads(&["devices", "role", "phone", "reader"]);
    assert_eq!(changed["fields"][0]["to"], "reader");
    assert_eq!(phone.puts("second", "of a reader").code(), 3);
    assert_eq!(phone.gets("first"), "of an approver");
    assert_eq!(phone.fails(&["devices", "remove", "laptop"]), (3, "not-an-approver".to_owned()));
    assert_eq!(laptop.types(&["devices", "role", "phone", "writer"]).code(), 0);
    assert_eq!(phone.puts("second", "of a writer").code(), 0);
    assert_eq!(laptop.gets("second"), "of a writer");
}
