//! Records that wait for the log.

use protocol::id::Hash;
use protocol::keyring::{Acting, Keyring};
use protocol::record::{self, Line, RecordRefusal};
use protocol::roster::Roster;

use super::*;
use crate::core::records::Verdict;
use crate::limits;

/// Records that a member signs over a log of which this device lacks the end.
struct Ahead {
    keys: DeviceKeys,
    roster: Roster,
    keyring: Keyring,
    line: Line,
}

impl Ahead {
    fn of(laptop: &Laptop, entry: &Verified<Entry>) -> Self {
        let roster = laptop.core.roster().clone().apply(entry).unwrap();
        let keyring = laptop.core.acting().keyring.clone();
        Self { keys: laptop.core.keys().clone(), roster, keyring, line: Line::default() }
    }

    fn writes(&mut self, id: &str, base: Option<Hash>) -> SealedRecord {
        let acting = Acting { keys: &self.keys, roster: &self.roster, keyring: &self.keyring };
        let draft = record::Draft { collection: "notes", id, value: Some(b"v"), base, at: 1 };
        let (record, ciphertext) = record::write(acting, self.line, &draft, &mut rng()).unwrap();
        self.line = self.line.follow(&record).unwrap();
        SealedRecord { record: record.bytes().to_vec().into(), ciphertext }
    }
}

/// What was refused when its turn came used to count itself among those that it waits for, and waited for ever: from then on every
/// broken line of a lying relay was set aside instead of being told.
#[test]
fn what_waited_and_never_fits_is_refused_when_the_log_has_caught_up() {
    let mut laptop = Laptop::founds();
    let entry = own_deny(&laptop, 1);
    let mut ahead = Ahead::of(&laptop, &entry);
    let first = ahead.writes("a", None);
    let conflicting = ahead.writes("a", None);
    assert_eq!(laptop.core.take_record(&first).unwrap(), Verdict::Aside);
    assert_eq!(laptop.core.take_record(&conflicting).unwrap(), Verdict::Aside);
    laptop.core.take_entries(&[entry.bytes().to_vec().into()]).unwrap();
    assert_eq!(laptop.core.store().aside_count().unwrap(), 0);
    assert!(laptop.core.item("notes", "a").unwrap().is_some(), "the first fits now");
    assert!(matches!(laptop.core.take_record(&conflicting), Err(AgentError::BadRecord(RecordRefusal::Conflict))));
}

/// The bound is on what comes new. Asked again, the last of a full shelf used to be taken for one too many, and was thrown away:
/// the cursor was past it, so it never came back.
#[test]
fn a_full_shelf_loses_nothing_when_the_log_grows() {
    let mut laptop = Laptop::founds();
    let (missing, unrelated) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let mut ahead = Ahead::of(&laptop, &missing);
    for number in 0..limits::ASIDE_KEPT {
        let record = ahead.writes(&number.to_string(), None);
        assert_eq!(laptop.core.take_record(&record).unwrap(), Verdict::Aside);
    }
    let one_more = ahead.writes("one more", None);
    assert!(matches!(laptop.core.take_record(&one_more), Err(AgentError::AsideFull)));
    laptop.core.take_entries(&[unrelated.bytes().to_vec().into()]).unwrap();
    assert_eq!(laptop.core.store().aside_count().unwrap(), limits::ASIDE_KEPT);
}
