"""The bodies of entries of kind 4 and later: what changes a chain that is founded, and who is in it."""

from __future__ import annotations

from dataclasses import dataclass

from .approval import approvals, check_approvals
from .forms import Proofs
from .policy import RECOVERY, Policy
from .problems import Problem
from .rotation import Cut, Removals, Rotation, check_removals, removals
from .shape import an_id, up_to
from .wire import Wire

RETIRED, LOST, DISTRUSTED = range(3)
OF_CLOSING, OF_RESET = range(2)


class Change(Wire):
    """A body that brings no key of its own."""

    def proofs(self) -> Proofs:
        return ()

    def check(self, signer: bytes) -> None:
        return None


@dataclass(frozen=True)
class Remove(Change):
    """Devices are members no more."""

    READS = (removals, up_to(DISTRUSTED), Rotation.from_raw, approvals)
    removals: Removals
    reason: int
    rotation: Rotation
    approvals: tuple[bytes, ...] = ()

    def proofs(self) -> Proofs:
        return self.rotation.proofs()

    def check(self, signer: bytes) -> None:
        check_removals(self.removals)
        if self.rotation.join_key is None:
            raise Problem("bad-field", "who is removed knows the sync code: it changes")
        self.rotation.check(signer)
        check_approvals(self.approvals)


@dataclass(frozen=True)
class Rotate(Change):
    """A new epoch."""

    READS = (Rotation.from_raw,)
    rotation: Rotation

    def proofs(self) -> Proofs:
        return self.rotation.proofs()

    def check(self, signer: bytes) -> None:
        self.rotation.check(signer)


@dataclass(frozen=True)
class Leave(Change):
    """The signer is a member no more."""

    READS = (Cut.from_raw,)
    cut: Cut

    def check(self, signer: bytes) -> None:
        self.cut.check()


@dataclass(frozen=True)
class ChangeRole(Change):
    """A member has another role."""

    READS = (an_id, up_to(RECOVERY), Cut.from_raw, approvals)
    OPTIONAL = frozenset({2})
    device: bytes
    role: int
    cut: Cut | None
    approvals: tuple[bytes, ...] = ()

    def check(self, signer: bytes) -> None:
        if self.cut:
            self.cut.check()
        check_approvals(self.approvals)


@dataclass(frozen=True)
class ChangePolicy(Change):
    """Another policy is in force."""

    READS = (Policy.from_raw, approvals)
    policy: Policy
    approvals: tuple[bytes, ...] = ()

    def check(self, signer: bytes) -> None:
        check_approvals(self.approvals)


@dataclass(frozen=True)
class Closing(Change):
    """The chain will close, unless somebody objects."""

    READS = (approvals,)
    approvals: tuple[bytes, ...] = ()

    def check(self, signer: bytes) -> None:
        check_approvals(self.approvals)


@dataclass(frozen=True)
class Veto(Change):
    """Somebody objects."""

    READS = (up_to(OF_RESET), an_id)
    of: int
    hash: bytes


@dataclass(frozen=True)
class Close(Change):
    """The chain is closed."""

    READS = (an_id,)
    closing: bytes


@dataclass(frozen=True)
class Settle(Change):
    """A fork is over: the branch that is abandoned is named, and has no part in what comes."""

    READS = (an_id, Rotation.from_raw, approvals)
    abandoned: bytes
    rotation: Rotation
    approvals: tuple[bytes, ...] = ()

    def proofs(self) -> Proofs:
        return self.rotation.proofs()

    def check(self, signer: bytes) -> None:
        self.rotation.check(signer)
        check_approvals(self.approvals)
