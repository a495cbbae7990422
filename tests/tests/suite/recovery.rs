//! The device that lies on paper: made when a chain is founded, replaced, and used when no other is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_tests::home::{Home, words_of};
use countersign_tests::liar::{Fate, Liar, Lie};
use countersign_tests::process::Process;
use countersign_tests::relay::Relay;
use countersign_tests::{scan, wait};
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
