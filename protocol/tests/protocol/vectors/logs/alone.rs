//! What one approver cannot do alone where several must agree: bring a recovery device, end a fork, put a removal off.

use protocol::approval::{SettleSubject, Subject};
use protocol::cbor::Blob;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::entry::{RemoveReason, VetoOf};
use protocol::policy::{Policy, Quorums, Role};
use protocol::{Hash, Verified};

use super::Cases;
use super::lives::{two_of_two, with_recovery};
use crate::life::removals;
use crate::vectors::making::Ring;
use crate::world::{AT, Chain, keys};

const ABANDONED: Hash = Hash([9; 32]);

pub(super) fn all(all: &mut Cases, ring: &Ring) {
    recovery_devices(all, ring);
    settles(all, ring);
    lapses(all, ring);
}

/// Three approvers, two to remove, and a recovery device.
fn on_paper() -> Chain {
    let mut chain = with_recovery();
    for name in ["phone", "tablet"] {
        chain.joined(name, Role::Approver);
    }
    let quorums = Quorums { admit: 1, remove: 2, policy: 1, closing: 1 };
    chain.append(&chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new()));
    chain
}

fn recovery_devices(all: &mut Cases, ring: &Ring) {
    let (old, new) = (keys("recovery words"), keys("new recovery words"));
    let chain = two_of_two();
    let brought = chain.recovers_with(&chain.laptop, &old);
    let says = "it would fill every quorum, and so would whoever brought it";
    all.after(&chain, "recovery-brought-alone", says, "quorum", ring.made(&brought));
    let chain = on_paper();
    let replaced = chain.recovers_with(&chain.laptop, &new);
    all.after(&chain, "recovery-replaced-alone", "and so in the place of another", "quorum", ring.made(&replaced));
    let gone = removals(&["tablet"]);
    let agreed = chain.agrees(&keys("phone"), Subject::Remove(gone.clone()));
    let (acting, rng) = (chain.acting(&chain.laptop), &mut chain.randomness());
    let replace = RecoveryChange::Replace(&new);
    let removed = change::remove(acting, gone, RemoveReason::Lost, replace, vec![agreed], AT, rng).unwrap();
    let says = "who agreed to the removal did not agree to that";
    all.after(&chain, "removal-brings-recovery-alone", says, "quorum", ring.made(&removed));
    let without = chain.rotates(&old, CodeChange::Keep);
    let says = "the recovery device begins an epoch only with the one that follows it";
    all.after(&chain, "recovery-rotates", says, "not-an-approver", ring.made(&without));
    let mut good = chain.clone();
    good.append(&good.recovers_with(&old, &new));
    all.good(
        &good,
        "recovery-names-its-successor",
        "the recovery device brings another, which nobody else could alone",
    );
}

fn settles(all: &mut Cases, ring: &Ring) {
    let chain = two_of_two();
    let about = |abandoned| Subject::Settle(SettleSubject { abandoned });
    let settle = |approvals: Vec<Blob>| -> Verified<protocol::entry::Entry> {
        change::settle(chain.acting(&chain.laptop), ABANDONED, approvals, AT, &mut chain.randomness()).unwrap()
    };
    let agreed = chain.agrees(&keys("phone"), about(ABANDONED));
    let mut good = chain.clone();
    good.append(&settle(vec![agreed]));
    all.good(&good, "settled-by-two", "as many as the highest quorum asks for");
    all.after(&chain, "settled-alone", "one of two", "quorum", ring.made(&settle(Vec::new())));
    let other = chain.agrees(&keys("phone"), about(Hash([8; 32])));
    let says = "agreed to the end of another branch";
    all.after(&chain, "settle-of-another-branch", says, "approval-void", ring.made(&settle(vec![other])));
}

/// Which entries an approval outlives.
fn lapses(all: &mut Cases, ring: &Ring) {
    let mut chain = Chain::founded();
    for name in ["phone", "tablet"] {
        chain.joined(name, Role::Approver);
    }
    chain.joined("reader", Role::Reader);
    let quorums = Quorums { admit: 1, remove: 2, policy: 1, closing: 2 };
    chain.append(&chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new()));
    let gone = || removals(&["tablet"]);
    let removal = chain.agrees(&keys("phone"), Subject::Remove(gone()));
    let closing = chain.agrees(&keys("phone"), Subject::Closing);
    // What the one that is to go can sign alone.
    chain.append(&chain.vetoes(&keys("tablet"), VetoOf::Reset, Hash([9; 32])));
    let mut vetoed = chain.clone();
    vetoed.append(&vetoed.announces(&vetoed.laptop, vec![closing.clone()]));
    all.good(&vetoed, "approval-outlives-a-veto", "the veto of a reset is about nothing in the log");
    chain.append(&chain.rotates(&keys("tablet"), CodeChange::Draw));
    let late = chain.announces(&chain.laptop, vec![closing]);
    all.after(&chain, "approval-before-a-rotation", "a new epoch began since", "approval-void", ring.made(&late));
    let mut removed = chain.clone();
    removed.append(&removed.removes_together(&removed.laptop, gone(), vec![removal.clone()]));
    all.good(&removed, "removal-outlives-a-rotation", "or whoever is to go could put it off for ever");
    chain.append(&chain.makes(&chain.laptop, "reader", Role::Writer, None));
    let late = chain.removes_together(&chain.laptop, gone(), vec![removal]);
    all.after(&chain, "removal-approved-before-a-role", "a role changed since", "approval-void", ring.made(&late));
}
