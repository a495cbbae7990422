//! `docs/vectors/records.json`: records after a log, as the relay's gate and as a reader judge them.

use protocol::cbor::{self, Blob};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::Entry;
use protocol::keyring::Keyring;
use protocol::keys::{DerivedKey, DeviceKeys};
use protocol::policy::Role;
use protocol::record::{Content, Kind, Line, Record, Trust, blind_collection, blind_id, open, trust};
use protocol::roster::Roster;
use protocol::seal::seal_under;
use protocol::{ChainId, Hash, VERSION, Verified};
use sha2::{Digest as _, Sha256};

use super::json::{Json, hex, list, object};
use super::logs::family;
use super::making::{Made, Pool, Ring};
use super::sealing::{derived, of_epoch_key};
use super::{compare, note};
use crate::forms::forms;
use crate::support::SeededRng;
use crate::world::{AT, Chain, keys};

const RECORD: &str = "countersign/v1/record";

/// A record as it travels, and what it says inside.
#[derive(Clone)]
struct Sent {
    name: String,
    made: Made,
    ciphertext: Option<Blob>,
    content: Option<Content>,
}

impl Sent {
    fn hash(&self) -> Hash {
        Hash(self.made.hash())
    }

    fn line(&self, counter: u64) -> Line {
        Line { counter, last: Some(self.hash()) }
    }

    fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }
}

/// What is told of a sequence of records: nothing, that all are taken, or which one is refused.
type Verdict = Option<Option<(usize, &'static str)>>;

struct Case {
    name: &'static str,
    says: &'static str,
    log: Vec<Verified<Entry>>,
    records: Vec<Sent>,
    relay: Verdict,
    reader: Verdict,
    /// Of a relay that lost them, when a member gives them back.
    refill: Verdict,
    keyring: Keyring,
}

/// A log and what its members write.
struct Scene {
    chain: Chain,
    cases: Vec<Case>,
}

const FIRST: (&str, &str) = ("notes", "first");
const SECOND: (&str, &str) = ("notes", "second");

impl Scene {
    fn new(chain: Chain) -> Self {
        Self { chain, cases: Vec::new() }
    }

    /// The header of a writer's next record, without the ciphertext's hash.
    fn header(&self, line: Line, place: (&str, &str), base: Option<&Sent>) -> Record {
        let key = self.chain.keyring.name_key();
        let collection = blind_collection(key, place.0);
        Record {
            version: VERSION,
            chain: self.chain.log[0].hash().into(),
            collection,
            id: blind_id(key, &collection, place.1),
            epoch: 1,
            counter: line.counter + 1,
            last: line.last,
            base: base.map(Sent::hash),
            head: self.chain.log.last().unwrap().hash(),
            at: AT,
            kind: Kind::Put,
            ciphertext_hash: None,
        }
    }

    /// Seals a content under a header, and signs both.
    fn put(&self, name: &str, by: &DeviceKeys, mut header: Record, place: (&str, &str), value: &[u8]) -> Sent {
        let content = Content { collection: place.0.to_owned(), id: place.1.to_owned(), value: value.into() };
        let key = match self.chain.keyring.epoch_key_of(header.epoch).filter(|_| header.epoch > 1) {
            Some(key) => derived(key, "countersign/v1/record-key", header.epoch),
            None => of_epoch_key(&self.chain, "countersign/v1/record-key"),
        };
        let key = DerivedKey::from_bytes(key);
        let mut rng = SeededRng::new(&format!("record {name}"));
        let sealed = seal_under(&key, &cbor::encode(&header), &cbor::encode(&content), &mut rng).unwrap();
        header.ciphertext_hash = Some(Hash(Sha256::digest(&*sealed).into()));
        self.carrying(name, by, &header, Some(sealed), Some(content))
    }

    fn delete(&self, name: &str, by: &DeviceKeys, header: Record) -> Sent {
        self.carrying(name, by, &Record { kind: Kind::Delete, ..header }, None, None)
    }

    fn carrying(
        &self,
        name: &str,
        by: &DeviceKeys,
        header: &Record,
        ciphertext: Option<Blob>,
        content: Option<Content>,
    ) -> Sent {
        let made = Made::new(RECORD, &by.signing, cbor::encode(header), Vec::new());
        Sent { name: name.to_owned(), made, ciphertext, content }
    }

    fn case(&mut self, name: &'static str, says: &'static str, records: &[&Sent], relay: Verdict, reader: Verdict) {
        let records = records.iter().map(|record| (*record).clone()).collect();
        let (log, keyring) = (self.chain.log.clone(), self.chain.keyring.clone());
        self.cases.push(Case { name, says, log, records, relay, reader, refill: None, keyring });
    }

    fn good(&mut self, name: &'static str, says: &'static str, records: &[&Sent]) {
        self.case(name, says, records, Some(None), Some(None));
    }

    /// The last record is refused by both.
    fn bad(&mut self, name: &'static str, says: &'static str, records: &[&Sent], code: &'static str) {
        let verdict = Some(Some((records.len() - 1, code)));
        self.case(name, says, records, verdict, verdict);
    }

    /// What relay and reader say, and a relay that gets back what it lost.
    fn refillable(
        &mut self,
        name: &'static str,
        says: &'static str,
        records: &[&Sent],
        (relay, reader, refill): (Verdict, Verdict, Verdict),
    ) {
        self.case(name, says, records, relay, reader);
        self.cases.last_mut().unwrap().refill = refill;
    }

    /// The last record is refused by the relay; of a reader nothing is said.
    fn refused(&mut self, name: &'static str, says: &'static str, records: &[&Sent], code: &'static str) {
        self.case(name, says, records, Some(Some((records.len() - 1, code))), None);
    }
}

fn lines(scene: &mut Scene) {
    let (phone, writer) = (keys("phone"), keys("writer"));
    let start = Line::default();
    let first = scene.put("phone-1", &phone, scene.header(start, FIRST, None), FIRST, b"hello");
    scene.good("first", "the first record of a line, of a new name", &[&first]);
    let second = scene.put("phone-2", &phone, scene.header(first.line(1), FIRST, Some(&first)), FIRST, b"hello again");
    scene.good("replaced", "the next replaces it", &[&first, &second]);
    let delete = scene.delete("phone-2-delete", &phone, scene.header(first.line(1), FIRST, Some(&first)));
    scene.good("deleted", "a tombstone", &[&first, &delete]);
    let header = scene.header(delete.line(2), FIRST, Some(&delete));
    let again = scene.put("phone-3", &phone, header, FIRST, b"");
    scene.good(
        "after-a-tombstone",
        "a name that was deleted is written again: the tombstone is its base",
        &[&first, &delete, &again],
    );
    let other = scene.put("writer-1", &writer, scene.header(start, SECOND, None), SECOND, b"mine");
    let replaced = scene.put("writer-2", &writer, scene.header(other.line(1), FIRST, Some(&first)), FIRST, b"ours");
    scene.good("two-writers", "each writer has a line of its own", &[&first, &other, &replaced]);
    scene.good("same-record-twice", "a record that is there already is passed over", &[&first, &first]);
    let mut header = scene.header(start, FIRST, None);
    header.head = scene.chain.log[1].hash();
    let behind = scene.put("phone-1-behind", &phone, header, FIRST, b"hello");
    scene.good("behind", "its head is not the last, but in the log", &[&behind]);
    let replayed = scene.put("phone-1-other", &phone, scene.header(start, SECOND, None), SECOND, b"other");
    scene.bad("replayed", "another record with a counter that was used", &[&first, &replayed], "replayed");
    let gap = scene.put("phone-3-gap", &phone, scene.header(first.line(2), SECOND, None), SECOND, b"gap");
    scene.bad("gap", "counter 3 follows counter 1", &[&first, &gap], "broken-line");
    let lost = scene.put("phone-2-lost", &phone, scene.header(other.line(1), SECOND, None), SECOND, b"lost");
    scene.bad("other-last", "last is another writer's record", &[&first, &lost], "broken-line");
    let unborn = scene.put("phone-2-first", &phone, scene.header(other.line(1), SECOND, None), SECOND, b"lost");
    scene.bad("line-begins-at-2", "nothing stands before it", &[&unborn], "broken-line");
    bases(scene, &first, &delete);
    ciphertexts(scene, &first);
    pairs(scene, &first);
}

fn bases(scene: &mut Scene, first: &Sent, delete: &Sent) {
    let (phone, writer) = (keys("phone"), keys("writer"));
    let start = Line::default();
    let new = scene.put("writer-1-new", &writer, scene.header(start, FIRST, None), FIRST, b"new");
    scene.bad("new-where-one-is", "no base, and the name is there", &[first, &new], "conflict");
    scene.bad(
        "new-where-one-was",
        "no base, and there is a tombstone",
        &[first, delete, &new.clone().named("writer-1-new")],
        "conflict",
    );
    let old = scene.put("writer-1-old", &writer, scene.header(start, FIRST, Some(first)), FIRST, b"old");
    scene.bad("stale-base", "the version that it replaces was replaced", &[first, delete, &old], "conflict");
    let header = scene.header(first.line(1), SECOND, Some(first));
    let moved = scene.put("phone-2-moved", &phone, header, SECOND, b"moved");
    scene.bad("base-of-another-name", "it replaces a version of another name", &[first, &moved], "conflict");
}

fn ciphertexts(scene: &mut Scene, first: &Sent) {
    let phone = keys("phone");
    let mut changed = first.clone().named("phone-1");
    changed.ciphertext.as_mut().unwrap().0[30] ^= 1;
    scene.bad("other-ciphertext", "the ciphertext was changed", &[&changed], "other-ciphertext");
    let missing = Sent { ciphertext: None, ..first.clone() };
    let relay = Some(Some((0, "other-ciphertext")));
    let says = "a put without its ciphertext: to a reader a version that was replaced since";
    scene.refillable("missing-ciphertext", says, &[&missing], (relay, Some(None), Some(None)));
    let mut delete = scene.delete("phone-2-delete", &phone, scene.header(first.line(1), FIRST, Some(first)));
    delete.ciphertext.clone_from(&first.ciphertext);
    scene.bad("delete-with-ciphertext", "a delete has none", &[first, &delete], "other-ciphertext");
    let long = Blob(vec![0; 256 * 1024 + 1]);
    let mut header = scene.header(Line::default(), FIRST, None);
    header.ciphertext_hash = Some(Hash(Sha256::digest(&*long).into()));
    let long = scene.carrying("phone-1-long", &phone, &header, Some(long), None);
    scene.bad("long-ciphertext", "a ciphertext of one byte more than allowed", &[&long], "other-ciphertext");
    let garbage = Blob(vec![2; 60]);
    let mut header = scene.header(Line::default(), FIRST, None);
    header.ciphertext_hash = Some(Hash(Sha256::digest(&*garbage).into()));
    let garbage = scene.carrying("phone-1-garbage", &phone, &header, Some(garbage), None);
    let says = "what does not open is a version like any other: a reader shows the place as damaged";
    scene.good("damaged", says, &[&garbage]);
    let header = scene.header(Line::default(), FIRST, None);
    let moved = scene.put("phone-1-moved", &phone, header, SECOND, b"moved");
    scene.good("names-inside", "the names inside are not the ones outside: damaged as well", &[&moved]);
    let mut header = scene.header(Line::default(), FIRST, None);
    header.at += 1;
    header.ciphertext_hash = cbor::decode::<Record>("record", &first.made.payload, 1024).unwrap().ciphertext_hash;
    let moved = scene.carrying("phone-1-header", &phone, &header, first.ciphertext.clone(), None);
    scene.good("another-header", "a ciphertext that was sealed for another header: damaged", &[&moved]);
}

fn members(scene: &mut Scene) {
    let start = Line::default();
    for (name, says) in
        [("stranger", "never a member"), ("reader", "a reader may not write"), ("tablet", "a device that was denied")]
    {
        let record = scene.put(&format!("{name}-1"), &keys(name), scene.header(start, FIRST, None), FIRST, b"hello");
        let case = match name {
            "stranger" => "by-a-stranger",
            "reader" => "by-a-reader",
            _ => "by-a-denied-device",
        };
        scene.bad(case, says, &[&record], "not-a-member");
    }
    let writer = keys("writer");
    let mut header = scene.header(start, FIRST, None);
    header.head = scene.chain.log[1].hash();
    let early = scene.put("writer-1-early", &writer, header, FIRST, b"early");
    scene.bad(
        "before-its-admission",
        "the writer is a member, but was none at the head that it names",
        &[&early],
        "not-a-member",
    );
    let mut header = scene.header(start, FIRST, None);
    header.head = Hash([9; 32]);
    let unknown = scene.put("writer-1-unknown-head", &writer, header.clone(), FIRST, b"hello");
    scene.bad("unknown-head", "no entry of the log: a reader sets it aside", &[&unknown], "unknown-head");
    let probe = scene.put("stranger-1-unknown-head", &keys("stranger"), header, FIRST, b"hello");
    let relay = Some(Some((0, "not-a-member")));
    let says = "whoever may not write learns nothing but that";
    scene.case("stranger-with-unknown-head", says, &[&probe], relay, Some(Some((0, "unknown-head"))));
    for (epoch, name) in [(0, "epoch-0"), (2, "epoch-2")] {
        let mut header = scene.header(start, FIRST, None);
        header.epoch = epoch;
        let stale = scene.put(&format!("writer-1-{name}"), &writer, header, FIRST, b"hello");
        scene.bad(name, "another epoch than the one of its head", &[&stale], "stale-epoch");
    }
    let mut header = scene.header(start, FIRST, None);
    let mine = scene.put("writer-1-first", &writer, header.clone(), FIRST, b"hello");
    (header.counter, header.last) = (2, Some(mine.hash()));
    header.chain = ChainId([9; 32]);
    let other = scene.put("writer-2-other-chain", &writer, header, SECOND, b"hello");
    scene.bad("other-chain", "a batch that names two chains", &[&mine, &other], "other-chain");
}

/// Two faults in one record: the relay's order.
fn pairs(scene: &mut Scene, first: &Sent) {
    let phone = keys("phone");
    let mut header = scene.header(first.line(2), SECOND, None);
    header.epoch = 2;
    let both = scene.put("phone-3-epoch-2", &phone, header.clone(), SECOND, b"x");
    scene.refused("stale-epoch-and-broken-line", "epoch before line", &[first, &both], "stale-epoch");
    header.head = Hash([9; 32]);
    let both = scene.put("phone-3-unknown-head", &phone, header, SECOND, b"x");
    scene.refused("unknown-head-and-stale-epoch", "head before epoch", &[first, &both], "unknown-head");
    let both = scene.put("phone-3-new", &phone, scene.header(first.line(2), FIRST, None), FIRST, b"x");
    scene.refused("broken-line-and-conflict", "line before base", &[first, &both], "broken-line");
    let mut both = scene.put("phone-2-new", &phone, scene.header(first.line(1), FIRST, None), FIRST, b"x");
    both.ciphertext = None;
    scene.refused("conflict-and-other-ciphertext", "base before ciphertext", &[first, &both], "conflict");
}

/// What a removed device wrote, cut where its last record was, or on purpose before it.
fn cut(at: CutAt) -> Scene {
    let mut chain = family();
    let before = Scene::new(chain.clone());
    let (phone, writer) = (keys("phone"), keys("writer"));
    let first = before.put("phone-1-kept", &phone, before.header(Line::default(), FIRST, None), FIRST, b"hello");
    let second =
        before.put("phone-2-kept", &phone, before.header(first.line(1), FIRST, Some(&first)), FIRST, b"hello again");
    let other = before.put("phone-2-kept-other", &phone, before.header(first.line(1), SECOND, None), SECOND, b"other");
    let counter = if at == CutAt::Last { 2 } else { 1 };
    let last = Some(if at == CutAt::Last { second.hash() } else { first.hash() });
    let removal = Removal { device: phone.id(), cut: Cut { counter, last, at } };
    chain.append(&chain.removes_together(&chain.laptop, vec![removal], Vec::new()));
    let mut scene = Scene::new(chain);
    let gone = Some(Some((0, "not-a-member")));
    let mut after = scene.header(Line::default(), FIRST, Some(&second));
    after.epoch = 2;
    if at == CutAt::Earlier {
        let says = "a record past an earlier cut is kept, since others may stand on it: its place is disputed";
        scene.refillable("past-an-earlier-cut", says, &[&first, &second], (gone, Some(None), Some(None)));
        let anew = scene.put("writer-1-anew", &writer, after, FIRST, b"written anew");
        let says = "somebody wrote the place anew";
        scene.refillable("anew-after-an-earlier-cut", says, &[&first, &second, &anew], (gone, Some(None), Some(None)));
        return scene;
    }
    let says = "what a removed device wrote before counts, under the key of its epoch; it writes no more";
    scene.refillable("before-the-removal", says, &[&first, &second], (gone, Some(None), Some(None)));
    let says = "the same counter as the cut, and another record";
    let past = Some(Some((1, "past-cut")));
    scene.refillable("another-at-the-cut", says, &[&first, &other], (gone, past, past));
    let third = before.put("phone-3-late", &phone, before.header(second.line(2), FIRST, Some(&second)), FIRST, b"late");
    let past = Some(Some((2, "past-cut")));
    let says = "signed under an old head after the removal, or kept back until then";
    scene.refillable("past-the-cut", says, &[&first, &second, &third], (gone, past, past));
    let mut late = scene.header(first.line(1), FIRST, Some(&first));
    late.epoch = 2;
    let late = scene.put("phone-2-later", &phone, late, FIRST, b"late");
    let not = Some(Some((1, "not-a-member")));
    scene.refillable("after-the-removal", "it names a head at which it is gone", &[&first, &late], (gone, not, not));
    let good = scene.put("writer-1-new-epoch", &writer, after, FIRST, b"the new epoch");
    let says = "a writer goes on in the new epoch, on what the removed device wrote";
    scene.refillable("in-the-new-epoch", says, &[&first, &second, &good], (gone, Some(None), Some(None)));
    let old =
        before.put("writer-1-old-epoch", &writer, before.header(Line::default(), SECOND, None), SECOND, b"old epoch");
    let stale = Some(Some((0, "stale-epoch")));
    let says = "written under an epoch that is over: a reader believes it, the relay takes it only back";
    scene.refillable("in-the-old-epoch", says, &[&old], (stale, Some(None), Some(None)));
    let mut mixed = scene.header(Line::default(), SECOND, None);
    mixed.epoch = 1;
    let mixed = scene.put("writer-1-mixed", &writer, mixed, SECOND, b"mixed");
    let stale = Some(Some((0, "stale-epoch")));
    scene.refillable("old-epoch-new-head", "the epoch of its head is another", &[&mixed], (stale, stale, stale));
    scene
}

/// A writer that becomes a reader, and a writer again.
fn role() -> Scene {
    let mut chain = family();
    let before = Scene::new(chain.clone());
    let writer = keys("writer");
    let first = before.put("writer-1-kept", &writer, before.header(Line::default(), FIRST, None), FIRST, b"hello");
    let late = before.put("writer-2-late", &writer, before.header(first.line(1), FIRST, Some(&first)), FIRST, b"late");
    let cut = Cut { counter: 1, last: Some(first.hash()), at: CutAt::Last };
    chain.append(&chain.makes(&chain.laptop, "writer", Role::Reader, Some(cut)));
    let mut scene = Scene::new(chain.clone());
    let reads = scene.put("writer-2-reads", &writer, scene.header(first.line(1), FIRST, Some(&first)), FIRST, b"late");
    let (gone, not) = (Some(Some((0, "not-a-member"))), Some(Some((1, "not-a-member"))));
    let says = "a device that only reads now";
    scene.refillable("by-a-reader-that-wrote", says, &[&first, &reads], (gone, not, not));
    chain.append(&chain.makes(&chain.laptop, "writer", Role::Writer, None));
    scene.chain = chain;
    let back = scene.put("writer-2-back", &writer, scene.header(first.line(1), FIRST, Some(&first)), FIRST, b"back");
    scene.refillable("by-a-writer-again", "its line goes on", &[&first, &back], (Some(None), Some(None), Some(None)));
    let past = Some(Some((1, "past-cut")));
    let says = "a record of before, past the cut: that it writes again does not bring it back";
    scene.refillable("kept-back-by-a-writer", says, &[&first, &late], (past, past, past));
    scene
}

/// The recovery device is a member, and does not write.
fn recovery() -> Scene {
    let mut chain = Chain::founded();
    chain.log = vec![forms().found_with_recovery];
    let mut scene = Scene::new(chain);
    let header = scene.header(Line::default(), FIRST, None);
    let record = scene.put("recovery-1", &keys("recovery words"), header, FIRST, b"hello");
    scene.bad("by-the-recovery-device", "a recovery device does not write", &[&record], "not-a-member");
    scene
}

fn verdict_json(verdict: Verdict) -> Json {
    let Some(verdict) = verdict else { return Json::Null };
    object! { "error": verdict.map(|(_, code)| code), "index": verdict.map(|(index, _)| index) }
}

/// What a reader shows after a good sequence: the last version of every place.
fn items(roster: &Roster, keyring: &Keyring, records: &[Sent]) -> Json {
    let mut items: Vec<(Record, Json)> = Vec::new();
    for sent in records {
        let record = Verified::<Record>::from_bytes(&sent.made.bytes()).unwrap();
        let mut item =
            object! { "collection": hex(record.collection.0), "id": hex(record.id.0), "version": hex(record.hash().0) };
        match &sent.ciphertext {
            _ if record.kind == Kind::Delete => item.push("state", "deleted"),
            None => item.push("state", "replaced"),
            Some(ciphertext) => match open(keyring, &record, ciphertext) {
                Err(_) => item.push("state", "damaged"),
                Ok(content) => {
                    item.push("state", "there");
                    item.push("names", list([content.collection, content.id]));
                    item.push("value", hex(&*content.value));
                }
            },
        }
        if trust(roster, &record) == Trust::Disputed {
            item.push("disputed", true);
        }
        items.retain(|(known, _)| (known.collection, known.id) != (record.collection, record.id));
        items.push(((*record).clone(), item));
    }
    list(items.into_iter().map(|(_, item)| item))
}

fn record_json(pool: &mut Pool, ring: &Ring, sent: &Sent) -> Json {
    let mut json = object! { "record": pool.keep(ring, &sent.name, &sent.made) };
    match &sent.ciphertext {
        Some(long) if long.len() > 4096 => {
            json.push("ciphertext_fill", object! { "byte": hex([long[0]]), "count": long.len() })
        }
        ciphertext => json.push("ciphertext", ciphertext.as_ref().map(|ciphertext| hex(&**ciphertext))),
    }
    if let (Some(content), Some(ciphertext)) = (&sent.content, &sent.ciphertext) {
        json.push("nonce", hex(&ciphertext[1..25]));
        json.push("content", hex(cbor::encode(content)));
    }
    json
}

#[test]
fn records_are_the_same_as_ever() {
    let mut chain = family();
    let deny = chain.denies(&chain.laptop, &chain.asks("tablet"));
    chain.append(&deny);
    let mut scene = Scene::new(chain.clone());
    lines(&mut scene);
    members(&mut scene);
    let devices = ["laptop", "phone", "writer", "reader", "tablet", "stranger", "recovery words"];
    let ring = Ring::new(&devices, &[("join key", chain.founding.code.join_key())]);
    let (mut entries, mut records) = (Pool::default(), Pool::default());
    let case = |case: Case| {
        let sent = case.records.iter().map(|sent| record_json(&mut records, &ring, sent)).collect::<Vec<_>>();
        let mut json = object! {
            "name": case.name, "comment": case.says, "relay": verdict_json(case.relay), "reader": verdict_json(case.reader),
            "log": entries.keep_log(&ring, &case.log), "records": sent,
        };
        if case.refill.is_some() {
            json.push("refill", verdict_json(case.refill));
        }
        if case.keyring.epoch() > 1 {
            json.push("epoch_key", hex(case.keyring.epoch_key().expose()));
        }
        let roster = super::logs::roster_of(&case.log);
        if case.reader == Some(None) {
            json.push("items", items(&roster, &case.keyring, &case.records));
        }
        json
    };
    let cases: Vec<Json> = [scene, recovery(), cut(CutAt::Last), cut(CutAt::Earlier), role()]
        .into_iter()
        .flat_map(|scene| scene.cases)
        .map(case)
        .collect();
    let file = object! {
        "about": note("Records after a log, in order: what the relay takes, what a reader believes."),
        "epoch_key": hex(chain.founding.epoch_key.expose()),
        "name_key": hex(chain.keyring.name_key().expose()),
        "keys": ring.to_json(),
        "entries": entries.into_json(),
        "records": records.into_json(),
        "cases": cases,
    };
    compare("records.json", &file);
}
