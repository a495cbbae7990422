//! What a joiner believes of a log that seems to admit it, and what an epoch key must fit.

use std::sync::Arc;

use protocol::cbor::Blob;
use protocol::decision::{Accepts, AdmissionError, accept_admission};
use protocol::entry::{Body, Entry, EntryEvidence, WelcomePlace, open_welcome, seal_welcome};
use protocol::error::FormError;
use protocol::keyring::{Keyring, KeyringError};
use protocol::keys::EpochKey;
use protocol::policy::{How, Role};
use protocol::roster::Roster;
use protocol::seal::{SealBroken, Wrapped};
use protocol::{Hash, Signed, Verified};

use crate::support::{SeededRng, sig_structure};
use crate::world::{Chain, Joiner, asks_with, keys};

/// A phone that asked, the admit for it, and the log with it.
fn admitted(change: impl FnOnce(&Chain, &Joiner, &mut protocol::entry::Admit)) -> (Chain, Joiner, Verified<Entry>) {
    let mut chain = Chain::founded();
    let phone = chain.asks("phone");
    let good = chain.admits(&chain.laptop, &phone, Role::Writer);
    let admit = chain.changed(&chain.laptop, &good, |entry| {
        let Body::Admit(admit) = &mut entry.body else { panic!("an admit is an admit") };
        change(&chain, &phone, admit);
    });
    chain.append(&admit);
    (chain, phone, admit)
}

fn accepts(chain: &Chain, phone: &Joiner, admit: &Verified<Entry>) -> Result<Keyring, AdmissionError> {
    let laptop = chain.laptop.id();
    accept_admission(
        &chain.roster,
        admit,
        &phone.keys,
        &phone.request,
        &[Accepts::TypedBy(&|device| *device == laptop)],
    )
}

fn place(chain: &Chain, phone: &Joiner, admit: &Verified<Entry>) -> WelcomePlace {
    WelcomePlace {
        chain: chain.roster.chain(),
        request: phone.request.id(),
        approver: chain.laptop.id(),
        epoch: 1,
        prev: admit.prev.unwrap(),
    }
}

#[test]
fn a_joiner_accepts_the_admission_it_asked_for_and_has_the_keys() {
    let (chain, phone, admit) = admitted(|_, _, _| {});
    let keyring = accepts(&chain, &phone, &admit).unwrap();
    assert_eq!(keyring.epoch_key(), &chain.founding.epoch_key);
    assert_eq!(keyring.code(), &chain.founding.code);
    let laptop = chain.roster.member(&chain.laptop.id()).unwrap();
    assert_eq!(keyring.describe(&chain.roster, laptop).unwrap().name, "laptop");
    let own = chain.roster.member(&phone.keys.id()).unwrap();
    assert_eq!(keyring.describe(&chain.roster, own).unwrap(), phone.description);
}

#[test]
fn a_joiner_refuses_a_chain_with_another_sync_code() {
    let (_, phone, _) = admitted(|_, _, _| {});
    let mut other = Chain::founded_with("stranger", protocol::policy::Policy::default());
    let there = asks_with("phone", &phone.keys, &other.founding.code);
    let admit = other.admits(&other.laptop, &there, Role::Writer);
    other.append(&admit);
    assert_eq!(accepts(&other, &phone, &admit).unwrap_err(), AdmissionError::OtherJoinKey);
}

#[test]
fn a_joiner_refuses_a_log_that_does_not_admit_it() {
    let (chain, phone, admit) = admitted(|_, _, _| {});
    let roster = Roster::found(&chain.log[0]).unwrap();
    let showed = [Accepts::TypedBy(&|_| true)];
    let refused = accept_admission(&roster, &admit, &phone.keys, &phone.request, &showed).unwrap_err();
    assert_eq!(refused, AdmissionError::NotAdmitted);
    let refused = accept_admission(&chain.roster, &chain.log[0], &phone.keys, &phone.request, &showed).unwrap_err();
    assert_eq!(refused, AdmissionError::NotAdmitted, "the founding entry is no admission");
}

#[test]
fn a_joiner_refuses_an_admit_that_is_not_the_one_in_the_log() {
    let (mut chain, phone, admit) = admitted(|_, _, _| {});
    let tablet = chain.joined("tablet", Role::Writer);
    let other = chain.log.last().unwrap().clone();
    assert_eq!(accepts(&chain, &phone, &other).unwrap_err(), AdmissionError::NotAdmitted);
    let refused =
        accept_admission(&chain.roster, &admit, &tablet.keys, &tablet.request, &[Accepts::TypedBy(&|_| true)])
            .unwrap_err();
    assert_eq!(refused, AdmissionError::NotAdmitted);
}

#[test]
fn a_joiner_refuses_an_admission_of_another_request_with_its_keys() {
    let (chain, mut phone, admit) = admitted(|_, _, _| {});
    phone.request = asks_with("phone again", &phone.keys, &chain.founding.code).request;
    assert_eq!(accepts(&chain, &phone, &admit).unwrap_err(), AdmissionError::OtherKeys);
}

#[test]
fn a_joiner_refuses_an_admission_with_another_sealing_key() {
    let (chain, mut phone, admit) = admitted(|_, _, _| {});
    phone.keys.sealing = keys("stranger").sealing;
    assert_eq!(accepts(&chain, &phone, &admit).unwrap_err(), AdmissionError::OtherKeys);
}

#[test]
fn a_joiner_refuses_an_approver_whose_code_it_never_showed() {
    let (chain, phone, admit) = admitted(|_, _, _| {});
    let refused = accept_admission(&chain.roster, &admit, &phone.keys, &phone.request, &[Accepts::TypedBy(&|_| false)])
        .unwrap_err();
    assert_eq!(refused, AdmissionError::NotTheApprover);
}

#[test]
fn a_joiner_refuses_every_way_but_typed() {
    let (chain, phone, admit) = admitted(|_, _, _| {});
    let untyped = chain.changed(&chain.laptop, &admit, |entry| {
        let Body::Admit(admit) = &mut entry.body else { panic!("an admit is an admit") };
        admit.how = How::None;
    });
    // The log itself refuses it; a joiner that was handed such an entry does not find it there.
    assert_eq!(accepts(&chain, &phone, &untyped).unwrap_err(), AdmissionError::NotAdmitted);
}

#[test]
fn a_welcome_opens_in_its_own_place_only() {
    let (chain, phone, admit) = admitted(|_, _, _| {});
    let place = place(&chain, &phone, &admit);
    let Body::Admit(body) = &admit.body else { panic!("an admit is an admit") };
    let secret = &phone.keys.sealing;
    assert_eq!(open_welcome(secret, &place, &body.welcome).unwrap(), chain.founding.epoch_key);
    let others = [
        WelcomePlace { chain: protocol::ChainId([1; 32]), ..place },
        WelcomePlace { request: protocol::RequestId([1; 32]), ..place },
        WelcomePlace { approver: phone.keys.id(), ..place },
        WelcomePlace { epoch: 2, ..place },
        WelcomePlace { prev: Hash([1; 32]), ..place },
    ];
    for other in others {
        assert_eq!(open_welcome(secret, &other, &body.welcome), Err(SealBroken), "{other:?}");
    }
    assert_eq!(open_welcome(&chain.laptop.sealing, &place, &body.welcome), Err(SealBroken));
}

#[test]
fn a_joiner_refuses_a_welcome_made_for_another_place() {
    let (chain, phone, admit) = admitted(|chain, phone, admit| {
        let elsewhere = WelcomePlace {
            chain: chain.roster.chain(),
            request: phone.request.id(),
            approver: chain.laptop.id(),
            epoch: 1,
            prev: Hash([9; 32]),
        };
        let mut rng = SeededRng::new("elsewhere");
        let key = &chain.founding.epoch_key;
        admit.welcome = seal_welcome(&phone.request.device.sealing, &elsewhere, key, &mut rng).unwrap();
    });
    assert_eq!(accepts(&chain, &phone, &admit).unwrap_err(), AdmissionError::Keyring(KeyringError::Broken(SealBroken)));
}

#[test]
fn a_joiner_refuses_an_epoch_key_that_the_log_does_not_name() {
    let (chain, phone, admit) = admitted(|chain, phone, admit| {
        let place = WelcomePlace {
            chain: chain.roster.chain(),
            request: phone.request.id(),
            approver: chain.laptop.id(),
            epoch: 1,
            prev: chain.roster.head(),
        };
        let mut rng = SeededRng::new("other key");
        let other = EpochKey::from_bytes([9; 32]);
        admit.welcome = seal_welcome(&phone.request.device.sealing, &place, &other, &mut rng).unwrap();
    });
    assert_eq!(accepts(&chain, &phone, &admit).unwrap_err(), AdmissionError::Keyring(KeyringError::OtherKey));
}

#[test]
fn a_keyring_refuses_a_sync_code_that_does_not_yield_the_join_key() {
    let chain = Chain::founded();
    let epoch_key = &chain.founding.epoch_key;
    let join = chain.founding.code.join_key();
    let mut form = (*chain.founding.entry).clone();
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    let anchor = [found.join_key.as_bytes().as_slice()];
    let mut rng = SeededRng::new("other code");
    found.sync_code = epoch_key.wrap(1, Wrapped::SyncCode, &anchor, &[9; 32], &mut rng).unwrap();
    let entry = Verified::sign(form.clone(), &chain.laptop.signing, &[&join]).unwrap();
    let roster = Roster::found(&entry).unwrap();
    assert_eq!(Keyring::open(&roster, epoch_key.clone()).unwrap_err(), KeyringError::OtherCode);
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    core::mem::swap(&mut found.sync_code, &mut found.name_key);
    let entry = Verified::sign(form, &chain.laptop.signing, &[&join]).unwrap();
    let roster = Roster::found(&entry).unwrap();
    assert_eq!(
        Keyring::open(&roster, epoch_key.clone()).unwrap_err(),
        KeyringError::Broken(SealBroken),
        "a value wrapped as one thing is not another"
    );
}

#[test]
fn a_deny_holds_no_key_material() {
    let chain = Chain::founded();
    let phone = chain.asks("phone");
    let deny = chain.denies(&chain.laptop, &phone);
    assert!(deny.bytes().len() < 320, "{} bytes", deny.bytes().len());
    let secrets = [chain.founding.epoch_key.expose(), chain.keyring.name_key().expose(), chain.founding.code.expose()];
    for secret in secrets {
        assert!(!deny.bytes().windows(32).any(|window| window == secret));
    }
    let _: &Blob = chain.roster.wrapped_name_key();
}

/// Whoever has the sync code can make a second valid join proof for somebody's request. A relay that put it in place of the first
/// had the approver admit a request that its own device did not recognise, and its keys were used up for ever.
#[test]
fn a_joiner_recognises_its_request_with_another_valid_proof() {
    let (_, phone, _) = admitted(|_, _, _| {});
    let (chain, phone, admit) = admitted(|chain, _, admit| {
        admit.request = Blob(reproven(&phone.request, &chain.founding.code.join_key()));
    });
    assert_ne!(**phone.request.bytes(), *reproven_bytes(&admit));
    accepts(&chain, &phone, &admit).unwrap();
}

fn reproven_bytes(admit: &Verified<Entry>) -> Vec<u8> {
    let Body::Admit(admit) = &admit.body else { panic!("an admit is an admit") };
    admit.request.0.clone()
}

/// The request with a join proof whose signature has another R.
pub(crate) fn reproven(
    request: &Verified<protocol::request::JoinRequest>,
    join: &protocol::keys::SigningKey,
) -> Vec<u8> {
    use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
    let mut secret = ExpandedSecretKey::from(&*join.expose_seed());
    secret.hash_prefix[0] ^= 1;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&join.public()).unwrap();
    let message = sig_structure("countersign/v1/join-proof", &join.public(), request.hash().as_bytes());
    let signature = raw_sign::<sha2::Sha512>(&secret, &message, &key).to_bytes();
    let mut bytes = request.bytes().to_vec();
    let at = bytes.len() - signature.len();
    bytes[at..].copy_from_slice(&signature);
    bytes
}

#[test]
fn a_known_request_stands_for_the_same_bytes_and_for_no_others() {
    let (chain, phone, admit) = admitted(|_, _, _| {});
    let known = EntryEvidence::of(Arc::new(phone.request.clone()));
    let decode = |bytes: &[u8]| Signed::<Entry>::decode(bytes).unwrap();
    let verified = decode(admit.bytes()).verify_knowing(Some(&known)).unwrap();
    let request = verified.evidence().request().unwrap();
    assert_eq!(request.bytes(), phone.request.bytes());

    // Its last byte is of the join proof, which no hash covers: the id is still the one that is known.
    let mut entry = (*admit).clone();
    let Body::Admit(body) = &mut entry.body else { panic!("an admit is an admit") };
    *body.request.0.last_mut().unwrap() ^= 1;
    let refused = Verified::sign_knowing(entry, &chain.laptop.signing, &[], Some(&known)).unwrap_err();
    assert_eq!(refused, FormError::BadProof { form: "join request", proof: "join proof" });

    let mut forged = admit.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let refused = decode(&forged).verify_knowing(Some(&known)).unwrap_err();
    assert_eq!(
        refused,
        FormError::BadSignature { form: "entry" },
        "what is known is the request, not the entry around it"
    );
}
