"""Whoever may change a chain, at one head of its log: signs the entries of kind 4 and later, and approvals."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from . import seal
from .approval import Approval, Subject
from .changes import ChangePolicy, ChangeRole, Close, Closing, Leave, Remove, Rotate, Settle, Veto
from .code import EpochKey, SyncCode
from .entries import Entry, Known
from .forms import Device, Signed, sign_form
from .keyring import Keyring, rotation_info
from .keys import SigningKey
from .policy import RECOVERY, Policy
from .roster import Roster
from .rotation import Cut, Recipient, Removals, Rotation

Approvals = Iterable[Signed[Approval]]


@dataclass(frozen=True)
class NewRecovery:
    """The recovery device from now on."""

    signing: SigningKey
    sealing: bytes

    @property
    def device(self) -> Device:
        return Device(self.signing.public, self.sealing)


@dataclass(frozen=True)
class Brought:
    """What a rotation may bring: another sync code, another recovery device."""

    code: SyncCode | None = None
    recovery: NewRecovery | None = None

    def proof_keys(self) -> list[SigningKey]:
        join = [self.code.join_key] if self.code else []
        return [*join, self.recovery.signing] if self.recovery else join


NOTHING_NEW = Brought()


def in_order(approvals: Approvals) -> tuple[bytes, ...]:
    """As an entry holds them: by signer."""
    return tuple(approval.raw for approval in sorted(approvals, key=lambda approval: approval.signer))


@dataclass(frozen=True)
class Author:
    """A member that signs at the head of a log."""

    roster: Roster
    keyring: Keyring
    signing: SigningKey
    now: int

    def approve(self, subject: Subject) -> Signed[Approval]:
        """Agrees to what another approver will sign."""
        return sign_form(Approval(self.roster.chain, self.roster.head, subject), self.signing)

    def remove(
        self, removals: Removals, reason: int, code: SyncCode, approvals: Approvals = (),
        recovery: NewRecovery | None = None,
    ) -> Signed[Entry]:
        """Removes devices. Who is removed knows the sync code, so there is a new one."""
        brought = Brought(code, recovery)
        rotation = self.rotation(brought, {removal.device for removal in removals})
        return self.entry(Remove(removals, reason, rotation, in_order(approvals)), brought)

    def rotate(self, brought: Brought = NOTHING_NEW) -> Signed[Entry]:
        """Begins an epoch."""
        return self.entry(Rotate(self.rotation(brought)), brought)

    def settle(
        self, abandoned: bytes, approvals: Approvals = (), brought: Brought = NOTHING_NEW
    ) -> Signed[Entry]:
        """Ends a fork: the first entry of the other branch is named."""
        return self.entry(Settle(abandoned, self.rotation(brought), in_order(approvals)), brought)

    def leave(self, cut: Cut) -> Signed[Entry]:
        """Is a member no more."""
        return self.entry(Leave(cut))

    def change_role(self, device: bytes, role: int, cut: Cut | None = None, approvals: Approvals = ()) -> Signed[Entry]:
        """Gives a member another role."""
        return self.entry(ChangeRole(device, role, cut, in_order(approvals)))

    def change_policy(self, policy: Policy, approvals: Approvals = ()) -> Signed[Entry]:
        """Puts another policy in force."""
        return self.entry(ChangePolicy(policy, in_order(approvals)))

    def closing(self, approvals: Approvals = ()) -> Signed[Entry]:
        """Says that the chain will close."""
        return self.entry(Closing(in_order(approvals)))

    def veto(self, of: int, what: bytes) -> Signed[Entry]:
        """Objects to a closing or a reset."""
        return self.entry(Veto(of, what))

    def close(self, closing: bytes) -> Signed[Entry]:
        """Closes the chain."""
        return self.entry(Close(closing))

    def entry(self, body: Known, brought: Brought = NOTHING_NEW) -> Signed[Entry]:
        """Any entry that follows the head."""
        roster = self.roster
        entry = Entry(roster.chain, roster.seq + 1, roster.head, self.now, body)
        return sign_form(entry, self.signing, *brought.proof_keys())

    def rotation(self, brought: Brought, without: Set[bytes] = frozenset()) -> Rotation:
        """The next epoch, with a key that is drawn here, for every member but some."""
        fresh = EpochKey(seal.draw(32), self.roster.epoch + 1)
        chain, wrapping, code = self.roster.chain, fresh.wrap_key, brought.code or self.keyring.code
        recovery = brought.recovery.device if brought.recovery else None
        return Rotation(
            epoch=fresh.epoch,
            key_id=fresh.key_id,
            join_key=brought.code.join_key.public if brought.code else None,
            recipients=tuple(self._sealed(fresh, *member) for member in sorted(self._after(without, recovery).items())),
            epoch_key_before=seal.wrap(wrapping, self.keyring.current(self.roster).secret, b"countersign/v1/wrapped-epoch-key" + chain),
            name_key=seal.wrap(wrapping, self.keyring.name_key, b"countersign/v1/wrapped-name-key" + chain),
            sync_code=seal.wrap(wrapping, code.secret, b"countersign/v1/wrapped-sync-code" + chain),
            recovery=recovery,
        )

    def _after(self, without: Set[bytes], recovery: Device | None) -> dict[bytes, bytes]:
        """The members after the entry, and what is sealed to."""
        staying = {
            device: member.sealing
            for device, member in self.roster.members.items()
            if device not in without and not (recovery and member.role == RECOVERY)
        }
        return staying | ({recovery.signing: recovery.sealing} if recovery else {})

    def _sealed(self, fresh: EpochKey, device: bytes, sealing: bytes) -> Recipient:
        info = rotation_info(self.roster.chain, device, self.signing.public, fresh.epoch)
        return Recipient(device, seal.seal_to(sealing, fresh.secret, info, self.roster.head))
