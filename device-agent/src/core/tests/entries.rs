//! Entries of the log: which are followed, and which two are a fork.

use super::*;

/// A deny by somebody who is no member, at a place in the laptop's log.
fn strangers_deny(laptop: &Laptop, after: &Verified<Entry>) -> Verified<Entry> {
    let form = Entry { prev: Some(after.hash()), seq: after.seq + 1, ..(*own_deny(laptop, 7)).clone() };
    Verified::sign(form, &DeviceKeys::draw(&mut rng()).signing, &[]).unwrap()
}

#[test]
fn an_entry_of_a_stranger_is_not_followed_and_not_passed_over() {
    let mut laptop = Laptop::founds();
    let head = laptop.core.roster().head();
    let forged = strangers_deny(&laptop, &laptop.core.log[0]);
    let taken = laptop.core.take_entries(&[forged.bytes().to_vec().into()]);
    assert!(matches!(taken, Err(AgentError::BadEntry(_))));
    assert_eq!(laptop.core.roster().head(), head);
}

/// Else anybody could stop a chain for good, by an entry that nobody would have followed.
#[test]
fn an_entry_of_a_stranger_in_the_place_of_a_pinned_one_is_no_fork() {
    let mut laptop = Laptop::founds();
    let own = own_deny(&laptop, 1);
    let forged = strangers_deny(&laptop, &laptop.core.log[0]);
    laptop.core.take_entries(&[own.bytes().to_vec().into()]).unwrap();
    assert!(matches!(laptop.core.judge(forged.bytes()), Err(AgentError::BadEntry(_))));
    assert_eq!(laptop.restarts().core.fork(), None);
}

#[test]
fn a_pinned_entry_is_passed_over_and_no_fork() {
    let mut laptop = Laptop::founds();
    let own = own_deny(&laptop, 1);
    for _ in 0..2 {
        assert_eq!(laptop.core.take_entries(&[own.bytes().to_vec().into()]).unwrap(), Divergence::None);
    }
    laptop.core.judge(own.bytes()).unwrap();
    assert_eq!(laptop.core.fork(), None);
}

#[test]
fn an_entry_that_follows_the_head_is_no_fork() {
    let mut laptop = Laptop::founds();
    let next = own_deny(&laptop, 1);
    assert!(matches!(laptop.core.judge(next.bytes()), Err(AgentError::Lie { .. })));
    assert_eq!(laptop.core.fork(), None);
}
