//! No secret can be printed by accident.

use core::fmt::Debug;

use protocol::keys::{DerivedKey, EpochKey};
use protocol::policy::Role;
use protocol::record::{self, Content, Draft, Line};
use protocol::round::{Attempt, Prompt};

use crate::support::SeededRng;
use crate::world::{AT, Chain};

/// All ways in which four bytes of a secret would show in a debug text.
fn shows(text: &str, secret: &[u8]) -> bool {
    let flat: String = text.split_whitespace().collect();
    secret.windows(4).any(|window| {
        let hex = data_encoding::HEXLOWER.encode(window);
        let list: Vec<String> = window.iter().map(u8::to_string).collect();
        flat.to_lowercase().contains(&hex) || flat.contains(&list.join(","))
    })
}

#[test]
fn debug_of_everything_that_holds_a_secret_shows_none_of_it() {
    let mut chain = Chain::founded();
    let phone = chain.joined("phone", Role::Approver);
    let tablet = chain.asks("tablet");
    let nonce = chain.opens(&chain.laptop, &tablet, 1);
    let answer = tablet.answers(&nonce);
    let mut rounds = tablet.rounds();
    rounds.answer(nonce.clone(), &tablet.keys.signing).unwrap();
    let prompt = Prompt::new(tablet.request.clone(), nonce, &answer.reveal).unwrap();
    let attempt = prompt.type_code(&answer.code.digits());
    let Attempt::Right(confirmed) = &attempt else { panic!("the right code is right") };
    let acting = chain.acting(&phone.keys);
    let draft = Draft { collection: "hidden-collection", id: "hidden-name", value: Some(b"v"), base: None, at: AT };
    let mut rng = SeededRng::new("secrets");
    let (put, ciphertext) = record::write(acting, Line::default(), &draft, &mut rng).unwrap();
    let content: Content = record::open(&chain.keyring, &put, &ciphertext.unwrap()).unwrap();

    let holders: Vec<(&str, &dyn Debug)> = vec![
        ("epoch key", chain.keyring.epoch_key()),
        ("name key", chain.keyring.name_key()),
        ("sync code", &chain.founding.code),
        ("founding", &chain.founding),
        ("keyring", &chain.keyring),
        ("signing key", &phone.keys.signing),
        ("sealing secret", &phone.keys.sealing),
        ("device keys", &phone.keys),
        ("commitments", &tablet.commitments),
        ("joiner's rounds", &rounds),
        ("answer", &answer),
        ("check code", &answer.code),
        ("prompt", &prompt),
        ("attempt", &attempt),
        ("confirmed", confirmed),
        ("acting", &acting),
        ("content", &content),
        ("record", &put),
        ("roster", &chain.roster),
    ];
    let join = chain.founding.code.join_key();
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("epoch key", chain.founding.epoch_key.expose().to_vec()),
        ("name key", chain.keyring.name_key().expose().to_vec()),
        ("sync code", chain.founding.code.expose().to_vec()),
        ("description key", chain.founding.code.description_key().expose().to_vec()),
        ("join key", join.expose_seed().to_vec()),
        ("signing seed", phone.keys.signing.expose_seed().to_vec()),
        ("sealing secret", phone.keys.sealing.expose().to_vec()),
        ("c8", tablet.commitments.expose().to_vec()),
    ];
    let words = chain.founding.code.words();
    let digits = answer.code.digits();
    let texts = [words.split(' ').take(2).collect::<Vec<_>>().join(" "), digits.to_string(), digits.replace(' ', "")];
    for (holder, value) in holders {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            for (name, secret) in &secrets {
                assert!(!shows(&text, secret), "{holder} shows the {name}: {text}");
            }
            for secret in texts.iter().map(String::as_str).chain(["hidden-collection", "hidden-name"]) {
                assert!(!text.contains(secret), "{holder} shows {secret}: {text}");
            }
        }
    }
    assert!(shows("[1, 2, 3, 4]", &[1, 2, 3, 4]) && shows("0x01020304", &[1, 2, 3, 4]), "the scan can see");
}

#[test]
fn secrets_compare_and_have_no_display() {
    assert_eq!(EpochKey::from_bytes([1; 32]), EpochKey::from_bytes([1; 32]));
    assert_ne!(EpochKey::from_bytes([1; 32]), EpochKey::from_bytes([2; 32]));
    assert_eq!(format!("{:?}", DerivedKey::from_bytes([1; 32])), "DerivedKey(secret)");
}

/// The types underneath wipe themselves; ours hold nothing else.
#[test]
fn what_holds_a_secret_wipes_itself() {
    fn wiped<T: zeroize::ZeroizeOnDrop>() {}
    wiped::<zeroize::Zeroizing<[u8; 32]>>();
    wiped::<ed25519_dalek::SigningKey>();
    wiped::<x25519_dalek::StaticSecret>();
}
