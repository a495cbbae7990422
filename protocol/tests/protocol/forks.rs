//! Which of two branches gives way: asked of the one that would be abandoned.

use protocol::approval::{SettleSubject, Subject};
use protocol::change::{self, CodeChange};
use protocol::entry::Entry;
use protocol::policy::{Policy, Quorums, Role};
use protocol::roster::Refusal;
use protocol::{Hash, Verified};

use crate::world::{AT, Chain, keys};

fn pair() -> Chain {
    let mut chain = Chain::founded();
    chain.joined("phone", Role::Approver);
    chain
}

fn by_two(chain: &Chain) -> Verified<Entry> {
    let quorums = Quorums { admit: 2, remove: 2, policy: 2, closing: 2 };
    chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new())
}

/// The log with one more entry, and that entry's hash.
fn with(chain: &Chain, entry: &Verified<Entry>) -> (Chain, Hash) {
    let mut branch = chain.clone();
    branch.append(entry);
    (branch, entry.hash())
}

#[test]
fn a_branch_of_before_a_quorum_takes_the_place_of_none_that_has_it() {
    let chain = pair();
    let (pinned, first) = with(&chain, &by_two(&chain));
    let (branch, _) = with(&chain, &chain.rotates(&chain.laptop, CodeChange::Keep));
    let alone = branch.settles(&branch.laptop, first);
    assert_eq!(pinned.roster.gives_way_to(&alone), Err(Refusal::Quorum { needed: 1, got: 0 }));
    // Where both ask for two, two end it.
    let (branch, _) = with(&pinned, &pinned.rotates(&pinned.laptop, CodeChange::Keep));
    let (pinned, first) = with(&pinned, &pinned.rotates(&keys("phone"), CodeChange::Keep));
    let agreed = branch.agrees(&keys("phone"), Subject::Settle(SettleSubject { abandoned: first }));
    let (acting, rng) = (branch.acting(&branch.laptop), &mut branch.randomness());
    let settle = change::settle(acting, first, vec![agreed], AT, rng).unwrap();
    assert_eq!(pinned.roster.gives_way_to(&settle), Ok(()));
}

#[test]
fn an_approver_of_one_branch_alone_has_no_voice_on_the_other() {
    let chain = pair();
    let (pinned, first) = with(&chain, &chain.removes(&keys("phone"), &["laptop"]));
    let (branch, _) = with(&chain, &chain.rotates(&chain.laptop, CodeChange::Keep));
    let settle = branch.settles(&branch.laptop, first);
    assert_eq!(pinned.roster.gives_way_to(&settle), Err(Refusal::NotAMember));
    let (pinned, first) = with(&chain, &chain.makes(&keys("phone"), "laptop", Role::Writer, None));
    let settle = branch.settles(&branch.laptop, first);
    assert_eq!(pinned.roster.gives_way_to(&settle), Err(Refusal::NotAnApprover));
    let two = by_two(&chain);
    let (both, _) = with(&chain, &two);
    let (mut pinned, first) = with(&both, &both.rotates(&keys("phone"), CodeChange::Keep));
    let (branch, _) = with(&both, &both.rotates(&both.laptop, CodeChange::Keep));
    let (quorums, subject) = (Quorums { admit: 1, remove: 1, policy: 1, closing: 1 }, Policy::default());
    let lowered = Policy { quorums, reset_delay: 60, ..subject };
    let agreed = pinned.agrees(&pinned.laptop, Subject::Policy(Box::new(lowered.clone())));
    pinned.append(&pinned.rules(&keys("phone"), lowered, vec![agreed]));
    pinned.append(&pinned.makes(&pinned.laptop, "phone", Role::Reader, Some(crate::life::NOTHING)));
    let agreed = branch.agrees(&keys("phone"), Subject::Settle(SettleSubject { abandoned: first }));
    let (acting, rng) = (branch.acting(&branch.laptop), &mut branch.randomness());
    let settle = change::settle(acting, first, vec![agreed], AT, rng).unwrap();
    assert_eq!(pinned.roster.gives_way_to(&settle), Err(Refusal::ApprovalVoid { index: 0 }));
}

#[test]
fn of_two_branches_that_each_settled_upon_themselves_exactly_one_goes_on() {
    let chain = pair();
    let (mut one, first) = with(&chain, &chain.rotates(&chain.laptop, CodeChange::Keep));
    let (mut two, second) = with(&chain, &chain.rotates(&keys("phone"), CodeChange::Keep));
    let (here, there) = (one.settles(&one.laptop, second), two.settles(&keys("phone"), first));
    one.append(&here);
    assert!(!two.roster.goes_on_beside(&one.roster, &second, &first), "as long as the other alone did");
    two.append(&there);
    assert_eq!((one.roster.gives_way_to(&there), two.roster.gives_way_to(&here)), (Ok(()), Ok(())));
    assert_eq!(one.roster.goes_on_beside(&two.roster, &first, &second), first < second);
    assert_eq!(two.roster.goes_on_beside(&one.roster, &second, &first), second < first);
}

/// A removed device has as many keys to try as it likes: the smaller hash is worth nothing to whom the other branch does not hear.
#[test]
fn a_removed_device_that_settles_upon_its_own_branch_keeps_nobody_there() {
    let chain = pair();
    let (mut owners, removal) = with(&chain, &chain.removes(&chain.laptop, &["phone"]));
    let (mut own, first) = with(&chain, &chain.rotates(&keys("phone"), CodeChange::Keep));
    own.append(&own.settles(&keys("phone"), removal));
    let settle = owners.settles(&owners.laptop, first);
    owners.append(&settle);
    assert_eq!(own.roster.gives_way_to(&settle), Ok(()));
    assert!(!own.roster.goes_on_beside(&owners.roster, &first, &removal));
    assert!(!own.roster.goes_on_beside(&owners.roster, &Hash([0; 32]), &removal), "whatever its hash");
}

#[test]
fn a_closed_chain_and_any_other_entry_end_no_fork() {
    let chain = pair();
    let (mut pinned, first) = with(&chain, &chain.announces(&chain.laptop, Vec::new()));
    let (branch, _) = with(&chain, &chain.rotates(&chain.laptop, CodeChange::Keep));
    let rotate = branch.rotates(&branch.laptop, CodeChange::Keep);
    assert_eq!(pinned.roster.gives_way_to(&rotate), Err(Refusal::NotAbandoned));
    pinned.append(&pinned.closes(&pinned.laptop, first));
    let settle = branch.settles(&branch.laptop, first);
    assert_eq!(pinned.roster.gives_way_to(&settle), Err(Refusal::ChainClosed));
}
