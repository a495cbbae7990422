//! Two faults at once: the one that is checked first is told.

use protocol::cbor::{self, Blob};
use protocol::entry::{Body, Entry};

use super::{Cases, Specimen};
use crate::forms::forms;
use crate::support::layout;
use crate::vectors::making::Made;
use crate::world::keys;

type Named<'a, 'b> = &'a dyn Fn(&str) -> &'b Specimen;

/// A flipped bit in the signature of what was made.
fn forged(made: Made) -> Made {
    let bytes = made.signed();
    let at = layout(&bytes).signature.start;
    let flipped = [bytes[at] ^ 1];
    made.edited(at, 1, &flipped)
}

/// A flipped bit in the last proof of what was made.
fn unproven(made: Made) -> Made {
    let bytes = made.signed();
    let at = bytes.len() - 1;
    let flipped = [bytes[at] ^ 1];
    made.edited(at, 1, &flipped)
}

/// The same payload with another version.
fn version_2(mut payload: Vec<u8>) -> Vec<u8> {
    payload[2] = 2;
    payload
}

pub(super) fn all(cases: &mut Cases, named: Named<'_, '_>) {
    shape(cases, named);
    meaning(cases, named);
    kinds(cases, named);
}

fn shape(cases: &mut Cases, named: Named<'_, '_>) {
    let connect = named("connect-member");
    let mut long = (*forms().connect_member).clone();
    long.origin = "a".repeat(1024);
    let long = connect.over(cbor::encode(&long));
    cases.bad(
        connect,
        "too-large-and-bad-field",
        "a size is checked before anything is parsed",
        "too-large",
        long.clone(),
    );
    cases.bad(connect, "too-large-and-bad-signature", "and before any signature", "too-large", forged(long));
    let request = named("join-request");
    let payload = &request.made.payload;
    let wide = [&[payload[0], 0x00, 0x18, 0x01], &payload[3..]].concat();
    let wide = request.over(wide);
    cases.bad(
        request,
        "not-canonical-and-bad-signature",
        "encoding before signature",
        "not-canonical",
        forged(wide.clone()),
    );
    let cut = |made: Made| {
        let last = made.signed().len() - 1;
        made.edited(last, 1, &[])
    };

    let says = "a proof that is cut, beside a payload in another encoding: the shape of the whole comes first";
    cases.bad(request, "malformed-and-not-canonical", says, "malformed", cut(wide.clone()));
    let last = wide.signed().len();
    cases.bad(
        request,
        "not-canonical-twice",
        "another encoding, and a byte follows",
        "not-canonical",
        wide.edited(last, 0, &[0]),
    );
    let says = "a proof that is cut, and a signature that does not hold";
    cases.bad(request, "malformed-and-bad-signature", says, "malformed", cut(forged(request.made.clone())));
    let last = request.made.signed().len();
    let followed = forged(request.made.clone()).edited(last, 0, &[0]);
    cases.bad(
        request,
        "followed-and-bad-signature",
        "a byte follows, and the signature does not hold",
        "not-canonical",
        followed,
    );
    let empty = forged(request.over(vec![0xa0]));
    cases.bad(
        request,
        "empty-map-and-bad-signature",
        "an empty map, and the signature does not hold",
        "malformed",
        empty,
    );
    let low = request.with(keys("phone").public().sealing.as_bytes(), &[0; 32]);
    cases.bad(
        request,
        "low-order-and-bad-signature",
        "a key of low order is a matter of shape",
        "malformed",
        forged(low),
    );
}

fn meaning(cases: &mut Cases, named: Named<'_, '_>) {
    let request = named("join-request");
    let stranger = keys("stranger").signing;
    let by_stranger = |made: Made| Made { key: stranger.clone(), ..made };
    let second = request.over(version_2(request.made.payload.clone()));
    let mut pair =
        |name: &str, says: &str, error: &'static str, made: Made| cases.bad(request, name, says, error, made);
    pair("bad-signature-and-version-2", "signature before version", "bad-signature", forged(second.clone()));
    pair("version-2-and-wrong-signer", "version before signer", "unknown-version", by_stranger(second.clone()));
    let says = "version before proofs: nobody knows what proofs version 2 asks for";
    pair("version-2-and-no-proof", says, "unknown-version", Made { proofs: Vec::new(), ..second });
    pair(
        "bad-signature-and-bad-proof",
        "signature before proofs",
        "bad-signature",
        unproven(forged(request.made.clone())),
    );
    pair(
        "wrong-signer-and-bad-proof",
        "signer before proofs",
        "wrong-signer",
        unproven(by_stranger(request.made.clone())),
    );
    let unsigned = forged(by_stranger(request.made.clone()));
    pair("bad-signature-and-wrong-signer", "signature before signer", "bad-signature", unsigned);
    let nonce = named("nonce");
    let round = nonce.with(&[0x03, 0x01, 0x04], &[0x03, 0x00, 0x04]);
    cases.bad(nonce, "bad-signature-and-bad-field", "signature before fields", "bad-signature", forged(round.clone()));
    let both = nonce.over(version_2(round.payload.clone()));
    cases.bad(nonce, "version-2-and-bad-field", "version before fields", "unknown-version", both);
    let says = "fields before proofs: a nonce has none";
    let proven = Made { proofs: named("join-request").made.proofs.clone(), ..round };
    cases.bad(nonce, "bad-field-and-bad-proof", says, "bad-field", proven);
}

fn kinds(cases: &mut Cases, named: Named<'_, '_>) {
    let deny = named("deny");
    let good = (*forms().deny).clone();
    let unknown = Entry { body: Body::Unknown { kind: 13, raw: Blob(vec![0xa0]) }, ..good };
    let made = |form: &Entry| deny.over(cbor::encode(form));
    let mut pair = |name: &str, says: &str, error: &'static str, made: Made| cases.bad(deny, name, says, error, made);
    pair("bad-signature-and-kind-13", "signature before kind", "bad-signature", forged(made(&unknown)));
    let second = Entry { version: 2, ..unknown.clone() };
    pair("version-2-and-kind-13", "version before kind", "unknown-version", made(&second));
    let lost = Entry { chain: None, ..unknown.clone() };
    pair(
        "kind-13-without-chain",
        "kind before fields: a kind of later may stand where none does now",
        "unknown-kind",
        made(&lost),
    );
    let first = Entry { seq: 0, prev: None, chain: None, ..unknown.clone() };
    pair("kind-13-at-seq-0", "a log that begins with a kind of later", "unknown-kind", made(&first));
    let proofs = named("join-request").made.proofs.clone();
    pair("kind-13-and-proof", "kind before proofs", "unknown-kind", Made { proofs, ..made(&unknown) });
    let admit = named("admit");
    let mut form = (*forms().admit).clone();
    let Body::Admit(body) = &mut form.body else { panic!("an admit is an admit") };
    body.request.0[60] ^= 1;
    body.description = Blob(vec![2; 513]);
    let says = "fields of the entry before the form inside";
    cases.bad(admit, "bad-field-and-inner-fault", says, "bad-field", admit.over(cbor::encode(&form)));
    let mut form = (*forms().admit).clone();
    let Body::Admit(body) = &mut form.body else { panic!("an admit is an admit") };
    body.request.0.pop();
    let says = "the form inside before superfluous proofs";
    let proofs = named("join-request").made.proofs.clone();
    let both = Made { proofs, ..admit.over(cbor::encode(&form)) };
    cases.bad(admit, "inner-fault-and-bad-proof", says, "malformed", both);
}
