//! Approvals in every kind of entry that a quorum is asked for, and each way in which one does not count.

use protocol::approval::{AdmitSubject, Approval, RoleSubject, Subject};
use protocol::cbor::{self, Blob};
use protocol::change::CodeChange;
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, ChangeRole, Closing, Entry};
use protocol::policy::{Policy, Quorums, Role};
use protocol::{Hash, RequestId, Verified};

use super::lives::two_of_two;
use super::{Cases, admit_with, family, raw};
use crate::life::{NOTHING, removals};
use crate::vectors::making::Ring;
use crate::world::{Chain, keys};

pub(super) fn all(all: &mut Cases, ring: &Ring) {
    admissions(all);
    removals_of_two(all, ring);
    roles(all);
    heads(all);
    bytes(all);
}

/// A closing with these approvals, by the laptop.
fn closing_with(chain: &Chain, approvals: Vec<Blob>) -> Entry {
    Entry { body: Body::Closing(Closing { approvals }), ..chain.deny_body() }
}

fn admissions(all: &mut Cases) {
    let mut chain = two_of_two();
    let (tablet, phone) = (chain.asks("tablet"), keys("phone"));
    let subject = AdmitSubject { request: tablet.request.id(), role: Role::Approver };
    let agrees = |chain: &Chain, subject| chain.agrees(&phone, Subject::Admit(subject));
    let good = agrees(&chain, subject);
    let mut bad = |name: &str, says: &str, code: &'static str, approvals: Vec<Blob>| {
        let made = admit_with(&chain, &tablet, &chain.laptop, |admit| admit.approvals = approvals);
        all.after(&chain, name, says, code, made);
    };
    bad("admitted-alone", "one of two", "quorum", Vec::new());
    bad("admitted-by-three-of-two", "one approval too many", "quorum", vec![good.clone(); 2]);
    let other = AdmitSubject { request: RequestId([9; 32]), ..subject };
    bad("approval-of-another-request", "of another request", "approval-void", vec![agrees(&chain, other)]);
    let other = AdmitSubject { role: Role::Writer, ..subject };
    bad(
        "approval-of-another-role",
        "as a writer, and not as an approver",
        "approval-void",
        vec![agrees(&chain, other)],
    );
    let own = chain.agrees(&chain.laptop, Subject::Admit(subject));
    bad("admission-approved-by-its-signer", "one device is one", "approval-void", vec![own]);
    let joiner = chain.agrees(&tablet.keys, Subject::Admit(subject));
    bad("admission-approved-by-the-joiner", "it is no member", "approval-void", vec![joiner]);
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Keep));
    let late = admit_with(&chain, &tablet, &chain.laptop, |admit| admit.approvals = vec![good]);
    let says = "a new epoch began since, under the same sync code";
    all.after(&chain, "admission-approved-before-a-rotation", says, "approval-void", late);
    let mut full = family();
    let quorums = Quorums { admit: 2, ..Policy::default().quorums };
    full.append(&full.rules(&full.laptop, Policy { quorums, members_max: 4, ..Policy::default() }, Vec::new()));
    let tablet = full.asks("tablet");
    let void = full.agrees(&phone, Subject::Closing);
    let made = admit_with(&full, &tablet, &full.laptop, |admit| admit.approvals = vec![void]);
    all.after(&full, "approval-void-and-chain-full", "approvals before room", "approval-void", made);
}

fn removals_of_two(all: &mut Cases, ring: &Ring) {
    let chain = two_of_two();
    let (laptop, phone) = (&chain.laptop, keys("phone"));
    let gone = || removals(&["reader"]);
    let mut bad = |name: &str, says: &str, code: &'static str, approvals: Vec<Blob>| {
        let made = ring.made(&chain.removes_together(laptop, gone(), approvals));
        all.after(&chain, name, says, code, made);
    };
    bad("removed-alone", "one of two", "quorum", Vec::new());
    let other = Subject::Remove(removals(&["writer"]));
    bad("approval-of-another-removal", "of the writer", "approval-void", vec![chain.agrees(&phone, other)]);
    let more = Subject::Remove(removals(&["reader", "writer"]));
    bad("approval-of-more-removals", "of the writer too", "approval-void", vec![chain.agrees(&phone, more)]);
    let mut cut = gone();
    cut[0].cut.at = CutAt::Earlier;
    let cut = chain.agrees(&phone, Subject::Remove(cut));
    bad("approval-of-another-cut", "it says earlier, and the entry last", "approval-void", vec![cut]);
    let role = RoleSubject { device: keys("reader").id(), role: Role::Writer, cut: None };
    let role = chain.agrees(&phone, Subject::Role(role));
    bad("removal-approved-as-a-role", "another kind", "approval-void", vec![role]);
    let mut three = three_approvers(2);
    let agreed = three.agrees(&phone, Subject::Remove(removals(&["phone"])));
    let made = ring.made(&three.removes_together(&three.laptop, removals(&["phone"]), vec![agreed]));
    let says = "two are left, and who goes has no voice in it";
    all.after(&three, "removal-approved-by-the-removed", says, "approval-void", made);
    let agreed = three.agrees(&keys("writer"), Subject::Remove(removals(&["phone"])));
    three.append(&three.removes_together(&three.laptop, removals(&["phone"]), vec![agreed]));
    all.good(&three, "removed-by-two-of-three", "the other two remove an approver");
    let agreed = vec![three.agrees(&phone, Subject::Closing)];
    let made = raw(&three.laptop.signing, &closing_with(&three, agreed));
    all.after(&three, "approval-by-a-removed-device", "it was an approver", "approval-void", made);
}

/// The laptop, the phone and the writer decide, this many of them together.
fn three_approvers(together: u8) -> Chain {
    let mut chain = family();
    chain.append(&chain.makes(&chain.laptop, "writer", Role::Approver, None));
    let quorums = Quorums { admit: together, remove: together, policy: together, closing: together };
    chain.append(&chain.rules(&chain.laptop, Policy { quorums, ..Policy::default() }, Vec::new()));
    chain
}

fn roles(all: &mut Cases) {
    let chain = three_approvers(2);
    let phone = keys("phone");
    let role = |name: &str, role: Role, cut: Option<Cut>| RoleSubject { device: keys(name).id(), role, cut };
    let entry = |subject: &RoleSubject, approvals: Vec<Blob>| {
        let RoleSubject { device, role, cut } = *subject;
        Entry { body: Body::ChangeRole(ChangeRole { device, role, cut, approvals }), ..chain.deny_body() }
    };
    let mut bad = |name: &str, says: &str, code: &'static str, subject: &RoleSubject, approvals: Vec<Blob>| {
        all.after(&chain, name, says, code, raw(&chain.laptop.signing, &entry(subject, approvals)));
    };
    let writes = role("reader", Role::Writer, None);
    bad("role-changed-alone", "one of two", "quorum", &writes, Vec::new());
    let agreed = chain.agrees(&phone, Subject::Role(role("reader", Role::Approver, None)));
    bad("role-approved-as-another", "the phone agreed to another role", "approval-void", &writes, vec![agreed]);
    let reads = role("writer", Role::Reader, Some(NOTHING));
    let cut = Cut { at: CutAt::Earlier, ..NOTHING };
    let agreed = chain.agrees(&phone, Subject::Role(RoleSubject { cut: Some(cut), ..reads }));
    bad("role-approved-with-another-cut", "the phone agreed to another cut", "approval-void", &reads, vec![agreed]);
    let own = role("phone", Role::Writer, None);
    let agreed = chain.agrees(&phone, Subject::Role(own));
    bad("role-approved-by-its-device", "who is concerned has no voice", "approval-void", &own, vec![agreed]);
    let mut good = chain.clone();
    let agreed = chain.agrees(&phone, Subject::Role(reads));
    good.append(&Verified::sign(entry(&reads, vec![agreed]), &chain.laptop.signing, &[]).unwrap());
    all.good(&good, "role-changed-by-two", "the phone agrees that the writer, an approver, reads");
}

fn heads(all: &mut Cases) {
    let chain = two_of_two();
    let phone = keys("phone");
    let mut bad = |name: &str, says: &str, code: &'static str, approvals: Vec<Blob>| {
        all.after(&chain, name, says, code, raw(&chain.laptop.signing, &closing_with(&chain, approvals)));
    };
    bad("closing-alone", "one of two", "quorum", Vec::new());
    let head = |head: Hash| {
        let form = Approval { version: 1, chain: chain.roster.chain(), head, subject: Subject::Closing };
        vec![Blob(Verified::sign(form, &phone.signing, &[]).unwrap().bytes().to_vec())]
    };
    bad("approval-of-an-unknown-head", "the head is not in this log", "approval-void", head(Hash([9; 32])));
    bad("approval-of-the-founding", "the log has changed since", "approval-void", head(chain.log[0].hash()));
    let recovery = chain.agrees(&keys("recovery words"), Subject::Closing);
    bad("approval-by-no-member", "the recovery device of another chain", "approval-void", vec![recovery]);
}

/// What is wrong with the bytes of an approval is the entry's code.
fn bytes(all: &mut Cases) {
    let chain = two_of_two();
    let phone = keys("phone");
    let good = chain.agrees(&phone, Subject::Closing);
    let mut bad = |name: &str, says: &str, code: &'static str, approval: Vec<u8>| {
        let form = closing_with(&chain, vec![Blob(approval)]);
        all.after(&chain, name, says, code, raw(&chain.laptop.signing, &form));
    };
    bad("approval-cut", "its last byte is missing", "malformed", good[..good.len() - 1].to_vec());
    bad("approval-followed", "a byte follows it", "not-canonical", [&good[..], &[0]].concat());
    bad("approval-too-large", "16,385 bytes", "too-large", vec![0xff; 16_385]);
    let signed =
        |form: &Approval| crate::support::sign1("countersign/v1/approval", &phone.signing, &cbor::encode(form));
    let subject = Subject::Closing;
    let form = Approval { version: 2, chain: chain.roster.chain(), head: chain.roster.head(), subject };
    bad("approval-of-version-2", "a version of later", "unknown-version", signed(&form));
    let mut twice = removals(&["reader", "writer"]);
    twice.reverse();
    let form = Approval { version: 1, subject: Subject::Remove(twice), ..form };
    bad("approval-descends", "of removals that descend", "bad-field", signed(&form));
    bad("entry-as-approval", "an entry where an approval must be", "malformed", chain.log[1].bytes().to_vec());
}
