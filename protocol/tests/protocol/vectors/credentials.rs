//! `docs/vectors/credentials.json`: what devices show to somebody outside, who knows this or that of the chain.

use minicbor::Encoder;
use protocol::credential::{Credential, CredentialError, Known, Link, Proven, verify};
use protocol::entry::{Body, Entry};
use protocol::policy::Role;
use protocol::roster::{Departure, Why};
use protocol::{ChainId, DeviceId, Hash, Verified, limits};

use super::json::{Json, hex, list, object};
use super::logs::{ENTRY, cases, family, ring};
use super::making::{Edit, Made, Pool, Ring};
use super::{compare, note};
use crate::world::{Chain, keys};

/// What the device shows, and to whom.
struct Case {
    name: &'static str,
    says: &'static str,
    device: DeviceId,
    log: Vec<(String, Made)>,
    edits: Vec<Edit>,
    known: Known,
    error: Option<(&'static str, Option<usize>)>,
}

/// The cases, made one after the other.
struct Cases {
    ring: Ring,
    logs: Vec<super::logs::Case>,
    all: Vec<Case>,
}

impl Cases {
    fn new() -> Self {
        Self { ring: ring(), logs: cases(&ring()), all: Vec::new() }
    }

    fn shows(&mut self, name: &'static str, says: &'static str, device: &str, log: &[Verified<Entry>]) -> &mut Case {
        let named = |entry: &Verified<Entry>| format!("{}-{}-{}", entry.body.name(), entry.seq, entry.hash().short());
        let log = log.iter().map(|entry| (named(entry), self.ring.made(entry))).collect();
        let device = keys(device).id();
        self.all.push(Case { name, says, device, log, edits: Vec::new(), known: Known::default(), error: None });
        self.all.last_mut().unwrap()
    }

    /// A log of `logs.json`.
    fn log_named(&self, name: &str) -> Vec<Verified<Entry>> {
        self.logs.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("a log {name}")).good.clone()
    }
}

impl Case {
    fn to(&mut self, known: Known) -> &mut Self {
        self.known = known;
        self
    }

    fn fails(&mut self, code: &'static str) -> &mut Self {
        self.error = Some((code, None));
        self
    }

    fn fails_at(&mut self, index: usize, code: &'static str) {
        self.error = Some((code, Some(index)));
    }

    fn edited(&mut self, at: usize, cut: usize, insert: &[u8]) -> &mut Self {
        self.edits.push(Edit { at, cut, insert: insert.to_vec() });
        self
    }

    /// Before anything is changed.
    fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut e = Encoder::new(&mut bytes);
        e.map(3).unwrap().u8(0).unwrap().u8(1).unwrap().u8(1).unwrap().bytes(&self.device.0).unwrap();
        e.u8(2).unwrap().array(self.log.len() as u64).unwrap();
        for (_, made) in &self.log {
            e.bytes(&made.bytes()).unwrap();
        }
        bytes
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.encoded();
        for edit in &self.edits {
            bytes.splice(edit.at..edit.at + edit.cut, edit.insert.iter().copied());
        }
        bytes
    }
}

fn head_of(log: &[Verified<Entry>]) -> Known {
    let last = log.last().unwrap();
    Known { chain: None, head: Some((last.hash(), last.seq)) }
}

fn chain_of(log: &[Verified<Entry>]) -> Known {
    Known::of(ChainId::from(log[0].hash()))
}

/// A phone is admitted, admits a tablet, and is removed by the laptop.
fn removed() -> Chain {
    let mut chain = family();
    let tablet = chain.asks("tablet");
    chain.append(&chain.admits(&keys("phone"), &tablet, Role::Writer));
    chain.append(&chain.removes(&chain.laptop, &["phone"]));
    chain
}

fn good(all: &mut Cases) {
    let log = family().log;
    all.shows("founder", "a chain of one device", "laptop", &log[..1]);
    all.shows("approver", "admitted by the founder", "phone", &log);
    all.shows("writer", "", "writer", &log);
    all.shows("reader", "a member that may not write", "reader", &log);
    all.shows("chain-known", "the chain is the one that is known", "phone", &log).to(chain_of(&log));
    all.shows("head-known", "the head is the one that is known", "phone", &log).to(head_of(&log));
    all.shows("newer-than-known", "the log has gone on since", "phone", &log).to(head_of(&log[..2]));
    let both = Known { head: head_of(&log[..1]).head, ..chain_of(&log) };
    all.shows("both-known", "chain and head", "phone", &log).to(both);
    let removed = removed().log;
    all.shows("removed-approver", "it stays a member when the one that admitted it is removed", "tablet", &removed);
    let old = &removed[..removed.len() - 1];
    all.shows("removed-since", "nobody told this verifier yet: a log proves nothing of what came after", "phone", old)
        .to(head_of(&removed[..2]));
    for (log, device, says) in [
        ("recovery-device", "recovery words", "the recovery device of the founding is a member"),
        ("recovery-brought", "recovery words", "a rotation brought it"),
        ("recovered", "tablet", "admitted by the recovery device, which was replaced, as the founder was removed"),
        ("admitted-by-two", "tablet", "another approver consented"),
        ("roles", "writer", "the role is that at the head"),
        ("rotated-code", "phone", "a new epoch under a new sync code"),
        ("settled", "phone", "a fork that was settled"),
        ("closing", "phone", "an announced end is none"),
    ] {
        let entries = all.log_named(log);
        all.shows(log, says, device, &entries);
    }
}

fn not_a_credential(all: &mut Cases) {
    let log = &family().log[..1];
    let length = all.shows("nothing", "no bytes at all", "laptop", log).encoded().len();
    let case = all.all.last_mut().unwrap();
    case.edited(0, length, &[]).fails("malformed");
    let with = |all: &mut Cases, name, says, at, cut, insert: &[u8], code| {
        all.shows(name, says, "laptop", log).edited(at, cut, insert).fails(code);
    };
    with(all, "cut", "the last byte is missing", length - 1, 1, &[], "malformed");
    with(all, "not-a-map", "an array", 0, length, &[0x80], "malformed");
    with(all, "indefinite-map", "of indefinite length", 0, 1, &[0xbf], "malformed");
    all.all.last_mut().unwrap().edited(length, 0, &[0xff]);
    with(all, "indefinite-array", "the log has an indefinite length", 39, 1, &[0x9f], "malformed");
    all.all.last_mut().unwrap().edited(length, 0, &[0xff]);
    with(all, "short-device", "31 bytes", 4, 3, &[0x58, 0x1f], "malformed");
    with(all, "no-log", "key 2 is missing", 38, length - 38, &[], "malformed");
    all.all.last_mut().unwrap().edited(0, 1, &[0xa2]);
    with(all, "empty-log", "a log has an entry", 39, length - 39, &[0x80], "malformed");
    with(all, "long-log", "65,537 entries, by the head of the array", 39, 1, &[0x9a, 0, 1, 0, 1], "malformed");
    with(all, "entry-not-in-bytes", "the entry itself stands in the array", 40, 3, &[], "malformed");
    with(all, "trailing", "a byte too many", length, 0, &[0], "not-canonical");
    with(all, "unknown-key", "key 3", length, 0, &[3, 0], "not-canonical");
    all.all.last_mut().unwrap().edited(0, 1, &[0xa4]);
    with(all, "wide-version", "the version in two bytes", 2, 1, &[0x18, 1], "not-canonical");
    with(all, "version-2", "a later version", 2, 1, &[2], "unknown-version");
    with(all, "version-2-and-trailing", "the encoding before the version", length, 0, &[0], "not-canonical");
    all.all.last_mut().unwrap().edited(2, 1, &[2]);
}

fn not_a_log(all: &mut Cases) {
    let chain = family();
    let log = chain.log.clone();
    let signature = all.ring.made(&log[1]).bytes().len() - 1;
    let tampered = |case: &mut Case, at: usize, edit: &dyn Fn(Made) -> Made| {
        let (name, made) = case.log[at].clone();
        case.log[at] = (format!("{}-{name}", case.name), edit(made));
    };
    let case = all.shows("tampered", "a bit of a signature", "phone", &log);
    tampered(case, 1, &|made| {
        let last = made.bytes()[signature];
        made.edited(signature, 1, &[last ^ 1])
    });
    case.fails_at(1, "bad-signature");
    let case = all.shows("entry-cut", "an entry without its last byte", "phone", &log);
    tampered(case, 1, &|made| made.edited(signature, 1, &[]));
    case.fails_at(1, "malformed");
    let case = all.shows("entry-empty", "no bytes where an entry should be", "phone", &log);
    tampered(case, 3, &|made| {
        let length = made.bytes().len();
        made.edited(0, length, &[])
    });
    case.fails_at(3, "malformed");
    all.shows("gap", "an entry is missing", "phone", &[&log[..2], &log[3..]].concat()).fails_at(2, "head-moved");
    all.shows("twice", "an entry stands twice", "phone", &[&log[..2], &log[1..]].concat()).fails_at(2, "head-moved");
    all.shows("not-from-the-start", "the founding is missing", "phone", &log[1..]).fails_at(0, "other-chain");
    let other = Chain::founded_with("stranger", protocol::policy::Policy::default()).log;
    all.shows("spliced", "the log of another chain", "stranger", &[&other[..], &log[1..]].concat())
        .fails_at(1, "other-chain");
    let stranger = all.ring.made(&chain.changed(&keys("stranger"), &chain.deny_body(), |_| {}));
    let case = all.shows("signed-by-a-stranger", "an entry by a device that is no member", "phone", &log);
    case.log.push(("deny-by-a-stranger".to_owned(), stranger));
    case.fails_at(4, "not-a-member");
    let mut unknown = chain.deny_body();
    unknown.body = Body::Unknown { kind: 13, raw: vec![0xa0].into() };
    let unknown = Made::new(ENTRY, &chain.laptop.signing, protocol::cbor::encode(&unknown), Vec::new());
    let case = all.shows("later-kind", "it may remove somebody, so it is not passed over", "phone", &log);
    case.log.push(("kind-13".to_owned(), unknown));
    case.fails_at(4, "unknown-kind");
}

fn not_what_is_known(all: &mut Cases) {
    let log = family().log;
    let other = Chain::founded_with("stranger", protocol::policy::Policy::default()).log;
    all.shows("other-chain", "everybody can found a chain", "stranger", &other).to(chain_of(&log)).fails("other-chain");
    let spliced = [&other[..], &log[1..]].concat();
    all.shows("other-chain-and-spliced", "the chain is asked for after the first entry", "stranger", &spliced)
        .to(chain_of(&log))
        .fails("other-chain");
    all.shows("behind", "a member with an old log", "phone", &log[..2]).to(head_of(&log)).fails("behind");
    let removed = removed().log;
    let (old, newest) = (&removed[..removed.len() - 1], head_of(&removed));
    all.shows("removed-and-behind", "its removal is known", "phone", old).to(newest).fails("behind");
    all.shows("never-a-member-and-behind", "the head before the member", "stranger", old).to(newest).fails("behind");
    let mut branch = family();
    branch.append(&branch.denies(&keys("phone"), &branch.asks("watch")));
    branch.append(&branch.changed(&keys("phone"), &branch.deny_body(), |_| {}));
    all.shows("other-branch", "as long as what is known", "phone", &branch.log).to(newest).fails("other-branch");
    branch.append(&branch.rotates(&keys("phone"), protocol::change::CodeChange::Keep));
    all.shows("longer-branch", "a removed approver goes on by itself", "phone", &branch.log)
        .to(newest)
        .fails("other-branch");
    let (head, seq) = newest.head.unwrap();
    let nowhere = Known { chain: None, head: Some((Hash([9; 32]), seq)) };
    all.shows("head-unknown", "a head that is in no log", "tablet", &removed).to(nowhere).fails("other-branch");
    let unplaced = Known { chain: None, head: Some((head, 1)) };
    all.shows(
        "head-elsewhere",
        "the head is looked up by its hash; its seq says only what is behind",
        "tablet",
        &removed,
    )
    .to(unplaced);
}

fn not_a_member(all: &mut Cases) {
    let removed = removed().log;
    all.shows("removed", "removed at the last entry", "phone", &removed).fails("not-a-member");
    all.shows("never-a-member", "", "stranger", &removed).fails("not-a-member");
    for (log, device, says) in [
        ("left", "writer", "it left by itself"),
        ("recovery-replaced", "recovery words", "another recovery device stands in its place"),
        ("denied", "tablet", "it asked, and was denied"),
    ] {
        let entries = all.log_named(log);
        all.shows(log, says, device, &entries).fails("not-a-member");
    }
    let closed = all.log_named("closed");
    all.shows("closed", "a chain that ended vouches for nobody", "phone", &closed).fails("chain-closed");
    all.shows("closed-and-never-a-member", "the chain before the member", "stranger", &closed).fails("chain-closed");
    let elsewhere = Known { chain: None, head: Some((Hash([9; 32]), 1)) };
    all.shows("closed-and-other-branch", "the head before the chain", "phone", &closed)
        .to(elsewhere)
        .fails("other-branch");
}

fn departure(departure: &Departure) -> Json {
    let why = match departure.why {
        Why::Removed(reason) => reason.name(),
        Why::Left => "left",
        Why::Replaced => "replaced",
    };
    object! { "seq": departure.seq, "by": hex(departure.by.0), "why": why }
}

fn proven_json(proven: &Proven) -> Json {
    let link = |link: &Link| {
        object! {
            "device": hex(link.device.0),
            "seq": link.seq,
            "by": hex(link.by.0),
            "with": list(link.with.iter().map(|device| hex(device.0))),
            "how": link.how.map(|how| how.name()),
            "ended": link.ended.as_ref().map(departure),
        }
    };
    object! {
        "chain": hex(proven.chain().0),
        "founder": hex(proven.founder().0),
        "signing": hex(proven.device().signing.0),
        "sealing": hex(proven.device().sealing.as_bytes()),
        "role": proven.role().name(),
        "epoch": proven.epoch(),
        "head": hex(proven.head().0),
        "seq": proven.seq(),
        "links": list(proven.links().iter().map(link)),
    }
}

fn known_json(known: &Known) -> Json {
    let head = |(hash, seq): &(Hash, u64)| object! { "hash": hex(hash.0), "seq": *seq };
    object! { "chain": known.chain.map(|chain| hex(chain.0)), "head": known.head.as_ref().map(head) }
}

fn case_json(ring: &Ring, pool: &mut Pool, case: &Case) -> Json {
    let bytes = case.bytes();
    let verdict = verify(&bytes, &case.known);
    let place = match &verdict {
        Err(CredentialError::Entry { index, .. } | CredentialError::Refused { index, .. }) => Some(*index),
        _ => None,
    };
    assert_eq!(verdict.as_ref().err().map(|error| (error.code(), place)), case.error, "{}", case.name);
    let log: Vec<Json> = case.log.iter().map(|(name, made)| pool.keep(ring, name, made).into()).collect();
    let mut json = object! {
        "name": case.name, "comment": case.says, "error": case.error.map(|(code, _)| code), "index": place,
        "known": known_json(&case.known), "device": hex(case.device.0), "log": log,
    };
    if !case.edits.is_empty() {
        let edit = |edit: &Edit| object! { "at": edit.at, "cut": edit.cut, "insert": hex(&edit.insert) };
        json.push("edits", list(case.edits.iter().map(edit)));
    }
    json.push("bytes", hex(&bytes));
    match verdict {
        Ok(proven) => json.push("proven", proven_json(&proven)),
        Err(CredentialError::NotAMember { former, .. }) => json.push("former", former.as_ref().map(departure)),
        Err(_) => {}
    }
    json
}

#[test]
fn credentials_are_the_same_as_ever() {
    let mut all = Cases::new();
    good(&mut all);
    not_a_credential(&mut all);
    not_a_log(&mut all);
    not_what_is_known(&mut all);
    not_a_member(&mut all);
    let mut pool = Pool::default();
    let mut list: Vec<Json> = all.all.iter().map(|case| case_json(&all.ring, &mut pool, case)).collect();
    let count = limits::CREDENTIAL_BYTES_MAX + 1;
    assert_eq!(verify(&vec![0xa3; count], &Known::default()).unwrap_err().code(), "too-large");
    list.push(object! {
        "name": "too-large", "comment": "a byte more than allowed", "error": "too-large", "index": Json::Null,
        "known": known_json(&Known::default()), "fill": object! { "byte": "a3", "count": count },
    });
    let file = object! {
        "about": note("What a device shows to somebody outside its chain, what they know of it, and what is then proven."),
        "keys": all.ring.to_json(),
        "entries": pool.into_json(),
        "cases": list,
    };
    compare("credentials.json", &file);
}

#[test]
fn a_good_credential_is_what_its_device_makes_of_its_log() {
    let mut all = Cases::new();
    good(&mut all);
    for case in &all.all {
        let entry = |(_, made): &(String, Made)| Verified::<Entry>::from_bytes(&made.bytes()).unwrap();
        let log: Vec<Verified<Entry>> = case.log.iter().map(entry).collect();
        assert_eq!(Credential::of(case.device, &log).unwrap().to_bytes(), case.bytes(), "{}", case.name);
    }
}
