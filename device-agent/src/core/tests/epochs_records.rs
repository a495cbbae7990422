//! Records across epochs: sealed anew, disputed, written anew under the current keys.

use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::RemoveReason;
use protocol::record::{self, Line, RecordRefusal};

use super::super::Sealing;
use super::super::view::ItemStanding;
use super::*;

fn rotates(laptop: &mut Laptop) {
    let keys = laptop.core.keys().clone();
    let entry = change::rotate(laptop.acting(&keys), CodeChange::Draw, RecoveryChange::Keep, 0, &mut rng()).unwrap();
    laptop.takes(&entry);
}

fn removal(laptop: &Laptop, device: DeviceId, cut: Cut) -> Verified<Entry> {
    let (removals, reason, keep) = (vec![Removal { device, cut }], RemoveReason::Distrusted, RecoveryChange::Keep);
    let keys = laptop.core.keys();
    change::remove(laptop.acting(keys), removals, reason, keep, Vec::new(), 0, &mut rng()).unwrap()
}

/// A record of another device, which is not taken yet.
fn signed(laptop: &Laptop, keys: &DeviceKeys, line: Line, id: &str) -> (SealedRecord, Line) {
    let draft = record::Draft { collection: "notes", id, value: Some(b"x"), base: None, at: 0 };
    let (record, ciphertext) = record::write(laptop.acting(keys), line, &draft, &mut rng()).unwrap();
    let after = line.follow(&record).unwrap();
    (SealedRecord { record: record.bytes().to_vec().into(), ciphertext }, after)
}

fn standing(laptop: &Laptop, id: &str) -> ItemStanding {
    laptop.core.item("notes", id).unwrap().unwrap().standing
}

#[test]
fn what_was_written_after_an_earlier_cut_is_disputed_until_somebody_writes_it_anew() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let (one, first) = signed(&laptop, &tablet.keys, Line::default(), "one");
    let (two, second) = signed(&laptop, &tablet.keys, first, "two");
    let (late, _) = signed(&laptop, &tablet.keys, second, "late");
    laptop.core.take_record(&one).unwrap();
    laptop.core.take_record(&two).unwrap();
    let cut = Cut { counter: first.counter, last: first.last, at: CutAt::Earlier };
    let entry = removal(&laptop, tablet.keys.id(), cut);
    laptop.takes(&entry);
    laptop.core.take_record(&late).unwrap();
    assert_eq!(standing(&laptop, "one"), ItemStanding::Counts);
    assert_eq!(standing(&laptop, "two"), ItemStanding::Disputed, "what was kept before the cut came");
    assert_eq!(standing(&laptop, "late"), ItemStanding::Disputed, "and what came after it");
    let step = laptop.core.rekey_step(0).unwrap();
    assert_eq!((step.old.len(), step.view.disputed), (1, 2), "a machine settles no dispute");
    laptop.writes("two", b"anew");
    assert_eq!(standing(&laptop, "two"), ItemStanding::Counts);
}

#[test]
fn a_record_past_a_cut_at_the_last_one_is_refused() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let (one, first) = signed(&laptop, &tablet.keys, Line::default(), "one");
    let (late, _) = signed(&laptop, &tablet.keys, first, "late");
    laptop.core.take_record(&one).unwrap();
    let cut = Cut { counter: first.counter, last: first.last, at: CutAt::Last };
    let entry = removal(&laptop, tablet.keys.id(), cut);
    laptop.takes(&entry);
    let refused = laptop.core.take_record(&late);
    assert!(matches!(refused, Err(AgentError::BadRecord(RecordRefusal::PastCut))));
    assert_eq!(standing(&laptop, "one"), ItemStanding::Counts);
}

/// What the relay refuses as stale is sealed anew: the same counter, another epoch.
#[test]
fn a_record_that_a_rotation_overtook_is_sealed_anew() {
    let mut laptop = Laptop::founds();
    let value = Some(zeroize::Zeroizing::new(b"x".to_vec()));
    let draft = Draft { collection: "notes".to_owned(), id: "one".to_owned(), value };
    let stale = laptop.core.write(&draft).unwrap();
    rotates(&mut laptop);
    let number = laptop.core.next_draft().unwrap().unwrap();
    laptop.core.unseal(number).unwrap();
    let Sealing::Sealed(fresh) = laptop.core.seal(number).unwrap() else { panic!("sealed anew") };
    let of = |sealed: &SealedRecord| {
        let record = Verified::<Record>::from_bytes(&sealed.record).unwrap();
        (record.epoch, record.counter)
    };
    assert_eq!((of(&stale), of(&fresh)), ((1, 1), (2, 1)));
    laptop.core.take_record(&fresh).unwrap();
    assert_eq!(laptop.reads("one").unwrap(), "eA==");
}

#[test]
fn writing_anew_passes_over_what_is_current_deleted_or_overtaken_and_can_begin_again() {
    let mut laptop = Laptop::founds();
    for id in ["one", "two", "three", "gone"] {
        laptop.writes(id, id.as_bytes());
    }
    let deleted = Draft { collection: "notes".to_owned(), id: "gone".to_owned(), value: None };
    let sealed = laptop.core.write(&deleted).unwrap();
    laptop.core.take_record(&sealed).unwrap();
    assert!(laptop.core.rekey_step(0).unwrap().old.is_empty(), "nothing is old yet");
    rotates(&mut laptop);
    let old = laptop.core.rekey_step(0).unwrap().old;
    assert_eq!(old.len(), 3);
    laptop.writes("two", b"by another hand");
    for version in &old {
        if let Some(number) = laptop.core.queue_anew(version).unwrap() {
            let Sealing::Sealed(sealed) = laptop.core.seal(number).unwrap() else { panic!("sealed") };
            laptop.core.take_record(&sealed).unwrap();
        }
        // Broken off and begun again: what is done is not old any more.
        laptop = laptop.restarts();
    }
    assert!(laptop.core.rekey_step(0).unwrap().old.is_empty());
    for (id, value) in [("one", "b25l"), ("two", "YnkgYW5vdGhlciBoYW5k"), ("three", "dGhyZWU=")] {
        assert_eq!(laptop.reads(id).unwrap(), value);
    }
    assert!(laptop.reads("gone").is_none());
}
