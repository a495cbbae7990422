//! What a settle does here: who may sign one, which branch goes on, and what is left of the other.

use protocol::approval::RoleSubject;
use protocol::change::{self, RecoveryChange};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::RemoveReason;
use protocol::limits;
use protocol::policy::Role;

use super::*;
use crate::core::{Branch, Judged, Shown};

fn blobs(entries: &[Verified<Entry>]) -> Vec<Blob> {
    entries.iter().map(|entry| entry.bytes().to_vec().into()).collect()
}

impl Laptop {
    /// The branch that these entries make beside the pinned one.
    fn sees(&self, entries: &[Verified<Entry>]) -> Branch {
        let Ok(Shown::Other(branch)) = self.core.read_shown(&blobs(entries)) else { panic!("another branch") };
        *branch
    }

    /// Stands on the first entry, and sees that the second has the same place.
    fn is_torn(&mut self, own: &Verified<Entry>, other: &Verified<Entry>) -> Branch {
        self.takes(own);
        assert!(matches!(self.core.judge(other.bytes()), Err(AgentError::Fork { .. })));
        self.sees(std::slice::from_ref(other))
    }

    /// The same state in another folder.
    fn copied(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path().join("state"))).unwrap();
        home.create().unwrap();
        home.write_private(&home.key_file(), &std::fs::read(self.home.key_file()).unwrap()).unwrap();
        let target = home.store_file();
        let source = rusqlite::Connection::open(self.home.store_file()).unwrap();
        source.execute("VACUUM INTO ?1", [target.to_str().unwrap()]).unwrap();
        let core = Core::open(&home).unwrap();
        Self { _dir: dir, home, core, code: self.code.clone() }
    }

    fn evidence(&self) -> Vec<Vec<u8>> {
        self.core.store().evidence().unwrap().into_iter().map(|(bytes, _)| bytes).collect()
    }

    fn disputed(&self) -> Vec<(String, bool)> {
        let places = self.core.export_places(None).unwrap();
        let items = places.into_iter().filter_map(|place| self.core.exported(place, None).unwrap());
        items.map(|item| (item.id.unwrap(), item.disputed)).collect()
    }
}

/// An entry of another device at the laptop's head, which takes a device out or makes it a reader.
fn removes(laptop: &Laptop, by: &DeviceKeys, device: DeviceId) -> Verified<Entry> {
    let cut = Cut { counter: 0, last: None, at: CutAt::Last };
    let (removals, reason) = (vec![Removal { device, cut }], RemoveReason::Lost);
    change::remove(laptop.acting(by), removals, reason, RecoveryChange::Keep, Vec::new(), 0, &mut rng()).unwrap()
}

fn demotes(laptop: &Laptop, by: &DeviceKeys, device: DeviceId) -> Verified<Entry> {
    let cut = Some(Cut { counter: 0, last: None, at: CutAt::Last });
    let subject = RoleSubject { device, role: Role::Reader, cut };
    change::change_role(laptop.acting(by), subject, Vec::new(), 0).unwrap()
}

#[test]
fn what_a_relay_shows_behind_the_last_common_entry_is_told_apart() {
    let mut laptop = Laptop::founds();
    let (own, other) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let before = blobs(std::slice::from_ref(&own));
    assert!(matches!(laptop.core.read_shown(&before), Ok(Shown::Pinned)), "it goes on");
    laptop.takes(&own);
    assert!(matches!(laptop.core.read_shown(&[]), Ok(Shown::Nothing)));
    assert!(matches!(laptop.core.read_shown(&before), Ok(Shown::Nothing)));
    assert!(matches!(laptop.core.read_shown(&blobs(std::slice::from_ref(&other))), Ok(Shown::Other(_))));
    let stray = own_deny(&Laptop::founds(), 1);
    assert!(matches!(laptop.core.read_shown(&blobs(std::slice::from_ref(&stray))), Err(AgentError::Lie { .. })));
    assert!(matches!(laptop.core.read_shown(&blobs(&[other, stray])), Err(AgentError::BadEntry(_))));
}

#[test]
fn the_pinned_branch_goes_on_with_a_settle_that_is_repeated_byte_for_byte() {
    let mut laptop = Laptop::founds();
    let (own, other) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let branch = laptop.is_torn(&own, &other);
    let signed = laptop.core.settle_here(&branch, &[]).unwrap();
    assert_eq!((signed.len(), signed[0].hash()), (2, own.hash()));
    let mut laptop = laptop.restarts();
    let branch = laptop.core.kept_branch().unwrap().unwrap();
    let again = laptop.core.settle_here(&branch, &[]).unwrap();
    assert_eq!(again[1].bytes(), signed[1].bytes());
    assert_eq!(laptop.core.fork(), Some(1), "nothing is over before it landed");
    laptop.core.take_entries(&blobs(&again)).unwrap();
    assert_eq!((laptop.core.fork(), laptop.core.keyring().epoch()), (None, 2));
    assert_eq!(laptop.evidence(), [other.bytes().to_vec()], "what was seen stays");
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.fork(), None);
    assert!(matches!(laptop.core.judge(other.bytes()), Ok(Judged::Abandoned { common: 0 })), "no second alarm");
    let replacement = laptop.core.replacement(0).unwrap();
    assert_eq!(blobs(&replacement), blobs(&signed), "what a relay is brought with that has it still");
}

#[test]
fn the_other_branch_goes_on_and_the_whole_of_this_one_is_kept_as_evidence() {
    let mut laptop = Laptop::founds();
    let (own, other) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let branch = laptop.is_torn(&own, &other);
    let later = own_deny(&laptop, 3);
    laptop.takes(&later);
    let (branch, sent) = laptop.core.settle_there(&branch, &[]).unwrap();
    assert_eq!((sent.len(), sent[0].hash()), (2, other.hash()));
    assert_eq!(laptop.core.roster().head(), later.hash(), "before the relay has it nothing moves");
    laptop.core.go_over(branch).unwrap();
    let mut laptop = laptop.restarts();
    assert_eq!((laptop.core.fork(), laptop.core.roster().head()), (None, sent[1].hash()));
    assert_eq!(laptop.core.keyring().epoch(), 2);
    for gone in [&own, &later] {
        assert!(laptop.evidence().contains(&gone.bytes().to_vec()));
    }
    assert!(matches!(laptop.core.judge(own.bytes()), Ok(Judged::Abandoned { common: 0 })));
}

#[test]
fn a_device_that_approves_on_one_branch_alone_signs_no_settle() {
    for takes_out in [removes, demotes] {
        let mut laptop = Laptop::founds();
        let tablet = laptop.admits("tablet");
        let other = takes_out(&laptop, &tablet.keys, laptop.core.keys().id());
        let own = own_deny(&laptop, 1);
        let branch = laptop.is_torn(&own, &other);
        assert!(matches!(laptop.core.settle_here(&branch, &[]), Err(AgentError::MayNotSettle)));
        assert!(matches!(laptop.core.settle_there(&branch, &[]), Err(AgentError::MayNotSettle)));
        assert!(laptop.core.staged().unwrap().is_empty());
        let view = laptop.core.fork_view(&branch);
        assert_eq!((view.pinned.approver_here, view.other.approver_here), (true, false));
    }
}

#[test]
fn only_an_approver_of_both_who_names_the_pinned_entry_is_followed() {
    let mut laptop = Laptop::founds();
    let (tablet, phone) = (laptop.admits("tablet"), laptop.admits("phone"));
    let own_keys = laptop.core.keys().clone();
    let own = removes(&laptop, &own_keys, tablet.keys.id());
    let (other, elsewhere) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let (roster, keyring) = (laptop.core.roster().clone().apply(&other).unwrap(), laptop.core.keyring().clone());
    let settled = |keys: &DeviceKeys, abandoned: &Verified<Entry>| {
        let acting = Acting { keys, roster: &roster, keyring: &keyring };
        [other.clone(), change::settle(acting, abandoned.hash(), Vec::new(), 0, &mut rng()).unwrap()]
    };
    let branch = laptop.is_torn(&own, &other);
    assert!(!laptop.core.is_settled_upon(&branch));
    let by_removed = laptop.sees(&settled(&tablet.keys, &own));
    assert!(!laptop.core.is_settled_upon(&by_removed), "a removed device settles nothing");
    let of_another = laptop.sees(&settled(&phone.keys, &elsewhere));
    assert!(!laptop.core.is_settled_upon(&of_another), "it is about another fork");
    let by_both = laptop.sees(&settled(&phone.keys, &own));
    assert!(laptop.core.is_settled_upon(&by_both));
    laptop.core.go_over(by_both).unwrap();
    assert_eq!(laptop.core.fork(), None);
    assert!(laptop.core.roster().member(&tablet.keys.id()).is_some(), "on this branch nobody was removed");
}

#[test]
fn a_log_that_goes_on_without_a_settle_of_this_fork_is_not_taken() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let (own, other) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let _ = laptop.is_torn(&own, &other);
    let head = laptop.core.roster().head();
    let by_phone = |abandoned: &Verified<Entry>| {
        change::settle(laptop.acting(&phone.keys), abandoned.hash(), Vec::new(), 0, &mut rng()).unwrap()
    };
    let (settles, elsewhere, deny) = (by_phone(&other), by_phone(&own_deny(&laptop, 3)), own_deny(&laptop, 4));
    for passed_over in [deny, elsewhere] {
        laptop.core.take_settle(&blobs(&[passed_over])).unwrap();
        assert_eq!((laptop.core.fork(), laptop.core.roster().head()), (Some(own.seq), head));
    }
    laptop.core.take_settle(&blobs(std::slice::from_ref(&settles))).unwrap();
    assert_eq!((laptop.core.fork(), laptop.core.roster().head()), (None, settles.hash()));
}

#[test]
fn what_was_written_behind_a_fork_is_disputed_until_it_is_settled_and_what_goes_is_owed() {
    let mut laptop = Laptop::founds();
    laptop.writes("common", b"x");
    let (own, other) = (own_deny(&laptop, 1), own_deny(&laptop, 2));
    let branch = laptop.is_torn(&own, &other);
    laptop.writes("here", b"x");
    let told = |laptop: &Laptop, expected: &[(&str, bool)]| {
        let expected: Vec<_> = expected.iter().map(|(id, disputed)| ((*id).to_owned(), *disputed)).collect();
        assert_eq!(laptop.disputed(), expected);
    };
    told(&laptop, &[("common", false), ("here", true)]);
    let mut keeps = laptop.copied();
    let signed = keeps.core.settle_here(&branch, &[]).unwrap();
    keeps.core.take_entries(&blobs(&signed)).unwrap();
    told(&keeps, &[("common", false), ("here", false)]);
    let (branch, _) = laptop.core.settle_there(&branch, &[]).unwrap();
    laptop.core.go_over(branch).unwrap();
    told(&laptop, &[("common", false)]);
    let queued = laptop.core.queued().unwrap();
    assert_eq!(queued.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["here"], "its writer sends it again");
}

/// Pins so many entries.
fn long(laptop: &mut Laptop, entries: usize) {
    for number in 0..entries {
        let next = own_deny(laptop, u8::try_from(number).unwrap());
        laptop.takes(&next);
    }
}

#[test]
fn a_branch_is_settled_upon_with_as_many_entries_as_a_relay_takes_at_once_and_no_more() {
    let mut laptop = Laptop::founds();
    let other = own_deny(&laptop, 200);
    long(&mut laptop, limits::APPEND_ENTRIES_MAX - 1);
    assert!(matches!(laptop.core.judge(other.bytes()), Err(AgentError::Fork { .. })));
    let branch = laptop.sees(&[other]);
    let mut at_the_limit = laptop.copied();
    assert_eq!(at_the_limit.core.settle_here(&branch, &[]).unwrap().len(), limits::APPEND_ENTRIES_MAX);
    let next = own_deny(&laptop, 201);
    laptop.takes(&next);
    assert!(matches!(laptop.core.settle_here(&branch, &[]), Err(AgentError::BranchTooLong)));
    assert!(laptop.core.staged().unwrap().is_empty(), "nothing is left that would be sent later");
    assert_eq!(laptop.core.settle_there(&branch, &[]).unwrap().1.len(), 2, "the short one can go on");
}
