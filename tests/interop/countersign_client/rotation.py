"""What stands inside entries that take something away: a rotation, and the cuts of those who wrote."""

from __future__ import annotations

from dataclasses import dataclass

from .cose import JOIN_PROOF, RECOVERY_PROOF
from .forms import Device, Proofs
from .problems import Problem
from .seal import HPKE, XCHACHA
from .shape import a_bytes, a_uint, an_id, up_to
from .sizes import check_key
from .wire import Wire, many

MOST_REMOVALS = 128
_MOST_RECIPIENTS = 129
LAST, EARLIER = range(2)


@dataclass(frozen=True)
class Cut(Wire):
    """The last record of a writer that counts, and whether the relay has later ones."""

    READS = (a_uint, an_id, up_to(EARLIER))
    OPTIONAL = frozenset({1})
    counter: int
    record: bytes | None
    which: int

    def check(self) -> None:
        if (self.record is None) != (self.counter == 0):
            raise Problem("bad-field", "a cut names a record, unless none counts")


NOTHING = Cut(0, None, LAST)


@dataclass(frozen=True)
class Removal(Wire):
    """A device that is removed, and its cut."""

    READS = (an_id, Cut.from_raw)
    device: bytes
    cut: Cut


Removals = tuple[Removal, ...]
removals = many(Removal.from_raw, MOST_REMOVALS, 1)


def check_removals(given: Removals) -> None:
    """Every device once, in order, and every cut a good one."""
    _check_ascending([removal.device for removal in given])
    for removal in given:
        removal.cut.check()


def _check_ascending(devices: list[bytes]) -> None:
    if devices != sorted(set(devices)):
        raise Problem("bad-field", "devices ascend, and none stands twice")


@dataclass(frozen=True)
class Recipient(Wire):
    """The new epoch key, sealed to a member."""

    READS = (an_id, a_bytes)
    device: bytes
    epoch_key: bytes


@dataclass(frozen=True)
class Rotation(Wire):
    """A new epoch: who gets its key, and what is wrapped under it."""

    READS = (
        a_uint, an_id, an_id, many(Recipient.from_raw, _MOST_RECIPIENTS, 1), a_bytes, a_bytes, a_bytes, Device.from_raw,
    )
    OPTIONAL = frozenset({2, 7})
    epoch: int
    key_id: bytes
    join_key: bytes | None
    recipients: tuple[Recipient, ...]
    epoch_key_before: bytes
    name_key: bytes
    sync_code: bytes
    recovery: Device | None = None

    @property
    def devices(self) -> list[bytes]:
        """Who gets the key."""
        return [recipient.device for recipient in self.recipients]

    def check(self, signer: bytes) -> None:
        _check_ascending(self.devices)
        for recipient in self.recipients:
            check_key(recipient.epoch_key, HPKE)
        for wrapped in (self.epoch_key_before, self.name_key, self.sync_code):
            check_key(wrapped, XCHACHA)
        own = [signer, *(key for _, key in self.proofs())]
        if len(set(own)) != len(own):
            raise Problem("bad-field", "signer, join key and recovery device need keys of their own")

    def proofs(self) -> Proofs:
        return proofs_of(self.join_key, self.recovery)


def proofs_of(join_key: bytes | None, recovery: Device | None) -> Proofs:
    """The proofs of what an entry brings, in order."""
    join: Proofs = ((JOIN_PROOF, join_key),) if join_key else ()
    return (*join, (RECOVERY_PROOF, recovery.signing)) if recovery else join
