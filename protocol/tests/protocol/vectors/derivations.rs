//! `docs/vectors/derivations.json`: everything that follows from a secret by a formula of `docs/protocol.md`.

use hkdf::Hkdf;
use protocol::Verified;
use protocol::code::{RecoveryCode, SyncCode};
use protocol::keys::EpochKey;
use protocol::record::{self, Record};
use protocol::refill;
use protocol::round::{Commitments, commit};
use protocol::totp::TotpSecret;
use sha2::{Digest as _, Sha256};

use super::json::{Json, hex, list, object};
use super::{compare, note};
use crate::forms::forms;
use crate::world::{Chain, keys};

/// HKDF-SHA256 without salt, written down a second time: the formula of the page, not the function of the crate.
fn hkdf(secret: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    Hkdf::<Sha256>::new(None, secret).expand(info, &mut out).unwrap();
    out
}

fn derived(name: &str, secret: &[u8], label: &str, rest: &[u8]) -> (Json, Vec<u8>) {
    let info = [label.as_bytes(), rest].concat();
    let out = hkdf(secret, &info, 32);
    let json = object! {
        "name": name, "secret": hex(secret), "label": label, "info": hex(&info), "length": 32u64, "out": hex(&out),
    };
    (json, out)
}

/// The sync codes: the one of the fixed world, and the two of BIP-39's own vectors that people know by heart.
fn sync_codes() -> [(&'static str, SyncCode); 3] {
    [
        ("world", Chain::founded().founding.code),
        ("zeros", SyncCode::from_bytes([0; 32])),
        ("ones", SyncCode::from_bytes([0xff; 32])),
    ]
}

fn of_sync_codes() -> Json {
    let of = |(name, code): (&str, SyncCode)| {
        let (join, seed) = derived("join key seed", code.expose(), "countersign/v1/join-key", &[]);
        let (description, key) = derived("description key", code.expose(), "countersign/v1/description-key", &[]);
        assert_eq!(seed, code.join_key().expose_seed().as_slice());
        assert_eq!(key, code.description_key().expose());
        object! {
            "name": name,
            "sync_code": hex(code.expose()),
            "words": code.words().as_str(),
            "derived": list([join, description]),
            "join_key": hex(code.join_key().public()),
        }
    };
    list(sync_codes().into_iter().map(of))
}

fn of_recovery_codes() -> Json {
    let of = |(name, bits): (&str, [u8; 32])| {
        let code = RecoveryCode::from_bytes(bits);
        let (signing, seed) = derived("signing seed", &bits, "countersign/v1/recovery-signing", &[]);
        let (sealing, secret) = derived("sealing secret", &bits, "countersign/v1/recovery-sealing", &[]);
        let keys = code.keys();
        assert_eq!(seed, keys.signing.expose_seed().as_slice());
        assert_eq!(secret, keys.sealing.expose().as_slice());
        object! {
            "name": name,
            "recovery_code": hex(bits),
            "words": code.words().as_str(),
            "derived": list([signing, sealing]),
            "signing": hex(keys.id().0),
            "sealing": hex(keys.sealing.public().as_bytes()),
        }
    };
    list([("sevens", [7; 32]), ("zeros", [0; 32])].into_iter().map(of))
}

/// Codes of the SHA-1 secret of RFC 6238, appendix B, cut to six digits.
fn of_one_time_codes() -> Json {
    let secret = TotpSecret::from_bytes(*b"12345678901234567890");
    let of = |(now, digits): (u64, &str)| {
        let step = secret.step_of(digits, now);
        assert_eq!(step, Some(now / 30));
        object! { "name": format!("at {now}"), "secret": hex(secret.expose()), "now_s": now, "code": digits, "step": step }
    };
    let codes = [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")];
    list(codes.into_iter().map(of))
}

fn of_epoch_keys() -> Json {
    let of = |(name, key, epoch): (&str, EpochKey, u64)| {
        let derive = |name: &str| {
            derived(&name.replace('-', " "), key.expose(), &format!("countersign/v1/{name}"), &epoch.to_be_bytes())
        };
        let (id, bytes) = derive("key-id");
        assert_eq!(bytes, key.key_id(epoch).0);
        object! {
            "name": name,
            "epoch_key": hex(key.expose()),
            "epoch": epoch,
            "derived": list([id, derive("wrap-key").0, derive("record-key").0]),
        }
    };
    let world = Chain::founded().founding.epoch_key;
    list(
        [
            ("world", world.clone(), 1),
            ("the same key in another epoch", world, 2),
            ("an epoch of more than 32 bits", EpochKey::from_bytes([0x5a; 32]), 0x0001_0203_0405_0607),
        ]
        .map(of),
    )
}

fn of_name_keys() -> Json {
    let chain = Chain::founded();
    let key = chain.keyring.name_key();
    let of = |(collection, name): (&str, &str)| {
        let blinded = record::blind_collection(key, collection);
        object! {
            "name": format!("{collection}/{name}"),
            "name_key": hex(key.expose()),
            "collection": collection,
            "id": name,
            "blinded_collection": hex(blinded.0),
            "blinded_id": hex(record::blind_id(key, &blinded, name).0),
        }
    };
    list([("notes", "first"), ("notes", "second"), ("note", "sfirst"), ("Notizen für später", "☂")].map(of))
}

fn of_commitments() -> Json {
    let of = |(name, secret): (&str, Commitments)| {
        let values: Vec<_> = (0..=8).map(|round| secret.value(round)).collect();
        assert!(values.windows(2).all(|pair| commit(&pair[1]) == pair[0]));
        object! { "name": name, "c": list(values.iter().map(|value| hex(value.0))) }
    };
    let phone = Chain::founded().asks("phone").commitments;
    list([("phone", phone), ("zeros", Commitments::from_bytes([0; 32]))].map(of))
}

/// Check codes of several rounds, so that one of them begins with a zero.
fn of_check_codes() -> Json {
    let chain = Chain::founded();
    let mut cases = Vec::new();
    for joiner in ["phone", "tablet"].map(|name| chain.asks(name)) {
        let mut rounds = joiner.rounds();
        for round in 1..=8 {
            let nonce = chain.opens(&keys("laptop"), &joiner, round);
            let answer = rounds.answer(nonce.clone(), &joiner.keys.signing).unwrap();
            let secret = [answer.reveal.value.0, nonce.nonce.0].concat();
            let info = [b"countersign/v1/check-code".as_slice(), &nonce.request.0, &nonce.hash().0].concat();
            let out = hkdf(&secret, &info, 8);
            let code = u64::from_be_bytes(out.clone().try_into().unwrap()) % 1_000_000;
            assert_eq!(format!("{:03} {:03}", code / 1000, code % 1000), *answer.code.digits());
            cases.push(object! {
                "name": format!("round {round} of {}", joiner.description.name),
                "c": hex(answer.reveal.value.0),
                "nonce": hex(nonce.nonce.0),
                "request": hex(nonce.request.0),
                "nonce_hash": hex(nonce.hash().0),
                "secret": hex(&secret),
                "info": hex(&info),
                "out": hex(&out),
                "check_code": format!("{code:06}"),
            });
        }
    }
    Json::List(cases)
}

fn of_payloads() -> Json {
    let code = Chain::founded().founding.code;
    let of = |relay: &str| {
        let sum = Sha256::new_with_prefix(b"countersign/v1/payload-checksum").chain_update(code.expose()).finalize();
        object! {
            "relay": relay,
            "sync_code": hex(code.expose()),
            "checksum": hex(&sum[..4]),
            "payload": code.payload(relay).as_str(),
        }
    };
    list(["https://relay.example", "http://[::1]:7370", "https://r/%26&a=b"].map(of))
}

/// A text that somebody types or a camera reads, and what is wrong with it.
fn text_case(name: &str, kind: &str, text: &str) -> Json {
    let (error, code) = match kind {
        "words" => (SyncCode::from_words(text).err(), SyncCode::from_words(text).ok()),
        _ => (SyncCode::from_payload(text).err(), SyncCode::from_payload(text).ok().map(|(code, _)| code)),
    };
    let mut json = object! {
        "name": name, "kind": kind, "text": text, "error": error.as_ref().map(|error| error.code()),
        "sync_code": code.map(|code| hex(code.expose())),
    };
    if let Some(protocol::code::CodeError::UnknownWord { position, .. }) = error {
        json.push("position", position);
    }
    json
}

fn of_texts() -> Json {
    let code = Chain::founded().founding.code;
    let words: Vec<String> = code.words().split(' ').map(str::to_owned).collect();
    let swapped = [words[1].clone(), words[0].clone()].into_iter().chain(words[2..].iter().cloned());
    let mistyped = words.iter().enumerate().map(|(at, word)| if at == 4 { "abandn".to_owned() } else { word.clone() });
    let payload = code.payload("https://relay.example").to_string();
    let changed = payload.replace("code=q", "code=r");
    let texts = [
        ("words", words.join(" ")),
        ("words in capitals, on lines of four", words.join(" ").to_uppercase().replace(' ', "\n")),
        ("23 words", words[..23].join(" ")),
        ("no words", String::new()),
        ("a word that is not on the list", mistyped.collect::<Vec<_>>().join(" ")),
        ("two words that changed places", swapped.collect::<Vec<_>>().join(" ")),
        ("payload", payload.clone()),
        ("payload between spaces", format!("  {payload}\n")),
        (
            "code before relay",
            format!("countersign:join?code={}&relay=https://relay.example", payload.rsplit('=').next().unwrap()),
        ),
        ("another scheme", payload.replace("join", "ticket")),
        ("no relay", format!("countersign:join?code={}", payload.rsplit('=').next().unwrap())),
        ("no code", "countersign:join?relay=https://relay.example".to_owned()),
        ("two relays", format!("{payload}&relay=https://other.example")),
        ("another part", format!("{payload}&x=y")),
        ("a changed code", changed),
        ("a cut code", payload[..payload.len() - 1].to_owned()),
        ("a code with padding", format!("{payload}=")),
    ];
    let kind = |text: &str| if text.contains("countersign:") { "payload" } else { "words" };
    list(texts.map(|(name, text)| text_case(name, kind(&text), &text)))
}

/// What a refill names the records beside it by.
fn of_refills() -> Json {
    let all = forms();
    let (put, delete) = (all.put, all.delete);
    let of = |name: &str, records: &[&Verified<Record>]| {
        let joined: Vec<u8> = records.iter().flat_map(|record| *record.hash().as_bytes()).collect();
        let out = Sha256::digest(&joined);
        assert_eq!(refill::hash_of(records.iter().copied()).as_bytes()[..], out[..]);
        let hashes = records.iter().map(|record| hex(record.hash().0));
        object! { "name": name, "records": list(hashes), "out": hex(out) }
    };
    list([of("one", &[&put]), of("two", &[&put, &delete]), of("two in another order", &[&delete, &put])])
}

#[test]
fn derivations_are_the_same_as_ever() {
    let file = object! {
        "about": note("Every formula of docs/protocol.md that makes one secret or name of another."),
        "sync_codes": of_sync_codes(),
        "recovery_codes": of_recovery_codes(),
        "one_time_codes": of_one_time_codes(),
        "epoch_keys": of_epoch_keys(),
        "blinded_names": of_name_keys(),
        "commitments": of_commitments(),
        "check_codes": of_check_codes(),
        "refills": of_refills(),
        "payloads": of_payloads(),
        "texts": of_texts(),
    };
    compare("derivations.json", &file);
}
