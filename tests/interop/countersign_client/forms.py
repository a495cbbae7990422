"""Every signed form of the page but the entry, and how all of them are signed and opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, Self, TypeVar

from . import cbor
from .cbor import Raw
from .cose import JOIN_PROOF, Envelope, Sign1
from .keys import SigningKey, good_sealing_key, sha256
from .problems import Problem
from .shape import a_list, a_map, a_text, a_uint, a_u8, an_id, field, maybe, present, up_to

Proofs = tuple[tuple[bytes, bytes], ...]  # label and key of each proof, in order


class Body(Protocol):
    """The payload of a signed form."""

    LABEL: ClassVar[bytes]
    LIMIT: ClassVar[int]

    def to_raw(self) -> Raw: ...

    @classmethod
    def from_raw(cls, raw: Raw) -> Self: ...

    @classmethod
    def looked_at(cls, payload: bytes) -> bytes:
        """The payload without what nobody looks at."""
        ...

    def proofs(self) -> Proofs:
        """The proofs that must travel with the form."""
        ...

    def check(self, signer: bytes) -> None:
        """What the form alone can show: else `wrong-signer`, `bad-field`, or what an inner form is refused with."""
        ...


B = TypeVar("B", bound=Body)


@dataclass(frozen=True)
class Signed(Generic[B]):
    """A form that verified: what it says, who signed it, its hash, and its bytes as they came."""

    body: B
    signer: bytes
    hash: bytes
    raw: bytes


def sign_form(body: B, key: SigningKey, *proof_keys: SigningKey) -> Signed[B]:
    """Signs a form and adds its proofs."""
    form = Sign1.sign(body.LABEL, key, cbor.encode(body.to_raw()))
    form_hash = form.hash(body.LABEL)
    pairs = zip(body.proofs(), proof_keys, strict=True)
    proofs = tuple(Sign1.sign(label, proof_key, form_hash) for (label, _), proof_key in pairs)
    return Signed(body, key.public, form_hash, cbor.encode(Envelope(form, proofs).to_raw()))


def open_form(cls: type[B], data: bytes) -> Signed[B]:
    """Everything that can be verified about a form without state, in the page's order."""
    if len(data) > cls.LIMIT:
        raise Problem("too-large", f"{len(data)} bytes, at most {cls.LIMIT}")
    envelope = Envelope.read(data)
    form = envelope.form
    payload = cls.looked_at(form.payload)
    fields = a_map(cbor.parse(payload))
    version = field(fields, 0, a_u8)
    body = cls.from_raw(fields)
    if cbor.encode({**body.to_raw(), 0: version}) != payload or cbor.encode(envelope.to_raw()) != data:
        raise Problem("not-canonical")
    if not form.verifies(cls.LABEL):
        raise Problem("bad-signature")
    if version != 1:
        raise Problem("unknown-version")
    body.check(form.kid)
    form_hash = form.hash(cls.LABEL)
    envelope.check_proofs(form_hash, body.proofs())
    return Signed(body, form.kid, form_hash, data)


def check_signer(signer: bytes, named: bytes) -> None:
    """The signer is the one that the form names."""
    if signer != named:
        raise Problem("wrong-signer")


@dataclass(frozen=True)
class Device:
    """A device's keys."""

    signing: bytes
    sealing: bytes

    def to_raw(self) -> Raw:
        return {0: self.signing, 1: self.sealing}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        device = cls(field(fields, 0, an_id), field(fields, 1, an_id))
        if not good_sealing_key(device.sealing):
            raise Problem("malformed", "an X25519 key that is not canonical or of low order")
        return device


class Plain:
    """A form without proofs whose signer is known only from state."""

    @classmethod
    def looked_at(cls, payload: bytes) -> bytes:
        return payload

    def proofs(self) -> Proofs:
        return ()

    def check(self, signer: bytes) -> None:
        return None


@dataclass(frozen=True)
class JoinRequest(Plain):
    """A device asks to join."""

    LABEL: ClassVar[bytes] = b"countersign/v1/join-request"
    LIMIT: ClassVar[int] = 1024

    join_key: bytes
    device: Device
    description_hash: bytes
    commitment: bytes
    at: int

    def to_raw(self) -> Raw:
        return {
            0: 1,
            1: self.join_key,
            2: self.device.to_raw(),
            3: self.description_hash,
            4: self.commitment,
            5: self.at,
        }

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            field(fields, 1, an_id),
            field(fields, 2, Device.from_raw),
            field(fields, 3, an_id),
            field(fields, 4, an_id),
            field(fields, 5, a_uint),
        )

    def proofs(self) -> Proofs:
        return ((JOIN_PROOF, self.join_key),)

    def check(self, signer: bytes) -> None:
        check_signer(signer, self.device.signing)
        if self.join_key == self.device.signing:
            raise Problem("bad-field", "the join key is the device's own")


@dataclass(frozen=True)
class Nonce(Plain):
    """An approver opens a round."""

    LABEL: ClassVar[bytes] = b"countersign/v1/nonce"
    LIMIT: ClassVar[int] = 1024

    chain: bytes
    request: bytes
    round: int
    head: bytes
    epoch: int
    nonce: bytes

    def to_raw(self) -> Raw:
        return {0: 1, 1: self.chain, 2: self.request, 3: self.round, 4: self.head, 5: self.epoch, 6: self.nonce}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            field(fields, 1, an_id),
            field(fields, 2, an_id),
            field(fields, 3, a_u8),
            field(fields, 4, an_id),
            field(fields, 5, a_uint),
            field(fields, 6, an_id),
        )

    def check(self, signer: bytes) -> None:
        if not 1 <= self.round <= 8:
            raise Problem("bad-field", "rounds are 1 to 8")


@dataclass(frozen=True)
class Reveal(Plain):
    """A joiner answers a nonce."""

    LABEL: ClassVar[bytes] = b"countersign/v1/reveal"
    LIMIT: ClassVar[int] = 1024

    request: bytes
    nonce_hash: bytes
    commitment: bytes

    def to_raw(self) -> Raw:
        return {0: 1, 1: self.request, 2: self.nonce_hash, 3: self.commitment}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 1, an_id), field(fields, 2, an_id), field(fields, 3, an_id))


@dataclass(frozen=True)
class Withdrawal(Plain):
    """A joiner takes its request back."""

    LABEL: ClassVar[bytes] = b"countersign/v1/withdrawal"
    LIMIT: ClassVar[int] = 1024

    request: bytes

    def to_raw(self) -> Raw:
        return {0: 1, 1: self.request}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 1, an_id))


@dataclass(frozen=True)
class Refill(Plain):
    """A member gives a relay back what it lost."""

    LABEL: ClassVar[bytes] = b"countersign/v1/refill"
    LIMIT: ClassVar[int] = 1024

    chain: bytes
    records: bytes

    @classmethod
    def of(cls, chain: bytes, records: Iterable[bytes]) -> Self:
        """For the records beside it, by their hashes."""
        return cls(chain, sha256(b"".join(records)))

    def to_raw(self) -> Raw:
        return {0: 1, 1: self.chain, 2: self.records}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 1, an_id), field(fields, 2, an_id))


_LONGEST_WAIT = 31_536_000


@dataclass(frozen=True)
class Reset(Plain):
    """Whoever has the sync code wants the chain deleted. The join key signs."""

    LABEL: ClassVar[bytes] = b"countersign/v1/reset"
    LIMIT: ClassVar[int] = 1024

    chain: bytes
    head: bytes
    wait: int

    def to_raw(self) -> Raw:
        return {0: 1, 1: self.chain, 2: self.head, 3: self.wait}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 1, an_id), field(fields, 2, an_id), field(fields, 3, a_uint))

    def check(self, signer: bytes) -> None:
        if self.wait > _LONGEST_WAIT:
            raise Problem("bad-field", "members have at most 365 days")


PUT, DELETE = 0, 1


@dataclass(frozen=True)
class Record(Plain):
    """The signed header of a record."""

    LABEL: ClassVar[bytes] = b"countersign/v1/record"
    LIMIT: ClassVar[int] = 1024

    chain: bytes
    collection: bytes
    name: bytes
    epoch: int
    counter: int
    last: bytes | None
    base: bytes | None
    head: bytes
    at: int
    operation: int
    ciphertext_hash: bytes | None

    def to_raw(self) -> Raw:
        return present({**self._without_ciphertext(), 11: self.ciphertext_hash})

    def associated(self) -> bytes:
        """The payload without key 11: what the ciphertext is bound to."""
        return cbor.encode(present(self._without_ciphertext()))

    def _without_ciphertext(self) -> dict[int, Raw]:
        return {
            0: 1,
            1: self.chain,
            2: self.collection,
            3: self.name,
            4: self.epoch,
            5: self.counter,
            6: self.last,
            7: self.base,
            8: self.head,
            9: self.at,
            10: self.operation,
        }

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            field(fields, 1, an_id),
            field(fields, 2, an_id),
            field(fields, 3, an_id),
            field(fields, 4, a_uint),
            field(fields, 5, a_uint),
            maybe(fields, 6, an_id),
            maybe(fields, 7, an_id),
            field(fields, 8, an_id),
            field(fields, 9, a_uint),
            field(fields, 10, up_to(DELETE)),
            maybe(fields, 11, an_id),
        )

    def check(self, signer: bytes) -> None:
        if self.counter == 0 or (self.last is None) != (self.counter == 1):
            raise Problem("bad-field", "counters start at 1, and only the first has no last")
        if (self.ciphertext_hash is None) != (self.operation == DELETE):
            raise Problem("bad-field", "a put names its ciphertext, a delete has none")


@dataclass(frozen=True)
class Cursor:
    """Where a reader stands in the feed."""

    store: int
    number: int

    def to_raw(self) -> Raw:
        return {0: self.store, 1: self.number}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 0, a_uint), field(fields, 1, a_uint))


MEMBER, JOINER = 0, 1
_ORIGIN_LIMIT = 300
_MOST_OFFERED = 8


@dataclass(frozen=True)
class Connect(Plain):
    """A device proves itself on a socket."""

    LABEL: ClassVar[bytes] = b"countersign/v1/connect"
    LIMIT: ClassVar[int] = 1024

    subprotocols: tuple[str, ...]
    origin: str
    relay_nonce: bytes
    own_nonce: bytes
    chain: bytes | None
    device: bytes
    kind: int
    request: bytes | None
    head: bytes | None
    cursor: Cursor | None

    def to_raw(self) -> Raw:
        return present(
            {
                0: 1,
                1: list(self.subprotocols),
                2: self.origin,
                3: self.relay_nonce,
                4: self.own_nonce,
                5: self.chain,
                6: self.device,
                7: self.kind,
                8: self.request,
                9: self.head,
                10: self.cursor.to_raw() if self.cursor else None,
            }
        )

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            tuple(a_text(item) for item in a_list(field(fields, 1, a_list), most=_MOST_OFFERED)),
            field(fields, 2, a_text),
            field(fields, 3, an_id),
            field(fields, 4, an_id),
            maybe(fields, 5, an_id),
            field(fields, 6, an_id),
            field(fields, 7, up_to(JOINER)),
            maybe(fields, 8, an_id),
            maybe(fields, 9, an_id),
            maybe(fields, 10, Cursor.from_raw),
        )

    def check(self, signer: bytes) -> None:
        check_signer(signer, self.device)
        if len(self.origin.encode()) > _ORIGIN_LIMIT:
            raise Problem("bad-field", f"an origin has at most {_ORIGIN_LIMIT} bytes")
        if self.kind == MEMBER:
            if self.chain is None or self.head is None or self.request is not None:
                raise Problem("bad-field", "a member names its chain and its head, and no request")
        elif self.request is None or (self.chain, self.head, self.cursor) != (None, None, None):
            raise Problem("bad-field", "a joiner names its request and nothing else")
