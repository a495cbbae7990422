//! Removing, leaving and roles: what is signed, and what is asked first.

use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::CutAt;
use protocol::entry::{Body, RemoveReason};
use protocol::policy::Role;
use protocol::record::{self, Line};
use protocol::roster::Refusal;

use super::super::membership::{Exactness, RemovalOrder, Since};
use super::*;

fn order(devices: Vec<DeviceId>, keep: Vec<DeviceId>, from: Option<Since>) -> RemovalOrder {
    RemovalOrder { devices, keep, reason: RemoveReason::Lost, from }
}

/// A device that another one admitted, as the laptop hears of it.
fn admitted_by(laptop: &mut Laptop, approver: &DeviceKeys, name: &str) -> Asks {
    let mut phone = Asks::with(&laptop.core.keyring().code().clone(), name);
    let nonce = Nonce {
        version: protocol::VERSION,
        chain: laptop.core.roster().chain(),
        request: phone.id(),
        round: 1,
        head: laptop.core.roster().head(),
        epoch: laptop.core.roster().epoch(),
        nonce: Random::draw(&mut rng()),
    };
    let nonce = Verified::sign(nonce, &approver.signing, &[]).unwrap();
    let answer = phone.rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    let prompt = protocol::round::Prompt::new(phone.request.clone(), nonce, &answer.reveal).unwrap();
    let protocol::round::Attempt::Right(confirmed) = prompt.type_code(&answer.code.digits()) else { panic!("a code") };
    let entry =
        decision::admit(laptop.acting(approver), &confirmed, &named(name), Role::Approver, 0, &mut rng()).unwrap();
    laptop.takes(&entry);
    phone
}

/// A record of another device.
fn wrote(laptop: &mut Laptop, keys: &DeviceKeys, line: Line, id: &str) -> Line {
    let draft = record::Draft { collection: "notes", id, value: Some(b"x"), base: None, at: 0 };
    let (record, ciphertext) = record::write(laptop.acting(keys), line, &draft, &mut rng()).unwrap();
    laptop.core.take_record(&SealedRecord { record: record.bytes().to_vec().into(), ciphertext }).unwrap();
    line.follow(&record).unwrap()
}

#[test]
fn a_removal_speaks_of_everybody_whom_the_device_let_in_however_far() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let phone = admitted_by(&mut laptop, &tablet.keys, "phone");
    let watch = admitted_by(&mut laptop, &phone.keys, "watch");
    let kept = laptop.admits("kept");
    let _ = admitted_by(&mut laptop, &kept.keys, "kept too");
    let view = laptop.core.removal_view(&[tablet.keys.id()], None).unwrap();
    let names: Vec<&str> = view.admitted.iter().map(|admitted| admitted.name.as_str()).collect();
    assert_eq!(names, ["phone", "watch"]);
    let silent = order(vec![tablet.keys.id()], vec![phone.keys.id()], None);
    assert!(matches!(laptop.core.remove(&silent, Exactness::Last), Err(AgentError::ChangedMeanwhile)));
    let said = order(vec![tablet.keys.id(), phone.keys.id()], vec![watch.keys.id()], None);
    let entries = laptop.core.remove(&said, Exactness::Last).unwrap();
    laptop.takes(&entries[0]);
    let left: Vec<String> = laptop.core.members().into_iter().map(|member| member.name).collect();
    assert_eq!(left, ["laptop", "watch", "kept", "kept too"]);
    assert_eq!(laptop.core.keyring().epoch(), 2);
}

#[test]
fn a_removal_cuts_at_the_last_record_or_where_distrust_begins() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let one = wrote(&mut laptop, &tablet.keys, Line::default(), "one");
    let deny = own_deny(&laptop, 1);
    laptop.takes(&deny);
    let two = wrote(&mut laptop, &tablet.keys, one, "two");
    let three = wrote(&mut laptop, &tablet.keys, two, "three");
    let devices = vec![tablet.keys.id()];
    let mut cut = |from: Option<&str>, exactness| {
        let from = from.map(|from| laptop.core.read_from(from, &devices).unwrap());
        let entries = laptop.core.remove(&order(devices.clone(), Vec::new(), from), exactness).unwrap();
        let Body::Remove(remove) = &entries[0].body else { panic!("a removal") };
        let cut = remove.removals[0].cut;
        (cut.counter, cut.last, cut.at)
    };
    assert_eq!(cut(None, Exactness::Last), (3, three.last, CutAt::Last));
    assert_eq!(cut(None, Exactness::Here), (3, three.last, CutAt::Earlier));
    assert_eq!(cut(Some("2"), Exactness::Last), (1, one.last, CutAt::Earlier));
    assert_eq!(cut(Some("1"), Exactness::Last), (0, None, CutAt::Earlier));
    let version = three.last.unwrap().to_string();
    assert_eq!(cut(Some(&version[..12]), Exactness::Last), (2, two.last, CutAt::Earlier));
    assert!(matches!(laptop.core.read_from("ffffffffffffffff", &devices), Err(AgentError::NotFound { .. })));
}

#[test]
fn whom_a_device_admitted_after_the_place_of_distrust_is_proposed_to_go_too() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let _ = admitted_by(&mut laptop, &tablet.keys, "before");
    let _ = admitted_by(&mut laptop, &tablet.keys, "after");
    let view = laptop.core.removal_view(&[tablet.keys.id()], Some(Since::Entry(3))).unwrap();
    let proposed: Vec<&str> = view.admitted.iter().map(|admitted| admitted.proposed.as_str()).collect();
    assert_eq!(proposed, ["ask", "remove"]);
}

#[test]
fn a_device_is_named_by_its_name_or_the_beginning_of_its_id() {
    let mut laptop = Laptop::founds();
    let (phone, _other) = (laptop.admits("phone"), laptop.admits("twin"));
    laptop.admits("twin");
    assert_eq!(laptop.core.find_device("phone").unwrap(), phone.keys.id());
    assert_eq!(laptop.core.find_device(&phone.keys.id().to_string()[..16].to_uppercase()).unwrap(), phone.keys.id());
    assert!(matches!(laptop.core.find_device("twin"), Err(AgentError::AmbiguousDevice { .. })));
    for nobody in ["watch", "", " "] {
        assert!(matches!(laptop.core.find_device(nobody), Err(AgentError::NotFound { .. })), "{nobody:?}");
    }
}

#[test]
fn the_last_approver_neither_leaves_nor_is_demoted_and_nobody_removes_itself() {
    let mut laptop = Laptop::founds();
    let own = laptop.core.keys().id();
    assert!(matches!(laptop.core.leave(), Err(AgentError::OwnRefused(Refusal::LastApprover))));
    let demoted = laptop.core.change_role((own, Role::Approver, Role::Reader), Exactness::Last);
    assert!(matches!(demoted, Err(AgentError::OwnRefused(Refusal::LastApprover))));
    let removed = laptop.core.remove(&order(vec![own], Vec::new(), None), Exactness::Last);
    assert!(matches!(removed, Err(AgentError::OwnRefused(Refusal::SelfRemoval))));
    assert!(laptop.core.staged().unwrap().is_empty());
}

#[test]
fn a_device_that_left_says_so_and_an_approver_that_stays_owes_a_rotation() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    laptop.writes("one", b"x");
    let entries = laptop.core.leave().unwrap();
    let Body::Leave(leave) = &entries[0].body else { panic!("a leave") };
    assert_eq!((leave.cut.counter, leave.cut.at), (1, CutAt::Last));
    laptop.takes(&entries[0]);
    assert!(!laptop.core.owes_rotation(), "it is out");
    assert!(matches!(laptop.restarts().core.gone(), Some(AgentError::Left { seq: 2, .. })));
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let none = protocol::cut::Cut { counter: 0, last: None, at: CutAt::Last };
    let left = change::leave(laptop.acting(&phone.keys), none, 0).unwrap();
    laptop.takes(&left);
    assert!(laptop.core.owes_rotation());
    let entries = laptop.core.rotate_if_owed().unwrap();
    laptop.takes(&entries[0]);
    assert!(!laptop.core.owes_rotation() && laptop.core.rotate_if_owed().unwrap().is_empty());
    drop(tablet);
}

#[test]
fn a_role_is_not_given_to_a_member_whose_role_changed_meanwhile() {
    let mut laptop = Laptop::founds();
    let phone = laptop.admits("phone");
    let to_reader = (phone.keys.id(), Role::Approver, Role::Reader);
    let entries = laptop.core.change_role(to_reader, Exactness::Last).unwrap();
    let Body::ChangeRole(change) = &entries[0].body else { panic!("a role") };
    assert_eq!(change.cut.unwrap().at, CutAt::Last);
    laptop.takes(&entries[0]);
    assert!(matches!(laptop.core.change_role(to_reader, Exactness::Last), Err(AgentError::ChangedMeanwhile)));
}

/// Both or neither: a denial without the new code would leave the leaked one in use, and look done.
#[test]
fn not_me_is_a_denial_and_a_new_code_in_one_batch() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let (subject, terms) = ((phone.id(), phone.keys.id()), laptop.core.terms());
    let entries = laptop.core.deny_as_not_me(subject, 0, &terms).unwrap();
    assert_eq!(entries.len(), 2);
    let mut laptop = laptop.restarts();
    let staged = laptop.core.staged().unwrap();
    let bytes = |entries: &[Verified<Entry>]| entries.iter().map(|entry| entry.bytes().to_vec()).collect::<Vec<_>>();
    assert_eq!(bytes(&staged), bytes(&entries), "the same bytes after a restart");
    let blobs: Vec<Blob> = bytes(&entries).into_iter().map(Blob).collect();
    laptop.core.take_entries(&blobs).unwrap();
    assert!(laptop.core.staged().unwrap().is_empty());
    assert_eq!(laptop.core.keyring().epoch(), 2);
    assert_ne!(laptop.core.keyring().code().words(), laptop.code.words());
    let decision = laptop.core.decision_view(&phone.id()).unwrap();
    assert_eq!(decision.reason.as_deref(), Some("not-me"));
    let own = laptop.core.keys().clone();
    let next = change::rotate(laptop.acting(&own), CodeChange::Draw, RecoveryChange::Keep, 0, &mut rng()).unwrap();
    laptop.takes(&next);
    assert!(matches!(laptop.core.rotate(&terms), Err(AgentError::ChangedMeanwhile)), "decided under other terms");
}
