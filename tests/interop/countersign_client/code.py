"""The sync code and the recovery code: their words, its payload, and what is derived from them. And the keys of an epoch."""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from mnemonic import Mnemonic

from .keys import SealingKey, SigningKey, hkdf, sha256, u64
from .problems import Problem

_BIP39 = Mnemonic("english")
PAYLOAD = "countersign:join?"


@dataclass(frozen=True)
class Words:
    """256 random bits that a person can write down."""

    secret: bytes

    @classmethod
    def from_words(cls, text: str) -> Self:
        """24 BIP-39 words with their checksum."""
        words = text.lower().split()
        if len(words) != 24:
            raise Problem("word-count", f"{len(words)} words, a code has 24")
        for place, word in enumerate(words, 1):
            if word not in _BIP39.wordlist:
                raise Problem("unknown-word", f"word {place} is not on the list", place)
        if not _BIP39.check(" ".join(words)):
            raise Problem("checksum", "these words are no code")
        return cls(bytes(_BIP39.to_entropy(words)))

    def words(self) -> str:
        return _BIP39.to_mnemonic(self.secret)


@dataclass(frozen=True)
class RecoveryCode(Words):
    """The keys of a recovery device, on paper. Nothing in the words says that they are not a sync code's."""

    @cached_property
    def signing(self) -> SigningKey:
        return SigningKey(hkdf(self.secret, b"countersign/v1/recovery-signing"))

    @cached_property
    def sealing(self) -> SealingKey:
        return SealingKey(hkdf(self.secret, b"countersign/v1/recovery-sealing"))


@dataclass(frozen=True)
class SyncCode(Words):
    """What opens the door."""

    @classmethod
    def from_payload(cls, payload: str) -> tuple[str, SyncCode]:
        """The relay and the code of a QR payload: two parts, in any order."""
        text = payload.strip()
        parts = dict(part.partition("=")[::2] for part in text.removeprefix(PAYLOAD).split("&"))
        if not text.startswith(PAYLOAD) or text.count("&") != 1 or parts.keys() != {"relay", "code"}:
            raise Problem("bad-payload", "not a payload of ours")
        if not re.fullmatch("[A-Za-z0-9_-]{48}", parts["code"]):
            raise Problem("bad-payload", "not base64url of a code")
        data = base64.urlsafe_b64decode(parts["code"])
        code = cls(data[:32])
        if not hmac.compare_digest(data[32:], code.checksum()):
            raise Problem("bad-payload", "the checksum is wrong")
        return parts["relay"].replace("%26", "&").replace("%25", "%"), code

    def payload(self, relay: str) -> str:
        """For a QR code."""
        text = base64.urlsafe_b64encode(self.secret + self.checksum()).decode()
        return f"{PAYLOAD}relay={relay.replace('%', '%25').replace('&', '%26')}&code={text}"

    def checksum(self) -> bytes:
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
