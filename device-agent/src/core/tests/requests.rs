//! Requests, prompts and decisions: what a relay cannot make this device show, sign or believe.

use protocol::keyring::Keyring;
use protocol::policy::Role;

use super::*;
use crate::core::view::Event;
use crate::limits;

#[test]
fn a_request_with_a_description_that_it_does_not_name_is_not_shown() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    phone.sealed = named("the laptop").seal(&laptop.code, &phone.keys.id(), &mut rng()).unwrap();
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(laptop.core.requests().unwrap().is_empty());
}

#[test]
fn of_requests_without_end_sixty_four_are_kept() {
    let mut laptop = Laptop::founds();
    for number in 0..=limits::OPEN_REQUESTS_KEPT {
        let phone = Asks::with(&laptop.code, &format!("phone {number}"));
        laptop.hears(&phone, Vec::new()).unwrap();
    }
    assert_eq!(laptop.core.open_ids().len(), limits::OPEN_REQUESTS_KEPT);
}

#[test]
fn a_request_lives_no_longer_than_the_policy_says_whatever_the_relay_counts() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    let lifetime = u64::from(laptop.core.roster().policy().request_lifetime) * 1000;
    laptop.core.store().first_sight(&phone.id(), clock::now() - lifetime / 2).unwrap();
    laptop.hears_of(&phone, u64::MAX, Vec::new()).unwrap();
    let remaining = laptop.core.requests().unwrap()[0].remaining;
    assert!(remaining <= lifetime / 2, "{remaining} ms, and it was seen long before this process began");
}

#[test]
fn the_relay_can_end_a_request_sooner() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears_of(&phone, 5_000, Vec::new()).unwrap();
    assert!(laptop.core.requests().unwrap()[0].remaining <= 5_000);
}

#[test]
fn a_request_that_is_over_when_it_comes_raises_no_prompt() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    let mut events = laptop.core.events().subscribe();
    laptop.core.store().first_sight(&phone.id(), 0).unwrap();
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(laptop.core.open_ids().is_empty());
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, Event::Requested { .. }));
    }
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::Expired)));
}

#[test]
fn a_request_whose_time_runs_out_is_not_opened() {
    let mut laptop = Laptop::founds();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears_of(&phone, 200, Vec::new()).unwrap();
    let begun = clock::instant();
    while laptop.core.remaining(&phone.id()) != Some(0) {
        assert!(begun.elapsed().as_secs() < 10, "its time does not run out");
        std::thread::yield_now();
    }
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::Expired)));
}

#[test]
fn a_withdrawn_request_is_neither_opened_again_nor_typed_nor_admitted() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    let shown = laptop.types_the_code_of(&mut phone);
    let (id, terms) = (phone.id(), laptop.core.terms());
    let nonce = laptop.core.open_prompt(&id).unwrap().nonce;
    laptop.core.end_request(&id, "withdrawn").unwrap();
    assert!(matches!(laptop.core.open_prompt(&id), Err(AgentError::Withdrawn)));
    assert!(matches!(laptop.core.reopen_prompt(&id, &nonce), Err(AgentError::Withdrawn)));
    assert!(matches!(laptop.core.type_code(&id, "000000"), Err(AgentError::Withdrawn)));
    assert!(matches!(laptop.core.admit(&shown, Role::Approver, &terms), Err(AgentError::Withdrawn)));
}

#[test]
fn a_decided_request_is_not_shown_again_and_not_decided_twice() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    let shown = laptop.types_the_code_of(&mut phone);
    let (id, terms) = (phone.id(), laptop.core.terms());
    let subject = (id, phone.keys.id());
    let deny = laptop.core.deny(subject, DenyReason::Denied, 0, &terms).unwrap();
    laptop.takes(&deny[0]);
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(laptop.core.requests().unwrap().is_empty());
    assert!(matches!(laptop.core.open_prompt(&id), Err(AgentError::Decided { .. })));
    assert!(matches!(laptop.core.type_code(&id, "000000"), Err(AgentError::Decided { .. })));
    assert!(matches!(laptop.core.admit(&shown, Role::Approver, &terms), Err(AgentError::Decided { .. })));
    assert!(matches!(laptop.core.deny(subject, DenyReason::Denied, 0, &terms), Err(AgentError::Decided { .. })));
}

#[test]
fn nothing_is_opened_typed_or_decided_on_a_forked_log() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    let shown = laptop.types_the_code_of(&mut phone);
    let (id, terms) = (phone.id(), laptop.core.terms());
    let nonce = laptop.core.open_prompt(&id).unwrap().nonce;
    laptop.sees_a_fork();
    assert_eq!(laptop.core.fork(), Some(1));
    assert!(matches!(laptop.core.open_prompt(&id), Err(AgentError::Forked)));
    assert!(matches!(laptop.core.reopen_prompt(&id, &nonce), Err(AgentError::Forked)));
    assert!(matches!(laptop.core.type_code(&id, "000000"), Err(AgentError::Forked)));
    assert!(matches!(laptop.core.admit(&shown, Role::Approver, &terms), Err(AgentError::Forked)));
    let denied = laptop.core.deny((id, phone.keys.id()), DenyReason::Denied, 0, &terms);
    assert!(matches!(denied, Err(AgentError::Forked)));
}

/// A code typed under one policy, epoch or sync code is no approval under another.
#[test]
fn what_was_typed_under_other_terms_is_not_signed() {
    let mut laptop = Laptop::founds();
    let mut phone = Asks::with(&laptop.code, "phone");
    let shown = laptop.types_the_code_of(&mut phone);
    let others = Laptop::founds().core.terms();
    assert!(matches!(laptop.core.admit(&shown, Role::Approver, &others), Err(AgentError::ChangedMeanwhile)));
    assert!(laptop.core.staged().unwrap().is_empty());
}

#[test]
fn a_writer_opens_no_prompt() {
    let mut laptop = Laptop::founds();
    let mut tablet = Asks::with(&laptop.code, "tablet");
    let shown = laptop.types_the_code_of(&mut tablet);
    let (confirmed, description) = (&shown.confirmed, &shown.description);
    let entry =
        decision::admit(laptop.core.acting(), confirmed, description, Role::Writer, clock::now(), &mut rng()).unwrap();
    laptop.core.take_entries(&[entry.bytes().to_vec().into()]).unwrap();
    laptop.core.keyring = Keyring::open(&laptop.core.roster, laptop.core.keyring.epoch_key().clone()).unwrap();
    laptop.core.keys = tablet.keys.clone();
    let phone = Asks::with(&laptop.code, "phone");
    laptop.hears(&phone, Vec::new()).unwrap();
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::NotAnApprover)));
}

/// A nonce of a round, as anybody can sign it.
fn nonce_by(laptop: &Laptop, keys: &DeviceKeys, request: RequestId, round: u8) -> Round {
    let roster = laptop.core.roster();
    let form = Nonce {
        version: protocol::VERSION,
        chain: roster.chain(),
        request,
        round,
        head: roster.head(),
        epoch: roster.epoch(),
        nonce: Random::draw(&mut rng()),
    };
    let nonce = Verified::sign(form, &keys.signing, &[]).unwrap();
    Round { nonce: nonce.bytes().to_vec().into(), reveal: None }
}

/// Rounds that the relay makes up would use up the eight of a request, or move this device's nonce to where another is expected.
#[test]
fn a_round_counts_as_taken_only_by_an_approvers_nonce_for_it() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let phone = Asks::with(&laptop.code, "phone");
    let stranger = DeviceKeys::draw(&mut rng());
    let made_up = [
        nonce_by(&laptop, &stranger, phone.id(), 1),
        nonce_by(&laptop, &tablet.keys, RequestId([9; 32]), 1),
        nonce_by(&laptop, &tablet.keys, phone.id(), 2),
    ];
    for round in made_up {
        laptop.hears(&phone, vec![round]).unwrap();
        assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::Lie { .. })));
    }
    laptop.hears(&phone, vec![nonce_by(&laptop, &tablet.keys, phone.id(), 1)]).unwrap();
    assert_eq!(laptop.core.open_prompt(&phone.id()).unwrap().nonce.round, 2);
}

#[test]
fn there_is_no_ninth_round() {
    let mut laptop = Laptop::founds();
    let tablet = laptop.admits("tablet");
    let phone = Asks::with(&laptop.code, "phone");
    let rounds = (1..=8).map(|round| nonce_by(&laptop, &tablet.keys, phone.id(), round)).collect();
    laptop.hears(&phone, rounds).unwrap();
    assert!(matches!(laptop.core.open_prompt(&phone.id()), Err(AgentError::NoRoundLeft)));
}
