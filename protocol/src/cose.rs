//! COSE_Sign1 (RFC 9052 §4.2) in the one shape that Countersign uses: tag 18, protected header `{1: -8, 4: kid}`, unprotected
//! header empty, payload embedded, 64 bytes of Ed25519.

use sha2::{Digest as _, Sha256};

use crate::id::Hash;

/// The bytes before the kid: tag 18, array of 4, byte string of 38, map of 2, `1: -8`, `4:` byte string of 32.
const HEAD: [u8; 10] = [0xd2, 0x84, 0x58, 0x26, 0xa2, 0x01, 0x27, 0x04, 0x58, 0x20];
/// Between the kid and the payload: the empty unprotected header.
const UNPROTECTED: u8 = 0xa0;
/// Before the signature: byte string of 64.
const SIGNATURE_HEAD: [u8; 2] = [0x58, 0x40];

/// One COSE_Sign1 taken apart. Nothing of it is verified.
pub(crate) struct Sign1<'a> {
    pub(crate) kid: [u8; 32],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: [u8; 64],
}

impl<'a> Sign1<'a> {
    /// Takes one COSE_Sign1 off the front and returns what follows it; `None` for anything but the exact shape.
    pub(crate) fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = bytes.strip_prefix(&HEAD)?;
        let (kid, rest) = rest.split_first_chunk::<32>()?;
        let rest = rest.strip_prefix(&[UNPROTECTED])?;
        let (payload, rest) = take_byte_string(rest)?;
        let rest = rest.strip_prefix(&SIGNATURE_HEAD)?;
        let (signature, rest) = rest.split_first_chunk::<64>()?;
        Some((Self { kid: *kid, payload, signature: *signature }, rest))
    }
}

/// Writes one COSE_Sign1.
pub(crate) fn write(out: &mut Vec<u8>, kid: &[u8; 32], payload: &[u8], signature: &[u8; 64]) {
    out.extend_from_slice(&HEAD);
    out.extend_from_slice(kid);
    out.push(UNPROTECTED);
    write_byte_string_head(out, payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(&SIGNATURE_HEAD);
    out.extend_from_slice(signature);
}

/// The Sig_structure (RFC 9052 §4.4) that is signed and hashed: `["Signature1", protected, label, payload]`.
pub(crate) fn sig_structure(label: &str, kid: &[u8; 32], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 32 + label.len() + payload.len());
    out.extend_from_slice(&[0x84, 0x6a]);
    out.extend_from_slice(b"Signature1");
    out.extend_from_slice(HEAD.get(2..).unwrap_or_default());
    out.extend_from_slice(kid);
    write_byte_string_head(&mut out, label.len());
    out.extend_from_slice(label.as_bytes());
    write_byte_string_head(&mut out, payload.len());
    out.extend_from_slice(payload);
    out
}

/// SHA-256 of a Sig_structure: the hash of a form.
pub(crate) fn hash(sig_structure: &[u8]) -> Hash {
    Hash(Sha256::digest(sig_structure).into())
}

/// Takes a byte string with the shortest length (RFC 8949 §4.2.1) off the front.
fn take_byte_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first()?;
    let (length, rest) = match head {
        0x40..=0x57 => (usize::from(head - 0x40), rest),
        0x58 => {
            rest.split_first().map(|(length, rest)| (usize::from(*length), rest)).filter(|(length, _)| *length > 23)?
        }
        0x59 => rest
            .split_first_chunk::<2>()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))
            .filter(|(length, _)| *length > 0xff)?,
        // No form is longer than 65,535 bytes: see `limits`.
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Writes the head of a byte string with the shortest length.
fn write_byte_string_head(out: &mut Vec<u8>, length: usize) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=23), _) => out.push(0x40 | length),
        (Ok(length), _) => out.extend_from_slice(&[0x58, length]),
        (_, Ok(length)) => {
            out.push(0x59);
            out.extend_from_slice(&length.to_be_bytes());
        }
        // Not reachable by a form within its limit; still one valid encoding.
        _ => {
            out.push(0x5b);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_string_has_the_shortest_head_at_every_width() {
        for length in [0, 23, 24, 255, 256, 65_535] {
            let mut bytes = Vec::new();
            write_byte_string_head(&mut bytes, length);
            let minicbor_bytes = minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![0; length])).unwrap();
            assert_eq!(bytes, minicbor_bytes[..bytes.len()], "{length}");
            assert_eq!(take_byte_string(&minicbor_bytes), Some((&vec![0; length][..], &[][..])), "{length}");
        }
        assert_eq!(take_byte_string(&[&[0x58, 23][..], &[0; 23]].concat()), None);
        assert_eq!(take_byte_string(&[&[0x59, 0, 0xff][..], &[0; 255]].concat()), None);
    }
}
