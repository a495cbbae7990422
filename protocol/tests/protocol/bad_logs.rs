//! Named bad logs: one file per defect, with the code that its last entry is refused with. All entries before it are good.
//!
//! The files need nothing from this crate: an implementation in another language reads them and must refuse the same.

use protocol::cbor::{self, Blob};
use protocol::decision;
use protocol::entry::{Body, Deny, DenyReason, Entry, Found, Recovery};
use protocol::keys::{DeviceKeys, SigningKey};
use protocol::policy::{How, Policy, Quorums, Role, Totp, TotpMode};
use protocol::roster::Roster;
use protocol::{DeviceId, Hash, RequestId, VERSION, Verified};

use crate::golden::forms;
use crate::support::{compare, layout, sign1, tests_path, with_proofs};
use crate::world::{AT, Chain, Joiner, asks_with, keys};

const ENTRY: &str = "countersign/v1/entry";
const REQUEST: &str = "countersign/v1/join-request";
const JOIN_PROOF: &str = "countersign/v1/join-proof";

/// One defect: its file, what is wrong, the code, and the log with the bad entry last.
struct BadLog {
    file: String,
    says: String,
    expected: &'static str,
    log: Vec<Vec<u8>>,
}

/// A file's name, what is wrong, its code, and how to make it from something good.
type Defect<'a, T> = (&'a str, &'a str, &'static str, &'a dyn Fn(&mut T));

struct Collection(Vec<BadLog>);

impl Collection {
    /// A log whose last entry is refused, after the good ones of `chain`.
    fn after(&mut self, chain: &Chain, file: &str, says: &str, expected: &'static str, bad: &[u8]) {
        let mut log: Vec<Vec<u8>> = chain.log.iter().map(|entry| entry.bytes().to_vec()).collect();
        log.push(bad.to_vec());
        self.0.push(BadLog { file: file.to_owned(), says: says.to_owned(), expected, log });
    }

    /// A founding entry that is refused.
    fn founding(&mut self, file: &str, says: &str, expected: &'static str, bad: &[u8]) {
        self.0.push(BadLog { file: file.to_owned(), says: says.to_owned(), expected, log: vec![bad.to_vec()] });
    }
}

/// Signs any entry, valid or not.
fn raw(key: &SigningKey, form: &Entry) -> Vec<u8> {
    sign1(ENTRY, key, &cbor::encode(form))
}

/// The chain that most defects are tried on: a laptop, a phone that approves, a writer and a reader.
fn family() -> Chain {
    let mut chain = Chain::founded();
    chain.joined("phone", Role::Approver);
    chain.joined("writer", Role::Writer);
    chain.joined("reader", Role::Reader);
    chain
}

/// An admit of a joiner with its body changed.
fn admit_with(
    chain: &Chain,
    joiner: &Joiner,
    approver: &DeviceKeys,
    change: impl FnOnce(&mut protocol::entry::Admit),
) -> Vec<u8> {
    let mut form = (*chain.admits(&chain.laptop, joiner, Role::Approver)).clone();
    let Body::Admit(admit) = &mut form.body else { panic!("an admit is an admit") };
    change(admit);
    raw(&approver.signing, &form)
}

fn positions(all: &mut Collection) {
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
        all.after(&chain, file, says, expected, &raw(laptop, &form));
    }
    let repeated = chain.log[3].bytes().to_vec();
    all.after(&chain, "same-entry-twice", "the head once more", "head-moved", &repeated);
    let found = chain.log[0].bytes().to_vec();
    all.after(&chain, "repeated-founder", "the founding entry once more", "other-chain", &found);
    let other = Chain::founded_with("stranger", Policy::default());
    all.after(&chain, "second-founder", "another chain's founding entry", "other-chain", other.log[0].bytes());
    let late = Entry { body: other.log[0].body.clone(), ..deny.clone() };
    let stranger = keys("stranger").signing;
    let join = other.founding.code.join_key();
    let late = with_proofs(ENTRY, &stranger, &cbor::encode(&late), &[(JOIN_PROOF, &join)]);
    all.after(&chain, "found-after-found", "found at a later position", "bad-field", &late);
    let early = Entry { chain: None, seq: 0, prev: None, ..deny };
    all.founding("deny-first", "a log that begins with a deny", "bad-field", &raw(laptop, &early));
}

fn signers(all: &mut Collection) {
    let mut chain = family();
    let stranger = chain.asks("stranger");
    let denied = chain.denies(&chain.laptop, &stranger);
    let form = chain.deny_body();
    all.after(
        &chain,
        "signed-by-a-stranger",
        "the signer was never a member",
        "not-a-member",
        &raw(&stranger.keys.signing, &form),
    );
    for role in ["writer", "reader"] {
        let signer = keys(role);
        all.after(
            &chain,
            &format!("deny-by-a-{role}"),
            &format!("a {role} decides"),
            "not-an-approver",
            &raw(&signer.signing, &form),
        );
        let tablet = chain.asks("tablet");
        all.after(
            &chain,
            &format!("admit-by-a-{role}"),
            &format!("a {role} decides"),
            "not-an-approver",
            &admit_with(&chain, &tablet, &signer, |_| {}),
        );
    }
    all.after(
        &chain,
        "admits-itself",
        "a joiner signs its own admission",
        "not-a-member",
        &admit_with(&chain, &stranger, &stranger.keys, |_| {}),
    );
    chain.append(&denied);
    let form = chain.deny_body();
    all.after(
        &chain,
        "signed-by-a-denied-device",
        "the signer was denied",
        "not-a-member",
        &raw(&stranger.keys.signing, &form),
    );
    let bytes = raw(&chain.laptop.signing, &form);
    let signature = layout(&bytes).signature;
    let mut unsigned = bytes.clone();
    unsigned[signature.clone()].fill(0);
    all.after(&chain, "unsigned", "64 zero bytes for a signature", "bad-signature", &unsigned);
    let mut malleable = bytes.clone();
    add_group_order(&mut malleable[signature.start + 32..signature.end]);
    all.after(&chain, "signature-with-s-plus-l", "s is not below the group's order", "bad-signature", &malleable);
    // R = the identity, s = 0: under a key of low order plain verification accepts this for every message.
    let mut low_order = bytes;
    let kid = layout(&low_order).kid;
    let identity = core::array::from_fn::<u8, 32, _>(|at| u8::from(at == 0));
    low_order[kid].copy_from_slice(&identity);
    low_order[signature.start..signature.start + 32].copy_from_slice(&identity);
    low_order[signature.start + 32..signature.end].fill(0);
    all.after(&chain, "signed-by-a-low-order-key", "anyone can sign for the identity", "bad-signature", &low_order);
    recovery_signs(all);
}

fn recovery_signs(all: &mut Collection) {
    let mut chain = forms().chain;
    let found = forms().found_with_recovery;
    chain.roster = Roster::found(&found).unwrap();
    chain.log = vec![found];
    let recovery = keys("recovery words");
    let form = chain.deny_body();
    let bytes = raw(&recovery.signing, &form);
    all.after(&chain, "deny-by-the-recovery-device", "it decides nothing yet", "not-an-approver", &bytes);
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

fn requests(all: &mut Collection) {
    let chain = family();
    let tablet = chain.asks("tablet");
    let laptop = &chain.laptop;
    let join = chain.founding.code.join_key();
    let asked = tablet.request.bytes().to_vec();
    let mut in_admit = |file: &str, says: &str, expected: &'static str, request: Vec<u8>| {
        let bytes = admit_with(&chain, &tablet, laptop, |admit| admit.request = Blob(request));
        all.after(&chain, file, says, expected, &bytes);
    };
    let mut proof = asked.clone();
    *proof.last_mut().unwrap() ^= 1;
    in_admit("request-proof-tampered", "the join proof does not hold", "bad-proof", proof);
    let mut signature = asked.clone();
    let at = layout(&signature).signature;
    signature[at.start] ^= 1;
    in_admit("request-signature-tampered", "the device's signature does not hold", "bad-signature", signature);
    in_admit("request-cut", "the request is cut", "malformed", asked[..asked.len() - 1].to_vec());
    in_admit(
        "request-without-proof",
        "the join key proves nothing",
        "bad-proof",
        asked[1..layout(&asked).proofs].to_vec(),
    );
    let payload = cbor::encode(&*tablet.request);
    let stranger = keys("stranger");
    in_admit(
        "mismatched-keys",
        "the request is signed by another key than it names",
        "wrong-signer",
        with_proofs(REQUEST, &stranger.signing, &payload, &[(JOIN_PROOF, &join)]),
    );
    let mut own_join_key = (*tablet.request).clone();
    own_join_key.device.signing = DeviceId(join.public());
    in_admit(
        "join-key-as-device-key",
        "the device's key is the join key, which every holder of the code has",
        "bad-field",
        with_proofs(REQUEST, &join, &cbor::encode(&own_join_key), &[(JOIN_PROOF, &join)]),
    );
    for (name, byte) in [("zero", 0u8), ("one", 1)] {
        // The last 32 bytes of the field 1 in the map that is field 2: the sealing key.
        let sealing = *tablet.request.device.sealing.as_bytes();
        let at = payload.windows(32).position(|window| window == sealing).unwrap();
        let mut low_order = payload.clone();
        low_order[at..at + 32].fill(0);
        low_order[at] = byte;
        in_admit(
            &format!("sealing-key-{name}"),
            "what is sealed to a key of low order can be opened by anybody",
            "malformed",
            with_proofs(REQUEST, &tablet.keys.signing, &low_order, &[(JOIN_PROOF, &join)]),
        );
    }
    let other_code = protocol::code::SyncCode::from_bytes([5; 32]);
    let other = asks_with("tablet", &keys("tablet"), &other_code);
    in_admit(
        "stale-join-key",
        "the request is made with another sync code",
        "stale-join-key",
        other.request.bytes().to_vec(),
    );
    keys_seen_before(all);
}

fn keys_seen_before(all: &mut Collection) {
    let mut chain = family();
    let laptop = chain.laptop.clone();
    let code = chain.founding.code.clone();
    let tablet = chain.asks("tablet");
    let mut in_admit = |chain: &Chain, file: &str, says: &str, expected: &'static str, joiner: &Joiner| {
        let bytes = admit_with(chain, &tablet, &laptop, |admit| admit.request = Blob(joiner.request.bytes().to_vec()));
        all.after(chain, file, says, expected, &bytes);
    };
    let phone = chain.asks("phone");
    in_admit(&chain, "admitted-twice", "the same request is admitted again", "already-decided", &phone);
    let again = asks_with("phone again", &keys("phone"), &code);
    in_admit(&chain, "member-admitted-again", "a member's keys ask again", "key-known", &again);
    let founder = asks_with("laptop again", &laptop, &code);
    in_admit(&chain, "founder-admitted-again", "the founder's keys ask again", "key-known", &founder);
    let borrowed = DeviceKeys { signing: keys("tablet").signing, sealing: keys("phone").sealing };
    let borrowed = asks_with("borrowed", &borrowed, &code);
    in_admit(&chain, "sealing-key-of-a-member", "the sealing key belongs to a member", "key-known", &borrowed);
    let denied = chain.asks("denied");
    let deny = chain.denies(&laptop, &denied);
    chain.append(&deny);
    in_admit(&chain, "admitted-after-deny", "a denied request is admitted", "already-decided", &denied);
    let again = asks_with("denied again", &keys("denied"), &code);
    in_admit(&chain, "denied-key-admitted", "a denied key asks again and is admitted", "key-known", &again);
    denials(all, &chain, &phone, &denied);
}

fn denials(all: &mut Collection, chain: &Chain, member: &Joiner, denied: &Joiner) {
    let mut deny = |file: &str, says: &str, expected: &'static str, deny: Deny| {
        let form = Entry { body: Body::Deny(deny), ..chain.deny_body() };
        all.after(chain, file, says, expected, &raw(&chain.laptop.signing, &form));
    };
    let of = |joiner: &Joiner| Deny {
        request: joiner.request.id(),
        device: joiner.keys.id(),
        reason: DenyReason::Denied,
        block: 0,
    };
    deny("denied-after-admit", "an admitted request is denied", "already-decided", of(member));
    deny("denied-twice", "a denied request is denied", "already-decided", of(denied));
    let fresh = RequestId([4; 32]);
    deny(
        "deny-of-a-member-key",
        "a new request by a member's key is denied",
        "key-is-member",
        Deny { request: fresh, ..of(member) },
    );
    deny(
        "deny-of-the-founder",
        "the key that is denied is the founder's",
        "key-is-member",
        Deny { request: fresh, device: chain.laptop.id(), ..of(member) },
    );
    deny(
        "block-too-long",
        "the block is above seven days",
        "bad-field",
        Deny { block: 7 * 24 * 60 * 60 + 1, request: fresh, ..of(denied) },
    );
}

fn terms(all: &mut Collection) {
    let chain = family();
    let tablet = chain.asks("tablet");
    let mut admit = |file: &str, says: &str, expected: &'static str, change: &dyn Fn(&mut protocol::entry::Admit)| {
        let bytes = admit_with(&chain, &tablet, &chain.laptop, |admit| change(admit));
        all.after(&chain, file, says, expected, &bytes);
    };
    admit("epoch-zero", "the admit is for epoch 0", "stale-epoch", &|admit| admit.epoch = 0);
    admit("epoch-ahead", "the admit is for an epoch that is not yet", "stale-epoch", &|admit| admit.epoch = 2);
    admit("way-none", "nothing was checked", "way-not-allowed", &|admit| admit.how = How::None);
    admit("way-recovery", "an approver claims to be the recovery device", "way-not-allowed", &|admit| {
        admit.how = How::Recovery;
    });
    admit("way-ticket", "the policy names no tickets", "way-not-allowed", &|admit| {
        admit.how = How::Ticket;
        admit.ticket = Some(Blob(vec![1]));
    });
    admit("way-totp", "the policy names no TOTP", "way-not-allowed", &|admit| {
        admit.how = How::Totp;
        admit.totp_step = Some(1);
    });
    admit("ticket-missing", "how is ticket, and there is none", "bad-field", &|admit| admit.how = How::Ticket);
    admit("ticket-superfluous", "how is typed, and there is a ticket", "bad-field", &|admit| {
        admit.ticket = Some(Blob(vec![1]));
    });
    admit("totp-step-superfluous", "how is typed, and there is a time step", "bad-field", &|admit| {
        admit.totp_step = Some(1);
    });
    admit("approvals-present", "approvals where none are asked for", "quorum", &|admit| {
        admit.approvals = vec![Blob(vec![1])];
    });
    admit("role-recovery", "nobody joins as recovery device", "role-not-allowed", &|admit| admit.role = Role::Recovery);
    admit("description-too-long", "513 bytes of description", "bad-field", &|admit| {
        admit.description = Blob(vec![2; 513]);
    });
    let policy = Policy { members_max: 2, ..Policy::default() };
    let mut small = Chain::founded_with("laptop", policy);
    small.joined("phone", Role::Reader);
    let bytes = admit_with(&small, &small.asks("tablet"), &small.laptop, |_| {});
    all.after(&small, "chain-full", "the policy allows two members", "chain-full", &bytes);
}

fn kinds(all: &mut Collection) {
    let chain = family();
    let names =
        [(0, "unknown"), (4, "remove"), (5, "rotate"), (6, "leave"), (7, "role"), (8, "policy"), (9, "closing")];
    let more = [(10, "veto"), (11, "close"), (12, "settle"), (13, "unknown"), (1000, "unknown")];
    for (kind, name) in names.into_iter().chain(more) {
        let body = Body::Unknown { kind, raw: Blob(vec![0xa0]) };
        let form = Entry { body, ..chain.deny_body() };
        let says = format!("kind {kind} ({name}) does not exist yet: update, never skip");
        all.after(&chain, &format!("kind-{kind}"), &says, "unknown-kind", &raw(&chain.laptop.signing, &form));
    }
    let form = Entry { body: Body::Unknown { kind: 5, raw: Blob(vec![0xa0]) }, ..chain.deny_body() };
    let join = chain.founding.code.join_key();
    let proven = with_proofs(ENTRY, &chain.laptop.signing, &cbor::encode(&form), &[(JOIN_PROOF, &join)]);
    all.after(&chain, "kind-5-proven", "a rotation with its join proof", "unknown-kind", &proven);
    let version = Entry { version: VERSION + 1, ..chain.deny_body() };
    all.after(&chain, "version-2", "an entry of version 2", "unknown-version", &raw(&chain.laptop.signing, &version));
}

fn foundings(all: &mut Collection) {
    let chain = Chain::founded();
    let join = chain.founding.code.join_key();
    let laptop = &chain.laptop;
    let changed = |change: &dyn Fn(&mut Found)| {
        let mut form = (*chain.founding.entry).clone();
        let Body::Found(found) = &mut form.body else { panic!("found is found") };
        change(found);
        cbor::encode(&form)
    };
    let proven = |payload: &[u8]| with_proofs(ENTRY, &laptop.signing, payload, &[(JOIN_PROOF, &join)]);
    let payload = changed(&|_| {});
    let bare = sign1(ENTRY, &laptop.signing, &payload);
    all.founding("found-without-proof", "the join key proves nothing", "bad-proof", &bare);
    let stranger = keys("stranger");
    let forged = with_proofs(ENTRY, &laptop.signing, &payload, &[(JOIN_PROOF, &stranger.signing)]);
    all.founding("found-proven-by-a-stranger", "the proof is by another key", "bad-proof", &forged);
    let signed = with_proofs(ENTRY, &stranger.signing, &payload, &[(JOIN_PROOF, &join)]);
    all.founding("found-signed-by-a-stranger", "the signer is not the founder named", "wrong-signer", &signed);
    let own = changed(&|found| found.device.signing = DeviceId(join.public()));
    let own = with_proofs(ENTRY, &join, &own, &[(JOIN_PROOF, &join)]);
    all.founding("founder-is-the-join-key", "every holder of the code would be the founder", "bad-field", &own);
    let recovery = changed(&|found| {
        found.recovery = Some(Recovery { device: laptop.public(), epoch_key: Blob(vec![1]) });
    });
    let proofs = [(JOIN_PROOF, &join), ("countersign/v1/recovery-proof", &laptop.signing)];
    let recovery = with_proofs(ENTRY, &laptop.signing, &recovery, &proofs);
    all.founding("founder-is-its-own-recovery", "recovery and founder share keys", "bad-field", &recovery);
    let policies: [Defect<Policy>; 10] = [
        ("policy-no-way", "no way of admission counts", "bad-policy", &|policy| policy.ways = vec![]),
        ("policy-way-twice", "a way stands twice", "bad-policy", &|policy| policy.ways = vec![How::Typed; 2]),
        ("policy-way-recovery", "recovery is no way of a policy", "bad-policy", &|policy| {
            policy.ways = vec![How::Typed, How::Recovery];
        }),
        ("policy-quorum-zero", "a quorum of nobody", "bad-policy", &|policy| policy.quorums.admit = 0),
        ("policy-no-members", "most members is 0", "bad-policy", &|policy| policy.members_max = 0),
        ("policy-129-members", "more members than any chain has", "bad-policy", &|policy| policy.members_max = 129),
        ("policy-lifetime-zero", "requests that expire at once", "bad-policy", &|policy| policy.request_lifetime = 0),
        ("policy-quorum-two", "a quorum that is not enforced yet", "not-supported", &|policy| {
            policy.quorums = Quorums { admit: 2, ..policy.quorums };
        }),
        ("policy-way-none", "a way that is not built yet", "not-supported", &|policy| {
            policy.ways = vec![How::Typed, How::None];
        }),
        ("policy-totp", "TOTP is not built yet", "not-supported", &|policy| {
            policy.totp = Some(Totp { mode: TotpMode::Way, secret: Blob(vec![1]) });
        }),
    ];
    for (file, says, expected, change) in policies {
        all.founding(file, says, expected, &proven(&changed(&|found| change(&mut found.policy))));
    }
}

fn collection() -> Vec<BadLog> {
    let mut all = Collection(Vec::new());
    positions(&mut all);
    signers(&mut all);
    requests(&mut all);
    terms(&mut all);
    kinds(&mut all);
    foundings(&mut all);
    all.0
}

/// Reads a log as anybody would: the code of the first refusal, and where it was.
fn verdict(log: &[Vec<u8>]) -> Option<(usize, &'static str)> {
    let mut roster: Option<Roster> = None;
    for (index, bytes) in log.iter().enumerate() {
        let entry = match Verified::<Entry>::from_bytes(bytes) {
            Ok(entry) => entry,
            Err(error) => return Some((index, error.code())),
        };
        let after = match roster.take() {
            None => Roster::found(&entry),
            Some(roster) => roster.apply(&entry),
        };
        match after {
            Ok(after) => roster = Some(after),
            Err(refusal) => return Some((index, refusal.code())),
        }
    }
    None
}

#[test]
fn every_defect_is_kept_as_a_file_of_the_same_bytes_as_ever() {
    let all = collection();
    let mut files: Vec<String> = all.iter().map(|bad| format!("{}.json", bad.file)).collect();
    for bad in &all {
        let entries: Vec<String> =
            bad.log.iter().map(|entry| format!("    \"{}\"", data_encoding::HEXLOWER.encode(entry))).collect();
        let text = format!(
            "{{\n  \"defect\": {},\n  \"expected\": \"{}\",\n  \"log\": [\n{}\n  ]\n}}\n",
            serde_json::to_string(&bad.says).unwrap(),
            bad.expected,
            entries.join(",\n")
        );
        compare(&format!("bad_logs/{}.json", bad.file), &text);
    }
    let mut kept: Vec<String> = std::fs::read_dir(tests_path("bad_logs"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    kept.sort();
    assert_eq!(kept, files, "no file without a defect, no defect twice");
}

#[test]
fn every_bad_log_is_refused_at_its_last_entry_with_its_code() {
    let mut wrong = Vec::new();
    for file in std::fs::read_dir(tests_path("bad_logs")).unwrap() {
        let path = file.unwrap().path();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let log: Vec<Vec<u8>> = json["log"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hex| data_encoding::HEXLOWER.decode(hex.as_str().unwrap().as_bytes()).unwrap())
            .collect();
        let expected = json["expected"].as_str().unwrap();
        let verdict = verdict(&log);
        if verdict != Some((log.len() - 1, expected)) {
            wrong.push(format!("{}: expected {expected}, got {verdict:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_refused_entry_leaves_no_trace() {
    let chain = family();
    let before = chain.roster.clone();
    for bad in collection().iter().filter(|bad| bad.log.len() == chain.log.len() + 1) {
        if let Ok(entry) = Verified::<Entry>::from_bytes(bad.log.last().unwrap()) {
            let refused = before.clone().apply(&entry).is_err();
            assert!(refused, "{}", bad.file);
        }
    }
    let deny = chain.denies(&chain.laptop, &chain.asks("tablet"));
    assert!(before.apply(&deny).is_ok(), "the good entry is taken after all the bad ones");
}

#[test]
fn approve_against_deny_has_one_outcome_in_either_order() {
    let chain = family();
    let tablet = chain.asks("tablet");
    let admit = chain.admits(&chain.laptop, &tablet, Role::Writer);
    let deny = decision::deny(
        &chain.roster,
        &keys("phone"),
        (tablet.request.id(), tablet.keys.id()),
        DenyReason::Denied,
        0,
        AT,
    )
    .unwrap();
    for (first, second) in [(&admit, &deny), (&deny, &admit)] {
        let roster = chain.roster.clone().apply(first).unwrap();
        assert_eq!(roster.clone().apply(second).unwrap_err().code(), "head-moved");
        let mut later = chain.clone();
        later.append(first);
        // Signed anew at the new head, the loser is still too late.
        let again = Entry { seq: roster.seq() + 1, prev: Some(roster.head()), ..(**second).clone() };
        let key = if second.hash() == admit.hash() { &chain.laptop } else { &keys("phone") };
        let again = Verified::sign(again, &key.signing, &[]).unwrap();
        assert_eq!(roster.apply(&again).unwrap_err().code(), "already-decided");
    }
}
