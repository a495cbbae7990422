//! What the relay lost, and what took its place there: this device gives way to a feed that holds by itself, keeps what it had, and
//! tells it.

use protocol::connect::Cursor;
use protocol::record::{self, Line, RecordRefusal};
use protocol::wire::{RecordPage, RecordRow};
use protocol::{DeviceId, Hash};

use super::outbox::put;
use super::*;
use crate::core::WholeFeed;
use crate::core::view::Event;
use crate::store::Setting;

/// A relay's feed, in which devices write without this one.
#[derive(Default)]
struct Feed {
    rows: Vec<SealedRecord>,
    lines: std::collections::BTreeMap<DeviceId, Line>,
}

impl Feed {
    fn takes(&mut self, sealed: &SealedRecord) -> Hash {
        let record = Verified::<Record>::from_bytes(&sealed.record).unwrap();
        let line = self.lines.entry(record.signer()).or_default();
        *line = line.follow(&record).unwrap();
        self.rows.push(sealed.clone());
        record.hash()
    }

    /// A device writes an item, in the place of a version.
    fn is_written(&mut self, laptop: &Laptop, keys: &DeviceKeys, id: &str, base: Option<Hash>) -> SealedRecord {
        let draft = record::Draft { collection: "notes", id, value: Some(b"theirs"), base, at: 1 };
        let line = self.lines.get(&keys.id()).copied().unwrap_or_default();
        let (record, ciphertext) = record::write(laptop.acting(keys), line, &draft, &mut rng()).unwrap();
        let sealed = SealedRecord { record: record.bytes().to_vec().into(), ciphertext };
        self.takes(&sealed);
        sealed
    }

    fn page(&self) -> RecordPage {
        let rows = self.rows.iter().cloned().zip(1..).map(|(sealed, number)| RecordRow { number, sealed });
        let last = self.rows.len() as u64;
        RecordPage { rows: rows.collect(), cursor: Cursor { store: 1, number: last }, last }
    }
}

impl Laptop {
    fn follows(&self, feed: &Feed) -> WholeFeed {
        let mut whole = WholeFeed::default();
        self.core.follow_feed(&mut whole, &feed.page()).unwrap();
        whole
    }

    fn misfit(&mut self, feed: &Feed) -> RecordRefusal {
        match self.core.take_page(&feed.page()) {
            Err(AgentError::BadRecord(refusal)) => refusal,
            other => panic!("a refusal of the record, and not {other:?}"),
        }
    }

    /// Compares, gives way and reads again: how many went.
    fn gives_way(&mut self, feed: &Feed) -> u64 {
        let whole = self.follows(feed);
        let gone = self.core.give_way(&whole).unwrap();
        self.core.take_page(&feed.page()).unwrap();
        self.core.refuse_overtaken().unwrap();
        gone
    }

    fn lost(&self) -> Vec<String> {
        let views = self.core.lost().unwrap().into_iter();
        views.map(|view| format!("{} {}", view.kind, view.id.unwrap_or_default())).collect()
    }

    fn standing_drafts(&self) -> Vec<(String, Option<String>)> {
        self.core.queued().unwrap().into_iter().map(|row| (row.id, row.refused)).collect()
    }
}

fn unsent(id: &str) -> (String, Option<String>) {
    (id.to_owned(), Some("conflict".to_owned()))
}

#[test]
fn an_own_record_whose_place_is_taken_waits_for_its_person_and_the_line_goes_on() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let mut feed = Feed::default();
    feed.takes(&laptop.writes("first", b"kept"));
    laptop.writes("second", b"lost");
    laptop.writes("third", b"lost with its line");
    feed.is_written(&laptop, &phone.keys, "second", None);
    assert_eq!(laptop.misfit(&feed), RecordRefusal::Conflict);
    let mut told = laptop.core.events().subscribe();
    assert_eq!(laptop.gives_way(&feed), 2);
    assert_eq!(told.try_recv().unwrap(), Event::Lost { records: 2 });
    assert_eq!((laptop.shows("first").as_deref(), laptop.shows("second").as_deref()), (Some("kept"), Some("theirs")));
    assert_eq!(laptop.standing_drafts(), [unsent("second"), ("third".to_owned(), None)]);
    assert_eq!(laptop.lost(), ["put second", "put third"]);
    assert!(laptop.core.store().setting(Setting::RefillOwed).unwrap().is_some(), "what is left is given back");
    // Its line goes on where the relay's ends, and what is kept verifies.
    feed.takes(&laptop.sends());
    assert_eq!(
        (laptop.shows("third").as_deref(), laptop.core.verify_all().unwrap().1),
        (Some("lost with its line"), 3)
    );
}

#[test]
fn an_update_that_was_lost_gives_way_to_the_one_that_the_relay_has() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let mut feed = Feed::default();
    let known = feed.takes(&laptop.writes("first", b"before"));
    laptop.writes("first", b"lost");
    laptop.writes("first", b"lost too");
    feed.is_written(&laptop, &phone.keys, "first", Some(known));
    assert_eq!(laptop.gives_way(&feed), 2);
    assert_eq!(laptop.shows("first").as_deref(), Some("theirs"));
    assert_eq!(laptop.standing_drafts(), [unsent("first")], "the last of them is what its person meant");
    assert_eq!(laptop.core.queued_value("notes", "first").unwrap().unwrap().as_slice(), b"lost too");
}

/// A third device has neither written what was lost nor what took its place.
#[test]
fn what_others_wrote_and_the_relay_lost_is_kept_as_evidence_until_it_comes_back_or_is_forgotten() {
    let mut laptop = Laptop::founds();
    let (phone, tablet) = (laptop.admits("phone"), laptop.admits("tablet"));
    let (mut before, mut feed) = (Feed::default(), Feed::default());
    let lost = before.is_written(&laptop, &phone.keys, "first", None);
    laptop.core.take_record(&lost).unwrap();
    feed.is_written(&laptop, &tablet.keys, "first", None);
    // The writer's line goes on from before: the same counter, another record.
    feed.is_written(&laptop, &phone.keys, "second", None);
    assert_eq!(laptop.gives_way(&feed), 1);
    assert!(laptop.standing_drafts().is_empty());
    assert_eq!((laptop.lost(), laptop.core.verify_all().unwrap().1), (vec!["put first".to_owned()], 2));
    // Another relay has it after all.
    assert_eq!(laptop.gives_way(&before), 2);
    assert_eq!((laptop.lost().len(), laptop.shows("first").is_some()), (2, true));
    assert_eq!(laptop.core.store().forget_lost().unwrap(), 2);
}

#[test]
fn what_the_relay_merely_lacks_stays_and_a_counter_that_was_used_again_is_followed() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let (mut before, mut feed) = (Feed::default(), Feed::default());
    laptop.core.take_record(&before.is_written(&laptop, &phone.keys, "first", None)).unwrap();
    laptop.writes("mine", b"not there");
    feed.is_written(&laptop, &phone.keys, "second", None);
    assert_eq!(laptop.misfit(&feed), RecordRefusal::Replayed { counter: 1 });
    assert_eq!(laptop.gives_way(&feed), 1);
    assert_eq!((laptop.lost(), laptop.shows("mine").as_deref()), (vec!["put first".to_owned()], Some("not there")));
}

#[test]
fn nothing_goes_for_a_feed_that_does_not_hold_by_itself() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    laptop.writes("first", b"mine");
    let mut feed = Feed::default();
    feed.is_written(&laptop, &phone.keys, "other", None);
    feed.is_written(&laptop, &phone.keys, "first", None);
    feed.rows.remove(0);
    let whole = laptop.follows(&feed);
    let refused = laptop.core.give_way(&whole);
    assert!(matches!(refused, Err(AgentError::BadRecord(RecordRefusal::BrokenLine { expected: 1 }))));
    assert_eq!((laptop.shows("first").as_deref(), laptop.lost().len()), (Some("mine"), 0));
    // Nor for what a stranger wrote, or what no log shows yet.
    let mut forged = Feed::default();
    forged.is_written(&laptop, &DeviceKeys::draw(&mut rng()), "first", None);
    let whole = laptop.follows(&forged);
    assert!(matches!(laptop.core.give_way(&whole), Err(AgentError::BadRecord(RecordRefusal::NotAMember))));
    let (mut ahead, next) = (Core::open(&laptop.home).unwrap(), own_deny(&laptop, 1));
    ahead.roster = ahead.roster.clone().apply(&next).unwrap();
    let acting = Acting { keys: &phone.keys, ..ahead.acting() };
    let draft = record::Draft { collection: "notes", id: "first", value: Some(b"theirs"), base: None, at: 1 };
    let (record, ciphertext) = record::write(acting, Line::default(), &draft, &mut rng()).unwrap();
    let mut unknown = Feed::default();
    unknown.takes(&SealedRecord { record: record.bytes().to_vec().into(), ciphertext });
    let whole = laptop.follows(&unknown);
    assert_eq!(laptop.core.give_way(&whole).unwrap(), 0);
    assert_eq!(laptop.shows("first").as_deref(), Some("mine"));
}

#[test]
fn a_write_that_waits_behind_a_lost_one_is_set_aside_at_once_and_the_lost_one_queued_no_second_time() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let mut feed = Feed::default();
    laptop.writes("first", b"lost");
    laptop.queues(&put("first", "later"));
    feed.is_written(&laptop, &phone.keys, "first", None);
    assert_eq!(laptop.gives_way(&feed), 1);
    assert_eq!(laptop.standing_drafts(), [unsent("first")]);
    assert_eq!(laptop.core.queued_value("notes", "first").unwrap().unwrap().as_slice(), b"later");
    // A move that was broken off: it comes back from the old relay, and goes again at the new one.
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let (mut old, mut new) = (Feed::default(), Feed::default());
    old.takes(&laptop.writes("first", b"mine"));
    new.is_written(&laptop, &phone.keys, "first", None);
    for feed in [&new, &old, &new] {
        assert_eq!(laptop.gives_way(feed), 1);
    }
    assert_eq!(laptop.standing_drafts(), [unsent("first")]);
}

#[test]
fn a_feed_that_has_something_else_in_this_devices_place_is_another_one() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let (mut feed, mut other) = (Feed::default(), Feed::default());
    feed.takes(&laptop.writes("first", b"mine"));
    laptop.core.take_page(&feed.page()).unwrap();
    other.is_written(&laptop, &phone.keys, "second", None);
    let cursor = laptop.core.cursor().unwrap().unwrap();
    let is_another = |page: &RecordPage| laptop.core.is_of_another_feed(cursor, page).unwrap();
    assert!(!is_another(&feed.page()));
    assert!(is_another(&other.page()), "the same number, another record");
    let mut leapt = feed.page();
    (leapt.rows[0].number, leapt.last) = (9, 9);
    assert!(is_another(&leapt), "the same record, another number");
    let empty = RecordPage { rows: Vec::new(), last: 1, ..feed.page() };
    assert!(!is_another(&empty), "what stood there may be gone with a branch");
    assert!(is_another(&RecordPage { last: 0, ..empty.clone() }), "it ends before");
    assert!(is_another(&RecordPage { cursor: Cursor { store: 2, number: 1 }, ..empty }));
}

/// A crash between the two queued everything a second time, or lost it.
#[test]
fn what_goes_is_kept_and_queued_at_once_or_neither() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    laptop.writes("first", b"mine");
    let mut feed = Feed::default();
    feed.is_written(&laptop, &phone.keys, "first", None);
    let disk = rusqlite::Connection::open(laptop.home.store_file()).unwrap();
    disk.execute_batch("CREATE TRIGGER fails BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'full'); END").unwrap();
    let whole = laptop.follows(&feed);
    assert!(laptop.core.give_way(&whole).is_err());
    let laptop = laptop.restarts();
    assert!(laptop.standing_drafts().is_empty() && laptop.lost().is_empty());
    assert_eq!(laptop.shows("first").as_deref(), Some("mine"));
}
