//! A repeatable random source, and a signer that knows only COSE: it makes what the crate's own door refuses to make.

use core::convert::Infallible;
use std::path::Path;

use ed25519_dalek::Signer as _;
use protocol::keys::SigningKey;
use rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest as _, Sha256};

/// Every context label that a signature of ours can carry.
pub(crate) const LABELS: [&str; 11] = [
    "countersign/v1/entry",
    "countersign/v1/join-request",
    "countersign/v1/withdrawal",
    "countersign/v1/nonce",
    "countersign/v1/reveal",
    "countersign/v1/approval",
    "countersign/v1/record",
    "countersign/v1/refill",
    "countersign/v1/connect",
    "countersign/v1/join-proof",
    "countersign/v1/recovery-proof",
];

/// SHA-256 in counter mode over a seed. The same seed draws the same keys, on every machine.
pub(crate) struct SeededRng {
    seed: [u8; 32],
    counter: u64,
}

impl SeededRng {
    pub(crate) fn new(seed: &str) -> Self {
        Self { seed: Sha256::digest(seed.as_bytes()).into(), counter: 0 }
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            let block = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize();
            chunk.copy_from_slice(&block[..chunk.len()]);
            self.counter += 1;
        }
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}

/// The protected header `{1: -8, 4: kid}` as bytes.
fn protected(kid: &[u8; 32]) -> Vec<u8> {
    [[0xa2, 0x01, 0x27, 0x04, 0x58, 0x20].as_slice(), kid].concat()
}

/// A byte string, or a text string with `major` 0x60, with the shortest head.
fn string(major: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = match bytes.len() {
        length @ 0..=23 => vec![major | length as u8],
        length @ 24..=255 => vec![major | 24, length as u8],
        length => [[major | 25].as_slice(), &(length as u16).to_be_bytes()].concat(),
    };
    out.extend_from_slice(bytes);
    out
}

/// The Sig_structure (RFC 9052 §4.4), written down a second time.
pub(crate) fn sig_structure(label: &str, kid: &[u8; 32], payload: &[u8]) -> Vec<u8> {
    [
        vec![0x84],
        string(0x60, b"Signature1"),
        string(0x40, &protected(kid)),
        string(0x40, label.as_bytes()),
        string(0x40, payload),
    ]
    .concat()
}

/// The hash that names a form.
pub(crate) fn form_hash(label: &str, kid: &[u8; 32], payload: &[u8]) -> [u8; 32] {
    Sha256::digest(sig_structure(label, kid, payload)).into()
}

/// A COSE_Sign1 over any payload, under any label.
pub(crate) fn sign1(label: &str, key: &SigningKey, payload: &[u8]) -> Vec<u8> {
    let kid = key.public();
    let dalek = ed25519_dalek::SigningKey::from_bytes(&key.expose_seed());
    let signature = dalek.sign(&sig_structure(label, &kid, payload)).to_bytes();
    [vec![0xd2, 0x84], string(0x40, &protected(&kid)), vec![0xa0], string(0x40, payload), string(0x40, &signature)]
        .concat()
}

/// A COSE_Sign1 and proofs that stand beside it, each under its label over the form's hash.
pub(crate) fn with_proofs(label: &str, key: &SigningKey, payload: &[u8], proofs: &[(&str, &SigningKey)]) -> Vec<u8> {
    let hash = form_hash(label, &key.public(), payload);
    let mut out = match proofs.len() {
        0 => Vec::new(),
        count => vec![0x81 + count as u8],
    };
    out.extend(sign1(label, key, payload));
    for (proof_label, prover) in proofs {
        out.extend(sign1(proof_label, prover, &hash));
    }
    out
}

/// Where things stand in a form's bytes.
pub(crate) struct Layout {
    pub(crate) kid: core::ops::Range<usize>,
    pub(crate) payload: core::ops::Range<usize>,
    pub(crate) signature: core::ops::Range<usize>,
    pub(crate) proofs: usize,
}

/// Finds the parts of a valid form.
pub(crate) fn layout(bytes: &[u8]) -> Layout {
    let start = usize::from(bytes[0] != 0xd2);
    let kid = start + 10..start + 42;
    let head = kid.end + 1;
    let (payload, length) = match bytes[head] {
        short @ 0x40..=0x57 => (head + 1, usize::from(short - 0x40)),
        0x58 => (head + 2, usize::from(bytes[head + 1])),
        _ => (head + 3, usize::from(u16::from_be_bytes([bytes[head + 1], bytes[head + 2]]))),
    };
    let payload = payload..payload + length;
    let signature = payload.end + 2..payload.end + 66;
    Layout { kid, proofs: signature.end, payload, signature }
}

/// Compares with a file, or writes it where `COUNTERSIGN_REGENERATE=1` is set: then read the difference before committing it.
pub(crate) fn compare_file(path: &Path, text: &str) {
    if std::env::var_os("COUNTERSIGN_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{}: {error}; COUNTERSIGN_REGENERATE=1 writes it", path.display());
    });
    assert!(
        kept == text,
        "{} is not what is made now. A change of it breaks every other implementation; if it is meant, \
         COUNTERSIGN_REGENERATE=1 writes it anew. {}",
        path.display(),
        first_difference(&kept, text)
    );
}

fn first_difference(kept: &str, made: &str) -> String {
    let lines = kept.lines().zip(made.lines()).enumerate();
    match lines.clone().find(|(_, (kept, made))| kept != made) {
        Some((at, (kept, made))) => format!("Line {} is\n{kept}\nand should be\n{made}", at + 1),
        None => format!("It has {} lines and should have {}", kept.lines().count(), made.lines().count()),
    }
}
