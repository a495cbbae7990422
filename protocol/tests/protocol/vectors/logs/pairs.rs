//! Entries with two faults: the rule that comes first on the page names the refusal.

use protocol::approval::Subject;
use protocol::cbor::Blob;
use protocol::code::SyncCode;
use protocol::entry::{Body, Deny, DenyReason, Entry};
use protocol::keys::DeviceKeys;
use protocol::policy::{How, Policy, Role};
use protocol::{ChainId, Hash, Verified};

use super::{Cases, admit_with, family, raw};
use crate::forms::forms;
use crate::world::{Chain, asks_with, keys};

pub(super) fn all(all: &mut Cases) {
    places(all);
    admissions(all);
    recovery_asks(all);
    middle(all);
}

fn places(all: &mut Cases) {
    let chain = family();
    let laptop = &chain.laptop.signing;
    let stranger = keys("stranger").signing;
    let deny = chain.deny_body();
    let known = Deny {
        request: chain.asks("phone").request.id(),
        device: keys("phone").id(),
        reason: DenyReason::Denied,
        block: 0,
    };
    let known = Entry { body: Body::Deny(known), ..deny.clone() };
    let unknown = Entry { body: Body::Unknown { kind: 13, raw: Blob(vec![0xa0]) }, ..deny.clone() };
    let elsewhere = Entry { chain: Some(ChainId([9; 32])), ..deny.clone() };
    let mut pair = |name: &str, says: &str, expected: &'static str, made| all.after(&chain, name, says, expected, made);
    let lost = Entry { seq: 9, ..elsewhere.clone() };
    pair("other-chain-and-head-moved", "another chain, and another position", "other-chain", raw(laptop, &lost));
    let lost = Entry { prev: Some(Hash([9; 32])), ..deny.clone() };
    pair("head-moved-and-not-a-member", "a stranger's entry for another head", "head-moved", raw(&stranger, &lost));
    pair(
        "not-a-member-and-already-decided",
        "a stranger denies what is decided",
        "not-a-member",
        raw(&stranger, &known),
    );
    let reader = keys("reader").signing;
    pair(
        "not-an-approver-and-already-decided",
        "a reader denies what is decided",
        "not-an-approver",
        raw(&reader, &known),
    );
    pair(
        "kind-13-by-a-stranger",
        "a kind of later is named whoever signs it",
        "unknown-kind",
        raw(&stranger, &unknown),
    );
    let unknown = Entry { chain: elsewhere.chain, ..unknown };
    pair("kind-13-of-another-chain", "and whatever chain it names", "unknown-kind", raw(laptop, &unknown));
}

fn admissions(all: &mut Cases) {
    let chain = family();
    let tablet = chain.asks("tablet");
    let other_code = SyncCode::from_bytes([5; 32]);
    let agreed = chain.agrees(&keys("phone"), Subject::Closing);
    let mut pair = |name: &str, says: &str, expected: &'static str, change: &dyn Fn(&mut protocol::entry::Admit)| {
        all.after(&chain, name, says, expected, admit_with(&chain, &tablet, &chain.laptop, |admit| change(admit)));
    };
    let known = asks_with("phone", &keys("phone"), &other_code);
    pair("key-known-and-stale-join-key", "a member's keys ask with another sync code", "key-known", &|admit| {
        admit.request = Blob(known.request.bytes().to_vec());
    });
    let old = asks_with("tablet", &keys("tablet"), &other_code);
    pair("stale-join-key-and-stale-epoch", "another sync code, and epoch 2", "stale-join-key", &|admit| {
        admit.request = Blob(old.request.bytes().to_vec());
        admit.epoch = 2;
    });
    pair("stale-epoch-and-way-not-allowed", "epoch 2, and nothing was checked", "stale-epoch", &|admit| {
        admit.epoch = 2;
        admit.how = How::None;
    });
    pair("way-not-allowed-and-role-not-allowed", "nothing was checked, and recovery", "way-not-allowed", &|admit| {
        admit.how = How::None;
        admit.role = Role::Recovery;
    });
    pair("role-not-allowed-and-quorum", "recovery, and an approval", "role-not-allowed", &|admit| {
        admit.role = Role::Recovery;
        admit.approvals = vec![agreed.clone()];
    });
    let mut small = Chain::founded_with("laptop", Policy { members_max: 2, ..Policy::default() });
    small.joined("phone", Role::Reader);
    let agreed = small.agrees(&keys("phone"), Subject::Closing);
    let made = admit_with(&small, &small.asks("tablet"), &small.laptop, |admit| admit.approvals = vec![agreed]);
    all.after(&small, "quorum-and-chain-full", "an approval, where there is no room", "quorum", made);
}

/// The keys of the recovery device stand in the log from `found` on.
fn recovery_asks(all: &mut Cases) {
    let mut chain = Chain::founded();
    let found = forms().found_with_recovery;
    chain.roster = protocol::roster::Roster::found(&found).unwrap();
    chain.log = vec![found];
    let recovery = keys("recovery words");
    let again = asks_with("recovery", &recovery, &chain.founding.code);
    let made = admit_with(&chain, &again, &chain.laptop, |_| {});
    all.after(&chain, "recovery-device-admitted", "the recovery device's keys ask", "key-known", made);
    let borrowed = DeviceKeys { signing: keys("tablet").signing, sealing: recovery.sealing };
    let borrowed = asks_with("tablet", &borrowed, &chain.founding.code);
    let made = admit_with(&chain, &borrowed, &chain.laptop, |_| {});
    let says = "the sealing key belongs to the recovery device";
    all.after(&chain, "sealing-key-of-the-recovery-device", says, "key-known", made);
    let deny = Deny {
        request: borrowed.request.id(),
        device: recovery.signing.device_id(),
        reason: DenyReason::Denied,
        block: 0,
    };
    let deny = Entry { body: Body::Deny(deny), ..chain.deny_body() };
    let made = raw(&chain.laptop.signing, &deny);
    all.after(&chain, "deny-of-the-recovery-device", "the recovery device is a member", "key-is-member", made);
}

/// What follows a refused entry is not looked at.
fn middle(all: &mut Cases) {
    let chain = family();
    let mut short = Chain::founded();
    short.joined("phone", Role::Approver);
    let made = raw(&keys("stranger").signing, &short.deny_body());
    let rest: Vec<Verified<Entry>> = chain.log[2..].to_vec();
    all.after(&short, "bad-in-the-middle", "good entries follow the one that is refused", "not-a-member", made);
    all.followed_by(rest);
}
