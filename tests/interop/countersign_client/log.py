"""The rules of the log. `apply` is pure: the same roster and entry always give the same roster, or the same refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .entries import (
    APPROVER,
    BY_RECOVERY,
    RECOVERY,
    TYPED,
    WRITER,
    Admit,
    Deny,
    Entry,
    Found,
    Policy,
)
from .forms import JoinRequest, Signed, open_form
from .problems import Problem

_MOST_MEMBERS = 128
_LONGEST_REQUEST = 86_400
_LONGEST_DELAY = 31_536_000


@dataclass(frozen=True)
class Member:
    """A device of the chain, the position from which it is one, and who let it in, after what."""

    role: int
    since: int
    sealing: bytes
    by: bytes
    how: int | None


@dataclass(frozen=True)
class Decision:
    """What became of a request: admitted, or the reason of a deny."""

    request: bytes
    device: bytes
    reason: int | None
    seq: int


@dataclass(frozen=True)
class Position:
    """What held right after an entry."""

    seq: int
    epoch: int


@dataclass(frozen=True)
class Roster:
    """What the log says so far."""

    chain: bytes
    head: bytes
    seq: int
    epoch: int
    founded: Found
    key_ids: Mapping[int, bytes]
    members: Mapping[bytes, Member]
    decisions: tuple[Decision, ...]
    known_keys: frozenset[bytes]
    positions: Mapping[bytes, Position]

    @property
    def decided(self) -> frozenset[bytes]:
        """Every request that was decided."""
        return frozenset(decision.request for decision in self.decisions)

    @property
    def join_key(self) -> bytes:
        """The current join key. It cannot change in this version."""
        return self.founded.join_key

    def may_write(self, device: bytes, position: Position) -> bool:
        """Whether a device was a writing member right after an entry."""
        member = self.members.get(device)
        return member is not None and member.since <= position.seq and member.role in (APPROVER, WRITER)


def apply(roster: Roster | None, entry: Signed[Entry]) -> Roster:
    """The roster after an entry, or the first rule that does not hold."""
    body = entry.body.body
    if roster is None:
        if not isinstance(body, Found):
            raise Problem("other-chain", "a log starts with found")
        return _found(entry, body)
    _follows(roster, entry)
    if isinstance(body, Admit):
        after = _admit(roster, entry, body)
    elif isinstance(body, Deny):
        after = _deny(roster, entry, body)
    else:
        raise Problem("other-chain", "a second found")
    position = Position(entry.body.seq, after.epoch)
    return replace(
        after, head=entry.hash, seq=entry.body.seq, positions={**roster.positions, entry.hash: position}
    )


def _found(entry: Signed[Entry], found: Found) -> Roster:
    check_policy(found.policy)
    by = found.founder.signing
    members = {by: Member(APPROVER, 0, found.founder.sealing, by, None)}
    if found.recovery:
        members[found.recovery[0].signing] = Member(RECOVERY, 0, found.recovery[0].sealing, by, None)
    return Roster(
        chain=entry.hash,
        head=entry.hash,
        seq=0,
        epoch=1,
        founded=found,
        key_ids={1: found.key_id},
        members=members,
        decisions=(),
        known_keys=frozenset(found.signing_keys() + found.sealing_keys()) - {found.join_key},
        positions={entry.hash: Position(0, 1)},
    )


def check_policy(policy: Policy) -> None:
    """`bad-policy` for one that can not be in force, `not-supported` for one that this version lacks."""
    sound = (
        0 < len(policy.ways)
        and list(policy.ways) == sorted(set(policy.ways))
        and BY_RECOVERY not in policy.ways
        and all(1 <= quorum <= policy.most_members for quorum in policy.quorums)
        and 1 <= policy.request_lifetime <= _LONGEST_REQUEST
        and 1 <= policy.most_members <= _MOST_MEMBERS
        and max(policy.closing_delay, policy.reset_delay) <= _LONGEST_DELAY
    )
    if not sound:
        raise Problem("bad-policy")
    if policy.totp or policy.ways != (TYPED,) or any(quorum > 1 for quorum in policy.quorums):
        raise Problem("not-supported")


def _follows(roster: Roster, entry: Signed[Entry]) -> None:
    if entry.body.chain != roster.chain:
        raise Problem("other-chain")
    if entry.body.seq != roster.seq + 1 or entry.body.prev != roster.head:
        raise Problem("head-moved")
    member = roster.members.get(entry.signer)
    if member is None:
        raise Problem("not-a-member")
    if member.role != APPROVER:
        raise Problem("not-an-approver")


def _admit(roster: Roster, entry: Signed[Entry], admit: Admit) -> Roster:
    request = open_form(JoinRequest, admit.request)
    device = request.body.device
    if request.hash in roster.decided:
        raise Problem("already-decided")
    if {device.signing, device.sealing} & roster.known_keys:
        raise Problem("key-known")
    if request.body.join_key != roster.join_key:
        raise Problem("stale-join-key")
    if admit.epoch != roster.epoch:
        raise Problem("stale-epoch")
    if admit.how not in roster.founded.policy.ways:
        raise Problem("way-not-allowed")
    if admit.role == RECOVERY:
        raise Problem("role-not-allowed")
    if admit.approvals:
        raise Problem("quorum", "a quorum of one has no approvals")
    if sum(member.role != RECOVERY for member in roster.members.values()) >= roster.founded.policy.most_members:
        raise Problem("chain-full")
    return replace(
        roster,
        members={
            **roster.members,
            device.signing: Member(admit.role, entry.body.seq, device.sealing, entry.signer, admit.how),
        },
        decisions=(*roster.decisions, Decision(request.hash, device.signing, None, entry.body.seq)),
        known_keys=roster.known_keys | {device.signing, device.sealing},
    )


def _deny(roster: Roster, entry: Signed[Entry], deny: Deny) -> Roster:
    if deny.request in roster.decided:
        raise Problem("already-decided")
    if deny.device in roster.members:
        raise Problem("key-is-member")
    return replace(
        roster,
        decisions=(*roster.decisions, Decision(deny.request, deny.device, deny.reason, entry.body.seq)),
        known_keys=roster.known_keys | {deny.device},
    )
