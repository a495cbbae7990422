//! One-time codes of an authenticator, with another program as the authenticator.

use std::io::Write as _;
use std::process::{Command, Stdio};

use countersign_tests::actor::{Joiner, Reach};
use countersign_tests::home::{Daemon, Home, failure_of};
use countersign_tests::relay::Relay;
use countersign_tests::scan::{self, Secrecy};
use protocol::code::SyncCode;

/// The authenticator of a person: it knows the line that was shown.
struct Authenticator {
    secret: String,
}

impl Authenticator {
    fn reads(line: &str) -> Self {
        let (_, rest) = line.split_once("secret=").expect("a secret in the line");
        let secret = rest.split('&').next().unwrap().to_owned();
        scan::secret("the secret of one-time codes", Secrecy::Strict, &secret);
        Self { secret }
    }

    /// The code of now, by oathtool. The secret goes by its standard input.
    fn shows(&self) -> String {
        let mut program = Command::new("oathtool")
            .args(["--totp", "--base32", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("oathtool, which tests/tools.sh installs");
        program.stdin.take().unwrap().write_all(self.secret.as_bytes()).unwrap();
        let shown = program.wait_with_output().unwrap();
        assert!(shown.status.success());
        String::from_utf8(shown.stdout).unwrap().trim().to_owned()
    }
}

fn another(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

/// Sets codes up as a person does: reads the line, types a wrong code, then the right one.
fn sets_up(home: &Home, mode: &str) -> Authenticator {
    let mut screen = home.types_at_a_terminal(&["totp", "setup", "--mode", mode]);
    let line = screen.all.wait("the line", |line| line.contains("otpauth://").then(|| line.to_owned()));
    assert!(screen.all.text().contains('▀'), "a QR code stands above it");
    let authenticator = Authenticator::reads(&line);
    screen.say(&format!("{}\n", another(&authenticator.shows())));
    screen.all.wait("what is wrong", |line| line.contains("not the code of now").then_some(()));
    screen.say(&format!("{}\n", authenticator.shows()));
    assert_eq!(screen.end().code(), 0);
    let policies = home.kinds().into_iter().filter(|kind| kind == "change-policy");
    assert_eq!(policies.count(), 1, "once, with the right code");
    authenticator
}

fn totp(home: &Home) -> serde_json::Value {
    home.reads(&["status"])["totp"].clone()
}

#[test]
fn a_machine_that_is_always_on_lets_in_by_a_right_code_alone_and_a_code_lets_one_in() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let authenticator = sets_up(&laptop, "way");
    let server = Home::new("server");
    server.joins(&relay.origin(), &laptop);
    let daemon = server.runs_with(&["--admit-totp"]);
    assert_eq!(totp(&server)["admits_as"], "writer");
    let code = authenticator.shows();
    let phone = Home::new("phone");
    let joined = phone.asks_with(&relay.origin(), &laptop.words(), &["--totp-code", &code]).end();
    assert_eq!(joined.code(), 0, "{}{}", joined.stderr, joined.stdout);
    assert!(joined.stdout.contains("\"how\":\"totp\""), "{}", joined.stdout);
    let told = daemon.says("ADDED");
    assert!(told.contains("'phone'") && told.contains("let in by a one-time code on 'server'"), "{told}");
    let devices = laptop.reads(&["devices", "list"]);
    let member = &devices["devices"][2];
    assert_eq!((&member["name"], &member["role"], &member["how"]), (&"phone".into(), &"writer".into(), &"totp".into()));
    assert_eq!(phone.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
    let again = Home::new("thief").asks_with(&relay.origin(), &laptop.words(), &["--totp-code", &code]);
    let id = again.waits();
    assert!(daemon.says("NOT LET IN").contains(&id[..8]));
    assert_eq!(again.interrupted().code(), 4);
    assert_eq!(totp(&server)["failed"], 1);
    assert_eq!(daemon.stops().code(), 0);
    assert_eq!(server.types(&["totp", "unlock"]).code(), 0);
    assert_eq!(totp(&server)["failed"], 0);
}

#[test]
fn before_a_prompt_nobody_is_disturbed_without_a_right_code() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let authenticator = sets_up(&laptop, "before-prompt");
    let daemon = laptop.runs();
    let missing = Home::new("missing").asks(&relay.origin(), &laptop.words());
    let id = missing.waits();
    let _ = daemon.waits_for("a missing code", |line| line.contains("shown to nobody") && line.contains("missing"));
    assert!(laptop.requests().is_empty());
    assert_eq!(laptop.fails(&["requests", "show", &id]), (5, "not-found".to_owned()));
    assert_eq!(missing.interrupted().code(), 4);
    let code = authenticator.shows();
    let phone = Home::new("phone");
    let wrong = phone.asks_with(&relay.origin(), &laptop.words(), &["--totp-code", &another(&code)]);
    let _ = wrong.waits();
    let _ = daemon.waits_for("a wrong code", |line| line.contains("shown to nobody") && line.contains("wrong"));
    drop(wrong);
    assert_eq!(totp(&laptop)["failed"], 1);
    assert!(!daemon.said().contains("REQUEST"), "{}", daemon.said());
    // The same device with another code: its unfinished request goes, and the sync code is not asked for again.
    let file = phone.keeps("code.txt", &format!("{}\n", authenticator.shows()));
    let joining = phone.asks_on_with(&["--totp-code", &file]);
    let shown = daemon.says("REQUEST");
    let id = joining.waits();
    assert!(shown.contains(&id[..8]), "{shown}");
    let opened = laptop.opens(&id);
    assert_eq!((&opened["one_time_code"], &opened["name"]), (&"right".into(), &"phone".into()), "the name stays");
    assert_eq!(laptop.approves(&id, &joining.code(1)).code(), 0);
    assert_eq!(joining.end().code(), 0);
    // Who gave none cannot know that nobody is shown it.
    let watch = Home::new("watch");
    let file = watch.keeps("words", &laptop.words());
    let waits = watch.starts(&["join", "--relay", &relay.origin(), "--code-file", &file]);
    waits.all.wait("the way out", |line| line.contains("countersign join --totp-code").then_some(()));
    waits.signal("INT");
    assert_eq!(waits.end().code(), 4);
    let verified = laptop.reads(&["totp", "verify", &authenticator.shows()]);
    assert_eq!(verified["verdict"], "right");
    assert_eq!(laptop.fails(&["totp", "verify", &another(&authenticator.shows())]), (3, "wrong-totp".to_owned()));
    assert_eq!(laptop.types(&["totp", "off"]).code(), 0);
    assert_eq!(laptop.fails(&["totp", "verify", &authenticator.shows()]), (5, "no-totp".to_owned()));
    Home::new("watch").joins(&relay.origin(), &laptop);
    assert_eq!(daemon.stops().code(), 0);
}

/// The relay shows members five requests of a sync code in a day, so that whoever guesses on needs another one.
const SHOWN_OF_A_SYNC_CODE: usize = 5;
/// A device compares no more codes after so many that failed.
const FAILED_MAX: usize = 30;

/// Asks with a code that fails, and takes the request back once each of these devices has looked at it.
fn guesses(reach: &Reach, words: &str, wrong: &str, watched_by: &[&Daemon]) {
    let words = SyncCode::from_words(words).unwrap();
    let joiner = Joiner::ask_with_totp(reach.clone(), &words, "guess", wrong);
    let id = joiner.request.id().short();
    for daemon in watched_by {
        let _ = daemon.waits_for("a code that failed", |line| line.contains("shown to nobody") && line.contains(&id));
    }
    assert_eq!(joiner.withdraws().told(), "200");
}

#[test]
fn after_thirty_failed_codes_every_device_says_so_and_each_compares_none_until_its_owner_unlocks_it() {
    let relay = Relay::start();
    let (laptop, tablet) = (Home::new("laptop"), Home::new("tablet"));
    laptop.founds(&relay.origin());
    tablet.joins(&relay.origin(), &laptop);
    let authenticator = sets_up(&laptop, "before-prompt");
    let (on_laptop, on_tablet) = (laptop.runs(), tablet.runs());
    let (reach, wrong) = (Reach::to(&relay), another(&authenticator.shows()));
    for round in 0..FAILED_MAX / SHOWN_OF_A_SYNC_CODE {
        let words = laptop.words();
        for _ in 0..SHOWN_OF_A_SYNC_CODE {
            guesses(&reach, &words, &wrong, &[&on_laptop, &on_tablet]);
        }
        let failed = (round + 1) * SHOWN_OF_A_SYNC_CODE;
        for home in [&laptop, &tablet] {
            assert_eq!(totp(home)["failed"], failed, "whatever sync code came with them");
            assert_eq!(totp(home)["state"], if failed < FAILED_MAX { "open" } else { "locked" });
        }
        assert_eq!(laptop.types(&["code", "rotate"]).code(), 0);
    }
    for daemon in [&on_laptop, &on_tablet] {
        let told = daemon.says("30 one-time codes failed here in total");
        assert!(told.contains("countersign totp unlock") && told.contains("countersign code rotate"), "{told}");
    }
    // Nobody is let past by a right code now, not after a restart either.
    assert_eq!(on_laptop.stops().code(), 0);
    let on_laptop = laptop.runs();
    let honest = Home::new("honest");
    let unheard = honest.asks_with(&relay.origin(), &laptop.words(), &["--totp-code", &authenticator.shows()]);
    let id = unheard.waits();
    let hidden = |line: &str| line.contains("shown to nobody") && line.contains(&id[..8]);
    for daemon in [&on_laptop, &on_tablet] {
        assert!(daemon.waits_for("a code that is not compared", hidden).contains("not compared"));
    }
    drop(unheard);
    assert_eq!(laptop.types(&["totp", "unlock"]).code(), 0);
    assert_eq!((&totp(&laptop)["state"], &totp(&laptop)["failed"]), (&"open".into(), &0.into()));
    assert_eq!((&totp(&tablet)["state"], &totp(&tablet)["failed"]), (&"locked".into(), &30.into()));
    let file = honest.keeps("code.txt", &format!("{}\n", authenticator.shows()));
    let joining = honest.asks_on_with(&["--totp-code", &file]);
    let id = joining.waits();
    let _ = on_laptop.waits_for("the request", |line| line.starts_with("REQUEST") && line.contains(&id[..8]));
    assert_eq!(laptop.opens(&id)["one_time_code"], "right");
    assert_eq!(laptop.approves(&id, &joining.code(1)).code(), 0);
    assert_eq!(joining.end().code(), 0);
    assert!(!on_tablet.said().contains("REQUEST"), "{}", on_tablet.said());
    for daemon in [on_laptop, on_tablet] {
        assert_eq!(daemon.stops().code(), 0);
    }
}

/// Two machines take part that let in by themselves, and two devices come with one code: the log takes one of four admissions.
#[test]
fn one_code_lets_one_device_in_however_many_machines_take_it_at_once() {
    let relay = Relay::start();
    let (laptop, tablet) = (Home::new("laptop"), Home::new("tablet"));
    laptop.founds(&relay.origin());
    let authenticator = sets_up(&laptop, "way");
    tablet.joins(&relay.origin(), &laptop);
    let daemons = [laptop.runs_with(&["--admit-totp"]), tablet.runs_with(&["--admit-totp"])];
    let (phone, watch) = (Home::new("phone"), Home::new("watch"));
    let (words, code) = (laptop.words(), authenticator.shows());
    let ask = |home: &Home| home.asks_with(&relay.origin(), &words, &["--totp-code", &code]);
    let (on_phone, on_watch) = (ask(&phone), ask(&watch));
    let ids = [on_phone.waits(), on_watch.waits()];
    for daemon in &daemons {
        let added = daemon.says("ADDED");
        let of_phone = added.contains("'phone'");
        let out = &ids[usize::from(of_phone)];
        assert!(daemon.says("NOT LET IN").contains(&out[..8]), "{}", daemon.said());
    }
    let devices = laptop.reads(&["devices", "list"]);
    let by_code: Vec<_> = devices["devices"].as_array().unwrap().iter().filter(|it| it["how"] == "totp").collect();
    assert_eq!(by_code.len(), 1, "{devices}");
    let (inside, outside) = if by_code[0]["name"] == "phone" { (on_phone, on_watch) } else { (on_watch, on_phone) };
    assert_eq!(inside.end().code(), 0);
    assert_eq!(outside.interrupted().code(), 4);
    assert_eq!((laptop.head(), laptop.kinds()), (tablet.head(), tablet.kinds()));
    for (daemon, home) in daemons.into_iter().zip([&laptop, &tablet]) {
        assert!(!daemon.said().contains("ALARM"), "{}", daemon.said());
        assert_eq!(daemon.stops().code(), 0);
        assert_eq!(home.fails(&["log", "verify"]).0, 0);
    }
}

#[test]
fn a_joiner_believes_an_admission_without_a_check_only_if_its_person_took_that_risk() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let risk = ["--accept-risk", "no-check-code"];
    let careful = Home::new("careful");
    let joining = careful.asks(&relay.origin(), &laptop.words());
    let id = joining.waits();
    let unchecked = |id: &str| laptop.types(&["approve", id, "--accept-risk", "no-check-code", "--json"]);
    assert_eq!(failure_of(&unchecked(&id)), "way-not-allowed");
    let set = laptop.types(&["policy", "set", "--ways", "typed,none", "--accept-risk", "no-check"]);
    assert_eq!(set.code(), 0, "{}", set.stderr);
    assert_eq!(unchecked(&id).code(), 0);
    assert_eq!(joining.end().code(), 8, "what nobody checked is a lie to whoever did not ask for it");
    let bold = Home::new("bold");
    let joining = bold.asks_with(&relay.origin(), &laptop.words(), &risk);
    assert_eq!(unchecked(&joining.waits()).code(), 0);
    let joined = joining.end();
    assert_eq!(joined.code(), 0, "{}{}", joined.stderr, joined.stdout);
    assert!(joined.stdout.contains("\"how\":\"none\""), "{}", joined.stdout);
    assert_eq!(laptop.types(&["policy", "set", "--ways", "none"]).code(), 0);
    let joining = Home::new("watch").asks(&relay.origin(), &laptop.words());
    assert_eq!(laptop.fails(&["requests", "show", &joining.waits()]), (3, "way-not-allowed".to_owned()));
}

#[test]
fn a_one_time_code_is_six_digits_and_setup_asks_at_a_terminal() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    assert_eq!(laptop.fails(&["totp", "setup"]).0, 2);
    let off = laptop.types(&["totp", "off"]);
    assert!(off.code() == 5 && !off.stderr.contains("any more"), "nothing is promised first: {}", off.stderr);
    assert_eq!(laptop.fails(&["totp", "verify", "12345"]), (2, "usage".to_owned()));
    assert_eq!(laptop.fails(&["policy", "set", "--ways", "totp"]), (3, "bad-policy".to_owned()));
    let phone = Home::new("phone");
    let file = phone.keeps("code.txt", "12345\n");
    let short = phone.asks_with(&relay.origin(), &laptop.words(), &["--totp-code", &file]).end();
    assert!(short.code() == 2 && short.stderr.contains("six digits"), "{}", short.stderr);
    let both = phone.asks_with(&relay.origin(), &laptop.words(), &["--totp-code", "-"]).end();
    assert!(both.code() == 2 && both.stderr.contains("standard input"), "{}", both.stderr);
    assert!(laptop.requests().is_empty());
}

#[test]
fn the_secret_is_wiped_off_the_screen() {
    let relay = Relay::start();
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    for (typed, what) in [("\n", "nothing typed"), ("\u{3}", "an interrupt")] {
        let mut screen = laptop.sits_at(&["totp", "setup"]);
        let at = screen.all.wait_on_screen(0, "\u{1b}[?1049h");
        let at = screen.all.wait_on_screen(at, "The code that the authenticator shows");
        screen.say(typed);
        let _ = screen.all.wait_on_screen(at, "\u{1b}[2J\u{1b}[?1049l");
        assert_eq!(screen.end().code(), 2, "{what}");
    }
    assert_eq!(laptop.kinds(), ["found"]);
}
