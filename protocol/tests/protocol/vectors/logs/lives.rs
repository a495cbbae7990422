//! The rest of a chain's life: who goes, what begins anew, how it ends, and what of all that the log refuses.

use protocol::approval::{AdmitSubject, RoleSubject, Subject};
use protocol::cbor::{self, Blob};
use protocol::change::CodeChange;
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, Entry, VetoOf};
use protocol::policy::{How, Policy, Quorums, Role, Totp, TotpMode};
use protocol::rotation::Rotation;
use protocol::{Hash, JoinKey, Verified, decision};

use super::foundings::totp_secret;
use super::{Cases, ENTRY, admit_with, family, raw};
use crate::life::{NOTHING, removals};
use crate::support::SeededRng;
use crate::vectors::making::{Made, Proof, Ring};
use crate::world::{AT, Chain, keys};

pub(super) fn all(all: &mut Cases, ring: &Ring) {
    good(all);
    by_recovery(all, ring);
    removals_refused(all, ring);
    rotations_refused(all, ring);
    roles_refused(all);
    policies_refused(all);
    quorums_refused(all);
    ends_refused(all, ring);
}

fn good(all: &mut Cases) {
    let mut chain = family();
    chain.append(&chain.removes(&keys("phone"), &["laptop"]));
    all.good(&chain, "founder-removed", "the founder is removed like any other");
    let mut chain = family();
    chain.append(&chain.removes(&chain.laptop, &["phone", "reader"]));
    all.good(&chain, "removed", "two devices go, and a new epoch begins");
    chain.joined("tablet", Role::Writer);
    all.good(&chain, "joined-after-a-removal", "a device joins by the new sync code, in the new epoch");
    let mut chain = family();
    chain.append(&chain.rotates(&keys("phone"), CodeChange::Keep));
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Keep));
    all.good(&chain, "rotated", "two more epochs, under the same sync code");
    let mut chain = family();
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Draw));
    all.good(&chain, "rotated-code", "a new sync code");
    let mut chain = family();
    chain.append(&chain.leaves(&keys("writer")));
    all.good(&chain, "left", "a writer leaves: the epoch goes on until somebody rotates");
    chain.append(&chain.rotates(&keys("phone"), CodeChange::Draw));
    all.good(&chain, "left-and-rotated", "an approver rotates");
    let mut chain = family();
    chain.append(&chain.makes(&chain.laptop, "reader", Role::Writer, None));
    chain.append(&chain.makes(&keys("phone"), "writer", Role::Reader, Some(NOTHING)));
    chain.append(&chain.makes(&chain.laptop, "phone", Role::Writer, None));
    all.good(&chain, "roles", "a reader writes, a writer reads, an approver decides no more");
    let mut chain = two_of_two();
    all.good(&chain, "policy", "two approvers for everything, and a shorter wait");
    let tablet = chain.asks("tablet");
    chain.append(&admitted_by_two(&chain, "phone"));
    all.good(&chain, "admitted-by-two", "the phone agrees, the laptop signs");
    assert!(chain.roster.member(&tablet.keys.id()).is_some());
    let mut chain = two_of_two();
    chain.append(&together_removed(&chain));
    all.good(&chain, "removed-by-two", "the phone agrees, the laptop signs");
    let mut chain = two_of_two();
    let agreed = chain.agrees(&keys("phone"), Subject::Closing);
    chain.append(&chain.deny_between());
    chain.append(&chain.announces(&chain.laptop, vec![agreed]));
    all.good(&chain, "closing", "the end is announced by two; a deny in between voids no approval");
    let closing = chain.roster.head();
    chain.append(&chain.vetoes(&keys("phone"), VetoOf::Closing, closing));
    all.good(&chain, "vetoed", "and stopped by one");
    let mut chain = family();
    chain.append(&chain.announces(&chain.laptop, Vec::new()));
    let closing = chain.roster.head();
    chain.append(&chain.closes(&keys("phone"), closing));
    all.good(&chain, "closed", "announced by the laptop, carried out by the phone");
    let mut chain = family();
    chain.append(&chain.vetoes(&chain.laptop, VetoOf::Reset, Hash([9; 32])));
    all.good(&chain, "reset-vetoed", "the log knows no resets, and takes every veto of one");
    all.good(&settled(), "settled", "a branch that begins with this hash is abandoned");
    ways(all);
}

fn ways(all: &mut Cases) {
    let ways = vec![How::Typed, How::Totp, How::None];
    let totp = Some(Totp { mode: TotpMode::Way, secret: totp_secret() });
    let mut chain = family();
    chain.append(&chain.rules(&chain.laptop, Policy { ways, totp, ..Policy::default() }, Vec::new()));
    let tablet = chain.asks("tablet");
    let made = chain.admit_as(&tablet.request, |admit| admit.how = How::None);
    chain.append(&made);
    all.good(&chain, "way-none-allowed", "nothing was checked, as the policy allows");
    let other = chain.asks("watch");
    let step = |step: u64| {
        move |admit: &mut protocol::entry::Admit| {
            admit.how = How::Totp;
            admit.totp_step = Some(step);
        }
    };
    chain.append(&chain.admit_as(&other.request, step(59_666_666)));
    all.good(&chain, "way-totp-allowed", "a one-time code of this time step was right");
    let again = chain.asks("stranger");
    for (name, used) in [("totp-step-used", 59_666_666), ("totp-step-before", 59_666_665)] {
        let says = "a one-time code of this step, or of a later one, was used";
        let made = admit_with(&chain, &again, &chain.laptop, step(used));
        all.after(&chain, name, says, "totp-step-used", made);
    }
    let made = admit_with(&chain, &again, &chain.laptop, |admit| {
        step(59_666_666)(admit);
        admit.role = Role::Recovery;
    });
    all.after(&chain, "totp-step-used-and-role-not-allowed", "the step before the role", "totp-step-used", made);
}

impl Chain {
    /// A deny of something that nobody is about.
    fn deny_between(&self) -> Verified<Entry> {
        Verified::sign(self.deny_body(), &self.laptop.signing, &[]).unwrap()
    }

    /// The laptop admits a device as a writer, in a way of the test's choice.
    fn admit_as(
        &self,
        request: &Verified<protocol::request::JoinRequest>,
        change: impl FnOnce(&mut protocol::entry::Admit),
    ) -> Verified<Entry> {
        let joiner = ["tablet", "watch"].map(|name| self.asks(name));
        let joiner = joiner.iter().find(|joiner| joiner.request.id() == request.id()).unwrap();
        let mut form = (*self.admits(&self.laptop, joiner, Role::Writer)).clone();
        let Body::Admit(admit) = &mut form.body else { panic!("an admit is an admit") };
        change(admit);
        Verified::sign(form, &self.laptop.signing, &[]).unwrap()
    }
}

/// A family in which two decide together.
pub(super) fn two_of_two() -> Chain {
    let mut chain = family();
    let quorums = Quorums { admit: 2, remove: 2, policy: 2, closing: 2 };
    let policy = Policy { quorums, reset_delay: 86_400, ..Policy::default() };
    chain.append(&chain.rules(&chain.laptop, policy, Vec::new()));
    chain
}

fn admitted_by_two(chain: &Chain, second: &str) -> Verified<Entry> {
    let tablet = chain.asks("tablet");
    let subject = Subject::Admit(AdmitSubject { request: tablet.request.id(), role: Role::Writer });
    let agreed = chain.agrees(&keys(second), subject);
    let confirmed = chain.confirms(&chain.laptop, &tablet);
    let (acting, rng) = (chain.acting(&chain.laptop), &mut chain.randomness());
    decision::admit_together(acting, &confirmed, &tablet.description, Role::Writer, vec![agreed], AT, rng).unwrap()
}

fn together_removed(chain: &Chain) -> Verified<Entry> {
    let agreed = chain.agrees(&keys("phone"), Subject::Remove(removals(&["reader"])));
    chain.removes_together(&chain.laptop, removals(&["reader"]), vec![agreed])
}

pub(super) fn settled() -> Chain {
    let mut chain = family();
    chain.append(&chain.settles(&chain.laptop, Hash([9; 32])));
    chain
}

/// A founding with a recovery device, which then lets a tablet in and puts the laptop out.
pub(super) fn with_recovery() -> Chain {
    let mut chain = Chain::founded();
    let found = crate::forms::forms().found_with_recovery;
    chain.roster = protocol::roster::Roster::found(&found).unwrap();
    chain.log = vec![found];
    chain
}

fn recovered() -> Chain {
    let mut chain = with_recovery();
    let recovery = keys("recovery words");
    let tablet = chain.asks("tablet");
    let mut rng = SeededRng::new("recovered");
    let request = std::sync::Arc::new(tablet.request.clone());
    let acting = chain.acting(&recovery);
    let admit = decision::admit_recovered(acting, &request, &tablet.description, AT, &mut rng).unwrap();
    chain.append(&admit);
    chain.laptop = tablet.keys;
    let replace = protocol::change::RecoveryChange::Replace(&keys("new recovery words"));
    let (acting, rng) = (chain.acting(&recovery), &mut chain.randomness());
    let reason = protocol::entry::RemoveReason::Lost;
    let gone = removals(&["laptop"]);
    let removed = protocol::change::remove(acting, gone, reason, replace, Vec::new(), AT, rng).unwrap();
    chain.append(&removed);
    chain
}

fn by_recovery(all: &mut Cases, ring: &Ring) {
    all.good(&recovered(), "recovered", "the recovery device admits a tablet, removes the laptop, and is replaced");
    let mut chain = Chain::founded();
    chain.append(&chain.recovers_with(&chain.laptop, &keys("recovery words")));
    all.good(&chain, "recovery-brought", "a chain without a recovery device gets one");
    let mut chain = with_recovery();
    let recovery = keys("recovery words");
    let tablet = chain.asks("tablet");
    let made = admit_with(&chain, &tablet, &recovery, |_| {});
    all.after(&chain, "typed-by-recovery", "the recovery device admits in no other way", "way-not-allowed", made);
    let left = chain.leaves(&recovery);
    all.after(&chain, "recovery-leaves", "it does not leave", "not-an-approver", ring.made(&left));
    let alone = chain.removes(&recovery, &["laptop"]);
    all.after(&chain, "recovery-removes-the-last", "nobody could decide", "last-approver", ring.made(&alone));
    let own = chain.removes(&recovery, &["recovery words"]);
    all.after(&chain, "recovery-removes-itself", "a device does not remove itself", "self-removal", ring.made(&own));
    let role = chain.makes(&chain.laptop, "recovery words", Role::Writer, None);
    all.after(&chain, "recovery-becomes-writer", "it has no other role", "role-not-allowed", ring.made(&role));
    let role = chain.makes(&chain.laptop, "laptop", Role::Recovery, Some(NOTHING));
    all.after(&chain, "founder-becomes-recovery", "no member becomes one", "role-not-allowed", ring.made(&role));
    let again = chain.recovers_with(&chain.laptop, &recovery);
    all.after(&chain, "recovery-again", "its keys were in this log", "key-known", ring.made(&again));
    chain.append(&chain.recovers_with(&chain.laptop, &keys("new recovery words")));
    all.good(&chain, "recovery-replaced", "the old words are worth nothing");
    let made = admit_with(&chain, &tablet, &recovery, |admit| admit.how = How::Recovery);
    all.after(&chain, "replaced-recovery-admits", "it is no member any more", "not-a-member", made);
}

/// A good entry with its rotation changed, signed and proven again.
pub(super) fn rotation_with(ring: &Ring, good: &Verified<Entry>, change: impl FnOnce(&mut Rotation)) -> Made {
    let mut form = (**good).clone();
    let rotation = match &mut form.body {
        Body::Remove(remove) => &mut remove.rotation,
        Body::Rotate(rotate) => &mut rotate.rotation,
        Body::Settle(settle) => &mut settle.rotation,
        other => panic!("{} begins no epoch", other.name()),
    };
    change(rotation);
    Made { payload: cbor::encode(&form), ..ring.made(good) }
}

fn removals_refused(all: &mut Cases, ring: &Ring) {
    let chain = family();
    let laptop = &chain.laptop;
    let good = chain.removes(laptop, &["phone", "reader"]);
    let mut bad = |name: &str, says: &str, code: &'static str, change: &dyn Fn(&mut protocol::entry::Remove)| {
        let mut form = (*good).clone();
        let Body::Remove(remove) = &mut form.body else { panic!("a removal is one") };
        change(remove);
        let proofs = if remove.rotation.join_key.is_some() { ring.made(&good).proofs } else { Vec::new() };
        let made = Made { payload: cbor::encode(&form), proofs, ..ring.made(&good) };
        all.after(&chain, name, says, code, made);
    };
    bad("removes-nobody", "an empty list", "malformed", &|remove| remove.removals.clear());
    bad("removals-descend", "devices ascend", "bad-field", &|remove| remove.removals.reverse());
    bad("removed-twice", "the same device twice", "bad-field", &|remove| {
        remove.removals[1] = remove.removals[0];
    });
    bad("cut-without-hash", "a counter and no hash", "bad-field", &|remove| remove.removals[0].cut.counter = 1);
    bad("cut-with-hash", "a hash and no counter", "bad-field", &|remove| {
        remove.removals[0].cut.last = Some(Hash([1; 32]));
    });
    bad("removal-keeps-the-code", "they knew the sync code", "bad-field", &|remove| remove.rotation.join_key = None);
    bad("removes-a-stranger", "the device is no member", "no-such-member", &|remove| {
        remove.removals = removals(&["phone", "stranger"]);
    });
    bad("removes-itself", "a device leaves by itself", "self-removal", &|remove| {
        remove.removals = removals(&["laptop", "reader"]);
    });
    bad("recipient-removed", "the new key is sealed to a removed device", "wrong-recipients", &|remove| {
        remove.removals = removals(&["phone", "reader", "writer"]);
    });
    bad("recipient-forgotten", "a member gets no key", "wrong-recipients", &|remove| {
        remove.removals = removals(&["phone"]);
    });
    bad("removal-approved", "an approval, where none is asked for", "quorum", &|remove| {
        remove.approvals = vec![chain.agrees(&keys("phone"), Subject::Closing)];
    });
    let by_writer = Made { key: keys("writer").signing, ..ring.made(&chain.removes(laptop, &["reader"])) };
    all.after(&chain, "removal-by-a-writer", "a writer decides nothing", "not-an-approver", by_writer);
    let mut alone = family();
    alone.append(&alone.makes(laptop, "laptop", Role::Writer, None));
    alone.append(&alone.removes(&keys("phone"), &["laptop"]));
    let left = alone.leaves(&keys("phone"));
    all.after(&alone, "last-approver-leaves", "nobody could decide", "last-approver", ring.made(&left));
    let role = alone.makes(&keys("phone"), "phone", Role::Reader, Some(NOTHING));
    all.after(&alone, "last-approver-reads", "nobody could decide", "last-approver", ring.made(&role));
    gone(all, ring);
}

/// What a device that is gone can do: nothing.
fn gone(all: &mut Cases, ring: &Ring) {
    let mut chain = family();
    let before = chain.asks("tablet");
    chain.append(&chain.removes(&chain.laptop, &["phone", "reader"]));
    let phone = keys("phone");
    let deny = raw(&phone.signing, &chain.deny_body());
    all.after(&chain, "deny-by-a-removed-device", "it decides nothing any more", "not-a-member", deny);
    let left = chain.leaves(&phone);
    all.after(&chain, "removed-device-leaves", "it is gone already", "not-a-member", ring.made(&left));
    let again = chain.removes(&chain.laptop, &["phone"]);
    all.after(&chain, "removed-twice-over", "it is gone already", "no-such-member", ring.made(&again));
    let back = chain.asks("phone");
    let made = admit_with(&chain, &back, &chain.laptop, |_| {});
    all.after(&chain, "removed-device-returns", "its keys were in this log", "key-known", made);
    let late = Blob(before.request.bytes().to_vec());
    let tablet = chain.asks("tablet");
    let made = admit_with(&chain, &tablet, &chain.laptop, |admit| admit.request = late);
    let says = "asked with the sync code of before";
    all.after(&chain, "asked-before-the-removal", says, "stale-join-key", made);
    let made = admit_with(&chain, &tablet, &chain.laptop, |admit| admit.epoch = 1);
    all.after(&chain, "admitted-into-an-old-epoch", "epoch 1 is over", "stale-epoch", made);
}

fn rotations_refused(all: &mut Cases, ring: &Ring) {
    let chain = family();
    let good = chain.rotates(&chain.laptop, CodeChange::Draw);
    let mut bad = |name: &str, says: &str, code: &'static str, change: &dyn Fn(&mut Rotation)| {
        all.after(&chain, name, says, code, rotation_with(ring, &good, change));
    };
    bad("epoch-repeated", "the epoch that is", "stale-epoch", &|rotation| rotation.epoch = 1);
    bad("epoch-skipped", "an epoch is left out", "stale-epoch", &|rotation| rotation.epoch = 3);
    bad("recipient-missing", "a member gets no key", "wrong-recipients", &|rotation| {
        rotation.recipients.pop();
    });
    bad("recipient-stranger", "a stranger gets the key", "wrong-recipients", &|rotation| {
        let stranger =
            protocol::rotation::Recipient { device: keys("stranger").id(), ..rotation.recipients[0].clone() };
        rotation.recipients.push(stranger);
        rotation.recipients.sort_by_key(|recipient| recipient.device);
    });
    bad("recipients-none", "nobody gets the key", "malformed", &|rotation| rotation.recipients.clear());
    bad("recipients-descend", "recipients ascend", "bad-field", &|rotation| rotation.recipients.reverse());
    bad("recipient-twice", "a recipient twice", "bad-field", &|rotation| {
        rotation.recipients[1] = rotation.recipients[0].clone();
    });
    bad("sealed-short", "a sealed key of 80 bytes", "bad-field", &|rotation| {
        rotation.recipients[0].sealed.0.pop();
    });
    bad("wrapped-long", "a wrapped key of 74 bytes", "bad-field", &|rotation| rotation.previous.0.push(0));
    let signer = good.signer();
    bad("join-key-is-the-signer", "keys of their own", "bad-field", &|rotation| {
        rotation.join_key = Some(JoinKey(signer.0));
    });
    let bare = Made { proofs: Vec::new(), ..ring.made(&good) };
    all.after(&chain, "rotation-without-proof", "the new join key proves nothing", "bad-proof", bare);
    let old = chain.founding.code.join_key();
    let same = Made {
        proofs: vec![Proof::join(&old)],
        ..rotation_with(ring, &good, |rotation| {
            rotation.join_key = Some(old.join_key());
        })
    };
    all.after(&chain, "join-key-again", "the join key that is current", "join-key-known", same);
    let mut later = chain.clone();
    later.append(&good);
    let again = later.rotates(&later.laptop, CodeChange::Draw);
    let back = Made {
        proofs: vec![Proof::join(&old)],
        ..rotation_with(ring, &later.rotates(&later.laptop, CodeChange::Keep), |rotation| {
            rotation.join_key = Some(old.join_key());
        })
    };
    assert_eq!(again.seq, 5);
    all.after(&later, "old-join-key-returns", "the first one comes back", "join-key-known", back);
    let settle = settled();
    let wrong = Made::new(
        ENTRY,
        &settle.laptop.signing,
        cbor::encode(&Entry {
            body: Body::Settle(Box::new(protocol::entry::Settle {
                abandoned: settle.log[2].hash(),
                rotation: match &settle.rotates(&settle.laptop, CodeChange::Keep).body {
                    Body::Rotate(rotate) => rotate.rotation.clone(),
                    _ => unreachable!(),
                },
                approvals: Vec::new(),
            })),
            ..settle.deny_body()
        }),
        Vec::new(),
    );
    all.after(&settle, "settles-against-itself", "the branch is this one", "not-abandoned", wrong);
}

fn roles_refused(all: &mut Cases) {
    let chain = family();
    let laptop = &chain.laptop;
    let mut bad = |name: &str, says: &str, code: &'static str, device: &str, role: Role, cut: Option<Cut>| {
        let body = Body::ChangeRole(protocol::entry::ChangeRole {
            device: keys(device).id(),
            role,
            cut,
            approvals: Vec::new(),
        });
        all.after(&chain, name, says, code, raw(&laptop.signing, &Entry { body, ..chain.deny_body() }));
    };
    bad("role-of-a-stranger", "no member", "no-such-member", "stranger", Role::Writer, None);
    bad("role-as-it-is", "a writer becomes a writer", "nothing-changes", "writer", Role::Writer, None);
    bad("reader-without-cut", "writing is taken away, and where?", "bad-cut", "writer", Role::Reader, None);
    bad("cut-of-a-reader", "it never wrote", "bad-cut", "reader", Role::Writer, Some(NOTHING));
    bad("cut-of-a-writer", "it goes on writing", "bad-cut", "phone", Role::Writer, Some(NOTHING));
    let cut = Some(Cut { counter: 1, last: None, at: CutAt::Last });
    bad("role-cut-without-hash", "a counter and no hash", "bad-field", "writer", Role::Reader, cut);
}

fn policies_refused(all: &mut Cases) {
    let chain = family();
    let laptop = chain.laptop.clone();
    let mut bad = |name: &str, says: &str, code: &'static str, change: &dyn Fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        let body = protocol::entry::ChangePolicy { policy, approvals: Vec::new() };
        let form = Entry { body: Body::ChangePolicy(Box::new(body)), ..chain.deny_body() };
        all.after(&chain, name, says, code, raw(&laptop.signing, &form));
    };
    bad("policy-as-it-is", "nothing changes", "nothing-changes", &|_| {});
    bad("policy-too-small", "four members, and room for three", "chain-full", &|policy| policy.members_max = 3);
    bad("policy-locks-out", "three of two approvers", "too-few-approvers", &|policy| policy.quorums.admit = 3);
    bad("policy-change-bad", "no way at all", "bad-policy", &|policy| policy.ways.clear());
    bad("policy-change-ticket", "not built yet", "not-supported", &|policy| {
        policy.ways = vec![How::Typed, How::Ticket];
    });
}

fn quorums_refused(all: &mut Cases) {
    let chain = two_of_two();
    let laptop = chain.laptop.clone();
    let policy = Policy { reset_delay: 60, ..chain.roster.policy().clone() };
    let subject = || Subject::Policy(Box::new(policy.clone()));
    let mut bad = |name: &str, says: &str, code: &'static str, approvals: Vec<Blob>| {
        let body = protocol::entry::ChangePolicy { policy: policy.clone(), approvals };
        let form = Entry { body: Body::ChangePolicy(Box::new(body)), ..chain.deny_body() };
        all.after(&chain, name, says, code, raw(&laptop.signing, &form));
    };
    let phone = keys("phone");
    let good = chain.agrees(&phone, subject());
    bad("quorum-missing", "one of two", "quorum", Vec::new());
    bad("quorum-exceeded", "three of two", "quorum", vec![good.clone(), good.clone()]);
    let other = Subject::Policy(Box::default());
    bad("approval-of-another-policy", "another subject", "approval-void", vec![chain.agrees(&phone, other)]);
    bad("approval-of-a-closing", "another kind", "approval-void", vec![chain.agrees(&phone, Subject::Closing)]);
    bad("approval-by-the-signer", "one device is one", "approval-void", vec![chain.agrees(&laptop, subject())]);
    bad(
        "approval-by-a-writer",
        "a writer has no voice",
        "approval-void",
        vec![chain.agrees(&keys("writer"), subject())],
    );
    bad("approval-by-a-stranger", "no member", "approval-void", vec![chain.agrees(&keys("stranger"), subject())]);
    let early = family();
    bad(
        "approval-before-the-policy",
        "the policy changed since",
        "approval-void",
        vec![early.agrees(&phone, subject())],
    );
    let elsewhere = Chain::founded_with("stranger", Policy::default());
    bad("approval-of-another-chain", "another chain", "approval-void", vec![elsewhere.agrees(&phone, subject())]);
    let mut forged = good.clone();
    *forged.0.last_mut().unwrap() ^= 1;
    bad("approval-forged", "its signature does not hold", "bad-signature", vec![forged]);
    let subject = RoleSubject { device: phone.id(), role: Role::Reader, cut: Some(NOTHING) };
    let agreed = chain.agrees(&phone, Subject::Role(subject));
    let body = protocol::entry::ChangeRole {
        device: subject.device,
        role: subject.role,
        cut: subject.cut,
        approvals: vec![agreed],
    };
    let form = Entry { body: Body::ChangeRole(body), ..chain.deny_body() };
    let made = raw(&laptop.signing, &form);
    let says = "too few would be left; who is concerned has no voice either";
    all.after(&chain, "too-few-approvers-and-approval-void", says, "too-few-approvers", made);
    approvals_in_order(all);
}

fn approvals_in_order(all: &mut Cases) {
    let mut chain = family();
    chain.append(&chain.makes(&chain.laptop, "writer", Role::Approver, None));
    let quorums = Quorums { admit: 1, remove: 3, policy: 1, closing: 3 };
    chain.append(&chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new()));
    let mut signers = [keys("phone"), keys("writer")];
    signers.sort_by_key(protocol::keys::DeviceKeys::id);
    let agreed = signers.map(|signer| chain.agrees(&signer, Subject::Closing));
    let body = |approvals: Vec<Blob>| Body::Closing(protocol::entry::Closing { approvals });
    let [first, second] = agreed;
    let mut good = chain.clone();
    let form = Entry { body: body(vec![first.clone(), second.clone()]), ..chain.deny_body() };
    good.append(&Verified::sign(form, &chain.laptop.signing, &[]).unwrap());
    all.good(&good, "closing-by-three", "two approvals, ascending by signer");
    for (name, says, approvals) in [
        ("approvals-descend", "by signer, ascending", vec![second, first.clone()]),
        ("approval-twice", "one device is one", vec![first.clone(), first]),
    ] {
        let form = Entry { body: body(approvals), ..chain.deny_body() };
        all.after(&chain, name, says, "approval-void", raw(&chain.laptop.signing, &form));
    }
}

fn ends_refused(all: &mut Cases, ring: &Ring) {
    let mut chain = family();
    let (laptop, phone) = (chain.laptop.clone(), keys("phone"));
    let stray = chain.closes(&laptop, Hash([9; 32]));
    all.after(&chain, "close-of-nothing", "nothing was announced", "no-such-closing", ring.made(&stray));
    let stray = chain.vetoes(&laptop, VetoOf::Closing, Hash([9; 32]));
    all.after(&chain, "veto-of-nothing", "nothing was announced", "no-such-closing", ring.made(&stray));
    chain.append(&chain.announces(&laptop, Vec::new()));
    let closing = chain.roster.head();
    let twice = chain.announces(&phone, Vec::new());
    all.after(&chain, "closing-twice", "one stands", "closing-open", ring.made(&twice));
    let mut vetoed = chain.clone();
    vetoed.append(&vetoed.vetoes(&phone, VetoOf::Closing, closing));
    let late = vetoed.closes(&laptop, closing);
    all.after(&vetoed, "close-after-veto", "it was stopped", "no-such-closing", ring.made(&late));
    vetoed.append(&vetoed.announces(&phone, Vec::new()));
    let old = vetoed.closes(&laptop, closing);
    all.after(&vetoed, "close-of-the-vetoed", "another one stands", "no-such-closing", ring.made(&old));
    let mut gone = chain.clone();
    gone.append(&gone.removes(&phone, &["laptop"]));
    let dead = gone.closes(&phone, closing);
    all.after(
        &gone,
        "close-of-a-removed-device",
        "its signer may not decide any more",
        "no-such-closing",
        ring.made(&dead),
    );
    gone.append(&gone.announces(&phone, Vec::new()));
    all.good(&gone, "closing-anew", "the one before stands no more");
    let mut demoted = chain.clone();
    demoted.append(&demoted.makes(&phone, "laptop", Role::Writer, None));
    demoted.append(&demoted.makes(&phone, "laptop", Role::Approver, None));
    all.good(&demoted, "closing-ended-with-a-role", "its signer decided nothing for a while: it stays ended");
    let back = demoted.closes(&phone, closing);
    all.after(&demoted, "close-after-a-role-came-back", "it stays ended", "no-such-closing", ring.made(&back));
    chain.append(&chain.closes(&phone, closing));
    let late = chain.deny_between();
    all.after(&chain, "deny-after-close", "the log takes nothing more", "chain-closed", ring.made(&late));
    let stranger = raw(&keys("stranger").signing, &chain.deny_body());
    all.after(&chain, "stranger-after-close", "closed before who signs", "chain-closed", stranger);
}
