"""What a log says: who is a member and who was, who wrote when, which epoch it is, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .changes import DISTRUSTED
from .entries import Found
from .policy import APPROVER, RECOVERY, WRITER, Policy
from .rotation import Cut, Rotation


@dataclass(frozen=True)
class Member:
    """A device of the chain, the position from which it is one, and who let it in, after what."""

    role: int
    since: int
    epoch: int
    sealing: bytes
    by: bytes
    how: int | None
    description: bytes | None = None


LEFT, REPLACED = DISTRUSTED + 1, DISTRUSTED + 2  # what follows the reasons of a removal


@dataclass(frozen=True)
class Former:
    """A device that was a member, with its last role; the entry from which it is none, by whom, and why."""

    member: Member
    until: int
    by: bytes
    why: int


@dataclass(frozen=True)
class Span:
    """Positions at which a device could write: the end is no part of it, and the cut is that of the end."""

    since: int
    until: int | None = None
    cut: Cut | None = None

    def has(self, seq: int) -> bool:
        """Whether a position lies within."""
        return self.since <= seq and (self.until is None or seq < self.until)


@dataclass(frozen=True)
class Epoch:
    """How an epoch began: where, the key's id, the join key, and the rotation that brought it, if it is not the first."""

    since: int
    key_id: bytes
    join_key: bytes
    signer: bytes
    prev: bytes
    rotation: Rotation | None = None


@dataclass(frozen=True)
class Decision:
    """What became of a request: admitted, or the reason of a deny."""

    request: bytes
    device: bytes
    reason: int | None
    seq: int


@dataclass(frozen=True)
class StandingClosing:
    """The closing that stands: the hash and the place of its entry, who signed it, and the delay in seconds."""

    hash: bytes
    seq: int
    signer: bytes
    delay: int


@dataclass(frozen=True)
class Position:
    """What held right after an entry."""

    seq: int
    epoch: int


@dataclass(frozen=True)
class InForce:
    """The policy, the epoch under whose key its secret is wrapped, and where it belongs."""

    policy: Policy
    epoch: int
    place: bytes


@dataclass(frozen=True)
class Roster:
    """What the log says so far."""

    chain: bytes
    head: bytes
    seq: int
    founded: Found
    in_force: InForce
    epochs: Mapping[int, Epoch]
    members: Mapping[bytes, Member]
    former: Mapping[bytes, Former]
    writing: Mapping[bytes, tuple[Span, ...]]
    decisions: tuple[Decision, ...]
    known_keys: frozenset[bytes]
    positions: Mapping[bytes, Position]
    lapsed: int = 0  # seq of the last entry that approvals do not outlive
    removals_lapsed: int = 0  # and of the last one that those of a removal do not
    totp_step: int = -1  # the highest that was used
    closing: StandingClosing | None = None
    closed: bool = False
    policy_since: int = 0  # seq of the entry that brought the policy in force
    vetoed_resets: frozenset[bytes] = frozenset()
    abandoned: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()  # first entries of branches that a settle abandoned, and whose voices it has

    @property
    def epoch(self) -> int:
        """The current epoch."""
        return max(self.epochs)

    @property
    def rotation_owed(self) -> bool:
        """Whether somebody left since the epoch began, and still has its key."""
        since = self.epochs[self.epoch].since
        return any(gone.why == LEFT and gone.until > since for gone in self.former.values())

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.in_force.policy

    @property
    def decided(self) -> frozenset[bytes]:
        """Every request that was decided."""
        return frozenset(decision.request for decision in self.decisions)

    @property
    def join_key(self) -> bytes:
        """The current join key."""
        return self.epochs[self.epoch].join_key

    @property
    def approvers(self) -> int:
        """How many there are."""
        return sum(member.role == APPROVER for member in self.members.values())

    @property
    def counted(self) -> int:
        """How many members there are, the recovery device aside."""
        return sum(member.role != RECOVERY for member in self.members.values())

    def role(self, device: bytes) -> int | None:
        """A member's role."""
        member = self.members.get(device)
        return member.role if member else None

    def known(self, device: bytes) -> Member | None:
        """A member, or one that was."""
        gone = self.former.get(device)
        return gone.member if gone else self.members.get(device)

    def span(self, device: bytes, position: Position) -> Span | None:
        """When a device wrote, if it could right after an entry."""
        return next((span for span in self.writing.get(device, ()) if span.has(position.seq)), None)

    def may_write(self, device: bytes, position: Position) -> bool:
        """Whether a device was a writing member right after an entry."""
        return self.span(device, position) is not None


def writes(role: int | None) -> bool:
    """Whether a role writes."""
    return role in (APPROVER, WRITER)
