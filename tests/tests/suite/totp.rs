//! One-time codes of an authenticator, with another program as the authenticator.

use std::io::Write as _;
use std::process::{Command, Stdio};

use countersign_tests::home::{Home, failure_of};
use countersign_tests::relay::Relay;
use countersign_tests::scan::{self, Secrecy};

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
    assert_eq!(home.kinds(), ["found", "change-policy"], "once, with the right code");
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
    assert_eq!(laptop.opens(&id)["one_time_code"], "right");
    assert_eq!(laptop.approves(&id, &joining.code(1)).code(), 0);
    assert_eq!(joining.end().code(), 0);
    let verified = laptop.reads(&["totp", "verify", &authenticator.shows()]);
    assert_eq!(verified["verdict"], "right");
    assert_eq!(laptop.fails(&["totp", "verify", &another(&authenticator.shows())]), (3, "wrong-totp".to_owned()));
    assert_eq!(laptop.types(&["totp", "off"]).code(), 0);
    assert_eq!(laptop.fails(&["totp", "verify", &authenticator.shows()]), (5, "no-totp".to_owned()));
    Home::new("watch").joins(&relay.origin(), &laptop);
    assert_eq!(daemon.stops().code(), 0);
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
