//! Broken valid input: every signed form, flipped, cut, spliced, encoded otherwise, signed otherwise. Each is refused by its own
//! code, and none ends in a panic.

use core::fmt::Debug;

use protocol::keys::SigningKey;
use protocol::{Form, FormError, Verified};

use crate::forms::forms;
use crate::support::{LABELS, form_hash, layout, sign1, with_proofs};
use crate::world::keys;

/// A valid form and the keys that made it.
struct Specimen {
    name: &'static str,
    bytes: Vec<u8>,
    payload: Vec<u8>,
    label: &'static str,
    bytes_max: usize,
    signer: SigningKey,
    provers: Vec<(&'static str, SigningKey)>,
    /// What a signature by a stranger's key is answered.
    stranger: Option<&'static str>,
    code: fn(&[u8]) -> Option<&'static str>,
}

impl Specimen {
    fn new<T: Form + Debug>(
        form: &Verified<T>,
        signer: &SigningKey,
        provers: &[&SigningKey],
        stranger: Option<&'static str>,
    ) -> Self {
        let asked = form.proofs();
        Self {
            name: T::NAME,
            bytes: form.bytes().to_vec(),
            payload: form.bytes()[layout(form.bytes()).payload].to_vec(),
            label: T::LABEL,
            bytes_max: T::BYTES_MAX,
            signer: signer.clone(),
            provers: asked.iter().zip(provers).map(|(asked, key)| (asked.kind.label(), (*key).clone())).collect(),
            stranger,
            code: |bytes| Verified::<T>::from_bytes(bytes).err().as_ref().map(FormError::code),
        }
    }

    /// The code that bytes are refused with.
    fn refused(&self, bytes: &[u8], how: &str) -> &'static str {
        (self.code)(bytes).unwrap_or_else(|| panic!("{}: {how} was accepted", self.name))
    }

    /// The same form signed again over another payload, by the same keys.
    fn resigned(&self, payload: &[u8]) -> Vec<u8> {
        let proofs: Vec<(&str, &SigningKey)> = self.provers.iter().map(|(label, key)| (*label, key)).collect();
        with_proofs(self.label, &self.signer, payload, &proofs)
    }

    fn with_proofs(&self, proofs: &[(&str, &SigningKey)]) -> Vec<u8> {
        with_proofs(self.label, &self.signer, &self.payload, proofs)
    }
}

fn specimens() -> Vec<Specimen> {
    let all = forms();
    let (laptop, phone, tablet) = (keys("laptop").signing, keys("phone").signing, keys("tablet").signing);
    let join = all.chain.founding.code.join_key();
    let recovery = keys("recovery words").signing;
    let wrong = Some("wrong-signer");
    vec![
        Specimen::new(&all.found, &laptop, &[&join], wrong),
        Specimen::new(&all.found_with_recovery, &laptop, &[&join, &recovery], wrong),
        Specimen::new(&all.admit, &laptop, &[], None),
        Specimen::new(&all.deny, &phone, &[], None),
        Specimen::new(&all.request, &phone, &[&join], wrong),
        Specimen::new(&all.withdrawal, &tablet, &[], None),
        Specimen::new(&all.nonce, &laptop, &[], None),
        Specimen::new(&all.reveal, &phone, &[], None),
        Specimen::new(&all.put, &phone, &[], None),
        Specimen::new(&all.delete, &phone, &[], None),
        Specimen::new(&all.connect_member, &phone, &[], wrong),
        Specimen::new(&all.connect_joiner, &tablet, &[], wrong),
    ]
}

#[test]
fn the_specimens_are_valid_and_signed_again_to_the_same_bytes() {
    for specimen in specimens() {
        assert_eq!((specimen.code)(&specimen.bytes), None, "{}", specimen.name);
        assert_eq!(specimen.resigned(&specimen.payload), specimen.bytes, "{}", specimen.name);
    }
}

#[test]
fn no_bit_of_a_form_can_be_flipped() {
    for specimen in specimens() {
        let parts = layout(&specimen.bytes);
        for at in 0..specimen.bytes.len() {
            for bit in 0..8 {
                let mut bytes = specimen.bytes.clone();
                bytes[at] ^= 1 << bit;
                let code = specimen.refused(&bytes, &format!("bit {bit} of byte {at} flipped"));
                let expected: &[&str] = if parts.kid.contains(&at) || parts.signature.contains(&at) {
                    &["bad-signature"]
                } else if parts.payload.contains(&at) {
                    &["bad-signature", "malformed", "not-canonical"]
                } else if at >= parts.proofs {
                    &["bad-proof", "malformed", "not-canonical"]
                } else {
                    &["malformed", "not-canonical"]
                };
                assert!(expected.contains(&code), "{}: byte {at} bit {bit}: {code}", specimen.name);
            }
        }
    }
}

#[test]
fn a_form_cut_anywhere_is_malformed() {
    for specimen in specimens() {
        for length in 0..specimen.bytes.len() {
            let code = specimen.refused(&specimen.bytes[..length], &format!("cut at {length}"));
            assert_eq!(code, "malformed", "{} cut at {length}", specimen.name);
        }
    }
}

#[test]
fn nothing_may_follow_a_form() {
    for specimen in specimens() {
        for more in [vec![0], vec![0xf6], specimen.bytes.clone()] {
            let bytes = [specimen.bytes.clone(), more].concat();
            let code = specimen.refused(&bytes, "followed by something");
            let too_large = bytes.len() > specimen.bytes_max;
            assert_eq!(code, if too_large { "too-large" } else { "not-canonical" }, "{}", specimen.name);
        }
    }
}

#[test]
fn an_oversized_form_is_refused_before_it_is_parsed() {
    for specimen in specimens() {
        let garbage = vec![0xff; specimen.bytes_max + 1];
        assert_eq!(specimen.refused(&garbage, "oversized"), "too-large", "{}", specimen.name);
        let garbage = vec![0xff; specimen.bytes_max];
        assert_eq!(specimen.refused(&garbage, "as large as can be"), "malformed", "{}", specimen.name);
    }
}

#[test]
fn a_payload_has_one_encoding_only_whoever_signs_it() {
    for specimen in specimens() {
        let payload = &specimen.payload;
        let fields = payload[0] & 0x1f;
        assert_eq!(&payload[..3], &[0xa0 | fields, 0x00, 0x01], "{} begins with its version", specimen.name);
        let spliced = |head: &[u8], rest: &[u8]| specimen.resigned(&[head, rest].concat());
        let more = 0xa0 | (fields + 1);
        let cases = [
            ("a version in two bytes", spliced(&[payload[0], 0x00, 0x18, 0x01], &payload[3..])),
            ("a version in nine bytes", spliced(&[payload[0], 0x00, 0x1b, 0, 0, 0, 0, 0, 0, 0, 1], &payload[3..])),
            ("a key in two bytes", spliced(&[payload[0], 0x18, 0x00, 0x01], &payload[3..])),
            ("a map head in two bytes", spliced(&[0xb8, fields], &payload[1..])),
            ("a map of indefinite length", specimen.resigned(&[&[0xbf], &payload[1..], &[0xff]].concat())),
            ("a duplicate key", spliced(&[more, 0x00, 0x01, 0x00, 0x01], &payload[3..])),
            ("an unknown key", specimen.resigned(&[&[more], &payload[1..], &[0x17, 0x00]].concat())),
            (
                "an unknown key that is a text",
                specimen.resigned(&[&[more], &payload[1..], &[0x61, b'a', 0x00]].concat()),
            ),
            ("a byte after the map", specimen.resigned(&[payload.as_slice(), &[0x00]].concat())),
            ("the version last", specimen.resigned(&[&[payload[0]], &payload[3..], &[0x00, 0x01]].concat())),
        ];
        for (how, bytes) in cases {
            let code = specimen.refused(&bytes, how);
            // A text where a number must be is no encoding of anything, and no length of ours is indefinite.
            let shape = how.ends_with("text") || how.ends_with("indefinite length");
            let expected = if shape { "malformed" } else { "not-canonical" };
            assert_eq!(code, expected, "{}: {how}", specimen.name);
        }
        let missing = spliced(&[0xa0 | (fields - 1)], &payload[3..]);
        assert_eq!(specimen.refused(&missing, "without version"), "malformed", "{}", specimen.name);
        for other in [&[][..], &[0x00], &[0xf6], &[0x80], &[0xa0]] {
            assert_eq!(specimen.refused(&specimen.resigned(other), "no map"), "malformed", "{}", specimen.name);
        }
    }
}

#[test]
fn another_version_is_named_and_not_guessed_at() {
    for specimen in specimens() {
        let mut payload = specimen.payload.clone();
        payload[2] = 2;
        let code = specimen.refused(&specimen.resigned(&payload), "version 2");
        assert_eq!(code, "unknown-version", "{}", specimen.name);
        let bare = sign1(specimen.label, &specimen.signer, &payload);
        let code = specimen.refused(&bare, "version 2, of which nobody knows what proofs it needs");
        assert_eq!(code, "unknown-version", "{}", specimen.name);
    }
}

#[test]
fn a_signature_made_for_one_form_is_worthless_for_another() {
    for specimen in specimens() {
        for label in LABELS.iter().chain(&["", "countersign/v2/entry", "countersign/v1"]) {
            if *label == specimen.label {
                continue;
            }
            let proofs: Vec<(&str, &SigningKey)> = specimen.provers.iter().map(|(label, key)| (*label, key)).collect();
            let bytes = with_proofs(label, &specimen.signer, &specimen.payload, &proofs);
            let code = specimen.refused(&bytes, &format!("signed as {label}"));
            assert_eq!(code, "bad-signature", "{} signed as {label}", specimen.name);
        }
    }
}

#[test]
fn bytes_of_one_form_are_never_another_form() {
    let all = specimens();
    for specimen in &all {
        for other in &all {
            if specimen.name != other.name {
                let code = specimen.refused(&other.bytes, other.name);
                assert!(
                    ["malformed", "not-canonical", "bad-signature", "too-large"].contains(&code),
                    "{} read as {}: {code}",
                    other.name,
                    specimen.name
                );
            }
        }
    }
}

#[test]
fn a_form_stands_with_exactly_its_proofs() {
    let stranger = keys("stranger").signing;
    for specimen in specimens() {
        let right: Vec<(&str, &SigningKey)> = specimen.provers.iter().map(|(label, key)| (*label, key)).collect();
        for count in 0..right.len() {
            let code = specimen.refused(&specimen.with_proofs(&right[..count]), "a missing proof");
            assert_eq!(code, "bad-proof", "{}", specimen.name);
        }
        let mut more = right.clone();
        more.push(("countersign/v1/join-proof", &stranger));
        assert_eq!(specimen.refused(&specimen.with_proofs(&more), "one proof more"), "bad-proof", "{}", specimen.name);
        for index in 0..right.len() {
            let mut forged = right.clone();
            forged[index].1 = &stranger;
            let code = specimen.refused(&specimen.with_proofs(&forged), "a stranger's proof");
            assert_eq!(code, "bad-proof", "{}", specimen.name);
            for label in LABELS.iter().filter(|label| **label != right[index].0) {
                let mut relabelled = right.clone();
                relabelled[index].0 = label;
                let code = specimen.refused(&specimen.with_proofs(&relabelled), "a proof under another label");
                assert_eq!(code, "bad-proof", "{}", specimen.name);
            }
            let others_hash = form_hash(specimen.label, &stranger.public(), &specimen.payload);
            let mut bytes = vec![0x81 + right.len() as u8];
            bytes.extend(sign1(specimen.label, &specimen.signer, &specimen.payload));
            for (at, (label, key)) in right.iter().enumerate() {
                let own = form_hash(specimen.label, &specimen.signer.public(), &specimen.payload);
                bytes.extend(sign1(label, key, if at == index { &others_hash } else { &own }));
            }
            assert_eq!(specimen.refused(&bytes, "another form's proof"), "bad-proof", "{}", specimen.name);
        }
        if right.len() == 2 {
            let swapped = [right[1], right[0]];
            assert_eq!(specimen.refused(&specimen.with_proofs(&swapped), "proofs in another order"), "bad-proof");
        }
    }
}

#[test]
fn a_form_that_names_its_signer_is_signed_by_nobody_else() {
    let stranger = keys("stranger").signing;
    for specimen in specimens() {
        let proofs: Vec<(&str, &SigningKey)> = specimen.provers.iter().map(|(label, key)| (*label, key)).collect();
        let bytes = with_proofs(specimen.label, &stranger, &specimen.payload, &proofs);
        assert_eq!((specimen.code)(&bytes), specimen.stranger, "{}", specimen.name);
        let mut claimed = specimen.bytes.clone();
        let kid = layout(&claimed).kid;
        claimed[kid].copy_from_slice(&stranger.public());
        assert_eq!(specimen.refused(&claimed, "another kid"), "bad-signature", "{}", specimen.name);
    }
}

#[test]
fn the_envelope_has_one_shape_only() {
    for specimen in specimens().iter().filter(|specimen| specimen.provers.is_empty()) {
        let bytes = &specimen.bytes;
        let array = [&[0x81], bytes.as_slice()].concat();
        assert_eq!(specimen.refused(&array, "an array of one"), "malformed");
        assert_eq!(specimen.refused(&bytes[1..], "without tag"), "malformed");
        let mut tag = bytes.clone();
        tag.splice(0..1, [0xd8, 0x12]);
        assert_eq!(specimen.refused(&tag, "tag 18 in two bytes"), "malformed");
        let at = layout(bytes).kid.end;
        let mut unprotected = bytes.clone();
        unprotected.splice(at..=at, [0xa1, 0x01, 0x27]);
        assert_eq!(specimen.refused(&unprotected, "an unprotected header"), "malformed");
        let mut null = bytes.clone();
        null[at] = 0xf6;
        assert_eq!(specimen.refused(&null, "null for a header"), "malformed");
        let payload = layout(bytes).payload;
        let mut wide = bytes.clone();
        let head = at + 1..payload.start;
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        wide.splice(head, [[0x5a].as_slice(), &length].concat());
        assert_eq!(specimen.refused(&wide, "a long length for a short payload"), "malformed");
    }
}
