//! What is wrong with one form of a chain's later life only: approvals, resets, and the entries that change who is in.

use protocol::approval::{Approval, Subject};
use protocol::cbor::{self, Blob};
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, Entry};
use protocol::reset::Reset;

use super::{Cases, Specimen};
use crate::forms::forms;
use crate::support::layout;
use crate::vectors::making::Made;

type Named<'a, 'b> = &'a dyn Fn(&str) -> &'b Specimen;

/// 365 days.
const LONGEST: u64 = 31_536_000;

pub(super) fn all(cases: &mut Cases, named: Named<'_, '_>) {
    resets(cases, named("reset"));
    subjects(cases, named);
    removals_agreed(cases, named("approval"));
    numbers(cases, named);
    lists(cases, named);
}

fn resets(cases: &mut Cases, reset: &Specimen) {
    let good = (*forms().later.reset).clone();
    let waits = |wait: u64| reset.over(cbor::encode(&Reset { wait, ..good.clone() }));
    cases.also_good(reset, "at-once", "no wait: what the policy asks for, the form does not show", waits(0));
    cases.also_good(reset, "longest", "365 days", waits(LONGEST));
    let long = waits(LONGEST + 1);
    cases.bad(reset, "wait-too-long", "a second more than 365 days", "bad-field", long.clone());
    cases.bad(reset, "wait-of-64-bits", "as many seconds as there are", "bad-field", waits(u64::MAX));
    let wait = [&[0x03], cbor::encode(&good.wait).as_slice()].concat();
    let head = [&[0x02, 0x58, 0x20], good.head.as_bytes().as_slice()].concat();
    let mut shape = |fault: &str, says: &str, old: &[u8], new: &[u8]| {
        cases.bad(reset, fault, says, "malformed", reset.with(old, new));
    };
    shape("wait-of-65-bits", "a bignum", &wait, &[0x03, 0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    shape("wait-negative", "a wait of -1", &wait, &[0x03, 0x20]);
    shape("wait-as-text", "a text where a number must be", &wait, &[0x03, 0x61, b'7']);
    shape("wait-null", "null for a field that must be there", &wait, &[0x03, 0xf6]);
    shape("head-31", "31 bytes of head", &head, &[&[0x02, 0x58, 0x1f], &good.head.as_bytes()[..31]].concat());
    let mut bare = reset.made.payload.clone();
    bare.truncate(bare.len() - wait.len());
    bare[0] -= 1;
    cases.bad(reset, "without-wait", "nobody would know how long it waits", "malformed", reset.over(bare));
    let flipped = |made: Made| {
        let bytes = made.signed();
        let at = layout(&bytes).signature.start;
        made.edited(at, 1, &[bytes[at] ^ 1])
    };
    cases.bad(reset, "bad-signature-and-bad-field", "signature before fields", "bad-signature", flipped(long.clone()));
    let mut second = long.payload.clone();
    second[2] = 2;
    cases.bad(reset, "version-2-and-bad-field", "version before fields", "unknown-version", reset.over(second));
    let request = crate::vectors::making::Proof::join(&reset.made.key);
    let proven = Made { proofs: vec![request.clone()], ..long };
    cases.bad(reset, "bad-field-and-bad-proof", "fields before proofs: a reset has none", "bad-field", proven);
    let proof = Made { label: request.label, ..reset.made.clone() };
    cases.bad(reset, "join-proof-label", "signed as the proof of a join key", "bad-signature", proof);
}

/// Kinds of subjects, and what each holds.
fn subjects(cases: &mut Cases, named: Named<'_, '_>) {
    let closing = named("approval-closing");
    for kind in [0, 1, 3, 5, 6, 10, 11, 13] {
        let made = closing.with(&[0x03, 0x82, 0x09, 0xa0], &[0x03, 0x82, kind, 0xa0]);
        let says = format!("nobody agrees to entries of kind {kind}");
        cases.bad(closing, &format!("kind-{kind}"), &says, "malformed", made);
    }
    let mut bad = |fault: &str, says: &str, error: &'static str, subject: &[u8]| {
        let made = closing.with(&[0x03, 0x82, 0x09, 0xa0], &[&[0x03], subject].concat());
        cases.bad(closing, fault, says, error, made);
    };
    bad("subject-of-three", "a subject is [kind, what]", "malformed", &[0x83, 0x09, 0xa0, 0x00]);
    bad("subject-of-one", "a kind of nothing", "malformed", &[0x81, 0x09]);
    bad("subject-as-map", "a map where an array must be", "malformed", &[0xa1, 0x09, 0xa0]);
    bad("subject-array", "an array where an empty map must be", "malformed", &[0x82, 0x09, 0x80]);
    bad("subject-full", "a field in the empty map", "not-canonical", &[0x82, 0x09, 0xa1, 0x00, 0x00]);
    bad("subject-wide", "its kind in two bytes", "not-canonical", &[0x82, 0x18, 0x09, 0xa0]);
    let role = named("approval-admit");
    let mut last = role.made.payload.clone();
    *last.last_mut().unwrap() = 4;
    cases.bad(role, "role-4", "a role that does not exist", "malformed", role.over(last));
    let role = named("approval-change-role");
    let made = role.with(&[0x01, 0x02, 0x02, 0xa3], &[0x01, 0x04, 0x02, 0xa3]);
    cases.bad(role, "role-4", "a role that does not exist", "malformed", made);
    let mut form = (*forms().later.approvals[2]).clone();
    let Subject::Role(subject) = &mut form.subject else { panic!("a role") };
    subject.cut = Some(Cut { counter: 1, last: None, at: CutAt::Last });
    cases.bad(role, "cut-without-hash", "a counter and no hash", "bad-field", role.over(cbor::encode(&form)));
    let settle = named("approval-settle");
    let ninth = [&[0x82, 0x0c, 0xa1, 0x00, 0x58, 0x20], [9; 32].as_slice()].concat();
    let says = "no entry is named: nobody would know which branch is abandoned";
    cases.bad(settle, "nothing-abandoned", says, "malformed", settle.with(&ninth, &[0x82, 0x0c, 0xa0]));
    let settle = named("settle");
    let mut bare = settle.with(&[0x05, 0x82, 0x0c, 0xa3], &[0x05, 0x82, 0x0c, 0xa2]);
    assert_eq!(bare.payload.split_off(bare.payload.len() - 2), [0x02, 0x80]);
    cases.bad(settle, "without-approvals", "the list is there, if nobody else is asked", "malformed", bare);
    let policy = named("approval-change-policy");
    let made = policy.with(&[0x03, 0x09, 0x04], &[0x03, 0x19, 0x01, 0x00, 0x04]);
    cases.bad(policy, "members-256", "most members of more than eight bits", "malformed", made);
}

fn removals_agreed(cases: &mut Cases, approval: &Specimen) {
    let good = (*forms().later.approval).clone();
    let Subject::Remove(removals) = good.subject.clone() else { panic!("a removal") };
    let mut bad = |fault: &str, says: &str, error: &'static str, removals: Vec<protocol::cut::Removal>| {
        let form = Approval { subject: Subject::Remove(removals), ..good.clone() };
        cases.bad(approval, fault, says, error, approval.over(cbor::encode(&form)));
    };
    let first = removals[0];
    let other = protocol::cut::Removal { device: protocol::DeviceId([1; 32]), ..first };
    bad("removals-none", "nobody is to go", "malformed", Vec::new());
    bad("removals-129", "more than a chain has", "malformed", vec![first; 129]);
    bad("removals-descend", "devices ascend", "bad-field", vec![first, other]);
    bad("removals-twice", "the same device twice", "bad-field", vec![first; 2]);
    let cut = |cut: Cut| vec![protocol::cut::Removal { cut, ..first }];
    let bare = Cut { last: None, ..first.cut };
    bad("cut-without-hash", "a counter and no hash", "bad-field", cut(bare));
    bad("cut-with-hash", "a hash and no counter", "bad-field", cut(Cut { counter: 0, ..first.cut }));
}

/// Numbers of enumerations.
fn numbers(cases: &mut Cases, named: Named<'_, '_>) {
    let mut bad = |name: &str, fault: &str, says: &str, change: &dyn Fn(&Specimen) -> Made| {
        let specimen = named(name);
        cases.bad(specimen, fault, says, "malformed", change(specimen));
    };
    let hash = *forms().put.hash().as_bytes();
    let at = |number: u8| [hash.as_slice(), &[0x02, number]].concat();
    bad("remove", "cut-at-2", "neither last nor earlier", &|it| it.with(&at(0), &at(2)));
    bad("leave", "cut-at-2", "neither last nor earlier", &|it| it.with(&at(0), &at(2)));
    bad("remove", "reason-3", "a reason that does not exist", &|it| {
        it.with(&[0x01, 0x01, 0x02, 0xa7, 0x00, 0x02], &[0x01, 0x03, 0x02, 0xa7, 0x00, 0x02])
    });
    bad("change-role", "role-4", "a role that does not exist", &|it| {
        it.with(&[0x01, 0x02, 0x02, 0xa3], &[0x01, 0x04, 0x02, 0xa3])
    });
    bad("veto", "of-2", "neither of a closing nor of a reset", &|it| {
        it.with(&[0x82, 0x0a, 0xa2, 0x00, 0x00], &[0x82, 0x0a, 0xa2, 0x00, 0x02])
    });
    let cut = named("leave");
    let long = [&[0x01, 0x58, 0x20], hash.as_slice()].concat();
    let says = "null for an optional field: it is left out";
    cases.bad(cut, "hash-null", says, "not-canonical", cut.with(&long, &[0x01, 0xf6]));
}

/// Lists that are longer than any.
fn lists(cases: &mut Cases, named: Named<'_, '_>) {
    let later = forms().later;
    let mut bad = |name: &str, fault: &str, says: &str, good: &Entry, change: &dyn Fn(&mut Body)| {
        let (specimen, mut form) = (named(name), good.clone());
        change(&mut form.body);
        cases.bad(specimen, fault, says, "malformed", specimen.over(cbor::encode(&form)));
    };
    bad("remove", "removals-129", "more than a chain has", &later.remove, &|body| {
        let Body::Remove(remove) = body else { panic!("a removal") };
        remove.removals = vec![remove.removals[0]; 129];
    });
    bad("rotate", "recipients-130", "128 members, and the recovery device", &later.rotate, &|body| {
        let Body::Rotate(rotate) = body else { panic!("a rotation") };
        rotate.rotation.recipients = vec![rotate.rotation.recipients[0].clone(); 130];
    });
    bad("settle", "recipients-none", "nobody gets the key", &later.settle, &|body| {
        let Body::Settle(settle) = body else { panic!("a settle") };
        settle.rotation.recipients.clear();
    });
    bad("closing", "many-approvals", "129 approvals", &later.closing, &|body| {
        let Body::Closing(closing) = body else { panic!("a closing") };
        closing.approvals = vec![Blob(vec![1]); 129];
    });
}
