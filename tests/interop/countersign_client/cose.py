"""COSE_Sign1 in the one shape of the page, alone or with proofs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from . import cbor
from .cbor import Raw, Tag
from .keys import SigningKey, sha256, verify
from .problems import Problem
from .shape import a_bytes, a_list

JOIN_PROOF = b"countersign/v1/join-proof"
RECOVERY_PROOF = b"countersign/v1/recovery-proof"

MOST_PROOFS = 3
_TAG = 18
_EDDSA = -8


@dataclass(frozen=True)
class Sign1:
    """A COSE_Sign1 of ours: the signer, what it signed, and its signature."""

    kid: bytes
    payload: bytes
    signature: bytes

    @classmethod
    def sign(cls, label: bytes, key: SigningKey, payload: bytes) -> Self:
        """Signs a payload under a label."""
        return cls(key.public, payload, key.sign(sig_structure(label, key.public, payload)))

    def hash(self, label: bytes) -> bytes:
        """SHA-256 of the Sig_structure: label, signer and payload, never the signature."""
        return sha256(sig_structure(label, self.kid, self.payload))

    def verifies(self, label: bytes) -> bool:
        """Whether the signature holds, strictly, under this label."""
        return verify(self.kid, self.signature, sig_structure(label, self.kid, self.payload))

    def to_raw(self) -> Raw:
        return Tag(_TAG, [_protected(self.kid), {}, self.payload, self.signature])

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        if not isinstance(raw, Tag) or raw.number != _TAG:
            raise Problem("malformed", "not a COSE_Sign1")
        protected, unprotected, payload, signature = a_list(raw.value, exactly=4)
        kid = a_bytes(protected)[-32:]
        if protected != _protected(kid) or unprotected != {} or len(a_bytes(signature)) != 64:
            raise Problem("malformed", "not the COSE_Sign1 of the page")
        return cls(kid, a_bytes(payload), signature)


@dataclass(frozen=True)
class Envelope:
    """A form as it travels: bare, or with proofs after it."""

    form: Sign1
    proofs: tuple[Sign1, ...] = ()

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The bytes around the payloads, the head of the array included, are the shape."""
        envelope = cls.from_raw(cbor.parse(data))
        if not data.startswith(cbor.encode(envelope.to_raw())):
            raise Problem("malformed", "not the exact bytes around a payload")
        return envelope

    def to_raw(self) -> Raw:
        if not self.proofs:
            return self.form.to_raw()
        return [self.form.to_raw(), *(proof.to_raw() for proof in self.proofs)]

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        if isinstance(raw, Tag):
            return cls(Sign1.from_raw(raw))
        form, *proofs = (Sign1.from_raw(item) for item in a_list(raw, least=2, most=1 + MOST_PROOFS))
        return cls(form, tuple(proofs))

    def check_proofs(self, form_hash: bytes, wanted: tuple[tuple[bytes, bytes], ...]) -> None:
        """The proofs are exactly those (label, key) that the form needs, in order: else `bad-proof`."""
        if len(self.proofs) != len(wanted):
            raise Problem("bad-proof", f"{len(self.proofs)} proofs, {len(wanted)} needed")
        for proof, (label, key) in zip(self.proofs, wanted, strict=True):
            if proof.kid != key or proof.payload != form_hash or not proof.verifies(label):
                raise Problem("bad-proof", label.decode())


def sig_structure(label: bytes, kid: bytes, payload: bytes) -> bytes:
    """What is signed (RFC 9052 §4.4), with the label as external_aad."""
    return cbor.encode(["Signature1", _protected(kid), label, payload])


def _protected(kid: bytes) -> bytes:
    return cbor.encode({1: _EDDSA, 4: kid})
