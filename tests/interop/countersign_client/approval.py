"""The approval: an approver agrees to what another one will sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from .cbor import Raw
from .forms import Plain, open_form
from .policy import RECOVERY, Policy
from .problems import Problem
from .rotation import Cut, check_removals, removals
from .shape import a_bytes, a_list, a_map, a_uint, an_id, field, up_to
from .wire import Read, Wire, many, to_raw

MOST_APPROVALS = 128
approvals = many(a_bytes, MOST_APPROVALS)


@dataclass(frozen=True)
class Admission(Wire):
    """A request, and the role that it would give."""

    READS = (an_id, up_to(RECOVERY))
    request: bytes
    role: int


@dataclass(frozen=True)
class RoleChange(Wire):
    """A device, its new role, and its cut where writing is taken away."""

    READS = (an_id, up_to(RECOVERY), Cut.from_raw)
    OPTIONAL = frozenset({2})
    device: bytes
    role: int
    cut: Cut | None


@dataclass(frozen=True)
class Abandoned(Wire):
    """The branch of a fork that begins with this entry."""

    READS = (an_id,)
    first: bytes


@dataclass(frozen=True)
class Nothing(Wire):
    """An empty map."""

    READS = ()


_SUBJECTS: dict[int, Read] = {
    2: Admission.from_raw, 4: removals, 7: RoleChange.from_raw, 8: Policy.from_raw, 9: Nothing.from_raw,
    12: Abandoned.from_raw,
}


@dataclass(frozen=True)
class Subject:
    """What is agreed to: the kind of the entry, and what of it."""

    kind: int
    what: Any

    def to_raw(self) -> Raw:
        return [self.kind, to_raw(self.what)]

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        kind, what = a_list(raw, exactly=2)
        if a_uint(kind) not in _SUBJECTS:
            raise Problem("malformed", f"nobody approves entries of kind {kind}")
        return cls(kind, _SUBJECTS[kind](what))

    def check(self) -> None:
        if isinstance(self.what, tuple):
            check_removals(self.what)
        elif isinstance(self.what, RoleChange) and self.what.cut:
            self.what.cut.check()


@dataclass(frozen=True)
class Approval(Plain):
    """An approver agrees."""

    LABEL: ClassVar[bytes] = b"countersign/v1/approval"
    LIMIT: ClassVar[int] = 16_384

    chain: bytes
    head: bytes
    subject: Subject

    def to_raw(self) -> Raw:
        return {0: 1, 1: self.chain, 2: self.head, 3: self.subject.to_raw()}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(field(fields, 1, an_id), field(fields, 2, an_id), field(fields, 3, Subject.from_raw))

    def check(self, signer: bytes) -> None:
        self.subject.check()


def check_approvals(forms: tuple[bytes, ...]) -> None:
    """What is wrong with one of them is the entry's code."""
    for form in forms:
        open_form(Approval, form)
