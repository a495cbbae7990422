"""The entry: found, admit, deny."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from . import cbor
from .cbor import Raw
from .cose import JOIN_PROOF, RECOVERY_PROOF
from .forms import Device, JoinRequest, Proofs, check_signer, open_form
from .problems import Problem
from .seal import HPKE, XCHACHA
from .shape import a_bytes, a_list, a_map, a_text, a_u8, a_u32, a_uint, an_id, field, maybe, present, up_to

APPROVER, WRITER, READER, RECOVERY = range(4)
TYPED, TICKET, TOTP, NONE, BY_RECOVERY = range(5)
DENIED, WRONG_CODE, NOT_ME = range(3)
FOUND, ADMIT, DENY = 1, 2, 3

_DESCRIPTION_LIMIT = 512
_WEEK = 604_800
_SEALED_KEY = {HPKE: 81, XCHACHA: 73}
_MOST_APPROVALS = 128


@dataclass(frozen=True)
class Description:
    """What a device says about itself. Decides nothing."""

    name: str
    platform: str
    version: str

    def to_raw(self) -> Raw:
        return {0: self.name, 1: self.platform, 2: self.version}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 0, a_text), field(fields, 1, a_text), field(fields, 2, a_text))

    def encoded(self) -> bytes:
        if len(self.name) > 64:
            raise Problem("bad-field", "a name has at most 64 characters")
        return cbor.encode(self.to_raw())

    @classmethod
    def decoded(cls, data: bytes) -> Description:
        description = cbor.decode_as(cls, data, _DESCRIPTION_LIMIT)
        description.encoded()
        return description

    def quoted(self) -> str:
        """For a screen: printable ASCII in quotes."""
        return f"{ascii(self.name)} ({ascii(self.platform)}, {ascii(self.version)})"


def _check_description(sealed: bytes) -> None:
    """All that the rules ask of a sealed value: whether it opens is known only to those who have the key."""
    if len(sealed) > _DESCRIPTION_LIMIT:
        raise Problem("bad-field", f"a sealed description has at most {_DESCRIPTION_LIMIT} bytes")


def _check_key(sealed: bytes, suite: bytes) -> None:
    """A sealed key has the size of its suite."""
    if sealed[:1] != suite or len(sealed) != _SEALED_KEY[suite]:
        raise Problem("bad-field", f"a key sealed with suite {suite.hex()} has {_SEALED_KEY[suite]} bytes")


@dataclass(frozen=True)
class Policy:
    """What the founder decided about joining."""

    ways: tuple[int, ...]
    quorums: tuple[int, int, int, int]
    request_lifetime: int
    most_members: int
    closing_delay: int
    reset_delay: int
    totp: tuple[int, bytes] | None = None

    def to_raw(self) -> Raw:
        return present(
            {
                0: list(self.ways),
                1: dict(enumerate(self.quorums)),
                2: self.request_lifetime,
                3: self.most_members,
                4: self.closing_delay,
                5: self.reset_delay,
                6: {0: self.totp[0], 1: self.totp[1]} if self.totp else None,
            }
        )

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        quorums = field(fields, 1, a_map)
        totp = maybe(fields, 6, a_map)
        return cls(
            tuple(up_to(BY_RECOVERY)(way) for way in a_list(field(fields, 0, a_list), most=BY_RECOVERY + 1)),
            (field(quorums, 0, a_u8), field(quorums, 1, a_u8), field(quorums, 2, a_u8), field(quorums, 3, a_u8)),
            field(fields, 2, a_u32),
            field(fields, 3, a_u8),
            field(fields, 4, a_u32),
            field(fields, 5, a_u32),
            (field(totp, 0, up_to(1)), field(totp, 1, a_bytes)) if totp is not None else None,
        )


@dataclass(frozen=True)
class Found:
    """The first entry."""

    founder: Device
    join_key: bytes
    key_id: bytes
    description: bytes
    name_key: bytes
    sync_code: bytes
    policy: Policy
    recovery: tuple[Device, bytes] | None = None

    def to_raw(self) -> Raw:
        return present(
            {
                0: self.founder.to_raw(),
                1: self.join_key,
                2: self.key_id,
                3: self.description,
                4: self.name_key,
                5: self.sync_code,
                6: self.policy.to_raw(),
                7: {0: self.recovery[0].to_raw(), 1: self.recovery[1]} if self.recovery else None,
            }
        )

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        recovery = maybe(fields, 7, a_map)
        return cls(
            field(fields, 0, Device.from_raw),
            field(fields, 1, an_id),
            field(fields, 2, an_id),
            field(fields, 3, a_bytes),
            field(fields, 4, a_bytes),
            field(fields, 5, a_bytes),
            field(fields, 6, Policy.from_raw),
            (field(recovery, 0, Device.from_raw), field(recovery, 1, a_bytes)) if recovery is not None else None,
        )

    def signing_keys(self) -> list[bytes]:
        """Every Ed25519 key that it names."""
        return [self.join_key, *(device.signing for device in self._devices())]

    def sealing_keys(self) -> list[bytes]:
        """Every X25519 key that it names."""
        return [device.sealing for device in self._devices()]

    def _devices(self) -> list[Device]:
        return [self.founder, self.recovery[0]] if self.recovery else [self.founder]

    def check(self) -> None:
        if any(len(set(keys)) != len(keys) for keys in (self.signing_keys(), self.sealing_keys())):
            raise Problem("bad-field", "founder, join key and recovery device need keys of their own")
        _check_description(self.description)
        _check_key(self.name_key, XCHACHA)
        _check_key(self.sync_code, XCHACHA)
        if self.recovery:
            _check_key(self.recovery[1], HPKE)


@dataclass(frozen=True)
class Admit:
    """A device becomes a member."""

    request: bytes
    role: int
    epoch: int
    how: int
    description: bytes
    welcome: bytes
    approvals: tuple[bytes, ...] = ()
    ticket: bytes | None = None
    totp_step: int | None = None

    def to_raw(self) -> Raw:
        return present(
            {
                0: self.request,
                1: self.role,
                2: self.epoch,
                3: self.how,
                4: self.description,
                5: self.welcome,
                6: list(self.approvals),
                7: self.ticket,
                8: self.totp_step,
            }
        )

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            field(fields, 0, a_bytes),
            field(fields, 1, up_to(RECOVERY)),
            field(fields, 2, a_uint),
            field(fields, 3, up_to(BY_RECOVERY)),
            field(fields, 4, a_bytes),
            field(fields, 5, a_bytes),
            tuple(a_bytes(form) for form in a_list(field(fields, 6, a_list), most=_MOST_APPROVALS)),
            maybe(fields, 7, a_bytes),
            maybe(fields, 8, a_uint),
        )

    def check(self) -> None:
        if (self.ticket is not None) != (self.how == TICKET) or (self.totp_step is not None) != (self.how == TOTP):
            raise Problem("bad-field", "a ticket or a TOTP step goes with its own way")
        _check_description(self.description)
        _check_key(self.welcome, HPKE)
        open_form(JoinRequest, self.request)


@dataclass(frozen=True)
class Deny:
    """A request and its key are refused for good."""

    request: bytes
    device: bytes
    reason: int
    block: int

    def to_raw(self) -> Raw:
        return {0: self.request, 1: self.device, 2: self.reason, 3: self.block}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            field(fields, 0, an_id), field(fields, 1, an_id), field(fields, 2, up_to(NOT_ME)), field(fields, 3, a_u32)
        )

    def check(self) -> None:
        if self.block > _WEEK:
            raise Problem("bad-field", "a block of more than a week")


@dataclass(frozen=True)
class Unknown:
    """A kind of later. What it carries is one CBOR item, and nobody looks at it."""

    kind: int

    def to_raw(self) -> Raw:
        return {}

    def check(self) -> None:
        raise Problem("unknown-kind", f"kind {self.kind}: update me")


_KINDS: dict[int, type[Found] | type[Admit] | type[Deny]] = {FOUND: Found, ADMIT: Admit, DENY: Deny}


def _body(raw: Raw) -> Found | Admit | Deny | Unknown:
    kind, body = a_list(raw, exactly=2)
    known = _KINDS.get(a_uint(kind))
    return known.from_raw(body) if known else Unknown(kind)


@dataclass(frozen=True)
class Entry:
    """One entry of the log."""

    LABEL: ClassVar[bytes] = b"countersign/v1/entry"
    LIMIT: ClassVar[int] = 65_536

    chain: bytes | None
    seq: int
    prev: bytes | None
    at: int
    body: Found | Admit | Deny | Unknown

    def to_raw(self) -> Raw:
        kind = self.body.kind if isinstance(self.body, Unknown) else {Found: FOUND, Admit: ADMIT, Deny: DENY}[type(self.body)]
        fields = {0: 1, 1: self.chain, 2: self.seq, 3: self.prev, 4: self.at, 5: [kind, self.body.to_raw()]}
        return present(fields)

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(
            maybe(fields, 1, an_id),
            field(fields, 2, a_uint),
            maybe(fields, 3, an_id),
            field(fields, 4, a_uint),
            field(fields, 5, _body),
        )

    @classmethod
    def looked_at(cls, payload: bytes) -> bytes:
        """What an unknown kind carries gives way to an empty map, after it was passed over."""
        pair = cbor.pair_in_map(payload, 5)
        if pair and pair[0] not in _KINDS:
            _, start, end = pair
            return payload[:start] + cbor.encode({}) + payload[end:]
        return payload

    def proofs(self) -> Proofs:
        if not isinstance(self.body, Found):
            return ()
        join: Proofs = ((JOIN_PROOF, self.body.join_key),)
        recovery = self.body.recovery
        return (*join, (RECOVERY_PROOF, recovery[0].signing)) if recovery else join

    def check(self, signer: bytes) -> None:
        founding = isinstance(self.body, Found)
        placed = (self.chain is None, self.prev is None, self.seq == 0) == (founding, founding, founding)
        if not placed and not isinstance(self.body, Unknown):
            raise Problem("bad-field", "found is seq 0 without chain and prev; every other entry has both")
        if isinstance(self.body, Found):
            check_signer(signer, self.body.founder.signing)
        self.body.check()
