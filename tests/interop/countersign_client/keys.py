"""Keys: strict Ed25519 (RFC 8032), X25519 (RFC 7748), and the derivations that the page uses everywhere."""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

P = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_SIGN_BIT = 1 << 255

# The y coordinates of the eight points of small order of edwards25519.
SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        P - 1,
        2707385501144840649318225287225658788936804267575313519463743609750303402022,
        55188659117513257062467267217118295137698188065244968500265048394206261417927,
    }
)

# The u coordinates of the points of low order of curve25519, below p.
LOW_ORDER_U = frozenset(
    {
        0,
        1,
        P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)


class SigningKey:
    """An Ed25519 key pair made from its 32-byte seed."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def random(cls) -> SigningKey:
        return cls(os.urandom(32))

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


class SealingKey:
    """An X25519 key pair."""

    def __init__(self, private: bytes) -> None:
        self.private = private
        self.public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    @classmethod
    def random(cls) -> SealingKey:
        return cls(os.urandom(32))


def good_signing_key(public: bytes) -> bool:
    """A key or an R: a canonical encoding of a y below p, of a point that is not of small order.

    Only y = 1 and y = -1 have x = 0, so refusing small order also refuses the encodings of a negative zero.
    """
    y = int.from_bytes(public, "little") % _SIGN_BIT
    return y < P and y not in SMALL_ORDER_Y


def good_sealing_key(public: bytes) -> bool:
    """A u below p, without the unused bit, not of low order."""
    u = int.from_bytes(public, "little")
    return u < P and u not in LOW_ORDER_U


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Strict Ed25519. OpenSSL encodes sB - hA and compares it with R: no cofactor, and R only in its one encoding."""
    if not good_signing_key(public) or not good_signing_key(signature[:32]):
        return False
    if int.from_bytes(signature[32:], "little") >= GROUP_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def hkdf(secret: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-SHA256 without salt."""
    return HKDF(SHA256(), length, None, info).derive(secret)


def u64(number: int) -> bytes:
    """A number inside a derivation."""
    return number.to_bytes(8)
