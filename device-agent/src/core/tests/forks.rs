//! Going over to another branch: what this device wrote on the one that goes is written once more, the last of it last.

use protocol::record::Kind;

use super::outbox::{delete, put};
use super::*;
use crate::core::{Branch, Shown};

impl Laptop {
    /// Stands on a branch of its own, beside another one, which an approver of both, itself, has let go on.
    fn stands_beside(&mut self) -> Branch {
        let (own, other) = (own_deny(self, 1), own_deny(self, 2));
        self.takes(&own);
        let Ok(Shown::Other(branch)) = self.core.read_shown(&[other.bytes().to_vec().into()]) else {
            panic!("another branch")
        };
        self.core.settle_there(&branch, &[]).unwrap().0
    }

    fn waiting(&self) -> Vec<String> {
        self.core.queued().unwrap().into_iter().map(|it| format!("{} {}", it.kind, it.id)).collect()
    }
}

/// What was typed last was refused behind the older text, and both were sent in that order when its person chose them.
#[test]
fn a_later_write_that_waits_stands_in_the_place_of_what_goes() {
    let mut laptop = Laptop::founds();
    laptop.writes("known", b"common");
    let branch = laptop.stands_beside();
    for id in ["known", "new"] {
        laptop.writes(id, b"older");
        laptop.queues(&put(id, "newer"));
        laptop.queues(&put(id, "newest"));
    }
    laptop.core.go_over(branch).unwrap();
    assert_eq!(laptop.waiting(), ["put known", "put known", "put new", "put new"]);
    for id in ["known", "new"] {
        laptop.sends();
        assert_eq!(laptop.shows(id).as_deref(), Some("newer"));
        laptop.sends();
        assert_eq!(laptop.shows(id).as_deref(), Some("newest"));
    }
}

#[test]
fn a_delete_is_written_again_where_there_is_something_to_delete() {
    let mut laptop = Laptop::founds();
    laptop.writes("known", b"common");
    laptop.writes("queued", b"common");
    let branch = laptop.stands_beside();
    laptop.writes("new", b"here");
    laptop.writes("waits", b"here");
    laptop.writes("queued", b"here");
    for id in ["known", "new"] {
        let sealed = laptop.core.write(&delete(id)).unwrap();
        laptop.core.take_record(&sealed).unwrap();
    }
    laptop.queues(&delete("waits"));
    laptop.queues(&put("waits", "after all"));
    laptop.queues(&delete("queued"));
    laptop.core.go_over(branch).unwrap();
    assert_eq!(laptop.waiting(), ["put waits", "delete queued", "delete known"]);
    let sent: Vec<Verified<Record>> = (0..3).map(|_| Verified::from_bytes(&laptop.sends().record).unwrap()).collect();
    assert_eq!((sent[0].base, sent[1].kind, sent[2].kind), (None, Kind::Delete, Kind::Delete));
    let left = ["waits", "known", "new", "queued"].map(|id| laptop.shows(id));
    assert_eq!(left, [Some("after all".to_owned()), None, None, None]);
}

/// A crash between the two queued everything a second time.
#[test]
fn a_branch_is_pinned_and_what_goes_is_queued_at_once_or_neither() {
    let mut laptop = Laptop::founds();
    let branch = laptop.stands_beside();
    laptop.writes("first", b"hello");
    let disk = rusqlite::Connection::open(laptop.home.store_file()).unwrap();
    disk.execute_batch("CREATE TRIGGER fails BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'full'); END").unwrap();
    assert!(laptop.core.go_over(branch.clone()).is_err());
    let mut laptop = laptop.restarts();
    assert!(laptop.waiting().is_empty());
    assert_eq!(laptop.shows("first").as_deref(), Some("hello"));
    disk.execute_batch("DROP TRIGGER fails").unwrap();
    laptop.core.go_over(branch).unwrap();
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.waiting(), ["put first"]);
    laptop.sends();
    assert_eq!(laptop.shows("first").as_deref(), Some("hello"));
}
