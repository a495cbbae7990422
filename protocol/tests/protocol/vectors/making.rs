//! How signed bytes come about, kept with them: who signs what under which label, which proofs stand beside it, and what was
//! changed afterwards. The vectors carry all of it, so that another implementation makes the same bytes.

use std::cell::RefCell;

use protocol::entry::Entry;
use protocol::keys::{DeviceKeys, SigningKey};
use protocol::signed::ProofKey;
use protocol::{Form, Verified};

use super::json::{Json, hex, list, object};
use crate::life::drawn_code;
use crate::support::{form_hash, layout, sig_structure, sign1};
use crate::world::{Chain, keys};

/// A proof beside a form.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(crate) label: String,
    pub(crate) key: SigningKey,
    /// What it proves, if it is not the hash of the form beside it.
    pub(crate) over: Option<[u8; 32]>,
}

impl Proof {
    pub(crate) fn join(key: &SigningKey) -> Self {
        Self { label: "countersign/v1/join-proof".to_owned(), key: key.clone(), over: None }
    }

    pub(crate) fn recovery(key: &SigningKey) -> Self {
        Self { label: "countersign/v1/recovery-proof".to_owned(), key: key.clone(), over: None }
    }
}

/// Bytes that were changed after signing: `cut` bytes at `at` give way to `insert`.
#[derive(Clone)]
pub(crate) struct Edit {
    pub(crate) at: usize,
    pub(crate) cut: usize,
    pub(crate) insert: Vec<u8>,
}

/// A signed form, right or wrong, and how it was made.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) label: String,
    pub(crate) key: SigningKey,
    pub(crate) payload: Vec<u8>,
    pub(crate) proofs: Vec<Proof>,
    pub(crate) edits: Vec<Edit>,
}

impl Made {
    pub(crate) fn new(label: &str, key: &SigningKey, payload: Vec<u8>, proofs: Vec<Proof>) -> Self {
        Self { label: label.to_owned(), key: key.clone(), payload, proofs, edits: Vec::new() }
    }

    /// The same with bytes changed after signing.
    pub(crate) fn edited(mut self, at: usize, cut: usize, insert: &[u8]) -> Self {
        self.edits.push(Edit { at, cut, insert: insert.to_vec() });
        self
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        form_hash(&self.label, &self.key.public(), &self.payload)
    }

    /// The bytes before anything was changed.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let mut out = match self.proofs.len() {
            0 => Vec::new(),
            count => vec![0x81 + count as u8],
        };
        out.extend(sign1(&self.label, &self.key, &self.payload));
        for proof in &self.proofs {
            out.extend(sign1(&proof.label, &proof.key, &proof.over.unwrap_or_else(|| self.hash())));
        }
        out
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed();
        for edit in &self.edits {
            bytes.splice(edit.at..edit.at + edit.cut, edit.insert.iter().copied());
        }
        bytes
    }

    /// The members that every signed form has in every file, in their order.
    pub(crate) fn members(&self, ring: &Ring) -> Vec<(String, Json)> {
        let proof = |proof: &Proof| {
            let mut json = object! { "label": proof.label.clone(), "signer": ring.name(&proof.key) };
            if let Some(over) = proof.over {
                json.push("payload", hex(over));
            }
            json
        };
        let mut json = object! {
            "label": self.label.clone(),
            "signer": ring.name(&self.key),
            "proofs": list(self.proofs.iter().map(proof)),
            "payload": hex(&self.payload),
        };
        if !self.edits.is_empty() {
            let edit = |edit: &Edit| object! { "at": edit.at, "cut": edit.cut, "insert": hex(&edit.insert) };
            json.push("edits", list(self.edits.iter().map(edit)));
        }
        json.push("hash", hex(self.hash()));
        json.push("bytes", hex(self.bytes()));
        let Json::Object(members) = json else { unreachable!() };
        members
    }

    /// What is signed.
    pub(crate) fn sig_structure(&self) -> Vec<u8> {
        sig_structure(&self.label, &self.key.public(), &self.payload)
    }
}

/// Every key that signs in the vectors, by name.
pub(crate) struct Ring(RefCell<Vec<(String, SigningKey, Option<DeviceKeys>)>>);

impl Ring {
    /// The devices of the fixed world and the join keys of its sync codes.
    pub(crate) fn new(devices: &[&str], join_keys: &[(&str, SigningKey)]) -> Self {
        let device = |name: &&str| ((*name).to_owned(), keys(name).signing, Some(keys(name)));
        let join = |(name, key): &(&str, SigningKey)| ((*name).to_owned(), key.clone(), None);
        Self(RefCell::new(devices.iter().map(device).chain(join_keys.iter().map(join)).collect()))
    }

    /// The devices that most files need.
    pub(crate) fn family() -> Self {
        let join = Chain::founded().founding.code.join_key();
        Self::new(&["laptop", "phone", "tablet", "stranger", "recovery words"], &[("join key", join)])
    }

    fn key(&self, public: &[u8; 32]) -> SigningKey {
        let known = self.0.borrow();
        let found = known.iter().find(|(_, known, _)| known.public() == *public);
        found.unwrap_or_else(|| panic!("no key {public:?}")).1.clone()
    }

    /// How a good form was made, found out from its bytes.
    pub(crate) fn made<T: Form>(&self, form: &Verified<T>) -> Made {
        let payload = form.bytes()[layout(form.bytes()).payload].to_vec();
        self.learn(&payload);
        let proof =
            |asked: &ProofKey| Proof { label: asked.kind.label().to_owned(), key: self.key(&asked.key), over: None };
        let made = Made::new(T::LABEL, &self.key(&form.signer().0), payload, form.proofs().iter().map(proof).collect());
        assert_eq!(made.bytes(), **form.bytes(), "signatures are deterministic");
        made
    }

    /// The join key that an entry draws, which no list of devices has.
    fn learn(&self, payload: &[u8]) {
        let entry: Result<Entry, _> = protocol::cbor::decode("entry", payload, Entry::BYTES_MAX);
        let Some((entry, code)) = entry.ok().and_then(|entry| drawn_code(&entry).map(|code| (entry, code))) else {
            return;
        };
        let key = code.join_key();
        let mut known = self.0.borrow_mut();
        if !known.iter().any(|(_, known, _)| known.public() == key.public()) {
            let prev = entry.prev.map(|prev| prev.short()).unwrap_or_default();
            known.push((format!("join key of entry {} after {prev}", entry.seq), key, None));
        }
    }

    pub(crate) fn name(&self, key: &SigningKey) -> String {
        let known = self.0.borrow();
        let found = known.iter().find(|(_, known, _)| known.public() == key.public());
        found.unwrap_or_else(|| panic!("{key:?} has no name")).0.clone()
    }

    pub(crate) fn to_json(&self) -> Json {
        let key = |(name, signing, device): &(String, SigningKey, Option<DeviceKeys>)| {
            let mut json = object! {
                "signing_seed": hex(signing.expose_seed().as_slice()),
                "signing": hex(signing.public()),
            };
            if let Some(device) = device {
                json.push("sealing_secret", hex(device.sealing.expose().as_slice()));
                json.push("sealing", hex(device.sealing.public().as_bytes()));
            }
            (name.clone(), json)
        };
        Json::Object(self.0.borrow().iter().map(key).collect())
    }
}

/// Signed forms of a file, each written down once and named by the cases that use it.
#[derive(Default)]
pub(crate) struct Pool(Vec<(Vec<u8>, String, Json)>);

impl Pool {
    /// The name that a form has in this file: its first.
    pub(crate) fn keep(&mut self, ring: &Ring, name: &str, made: &Made) -> String {
        let bytes = made.bytes();
        if let Some((_, known, _)) = self.0.iter().find(|(known, ..)| *known == bytes) {
            return known.clone();
        }
        assert!(self.0.iter().all(|(_, known, _)| known != name), "two forms are named {name}");
        self.0.push((bytes, name.to_owned(), Json::Object(made.members(ring))));
        name.to_owned()
    }

    /// The names of a log's entries: what each is, where it stands, and how its hash begins.
    pub(crate) fn keep_log(&mut self, ring: &Ring, log: &[Verified<Entry>]) -> Vec<Json> {
        let name = |entry: &Verified<Entry>| format!("{}-{}-{}", entry.body.name(), entry.seq, entry.hash().short());
        log.iter().map(|entry| self.keep(ring, &name(entry), &ring.made(entry)).into()).collect()
    }

    pub(crate) fn into_json(self) -> Json {
        Json::Object(self.0.into_iter().map(|(_, name, json)| (name, json)).collect())
    }
}
