//! Properties over values and bytes that nobody thought of.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::cbor::{self, Blob};
use protocol::code::SyncCode;
use protocol::connect::{Connect, Cursor};
use protocol::entry::Entry;
use protocol::id::{BlindedCollection, BlindedId, Commitment, Random};
use protocol::keys::{DeviceKeys, SealingSecret, SigningKey};
use protocol::record::{Kind, Record};
use protocol::request::{Description, JoinRequest, Withdrawal};
use protocol::round::{Commitments, Nonce, Reveal, commit, links};
use protocol::wire::{Append, Ask, FromDevice, LogPage, Put, RecordPage, Standing, ToDevice};
use protocol::{ChainId, Form, Hash, RequestId, Signed, VERSION, Verified, http_signature, limits, seal};

use crate::forms::forms;
use crate::support::SeededRng;
use crate::world::asks_with;

fn key() -> impl Strategy<Value = SigningKey> {
    any::<[u8; 32]>().prop_map(|seed| SigningKey::from_seed(&seed))
}

/// Decodes as every form there is; verifying too must never panic.
fn decode_as_everything(bytes: &[u8]) -> usize {
    fn one<T: Form>(bytes: &[u8]) -> usize {
        Signed::<T>::decode(bytes).map(Signed::verify).is_ok_and(|verified| verified.is_ok()).into()
    }
    one::<Entry>(bytes)
        + one::<JoinRequest>(bytes)
        + one::<Withdrawal>(bytes)
        + one::<Nonce>(bytes)
        + one::<Reveal>(bytes)
        + one::<Record>(bytes)
        + one::<Connect>(bytes)
}

fn decode_as_every_message(bytes: &[u8]) {
    let most = limits::BODY_BYTES_MAX;
    let _ = ToDevice::from_bytes(bytes);
    let _ = FromDevice::from_bytes(bytes);
    let _ = cbor::decode::<Append>("append", bytes, most);
    let _ = cbor::decode::<Ask>("ask", bytes, most);
    let _ = cbor::decode::<Put>("put", bytes, most);
    let _ = cbor::decode::<LogPage>("log page", bytes, most);
    let _ = cbor::decode::<RecordPage>("record page", bytes, most);
    let _ = cbor::decode::<Standing>("standing", bytes, most);
    let _ = Description::from_opened(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_is_the_same_after_the_wire(
        key in key(), chain: [u8; 32], names: [[u8; 32]; 2], epoch: u64, counter in 1..=u64::MAX,
        hashes: [[u8; 32]; 3], based: bool, at: u64, put: bool,
    ) {
        let record = Record {
            version: VERSION,
            chain: ChainId(chain),
            collection: BlindedCollection(names[0]),
            id: BlindedId(names[1]),
            epoch,
            counter,
            last: (counter > 1).then_some(Hash(hashes[0])),
            base: based.then_some(Hash(hashes[1])),
            head: Hash(hashes[2]),
            at,
            kind: if put { Kind::Put } else { Kind::Delete },
            ciphertext_hash: put.then_some(Hash(hashes[0])),
        };
        let made = Verified::sign(record.clone(), &key, &[]).unwrap();
        let read = Verified::<Record>::from_bytes(made.bytes()).unwrap();
        prop_assert_eq!(&*read, &record);
        prop_assert_eq!((read.hash(), read.signer(), read.bytes()), (made.hash(), key.device_id(), made.bytes()));
    }

    #[test]
    fn a_nonce_is_the_same_after_the_wire(
        key in key(), ids: [[u8; 32]; 4], round in 1..=limits::ROUNDS_MAX, epoch: u64,
    ) {
        let nonce = Nonce {
            version: VERSION,
            chain: ChainId(ids[0]),
            request: RequestId(ids[1]),
            round,
            head: Hash(ids[2]),
            epoch,
            nonce: Random(ids[3]),
        };
        let made = Verified::sign(nonce.clone(), &key, &[]).unwrap();
        prop_assert_eq!(&*Verified::<Nonce>::from_bytes(made.bytes()).unwrap(), &nonce);
    }

    #[test]
    fn a_request_is_the_same_after_the_wire(seed: [u8; 32], code: [u8; 32], name in "\\PC{0,64}") {
        let mut rng = SeededRng::new(&data_encoding::HEXLOWER.encode(&seed));
        let keys = DeviceKeys { signing: SigningKey::draw(&mut rng), sealing: SealingSecret::draw(&mut rng) };
        let code = SyncCode::from_bytes(code);
        let joiner = asks_with(&name, &keys, &code);
        let read = Verified::<JoinRequest>::from_bytes(joiner.request.bytes()).unwrap();
        prop_assert_eq!(&*read, &*joiner.request);
        prop_assert!(read.names(&joiner.sealed));
        let opened = Description::open(&code, &keys.id(), &joiner.sealed).unwrap();
        prop_assert_eq!(opened, joiner.description);
    }

    #[test]
    fn a_cursor_and_any_bodies_are_the_same_after_the_wire(store: u64, number: u64, blobs in vec(vec(any::<u8>(), 0..64), 0..8)) {
        let cursor = Cursor { store, number };
        prop_assert_eq!(cbor::decode::<Cursor>("cursor", &cbor::encode(&cursor), 64), Ok(cursor));
        let page = LogPage { entries: blobs.into_iter().map(Blob).collect(), head: Hash([1; 32]), seq: number };
        let message = ToDevice::Entries(page);
        prop_assert_eq!(ToDevice::from_bytes(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..512)) {
        prop_assert_eq!(decode_as_everything(&bytes), 0);
        decode_as_every_message(&bytes);
    }

    #[test]
    fn words_and_payload_lead_back_to_the_code(secret: [u8; 32], relay in "https?://[a-z0-9.:/?=&%#_-]{1,60}") {
        let code = SyncCode::from_bytes(secret);
        prop_assert_eq!(SyncCode::from_words(&code.words()), Ok(code.clone()));
        prop_assert_eq!(SyncCode::from_payload(&code.payload(&relay)), Ok((code, relay)));
    }

    #[test]
    fn text_that_nobody_made_is_no_code(text in "\\PC{0,200}") {
        prop_assert!(SyncCode::from_words(&text).is_err());
        prop_assert!(SyncCode::from_payload(&text).is_err());
    }

    #[test]
    fn a_commitment_links_in_its_own_round_only(secret: [u8; 32], round in 1..=limits::ROUNDS_MAX, other in 0..=255_u8) {
        let commitments = Commitments::from_bytes(secret);
        let value = commitments.value(round);
        prop_assert_eq!(links(&commitments.public(), other, &value), other == round);
        prop_assert_eq!(commit(&value), commitments.value(round - 1));
        prop_assert!(!links(&commitments.public(), round, &Commitment(secret.map(|byte| byte ^ 1))));
    }

    #[test]
    fn sealed_values_open_to_what_was_sealed(seed in "[a-z]{8}", info in vec(any::<u8>(), 0..64), aad in vec(any::<u8>(), 0..64), value in vec(any::<u8>(), 0..256)) {
        let mut rng = SeededRng::new(&seed);
        let secret = SealingSecret::draw(&mut rng);
        let blob = seal::seal_to(&secret.public(), &info, &aad, &value, &mut rng).unwrap();
        let opened = seal::open_with(&secret, &info, &aad, &blob).unwrap();
        prop_assert_eq!(opened.as_slice(), value.as_slice());
    }

    #[test]
    fn a_signed_read_is_believed_for_what_it_was_signed_for(key in key(), path in "/[a-z0-9/?=&]{0,40}", created in 100..4_000_000_000_u64, nonce: [u8; 32]) {
        let uri = format!("http://127.0.0.1:7370{path}");
        let headers = http_signature::sign(&key, "GET", &uri, created, Random(nonce));
        let read = |uri: String| http_signature::verify(Some(&headers.input), Some(&headers.signature), "GET", &[uri], created);
        prop_assert_eq!(read(uri.clone()), Ok(key.device_id()));
        let elsewhere = read(uri + "x");
        prop_assert!(elsewhere.is_err());
    }

    #[test]
    fn no_headers_make_the_reader_panic(input in "\\PC{0,200}", signature in "\\PC{0,200}") {
        let read = http_signature::verify(Some(&input), Some(&signature), "GET", &[String::new()], 0);
        prop_assert!(read.is_err());
    }
}

/// Valid forms with a few bytes overwritten, removed or put in: none is accepted as anything unless it is still the same bytes.
#[test]
fn no_mutation_of_a_valid_form_verifies() {
    let all = forms();
    let valid: Vec<Vec<u8>> = vec![
        all.found_with_recovery.bytes().to_vec(),
        all.admit.bytes().to_vec(),
        all.deny.bytes().to_vec(),
        all.request.bytes().to_vec(),
        all.withdrawal.bytes().to_vec(),
        all.nonce.bytes().to_vec(),
        all.reveal.bytes().to_vec(),
        all.put.bytes().to_vec(),
        all.connect_member.bytes().to_vec(),
    ];
    let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let edit = (any::<prop::sample::Index>(), 0..3_u8, any::<u8>());
    let strategy = (prop::sample::select(valid), vec(edit, 1..4));
    runner
        .run(&strategy, |(form, edits)| {
            let mut bytes = form.clone();
            for (index, kind, value) in edits {
                let at = index.index(bytes.len());
                match kind {
                    0 => bytes[at] = value,
                    1 => bytes.insert(at, value),
                    _ => drop(bytes.remove(at)),
                }
            }
            prop_assert_eq!(decode_as_everything(&bytes), usize::from(bytes == form));
            decode_as_every_message(&bytes);
            Ok(())
        })
        .unwrap();
}
