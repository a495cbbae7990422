//! `docs/vectors/sealing.json`: every value that the world seals, with the randomness that went into it, and what does not open.

use hpke::kem::X25519HkdfSha256;
use hpke::{Kem, Serializable as _};
use protocol::cbor::{self, Blob};
use protocol::entry::{Admit, Body, Entry, Found};
use protocol::keys::{DerivedKey, DeviceKeys, EpochKey, SealingSecret};
use protocol::record::{Content, Record};
use protocol::request::Description;
use protocol::seal::{open_under, open_with, seal_to, seal_under};
use protocol::{Verified, policy::Role};
use rand_core::Rng as _;

use super::json::{Json, hex, object};
use super::logs::family;
use super::{compare, note};
use crate::forms::{forms, recovery_info};
use crate::support::SeededRng;
use crate::world::{Chain, Joiner, description, keys};

/// Bytes with names: what an `info` or associated data is put together from.
pub(super) type Parts<'a> = [(&'a str, &'a [u8])];

fn joined(parts: &Parts<'_>) -> Vec<u8> {
    parts.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}

/// `label ‖ chain ‖ device`.
fn formula(parts: &Parts<'_>) -> String {
    parts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ‖ ")
}

/// A label as a part: its name is its text.
fn label(text: &'static str) -> (&'static str, &'static [u8]) {
    (text, text.as_bytes())
}

/// HPKE: what goes into it, and the blob.
pub(super) struct Sealed<'a> {
    pub(super) name: String,
    pub(super) says: &'a str,
    pub(super) to: DeviceKeys,
    pub(super) info: Vec<(&'a str, &'a [u8])>,
    pub(super) aad: Vec<(&'a str, &'a [u8])>,
    pub(super) plaintext: &'a [u8],
    pub(super) ikm: [u8; 32],
    pub(super) blob: &'a Blob,
}

impl Sealed<'_> {
    pub(super) fn to_json(&self) -> Json {
        let (info, aad) = (joined(&self.info), joined(&self.aad));
        let mut rng = Once(self.ikm.to_vec());
        let again = seal_to(&self.to.sealing.public(), &info, &aad, self.plaintext, &mut rng).unwrap();
        assert_eq!(again, *self.blob, "{}: made of this randomness", self.name);
        assert_eq!(open_with(&self.to.sealing, &info, &aad, self.blob).unwrap().as_slice(), self.plaintext);
        let (secret, enc) = X25519HkdfSha256::derive_keypair(&self.ikm);
        assert_eq!(enc.to_bytes().as_slice(), &self.blob[1..33]);
        object! {
            "name": self.name.clone(),
            "comment": self.says,
            "error": Json::Null,
            "suite": "01",
            "sealing_secret": hex(self.to.sealing.expose().as_slice()),
            "sealing": hex(self.to.sealing.public().as_bytes()),
            "info": hex(&info),
            "info_of": formula(&self.info),
            "aad": hex(&aad),
            "aad_of": formula(&self.aad),
            "plaintext": hex(self.plaintext),
            "ikm": hex(self.ikm),
            "ephemeral_secret": hex(secret.to_bytes()),
            "enc": hex(enc.to_bytes()),
            "sealed": hex(&**self.blob),
        }
    }
}

/// XChaCha20-Poly1305: what goes into it, and the blob, which shows its nonce.
pub(super) struct Wrapped<'a> {
    pub(super) name: String,
    pub(super) says: &'a str,
    pub(super) key: [u8; 32],
    pub(super) key_of: &'a str,
    pub(super) aad: Vec<(&'a str, &'a [u8])>,
    pub(super) plaintext: Vec<u8>,
    pub(super) blob: &'a Blob,
}

impl Wrapped<'_> {
    pub(super) fn to_json(&self) -> Json {
        let aad = joined(&self.aad);
        let key = DerivedKey::from_bytes(self.key);
        let nonce = &self.blob[1..25];
        assert_eq!(seal_under(&key, &aad, &self.plaintext, &mut Once(nonce.to_vec())).unwrap(), *self.blob);
        assert_eq!(*open_under(&key, &aad, self.blob).unwrap(), self.plaintext);
        object! {
            "name": self.name.clone(),
            "comment": self.says,
            "error": Json::Null,
            "suite": "02",
            "key": hex(self.key),
            "key_of": self.key_of,
            "aad": hex(&aad),
            "aad_of": formula(&self.aad),
            "plaintext": hex(&self.plaintext),
            "nonce": hex(nonce),
            "sealed": hex(&**self.blob),
        }
    }
}

/// A random source that yields these bytes, once.
struct Once(Vec<u8>);

impl rand_core::TryRng for Once {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.copy_from_slice(&core::mem::take(&mut self.0));
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Once {}

/// The randomness of the welcome in an admit of the world: the second draw, after the description's nonce.
pub(super) fn welcome_ikm(joiner: &Joiner) -> [u8; 32] {
    let mut rng = SeededRng::new(&format!("admit {}", joiner.request.id()));
    let (mut nonce, mut ikm) = ([0; 24], [0; 32]);
    rng.fill_bytes(&mut nonce);
    rng.fill_bytes(&mut ikm);
    ikm
}

/// A key that follows from an epoch key of epoch 1, by the page's formula.
pub(super) fn of_epoch_key(chain: &Chain, label: &str) -> [u8; 32] {
    derived(&chain.founding.epoch_key, label, 1)
}

/// The same of any epoch key and epoch.
pub(super) fn derived(epoch_key: &EpochKey, label: &str, epoch: u64) -> [u8; 32] {
    let mut out = [0; 32];
    let info = [label.as_bytes(), &epoch.to_be_bytes()].concat();
    hkdf::Hkdf::<sha2::Sha256>::new(None, epoch_key.expose()).expand(&info, &mut out).unwrap();
    out
}

pub(super) fn found_body(entry: &Verified<Entry>) -> &Found {
    let Body::Found(found) = &entry.body else { panic!("found is found") };
    found
}

pub(super) fn admit_body(entry: &Verified<Entry>) -> &Admit {
    let Body::Admit(admit) = &entry.body else { panic!("an admit is an admit") };
    admit
}

const WRAP_KEY: &str = "wrap key of epoch 1";

pub(super) fn of_found(chain: &Chain, name: &str) -> Vec<Json> {
    let found = found_body(&chain.log[0]);
    let wrapped = |what: &str, says, aad, plaintext: Vec<u8>, blob| {
        let key = of_epoch_key(chain, "countersign/v1/wrap-key");
        Wrapped { name: format!("{name}/{what}"), says, key, key_of: WRAP_KEY, aad, plaintext, blob }.to_json()
    };
    let join = ("founding join key", found.join_key.0.as_slice());
    let (name_key, code) = (chain.keyring.name_key().expose(), chain.founding.code.expose());
    vec![
        wrapped(
            "name-key",
            "in found",
            vec![label("countersign/v1/wrapped-name-key"), join],
            name_key.to_vec(),
            &found.name_key,
        ),
        wrapped(
            "sync-code",
            "in found",
            vec![label("countersign/v1/wrapped-sync-code"), join],
            code.to_vec(),
            &found.sync_code,
        ),
        wrapped(
            "description",
            "in found",
            vec![label("countersign/v1/wrapped-description"), join, ("device", found.device.signing.0.as_slice())],
            description("laptop").to_bytes(),
            &found.description,
        ),
    ]
}

/// What a joiner seals, and what the laptop seals in admitting it.
pub(super) fn of_joiner(chain: &Chain, joiner: &Joiner, admit: &Verified<Entry>) -> Vec<Json> {
    let name = &joiner.description.name;
    let code = &chain.founding.code;
    let device = ("device", joiner.request.device.signing.0.as_slice());
    let asked = Wrapped {
        name: format!("{name}/request-description"),
        says: "beside the join request",
        key: *code.description_key().expose(),
        key_of: "description key",
        aad: vec![label("countersign/v1/description"), device],
        plaintext: joiner.description.to_bytes(),
        blob: &joiner.sealed,
    };
    let body = admit_body(admit);
    let (chain_id, prev) = (chain.log[0].hash(), admit.prev.unwrap());
    let (request, signer) = (joiner.request.id(), admit.signer());
    let kept = Wrapped {
        name: format!("{name}/admit-description"),
        says: "in the admit",
        key: of_epoch_key(chain, "countersign/v1/wrap-key"),
        key_of: WRAP_KEY,
        aad: vec![label("countersign/v1/wrapped-description"), ("chain", &chain_id.0), device],
        plaintext: joiner.description.to_bytes(),
        blob: &body.description,
    };
    let epoch = 1u64.to_be_bytes();
    let welcome = Sealed {
        name: format!("{name}/welcome"),
        says: "in the admit",
        to: joiner.keys.clone(),
        info: vec![
            label("countersign/v1/welcome"),
            ("chain", &chain_id.0),
            ("request id", &request.0),
            ("signer of the admit", &signer.0),
            ("epoch", &epoch),
        ],
        aad: vec![("prev of the admit", &prev.0)],
        plaintext: chain.founding.epoch_key.expose(),
        ikm: welcome_ikm(joiner),
        blob: &body.welcome,
    };
    vec![asked.to_json(), kept.to_json(), welcome.to_json()]
}

/// What one-time codes seal: their secret in each kind of entry that brings a policy, and a code beside a join request.
fn of_one_time_codes(chain: &Chain, tablet: &Joiner) -> Vec<Json> {
    let (chain_id, join_key) = (chain.roster.chain(), found_body(&chain.log[0]).join_key);
    let sealed = |name: &str, says, key: [u8; 32], key_of, aad: Vec<(&str, &[u8])>, plaintext: Vec<u8>| {
        let mut rng = SeededRng::new(&format!("sealed {name}"));
        let blob = seal_under(&DerivedKey::from_bytes(key), &joined(&aad), &plaintext, &mut rng).unwrap();
        Wrapped { name: name.to_owned(), says, key, key_of, aad, plaintext, blob: &blob }.to_json()
    };
    let (wrap, text) = (of_epoch_key(chain, "countersign/v1/wrap-key"), label("countersign/v1/wrapped-totp"));
    // The secret of RFC 6238's appendix B.
    let secret = b"12345678901234567890".to_vec();
    let founding = vec![text, ("founding join key", join_key.0.as_slice())];
    let later = vec![text, ("chain", chain_id.0.as_slice())];
    let told = Description { totp: Some("755224".to_owned()), ..tablet.description.clone() };
    let device = ("device", tablet.request.device.signing.0.as_slice());
    let key = *chain.founding.code.description_key().expose();
    let asked = vec![label("countersign/v1/description"), device];
    vec![
        sealed("found/totp-secret", "in the policy of found", wrap, WRAP_KEY, founding, secret.clone()),
        sealed("change-policy/totp-secret", "in the policy of change-policy", wrap, WRAP_KEY, later, secret),
        sealed(
            "tablet/totp-request-description",
            "beside a join request, with the one-time code that was typed",
            key,
            "description key",
            asked,
            told.to_bytes(),
        ),
    ]
}

/// A removal in the family: the new epoch key for those who stay, and what it wraps.
fn of_rotation(chain: &Chain) -> Vec<Json> {
    let entry = chain.removes(&chain.laptop, &["phone", "reader"]);
    let rotation = entry.body.rotation().unwrap();
    let mut rng = chain.randomness();
    let mut next = || {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    let (code, epoch_key) = (next(), next());
    let (chain_id, signer, prev) = (chain.roster.chain(), entry.signer(), entry.prev.unwrap());
    let epoch = 2u64.to_be_bytes();
    let mut cases = Vec::new();
    for recipient in &rotation.recipients {
        let name = ["laptop", "writer"].into_iter().find(|name| keys(name).id() == recipient.device).unwrap();
        let sealed = Sealed {
            name: format!("removal/epoch-key-for-the-{name}"),
            says: "in a rotation",
            to: keys(name),
            info: vec![
                label("countersign/v1/rotation-seal"),
                ("chain", &chain_id.0),
                ("recipient", &recipient.device.0),
                ("signer of the entry", &signer.0),
                ("new epoch", &epoch),
            ],
            aad: vec![("prev of the entry", &prev.0)],
            plaintext: &epoch_key,
            ikm: next(),
            blob: &recipient.sealed,
        };
        cases.push(sealed.to_json());
    }
    let key = derived(&EpochKey::from_bytes(epoch_key), "countersign/v1/wrap-key", 2);
    let wrapped = |what: &str, text: &'static str, plaintext: &[u8], blob| {
        let aad = vec![label(text), ("chain", chain_id.0.as_slice())];
        let name = format!("removal/{what}");
        Wrapped {
            name,
            says: "in a rotation",
            key,
            key_of: "wrap key of epoch 2",
            aad,
            plaintext: plaintext.to_vec(),
            blob,
        }
        .to_json()
    };
    let (before, name_key) = (chain.founding.epoch_key.expose(), chain.keyring.name_key().expose());
    cases.push(wrapped("epoch-key-before", "countersign/v1/wrapped-epoch-key", before, &rotation.previous));
    cases.push(wrapped("name-key", "countersign/v1/wrapped-name-key", name_key, &rotation.name_key));
    cases.push(wrapped("sync-code", "countersign/v1/wrapped-sync-code", &code, &rotation.sync_code));
    cases
}

fn of_recovery() -> Json {
    let all = forms();
    let recovery = keys("recovery words");
    let found = found_body(&all.found_with_recovery);
    let info = recovery_info(&all.chain, &recovery);
    let mut ikm = [0; 32];
    SeededRng::new("recovery seal").fill_bytes(&mut ikm);
    let (id, epoch) = (recovery.id(), 1u64.to_be_bytes());
    let sealed = Sealed {
        name: "recovery/epoch-key".to_owned(),
        says: "in a found that brings a recovery device; associated data is empty",
        to: recovery,
        info: vec![
            label("countersign/v1/recovery-seal"),
            ("founding join key", &found.join_key.0),
            ("recovery device", &id.0),
            ("epoch", &epoch),
        ],
        aad: Vec::new(),
        plaintext: all.chain.founding.epoch_key.expose(),
        ikm,
        blob: &found.recovery.as_ref().unwrap().epoch_key,
    };
    assert_eq!(joined(&sealed.info), info);
    sealed.to_json()
}

/// The ciphertext of a put: its associated data is the header without the ciphertext's hash.
pub(super) fn of_record(name: &str, chain: &Chain, record: &Record, ciphertext: &Blob, content: &Content) -> Json {
    let header = cbor::encode(&Record { ciphertext_hash: None, ..record.clone() });
    let sealed = Wrapped {
        name: name.to_owned(),
        says: "the content of a put",
        key: of_epoch_key(chain, "countersign/v1/record-key"),
        key_of: "record key of epoch 1",
        aad: vec![("the record's map without key 11", &header)],
        plaintext: cbor::encode(content),
        blob: ciphertext,
    };
    sealed.to_json()
}

/// What does not open, beside one thing that does.
fn broken(good: &Json, secret: &SealingSecret) -> Vec<Json> {
    let Json::Object(members) = good else { unreachable!() };
    let text = |wanted: &str| {
        let (_, value) = members.iter().find(|(name, _)| name == wanted).unwrap();
        let Json::Text(text) = value else { panic!("{wanted} is a text") };
        text.clone()
    };
    let (name, sealed, aad) = (text("name"), text("sealed"), text("aad"));
    let last = sealed.len() - 2;
    let flipped = |at: usize| {
        let digit = if &sealed[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &sealed[..at], &sealed[at + 1..])
    };
    let mut faults = vec![
        (
            "other-suite",
            "the first byte names the other suite",
            "sealed",
            format!("{}{}", if sealed.starts_with("01") { "02" } else { "01" }, &sealed[2..]),
        ),
        ("suite-0", "a suite that does not exist", "sealed", format!("00{}", &sealed[2..])),
        ("without-suite", "the suite byte is missing", "sealed", sealed[2..].to_owned()),
        ("empty", "nothing at all", "sealed", String::new()),
        ("suite-alone", "a suite byte and nothing else", "sealed", sealed[..2].to_owned()),
        ("cut", "the last byte is missing", "sealed", sealed[..last].to_owned()),
        ("followed", "a byte follows", "sealed", format!("{sealed}00")),
        ("tag", "the last byte is changed", "sealed", flipped(last)),
        ("first", "the first byte after the suite is changed", "sealed", flipped(2)),
        ("other-aad", "a byte follows the associated data", "aad", format!("{aad}00")),
    ];
    if !aad.is_empty() {
        faults.push(("no-aad", "without associated data", "aad", String::new()));
    }
    if sealed.starts_with("01") {
        let info = text("info");
        faults.push(("other-info", "another info", "info", format!("{}00", &info[..info.len() - 2])));
        faults.push((
            "enc-0",
            "enc is of low order: the shared secret would be known to all",
            "sealed",
            format!("01{}{}", "00".repeat(32), &sealed[66..]),
        ));
        faults.push(("enc-1", "enc is of low order", "sealed", format!("0101{}{}", "00".repeat(31), &sealed[66..])));
        faults.push((
            "other-recipient",
            "another device opens it",
            "sealing_secret",
            data_encoding::HEXLOWER.encode(secret.expose().as_slice()),
        ));
        faults.push(("no-tag", "enc alone", "sealed", sealed[..66].to_owned()));
    } else {
        faults.push(("other-key", "another key", "key", "09".repeat(32)));
        faults.push(("no-tag", "a nonce and 15 bytes", "sealed", sealed[..80].to_owned()));
    }
    let fault = |(fault, says, member, value): (&str, &str, &str, String)| {
        let inputs = ["suite", "sealing_secret", "key", "info", "aad", "sealed"];
        let mut json = object! { "name": format!("{name}/{fault}"), "comment": says, "error": "does-not-open" };
        for (name, old) in members.iter().filter(|(name, _)| inputs.contains(&name.as_str())) {
            json.push(name, if name == member { Json::Text(value.clone()) } else { old.clone() });
        }
        json
    };
    faults.into_iter().map(fault).collect()
}

#[test]
fn sealed_values_are_the_same_as_ever() {
    let chain = family();
    let mut cases = of_found(&chain, "found");
    let mut step = Chain::founded();
    for (name, role) in [("phone", Role::Approver), ("writer", Role::Writer), ("reader", Role::Reader)] {
        let joiner = step.joined(name, role);
        cases.extend(of_joiner(&step, &joiner, step.log.last().unwrap()));
    }
    let tablet = chain.asks("tablet");
    cases.extend(of_joiner(&chain, &tablet, &chain.admits(&chain.laptop, &tablet, Role::Approver)));
    cases.extend(of_one_time_codes(&chain, &tablet));
    cases.push(of_recovery());
    cases.extend(of_rotation(&chain));
    let all = forms();
    let content = Content { collection: "notes".to_owned(), id: "first".to_owned(), value: b"hello".as_slice().into() };
    cases.push(of_record("record/notes-first", &all.chain, &all.put, &all.ciphertext, &content));
    let stranger = keys("stranger").sealing;
    let faults = [broken(&cases[0], &stranger), broken(&cases[5], &stranger)];
    cases.extend(faults.into_iter().flatten());
    let file = object! {
        "about": note("Sealed values: what goes in, what comes out, what must not open."),
        "cases": cases,
    };
    compare("sealing.json", &file);
}
