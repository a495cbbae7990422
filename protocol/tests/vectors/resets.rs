//! `resets.json`: a relay in a few lines, over the crate's gate.

use protocol::Verified;
use protocol::entry::{Body, Entry, VetoOf};
use protocol::reset::{Before, Reset, ResetRefusal, gate};
use serde_json::Value;

use crate::logs::{log_of, read};
use crate::reading::{Disagreements, bytes, error, file, items, text};

fn reset_of(file: &Value, name: &str) -> Verified<Reset> {
    Verified::from_bytes(&bytes(&file["resets"][name], "bytes")).unwrap()
}

/// What a relay knows of the reset that comes, by its log and the one that stands.
fn before(log: &[Vec<u8>], stands: Option<(&Verified<Reset>, u64)>, reset: &Verified<Reset>) -> Before {
    let stops = |entry: &Verified<Entry>| match &entry.body {
        Body::Veto(veto) => veto.of == VetoOf::Reset && veto.hash == reset.hash(),
        _ => false,
    };
    if log.iter().any(|bytes| stops(&Verified::from_bytes(bytes).unwrap())) {
        return Before::Over;
    }
    match stands {
        None => Before::Nothing,
        Some((stands, _)) if stands.hash() == reset.hash() => Before::Same,
        Some((_, left)) => Before::Another { remaining: left * 1000 },
    }
}

#[test]
fn every_reset_is_taken_or_refused_as_its_case_says() {
    let file = file("resets.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let log = log_of(&file, case);
        let roster = read(&log).unwrap();
        let stands = case["stands"].as_str().map(|name| reset_of(&file, name));
        let reset = reset_of(&file, text(case, "reset"));
        let stands = stands.as_ref().zip(case["left_s"].as_u64());
        let verdict = gate(&roster, before(&log, stands, &reset), &reset);
        wrong.compare(case, verdict.as_ref().err().map(ResetRefusal::code), error(case));
        let least = match verdict {
            Err(ResetRefusal::WaitTooShort { least }) => Some(least),
            _ => None,
        };
        wrong.compare(case, least, case["least_s"].as_u64());
    }
    wrong.none();
}
