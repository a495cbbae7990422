//! `logs.json`.

use protocol::entry::Entry;
use protocol::roster::{Outcome, Roster, Why};
use protocol::{DeviceId, RequestId, Verified};
use serde_json::Value;

use crate::reading::{Disagreements, bytes, error, file, id, items, number, text};

/// Reads a log as anybody would: the roster, or where and why it ends.
pub(crate) fn read(log: &[Vec<u8>]) -> Result<Roster, (usize, &'static str)> {
    let mut roster: Option<Roster> = None;
    for (index, bytes) in log.iter().enumerate() {
        let entry = Verified::<Entry>::from_bytes(bytes).map_err(|error| (index, error.code()))?;
        let after = match roster.take() {
            None => Roster::found(&entry),
            Some(roster) => roster.apply(&entry),
        };
        roster = Some(after.map_err(|refusal| (index, refusal.code()))?);
    }
    Ok(roster.expect("a log has an entry"))
}

/// The entries that a list names.
pub(crate) fn log_of(file: &Value, case: &Value) -> Vec<Vec<u8>> {
    items(case, "log").iter().map(|name| bytes(&file["entries"][name.as_str().unwrap()], "bytes")).collect()
}

#[test]
fn every_log_is_taken_or_refused_where_and_as_its_case_says() {
    let file = file("logs.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let expected = error(case).map(|code| (usize::try_from(number(case, "index")).unwrap(), code));
        let verdict = read(&log_of(&file, case));
        wrong.compare(case, verdict.as_ref().err().copied(), expected);
        if let Ok(roster) = verdict {
            same_roster(&roster, &case["roster"]);
        }
    }
    wrong.none();
}

fn same_roster(roster: &Roster, expected: &Value) {
    assert_eq!(roster.chain().0, id(expected, "chain"));
    assert_eq!(roster.head().0, id(expected, "head"));
    assert_eq!((roster.seq(), roster.epoch()), (number(expected, "seq"), number(expected, "epoch")));
    assert_eq!(roster.key_id().0, id(expected, "key_id"));
    assert_eq!(roster.join_key().0, id(expected, "join_key"));
    assert_eq!(roster.members().count(), items(expected, "members").len());
    for member in items(expected, "members") {
        let known = roster.member(&DeviceId(id(member, "signing"))).unwrap();
        assert_eq!(*known.device.sealing.as_bytes(), id(member, "sealing"));
        assert_eq!(known.role.name(), text(member, "role"));
        assert_eq!(known.admission.seq, number(member, "seq"));
        assert_eq!(known.admission.by.0, id(member, "by"));
        assert_eq!(known.admission.how.map(|how| how.name()), member["how"].as_str());
    }
    assert_eq!(roster.former_members().count(), items(expected, "former").len());
    for former in items(expected, "former") {
        let known = roster.former(&DeviceId(id(former, "signing"))).unwrap().departure;
        let why = match known.why {
            Why::Removed(reason) => reason.name(),
            Why::Left => "left",
            Why::Replaced => "replaced",
        };
        assert_eq!((known.seq, why), (number(former, "seq"), text(former, "why")));
        assert_eq!(known.by.0, id(former, "by"));
    }
    assert_eq!(roster.is_rotation_owed(), expected["rotation_owed"].as_bool().unwrap());
    assert_eq!(roster.is_closed(), expected["closed"].as_bool().unwrap());
    assert_eq!(roster.totp_step(), expected["totp_step"].as_u64());
    let closing = roster.closing().map(|closing| data_encoding::HEXLOWER.encode(&closing.hash.0));
    assert_eq!(closing.as_deref(), expected["closing"].as_str());
    for decision in items(expected, "decisions") {
        let known = roster.decision(&RequestId(id(decision, "request"))).unwrap();
        let outcome = match known.outcome {
            Outcome::Admitted => "admitted",
            Outcome::Denied(reason) => reason.name(),
        };
        assert_eq!((outcome, known.seq), (text(decision, "outcome"), number(decision, "seq")));
        assert_eq!(known.device.0, id(decision, "device"));
    }
}
