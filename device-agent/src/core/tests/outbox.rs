//! Own writes: in order, once, over the version that their person saw, and sealed anew when the log moved.

use protocol::record::Kind;

use super::*;
use crate::core::Sealing;
use crate::limits;
use crate::store::DraftState;

pub(super) fn put(id: &str, value: &str) -> Draft {
    let value = Some(zeroize::Zeroizing::new(value.as_bytes().to_vec()));
    Draft { collection: "notes".to_owned(), id: id.to_owned(), value }
}

pub(super) fn delete(id: &str) -> Draft {
    Draft { value: None, ..put(id, "") }
}

fn header(sealed: &SealedRecord) -> Verified<Record> {
    Verified::from_bytes(&sealed.record).unwrap()
}

impl Laptop {
    pub(super) fn queues(&mut self, draft: &Draft) {
        self.core.queue_for_later(draft).unwrap();
    }

    /// Seals the next draft.
    fn seals(&mut self) -> SealedRecord {
        let next = self.core.next_draft().unwrap().unwrap();
        let Sealing::Sealed(sealed) = self.core.seal(next).unwrap() else { panic!("a sealed record") };
        sealed
    }

    /// Sends the next draft to a relay that takes it.
    pub(super) fn sends(&mut self) -> SealedRecord {
        let sealed = self.seals();
        self.core.take_record(&sealed).unwrap();
        sealed
    }

    pub(super) fn shows(&self, id: &str) -> Option<String> {
        let item = self.core.item("notes", id).unwrap();
        item.map(|item| String::from_utf8(data_encoding::BASE64.decode(item.value.as_bytes()).unwrap()).unwrap())
    }

    /// Another device writes an item, over what this one knows.
    fn hears_that_another_wrote(&mut self, phone: &Asks, id: &str) {
        let base = self.core.item("notes", id).unwrap().map(|item| item.version.parse().unwrap());
        let line = self.core.store.line(&phone.keys.id()).unwrap();
        let acting = protocol::keyring::Acting { keys: &phone.keys, ..self.core.acting() };
        let draft = protocol::record::Draft { collection: "notes", id, value: Some(b"theirs"), base, at: 1 };
        let (record, ciphertext) = protocol::record::write(acting, line, &draft, &mut rng()).unwrap();
        self.core.take_record(&SealedRecord { record: record.bytes().to_vec().into(), ciphertext }).unwrap();
    }

    fn refused(&self) -> Vec<String> {
        self.core.outbox().unwrap().refused.into_iter().map(|it| format!("{} {:?}", it.id, it.refused)).collect()
    }
}

#[test]
fn what_is_queued_survives_a_restart_unsealed_and_goes_with_its_record() {
    let mut laptop = Laptop::founds();
    laptop.queues(&put("first", "hello"));
    let mut laptop = laptop.restarts();
    let outbox = laptop.core.outbox().unwrap();
    assert!(outbox.queued == 1 && outbox.oldest_at.is_some() && outbox.refused.is_empty());
    assert!(laptop.core.staged_records().unwrap().is_empty());
    let sealed = laptop.seals();
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.seals(), sealed, "the same bytes, as long as the relay may have them");
    laptop.core.take_record(&sealed).unwrap();
    assert_eq!(laptop.core.next_draft().unwrap(), None);
    assert!(laptop.core.staged_records().unwrap().is_empty());
    assert_eq!(laptop.shows("first").as_deref(), Some("hello"));
}

#[test]
fn what_is_queued_for_one_record_is_sent_in_order_each_in_the_place_of_the_one_before() {
    let mut laptop = Laptop::founds();
    for value in ["one", "two"] {
        laptop.queues(&put("first", value));
    }
    laptop.queues(&put("second", "other"));
    laptop.queues(&delete("first"));
    assert!(matches!(laptop.core.queue_for_later(&delete("first")), Err(AgentError::NotFound { .. })));
    let sent: Vec<_> = (0..4).map(|_| header(&laptop.sends())).collect();
    assert_eq!(sent.iter().map(|record| record.counter).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((sent[0].base, sent[1].base), (None, Some(sent[0].hash())));
    assert_eq!((sent[3].kind, sent[3].base), (Kind::Delete, Some(sent[1].hash())));
    assert_eq!((laptop.shows("first"), laptop.shows("second").as_deref()), (None, Some("other")));
}

/// The log moves while a record is under way: what was sealed under the old head is sealed anew, and its counter used once.
#[test]
fn a_refused_record_is_sealed_anew_under_the_head_of_that_moment() {
    let mut laptop = Laptop::founds();
    laptop.queues(&put("first", "hello"));
    let before = laptop.seals();
    let next = own_deny(&laptop, 1);
    laptop.core.take_entries(&[next.bytes().to_vec().into()]).unwrap();
    let number = laptop.core.next_draft().unwrap().unwrap();
    laptop.core.unseal(number).unwrap();
    let after = laptop.restarts().seals();
    assert_ne!(header(&before).head, header(&after).head);
    assert_eq!(header(&after).head, next.hash());
    assert_eq!((header(&before).counter, header(&after).counter), (1, 1));
}

#[test]
fn a_write_over_a_version_that_its_person_did_not_see_is_set_aside_with_what_builds_on_it() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    laptop.queues(&put("first", "mine"));
    laptop.queues(&put("first", "mine again"));
    laptop.queues(&put("second", "other"));
    laptop.hears_that_another_wrote(&phone, "first");
    let next = laptop.core.next_draft().unwrap().unwrap();
    assert!(
        matches!(laptop.core.seal(next).unwrap(), Sealing::Refused(AgentError::Problem { code, .. }) if code == "conflict")
    );
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.refused(), ["first Some(\"conflict\")", "first Some(\"conflict\")"]);
    laptop.sends();
    assert_eq!(laptop.core.next_draft().unwrap(), None, "it waits for its person");
    assert_eq!((laptop.shows("first").as_deref(), laptop.shows("second").as_deref()), (Some("theirs"), Some("other")));
    let kept = laptop.core.queued_value("notes", "first").unwrap().unwrap();
    assert_eq!(kept.as_slice(), b"mine again");
}

/// A laptop with one write in conflict.
fn in_conflict() -> Laptop {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    laptop.queues(&put("first", "mine"));
    laptop.hears_that_another_wrote(&phone, "first");
    let next = laptop.core.next_draft().unwrap().unwrap();
    laptop.core.seal(next).unwrap();
    assert_eq!(laptop.refused().len(), 1);
    laptop
}

#[test]
fn a_conflict_ends_by_writing_again_by_replacing_or_by_dropping() {
    let mut written = in_conflict();
    written.queues(&put("first", "newer"));
    assert!(written.refused().is_empty(), "the later write takes its place");
    written.sends();
    assert_eq!(written.shows("first").as_deref(), Some("newer"));

    let mut at_once = in_conflict();
    let sealed = at_once.core.write(&put("first", "newer")).unwrap();
    assert_eq!(at_once.refused().len(), 1, "nothing is known of the new one yet");
    at_once.core.take_record(&sealed).unwrap();
    assert!(at_once.refused().is_empty());

    let mut replaced = in_conflict();
    replaced.core.replace_with_queued("notes", "first").unwrap();
    replaced.sends();
    assert_eq!(replaced.shows("first").as_deref(), Some("mine"));
    assert!(matches!(replaced.core.replace_with_queued("notes", "first"), Err(AgentError::NotFound { .. })));

    let mut dropped = in_conflict();
    dropped.core.drop_queued("notes", "first").unwrap();
    assert!(dropped.core.queued().unwrap().is_empty());
    assert_eq!(dropped.shows("first").as_deref(), Some("theirs"));
}

#[test]
fn what_may_be_at_the_relay_already_is_not_dropped() {
    let mut laptop = Laptop::founds();
    laptop.queues(&put("first", "hello"));
    let sealed = laptop.seals();
    assert!(matches!(laptop.core.drop_queued("notes", "first"), Err(AgentError::NotFound { .. })));
    laptop.core.take_record(&sealed).unwrap();
    assert_eq!(laptop.shows("first").as_deref(), Some("hello"));
}

#[test]
fn what_can_never_be_sent_is_refused_when_it_is_queued() {
    let mut laptop = Laptop::founds();
    let long = "x".repeat(protocol::limits::CIPHERTEXT_BYTES_MAX);
    assert!(matches!(laptop.core.queue_for_later(&put("first", &long)), Err(AgentError::ValueTooLong { .. })));
    assert!(matches!(laptop.core.queue_for_later(&put("", "hello")), Err(AgentError::BadName)));
    assert!(matches!(laptop.core.queue_for_later(&delete("first")), Err(AgentError::NotFound { .. })));
    assert_eq!(laptop.core.next_draft().unwrap(), None);
}

#[test]
fn the_queue_has_a_bound_and_somebody_who_waits_is_let_through() {
    let mut laptop = Laptop::founds();
    let many = "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < ?1)
        INSERT INTO drafts (collection, id, queued_at) SELECT 'notes', n, 0 FROM many";
    let store = rusqlite::Connection::open(laptop.home.store_file()).unwrap();
    store.execute(many, [i64::try_from(limits::DRAFTS_KEPT).unwrap()]).unwrap();
    assert!(matches!(laptop.core.queue_for_later(&put("first", "hello")), Err(AgentError::OutboxFull)));
    laptop.core.queue_for_now(&put("first", "hello")).unwrap();
}

/// Version 1 of the store kept a record under way without what was typed.
#[test]
fn a_record_under_way_from_an_earlier_version_becomes_a_draft_that_can_be_sealed_anew() {
    let mut laptop = Laptop::founds();
    let sealed = laptop.core.write(&put("first", "hello")).unwrap();
    let store = rusqlite::Connection::open(laptop.home.store_file()).unwrap();
    store.execute("DELETE FROM drafts", []).unwrap();
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.staged_records().unwrap(), [sealed]);
    assert_eq!(laptop.core.queued_value("notes", "first").unwrap().unwrap().as_slice(), b"hello");
    let number = laptop.core.next_draft().unwrap().unwrap();
    laptop.core.unseal(number).unwrap();
    laptop.sends();
    assert_eq!(laptop.shows("first").as_deref(), Some("hello"));
}

#[test]
fn neither_names_nor_content_of_a_draft_are_shown_by_debug() {
    let mut laptop = Laptop::founds();
    laptop.queues(&put("innermost", "confidential"));
    let sealed = laptop.core.next_draft().and_then(|next| laptop.core.seal(next.unwrap())).unwrap();
    let shown = format!("{:?} {:?} {sealed:?}", laptop.core.store.drafts().unwrap(), laptop.core.queued().unwrap());
    assert!(!shown.contains("innermost") && !shown.contains("confidential") && !shown.contains("notes"), "{shown}");
    assert!(matches!(laptop.core.store.drafts().unwrap()[0].state, DraftState::Staged(_)));
}

#[test]
fn what_was_sent_is_not_left_in_the_store_as_it_was_typed() {
    let mut laptop = Laptop::founds();
    laptop.queues(&put("innermost", &"confidential ".repeat(1000)));
    laptop.sends();
    let Laptop { _dir, home, core, .. } = laptop;
    drop(core);
    let left = std::fs::read(home.store_file()).unwrap();
    for typed in [b"confidential".as_slice(), b"innermost"] {
        assert!(!left.windows(typed.len()).any(|window| window == typed));
    }
}
