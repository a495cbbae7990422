"""What a chain has decided about joining and leaving it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from .cbor import Raw
from .problems import Problem
from .shape import a_bytes, a_list, a_map, a_u8, a_u32, field, maybe, present, up_to
from .sizes import is_totp_secret

APPROVER, WRITER, READER, RECOVERY = range(4)
TYPED, TICKET, TOTP, NONE, BY_RECOVERY = range(5)
WAYS = "typed", "ticket", "totp", "none", "recovery"


def ways_named(names: Iterable[str]) -> frozenset[int]:
    """Ways of admission by their names in the vectors."""
    return frozenset(map(WAYS.index, names))


TO_ADMIT, TO_REMOVE, TO_CHANGE, TO_CLOSE = range(4)  # whose quorum
TOTP_WAY, TOTP_BEFORE_PROMPT = range(2)

MOST_MEMBERS = 128
_LONGEST_REQUEST = 86_400
_LONGEST_DELAY = 31_536_000


@dataclass(frozen=True)
class Policy:
    """What the founder decided, or an approver since."""

    ways: tuple[int, ...]
    quorums: tuple[int, int, int, int]
    request_lifetime: int
    most_members: int
    closing_delay: int
    reset_delay: int
    totp: tuple[int, bytes] | None = None

    @property
    def highest_quorum(self) -> int:
        """The highest of the four."""
        return max(self.quorums)

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
            (field(totp, 0, up_to(TOTP_BEFORE_PROMPT)), field(totp, 1, a_bytes)) if totp is not None else None,
        )


def check_policy(policy: Policy) -> None:
    """`bad-policy` for one that can not be in force, `not-supported` for one that this version lacks."""
    sound = (
        0 < len(policy.ways)
        and list(policy.ways) == sorted(set(policy.ways))
        and BY_RECOVERY not in policy.ways
        and all(1 <= quorum <= policy.most_members for quorum in policy.quorums)
        and 1 <= policy.request_lifetime <= _LONGEST_REQUEST
        and 1 <= policy.most_members <= MOST_MEMBERS
        and max(policy.closing_delay, policy.reset_delay) <= _LONGEST_DELAY
        and (TOTP in policy.ways) == (policy.totp is not None and policy.totp[0] == TOTP_WAY)
        and (policy.totp is None or is_totp_secret(policy.totp[1]))
    )
    if not sound:
        raise Problem("bad-policy")
    if TICKET in policy.ways:
        raise Problem("not-supported", "tickets")
