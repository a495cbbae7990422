//! Records from the relay: whose they are, where they belong, and what waits for the log.

use protocol::connect::Cursor;
use protocol::record::RecordRefusal;
use protocol::wire::RecordPage;

use super::*;
use crate::core::records::Verdict;
use crate::limits;

fn draft(id: &str, value: &str) -> Draft {
    let value = Some(zeroize::Zeroizing::new(value.as_bytes().to_vec()));
    Draft { collection: "notes".to_owned(), id: id.to_owned(), value }
}

/// The same record with something changed, signed again.
fn changed(sealed: &SealedRecord, keys: &DeviceKeys, change: impl FnOnce(&mut Record)) -> SealedRecord {
    let mut form = (*Verified::<Record>::from_bytes(&sealed.record).unwrap()).clone();
    change(&mut form);
    let record = Verified::sign(form, &keys.signing, &[]).unwrap();
    SealedRecord { record: record.bytes().to_vec().into(), ciphertext: sealed.ciphertext.clone() }
}

fn refusal(taken: Result<Verdict, AgentError>) -> RecordRefusal {
    match taken {
        Err(AgentError::BadRecord(refusal)) => refusal,
        other => panic!("a refusal of the record, and not {other:?}"),
    }
}

#[test]
fn a_record_of_a_stranger_or_of_another_epoch_is_refused() {
    let mut laptop = Laptop::founds();
    let sealed = laptop.core.write(&draft("first", "hello")).unwrap();
    let forged = changed(&sealed, &DeviceKeys::draw(&mut rng()), |_| {});
    assert_eq!(refusal(laptop.core.take_record(&forged)), RecordRefusal::NotAMember);
    let later = changed(&sealed, &laptop.core.keys, |record| record.epoch += 1);
    assert_eq!(refusal(laptop.core.take_record(&later)), RecordRefusal::StaleEpoch);
}

/// Writes two records, and takes the first.
fn wrote_two(laptop: &mut Laptop) -> (SealedRecord, SealedRecord) {
    let first = laptop.core.write(&draft("first", "one")).unwrap();
    laptop.core.take_record(&first).unwrap();
    let second = laptop.core.write(&draft("second", "two")).unwrap();
    (first, second)
}

#[test]
fn a_record_that_does_not_continue_its_writers_line_is_refused() {
    let mut laptop = Laptop::founds();
    let (_, second) = wrote_two(&mut laptop);
    let keys = laptop.core.keys.clone();
    let gap = changed(&second, &keys, |record| record.counter += 1);
    assert_eq!(refusal(laptop.core.take_record(&gap)), RecordRefusal::BrokenLine { expected: 2 });
    let branch = changed(&second, &keys, |record| record.last = Some(protocol::Hash([9; 32])));
    assert_eq!(refusal(laptop.core.take_record(&branch)), RecordRefusal::BrokenLine { expected: 2 });
}

#[test]
fn a_record_that_replaces_another_version_than_the_current_one_is_refused() {
    let mut laptop = Laptop::founds();
    let (first, second) = wrote_two(&mut laptop);
    let (collection, id) = Verified::<Record>::from_bytes(&first.record).map(|it| (it.collection, it.id)).unwrap();
    let keys = laptop.core.keys.clone();
    let blind = changed(&second, &keys, |record| (record.collection, record.id) = (collection, id));
    assert_eq!(refusal(laptop.core.take_record(&blind)), RecordRefusal::Conflict);
}

#[test]
fn a_record_that_comes_twice_is_kept_once_and_its_content_may_come_later() {
    let mut laptop = Laptop::founds();
    let sealed = laptop.core.write(&draft("first", "hello")).unwrap();
    let bare = SealedRecord { ciphertext: None, ..sealed.clone() };
    assert_eq!(laptop.core.take_record(&bare).unwrap(), Verdict::Accepted);
    assert!(matches!(laptop.core.item("notes", "first"), Err(AgentError::NoContent)), "nobody gave it to us");
    assert_eq!(laptop.core.missed().unwrap().len(), 1);
    assert!(laptop.core.items(None).unwrap().is_empty(), "and it hides no other");
    assert_eq!(laptop.core.take_record(&sealed).unwrap(), Verdict::Known);
    assert_eq!(laptop.core.item("notes", "first").unwrap().unwrap().value, "aGVsbG8=");
    assert!(laptop.core.missed().unwrap().is_empty());
}

/// The relay shows records of a head that it does not show: they wait, what builds on them waits, and the log lets them in.
#[test]
fn records_of_a_head_that_is_not_here_wait_for_it_in_their_order() {
    let mut laptop = Laptop::founds();
    let (next, founding) = (own_deny(&laptop, 1), laptop.core.log[0].hash());
    let mut ahead = Core::open(&laptop.home).unwrap();
    ahead.roster = ahead.roster.clone().apply(&next).unwrap();
    let first = ahead.write(&draft("first", "one")).unwrap();
    let second = changed(&first, &ahead.keys, |record| {
        record.id = protocol::id::BlindedId([9; 32]);
        record.last = Some(Verified::<Record>::from_bytes(&first.record).unwrap().hash());
        (record.counter, record.head) = (2, founding);
    });
    assert_eq!(laptop.core.take_record(&first).unwrap(), Verdict::Aside);
    assert_eq!(laptop.core.take_record(&second).unwrap(), Verdict::Aside);
    laptop.core.take_entries(&[next.bytes().to_vec().into()]).unwrap();
    assert_eq!(laptop.core.store.aside_count().unwrap(), 0);
    assert_eq!(laptop.core.verify_all().unwrap(), (2, 2));
}

#[test]
fn what_waits_for_the_log_is_bounded_and_the_place_in_the_feed_stops_there() {
    let mut laptop = Laptop::founds();
    let sealed = laptop.core.write(&draft("first", "one")).unwrap();
    let keys = laptop.core.keys.clone();
    let waiting = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?1)
        INSERT INTO aside SELECT randomblob(32), x'00', NULL FROM many";
    let store = rusqlite::Connection::open(laptop.home.store_file()).unwrap();
    store.execute(waiting, [i64::try_from(limits::ASIDE_KEPT).unwrap()]).unwrap();
    let unknown = changed(&sealed, &keys, |record| record.head = protocol::Hash([9; 32]));
    let row = protocol::wire::RecordRow { number: 1, sealed: unknown };
    let page = RecordPage { rows: vec![row], cursor: Cursor { store: 1, number: 1 }, last: 1 };
    assert!(matches!(laptop.core.take_page(&page), Err(AgentError::AsideFull)));
    assert_eq!(laptop.core.cursor().unwrap(), None);
}

#[test]
fn a_record_that_waited_and_is_refused_is_forgotten() {
    let mut laptop = Laptop::founds();
    let sealed = laptop.core.write(&draft("first", "one")).unwrap();
    let next = own_deny(&laptop, 1);
    let forged = changed(&sealed, &DeviceKeys::draw(&mut rng()), |record| record.head = next.hash());
    assert_eq!(laptop.core.take_record(&forged).unwrap(), Verdict::Aside);
    laptop.core.take_entries(&[next.bytes().to_vec().into()]).unwrap();
    assert_eq!(laptop.core.store.aside_count().unwrap(), 0, "a member's lie would hold a place for ever");
    assert!(laptop.core.item("notes", "first").unwrap().is_none());
}

#[test]
fn a_counter_that_was_passed_is_refused_also_while_others_wait() {
    let mut laptop = Laptop::founds();
    let (first, second) = wrote_two(&mut laptop);
    let keys = laptop.core.keys.clone();
    let unknown = changed(&second, &keys, |record| record.head = protocol::Hash([9; 32]));
    assert_eq!(laptop.core.take_record(&unknown).unwrap(), Verdict::Aside);
    let other = changed(&first, &keys, |record| record.at += 1);
    assert_eq!(refusal(laptop.core.take_record(&other)), RecordRefusal::Replayed { counter: 1 });
}

#[test]
fn verifying_finds_a_record_of_a_stranger_a_gap_in_a_line_and_another_log() {
    let kept = |keys: Option<DeviceKeys>, change: fn(&mut Record)| {
        let mut laptop = Laptop::founds();
        let sealed = laptop.core.write(&draft("first", "one")).unwrap();
        let sealed = changed(&sealed, &keys.unwrap_or(laptop.core.keys.clone()), change);
        let record = Verified::<Record>::from_bytes(&sealed.record).unwrap();
        let line = protocol::record::Line { counter: record.counter, last: Some(record.hash()) };
        laptop.core.store.keep_record(&record, None, line).unwrap();
        laptop.core.verify_all()
    };
    assert_eq!(kept(None, |_| {}).unwrap(), (1, 1));
    let strangers = kept(Some(DeviceKeys::draw(&mut rng())), |_| {});
    assert!(matches!(strangers, Err(AgentError::BadRecord(RecordRefusal::NotAMember))));
    let gap = kept(None, |record| (record.counter, record.last) = (2, Some(protocol::Hash([9; 32]))));
    assert!(matches!(gap, Err(AgentError::BadRecord(RecordRefusal::BrokenLine { expected: 1 }))));
    let mut laptop = Laptop::founds();
    let more = own_deny(&laptop, 1);
    laptop.core.store.pin(&[more]).unwrap();
    assert!(matches!(laptop.core.verify_all(), Err(AgentError::Damaged { .. })));
}
