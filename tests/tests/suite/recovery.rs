//! The device that lies on paper: made when a chain is founded, replaced, and used when no other is left.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use countersign_tests::actor::{Joiner, Reach};
use countersign_tests::home::{Home, failure_of, words_of};
use countersign_tests::http::Answer;
use countersign_tests::liar::{Fate, Liar, Lie};
use countersign_tests::process::{Ended, Process};
use countersign_tests::relay::Relay;
use countersign_tests::{scan, wait};
use protocol::code::SyncCode;
use serde_json::Value;
use tokio::sync::Notify;

/// The recovery words on a terminal's screen, and where the screen stands after them.
fn words_on(screen: &Process, from: usize) -> (Vec<String>, usize) {
    let end = screen.all.wait_on_screen(from, "Press Enter when they are on paper");
    let text = screen.all.lines().concat();
    let shown = &text[from..end];
    let table: Vec<&str> = shown[shown.find("kept nowhere.").unwrap() + 13..].split_whitespace().collect();
    let words: Vec<String> = table.chunks(2).take(24).map(|pair| pair[1].to_owned()).collect();
    assert_eq!(words.len(), 24, "{shown}");
    scan::words(&words.join(" "));
    (words, end)
}

/// Answers which word is asked for; where the screen stands after it.
fn asked_back(screen: &Process, from: usize) -> (usize, usize) {
    let at = screen.all.wait_on_screen(from, " of the paper: ");
    let text = screen.all.lines().concat();
    let number = text[..at].rsplit(' ').next().unwrap().parse().unwrap();
    (number, at + " of the paper: ".len())
}

#[test]
fn founding_shows_the_words_once_and_asks_two_of_them_back() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    let mut screen = laptop.sits_at(&["init", "--relay", &relay.origin(), "--name", "laptop"]);
    let (words, at) = words_on(&screen, 0);
    screen.say("\n");
    let (number, at) = asked_back(&screen, at);
    screen.say("zoology\n");
    let at = screen.all.wait_on_screen(at, &format!("That is not word {number}"));
    let (again, mut at) = words_on(&screen, at);
    assert_eq!(again, words, "they are shown again");
    screen.say("\n");
    for _ in 0..2 {
        let (number, after) = asked_back(&screen, at);
        screen.say(&format!("{}\n", words[number - 1]));
        at = after;
    }
    screen.all.wait_on_screen(at, "The recovery words are on paper");
    assert_eq!(screen.end().code(), 0);
    let recovery = laptop.reads(&["status"])["recovery"].clone();
    assert_eq!((recovery["seq"].as_u64(), recovery["words"].as_str()), (Some(0), Some("kept")));
    let listed = laptop.reads(&["devices"]);
    assert_eq!(listed["devices"].as_array().unwrap().len(), 1, "it is no device of a person");
    assert_eq!(listed["recovery"]["device"], recovery["device"]);
    for file in std::fs::read_dir(laptop.state()).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(file.path()).unwrap();
        let found = scan::leaks("the state directory", &String::from_utf8_lossy(&bytes), false);
        assert!(found.is_empty(), "{found:?}: {:?}", file.file_name());
    }
}

#[test]
fn words_that_are_not_typed_back_leave_a_chain_that_says_how_to_make_others() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    let mut screen = laptop.sits_at(&["init", "--relay", &relay.origin(), "--name", "laptop"]);
    let (_, at) = words_on(&screen, 0);
    screen.say("\u{3}");
    screen.all.wait_on_screen(at, "countersign recovery new   (makes other words");
    assert_eq!(screen.end().code(), 1);
    assert_eq!(laptop.reads(&["status"])["recovery"]["words"], "never-typed-back");
    let told = laptop.types(&["status"]);
    assert!(told.stdout.contains("NEVER TYPED BACK") && told.stdout.contains("recovery new"), "{}", told.stdout);
    let _ = laptop.renews_words("second");
    assert_eq!(laptop.reads(&["status"])["recovery"]["words"], "kept");
}

#[test]
fn without_a_terminal_the_words_go_into_a_new_file_or_the_risk_is_named() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    let refused = laptop.types(&["init", "--relay", &relay.origin()]);
    assert_eq!(refused.code(), 2);
    assert!(refused.stderr.contains("--recovery-file FILE") && refused.stderr.contains("--no-recovery"));
    let taken = laptop.keeps("taken", "something else");
    let refused = laptop.types(&["init", "--relay", &relay.origin(), "--recovery-file", &taken]);
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
    assert!(!laptop.state().join("device.keys").exists(), "nothing was drawn");
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "something else");
    let words = laptop.founds_with_words(&relay.origin());
    assert_eq!(words.split(' ').count(), 24);
    assert_ne!(words, laptop.words(), "other words than the sync code's");

    let bare = Home::new("bare");
    let founded = bare.types(&["init", "--relay", &relay.origin(), "--no-recovery"]);
    assert!(founded.stderr.contains("when the last device is lost, so is the chain"), "{}", founded.stderr);
    let status = bare.types(&["status"]);
    assert!(status.stdout.contains("recovery NONE") && status.stdout.contains("recovery new"), "{}", status.stdout);
    let _ = bare.renews_words("late");
    assert_eq!(bare.reads(&["status"])["recovery"]["seq"], 1);
}

#[test]
fn new_words_come_into_force_only_when_they_are_on_paper_and_the_chain_goes_on() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    let _ = laptop.founds_with_words(&relay.origin());
    let phone = Home::new("phone");
    phone.joins(&relay.origin(), &laptop);
    let before = laptop.reads(&["status"])["recovery"].clone();
    let sync_code = laptop.words();
    let mut screen = laptop.sits_at(&["recovery", "new"]);
    let (_, at) = words_on(&screen, 0);
    screen.say("\n");
    let (_, at) = asked_back(&screen, at);
    screen.say("\u{3}");
    screen.all.wait_on_screen(at, "nothing was changed");
    assert_eq!(screen.end().code(), 1);
    assert_eq!(laptop.reads(&["status"])["recovery"], before);

    let daemon = laptop.runs();
    let _ = laptop.renews_words("second");
    assert!(daemon.says("ROTATED").contains("new recovery device"));
    let after = phone.reads(&["status"]);
    assert_ne!(after["recovery"]["device"], before["device"]);
    assert_eq!((after["epoch"].as_u64(), after["seq"].as_u64()), (Some(2), Some(2)));
    assert_eq!(phone.puts("first", "still here").code(), 0);
    assert_eq!(laptop.gets("first"), "still here");
    assert_eq!(laptop.words(), sync_code, "the sync code goes on");
}

/// A relay whose answer to one request is lost on its way back, for as long as the device lives that asked.
struct Holds {
    path: &'static str,
    side: Side,
    held: AtomicBool,
    fired: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl Holds {
    fn one(path: &'static str, side: Side) -> Arc<Self> {
        Arc::new(Self { path, side, held: AtomicBool::new(false), fired: Notify::new() })
    }

    /// Waits until the request is held, and kills the device that waits for its answer.
    fn kills(&self, process: &mut Process) {
        wait::run("the request", self.fired.notified());
        process.kill();
    }
}

impl Lie for Holds {
    fn fate(&self, path: &str) -> Fate {
        if path != self.path || self.held.swap(true, Ordering::SeqCst) {
            return Fate::Arrives;
        }
        let forever = Arc::default();
        match self.side {
            Side::Before => {
                self.fired.notify_one();
                Fate::LostOnTheWay(forever)
            }
            Side::After => Fate::LostOnTheWayBack(forever),
        }
    }

    fn arrived(&self) {
        self.fired.notify_one();
    }
}

#[test]
fn a_founding_that_was_cut_off_goes_on_with_the_words_in_its_file_or_makes_others() {
    for side in [Side::Before, Side::After] {
        for other in [false, true] {
            let holds = Holds::one("/v1/chains", side);
            let liar = Liar::start(Arc::clone(&holds));
            let laptop = Home::new("laptop");
            let first = laptop.paper("first");
            let origin = liar.origin();
            holds.kills(&mut laptop.starts(&["init", "--relay", &origin, "--recovery-file", &first]));
            let words = words_of(&first);
            let file = if other { laptop.paper("second") } else { first };
            let founded = laptop.reads(&["init", "--relay", &origin, "--recovery-file", &file]);
            assert_eq!(founded["recovery"], "file");
            let status = laptop.reads(&["status"]);
            assert_eq!(status["seq"], u64::from(other), "other words take an entry of their own");
            assert_eq!(status["recovery"]["words"], "kept");
            assert_eq!(words_of(&file) == words, !other);
            let held = std::fs::read_to_string(&file).unwrap();
            let device = status["recovery"]["device"].as_str().unwrap();
            assert!(held.contains(&device[..8]), "{held}");
        }
    }
}

/// The head that a run without `--accept-log` names.
fn head_named(refused: &Ended) -> String {
    assert_eq!(refused.code(), 2, "{}{}", refused.stdout, refused.stderr);
    let after = refused.stderr.split("--accept-log ").nth(1).unwrap_or_else(|| panic!("{}", refused.stderr));
    after.split_whitespace().next().unwrap().to_owned()
}

/// Takes up a chain as a script does: looks first, then accepts what it saw.
fn taken_up(home: &Home, origin: &str, words: &str, paper: &str, choice: &[&str]) -> Ended {
    let head = head_named(&home.recovers(origin, words, "never", choice));
    home.recovers(origin, words, paper, &[choice, &["--accept-log", &head]].concat())
}

fn done(ended: &Ended) -> Value {
    assert_eq!(ended.code(), 0, "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn names(home: &Home) -> Vec<String> {
    let listed = home.reads(&["devices"]);
    listed["devices"].as_array().unwrap().iter().map(|device| device["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_drowned_phone_and_a_stolen_laptop_and_only_paper_is_left() {
    let relay = Relay::start();
    let origin = relay.origin();
    let (laptop, phone, tablet) = (Home::new("laptop"), Home::new("phone"), Home::new("tablet"));
    let words = laptop.founds_with_words(&origin);
    phone.joins(&origin, &laptop);
    assert_eq!(laptop.puts("first", "from the laptop").code(), 0);
    assert_eq!(phone.puts("second", "from the phone").code(), 0);
    let sync_code = laptop.words();
    let stolen = laptop.runs();

    let look = tablet.recovers(&origin, &words, "new", &["--remove", "laptop", "--remove", "phone"]);
    for shown in ["verified    chain", "'laptop' (claimed by it)", "'phone' (claimed by it)", "can show an old log"] {
        assert!(look.stderr.contains(shown), "{shown}: {}", look.stderr);
    }
    let head = head_named(&look);
    let unsaid = tablet.recovers(&origin, &words, "new", &[]);
    assert_eq!(head_named(&unsaid), head, "it shows first, and then asks for both");
    assert!(unsaid.stderr.contains("--remove NAME") && unsaid.stderr.contains("--keep-all"), "{}", unsaid.stderr);
    let found: Value = serde_json::from_str(&unsaid.stdout).unwrap();
    assert_eq!((&found["schema"], &found["exit"]), (&"countersign.recovery-found/1".into(), &2.into()));
    assert_eq!((&found["devices"][1]["name"], &found["devices"][1]["role"]), (&"phone".into(), &"approver".into()));
    assert!(found["head"].as_str().unwrap().starts_with(&head));
    assert!(laptop.head().0.starts_with(&head));
    assert!(!tablet.state().exists(), "looking leaves nothing behind");
    let choice = ["--remove", "laptop", "--remove", "phone", "--accept-log", &head];
    let recovered = done(&tablet.recovers(&origin, &words, "new", &choice));
    assert_eq!(
        (recovered["schema"].as_str(), recovered["devices"].as_u64()),
        (Some("countersign.recovered/1"), Some(1))
    );
    assert_eq!(names(&tablet), ["tablet"]);
    assert_eq!((tablet.gets("first"), tablet.gets("second")), ("from the laptop".into(), "from the phone".into()));
    assert_eq!(tablet.kinds(), ["found", "admit", "admit", "remove"]);
    tablet.is_closed_to_others();
    assert_eq!(tablet.puts("first", "from the tablet").code(), 0);
    assert_ne!(tablet.words(), sync_code, "the old sync code is dead");
    assert_eq!(tablet.reads(&["log", "verify"])["entries"], 4);
    assert_eq!(stolen.end().code(), 6, "it is shut out at once");
    assert_eq!(laptop.fails(&["record", "put", "notes", "x", "y"]).0, 6);

    let other = Home::new("other");
    assert_eq!(failure_of(&other.recovers(&origin, &words, "x", &["--keep-all"])), "no-such-words");
    let new = words_of(&tablet.paper("new"));
    assert_ne!(new, words);
    let _ = done(&taken_up(&other, &origin, &new, "newer", &["--keep-all"]));
    assert_eq!(names(&other), ["tablet", "other"]);
    phone_joins_again(&origin, &other);
}

/// Whoever makes recovery words fills every quorum with them.
#[test]
fn where_two_must_agree_nobody_makes_new_words_alone_and_the_old_ones_name_their_successor() {
    let relay = Relay::start();
    let origin = relay.origin();
    let (laptop, phone, tablet) = (Home::new("laptop"), Home::new("phone"), Home::new("tablet"));
    let words = laptop.founds_with_words(&origin);
    phone.joins(&origin, &laptop);
    assert_eq!(laptop.types(&["policy", "set", "--quorum-remove", "2"]).code(), 0);
    let paper = laptop.paper("own words");
    let refused = laptop.fails(&["recovery", "new", "--recovery-file", &paper]);
    assert_eq!(refused, (3, "recovery-under-quorum".to_owned()));
    assert!(!std::path::Path::new(&paper).exists(), "none were made");
    let _ = done(&taken_up(&tablet, &origin, &words, "new", &["--keep-all"]));
    assert_eq!(names(&tablet), ["laptop", "phone", "tablet"]);
    assert_eq!(laptop.kinds(), ["found", "admit", "change-policy", "admit", "rotate"]);
    let new = words_of(&tablet.paper("new"));
    let other = Home::new("other");
    assert_eq!(failure_of(&other.recovers(&origin, &words, "x", &["--keep-all"])), "no-such-words");
    let _ = done(&taken_up(&other, &origin, &new, "newer", &["--remove", "tablet"]));
    assert_eq!(names(&laptop), ["laptop", "phone", "other"]);
}

/// A chain that was recovered goes on like any other.
fn phone_joins_again(origin: &str, approver: &Home) {
    let phone = Home::new("phone");
    phone.joins(origin, approver);
    assert_eq!(phone.gets("first"), "from the tablet");
}

#[test]
fn words_in_a_drawer_open_the_chain_after_three_rotations_and_a_relay_that_restarted() {
    let mut relay = Relay::start();
    let origin = relay.origin();
    let (laptop, phone, tablet) = (Home::new("laptop"), Home::new("phone"), Home::new("tablet"));
    let words = laptop.founds_with_words(&origin);
    assert_eq!(laptop.puts("first", "epoch one").code(), 0);
    let _ = laptop.reads(&["code", "rotate"]);
    relay.crash();
    phone.joins(&origin, &laptop);
    let _ = laptop.reads(&["code", "rotate"]);
    assert_eq!(phone.puts("second", "epoch three").code(), 0);
    relay.crash();
    assert_eq!(laptop.types(&["devices", "remove", "phone", "--reason", "lost"]).code(), 0);
    assert_eq!(laptop.reads(&["status"])["epoch"], 4);
    relay.crash();
    let recovered = done(&taken_up(&tablet, &origin, &words, "new", &["--keep-all"]));
    assert_eq!(recovered["devices"], 2);
    assert_eq!((tablet.gets("first"), tablet.gets("second")), ("epoch one".into(), "epoch three".into()));
    assert_eq!(tablet.reads(&["status"])["epoch"], 5);
    assert_eq!(tablet.words(), laptop.words(), "nobody went, so the sync code goes on");
    assert_eq!(laptop.puts("third", "still here").code(), 0);
    assert_eq!(tablet.gets("third"), "still here");
}

#[test]
fn at_a_terminal_everything_is_asked_and_only_a_yes_goes_on() {
    let relay = Relay::start();
    let origin = relay.origin();
    let (laptop, phone, tablet) = (Home::new("laptop"), Home::new("phone"), Home::new("tablet"));
    let paper = laptop.founds_with_words(&origin);
    phone.joins(&origin, &laptop);
    let refused = {
        let mut screen = tablet.sits_at(&["recovery", "use", "--relay", &origin, "--name", "tablet"]);
        let at = screen.all.wait_on_screen(0, "Recovery words (24");
        screen.say(&format!("{paper}\n"));
        screen.all.wait_on_screen(at, "Type yes to go on");
        screen.say("y\n");
        screen.end()
    };
    assert_eq!(refused.code(), 2);
    assert!(!tablet.state().exists());

    let mut screen = tablet.sits_at(&["recovery", "use", "--relay", &origin, "--name", "tablet"]);
    let at = screen.all.wait_on_screen(0, "Recovery words (24");
    screen.say(&format!("{paper}\n"));
    let at = screen.all.wait_on_screen(at, "Type yes to go on");
    screen.say("yes\n");
    let at = screen.all.wait_on_screen(at, "'laptop' (device");
    screen.say("keep\n");
    let at = screen.all.wait_on_screen(at, "'phone' (device");
    screen.say("remove\n");
    let (words, mut at) = words_on(&screen, at);
    screen.say("\n");
    for _ in 0..2 {
        let (number, after) = asked_back(&screen, at);
        screen.say(&format!("{}\n", words[number - 1]));
        at = after;
    }
    screen.all.wait_on_screen(at, "recovered chain");
    assert_eq!(screen.end().code(), 0);
    assert_eq!(names(&tablet), ["laptop", "tablet"]);
    assert_eq!(names(&laptop), ["laptop", "tablet"]);
    assert_eq!(phone.fails(&["record", "get", "a", "b"]).0, 6);
}

#[test]
fn without_a_terminal_what_is_missing_is_named_and_words_are_read_strictly() {
    let relay = Relay::start();
    let origin = relay.origin();
    let (laptop, tablet) = (Home::new("laptop"), Home::new("tablet"));
    let words = laptop.founds_with_words(&origin);
    let said = |ended: &Ended, what: &str| {
        assert_eq!(ended.code(), 2, "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(what), "{what}: {}", ended.stderr);
    };
    said(&tablet.types(&["recovery", "use", "--relay", &origin]), "--recovery-file FILE");
    said(
        &tablet.types(&["recovery", "use", "--relay", &origin, "--recovery-file", &tablet.paper("new")]),
        "--words-file FILE",
    );
    said(&tablet.types(&["recovery", "use", "abandon", "ability"]), "never an argument");
    let mut wrong: Vec<&str> = words.split(' ').collect();
    wrong[11] = "abandn";
    said(
        &tablet.recovers(&origin, &wrong.join(" "), "new", &["--keep-all"]),
        "word 12 is not on the list; the nearest is \"abandon\"",
    );
    said(&tablet.recovers(&origin, "abandon ability", "new", &["--keep-all"]), "24 recovery words; 2 were given");
    said(
        &tablet.recovers(&origin, &words, "new", &["--keep-all", "--accept-log", "3f9"]),
        "8 to 64 hexadecimal digits",
    );
    let sync_code = laptop.words();
    assert_eq!(failure_of(&tablet.recovers(&origin, &sync_code, "new", &["--keep-all"])), "no-such-words");
    let head = head_named(&tablet.recovers(&origin, &words, "new", &["--keep-all"]));
    let unknown = tablet.recovers(&origin, &words, "new", &["--remove", "phone", "--accept-log", &head]);
    assert_eq!(unknown.code(), 5, "{}", unknown.stderr);
    assert!(!tablet.state().exists() && !std::path::Path::new(&tablet.paper("new")).exists());
    let _ = laptop.reads(&["code", "rotate"]);
    let older = tablet.recovers(&origin, &words, "new", &["--keep-all", "--accept-log", &head]);
    said(&older, "the log went on after");
    assert_eq!(laptop.recovers(&origin, &words, "new", &["--keep-all"]).code(), 3, "it is a device already");
}

/// Killed before or after either of its two posts: the same command goes on without words, and there is one new device.
#[test]
fn a_recovery_that_was_cut_off_anywhere_goes_on_without_the_words() {
    for path in ["/v1/requests", "/v1/log"] {
        for side in [Side::Before, Side::After] {
            for choice in [&["--remove", "laptop"][..], &["--keep-all"]] {
                // The laptop does not go through the lie: only the posts of the recovery are held.
                let holds = Holds::one(path, side);
                let liar = Liar::start(Arc::clone(&holds));
                let origin = liar.origin();
                let (laptop, tablet) = (Home::new("laptop"), Home::new("tablet"));
                let words = laptop.founds_with_words(&origin);
                assert_eq!(laptop.puts("first", "kept").code(), 0);
                let head = head_named(&tablet.recovers(&origin, &words, "new", choice));
                let choice = [choice, &["--accept-log", &head]].concat();
                let mut process = tablet.starts_to_recover(&origin, &words, "new", &choice);
                process.hush();
                holds.kills(&mut process);
                let what = format!("{path} {side:?} {choice:?}");
                for command in
                    [&["status"][..], &["init", "--no-recovery", "--relay", &origin], &["join", "--relay", &origin]]
                {
                    assert_eq!(tablet.fails(command), (6, "unrecovered".to_owned()), "{what}: {command:?}");
                }
                let ended = tablet.types(&["recovery", "use", "--json"]);
                assert_eq!(done(&ended)["words"], Value::Null, "{what}: {}", ended.stderr);
                assert_eq!(tablet.gets("first"), "kept");
                let admitted = tablet.kinds().iter().filter(|kind| *kind == "admit").count();
                assert_eq!(admitted, 1, "{what}");
                let held = std::fs::read_to_string(tablet.paper("new")).unwrap();
                let device = tablet.reads(&["status"])["recovery"]["device"].as_str().unwrap().to_owned();
                assert!(held.contains(&device[..8]), "{what}: the new words are those in force");
                assert_eq!(tablet.fails(&["recovery", "use", "--keep-all", "--recovery-file", "x"]).1, "home-in-use");
            }
        }
    }
}

/// The batch landed and its answer was lost: only the keys of this device, or the new words, open the chain now.
#[test]
fn the_refusal_of_another_relay_gives_up_no_keys() {
    let holds = Holds::one("/v1/log", Side::After);
    let liar = Liar::start(Arc::clone(&holds));
    let origin = liar.origin();
    let (laptop, tablet) = (Home::new("laptop"), Home::new("tablet"));
    let words = laptop.founds_with_words(&origin);
    let head = head_named(&tablet.recovers(&origin, &words, "new", &["--keep-all"]));
    let mut process = tablet.starts_to_recover(&origin, &words, "new", &["--keep-all", "--accept-log", &head]);
    process.hush();
    holds.kills(&mut process);
    let elsewhere = Relay::start();
    let lost = tablet.types(&["recovery", "use", "--relay", &elsewhere.origin()]);
    assert_ne!(lost.code(), 0, "{}", lost.stderr);
    let behind = liar.relay.origin();
    let ended = tablet.types(&["recovery", "use", "--relay", &behind, "--json"]);
    assert_eq!(done(&ended)["words"], Value::Null, "{}", ended.stderr);
    assert_eq!(tablet.reads(&["relay", "show"])["relay"], behind, "what it dials from now on");
}

/// Nobody has to believe a flag: the chain that was drawn has a recovery device.
#[test]
fn a_founding_that_goes_on_without_recovery_says_whose_words_hold() {
    let holds = Holds::one("/v1/chains", Side::Before);
    let liar = Liar::start(Arc::clone(&holds));
    let (laptop, origin) = (Home::new("laptop"), liar.origin());
    let paper = laptop.paper("first");
    holds.kills(&mut laptop.starts(&["init", "--relay", &origin, "--recovery-file", &paper]));
    let founded = laptop.types(&["init", "--relay", &origin, "--no-recovery", "--json"]);
    assert_eq!(done(&founded)["recovery"], "elsewhere");
    assert!(founded.stderr.contains("they hold"), "{}", founded.stderr);
    let device = laptop.reads(&["status"])["recovery"]["device"].as_str().unwrap().to_owned();
    assert!(std::fs::read_to_string(&paper).unwrap().contains(&device[..8]));
}

#[test]
fn a_recovery_that_another_change_overtook_begins_anew() {
    let holds = Holds::one("/v1/log", Side::Before);
    let liar = Liar::start(Arc::clone(&holds));
    let origin = liar.origin();
    let (laptop, tablet) = (Home::new("laptop"), Home::new("tablet"));
    let words = laptop.founds_with_words(&origin);
    let head = head_named(&tablet.recovers(&origin, &words, "new", &["--keep-all"]));
    let mut process = tablet.starts_to_recover(&origin, &words, "new", &["--keep-all", "--accept-log", &head]);
    process.hush();
    holds.kills(&mut process);
    let _ = laptop.reads(&["code", "rotate"]);
    let again = tablet.recovers(&origin, &words, "newer", &["--keep-all", "--accept-log", &head]);
    assert_eq!(again.code(), 2, "{}", again.stderr);
    assert!(
        again.stderr.contains("it begins anew") && again.stderr.contains("the log went on after"),
        "{}",
        again.stderr
    );
    let head = head_named(&again);
    let _ = done(&tablet.recovers(&origin, &words, "newer", &["--keep-all", "--accept-log", &head]));
    assert_eq!(names(&tablet), ["laptop", "tablet"]);
}

/// Whoever has the sync code can hold all places for requests, and have the rest of a day's requests shown to nobody.
#[test]
fn a_thief_of_the_sync_code_cannot_keep_the_owner_out() {
    let relay = Relay::start();
    let origin = relay.origin();
    let laptop = Home::new("laptop");
    let words = laptop.founds_with_words(&origin);
    let code = SyncCode::from_words(&laptop.words()).unwrap();
    let thieves: Vec<Joiner> = (0..3).map(|_| Joiner::ask(Reach::to(&relay), &code, "thief")).collect();
    let tablet = Home::new("tablet");
    let _ = done(&taken_up(&tablet, &origin, &words, "new", &["--keep-all"]));
    for thief in &thieves {
        let _ = thief.withdraws();
    }
    let more: Vec<Joiner> = (0..2).map(|_| Joiner::ask(Reach::to(&relay), &code, "thief")).collect();
    let other = Home::new("other");
    let words = words_of(&tablet.paper("new"));
    let _ = done(&taken_up(&other, &origin, &words, "newer", &["--remove", "laptop"]));
    drop(more);
    assert_eq!(names(&other), ["tablet", "other"]);
}

/// A relay that shows what was so once.
#[derive(Default)]
struct Yesterday {
    kept: Mutex<BTreeMap<&'static str, Answer>>,
    shows: Mutex<Vec<&'static str>>,
}

impl Yesterday {
    fn kind(path: &str) -> Option<&'static str> {
        match path {
            _ if path.starts_with("/v1/keys/") => Some("keys"),
            _ if path.starts_with("/v1/chains/") && path.ends_with("/log") => Some("log"),
            _ => None,
        }
    }

    /// From now on these answers are those of yesterday.
    fn shows(&self, kinds: &[&'static str]) {
        *self.shows.lock().unwrap() = kinds.to_vec();
    }
}

impl Lie for Yesterday {
    fn answer(&self, path: &str, answer: Answer) -> Answer {
        let Some(kind) = Self::kind(path) else { return answer };
        let mut kept = self.kept.lock().unwrap();
        if self.shows.lock().unwrap().contains(&kind) {
            return kept[kind].clone();
        }
        if answer.status.is_success() {
            kept.entry(kind).or_insert_with(|| answer.clone());
        }
        answer
    }
}

#[test]
fn an_old_log_is_refused_where_the_device_can_know_and_told_of_where_it_cannot() {
    let lie = Arc::new(Yesterday::default());
    let liar = Liar::start(Arc::clone(&lie));
    let origin = liar.origin();
    let (laptop, phone, tablet) = (Home::new("laptop"), Home::new("phone"), Home::new("tablet"));
    let first = laptop.founds_with_words(&origin);
    phone.joins(&origin, &laptop);
    let old_head = head_named(&tablet.recovers(&origin, &first, "new", &["--keep-all"]));
    assert_eq!(laptop.types(&["devices", "remove", "phone", "--reason", "lost"]).code(), 0);
    let head = laptop.head().0;

    lie.shows(&["log"]);
    let cut = tablet.recovers(&origin, &first, "new", &["--keep-all"]);
    assert_eq!(cut.code(), 8, "it names a head that it does not show: {}", cut.stderr);
    lie.shows(&["keys", "log"]);
    let old = tablet.recovers(&origin, &first, "new", &["--keep-all", "--accept-log", &head]);
    assert_eq!(old.code(), 8, "the person knows a later head: {}", old.stderr);
    let told = tablet.recovers(&origin, &first, "new", &["--keep-all"]);
    assert_eq!(head_named(&told), old_head, "it verifies, and only the person can tell");
    assert!(told.stderr.contains("'phone'") && told.stderr.contains("can show an old log"), "{}", told.stderr);

    lie.shows(&[]);
    let second = laptop.renews_words("second");
    lie.shows(&["keys", "log"]);
    let replaced = tablet.recovers(&origin, &second, "new", &["--keep-all"]);
    assert_eq!(replaced.code(), 8, "these words are not yet in that log: {}", replaced.stderr);
    assert!(replaced.stderr.contains("another recovery device"), "{}", replaced.stderr);
    assert!(!tablet.state().exists());
    lie.shows(&[]);
    let _ = done(&taken_up(&tablet, &origin, &second, "new", &["--keep-all"]));
    assert_eq!(names(&tablet), ["laptop", "tablet"]);
}
