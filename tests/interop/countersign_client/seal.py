"""Sealing: HPKE to a device (suite 01), XChaCha20-Poly1305 under a key (suite 02)."""

from __future__ import annotations

import os

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from pyhpke.exceptions import PyHPKEError

from .problems import Problem

HPKE = b"\x01"
XCHACHA = b"\x02"
_NONCE = 24
_TAG = 16
_ENC = 32
_IKM = 32

draw = os.urandom  # all randomness of this module, so that vectors can be made again

_SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)


def _split(sealed: bytes, suite: bytes, head: int) -> tuple[bytes, bytes]:
    """What stands before the ciphertext, and the ciphertext: else `does-not-open`."""
    if sealed[:1] != suite or len(sealed) < 1 + head + _TAG:
        raise Problem("does-not-open", f"not sealed with suite {suite.hex()}")
    return sealed[1 : 1 + head], sealed[1 + head :]


def wrap(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Suite 02 under a key, with a random nonce."""
    nonce = draw(_NONCE)
    return XCHACHA + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated, nonce, key)


def unwrap(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Opens suite 02: else `does-not-open`."""
    nonce, ciphertext = _split(sealed, XCHACHA, _NONCE)
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, associated, nonce, key)
    except CryptoError:
        raise Problem("does-not-open", "the key or the place is another") from None


def seal_to(public: bytes, plaintext: bytes, info: bytes, associated: bytes) -> bytes:
    """Suite 01 to an X25519 key."""
    enc, context = _SUITE.create_sender_context(
        _SUITE.kem.deserialize_public_key(public), info, eks=_SUITE.kem.derive_key_pair(draw(_IKM))
    )
    return HPKE + enc + context.seal(plaintext, associated)


def ephemeral_secret(ikm: bytes) -> bytes:
    """The private half of the ephemeral key that is made from such randomness, clamped."""
    secret = bytearray(_SUITE.kem.derive_key_pair(ikm).private_key.to_private_bytes())
    secret[0] &= 248
    secret[31] = secret[31] & 127 | 64
    return bytes(secret)


def open_sealed(private: bytes, sealed: bytes, info: bytes, associated: bytes) -> bytes:
    """Opens suite 01: else `does-not-open`."""
    enc, ciphertext = _split(sealed, HPKE, _ENC)
    try:
        context = _SUITE.create_recipient_context(enc, _SUITE.kem.deserialize_private_key(private), info)
        return context.open(ciphertext, associated)
    except (PyHPKEError, ValueError):
        raise Problem("does-not-open", "not sealed to this device, or for another place") from None
