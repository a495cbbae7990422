//! What is wrong with one form only: its shape beyond CBOR, and its fields.

use protocol::cbor::{self, Blob};
use protocol::connect::{Connect, Cursor};
use protocol::entry::{Body, Entry, Found, Recovery};
use protocol::keys::SigningKey;
use protocol::record::Record;
use protocol::{DeviceId, Hash};

use super::{Cases, Specimen};
use crate::forms::forms;
use crate::vectors::making::{Made, Proof};
use crate::world::keys;

type Named<'a, 'b> = &'a dyn Fn(&str) -> &'b Specimen;

pub(super) fn all(cases: &mut Cases, named: Named<'_, '_>) {
    request(cases, named("join-request"));
    rounds(cases, named);
    record(cases, named);
    connect(cases, named);
    entry_shape(cases, named);
    found(cases, named);
    admit(cases, named);
}

/// A byte string of 32 bytes with its head.
fn id(bytes: &[u8]) -> Vec<u8> {
    [&[0x58, 0x20], bytes].concat()
}

fn request(cases: &mut Cases, specimen: &Specimen) {
    let phone = keys("phone").public();
    let sealing = *phone.sealing.as_bytes();
    let mut fault =
        |fault: &str, says: &str, error: &'static str, made: Made| cases.bad(specimen, fault, says, error, made);
    let mut low = [0; 32];
    fault("sealing-key-0", "an X25519 key of low order: 0", "malformed", specimen.with(&sealing, &low));
    low[0] = 1;
    fault("sealing-key-1", "an X25519 key of low order: 1", "malformed", specimen.with(&sealing, &low));
    let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let order_8 = data_encoding::HEXLOWER.decode(order_8.as_bytes()).unwrap();
    fault("sealing-key-order-8", "an X25519 key of order 8", "malformed", specimen.with(&sealing, &order_8));
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xf6, 0x7f);
    fault(
        "sealing-key-beyond-p",
        "9 + p: another encoding of the base point",
        "malformed",
        specimen.with(&sealing, &beyond),
    );
    let mut top = sealing;
    top[31] |= 0x80;
    fault("sealing-key-top-bit", "the key with its top bit set", "malformed", specimen.with(&sealing, &top));
    let short = [&[0x58, 0x1f], &sealing[..31]].concat();
    fault("sealing-key-31", "31 bytes of key", "malformed", specimen.with(&id(&sealing), &short));
    let null = specimen.with(&id(&forms().request.description_hash.0), &[0xf6]);
    fault("null", "null for a field that must be there", "malformed", null);
    let join = forms().chain.founding.code.join_key();
    let mut own = (*forms().request).clone();
    own.device.signing = DeviceId(join.public());
    let own = Made { key: join, payload: cbor::encode(&own), ..specimen.made.clone() };
    fault(
        "join-key-as-device-key",
        "the device's key is the join key, which every holder of the code has",
        "bad-field",
        own,
    );
}

fn rounds(cases: &mut Cases, named: Named<'_, '_>) {
    let specimen = named("nonce");
    let round = |bytes: &[u8]| specimen.with(&[0x03, 0x01, 0x04], &[&[0x03], bytes, &[0x04]].concat());
    cases.bad(specimen, "round-0", "rounds begin at 1", "bad-field", round(&[0x00]));
    cases.bad(specimen, "round-9", "there are 8 rounds", "bad-field", round(&[0x09]));
    cases.bad(specimen, "round-256", "a round of more than eight bits", "malformed", round(&[0x19, 0x01, 0x00]));
    let epoch = specimen.with(&[0x05, 0x01, 0x06], &[0x05, 0xc2, 0x41, 0x01, 0x06]);
    cases.bad(specimen, "epoch-bignum", "an epoch as a bignum", "malformed", epoch);
    let reveal = named("reveal");
    let value = forms().reveal.value.0;
    let longer = [&[0x58, 0x21], &value[..], &[0]].concat();
    cases.bad(reveal, "value-33", "33 bytes of value", "malformed", reveal.with(&id(&value), &longer));
    let text = [&[0x78, 0x20], [b'a'; 32].as_slice()].concat();
    cases.bad(reveal, "value-text", "a text where bytes must be", "malformed", reveal.with(&id(&value), &text));
    let chunks = [&[0x5f, 0x58, 0x20], &value[..], &[0xff]].concat();
    cases.bad(
        reveal,
        "value-indefinite",
        "a byte string of indefinite length",
        "malformed",
        reveal.with(&id(&value), &chunks),
    );
    let withdrawal = named("withdrawal");
    let more =
        [&[0xa2], &withdrawal.made.payload[1..4], &[0x5a, 0, 0, 0, 0x20], &withdrawal.made.payload[6..]].concat();
    cases.bad(withdrawal, "wide-length", "a length in five bytes", "not-canonical", withdrawal.over(more));
}

fn record(cases: &mut Cases, named: Named<'_, '_>) {
    let put = named("record-put");
    let good = (*forms().put).clone();
    let mut fault = |fault: &str, says: &str, change: &dyn Fn(&mut Record)| {
        let mut form = good.clone();
        change(&mut form);
        cases.bad(put, fault, says, "bad-field", put.over(cbor::encode(&form)));
    };
    fault("counter-0", "counters begin at 1", &|record| record.counter = 0);
    fault("counter-2-without-last", "only the first record of a line has no last", &|record| record.counter = 2);
    fault("counter-1-with-last", "the first record of a line has no last", &|record| record.last = Some(Hash([9; 32])));
    fault("put-without-ciphertext", "a put has a ciphertext", &|record| record.ciphertext_hash = None);
    let delete = named("record-delete");
    let mut form = (*forms().delete).clone();
    form.ciphertext_hash = Some(Hash([9; 32]));
    cases.bad(delete, "with-ciphertext", "a delete has none", "bad-field", delete.over(cbor::encode(&form)));
    let kind = put.with(&[0x0a, 0x00, 0x0b], &[0x0a, 0x02, 0x0b]);
    cases.bad(put, "kind-2", "neither put nor delete", "malformed", kind);
    let mut null = put.made.payload.clone();
    null[0] += 1;
    let at = null.windows(3).position(|window| window == [0x05, 0x01, 0x08]).unwrap();
    null.splice(at + 2..at + 2, [0x06, 0xf6]);
    cases.bad(put, "null", "null for an optional field: it is left out", "not-canonical", put.over(null));
}

fn connect(cases: &mut Cases, named: Named<'_, '_>) {
    let member = named("connect-member");
    let good = (*forms().connect_member).clone();
    let mut fault = |fault: &str, says: &str, error: &'static str, change: &dyn Fn(&mut Connect)| {
        let mut form = good.clone();
        change(&mut form);
        cases.bad(member, fault, says, error, member.over(cbor::encode(&form)));
    };
    fault("without-chain", "a member names its chain", "bad-field", &|connect| connect.chain = None);
    fault("without-head", "a member names its head", "bad-field", &|connect| connect.head = None);
    fault("with-request", "a member names no request", "bad-field", &|connect| {
        connect.request = forms().connect_joiner.request;
    });
    fault("long-origin", "an origin of 301 bytes", "bad-field", &|connect| connect.origin = "a".repeat(301));
    fault("nine-offered", "more than eight subprotocols", "malformed", &|connect| {
        connect.offered = vec!["countersign.v1".to_owned(); 9];
    });
    let offered = [&[0x81, 0x6e], good.offered[0].as_bytes()].concat();
    let indefinite = [&[0x9f, 0x6e], good.offered[0].as_bytes(), &[0xff]].concat();
    let says = "an array of indefinite length";
    cases.bad(member, "offered-indefinite", says, "malformed", member.with(&offered, &indefinite));
    let origin = good.origin.as_bytes();
    let mut text = origin.to_vec();
    text[0] = 0xff;
    cases.bad(member, "not-utf-8", "the origin is not UTF-8", "malformed", member.with(origin, &text));
    let joiner = named("connect-joiner");
    let good = (*forms().connect_joiner).clone();
    let mut fault = |fault: &str, says: &str, change: &dyn Fn(&mut Connect)| {
        let mut form = good.clone();
        change(&mut form);
        cases.bad(joiner, fault, says, "bad-field", joiner.over(cbor::encode(&form)));
    };
    fault("without-request", "a joiner names its request", &|connect| connect.request = None);
    fault("with-chain", "a joiner names no chain", &|connect| connect.chain = forms().connect_member.chain);
    fault("with-head", "a joiner names no head", &|connect| connect.head = Some(Hash([9; 32])));
    fault("with-cursor", "a joiner has no cursor", &|connect| connect.cursor = Some(Cursor { store: 7, number: 0 }));
    let standing = joiner.with(&[0x07, 0x01, 0x08], &[0x07, 0x02, 0x08]);
    cases.bad(joiner, "standing-2", "neither member nor joiner", "malformed", standing);
}

fn entry_shape(cases: &mut Cases, named: Named<'_, '_>) {
    let deny = named("deny");
    let good = (*forms().deny).clone();
    let mut fault =
        |fault: &str, says: &str, error: &'static str, made: Made| cases.bad(deny, fault, says, error, made);
    let block = |bytes: &[u8]| deny.with(&[0x03, 0x19, 0x0e, 0x10], &[&[0x03], bytes].concat());
    fault("block-too-long", "604,801 seconds", "bad-field", block(&[0x1a, 0x00, 0x09, 0x3a, 0x81]));
    let wide = block(&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]);
    fault("block-of-33-bits", "a block of more than 32 bits", "malformed", wide);
    fault(
        "reason-3",
        "a reason that does not exist",
        "malformed",
        deny.with(&[0x02, 0x02, 0x03, 0x19], &[0x02, 0x03, 0x03, 0x19]),
    );
    for kind in [0u64, 13, 1000] {
        let form = Entry { body: Body::Unknown { kind, raw: Blob(vec![0xa0]) }, ..good.clone() };
        fault(
            &format!("kind-{kind}"),
            "a kind that does not exist yet",
            "unknown-kind",
            deny.over(cbor::encode(&form)),
        );
    }
    let cut = Entry { body: Body::Unknown { kind: 13, raw: Blob(vec![0x5f]) }, ..good.clone() };
    fault(
        "kind-of-nothing",
        "an unknown kind that carries no whole CBOR item",
        "malformed",
        deny.over(cbor::encode(&cut)),
    );
    let three = deny.with(&[0x05, 0x82, 0x03], &[0x05, 0x83, 0x03]);
    fault("body-of-three", "a body is [kind, map]", "malformed", three);
    for (name, says, change) in [
        ("seq-0", "only found stands at seq 0", (|entry: &mut Entry| entry.seq = 0) as fn(&mut Entry)),
        ("without-chain", "every later entry names the chain", |entry| entry.chain = None),
        ("without-prev", "every later entry names prev", |entry| entry.prev = None),
    ] {
        let mut form = good.clone();
        change(&mut form);
        fault(name, says, "bad-field", deny.over(cbor::encode(&form)));
    }
}

fn found(cases: &mut Cases, named: Named<'_, '_>) {
    let specimen = named("found-with-recovery");
    recovery(cases, specimen);
    let mut fault = |name: &str, says: &str, change: fn(&mut Entry)| {
        cases.bad(specimen, name, says, "bad-field", founding_with(specimen, change));
    };
    fault("name-key-cut", "a wrapped key is not 73 bytes", |entry| {
        body(entry).name_key.0.pop();
    });
    fault("sync-code-of-suite-01", "a wrapped key is of suite 01", |entry| body(entry).sync_code.0[0] = 1);
    fault("long-description", "a sealed description of 513 bytes", |entry| {
        body(entry).description = Blob(vec![2; 513]);
    });
    fault("with-chain", "found names no chain: it is one", |entry| entry.chain = Some(protocol::ChainId([9; 32])));
    fault("with-prev", "nothing stands before found", |entry| entry.prev = Some(Hash([9; 32])));
    fault("seq-1", "found stands at seq 0", |entry| entry.seq = 1);
    policy_numbers(cases, named("found"));
}

fn body(entry: &mut Entry) -> &mut Found {
    let Body::Found(found) = &mut entry.body else { panic!("found is found") };
    found
}

fn founding_with(specimen: &Specimen, change: impl FnOnce(&mut Entry)) -> Made {
    let mut form = (*forms().found_with_recovery).clone();
    change(&mut form);
    specimen.over(cbor::encode(&form))
}

fn recovery(cases: &mut Cases, specimen: &Specimen) {
    let join = forms().chain.founding.code.join_key();
    let laptop = keys("laptop");
    let mut fault = |name: &str, says: &str, by: Option<&SigningKey>, change: &dyn Fn(&mut Recovery)| {
        let made = founding_with(specimen, |entry| change(body(entry).recovery.as_mut().unwrap()));
        let proofs = by.map_or(made.proofs.clone(), |key| vec![Proof::join(&join), Proof::recovery(key)]);
        cases.bad(specimen, name, says, "bad-field", Made { proofs, ..made });
    };
    let says = "recovery device and founder share a signing key";
    fault("recovery-signs-as-founder", says, Some(&laptop.signing), &|it| it.device.signing = laptop.id());
    let says = "recovery device and founder share a sealing key";
    fault("recovery-seals-as-founder", says, None, &|it| it.device.sealing = laptop.public().sealing);
    let says = "the recovery device's key is the join key";
    fault("recovery-is-the-join-key", says, Some(&join), &|it| it.device.signing = DeviceId(join.public()));
    let says = "the key sealed to the recovery device is not 81 bytes";
    fault("recovery-key-cut", says, None, &|it| {
        it.epoch_key.0.pop();
    });
    let says = "the key sealed to the recovery device is of suite 02";
    fault("recovery-key-wrapped", says, None, &|it| it.epoch_key.0[0] = 2);
}

/// Numbers of a policy that do not fit: not a policy that is wrong, but no policy.
fn policy_numbers(cases: &mut Cases, found: &Specimen) {
    // { 0: [0], 1: {0: 1, 1: 1, 2: 1, 3: 1}, 2: 900, 3: 32, 4: 604800, 5: 604800 }
    let policy = [0x00, 0x81, 0x00, 0x01, 0xa4, 0x00, 0x01];
    let mut fault = |name: &str, says: &str, error: &'static str, old: &[u8], new: &[u8]| {
        cases.bad(found, name, says, error, found.with(old, new));
    };
    fault(
        "quorum-256",
        "a quorum of more than eight bits",
        "malformed",
        &policy,
        &[&policy[..6], &[0x19, 0x01, 0x00]].concat(),
    );
    fault("way-5", "a way that does not exist", "malformed", &policy, &[0x00, 0x81, 0x05, 0x01, 0xa4, 0x00, 0x01]);
    let six = [0x00, 0x86, 0, 0, 0, 0, 0, 0, 0x01, 0xa4, 0x00, 0x01];
    fault("six-ways", "more ways than exist", "malformed", &policy, &six);
    let lifetime = [0x02, 0x19, 0x03, 0x84, 0x03];
    let wide = [0x02, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0x03];
    fault("lifetime-of-33-bits", "a lifetime of more than 32 bits", "malformed", &lifetime, &wide);
}

fn admit(cases: &mut Cases, named: Named<'_, '_>) {
    let specimen = named("admit");
    let all = forms();
    let good = (*all.admit).clone();
    let mut fault = |name: &str, says: &str, error: &'static str, change: &dyn Fn(&mut protocol::entry::Admit)| {
        let mut form = good.clone();
        let Body::Admit(admit) = &mut form.body else { panic!("an admit is an admit") };
        change(admit);
        cases.bad(specimen, name, says, error, specimen.over(cbor::encode(&form)));
    };
    fault("long-description", "a sealed description of 513 bytes", "bad-field", &|admit| {
        admit.description = Blob(vec![2; 513])
    });
    fault("welcome-cut", "a welcome is not 81 bytes", "bad-field", &|admit| {
        admit.welcome.0.pop();
    });
    fault("welcome-of-suite-02", "a welcome is of suite 02", "bad-field", &|admit| admit.welcome.0[0] = 2);
    fault("totp-step-missing", "how is totp, and there is no step", "bad-field", &|admit| {
        admit.how = protocol::policy::How::Totp
    });
    fault("ticket-superfluous", "how is typed, and there is a ticket", "bad-field", &|admit| {
        admit.ticket = Some(Blob(vec![1]))
    });
    fault("many-approvals", "129 approvals", "malformed", &|admit| admit.approvals = vec![Blob(vec![1]); 129]);
    fault("request-cut", "the request inside is cut", "malformed", &|admit| {
        admit.request.0.pop();
    });
    fault("request-followed", "a byte follows the request inside", "not-canonical", &|admit| admit.request.0.push(0));
    fault("request-long", "1,025 bytes for a request", "too-large", &|admit| admit.request = Blob(vec![0xff; 1025]));
    fault("request-unproven", "the proof of the request inside does not hold", "bad-proof", &|admit| {
        *admit.request.0.last_mut().unwrap() ^= 1;
    });
    let signature = crate::support::layout(all.request.bytes()).signature.start;
    fault("request-unsigned", "the signature of the request inside does not hold", "bad-signature", &|admit| {
        admit.request.0[signature] ^= 1;
    });
    fault("another-form-inside", "a nonce where the request must be", "malformed", &|admit| {
        admit.request = Blob(all.nonce.bytes().to_vec());
    });
}
