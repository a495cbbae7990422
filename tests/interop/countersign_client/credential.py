"""Credentials: what a device shows to somebody outside its chain, and what they find in it, asking nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from . import cbor
from .approval import Approval
from .cbor import Raw
from .entries import Admit, Entry
from .forms import JoinRequest, open_form
from .log import apply
from .problems import Problem
from .roster import Former, Roster
from .shape import a_bytes, a_list, a_map, a_u8, an_id, field

LIMIT = 4 << 20
MOST_ENTRIES = 65_536


@dataclass(frozen=True)
class Credential:
    """A device, and the log that is to bear it out."""

    version: int
    device: bytes
    entries: tuple[bytes, ...]

    def to_raw(self) -> Raw:
        return {0: self.version, 1: self.device, 2: list(self.entries)}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        entries = field(fields, 2, lambda log: a_list(log, least=1, most=MOST_ENTRIES))
        return cls(field(fields, 0, a_u8), field(fields, 1, an_id), tuple(map(a_bytes, entries)))


@dataclass(frozen=True)
class Known:
    """What somebody knows of a chain before a credential is shown: which one it must be, and the newest head with its seq."""

    chain: bytes | None = None
    head: tuple[bytes, int] | None = None


@dataclass(frozen=True)
class Link:
    """How a device came in: at which entry, by whom and with whose consent, after what; and how its own membership ended."""

    device: bytes
    seq: int
    by: bytes
    consents: tuple[bytes, ...]
    how: int | None
    ended: Former | None


@dataclass(frozen=True)
class Proven:
    """A member at a head, and the way from it to the founder."""

    chain: bytes
    founder: bytes
    signing: bytes
    sealing: bytes
    role: int
    epoch: int
    head: bytes
    seq: int
    links: tuple[Link, ...]

    def newest(self) -> Known:
        """What to know the next time."""
        return Known(self.chain, (self.head, self.seq))


class NotBorneOut(Problem):
    """The log holds, and does not bear the device out: what to know the next time."""

    def __init__(self, code: str, newest: Known) -> None:
        super().__init__(code)
        self.newest = newest


class NotAMember(NotBorneOut):
    """The device is no member at the head; it may have been one."""

    def __init__(self, former: Former | None, newest: Known) -> None:
        super().__init__("not-a-member", newest)
        self.former = former


def make_credential(device: bytes, log: tuple[bytes, ...]) -> bytes:
    """What a device hands out."""
    data = cbor.encode(Credential(1, device, log).to_raw())
    prove(data, Known())
    return data


def prove(data: bytes, known: Known) -> Proven:
    """Who the device is, or the first thing that does not hold. Of an entry it is told with its place."""
    credential = cbor.decode_as(Credential, data, LIMIT)
    if credential.version != 1:
        raise Problem("unknown-version")
    roster: Roster | None = None
    founder, consents = b"", {}
    for place, raw in enumerate(credential.entries):
        try:
            entry = open_form(Entry, raw)
            roster = apply(roster, entry)
        except Problem as problem:
            raise Problem(problem.code, problem.detail, place) from problem
        if place == 0:
            founder = entry.signer
            if known.chain not in (None, roster.chain):
                raise Problem("other-chain")
        if isinstance(body := entry.body.body, Admit):
            device = open_form(JoinRequest, body.request).body.device.signing
            consents[device] = tuple(open_form(Approval, form).signer for form in body.approvals)
    assert roster is not None
    _check_head(roster, known)
    newest = Known(roster.chain, (roster.head, roster.seq))
    if roster.closed:
        raise NotBorneOut("chain-closed", newest)
    member = roster.members.get(credential.device)
    if member is None:
        raise NotAMember(roster.former.get(credential.device), newest)
    return Proven(
        chain=roster.chain,
        founder=founder,
        signing=credential.device,
        sealing=member.sealing,
        role=member.role,
        epoch=roster.epoch,
        head=roster.head,
        seq=roster.seq,
        links=_links(roster, credential.device, founder, consents),
    )


def _check_head(roster: Roster, known: Known) -> None:
    if known.head is None or known.head[0] in roster.positions:
        return
    raise Problem("behind" if roster.seq < known.head[1] else "other-branch")


def _links(roster: Roster, device: bytes, founder: bytes, consents: Mapping[bytes, tuple[bytes, ...]]) -> tuple[Link, ...]:
    ended = roster.former.get(device)
    member = ended.member if ended else roster.members[device]
    link = Link(device, member.since, member.by, consents.get(device, ()), member.how, ended)
    return (link,) if device == founder else (link, *_links(roster, member.by, founder, consents))
