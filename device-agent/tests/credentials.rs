//! `countersign credential verify` as a server's operator meets it: no state directory, no relay, every case of the vectors.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as expected"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use data_encoding::HEXLOWER;
use serde_json::Value;

fn vectors() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors/credentials.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A case of the vectors, by name, as bytes.
fn case(file: &Value, name: &str) -> Vec<u8> {
    let case = file["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    shown(case)
}

fn shown(case: &Value) -> Vec<u8> {
    match &case["fill"] {
        Value::Null => HEXLOWER.decode(case["bytes"].as_str().unwrap().as_bytes()).unwrap(),
        fill => vec![0xa3; usize::try_from(fill["count"].as_u64().unwrap()).unwrap()],
    }
}

/// Runs a command with an empty environment, and these bytes on standard input. Nobody has a home here.
fn countersign(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that has seen enough reads no further.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn object(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn known(case: &Value) -> Vec<String> {
    let known = &case["known"];
    let chain = known["chain"].as_str().map(|chain| vec!["--chain".to_owned(), chain.to_owned()]);
    let head = known["head"].is_object().then(|| {
        let head = format!("{}@{}", known["head"]["hash"].as_str().unwrap(), known["head"]["seq"]);
        vec!["--head".to_owned(), head]
    });
    [chain, head].into_iter().flatten().flatten().collect()
}

#[test]
fn every_credential_is_proven_or_refused_as_its_case_says() {
    for case in vectors()["cases"].as_array().unwrap() {
        let known = known(case);
        let mut args = vec!["credential", "verify", "-", "--json"];
        args.extend(known.iter().map(String::as_str));
        let output = countersign(&args, &shown(case));
        let (told, name) = (object(&output), &case["name"]);
        // An entry that the rules refuse is a forged log; what the credential is refused for as a whole may be true.
        let exit = match case["error"].as_str() {
            None => 0,
            Some("not-a-member" | "behind" | "chain-closed") if case["index"].is_null() => 3,
            Some(_) => 8,
        };
        assert_eq!(output.status.code(), Some(exit), "{name}: {told}");
        assert_eq!((told["code"].as_str(), told["exit"].as_u64().unwrap_or(0)), (case["error"].as_str(), exit as u64));
        let proven = &case["proven"];
        for (ours, theirs) in [
            ("device", "signing"),
            ("sealing", "sealing"),
            ("chain", "chain"),
            ("founder", "founder"),
            ("role", "role"),
            ("epoch", "epoch"),
            ("head", "head"),
            ("seq", "seq"),
            ("links", "links"),
        ] {
            assert_eq!(told[ours], proven[theirs], "{name}: {ours}");
        }
    }
}

fn kept(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn people_are_told_who_let_the_device_in_and_what_is_not_proven() {
    let dir = tempfile::tempdir().unwrap();
    let tablet = kept(dir.path(), "tablet", &case(&vectors(), "removed-approver"));
    let output = countersign(&["credential", "verify", tablet.to_str().unwrap()], b"");
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    for said in
        ["is a member (writer)", "(typed); gone since entry 5, by ", " (lost)", "founded the chain", "not proven:"]
    {
        assert!(out.contains(said), "{said}: {out}");
    }
    let next = out.lines().last().unwrap().strip_prefix("the next time: ").unwrap();
    let again: Vec<&str> =
        ["credential", "verify", tablet.to_str().unwrap()].into_iter().chain(next.split(' ')).collect();
    assert_eq!(countersign(&again, b"").status.code(), Some(0), "{next}");
}

#[test]
fn with_a_newer_head_a_removed_device_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = vectors();
    let old = kept(dir.path(), "phone", &case(&file, "removed-since"));
    let newer = kept(dir.path(), "tablet", &case(&file, "removed-approver"));
    let (old, newer) = (old.to_str().unwrap(), newer.to_str().unwrap());
    assert_eq!(countersign(&["credential", "verify", old], b"").status.code(), Some(0));
    let output = countersign(&["credential", "verify", old, "--newer", newer], b"");
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]), "{err}");
    assert!(err.contains("its log ends at entry 4, and entry 5 is known"), "{err}");
    assert_eq!(countersign(&["credential", "verify", newer, "--newer", old], b"").status.code(), Some(0));
    let removed = countersign(&["credential", "verify", "-", "--json"], &case(&file, "removed"));
    assert!(object(&removed)["message"].as_str().unwrap().contains("the device was removed by device "));
    let twice = countersign(&["credential", "verify", "-", "--newer", newer, "--head", "00@1"], b"");
    assert_eq!(twice.status.code(), Some(2));
    assert_eq!(countersign(&["credential", "verify", "-", "--head", "3f9c@1"], b"").status.code(), Some(2));
    assert_eq!(countersign(&["credential", "verify", "/nowhere"], b"").status.code(), Some(1));
}
