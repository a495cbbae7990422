//! What can be broken in any form, whatever it says.

use protocol::keys::SigningKey;

use super::{Cases, Made, Specimen};
use crate::support::layout;
use crate::vectors::making::Proof;
use crate::world::keys;

pub(super) fn all(cases: &mut Cases, specimen: &Specimen) {
    if specimen.name != "found-with-recovery" {
        size_and_shape(cases, specimen);
        encoding(cases, specimen);
        signature(cases, specimen);
    }
    proofs(cases, specimen);
}

fn size_and_shape(cases: &mut Cases, specimen: &Specimen) {
    let made = &specimen.made;
    let bytes = made.bytes();
    let last = bytes.len() - 1;
    cases.fill(
        specimen,
        "too-large",
        "one byte more than allowed: nothing is parsed",
        "too-large",
        specimen.bytes_max + 1,
    );
    cases.fill(specimen, "largest", "as many bytes as allowed, and no form", "malformed", specimen.bytes_max);
    cases.bad(specimen, "cut", "the last byte is missing", "malformed", made.clone().edited(last, 1, &[]));
    cases.bad(specimen, "followed", "a byte follows", "not-canonical", made.clone().edited(last + 1, 0, &[0]));
    let start = usize::from(bytes[0] != 0xd2);
    let at = layout(&bytes).kid.end;
    cases.bad(specimen, "untagged", "tag 18 is missing", "malformed", made.clone().edited(start, 1, &[]));
    let wide = made.clone().edited(start, 1, &[0xd8, 0x12]);
    cases.bad(
        specimen,
        "wide-tag",
        "tag 18 in two bytes: around the payload only the exact bytes are of the shape",
        "malformed",
        wide,
    );
    let header = made.clone().edited(at, 1, &[0xa1, 0x01, 0x27]);
    cases.bad(specimen, "unprotected-header", "the unprotected header is not empty", "malformed", header);
    let algorithm = made.clone().edited(start + 6, 1, &[0x26]);
    cases.bad(specimen, "other-algorithm", "alg is -7 (ES256)", "malformed", algorithm);
    if made.proofs.is_empty() {
        cases.bad(
            specimen,
            "array-of-one",
            "a form without proofs stands alone",
            "malformed",
            made.clone().edited(0, 0, &[0x81]),
        );
    }
    for (fault, says, payload) in [
        ("empty-payload", "nothing is signed", &[][..]),
        ("no-map", "the payload is a number", &[0x01]),
        ("empty-map", "the payload is an empty map", &[0xa0]),
        ("unclosed-map", "a map that promises more than there is", &[0xa1, 0x00]),
    ] {
        cases.bad(specimen, fault, says, "malformed", specimen.over(payload.to_vec()));
    }
}

fn encoding(cases: &mut Cases, specimen: &Specimen) {
    let payload = &specimen.made.payload;
    let fields = payload[0] & 0x1f;
    assert_eq!(&payload[..3], &[0xa0 | fields, 0x00, 0x01], "it begins with its version");
    let spliced = |head: &[u8], rest: &[u8]| specimen.over([head, rest].concat());
    let more = 0xa0 | (fields + 1);
    let faults = [
        ("wide-number", "the version in two bytes", spliced(&[payload[0], 0x00, 0x18, 0x01], &payload[3..])),
        ("wide-key", "a key in two bytes", spliced(&[payload[0], 0x18, 0x00, 0x01], &payload[3..])),
        ("wide-map", "the map's head in two bytes", spliced(&[0xb8, fields], &payload[1..])),
        ("repeated-key", "the version twice", spliced(&[more, 0x00, 0x01, 0x00, 0x01], &payload[3..])),
        ("unknown-key", "a field 23", specimen.over([&[more], &payload[1..], &[0x17, 0x00]].concat())),
        ("order", "the version last", specimen.over([&[payload[0]], &payload[3..], &[0x00, 0x01]].concat())),
        ("payload-followed", "a byte after the map", specimen.over([payload.as_slice(), &[0x00]].concat())),
    ];
    for (fault, says, made) in faults {
        cases.bad(specimen, fault, says, "not-canonical", made);
    }
    let faults = [
        ("no-version", "the version is missing", spliced(&[0xa0 | (fields - 1)], &payload[3..])),
        ("indefinite-map", "a map of indefinite length", specimen.over([&[0xbf], &payload[1..], &[0xff]].concat())),
        ("version-as-text", "the version is a text", spliced(&[payload[0], 0x00, 0x61, 0x31], &payload[3..])),
        ("version-negative", "the version is -1", spliced(&[payload[0], 0x00, 0x20], &payload[3..])),
        (
            "version-256",
            "a version of more than eight bits",
            spliced(&[payload[0], 0x00, 0x19, 0x01, 0x00], &payload[3..]),
        ),
        ("text-key", "a key that is a text", specimen.over([&[more], &payload[1..], &[0x61, b'a', 0x00]].concat())),
    ];
    for (fault, says, made) in faults {
        cases.bad(specimen, fault, says, "malformed", made);
    }
    let version = spliced(&[payload[0], 0x00, 0x02], &payload[3..]);
    cases.bad(specimen, "version-2", "the next version", "unknown-version", version);
}

fn signature(cases: &mut Cases, specimen: &Specimen) {
    let made = &specimen.made;
    let bytes = made.bytes();
    let parts = layout(&bytes);
    let flipped = made.clone().edited(parts.signature.start, 1, &[bytes[parts.signature.start] ^ 1]);
    cases.bad(specimen, "signature", "a bit of the signature is flipped", "bad-signature", flipped);
    let stranger = keys("stranger").signing;
    let kid = made.clone().edited(parts.kid.start, 32, &stranger.public());
    cases.bad(specimen, "other-kid", "the signature is by another key than the kid", "bad-signature", kid);
    let label = if specimen.rule == "withdrawal" { "countersign/v1/reveal" } else { "countersign/v1/withdrawal" };
    let relabelled = Made { label: label.to_owned(), ..made.clone() };
    cases.bad(specimen, "other-label", "signed as another form", "bad-signature", relabelled);
    let unlabelled = Made { label: String::new(), ..made.clone() };
    cases.bad(specimen, "no-label", "signed with an empty external_aad", "bad-signature", unlabelled);
    if specimen.names_signer {
        let signed = Made { key: stranger, ..made.clone() };
        cases.bad(specimen, "stranger", "signed by a key that it does not name", "wrong-signer", signed);
    }
}

fn proofs(cases: &mut Cases, specimen: &Specimen) {
    let made = &specimen.made;
    let stranger: SigningKey = keys("stranger").signing;
    let with = |proofs: Vec<Proof>| Made { proofs, ..made.clone() };
    let mut more = made.proofs.clone();
    more.push(Proof::join(&stranger));
    cases.bad(specimen, "proof-superfluous", "one proof more than asked for", "bad-proof", with(more));
    for (index, proof) in made.proofs.iter().enumerate() {
        let name = proof.label.rsplit('/').next().unwrap();
        let mut fault = |fault: &str, says: &str, change: &dyn Fn(&mut Proof)| {
            let mut changed = made.proofs.clone();
            change(&mut changed[index]);
            cases.bad(specimen, &format!("{name}-{fault}"), says, "bad-proof", with(changed));
        };
        fault("by-a-stranger", "a proof by another key", &|proof| proof.key = stranger.clone());
        fault("other-label", "the proof is signed as a withdrawal", &|proof| {
            proof.label = "countersign/v1/withdrawal".to_owned()
        });
        fault("other-form", "the proof is of another form's hash", &|proof| proof.over = Some([9; 32]));
    }
    for count in 0..made.proofs.len() {
        let says = "fewer proofs than asked for";
        cases.bad(specimen, &format!("proofs-{count}"), says, "bad-proof", with(made.proofs[..count].to_vec()));
    }
    if let [first, second] = &made.proofs[..] {
        let swapped = with(vec![second.clone(), first.clone()]);
        cases.bad(specimen, "proofs-swapped", "the proofs in another order", "bad-proof", swapped);
    }
    if let Some(last) = made.proofs.last() {
        let bytes = made.bytes();
        let at = bytes.len() - 1;
        let flipped = made.clone().edited(at, 1, &[bytes[at] ^ 1]);
        let says = format!("a bit of the signature of the {} is flipped", last.label);
        cases.bad(specimen, "proof-signature", &says, "bad-proof", flipped);
    }
}
