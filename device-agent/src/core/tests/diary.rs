//! The diary and what is told: every kind of entry in words.

use protocol::approval::RoleSubject;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::{RemoveReason, VetoOf};
use protocol::policy::Role;

use super::super::view::{ChangeView, Event};
use super::*;

/// Takes an entry of the laptop's own hand, and hears it told.
fn hears(laptop: &mut Laptop, sign: impl Fn(Acting<'_>) -> Verified<Entry>) -> ChangeView {
    let keys = laptop.core.keys().clone();
    let entry = sign(laptop.acting(&keys));
    let mut events = laptop.core.events().subscribe();
    laptop.takes(&entry);
    let Event::Changed { change } = events.try_recv().unwrap() else { panic!("a change") };
    *change
}

#[test]
fn every_kind_of_entry_is_told_and_stands_in_the_diary() {
    let mut laptop = Laptop::founds();
    let (tablet, phone) = (laptop.admits("tablet"), laptop.admits("phone"));
    let nothing = Cut { counter: 0, last: None, at: CutAt::Earlier };
    let to = |role, cut| RoleSubject { device: phone.keys.id(), role, cut };
    let role = hears(&mut laptop, |acting| {
        change::change_role(acting, to(Role::Reader, Some(nothing)), Vec::new(), 0).unwrap()
    });
    assert_eq!(role.sentence, "CHANGED 'phone' from approver to reader by 'laptop'");
    assert_eq!((role.fields[0].from.as_str(), role.fields[0].to.as_str()), ("approver", "reader"));
    let policy = hears(&mut laptop, |acting| {
        let policy = Policy { request_lifetime: 60, members_max: 4, ..acting.roster.policy().clone() };
        change::change_policy(acting, policy, Vec::new(), 0).unwrap()
    });
    assert_eq!(
        policy.sentence,
        "CHANGED the policy by 'laptop': request-lifetime from 15m to 1m; members-max from 32 to 4"
    );
    let rotated = hears(&mut laptop, |acting| {
        change::rotate(acting, CodeChange::Keep, RecoveryChange::Keep, 0, &mut rng()).unwrap()
    });
    assert_eq!(rotated.sentence, "ROTATED the keys by 'laptop'; epoch 2, the sync code stays");
    let removal = Removal { device: phone.keys.id(), cut: nothing };
    let removed = hears(&mut laptop, |acting| {
        let (reason, keep) = (RemoveReason::Lost, RecoveryChange::Keep);
        change::remove(acting, vec![removal], reason, keep, Vec::new(), 0, &mut rng()).unwrap()
    });
    assert_eq!(
        removed.sentence,
        "REMOVED 'phone' by 'laptop' (lost); epoch 3, new sync code; 'phone' wrote nothing; 2 devices now"
    );
    assert_eq!((removed.reason.as_deref(), removed.devices[0].name.as_str()), (Some("lost"), "phone"));
    let keyring = laptop.core.keyring().clone();
    let none = Cut { counter: 0, last: None, at: CutAt::Last };
    let left = hears(&mut laptop, |acting| {
        change::leave(Acting { keys: &tablet.keys, keyring: &keyring, ..acting }, none, 0).unwrap()
    });
    assert_eq!(left.sentence, "LEFT 'tablet' by itself; the next approver begins a new epoch; 1 device now");
    let announced = hears(&mut laptop, |acting| change::closing(acting, Vec::new(), 0).unwrap());
    assert_eq!(
        announced.sentence,
        "ANNOUNCED the end of the chain by 'laptop': it may be carried out after 7 d 0 h; countersign chain veto stops it"
    );
    let closing = laptop.core.roster().closing().unwrap().hash;
    let stopped = hears(&mut laptop, |acting| change::veto(acting, VetoOf::Closing, closing, 0).unwrap());
    assert_eq!(stopped.sentence, "STOPPED the end of the chain by 'laptop'");
    let fork = protocol::Hash([7; 32]);
    let settled = hears(&mut laptop, |acting| change::settle(acting, fork, Vec::new(), 0, &mut rng()).unwrap());
    assert_eq!(settled.sentence, "SETTLED the fork by 'laptop': this branch goes on; epoch 4, new sync code");
    hears(&mut laptop, |acting| change::closing(acting, Vec::new(), 0).unwrap());
    let closing = laptop.core.roster().closing().unwrap().hash;
    assert_eq!(
        hears(&mut laptop, |acting| change::close(acting, closing, 0).unwrap()).sentence,
        "CLOSED the chain by 'laptop'; what this device has stays readable"
    );
    let diary: Vec<String> = laptop.restarts().core.diary().unwrap().into_iter().map(|step| step.what).collect();
    assert_eq!(diary[..3], ["founded by 'laptop'", "'tablet' admitted by 'laptop'", "'phone' admitted by 'laptop'"]);
    assert_eq!(diary[3], "'phone' changed from approver to reader by 'laptop'");
    assert_eq!(diary[7], "'tablet' left by itself; the next approver begins a new epoch");
    assert_eq!(diary[12], "the chain closed by 'laptop'");
}

#[test]
fn what_was_pinned_while_nobody_listened_is_told_when_somebody_does() {
    let mut laptop = Laptop::founds();
    let heard = |laptop: &mut Laptop| {
        let mut events = laptop.core.events().subscribe();
        laptop.core.begin_telling().unwrap();
        std::iter::from_fn(|| events.try_recv().ok()).count()
    };
    assert_eq!(heard(&mut laptop), 0, "the first time there is nothing to make up for");
    let mut laptop = laptop.restarts();
    laptop.admits("tablet");
    assert_eq!(heard(&mut laptop), 1);
    laptop.admits("phone");
    let mut laptop = laptop.restarts();
    assert_eq!(heard(&mut laptop), 0, "it was told when it came");
}

#[test]
fn requests_of_a_dead_sync_code_end_with_the_rotation() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    let code = phone.is_opened_on(&mut laptop);
    let keys = laptop.core.keys().clone();
    let entry = change::rotate(laptop.acting(&keys), CodeChange::Draw, RecoveryChange::Keep, 0, &mut rng()).unwrap();
    let mut events = laptop.core.events().subscribe();
    laptop.takes(&entry);
    let ended = std::iter::from_fn(|| events.try_recv().ok())
        .any(|event| matches!(event, Event::Ended { ending, .. } if ending == "stale"));
    assert!(ended && laptop.core.requests().unwrap().is_empty());
    assert!(matches!(laptop.core.type_code(&phone.id(), &code), Err(AgentError::StaleRequest)));
}
