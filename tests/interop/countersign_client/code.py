"""The sync code: its words, its payload, and what is derived from it. And the keys of an epoch."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from functools import cached_property

from mnemonic import Mnemonic

from .keys import SigningKey, hkdf, sha256, u64
from .problems import Problem

_BIP39 = Mnemonic("english")
PAYLOAD = "countersign:join?relay="
_SEPARATOR = "&code="


@dataclass(frozen=True)
class SyncCode:
    """256 random bits that open the door."""

    secret: bytes

    @classmethod
    def from_words(cls, words: str) -> SyncCode:
        """24 BIP-39 words with their checksum."""
        plain = " ".join(words.lower().split())
        if len(plain.split()) != 24 or not _BIP39.check(plain):
            raise Problem("bad-code", "these are not 24 words with their checksum")
        return cls(bytes(_BIP39.to_entropy(plain)))

    def words(self) -> str:
        return _BIP39.to_mnemonic(self.secret)

    @classmethod
    def from_payload(cls, payload: str) -> tuple[str, SyncCode]:
        """The relay and the code of a QR payload."""
        relay, separator, text = payload.removeprefix(PAYLOAD).partition(_SEPARATOR)
        if not payload.startswith(PAYLOAD) or not separator or len(text) != 48:
            raise Problem("bad-code", "not a payload of ours")
        try:
            data = base64.b64decode(text, b"-_", validate=True)
        except ValueError:
            raise Problem("bad-code", "not base64url") from None
        code = cls(data[:32])
        if not hmac.compare_digest(data[32:], code._checksum()):
            raise Problem("bad-code", "the checksum is wrong")
        return relay.replace("%26", "&").replace("%25", "%"), code

    def payload(self, relay: str) -> str:
        """For a QR code."""
        text = base64.urlsafe_b64encode(self.secret + self._checksum()).decode()
        return PAYLOAD + relay.replace("%", "%25").replace("&", "%26") + _SEPARATOR + text

    def _checksum(self) -> bytes:
        return sha256(b"countersign/v1/payload-checksum" + self.secret)[:4]

    @cached_property
    def join_key(self) -> SigningKey:
        return SigningKey(hkdf(self.secret, b"countersign/v1/join-key"))

    @cached_property
    def description_key(self) -> bytes:
        return hkdf(self.secret, b"countersign/v1/description-key")


@dataclass(frozen=True)
class EpochKey:
    """The key of an epoch and what it gives."""

    secret: bytes
    epoch: int

    @cached_property
    def key_id(self) -> bytes:
        return self._derive(b"countersign/v1/key-id")

    @cached_property
    def wrap_key(self) -> bytes:
        return self._derive(b"countersign/v1/wrap-key")

    @cached_property
    def record_key(self) -> bytes:
        return self._derive(b"countersign/v1/record-key")

    def _derive(self, label: bytes) -> bytes:
        return hkdf(self.secret, label + u64(self.epoch))
