//! The command line as a person or a script meets it, without any relay: whole output and exit code.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as expected")]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a command printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    exit: i32,
    out: String,
    err: String,
}

/// Runs a command in a home of its own, with an empty environment and no terminal.
fn countersign(home: &Path, args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(args)
        .env_clear()
        .env("COUNTERSIGN_HOME", home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&home.display().to_string(), "HOME");
    Ended { exit: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn in_new_home(args: &[&str]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    countersign(&dir.path().join("home"), args)
}

#[test]
fn without_a_membership_the_two_ways_to_one_are_named() {
    let ended = in_new_home(&["status"]);
    let err = "error: HOME holds no membership\n\
        next: countersign init --relay URL   (a new chain)   or   countersign join --relay URL\n";
    assert_eq!(ended, Ended { exit: 6, out: String::new(), err: err.to_owned() });
}

#[test]
fn a_sync_code_in_the_arguments_is_refused_with_the_way_to_give_it() {
    let ended = in_new_home(&["join", "--relay", "http://127.0.0.1:1", "abandon", "ability"]);
    let err = "error: a sync code is never an argument: other users of this machine can read those\n\
        next: countersign join --relay URL   (and type it when asked, or --code-file FILE, or --code-file -)\n";
    assert_eq!(ended, Ended { exit: 2, out: String::new(), err: err.to_owned() });
}

#[test]
fn without_a_terminal_the_missing_flag_is_named() {
    let join = in_new_home(&["join", "--relay", "http://127.0.0.1:1"]);
    assert_eq!(join.exit, 2);
    assert!(join.err.contains("--code-file FILE"), "{}", join.err);
    let approve = in_new_home(&["approve", "3f9c"]);
    assert_eq!(approve.exit, 2);
    assert!(approve.err.contains("countersign approve 3f9c --check-code DIGITS"), "{}", approve.err);
    let init = in_new_home(&["init", "--relay", "http://127.0.0.1:1"]);
    assert_eq!(init.exit, 2);
    assert!(init.err.contains("--recovery-file FILE") && init.err.contains("--no-recovery"), "{}", init.err);
}

#[test]
fn plain_http_over_a_network_is_refused_with_the_name_of_the_risk() {
    let ended = in_new_home(&["init", "--no-recovery", "--relay", "http://192.0.2.1"]);
    assert_eq!(ended.exit, 2);
    assert!(ended.err.contains("--accept-risk=plaintext"), "{}", ended.err);
}

#[test]
fn with_json_an_error_is_one_object() {
    let ended = in_new_home(&["--json", "status"]);
    assert!(
        ended.out.starts_with(r#"{"schema":"countersign.error/1","exit":6,"code":"not-a-member""#),
        "{}",
        ended.out
    );
    assert_eq!(ended.out.lines().count(), 1);
}

#[test]
fn version_is_an_object_for_programs() {
    let ended = in_new_home(&["version", "--json"]);
    assert_eq!((ended.exit, ended.err.as_str()), (0, ""));
    assert!(ended.out.starts_with(r#"{"schema":"countersign.version/1","version":"#), "{}", ended.out);
}

#[test]
fn wrong_usage_is_exit_2() {
    for args in [&["frobnicate"][..], &[], &["deny", "3f9c", "--block", "8d"], &["record", "put", "notes"]] {
        assert_eq!(in_new_home(args).exit, 2, "{args:?}");
    }
}

/// The address of a relay that answers every read as if it were well, and hangs up on everything else.
fn relay_that_takes_nothing() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            while matches!(stream.read(&mut head), Ok(1..)) && head.starts_with(b"GET ") {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        }
    });
    origin
}

#[test]
fn a_founding_that_reaches_no_relay_draws_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    assert_eq!(countersign(&home, &["init", "--no-recovery", "--relay", "http://127.0.0.1:1"]).exit, 7);
    assert!(!home.join("device.keys").exists());
}

#[test]
fn a_founding_that_no_relay_acknowledged_goes_on_with_the_same_keys_and_says_what_counts() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let first =
        countersign(&home, &["init", "--no-recovery", "--relay", &relay_that_takes_nothing(), "--name", "laptop"]);
    assert_eq!(first.exit, 7, "{}", first.err);
    assert!(!first.err.contains("going on"), "{}", first.err);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home), mode(&home.join("device.keys")), mode(&home.join("state.db"))), (0o700, 0o600, 0o600));
    let keys = std::fs::read(home.join("device.keys")).unwrap();
    let again =
        countersign(&home, &["init", "--no-recovery", "--relay", &relay_that_takes_nothing(), "--name", "desk"]);
    assert_eq!(again.exit, 7);
    for said in
        ["the address of the relay is the one given now", "--name and --request-lifetime do not count", "rm -r HOME"]
    {
        assert!(again.err.contains(said), "{said}: {}", again.err);
    }
    assert_eq!(std::fs::read(home.join("device.keys")).unwrap(), keys);
    assert_eq!(countersign(&home, &["status"]).exit, 6);
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_chmod_to_type() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    countersign(&home, &["init", "--no-recovery", "--relay", &relay_that_takes_nothing()]);
    std::fs::set_permissions(home.join("device.keys"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = countersign(&home, &["status"]);
    let err = "error: HOME/device.keys can be read by others (mode 644)\nnext: chmod 600 HOME/device.keys\n";
    assert_eq!(ended, Ended { exit: 1, out: String::new(), err: err.to_owned() });
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    let ended = in_new_home(&["man", pages.to_str().unwrap()]);
    assert_eq!((ended.exit, ended.out.as_str()), (0, ""), "{}", ended.err);
    for page in ["countersign", "countersign-approve", "countersign-requests-show", "countersign-record-put"] {
        let text = std::fs::read_to_string(pages.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let approve = std::fs::read_to_string(pages.join("countersign-approve.1")).unwrap();
    assert!(approve.contains("Exit codes:") && approve.contains("Examples:"), "{approve}");
}

#[test]
fn every_shell_gets_a_script_that_asks_this_program() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = in_new_home(&["completion", shell]);
        assert_eq!((ended.exit, ended.err.as_str()), (0, ""), "{shell}");
        assert!(ended.out.contains("COUNTERSIGN_COMPLETE"), "{shell}: {}", ended.out);
    }
    assert_eq!(in_new_home(&["completion", "dos"]).exit, 2);
}

#[test]
fn completing_offers_commands_and_without_a_daemon_no_ids() {
    let dir = tempfile::tempdir().unwrap();
    let complete = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args([&["--"], words].concat())
            .env_clear()
            .env("COUNTERSIGN_HOME", dir.path().join("home"))
            .env("COUNTERSIGN_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
            .env("_CLAP_IFS", "\n")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(complete(&["countersign", "appr"]).contains("approve"));
    assert!(complete(&["countersign", "requests", "sh"]).contains("show"));
    assert_eq!(complete(&["countersign", "approve", "3"]), "");
    assert!(!dir.path().join("home").exists(), "completing makes no state");
}

#[test]
fn the_doctor_finds_an_open_home_and_a_relay_that_is_away_and_says_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let none = countersign(&home, &["doctor"]);
    let out = "FAIL  home    HOME holds no membership\n              \
        next: countersign init --relay URL   (a new chain)   or   countersign join --relay URL\n";
    assert_eq!(none, Ended { exit: 1, out: out.to_owned(), err: String::new() });
    countersign(&home, &["init", "--no-recovery", "--relay", &relay_that_takes_nothing(), "--name", "laptop"]);
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ended = countersign(&home, &["doctor", "--relay", "http://127.0.0.1:1"]);
    assert_eq!(ended.exit, 1);
    for line in [
        "FAIL  home    others can write in HOME (mode 777)\n              next: chmod 700 HOME\n",
        "ok    keys    this device has its keys, and nobody else can read them\n",
        "warn  daemon  none runs: requests show only when somebody looks\n              next: countersign run\n",
        "warn  log     the chain was drawn but the relay has not acknowledged it yet\n",
        "FAIL  tcp     the relay http://127.0.0.1:1 is not reachable: Connection refused",
    ] {
        assert!(ended.out.contains(line), "{line}\n{}", ended.out);
    }
    assert!(!home.join("agent.sock").exists(), "it changes nothing");
}
