"""The entry, and the bodies of those that join: found, admit, deny."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from . import cbor
from .approval import approvals, check_approvals
from .cbor import Raw
from .changes import ChangePolicy, ChangeRole, Close, Closing, Leave, Remove, Rotate, Settle, Veto
from .forms import Device, JoinRequest, Proofs, check_signer, open_form
from .policy import BY_RECOVERY, RECOVERY, TICKET, TOTP, Policy
from .problems import Problem
from .rotation import proofs_of
from .seal import HPKE, XCHACHA
from .shape import a_bytes, a_list, a_map, a_text, a_u32, a_uint, an_id, field, maybe, present, up_to
from .sizes import DESCRIPTION_LIMIT, check_description, check_key

DENIED, WRONG_CODE, NOT_ME = range(3)
_WEEK = 604_800


@dataclass(frozen=True)
class Description:
    """What a device says about itself. Decides nothing."""

    name: str
    platform: str
    version: str
    one_time_code: str | None = None

    def to_raw(self) -> Raw:
        return present({0: self.name, 1: self.platform, 2: self.version, 3: self.one_time_code})

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 0, a_text), field(fields, 1, a_text), field(fields, 2, a_text), maybe(fields, 3, a_text))

    def without_code(self) -> Description:
        """What is sealed for the log: the code was for the members' eyes before the admission."""
        return replace(self, one_time_code=None)

    def encoded(self) -> bytes:
        if len(self.name) > 64:
            raise Problem("bad-field", "a name has at most 64 characters")
        return cbor.encode(self.to_raw())

    @classmethod
    def decoded(cls, data: bytes) -> Description:
        description = cbor.decode_as(cls, data, DESCRIPTION_LIMIT)
        description.encoded()
        return description

    def quoted(self) -> str:
        """For a screen: printable ASCII in quotes."""
        return f"{ascii(self.name)} ({ascii(self.platform)}, {ascii(self.version)})"


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

    def proofs(self) -> Proofs:
        return proofs_of(self.join_key, self.recovery[0] if self.recovery else None)

    def check(self, signer: bytes) -> None:
        check_signer(signer, self.founder.signing)
        if any(len(set(keys)) != len(keys) for keys in (self.signing_keys(), self.sealing_keys())):
            raise Problem("bad-field", "founder, join key and recovery device need keys of their own")
        check_description(self.description)
        check_key(self.name_key, XCHACHA)
        check_key(self.sync_code, XCHACHA)
        if self.recovery:
            check_key(self.recovery[1], HPKE)


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
            field(fields, 6, approvals),
            maybe(fields, 7, a_bytes),
            maybe(fields, 8, a_uint),
        )

    def proofs(self) -> Proofs:
        return ()

    def check(self, signer: bytes) -> None:
        if (self.ticket is not None) != (self.how == TICKET) or (self.totp_step is not None) != (self.how == TOTP):
            raise Problem("bad-field", "a ticket or a TOTP step goes with its own way")
        check_description(self.description)
        check_key(self.welcome, HPKE)
        open_form(JoinRequest, self.request)
        check_approvals(self.approvals)


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

    def proofs(self) -> Proofs:
        return ()

    def check(self, signer: bytes) -> None:
        if self.block > _WEEK:
            raise Problem("bad-field", "a block of more than a week")


@dataclass(frozen=True)
class Unknown:
    """A kind of later. What it carries is one CBOR item, and nobody looks at it."""

    kind: int

    def to_raw(self) -> Raw:
        return {}

    def proofs(self) -> Proofs:
        return ()

    def check(self, signer: bytes) -> None:
        raise Problem("unknown-kind", f"kind {self.kind}: update me")


Known = Found | Admit | Deny | Remove | Rotate | Leave | ChangeRole | ChangePolicy | Closing | Veto | Close | Settle
KINDS: dict[int, type[Known]] = {
    1: Found, 2: Admit, 3: Deny, 4: Remove, 5: Rotate, 6: Leave, 7: ChangeRole, 8: ChangePolicy, 9: Closing, 10: Veto,
    11: Close, 12: Settle,
}


def _kind(body: Known | Unknown) -> int:
    return body.kind if isinstance(body, Unknown) else next(kind for kind, cls in KINDS.items() if cls is type(body))


def _body(raw: Raw) -> Known | Unknown:
    kind, body = a_list(raw, exactly=2)
    known = KINDS.get(a_uint(kind))
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
    body: Known | Unknown

    def to_raw(self) -> Raw:
        body = [_kind(self.body), self.body.to_raw()]
        return present({0: 1, 1: self.chain, 2: self.seq, 3: self.prev, 4: self.at, 5: body})

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
        if pair and pair[0] not in KINDS:
            _, start, end = pair
            return payload[:start] + cbor.encode({}) + payload[end:]
        return payload

    def proofs(self) -> Proofs:
        return self.body.proofs()

    def check(self, signer: bytes) -> None:
        founding = isinstance(self.body, Found)
        placed = (self.chain is None, self.prev is None, self.seq == 0) == (founding, founding, founding)
        if not placed and not isinstance(self.body, Unknown):
            raise Problem("bad-field", "found is seq 0 without chain and prev; every other entry has both")
        self.body.check(signer)
