//! Rules of the page that no other case breaks alone, and which of two comes first.

use protocol::approval::Subject;
use protocol::cbor::{self, Blob};
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, ChangeRole, Deny, DenyReason, Entry, RemoveReason, VetoOf};
use protocol::keys::DeviceKeys;
use protocol::policy::{How, Policy, Quorums, Role, Totp, TotpMode};
use protocol::rotation::Rotation;
use protocol::{Hash, Verified, decision};

use super::foundings::totp_secret;
use super::lives::{rotation_with, settled, with_recovery};
use super::{Cases, admit_with, family, raw};
use crate::life::{NOTHING, removals};
use crate::vectors::making::{Made, Proof, Ring};
use crate::world::{AT, Chain, Joiner, asks_with, keys};

pub(super) fn all(all: &mut Cases, ring: &Ring) {
    who_signs(all, ring);
    keys_of_the_past(all);
    recovery_fills_quorums(all, ring);
    approvers_left(all, ring);
    rotations(all, ring);
    bring_recovery(all, ring);
    roles(all);
    policies(all);
    closings(all, ring);
}

/// One of each kind that only an approver signs, by somebody else.
fn who_signs(all: &mut Cases, ring: &Ring) {
    let mut chain = with_recovery();
    chain.joined("phone", Role::Approver);
    chain.joined("writer", Role::Writer);
    let laptop = &chain.laptop;
    let kinds = [
        chain.rotates(laptop, CodeChange::Keep),
        chain.makes(laptop, "phone", Role::Writer, None),
        chain.rules(laptop, Policy { members_max: 9, ..Policy::default() }, Vec::new()),
        chain.announces(laptop, Vec::new()),
        chain.vetoes(laptop, VetoOf::Reset, Hash([9; 32])),
        chain.closes(laptop, Hash([9; 32])),
        chain.settles(laptop, Hash([9; 32])),
    ];
    for entry in kinds {
        for (name, signer) in [("writer", "writer"), ("recovery-device", "recovery words")] {
            let made = Made { key: keys(signer).signing, ..ring.made(&entry) };
            let (name, says) = (format!("{}-by-the-{name}", entry.body.name()), "it decides nothing here");
            all.after(&chain, &name, says, "not-an-approver", made);
        }
    }
    chain.append(&chain.makes(laptop, "phone", Role::Writer, None));
    let deny = raw(&keys("phone").signing, &chain.deny_body());
    all.after(&chain, "deny-by-one-that-decided", "it is an approver no more", "not-an-approver", deny);
}

/// `key-known` and its edges: what stays in the set, and what was never in it.
fn keys_of_the_past(all: &mut Cases) {
    let mut chain = with_recovery();
    let laptop = chain.laptop.clone();
    let code = chain.founding.code.clone();
    chain.joined("writer", Role::Writer);
    chain.append(&chain.leaves(&keys("writer")));
    chain.append(&chain.recovers_with(&laptop, &keys("new recovery words")));
    let tablet = chain.asks("tablet");
    let refused = |all: &mut Cases, name: &str, says: &str, joiner: &Joiner| {
        let request = Blob(joiner.request.bytes().to_vec());
        let made = admit_with(&chain, &tablet, &laptop, |admit| admit.request = request);
        all.after(&chain, name, says, "key-known", made);
    };
    let back = asks_with("writer again", &keys("writer"), &code);
    refused(all, "left-device-returns", "its keys were in this log", &back);
    let replaced = asks_with("recovery", &keys("recovery words"), &code);
    refused(all, "replaced-recovery-asks", "its keys were in this log", &replaced);
    let borrowed = DeviceKeys { signing: keys("tablet").signing, sealing: keys("writer").sealing };
    refused(all, "sealing-key-of-one-that-left", "both keys stay in the set", &asks_with("borrowed", &borrowed, &code));
    let deny = chain.denies(&laptop, &chain.asks("denied"));
    chain.append(&deny);
    let borrowed = DeviceKeys { signing: keys("tablet").signing, sealing: keys("denied").sealing };
    let borrowed = asks_with("tablet", &borrowed, &code);
    let admit = admit_with(&chain, &tablet, &laptop, |admit| admit.request = Blob(borrowed.request.bytes().to_vec()));
    let mut good = chain.clone();
    good.append(&Verified::from_bytes(&admit.bytes()).unwrap());
    all.good(&good, "sealing-key-of-a-denied-device", "a deny binds the signing key alone");
    let deny = Deny { request: tablet.request.id(), device: keys("writer").id(), reason: DenyReason::Denied, block: 0 };
    let deny = Entry { body: Body::Deny(deny), ..chain.deny_body() };
    chain.append(&Verified::sign(deny, &laptop.signing, &[]).unwrap());
    all.good(&chain, "deny-of-one-that-left", "it is no member any more");
    let mut small = with_policy(Policy { members_max: 2, ..Policy::default() });
    small.joined("phone", Role::Reader);
    all.good(&small, "full-beside-recovery", "the recovery device takes no room");
    let none = Chain::founded_with("laptop", Policy { ways: vec![How::None], ..Policy::default() });
    let made = admit_with(&none, &none.asks("tablet"), &none.laptop, |_| {});
    all.after(&none, "way-typed", "a code was typed, and that is no way here", "way-not-allowed", made);
}

/// A founding with a recovery device and any policy.
fn with_policy(policy: Policy) -> Chain {
    let mut chain = Chain::founded();
    let mut form = (*crate::forms::forms().found_with_recovery).clone();
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    found.policy = policy;
    let join = chain.founding.code.join_key();
    let found = Verified::sign(form, &chain.laptop.signing, &[&join, &keys("recovery words").signing]).unwrap();
    chain.roster = protocol::roster::Roster::found(&found).unwrap();
    chain.log = vec![found];
    chain
}

/// Two approvers, a writer and a recovery device, where two decide together.
fn two_and_recovery() -> Chain {
    let mut chain = with_recovery();
    chain.joined("phone", Role::Approver);
    chain.joined("writer", Role::Writer);
    let quorums = Quorums { admit: 2, remove: 2, policy: 2, closing: 2 };
    chain.append(&chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new()));
    chain
}

fn recovery_fills_quorums(all: &mut Cases, ring: &Ring) {
    let mut chain = two_and_recovery();
    let recovery = keys("recovery words");
    let tablet = chain.asks("tablet");
    let subject = Subject::Remove(removals(&["phone"]));
    let agreed = vec![chain.agrees(&chain.laptop, subject)];
    let superfluous = chain.removes_together(&recovery, removals(&["phone"]), agreed);
    let says = "the recovery device fills every quorum alone";
    all.after(&chain, "removal-by-recovery-approved", says, "quorum", ring.made(&superfluous));
    let agreed = chain.agrees(&chain.laptop, Subject::Closing);
    let made = admit_with(&chain, &tablet, &recovery, |admit| {
        (admit.how, admit.approvals) = (How::Recovery, vec![agreed]);
    });
    all.after(&chain, "admitted-by-recovery-approved", says, "quorum", made);
    let request = std::sync::Arc::new(tablet.request.clone());
    let (acting, mut rng) = (chain.acting(&recovery), chain.randomness());
    chain.append(&decision::admit_recovered(acting, &request, &tablet.description, AT, &mut rng).unwrap());
    all.good(&chain, "admitted-by-recovery-where-two-decide", "no approval is asked for");
    chain.append(&chain.removes(&recovery, &["phone", "tablet"]));
    all.good(&chain, "removed-by-recovery-where-two-decide", "one approver is left, and each quorum asks for two");
    too_few(all, &chain, ring);
}

/// What one approver can still do where two must decide.
fn too_few(all: &mut Cases, chain: &Chain, ring: &Ring) {
    let laptop = &chain.laptop;
    let says = "no approver goes, and it is asked all the same";
    let removal = chain.removes(laptop, &["writer"]);
    all.after(chain, "removal-of-a-writer-by-too-few", says, "too-few-approvers", ring.made(&removal));
    let mut left = chain.clone();
    left.append(&left.leaves(&keys("writer")));
    left.append(&left.rotates(laptop, CodeChange::Draw));
    all.good(&left, "left-by-a-writer-with-too-few", "it is asked where an approver leaves only");
}

fn approvers_left(all: &mut Cases, ring: &Ring) {
    let chain = super::lives::two_of_two();
    let (laptop, phone) = (&chain.laptop, keys("phone"));
    let agreed = vec![chain.agrees(&phone, Subject::Remove(removals(&["phone"])))];
    let removal = chain.removes_together(laptop, removals(&["phone"]), agreed);
    let says = "one would be left of two; that its own approval does not count comes later";
    all.after(&chain, "removal-leaves-too-few", says, "too-few-approvers", ring.made(&removal));
    let left = chain.leaves(&phone);
    all.after(&chain, "leaving-leaves-too-few", "one would be left of two", "too-few-approvers", ring.made(&left));
    let moved = rotation_with(ring, &removal, |rotation| rotation.epoch = 1);
    let says = "approvers before the rotation";
    all.after(&chain, "too-few-approvers-and-stale-epoch", says, "too-few-approvers", moved);
    let mut form = (*family().leaves(&keys("reader"))).clone();
    let Body::Leave(leave) = &mut form.body else { panic!("a leave is one") };
    leave.cut = Cut { counter: 1, last: None, at: CutAt::Last };
    let made = raw(&keys("reader").signing, &form);
    all.after(&family(), "leave-cut-without-hash", "a counter and no hash", "bad-field", made);
    let mut gone = family();
    gone.append(&gone.leaves(&keys("reader")));
    all.good(&gone, "reader-left", "a reader leaves; its cut means nothing");
    let removal = gone.removes(&gone.laptop, &["writer"]);
    let mut form = (*removal).clone();
    let Body::Remove(remove) = &mut form.body else { panic!("a removal is one") };
    remove.removals = removals(&["laptop", "reader"]);
    // The signer stands first, so that whoever asks device by device is found out.
    assert_eq!(remove.removals[0].device, gone.laptop.id());
    let both = Made { payload: cbor::encode(&form), ..ring.made(&removal) };
    let says = "the signer is to go, and one that is gone: first, whether all are members";
    all.after(&gone, "no-such-member-and-self-removal", says, "no-such-member", both);
}

/// The rotation of every kind that has one.
fn rotations(all: &mut Cases, ring: &Ring) {
    let chain = family();
    let laptop = &chain.laptop;
    let current = chain.founding.code.join_key();
    let entries = [chain.removes(laptop, &["reader"]), chain.settles(laptop, Hash([9; 32]))];
    for entry in &entries {
        let kind = entry.body.name();
        let mut bad = |what: &str, says: &str, code: &'static str, made: Made| {
            all.after(&chain, &format!("{kind}-{what}"), says, code, made);
        };
        let changed = |change: &dyn Fn(&mut Rotation)| rotation_with(ring, entry, change);
        bad("epoch-repeated", "the epoch that is", "stale-epoch", changed(&|rotation| rotation.epoch = 1));
        bad(
            "recipient-missing",
            "a member gets no key",
            "wrong-recipients",
            changed(&|rotation| {
                rotation.recipients.pop();
            }),
        );
        let made = changed(&|rotation| rotation.join_key = Some(current.join_key()));
        let made = Made { proofs: vec![Proof::join(&current)], ..made };
        bad("join-key-again", "the join key that is current", "join-key-known", made);
        let made = changed(&|rotation| {
            (rotation.join_key, rotation.epoch) = (Some(current.join_key()), 1);
        });
        let made = Made { proofs: vec![Proof::join(&current)], ..made };
        bad("stale-epoch-and-join-key-known", "the epoch is asked first", "stale-epoch", made);
    }
    let settle = settled();
    let again = settle.settles(&settle.laptop, settle.log[2].hash());
    let stale = rotation_with(ring, &again, |rotation| rotation.epoch = 1);
    let says = "whose entry it is before the rotation";
    all.after(&settle, "not-abandoned-and-stale-epoch", says, "not-abandoned", stale);
    let removal =
        chain.removes_together(laptop, removals(&["reader"]), vec![chain.agrees(&keys("phone"), Subject::Closing)]);
    let both = rotation_with(ring, &removal, |rotation| {
        rotation.recipients.pop();
    });
    all.after(&chain, "wrong-recipients-and-quorum", "the rotation before the approvals", "wrong-recipients", both);
}

/// Rotations that bring a recovery device.
fn bring_recovery(all: &mut Cases, ring: &Ring) {
    let mut chain = with_recovery();
    chain.joined("phone", Role::Approver);
    let laptop = chain.laptop.clone();
    let new = keys("new recovery words");
    let good = chain.recovers_with(&laptop, &new);
    let bare = Made { proofs: Vec::new(), ..ring.made(&good) };
    all.after(&chain, "recovery-without-proof", "the new recovery device proves nothing", "bad-proof", bare);
    let forged = Made { proofs: vec![Proof::recovery(&keys("stranger").signing)], ..ring.made(&good) };
    all.after(&chain, "recovery-proven-by-a-stranger", "the proof is by another key", "bad-proof", forged);
    let with = |change: &dyn Fn(&mut Rotation)| rotation_with(ring, &good, change);
    let mut bad = |name: &str, says: &str, code: &'static str, made: Made| all.after(&chain, name, says, code, made);
    let sealing = |device: &str| {
        let sealing = keys(device).public().sealing;
        with(&|rotation| rotation.recovery.as_mut().unwrap().sealing = sealing)
    };
    bad("recovery-seals-as-a-member", "its X25519 key is a member's", "key-known", sealing("phone"));
    bad("recovery-seals-as-before", "its X25519 key is that of the one before", "key-known", sealing("recovery words"));
    let own = with(&|rotation| rotation.recovery.as_mut().unwrap().signing = laptop.id());
    let own = Made { proofs: vec![Proof::recovery(&laptop.signing)], ..own };
    bad("recovery-is-the-signer", "keys of their own", "bad-field", own);
    let old = keys("recovery words").id();
    let kept = with(&|rotation| {
        let recipient = rotation.recipients[0].clone();
        rotation.recipients.push(protocol::rotation::Recipient { device: old, ..recipient });
        rotation.recipients.sort_by_key(|recipient| recipient.device);
    });
    bad("recipient-replaced", "the device that is replaced gets the key too", "wrong-recipients", kept);
    let lost = with(&|rotation| rotation.recipients.retain(|recipient| recipient.device != new.id()));
    bad("recovery-gets-no-key", "the new recovery device is a member after the entry", "wrong-recipients", lost);
    let plain = chain.rotates(&laptop, CodeChange::Keep);
    let lost = rotation_with(ring, &plain, |rotation| rotation.recipients.retain(|recipient| recipient.device != old));
    bad("recovery-forgotten", "the recovery device is a member", "wrong-recipients", lost);
    let phone = keys("phone").public();
    let pair = with(&|rotation| {
        rotation.recovery = Some(phone);
        rotation.recipients.pop();
    });
    let pair = Made { proofs: vec![Proof::recovery(&keys("phone").signing)], ..pair };
    bad("key-known-and-wrong-recipients", "keys before recipients", "key-known", pair);
    let current = chain.founding.code.join_key();
    let pair = with(&|rotation| (rotation.join_key, rotation.recovery) = (Some(current.join_key()), Some(phone)));
    let proofs = vec![Proof::join(&current), Proof::recovery(&keys("phone").signing)];
    let pair = Made { proofs, ..pair };
    bad("join-key-known-and-key-known", "the join key first", "join-key-known", pair);
    let replace = RecoveryChange::Replace(&new);
    let (acting, rng) = (chain.acting(&laptop), &mut chain.randomness());
    let gone = removals(&["phone"]);
    let removal = change::remove(acting, gone, RemoveReason::Lost, replace, Vec::new(), AT, rng).unwrap();
    let known = rotation_with(ring, &removal, |rotation| rotation.recovery.as_mut().unwrap().sealing = phone.sealing);
    all.after(&chain, "removal-brings-a-known-key", "the X25519 key of the one that goes", "key-known", known);
}

fn roles(all: &mut Cases) {
    let chain = with_recovery();
    let mut bad = |name: &str, says: &str, code: &'static str, device: &str, role: Role, cut: Option<Cut>| {
        let change = ChangeRole { device: keys(device).id(), role, cut, approvals: Vec::new() };
        let form = Entry { body: Body::ChangeRole(change), ..chain.deny_body() };
        all.after(&chain, name, says, code, raw(&chain.laptop.signing, &form));
    };
    let says = "a stranger is to be the recovery device";
    bad("no-such-member-and-role-not-allowed", says, "no-such-member", "stranger", Role::Recovery, None);
    let says = "the recovery device is to be what it is";
    bad("role-not-allowed-and-nothing-changes", says, "role-not-allowed", "recovery words", Role::Recovery, None);
    let says = "the founder is to be what it is, and is cut";
    bad("nothing-changes-and-bad-cut", says, "nothing-changes", "laptop", Role::Approver, Some(NOTHING));
    let says = "the only approver is to read, and is not cut";
    bad("bad-cut-and-last-approver", says, "bad-cut", "laptop", Role::Reader, None);
}

fn policies(all: &mut Cases) {
    let totp = |mode| Some(Totp { mode, secret: totp_secret() });
    let mut chain = family();
    let before = Policy { totp: totp(TotpMode::BeforePrompt), ..Policy::default() };
    chain.append(&chain.rules(&chain.laptop, before, Vec::new()));
    all.good(&chain, "policy-before-prompt", "codes are asked for before the prompt, and are no way of their own");
    let laptop = &chain.laptop;
    let phone = keys("phone");
    let mut bad = |name: &str, says: &str, code: &'static str, policy: Policy, approvals: Vec<Blob>| {
        let form = change::change_policy(chain.acting(laptop), policy, approvals, AT).unwrap();
        all.after(&chain, name, says, code, raw(&laptop.signing, &form));
    };
    let ways = vec![How::Typed, How::Totp];
    let policy = Policy { ways, totp: totp(TotpMode::BeforePrompt), ..Policy::default() };
    bad("policy-way-before-prompt", "a way is totp, and the mode is another", "bad-policy", policy, Vec::new());
    let three = Quorums { admit: 3, ..Policy::default().quorums };
    let policy = Policy { members_max: 3, quorums: three, ..Policy::default() };
    let says = "room for three, of whom three decide: four, of whom two do";
    bad("chain-full-and-too-few-approvers", says, "chain-full", policy, Vec::new());
    let agreed = vec![chain.agrees(&phone, Subject::Closing)];
    let policy = Policy { quorums: three, ..Policy::default() };
    let says = "three of two approvers, and an approval";
    bad("too-few-approvers-and-quorum", says, "too-few-approvers", policy, agreed.clone());
    let policy = chain.roster.policy().clone();
    bad("nothing-changes-and-quorum", "as it is, and an approval", "nothing-changes", policy, agreed);
}

fn closings(all: &mut Cases, ring: &Ring) {
    let mut chain = family();
    let (laptop, phone) = (chain.laptop.clone(), keys("phone"));
    chain.append(&chain.announces(&phone, Vec::new()));
    let closing = chain.roster.head();
    let other = chain.vetoes(&laptop, VetoOf::Closing, Hash([9; 32]));
    all.after(&chain, "veto-of-another", "another one stands", "no-such-closing", ring.made(&other));
    let other = chain.closes(&laptop, Hash([9; 32]));
    all.after(&chain, "close-of-another", "another one stands", "no-such-closing", ring.made(&other));
    let twice = chain.announces(&laptop, vec![chain.agrees(&phone, Subject::Closing)]);
    all.after(&chain, "closing-open-and-quorum", "one stands, and an approval", "closing-open", ring.made(&twice));
    let mut vetoed = chain.clone();
    vetoed.append(&vetoed.vetoes(&laptop, VetoOf::Closing, closing));
    let again = vetoed.vetoes(&laptop, VetoOf::Closing, closing);
    all.after(&vetoed, "veto-twice", "it was stopped", "no-such-closing", ring.made(&again));
    let mut unmoved = chain.clone();
    unmoved.append(&unmoved.vetoes(&laptop, VetoOf::Reset, closing));
    all.good(&unmoved, "closing-outlives-a-veto-of-a-reset", "of a reset, whatever hash it names");
    chain.append(&chain.leaves(&phone));
    let dead = chain.closes(&laptop, closing);
    all.after(&chain, "close-of-one-that-left", "its signer left", "no-such-closing", ring.made(&dead));
}
