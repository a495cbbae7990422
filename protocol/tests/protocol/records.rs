//! Records: what the gate refuses and by which code, and what a reader with the key can trust.

use protocol::cbor::Blob;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::policy::{Policy, Role};
use protocol::record::{self, Draft, Kind, Line, Record, RecordRefusal, check_cited, gate, gate_refill};
use protocol::{Hash, Verified, limits};

use crate::support::SeededRng;
use crate::world::{AT, Chain, Joiner, keys};

struct Scene {
    chain: Chain,
    phone: Joiner,
    put: Verified<Record>,
    ciphertext: Blob,
}

fn draft<'a>(value: Option<&'a [u8]>) -> Draft<'a> {
    Draft { collection: "notes", id: "first", value, base: None, at: AT }
}

fn scene() -> Scene {
    let mut chain = Chain::founded();
    let phone = chain.joined("phone", Role::Writer);
    let mut rng = SeededRng::new("records");
    let (put, ciphertext) =
        record::write(chain.acting(&phone.keys), Line::default(), &draft(Some(b"hello")), &mut rng).unwrap();
    Scene { chain, phone, put, ciphertext: ciphertext.unwrap() }
}

impl Scene {
    fn with(&self, change: impl FnOnce(&mut Record)) -> Verified<Record> {
        let mut form = (*self.put).clone();
        change(&mut form);
        Verified::sign(form, &self.phone.keys.signing, &[]).unwrap()
    }

    fn gates(&self, record: &Verified<Record>) -> Result<Line, RecordRefusal> {
        gate(&self.chain.roster, Line::default(), None, record, Some(&self.ciphertext))
    }
}

#[test]
fn a_member_writes_and_reads_back_what_it_wrote() {
    let scene = scene();
    let line = scene.gates(&scene.put).unwrap();
    assert_eq!(line, Line { counter: 1, last: Some(scene.put.hash()) });
    let content = record::open(&scene.chain.keyring, &scene.put, &scene.ciphertext).unwrap();
    assert_eq!(
        (content.collection.as_str(), content.id.as_str(), &content.value[..]),
        ("notes", "first", &b"hello"[..])
    );
    let mut rng = SeededRng::new("delete");
    let delete = Draft { base: Some(scene.put.hash()), ..draft(None) };
    let (delete, nothing) = record::write(scene.chain.acting(&scene.phone.keys), line, &delete, &mut rng).unwrap();
    assert_eq!((delete.kind, nothing, delete.ciphertext_hash), (Kind::Delete, None, None));
    assert_eq!(gate(&scene.chain.roster, line, Some(scene.put.hash()), &delete, None).unwrap().counter, 2);
}

#[test]
fn the_gate_names_what_does_not_hold() {
    let scene = scene();
    let roster = &scene.chain.roster;
    let refused = |record: &Verified<Record>| scene.gates(record).unwrap_err().code();
    assert_eq!(refused(&scene.with(|record| record.chain = protocol::ChainId([9; 32]))), "other-chain");
    assert_eq!(refused(&scene.with(|record| record.head = Hash([9; 32]))), "unknown-head");
    assert_eq!(refused(&scene.with(|record| record.epoch = 2)), "stale-epoch");
    assert_eq!(refused(&scene.with(|record| record.epoch = 0)), "stale-epoch");
    let gap = scene.with(|record| {
        record.counter = 2;
        record.last = Some(Hash([9; 32]));
    });
    assert_eq!(refused(&gap), "broken-line");
    assert_eq!(refused(&scene.with(|record| record.base = Some(Hash([9; 32])))), "conflict");
    assert_eq!(refused(&scene.with(|record| record.ciphertext_hash = Some(Hash([9; 32])))), "other-ciphertext");
    let line = Line { counter: 1, last: Some(Hash([9; 32])) };
    assert_eq!(gate(roster, line, None, &scene.put, Some(&scene.ciphertext)).unwrap_err().code(), "replayed");
    let exists = gate(roster, Line::default(), Some(Hash([9; 32])), &scene.put, Some(&scene.ciphertext));
    assert_eq!(exists.unwrap_err().code(), "conflict", "a new item where one is");
    assert_eq!(gate(roster, Line::default(), None, &scene.put, None).unwrap_err().code(), "other-ciphertext");
}

#[test]
fn only_those_who_may_write_now_and_at_the_cited_head_write() {
    let mut scene = scene();
    let stranger = keys("stranger");
    let forged = Verified::sign((*scene.put).clone(), &stranger.signing, &[]).unwrap();
    assert_eq!(scene.gates(&forged).unwrap_err(), RecordRefusal::NotAMember);
    let early = scene.with(|record| record.head = scene.chain.log[0].hash());
    assert_eq!(check_cited(&scene.chain.roster, &early).unwrap_err(), RecordRefusal::NotAMember);
    let reader = scene.chain.joined("reader", Role::Reader);
    let form = Record { head: scene.chain.roster.head(), ..(*scene.put).clone() };
    let readers = Verified::sign(form, &reader.keys.signing, &[]).unwrap();
    assert_eq!(scene.gates(&readers).unwrap_err(), RecordRefusal::NotAMember);
    // A writer that is behind writes on: its head is in the log and its epoch is current.
    assert!(scene.gates(&scene.put).is_ok());
}

/// Its writer could go on for ever to sign such records, under the head of before: nothing in them says when.
#[test]
fn past_an_earlier_cut_a_record_comes_back_by_another_device_that_writes_and_by_no_other() {
    let mut scene = scene();
    let [reader, writer] = [("reader", Role::Reader), ("writer", Role::Writer)].map(|(name, role)| {
        scene.chain.joined(name, role);
        keys(name).id()
    });
    let (laptop, phone) = (scene.chain.laptop.clone(), scene.phone.keys.id());
    let at = |at, counter| Cut { counter, last: (counter > 0).then_some(scene.put.hash()), at };
    let given = |chain: &Chain, by| {
        let refill = gate_refill((&chain.roster, &by), Line::default(), None, &scene.put, Some(&scene.ciphertext));
        refill.map(|line| line.counter).map_err(|refused| refused.code())
    };
    let mut demoted = scene.chain.clone();
    demoted.append(&demoted.makes(&laptop, "phone", Role::Reader, Some(at(CutAt::Earlier, 0))));
    let mut back = demoted.clone();
    back.append(&back.makes(&laptop, "phone", Role::Writer, None));
    let mut removed = scene.chain.clone();
    let removal = Removal { device: phone, cut: at(CutAt::Earlier, 0) };
    removed.append(&removed.removes_together(&laptop, vec![removal], Vec::new()));
    for chain in [&demoted, &back, &removed] {
        for by in [phone, reader] {
            assert_eq!(given(chain, by), Err("past-cut"));
        }
        for by in [writer, laptop.id()] {
            assert_eq!(given(chain, by), Ok(1));
        }
    }
    let mut kept = scene.chain.clone();
    kept.append(&kept.makes(&laptop, "phone", Role::Reader, Some(at(CutAt::Earlier, 1))));
    for by in [phone, reader, writer] {
        assert_eq!(given(&kept, by), Ok(1), "below the cut everybody's word does");
    }
    let mut last = scene.chain.clone();
    last.append(&last.makes(&laptop, "phone", Role::Reader, Some(at(CutAt::Last, 0))));
    assert_eq!(given(&last, writer), Err("past-cut"), "of a cut that says last there was no such record");
}

/// A stranger that probes with records learns from no answer what the chain's state is.
#[test]
fn a_stranger_is_told_nothing_but_that_it_may_not_write() {
    let scene = scene();
    let stranger = keys("stranger");
    let changes: [fn(&mut Record); 4] = [
        |_| {},
        |record| record.head = Hash([9; 32]),
        |record| record.epoch = 7,
        |record| record.base = Some(Hash([9; 32])),
    ];
    for change in changes {
        let mut form = (*scene.put).clone();
        change(&mut form);
        let probe = Verified::sign(form, &stranger.signing, &[]).unwrap();
        assert_eq!(scene.gates(&probe).unwrap_err(), RecordRefusal::NotAMember);
    }
}

#[test]
fn a_record_has_fields_that_fit_together() {
    let scene = scene();
    let sign = |change: fn(&mut Record)| {
        let mut form = (*scene.put).clone();
        change(&mut form);
        Verified::sign(form, &scene.phone.keys.signing, &[]).unwrap_err().code()
    };
    assert_eq!(sign(|record| record.counter = 0), "bad-field");
    assert_eq!(sign(|record| record.counter = 2), "bad-field");
    assert_eq!(sign(|record| record.last = Some(Hash([9; 32]))), "bad-field");
    assert_eq!(sign(|record| record.ciphertext_hash = None), "bad-field");
    assert_eq!(sign(|record| record.kind = Kind::Delete), "bad-field");
}

#[test]
fn content_opens_only_under_the_header_it_was_sealed_for() {
    let scene = scene();
    let keyring = &scene.chain.keyring;
    let changes: [fn(&mut Record); 6] = [
        |record| record.at += 1,
        |record| record.base = Some(Hash([9; 32])),
        |record| record.epoch = 2,
        |record| record.head = Hash([9; 32]),
        |record| record.id = protocol::id::BlindedId([9; 32]),
        |record| record.collection = protocol::id::BlindedCollection([9; 32]),
    ];
    for change in changes {
        assert!(record::open(keyring, &scene.with(change), &scene.ciphertext).is_err());
    }
    for at in 0..scene.ciphertext.len() {
        let mut broken = scene.ciphertext.clone();
        broken.0[at] ^= 1;
        assert!(!scene.put.carries(Some(&broken)));
        let hash = protocol::request::description_hash(&broken);
        let resigned = scene.with(|record| record.ciphertext_hash = Some(hash));
        assert!(record::open(keyring, &resigned, &broken).is_err(), "byte {at}");
    }
}

#[test]
fn a_name_is_1_to_256_characters_and_content_has_a_bound() {
    let scene = scene();
    let mut rng = SeededRng::new("names");
    let acting = scene.chain.acting(&scene.phone.keys);
    let mut write =
        |draft: &Draft<'_>| record::write(acting, Line::default(), draft, &mut rng).map_err(|error| error.code());
    let long = "é".repeat(limits::NAME_CHARS_MAX);
    let longer = "é".repeat(limits::NAME_CHARS_MAX + 1);
    assert!(write(&Draft { collection: &long, id: &long, ..draft(Some(b"")) }).is_ok());
    for (collection, id) in [("", "a"), ("a", ""), (longer.as_str(), "a"), ("a", longer.as_str())] {
        assert_eq!(write(&Draft { collection, id, ..draft(Some(b"")) }).unwrap_err(), "bad-field");
    }
    let overhead = scene.ciphertext.len() - b"hello".len() + 4;
    let most = vec![0; limits::CIPHERTEXT_BYTES_MAX - overhead];
    assert!(write(&draft(Some(&most))).is_ok());
    let more = vec![0; limits::CIPHERTEXT_BYTES_MAX];
    assert_eq!(write(&draft(Some(&more))).unwrap_err(), "too-large");
}

#[test]
fn blinded_names_say_nothing_and_are_the_same_for_every_member() {
    let scene = scene();
    let key = scene.chain.keyring.name_key();
    let notes = record::blind_collection(key, "notes");
    assert_eq!(notes, scene.put.collection);
    assert_ne!(record::blind_collection(key, "note").as_bytes(), notes.as_bytes());
    let id = record::blind_id(key, &notes, "first");
    assert_ne!(id, record::blind_id(key, &record::blind_collection(key, "other"), "first"));
    assert_ne!(id.as_bytes(), record::blind_collection(key, "first").as_bytes());
    let other = Chain::founded_with("stranger", Policy::default());
    assert_ne!(record::blind_collection(other.keyring.name_key(), "notes"), notes);
    for bytes in [&scene.put.bytes()[..], &scene.ciphertext[..]] {
        assert!(!bytes.windows(5).any(|window| window == b"notes" || window == b"first" || window == b"hello"));
    }
}
