//! `records.json`: a relay and a reader in a few lines each, over the crate's gate.

use std::collections::{BTreeMap, BTreeSet};

use protocol::keyring::Keyring;
use protocol::keys::EpochKey;
use protocol::record::{Kind, Line, Record, RecordRefusal, Trust, check_cited, gate, gate_refill, open, trust};
use protocol::roster::Roster;
use protocol::{DeviceId, Hash, Verified};
use serde_json::Value;

use crate::logs::{log_of, read};
use crate::reading::{Disagreements, bytes, error, file, id, items, number, text};

type Place = ([u8; 32], [u8; 32]);

struct Sent {
    record: Verified<Record>,
    ciphertext: Option<Vec<u8>>,
}

fn sent(file: &Value, json: &Value) -> Sent {
    let record = &file["records"][text(json, "record")];
    let ciphertext = match json.get("ciphertext_fill") {
        Some(fill) => Some(vec![bytes(fill, "byte")[0]; usize::try_from(number(fill, "count")).unwrap()]),
        None => json["ciphertext"].is_string().then(|| bytes(json, "ciphertext")),
    };
    Sent { record: Verified::from_bytes(&bytes(record, "bytes")).unwrap(), ciphertext }
}

#[derive(Default)]
struct Kept {
    known: BTreeSet<Hash>,
    lines: BTreeMap<DeviceId, Line>,
    current: BTreeMap<Place, usize>,
}

impl Kept {
    fn line(&self, record: &Verified<Record>) -> Line {
        self.lines.get(&record.signer()).copied().unwrap_or_default()
    }

    fn base(&self, place: &Place, sent: &[Sent]) -> Option<Hash> {
        self.current.get(place).map(|at| sent[*at].record.hash())
    }

    fn keep(&mut self, record: &Verified<Record>, place: Place, line: Line, at: usize) {
        self.known.insert(record.hash());
        self.lines.insert(record.signer(), line);
        self.current.insert(place, at);
    }
}

type Rule = fn(&Roster, Line, Option<Hash>, &Sent) -> Result<Line, RecordRefusal>;

fn relay(roster: &Roster, line: Line, current: Option<Hash>, sent: &Sent) -> Result<Line, RecordRefusal> {
    gate(roster, line, current, &sent.record, sent.ciphertext.as_deref())
}

/// By the founder, who writes, and wrote none of them.
fn refill(roster: &Roster, line: Line, current: Option<Hash>, sent: &Sent) -> Result<Line, RecordRefusal> {
    let founder = roster.members().find(|member| member.admission.seq == 0).unwrap().device.signing;
    gate_refill((roster, &founder), line, current, &sent.record, sent.ciphertext.as_deref())
}

fn reader(roster: &Roster, line: Line, current: Option<Hash>, sent: &Sent) -> Result<Line, RecordRefusal> {
    check_cited(roster, &sent.record)?;
    let line = line.follow(&sent.record)?;
    if sent.record.base != current {
        return Err(RecordRefusal::Conflict);
    }
    if sent.ciphertext.is_some() && !sent.record.carries(sent.ciphertext.as_deref()) {
        return Err(RecordRefusal::OtherCiphertext);
    }
    Ok(line)
}

/// Takes records in order: what is kept at the end, or which one is refused.
fn takes(rule: Rule, roster: &Roster, sent: &[Sent]) -> Result<Kept, (usize, &'static str)> {
    let mut kept = Kept::default();
    for (at, next) in sent.iter().enumerate() {
        let record = &next.record;
        if kept.known.contains(&record.hash()) {
            continue;
        }
        let place = (record.collection.0, record.id.0);
        let line =
            rule(roster, kept.line(record), kept.base(&place, sent), next).map_err(|refusal| (at, refusal.code()))?;
        kept.keep(record, place, line, at);
    }
    Ok(kept)
}

fn state(keyring: &Keyring, sent: &Sent) -> (&'static str, Option<Vec<u8>>) {
    match &sent.ciphertext {
        _ if sent.record.kind == Kind::Delete => ("deleted", None),
        None => ("replaced", None),
        Some(ciphertext) => match open(keyring, &sent.record, ciphertext) {
            Ok(content) => ("there", Some(content.value.to_vec())),
            Err(_) => ("damaged", None),
        },
    }
}

#[test]
fn relay_and_reader_take_and_refuse_as_every_case_says() {
    let file = file("records.json");
    let mut wrong = Disagreements::default();
    for case in items(&file, "cases") {
        let roster = read(&log_of(&file, case)).unwrap();
        let of = if case["epoch_key"].is_string() { case } else { &file };
        let keyring = Keyring::open(&roster, EpochKey::from_bytes(id(of, "epoch_key"))).unwrap();
        assert_eq!(*keyring.name_key().expose(), id(&file, "name_key"));
        let sent: Vec<Sent> = items(case, "records").iter().map(|json| sent(&file, json)).collect();
        for (who, rule) in [("relay", relay as Rule), ("reader", reader), ("refill", refill)] {
            if case[who].is_null() {
                continue;
            }
            let expected = error(&case[who]).map(|code| (usize::try_from(number(&case[who], "index")).unwrap(), code));
            wrong.compare(case, takes(rule, &roster, &sent).err(), expected);
        }
        let Some(expected) = case["items"].as_array() else { continue };
        let kept = takes(reader, &roster, &sent).ok().unwrap();
        wrong.compare(case, kept.current.len(), expected.len());
        for item in expected {
            let at = kept.current[&(id(item, "collection"), id(item, "id"))];
            assert_eq!(sent[at].record.hash().0, id(item, "version"));
            let value = item["value"].is_string().then(|| bytes(item, "value"));
            wrong.compare(case, state(&keyring, &sent[at]), (text(item, "state"), value));
            let disputed = trust(&roster, &sent[at].record) == Trust::Disputed;
            wrong.compare(case, disputed, item["disputed"].as_bool().unwrap_or_default());
        }
    }
    wrong.none();
}
