//! Admissions and denials that the log refuses.

use protocol::approval::Subject;
use protocol::cbor::{self, Blob};
use protocol::entry::{Body, Deny, DenyReason, Entry};
use protocol::keys::DeviceKeys;
use protocol::policy::{How, Policy, Role};
use protocol::{DeviceId, RequestId};

use super::{Cases, admit_with, family, raw};
use crate::support::{layout, with_proofs};
use crate::world::{Chain, Joiner, asks_with, keys};

const REQUEST: &str = "countersign/v1/join-request";
const JOIN_PROOF: &str = "countersign/v1/join-proof";

pub(super) fn all(all: &mut Cases) {
    requests(all);
    terms(all);
}

fn requests(all: &mut Cases) {
    let chain = family();
    let tablet = chain.asks("tablet");
    let laptop = &chain.laptop;
    let join = chain.founding.code.join_key();
    let asked = tablet.request.bytes().to_vec();
    let mut in_admit = |file: &str, says: &str, expected: &'static str, request: Vec<u8>| {
        let made = admit_with(&chain, &tablet, laptop, |admit| admit.request = Blob(request));
        all.after(&chain, file, says, expected, made);
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

fn keys_seen_before(all: &mut Cases) {
    let mut chain = family();
    let laptop = chain.laptop.clone();
    let code = chain.founding.code.clone();
    let tablet = chain.asks("tablet");
    let mut in_admit = |chain: &Chain, file: &str, says: &str, expected: &'static str, joiner: &Joiner| {
        let made = admit_with(chain, &tablet, &laptop, |admit| admit.request = Blob(joiner.request.bytes().to_vec()));
        all.after(chain, file, says, expected, made);
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

fn denials(all: &mut Cases, chain: &Chain, member: &Joiner, denied: &Joiner) {
    let mut deny = |file: &str, says: &str, expected: &'static str, deny: Deny| {
        let form = Entry { body: Body::Deny(deny), ..chain.deny_body() };
        all.after(chain, file, says, expected, raw(&chain.laptop.signing, &form));
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

fn terms(all: &mut Cases) {
    let chain = family();
    let tablet = chain.asks("tablet");
    let mut admit = |file: &str, says: &str, expected: &'static str, change: &dyn Fn(&mut protocol::entry::Admit)| {
        let made = admit_with(&chain, &tablet, &chain.laptop, |admit| change(admit));
        all.after(&chain, file, says, expected, made);
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
    let agreed = chain.agrees(&keys("phone"), Subject::Closing);
    admit("approvals-present", "approvals where none are asked for", "quorum", &|admit| {
        admit.approvals = vec![agreed.clone()];
    });
    admit("approval-of-one-byte", "an approval that is no form", "malformed", &|admit| {
        admit.approvals = vec![Blob(vec![1])];
    });
    admit("role-recovery", "nobody joins as recovery device", "role-not-allowed", &|admit| admit.role = Role::Recovery);
    admit("description-too-long", "513 bytes of description", "bad-field", &|admit| {
        admit.description = Blob(vec![2; 513]);
    });
    let policy = Policy { members_max: 2, ..Policy::default() };
    let mut small = Chain::founded_with("laptop", policy);
    small.joined("phone", Role::Reader);
    let made = admit_with(&small, &small.asks("tablet"), &small.laptop, |_| {});
    all.after(&small, "chain-full", "the policy allows two members", "chain-full", made);
}
