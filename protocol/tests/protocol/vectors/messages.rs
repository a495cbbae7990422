//! `docs/vectors/messages.json`: bodies of HTTP and messages of the socket, good and bad.

use minicbor::Encode;
use protocol::cbor::{self, Blob};
use protocol::connect::Cursor;
use protocol::id::Random;
use protocol::limits;
use protocol::wire::{
    Ack, Append, Appended, Approvals, Approved, Ask, ChainOfKey, Challenge, Ended, Ending, FromDevice, LogPage,
    OpenRequest, OpenRequests, Purpose, Put, Ready, RecordPage, RecordRow, ResetStanding, Round, SealedRecord, Seen,
    Stage, Standing, Stored, ToDevice, Whereabouts,
};

use super::json::{Json, hex, list, object};
use super::notation::{fields, names_of};
use super::{compare, note};
use crate::forms::forms;
use crate::world::AT;

struct Case {
    name: String,
    says: String,
    rule: &'static str,
    error: Option<&'static str>,
    bytes: Vec<u8>,
}

struct Cases(Vec<Case>);

impl Cases {
    fn good(&mut self, name: &str, rule: &'static str, says: &str, value: &impl Encode<()>) {
        let bytes = cbor::encode(value);
        self.0.push(Case { name: name.to_owned(), says: says.to_owned(), rule, error: None, bytes });
    }

    fn bad(&mut self, name: String, rule: &'static str, says: &str, error: &'static str, bytes: Vec<u8>) {
        self.0.push(Case { name, says: says.to_owned(), rule, error: Some(error), bytes });
    }
}

fn blob(bytes: &[u8]) -> Blob {
    Blob(bytes.to_vec())
}

fn good(cases: &mut Cases) {
    let all = forms();
    let (head, request) = (all.chain.roster.head(), all.request.id());
    let sealed = SealedRecord { record: blob(all.put.bytes()), ciphertext: Some(all.ciphertext.clone()) };
    let replaced = SealedRecord { record: blob(all.put.bytes()), ciphertext: None };
    let tombstone = SealedRecord { record: blob(all.delete.bytes()), ciphertext: None };
    let nonce = blob(all.nonce.bytes());
    let rounds = vec![Round { nonce: nonce.clone(), reveal: Some(blob(all.reveal.bytes())) }];
    let open = OpenRequest {
        request: blob(all.request.bytes()),
        description: all.description.clone(),
        seen: Seen { address: "2001:db8::7".to_owned(), proxy: Some("127.0.0.1".to_owned()), at: AT },
        remaining: 890_000,
        rounds,
    };
    let mut fresh = open.clone();
    (fresh.seen.proxy, fresh.rounds) = (None, Vec::new());
    let page = LogPage { entries: vec![blob(all.admit.bytes())], head, seq: 1 };
    let row = RecordRow { number: 9, sealed: sealed.clone() };
    let rows = vec![RecordRow { number: 9, sealed: replaced }, RecordRow { number: 10, sealed: tombstone.clone() }];
    let rows = RecordPage { rows, cursor: Cursor { store: 7, number: 10 }, last: 300 };
    let standing =
        Standing { request, stage: Stage::Code, remaining: 890_000, online: true, nonces: vec![nonce], chain: None };
    let waiting = Standing { stage: Stage::Waiting, online: false, nonces: Vec::new(), ..standing.clone() };
    let append = Append { entries: vec![blob(all.deny.bytes())], purpose: Purpose::New };
    cases.good("append", "append", "one new entry", &append);
    cases.good("append-heal", "append", "entries that the relay lost", &Append { purpose: Purpose::Heal, ..append });
    cases.good("appended", "appended", "where the log stands", &Appended { head, seq: 1 });
    cases.good(
        "ask",
        "ask",
        "the phone asks",
        &Ask { request: open.request.clone(), description: open.description.clone() },
    );
    cases.good("standing", "standing", "a nonce came", &standing);
    cases.good("standing-waiting", "standing", "nothing came yet, and no member is connected", &waiting);
    cases.good("log-page", "log-page", "what follows found", &page);
    cases.good("open-requests", "open-requests", "one request", &OpenRequests { requests: vec![open.clone()] });
    cases.good("open-requests-none", "open-requests", "none", &OpenRequests { requests: Vec::new() });
    cases.good("put", "put", "a put and a delete", &Put { records: vec![sealed, tombstone], refill: None });
    cases.good("stored", "stored", "their numbers in the feed", &Stored { numbers: vec![9, 10] });
    cases.good("record-row", "record-row", "one record", &row);
    cases.good("record-page", "record-page", "a version that was replaced, and its tombstone", &rows);
    let challenge = Challenge { nonce: Random([0x11; 32]), at: AT };
    cases.good("challenge", "to-device", "the relay's first message", &ToDevice::Challenge(challenge));
    cases.good("ready", "to-device", "to a member", &ToDevice::Ready(Ready { head, seq: 1, knows_your_head: true }));
    cases.good("entries", "to-device", "a page of the log", &ToDevice::Entries(page));
    cases.good("records", "to-device", "a page of the feed", &ToDevice::Records(rows));
    cases.good("requested", "to-device", "a request is open, without a proxy between", &ToDevice::Requested(fresh));
    cases.good("requested-revealed", "to-device", "one of its rounds was answered", &ToDevice::Requested(open));
    cases.good(
        "ended",
        "to-device",
        "a request was withdrawn",
        &ToDevice::Ended(Ended { request, ending: Ending::Withdrawn }),
    );
    cases.good("standing-pushed", "to-device", "to a joiner", &ToDevice::Standing(standing));
    let expired = Ended { request, ending: Ending::Expired };
    cases.good("ended-expired", "to-device", "a request expired", &ToDevice::Ended(expired));
    let decided = Ended { request, ending: Ending::Decided };
    cases.good("ended-decided", "to-device", "a request was decided", &ToDevice::Ended(decided));
    cases.good("ack", "from-device", "up to entry 1 and record 300", &FromDevice::Ack(Ack { seq: 1, number: 300 }));
}

/// What few devices ever see: the holder of a sync code or of recovery words, several approvers, a relay that lost its store.
fn good_and_rare(cases: &mut Cases) {
    let all = forms();
    let (roster, request) = (&all.chain.roster, all.request.id());
    let (chain, head) = (roster.chain(), roster.head());
    let admitted = Standing {
        request,
        stage: Stage::Admitted,
        remaining: 0,
        online: true,
        nonces: Vec::new(),
        chain: Some(chain),
    };
    let expired = Standing { stage: Stage::Expired, online: false, chain: None, ..admitted.clone() };
    let withdrawn = Standing { stage: Stage::Withdrawn, ..expired.clone() };
    cases.good("standing-admitted", "standing", "by a one-time code: no nonce told the chain", &admitted);
    cases.good("standing-expired", "standing", "its lifetime is over", &expired);
    cases.good("standing-withdrawn", "standing", "it was taken back", &withdrawn);
    let whereabouts = Whereabouts { chain, head, seq: 1 };
    cases.good("whereabouts", "whereabouts", "to the holder of recovery words", &whereabouts);
    let terms = ChainOfKey { chain, head: all.found.hash(), seq: 0, reset_delay: 604_800 };
    cases.good("chain-of-key", "chain-of-key", "to the holder of the sync code", &terms);
    let approvals: Vec<Blob> = all.later.approvals.iter().map(|approval| blob(approval.bytes())).collect();
    let none = Approvals { approvals: Vec::new() };
    cases.good("approvals-kept", "approvals-kept", "one of each kind", &Approvals { approvals: approvals.clone() });
    cases.good("approvals-kept-none", "approvals-kept", "none", &none);
    let reset = ResetStanding { reset: blob(all.later.reset.bytes()), remaining: 604_799_999 };
    cases.good("reset-standing", "reset-standing", "a reset, and a week less a millisecond", &reset);
    let record = SealedRecord { record: blob(all.put.bytes()), ciphertext: Some(all.ciphertext.clone()) };
    let given_back = Put { records: vec![record], refill: Some(blob(all.later.refill.bytes())) };
    cases.good("put-refill", "put", "a member gives back what the relay lost", &given_back);
    let approved = Approved { approval: approvals[4].clone() };
    cases.good("approved", "to-device", "somebody agrees to the end of the chain", &ToDevice::Approved(approved));
    cases.good("reset-pushed", "to-device", "a reset stands", &ToDevice::Reset(reset));
}

/// What can be broken in every message.
fn broken(cases: &mut Cases) {
    let all: Vec<(String, &str, Vec<u8>)> =
        cases.0.iter().map(|case| (case.name.clone(), case.rule, case.bytes.clone())).collect();
    for (name, rule, bytes) in all {
        let mut bad =
            |fault: &str, says: &str, error, bytes| cases.bad(format!("{name}/{fault}"), rule, says, error, bytes);
        bad("cut", "the last byte is missing", "malformed", bytes[..bytes.len() - 1].to_vec());
        bad("followed", "a byte follows", "not-canonical", [bytes.as_slice(), &[0]].concat());
        bad(
            "wide",
            "its head in two bytes",
            "not-canonical",
            [&[bytes[0] & 0xe0 | 24, bytes[0] & 0x1f], &bytes[1..]].concat(),
        );
        if bytes[0] >> 5 == 5 {
            let more = [&[bytes[0] + 1], &bytes[1..], &[0x17, 0x00]].concat();
            bad("unknown-key", "a field 23", "not-canonical", more);
        }
    }
}

fn shapes(cases: &mut Cases) {
    let mut bad = |name: &str, rule, says: &str, bytes| cases.bad(name.to_owned(), rule, says, "malformed", bytes);
    bad("to-device/kind-9", "to-device", "a kind that does not exist", vec![0x82, 0x09, 0xa0]);
    bad("to-device/kind-256", "to-device", "a kind of more than eight bits", vec![0x82, 0x19, 0x01, 0x00, 0xa0]);
    bad("to-device/kind-7-empty", "to-device", "an approval that is not there", vec![0x82, 0x07, 0xa0]);
    bad("to-device/kind-8-bare", "to-device", "the bytes without their map", vec![0x82, 0x08, 0x40]);
    bad("from-device/kind-1", "from-device", "a kind that does not exist", vec![0x82, 0x01, 0xa0]);
    bad(
        "from-device/three",
        "from-device",
        "a message is [kind, body]",
        vec![0x83, 0x00, 0xa2, 0x00, 0x01, 0x01, 0x00],
    );
    bad("from-device/empty", "from-device", "no bytes", Vec::new());
    bad("from-device/text", "from-device", "a text", vec![0x61, b'a']);
    bad("append/purpose-2", "append", "a purpose that does not exist", vec![0xa2, 0x00, 0x81, 0x41, 0x00, 0x01, 0x02]);
    let entries = [&[0xa2, 0x00, 0x98, 65], [0x40; 65].as_slice(), &[0x01, 0x00]].concat();
    bad("append/65-entries", "append", "more entries than allowed", entries);
    let promised = vec![0xa2, 0x00, 0x9a, 0x00, 0x3d, 0x09, 0x00];
    bad("append/4000000-entries", "append", "an array that promises four million entries", promised);
    let numbers = [&[0xa1, 0x00, 0x99, 0x01, 0x01], [0x01; 257].as_slice()].concat();
    bad("stored/257-numbers", "stored", "more numbers than a put has records", numbers);
    let head = [&[0xa2, 0x00, 0x58, 0x1f], [0x01; 31].as_slice(), &[0x01, 0x01]].concat();
    bad("appended/head-31", "appended", "31 bytes of head", head);
    bad("append/no-entries", "append", "nothing to append", vec![0xa2, 0x00, 0x80, 0x01, 0x00]);
    bad("put/no-records", "put", "nothing to store", vec![0xa1, 0x00, 0x80]);
    bad("put/refill-alone", "put", "a refill of nothing", vec![0xa2, 0x00, 0x80, 0x01, 0x41, 0x00]);
    bad("stored/no-numbers", "stored", "no put was without records", vec![0xa1, 0x00, 0x80]);
    let records = [&[0xa1, 0x00, 0x99, 0x01, 0x01], [0xa1, 0x00, 0x40].repeat(257).as_slice()].concat();
    bad("put/257-records", "put", "more records than allowed", records);
    let approvals = [&[0xa1, 0x00, 0x98, 65], [0x40; 65].as_slice()].concat();
    bad("approvals-kept/65", "approvals-kept", "more approvals than are kept", approvals);
    let ids = [[0x58, 0x20].as_slice(), &[0x01; 32]].concat();
    let chain =
        |seq: &[u8], delay: &[u8]| [&[0xa4, 0x00], &ids[..], &[0x01], &ids, &[0x02], seq, &[0x03], delay].concat();
    bad("chain-of-key/seq-negative", "chain-of-key", "no position", chain(&[0x20], &[0x00]));
    let wide = [0x1b, 0, 0, 0, 1, 0, 0, 0, 0];
    bad("chain-of-key/delay-of-33-bits", "chain-of-key", "a delay of more than 32 bits", chain(&[0x00], &wide));
    let null = [&[0xa3, 0x00], &ids[..], &[0x01], &ids, &[0x02, 0xf6]].concat();
    bad("whereabouts/null", "whereabouts", "null for a position", null);
    let request = forms().request.id();
    let nonces = [&[0x89], [0x40; 9].as_slice()].concat();
    let standing =
        [&[0xa5, 0x00, 0x58, 0x20], request.0.as_slice(), &[0x01, 0x01, 0x02, 0x00, 0x03, 0xf5, 0x04], &nonces];
    bad("standing/nine-nonces", "standing", "more nonces than rounds", standing.concat());
    let stage = [&[0xa5, 0x00, 0x58, 0x20], request.0.as_slice(), &[0x01, 0x05, 0x02, 0x00, 0x03, 0xf5, 0x04, 0x80]];
    bad("standing/stage-5", "standing", "a stage that does not exist", stage.concat());
    let online = [&[0xa5, 0x00, 0x58, 0x20], request.0.as_slice(), &[0x01, 0x01, 0x02, 0x00, 0x03, 0x01, 0x04, 0x80]];
    bad("standing/online-1", "standing", "a number where a truth value must be", online.concat());
}

fn case_json(case: &Case) -> Json {
    let good = case.error.is_none();
    let mut json = object! {
        "name": case.name.clone(),
        "comment": case.says.clone(),
        "rule": case.rule,
        "error": case.error,
        "cddl": good.then_some(case.rule),
    };
    if good {
        json.push("fields", fields(case.rule, &case.bytes).unwrap());
    }
    json.push("bytes", hex(&case.bytes));
    json
}

/// Messages that are too large to be written down.
fn fills() -> Vec<Json> {
    let fill = |name: &str, rule: &str, error: &str, count: usize| {
        object! {
            "name": name, "comment": "nothing is parsed beyond the limit", "rule": rule, "error": error, "cddl": Json::Null,
            "fill": object! { "byte": "ff", "count": count },
        }
    };
    let (from, to) = (limits::FRAME_FROM_DEVICE_BYTES_MAX, limits::FRAME_TO_DEVICE_BYTES_MAX);
    vec![
        fill("from-device/too-large", "from-device", "too-large", from + 1),
        fill("from-device/largest", "from-device", "malformed", from),
        fill("to-device/too-large", "to-device", "too-large", to + 1),
        fill("put/too-large", "put", "too-large", limits::BODY_BYTES_MAX + 1),
    ]
}

#[test]
fn messages_are_the_same_as_ever() {
    let mut cases = Cases(Vec::new());
    good(&mut cases);
    good_and_rare(&mut cases);
    broken(&mut cases);
    shapes(&mut cases);
    let rules = [
        "append",
        "appended",
        "ask",
        "standing",
        "log-page",
        "seen",
        "open-request",
        "round",
        "open-requests",
        "sealed-record",
        "put",
        "stored",
        "record-row",
        "record-page",
        "cursor",
        "challenge",
        "ready",
        "ended",
        "ack",
        "approved",
        "whereabouts",
        "approvals-kept",
        "reset-standing",
        "chain-of-key",
    ];
    let file = object! {
        "about": note("What travels unsigned around the forms: bodies of HTTP, messages of the socket."),
        "names": names_of(&rules),
        "cases": list(cases.0.iter().map(case_json).chain(fills())),
    };
    compare("messages.json", &file);
}
