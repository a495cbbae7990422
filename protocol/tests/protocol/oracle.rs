//! The `coset` crate and `ed25519-dalek` as judges of our COSE_Sign1: they share no line with our encoder.

use coset::{CborSerializable as _, CoseSign1, TaggedCborSerializable as _, iana};
use protocol::{Form, Verified};

use crate::forms::forms;
use crate::support::{layout, sig_structure};

/// Everything that coset says of one COSE_Sign1 under a label.
fn judge(label: &str, kid: &[u8; 32], bytes: &[u8]) -> CoseSign1 {
    let parsed = CoseSign1::from_tagged_slice(bytes).unwrap();
    let header = &parsed.protected.header;
    assert_eq!(header.alg, Some(coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA)));
    assert_eq!(header.key_id, kid);
    assert!(header.rest.is_empty() && header.crit.is_empty() && header.iv.is_empty());
    assert!(parsed.unprotected.is_empty());
    let payload = parsed.payload.as_deref().unwrap();
    assert_eq!(parsed.tbs_data(label.as_bytes()), sig_structure(label, kid, payload));
    let key = ed25519_dalek::VerifyingKey::from_bytes(kid).unwrap();
    parsed
        .verify_signature(label.as_bytes(), |signature, tbs| {
            key.verify_strict(tbs, &ed25519_dalek::Signature::from_slice(signature)?)
        })
        .unwrap();
    assert_eq!(parsed.clone().to_tagged_vec().unwrap(), bytes, "coset writes the same bytes");
    parsed
}

fn agrees<T: Form>(form: &Verified<T>) {
    let bytes = form.bytes();
    let parts = layout(bytes);
    let kid: [u8; 32] = bytes[parts.kid.clone()].try_into().unwrap();
    let start = usize::from(bytes[0] != 0xd2);
    judge(T::LABEL, &kid, &bytes[start..parts.proofs]);
    let mut rest = &bytes[parts.proofs..];
    for asked in form.proofs() {
        // A proof is a COSE_Sign1 over 32 bytes: its length is fixed.
        let (proof, after) = rest.split_at(2 + 40 + 1 + 34 + 66);
        let parsed = judge(asked.kind.label(), &asked.key, proof);
        assert_eq!(parsed.payload.as_deref(), Some(form.hash().as_bytes().as_slice()));
        rest = after;
    }
    assert!(rest.is_empty());
}

#[test]
fn coset_reads_hashes_and_verifies_every_form_as_we_do() {
    let all = forms();
    agrees(&all.found);
    agrees(&all.found_with_recovery);
    agrees(&all.admit);
    agrees(&all.deny);
    agrees(&all.request);
    agrees(&all.withdrawal);
    agrees(&all.nonce);
    agrees(&all.reveal);
    agrees(&all.put);
    agrees(&all.delete);
    agrees(&all.connect_member);
    agrees(&all.connect_joiner);
}

#[test]
fn what_coset_signs_we_accept() {
    let all = forms();
    let bytes = all.withdrawal.bytes();
    let payload = bytes[layout(bytes).payload].to_vec();
    let key = crate::world::keys("tablet").signing;
    let dalek = ed25519_dalek::SigningKey::from_bytes(&key.expose_seed());
    let protected = coset::HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).key_id(key.public().to_vec()).build();
    let made = coset::CoseSign1Builder::new()
        .protected(protected)
        .payload(payload)
        .create_signature(b"countersign/v1/withdrawal", |tbs| ed25519_dalek::Signer::sign(&dalek, tbs).to_vec())
        .build();
    assert_eq!(made.clone().to_tagged_vec().unwrap(), **bytes);
    let untagged = made.to_vec().unwrap();
    let refused = Verified::<protocol::request::Withdrawal>::from_bytes(&untagged).unwrap_err();
    assert_eq!(refused.code(), "malformed");
}
