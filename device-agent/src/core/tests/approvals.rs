//! Approvals of other approvers: which are kept, which count, and what drops them.

use protocol::approval::{Approval, Subject};
use protocol::change;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::policy::{Policy, Quorums, Totp, TotpMode};
use protocol::roster::Refusal;
use protocol::totp::TotpSecret;

use super::super::admit_subject;
use super::super::view::Event;
use super::*;

/// A laptop with two phones, in a chain where two must agree to everything.
fn three() -> (Laptop, Asks, Asks) {
    let mut laptop = Laptop::founds();
    let (tablet, phone) = (laptop.admits("tablet"), laptop.admits("phone"));
    let quorums = Quorums { admit: 2, remove: 2, policy: 2, closing: 2 };
    let policy = Policy { quorums, ..Policy::default() };
    let entries = laptop.core.change_policy(&policy, 0).unwrap();
    laptop.takes(&entries[0]);
    (laptop, tablet, phone)
}

fn agrees(laptop: &Laptop, who: &DeviceKeys, subject: Subject) -> Verified<Approval> {
    change::approve(laptop.acting(who), subject).unwrap()
}

#[test]
fn an_approval_counts_only_from_an_approver_and_about_exactly_the_same() {
    let (mut laptop, tablet, _) = three();
    let mut watch = Asks::with(&laptop.code, "watch");
    let shown = laptop.types_the_code_of(&mut watch);
    let terms = laptop.core.terms();
    let short = |result| matches!(result, Err(AgentError::OwnRefused(Refusal::Quorum { needed: 1, got: 0 })));
    assert!(short(laptop.core.admit(&shown, Role::Approver, &terms)));
    let stranger = agrees(&laptop, &DeviceKeys::draw(&mut rng()), admit_subject(watch.id(), Role::Approver));
    let other = agrees(&laptop, &tablet.keys, admit_subject(RequestId([7; 32]), Role::Approver));
    let own = laptop.core.keys().clone();
    let own = agrees(&laptop, &own, admit_subject(watch.id(), Role::Approver));
    for approval in [&stranger, &other, &own] {
        laptop.core.take_approval(approval.bytes()).unwrap();
    }
    assert!(
        short(laptop.core.admit(&shown, Role::Approver, &terms)),
        "a stranger's, one about another request, its own"
    );
    let approval = agrees(&laptop, &tablet.keys, admit_subject(watch.id(), Role::Approver));
    laptop.core.take_approval(approval.bytes()).unwrap();
    let mut laptop = laptop.restarts();
    let entries = laptop.core.admit(&shown, Role::Approver, &terms);
    assert!(matches!(entries, Err(AgentError::Withdrawn)), "after a restart the request must be heard of again");
    laptop.hears(&watch, Vec::new()).unwrap();
    let entries = laptop.core.admit(&shown, Role::Approver, &terms).unwrap();
    laptop.takes(&entries[0]);
    assert!(laptop.core.proposals().is_empty());
}

#[test]
fn approvals_of_different_roles_do_not_add_up_and_the_difference_is_named() {
    let (mut laptop, tablet, _) = three();
    let mut watch = Asks::with(&laptop.code, "watch");
    let shown = laptop.types_the_code_of(&mut watch);
    let terms = laptop.core.terms();
    let approval = agrees(&laptop, &tablet.keys, admit_subject(watch.id(), Role::Writer));
    laptop.core.take_approval(approval.bytes()).unwrap();
    let prompt = laptop.core.view(&watch.id()).unwrap();
    assert_eq!((prompt.admits_as.as_str(), prompt.more_needed), ("writer", Some(1)));
    let other = laptop.core.must_agree_on_role(&watch.id(), Role::Approver).unwrap_err();
    assert_eq!(other.to_string(), "'tablet' approved it as writer: all who approve must name the same role");
    assert!(matches!(
        laptop.core.admit(&shown, Role::Approver, &terms),
        Err(AgentError::OwnRefused(Refusal::Quorum { .. }))
    ));
    laptop.core.must_agree_on_role(&watch.id(), Role::Writer).unwrap();
    let entries = laptop.core.admit(&shown, Role::Writer, &terms).unwrap();
    laptop.takes(&entries[0]);
    assert_eq!(laptop.core.roster().member(&watch.keys.id()).unwrap().role, Role::Writer);
}

#[test]
fn a_broken_approval_is_no_approvers_word() {
    let (mut laptop, tablet, _) = three();
    let approval = agrees(&laptop, &tablet.keys, Subject::Closing);
    let mut bytes = approval.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(laptop.core.take_approval(&bytes), Err(AgentError::BadForm(_))));
    assert!(laptop.core.proposals().is_empty());
}

#[test]
fn one_approver_alone_uses_up_no_room_of_the_others() {
    let (mut laptop, tablet, phone) = three();
    let closing = agrees(&laptop, &phone.keys, Subject::Closing);
    laptop.core.take_approval(closing.bytes()).unwrap();
    for counter in 0..100 {
        let cut = Cut { counter, last: (counter > 0).then_some(protocol::Hash([1; 32])), at: CutAt::Earlier };
        let subject = Subject::Remove(vec![Removal { device: phone.keys.id(), cut }]);
        let approval = agrees(&laptop, &tablet.keys, subject);
        laptop.core.take_approval(approval.bytes()).unwrap();
    }
    let proposals = laptop.core.proposals();
    assert_eq!(proposals.len(), 9);
    assert_eq!((proposals[0].kind.as_str(), proposals[0].more_needed), ("closing", 1));
}

#[test]
fn what_an_entry_made_void_is_told_and_what_it_carried_out_is_not() {
    let (mut laptop, tablet, _) = three();
    let policy = Policy { members_max: 5, ..laptop.core.roster().policy().clone() };
    let wanted = Subject::Policy(Box::new(policy.clone()));
    for subject in [wanted.clone(), Subject::Closing] {
        let approval = agrees(&laptop, &tablet.keys, subject);
        laptop.core.take_approval(approval.bytes()).unwrap();
    }
    let mut events = laptop.core.events().subscribe();
    let base = laptop.core.roster().policy_seq();
    let entries = laptop.core.change_policy(&policy, base).unwrap();
    laptop.takes(&entries[0]);
    let mut dropped = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Dropped { proposal } = event {
            dropped.push(proposal.kind);
        }
    }
    assert_eq!(dropped, ["closing"]);
    assert_eq!(laptop.core.carried_out_at(&wanted, base), Some(entries[0].seq));
    assert!(laptop.core.proposals().is_empty());
}

#[test]
fn a_device_has_no_voice_about_itself() {
    let (mut laptop, ..) = three();
    let own = laptop.core.keys().id();
    let cut = Cut { counter: 0, last: None, at: CutAt::Earlier };
    let subject = Subject::Remove(vec![Removal { device: own, cut }]);
    assert!(matches!(laptop.core.approve_subject(&subject), Err(AgentError::NoVoice)));
    assert!(laptop.core.unsent_approvals().unwrap().is_empty());
    laptop.core.approve_subject(&Subject::Closing).unwrap();
    laptop.core.approve_subject(&Subject::Closing).unwrap();
    let mut laptop = laptop.restarts();
    let unsent = laptop.core.unsent_approvals().unwrap();
    assert_eq!(unsent.len(), 1, "kept before it is sent, and given once");
    laptop.core.give_up_approval(&unsent[0].hash()).unwrap();
    assert!(laptop.core.proposals().is_empty());
}

/// The log looks into no sealed value: with garbage in force no code is right any more, and nobody is let in.
#[test]
fn a_policy_whose_secret_does_not_open_here_is_not_agreed_to() {
    let (mut laptop, tablet, _) = three();
    let new = laptop.core.draw_secret(TotpMode::BeforePrompt).unwrap();
    let bytes = data_encoding::HEXLOWER.decode(new.secret.as_bytes()).unwrap();
    let secret = TotpSecret::from_bytes(bytes.try_into().unwrap());
    let secret = secret.wrap(laptop.acting(&tablet.keys), &mut rng()).unwrap();
    let totp = Some(Totp { mode: TotpMode::BeforePrompt, secret });
    let good = Policy { totp, ..laptop.core.roster().policy().clone() };
    let mut bad = good.clone();
    bad.totp.as_mut().unwrap().secret.0[30] ^= 1;
    for policy in [&bad, &good] {
        let approval = agrees(&laptop, &tablet.keys, Subject::Policy(Box::new(policy.clone())));
        laptop.core.take_approval(approval.bytes()).unwrap();
    }
    let base = laptop.core.roster().policy_seq();
    let subject = Subject::Policy(Box::new(bad.clone()));
    assert!(matches!(laptop.core.policy_refused(&bad, &[]), Err(AgentError::SecretUnopened)));
    assert!(matches!(laptop.core.approve_subject(&subject), Err(AgentError::SecretUnopened)));
    assert!(matches!(laptop.core.change_policy(&bad, base), Err(AgentError::SecretUnopened)));
    assert!(laptop.core.unsent_approvals().unwrap().is_empty() && laptop.core.staged().unwrap().is_empty());
    let told = crate::exit::tell(&AgentError::SecretUnopened);
    assert_eq!((told.exit, told.code.as_str()), (crate::told::Exit::Verification, "totp-unopened"));
    let entries = laptop.core.change_policy(&good, base).unwrap();
    laptop.takes(&entries[0]);
    assert!(laptop.core.totp_view().unwrap().is_some());
}

#[test]
fn whoever_agrees_is_told_whether_a_secret_is_another_one_or_sealed_anew() {
    let (mut laptop, tablet, _) = three();
    let seals = |laptop: &Laptop, byte: u8| {
        let secret = TotpSecret::from_bytes([byte; 20]).wrap(laptop.acting(&tablet.keys), &mut rng()).unwrap();
        let totp = Some(Totp { mode: TotpMode::BeforePrompt, secret });
        Policy { totp, ..laptop.core.roster().policy().clone() }
    };
    let first = seals(&laptop, 1);
    let approval = agrees(&laptop, &tablet.keys, Subject::Policy(Box::new(first.clone())));
    laptop.core.take_approval(approval.bytes()).unwrap();
    let entries = laptop.core.change_policy(&first, laptop.core.roster().policy_seq()).unwrap();
    laptop.takes(&entries[0]);
    let said = |policy: &Policy| {
        let fields = laptop.core.plan_of(policy, None).fields;
        fields.into_iter().map(|field| field.to).collect::<Vec<_>>()
    };
    assert_eq!(said(&seals(&laptop, 1)), ["the same, sealed anew"]);
    assert_eq!(said(&seals(&laptop, 2)), ["another: authenticators must be set up with it"]);
    let mut garbage = seals(&laptop, 1);
    garbage.totp.as_mut().unwrap().secret.0[30] ^= 1;
    assert_eq!(said(&garbage), ["does not open here"]);
}
