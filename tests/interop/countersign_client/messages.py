"""What HTTP and the socket carry around the signed forms. Every one is a map whose keys count the fields from 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from .cbor import Raw
from .forms import Cursor
from .problems import Problem
from .shape import a_bool, a_bytes, a_list, a_text, a_u32, a_uint, an_id, up_to
from .wire import Wire, many

BODY_LIMIT = 4 * 1024 * 1024
TO_DEVICE_LIMIT = 512 * 1024
FROM_DEVICE_LIMIT = 4 * 1024


@dataclass(frozen=True)
class Appended(Wire):
    """Where the log stands."""

    READS = (an_id, a_uint)
    head: bytes
    seq: int


NEW, HEAL = 0, 1


@dataclass(frozen=True)
class Append(Wire):
    """Entries to append, in order."""

    READS = (many(a_bytes, 64, 1), up_to(HEAL))
    entries: tuple[bytes, ...]
    purpose: int


@dataclass(frozen=True)
class LogPage(Wire):
    """Entries, and the relay's head."""

    READS = (many(a_bytes, 256), an_id, a_uint)
    entries: tuple[bytes, ...]
    head: bytes
    seq: int


@dataclass(frozen=True)
class Ask(Wire):
    """A join request and its sealed description."""

    READS = (a_bytes, a_bytes)
    request: bytes
    description: bytes


WAITING, CODE, EXPIRED, ADMITTED, WITHDRAWN = range(5)


@dataclass(frozen=True)
class Standing(Wire):
    """How a request stands."""

    READS = (an_id, up_to(WITHDRAWN), a_uint, a_bool, many(a_bytes, 8), an_id)
    OPTIONAL = frozenset({5})
    request: bytes
    state: int
    milliseconds_left: int
    member_connected: bool
    nonces: tuple[bytes, ...]
    chain: bytes | None = None


@dataclass(frozen=True)
class Seen(Wire):
    """What the relay saw of the device that asked."""

    READS = (a_text, a_text, a_uint)
    OPTIONAL = frozenset({1})
    address: str
    proxy: str | None
    first: int


@dataclass(frozen=True)
class Round(Wire):
    """A nonce, and its reveal once there is one."""

    READS = (a_bytes, a_bytes)
    OPTIONAL = frozenset({1})
    nonce: bytes
    reveal: bytes | None


@dataclass(frozen=True)
class OpenRequest(Wire):
    """A request that is open."""

    READS = (a_bytes, a_bytes, Seen.from_raw, a_uint, many(Round.from_raw, 8))
    request: bytes
    description: bytes
    seen: Seen
    milliseconds_left: int
    rounds: tuple[Round, ...]


@dataclass(frozen=True)
class OpenRequests(Wire):
    """Every request that is open."""

    READS = (many(OpenRequest.from_raw, 256),)
    requests: tuple[OpenRequest, ...]


@dataclass(frozen=True)
class ApprovalsKept(Wire):
    """The approvals that would count in the next entry."""

    READS = (many(a_bytes, 64),)
    approvals: tuple[bytes, ...]


@dataclass(frozen=True)
class Whereabouts(Wire):
    """The chain of a recovery device, and where its log stands."""

    READS = (an_id, an_id, a_uint)
    chain: bytes
    head: bytes
    seq: int


@dataclass(frozen=True)
class ChainOfKey(Wire):
    """The chain of a join key, the entry that brought its policy, and the least wait of a reset in seconds."""

    READS = (an_id, an_id, a_uint, a_u32)
    chain: bytes
    head: bytes
    seq: int
    wait: int


@dataclass(frozen=True)
class ResetStanding(Wire):
    """A reset that stands."""

    READS = (a_bytes, a_uint)
    reset: bytes
    milliseconds_left: int


@dataclass(frozen=True)
class SealedRecord(Wire):
    """A record's signed header and its ciphertext."""

    READS = (a_bytes, a_bytes)
    OPTIONAL = frozenset({1})
    header: bytes
    ciphertext: bytes | None


@dataclass(frozen=True)
class Put(Wire):
    """Records to store: new ones, or with a refill what the relay lost."""

    READS = (many(SealedRecord.from_raw, 256, 1), a_bytes)
    OPTIONAL = frozenset({1})
    records: tuple[SealedRecord, ...]
    refill: bytes | None = None


@dataclass(frozen=True)
class Stored(Wire):
    """The numbers that they have in the feed."""

    READS = (many(a_uint, 256, 1),)
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class RecordRow(Wire):
    """A record at its place in the feed."""

    READS = (a_uint, SealedRecord.from_raw)
    number: int
    record: SealedRecord


@dataclass(frozen=True)
class RecordPage(Wire):
    """Rows of the feed, where the reader stands after them, and the last number stored."""

    READS = (many(RecordRow.from_raw, 256), Cursor.from_raw, a_uint)
    rows: tuple[RecordRow, ...]
    cursor: Cursor
    last: int


@dataclass(frozen=True)
class Challenge(Wire):
    """The relay's nonce and clock."""

    READS = (an_id, a_uint)
    nonce: bytes
    at: int


@dataclass(frozen=True)
class Ready(Wire):
    """The relay's head, and whether it knows ours."""

    READS = (an_id, a_uint, a_bool)
    head: bytes
    seq: int
    knows_head: bool


BY_TIME, BY_WITHDRAWAL, DECIDED = range(3)


@dataclass(frozen=True)
class Ended(Wire):
    """A request ended: expired, withdrawn, decided."""

    READS = (an_id, up_to(DECIDED))
    request: bytes
    how: int


@dataclass(frozen=True)
class Approved(Wire):
    """An approval that would count."""

    READS = (a_bytes,)
    approval: bytes


@dataclass(frozen=True)
class Ack(Wire):
    """The device's seq and the number of its last record."""

    READS = (a_uint, a_uint)
    seq: int
    number: int


Push = Challenge | Ready | LogPage | RecordPage | OpenRequest | Ended | Standing | Approved | ResetStanding
_PUSHES: tuple[type[Push], ...] = (
    Challenge, Ready, LogPage, RecordPage, OpenRequest, Ended, Standing, Approved, ResetStanding,
)


@dataclass(frozen=True)
class Frame:
    """One message of the socket to a device: `[kind, body]`."""

    push: Push

    def to_raw(self) -> Raw:
        return [_PUSHES.index(type(self.push)), self.push.to_raw()]

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        kind, body = a_list(raw, exactly=2)
        if a_uint(kind) >= len(_PUSHES):
            raise Problem("malformed", f"a message of kind {kind}")
        return cls(_PUSHES[kind].from_raw(body))


@dataclass(frozen=True)
class Answer:
    """One message of the socket from a device: `[0, ack]`."""

    ack: Ack

    def to_raw(self) -> Raw:
        return [0, self.ack.to_raw()]

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        kind, body = a_list(raw, exactly=2)
        if a_uint(kind) != 0:
            raise Problem("malformed", f"a message of kind {kind}")
        return cls(Ack.from_raw(body))
