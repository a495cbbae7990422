//! Entries in the wrong place, by the wrong signer, or of a kind that does not exist yet.

use protocol::cbor::{self, Blob};
use protocol::entry::{Body, Entry};
use protocol::policy::Policy;
use protocol::roster::Roster;
use protocol::{Hash, VERSION};

use super::{Cases, Defect, ENTRY, admit_with, family, raw, ring};
use crate::forms::forms;
use crate::support::layout;
use crate::vectors::making::{Made, Proof};
use crate::world::{Chain, keys};

pub(super) fn all(all: &mut Cases) {
    positions(all);
    signers(all);
    kinds(all);
}

fn positions(all: &mut Cases) {
    let chain = family();
    let deny = chain.deny_body();
    let laptop = &chain.laptop.signing;
    let cases: [Defect<Entry>; 7] = [
        ("bad-prev", "prev is the founding entry, not the head", "head-moved", &|entry| {
            entry.prev = Some(chain.log[0].hash());
        }),
        ("unknown-prev", "prev is no entry of the log", "head-moved", &|entry| entry.prev = Some(Hash([9; 32]))),
        ("skipped-seq", "seq is one too high", "head-moved", &|entry| entry.seq += 1),
        ("repeated-seq", "seq is the head's", "head-moved", &|entry| entry.seq -= 1),
        ("wrong-chain", "the entry names another chain", "other-chain", &|entry| {
            entry.chain = Some(protocol::ChainId([9; 32]));
        }),
        ("no-chain", "an entry after found names no chain", "bad-field", &|entry| entry.chain = None),
        ("no-prev", "an entry after found names no prev", "bad-field", &|entry| entry.prev = None),
    ];
    for (file, says, expected, change) in cases {
        let mut form = deny.clone();
        change(&mut form);
        all.after(&chain, file, says, expected, raw(laptop, &form));
    }
    let ring = ring();
    let repeated = ring.made(&chain.log[3]);
    all.after(&chain, "same-entry-twice", "the head once more", "head-moved", repeated);
    let found = ring.made(&chain.log[0]);
    all.after(&chain, "repeated-founder", "the founding entry once more", "other-chain", found);
    let other = Chain::founded_with("stranger", Policy::default());
    all.after(&chain, "second-founder", "another chain's founding entry", "other-chain", ring.made(&other.log[0]));
    let late = Entry { body: other.log[0].body.clone(), ..deny.clone() };
    let stranger = keys("stranger").signing;
    let join = other.founding.code.join_key();
    let late = Made::new(ENTRY, &stranger, cbor::encode(&late), vec![Proof::join(&join)]);
    all.after(&chain, "found-after-found", "found at a later position", "bad-field", late);
    let early = Entry { chain: None, seq: 0, prev: None, ..deny };
    all.founding("deny-first", "a log that begins with a deny", "bad-field", raw(laptop, &early));
}

fn signers(all: &mut Cases) {
    let mut chain = family();
    let stranger = chain.asks("stranger");
    let denied = chain.denies(&chain.laptop, &stranger);
    let form = chain.deny_body();
    all.after(
        &chain,
        "signed-by-a-stranger",
        "the signer was never a member",
        "not-a-member",
        raw(&stranger.keys.signing, &form),
    );
    for role in ["writer", "reader"] {
        let signer = keys(role);
        all.after(
            &chain,
            &format!("deny-by-a-{role}"),
            &format!("a {role} decides"),
            "not-an-approver",
            raw(&signer.signing, &form),
        );
        let tablet = chain.asks("tablet");
        all.after(
            &chain,
            &format!("admit-by-a-{role}"),
            &format!("a {role} decides"),
            "not-an-approver",
            admit_with(&chain, &tablet, &signer, |_| {}),
        );
    }
    all.after(
        &chain,
        "admits-itself",
        "a joiner signs its own admission",
        "not-a-member",
        admit_with(&chain, &stranger, &stranger.keys, |_| {}),
    );
    chain.append(&denied);
    let form = chain.deny_body();
    all.after(
        &chain,
        "signed-by-a-denied-device",
        "the signer was denied",
        "not-a-member",
        raw(&stranger.keys.signing, &form),
    );
    let made = raw(&chain.laptop.signing, &form);
    let bytes = made.bytes();
    let signature = layout(&bytes).signature;
    let unsigned = made.clone().edited(signature.start, 64, &[0; 64]);
    all.after(&chain, "unsigned", "64 zero bytes for a signature", "bad-signature", unsigned);
    let mut s = bytes[signature.start + 32..signature.end].to_vec();
    add_group_order(&mut s);
    let malleable = made.clone().edited(signature.start + 32, 32, &s);
    all.after(&chain, "signature-with-s-plus-l", "s is not below the group's order", "bad-signature", malleable);
    // R = the identity, s = 0: under a key of low order plain verification accepts this for every message.
    let identity = core::array::from_fn::<u8, 32, _>(|at| u8::from(at == 0));
    let low_order = made.edited(layout(&bytes).kid.start, 32, &identity);
    let low_order = low_order.edited(signature.start, 64, &[identity, [0; 32]].concat());
    all.after(&chain, "signed-by-a-low-order-key", "anyone can sign for the identity", "bad-signature", low_order);
    recovery_signs(all);
}

fn recovery_signs(all: &mut Cases) {
    let mut chain = forms().chain;
    let found = forms().found_with_recovery;
    chain.roster = Roster::found(&found).unwrap();
    chain.log = vec![found];
    let recovery = keys("recovery words");
    let form = chain.deny_body();
    let made = raw(&recovery.signing, &form);
    all.after(&chain, "deny-by-the-recovery-device", "it decides nothing yet", "not-an-approver", made);
}

/// s + L for the second half of an Ed25519 signature, little-endian.
fn add_group_order(s: &mut [u8]) {
    let order =
        data_encoding::HEXLOWER.decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut carry = 0;
    for (byte, add) in s.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

fn kinds(all: &mut Cases) {
    let chain = family();
    for kind in [0, 13, 1000] {
        let body = Body::Unknown { kind, raw: Blob(vec![0xa0]) };
        let form = Entry { body, ..chain.deny_body() };
        let says = format!("kind {kind} does not exist yet: update, never skip");
        all.after(&chain, &format!("kind-{kind}"), &says, "unknown-kind", raw(&chain.laptop.signing, &form));
    }
    for kind in 4..=12 {
        let body = Body::Unknown { kind, raw: Blob(vec![0xa0]) };
        let form = Entry { body, ..chain.deny_body() };
        let says = format!("kind {kind} carries an empty map");
        all.after(&chain, &format!("kind-{kind}-empty"), &says, "malformed", raw(&chain.laptop.signing, &form));
    }
    let form = Entry { body: Body::Unknown { kind: 13, raw: Blob(vec![0xa0]) }, ..chain.deny_body() };
    let join = chain.founding.code.join_key();
    let proven = Made::new(ENTRY, &chain.laptop.signing, cbor::encode(&form), vec![Proof::join(&join)]);
    all.after(&chain, "kind-13-proven", "a kind of later with a join proof", "unknown-kind", proven);
    let version = Entry { version: VERSION + 1, ..chain.deny_body() };
    all.after(&chain, "version-2", "an entry of version 2", "unknown-version", raw(&chain.laptop.signing, &version));
}
