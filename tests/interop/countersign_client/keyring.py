"""Every key that a device has: the epoch keys down to the first, the name key, the sync code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from .code import EpochKey, SyncCode
from .entries import Description
from .keys import SealingKey, u64
from .problems import Alarm, Problem
from .roster import Roster
from .seal import open_sealed, unwrap


def rotation_info(chain: bytes, recipient: bytes, signer: bytes, epoch: int) -> bytes:
    """What the new epoch key is bound to, for one recipient."""
    return b"countersign/v1/rotation-seal" + chain + recipient + signer + u64(epoch)


def recovery_info(join_key: bytes, recovery: bytes, epoch: int) -> bytes:
    """What the epoch key of a founding is bound to, for its recovery device."""
    return b"countersign/v1/recovery-seal" + join_key + recovery + u64(epoch)


def wrapped_description_place(where: bytes, device: bytes) -> bytes:
    """What a description in the log is bound to: the founding join key, or the chain, and the device."""
    return b"countersign/v1/wrapped-description" + where + device


@dataclass(frozen=True)
class Keyring:
    """What opens what the log and the records hold, as far as a device was let in."""

    keys: Mapping[int, EpochKey]
    name_key: bytes
    code: SyncCode  # of the newest epoch

    def current(self, roster: Roster) -> EpochKey:
        """The key of the epoch that it is: else `not-sealed-here`."""
        if roster.epoch not in self.keys:
            raise Problem("not-sealed-here", f"epoch {roster.epoch} began without this device")
        return self.keys[roster.epoch]

    @classmethod
    def of(cls, roster: Roster, device: bytes, sealing: SealingKey, own: EpochKey | None = None) -> Self:
        """The newest key that the log has for a device, or the one that it was let in with; and every one before."""
        newest = _newest(roster, device, sealing, own.epoch if own else 0) or own
        if newest is None:
            raise Problem("no-key", "the log has no epoch key for this device")
        keys = _down_to_the_first(roster, newest)
        if own and keys[own.epoch] != own:
            raise Alarm("other-epoch-key", f"the key of epoch {own.epoch} is another than the one that let us in")
        name_key, code = _opened(roster, newest)
        if name_key != _opened(roster, keys[1])[0]:
            raise Alarm("other-name-key", "the rotation holds another name key than the founding")
        return cls(keys, name_key, code)

    def description(self, roster: Roster, device: bytes) -> Description | None:
        """What a device, a member or a former one, said of itself when it came in."""
        member = roster.known(device)
        if member is None or member.description is None:
            return None
        where = roster.founded.join_key if member.since == 0 else roster.chain
        place = wrapped_description_place(where, device)
        return Description.decoded(unwrap(self._key(member.epoch).wrap_key, member.description, place))

    def totp_secret(self, roster: Roster) -> bytes | None:
        """The secret of the policy in force."""
        totp, place = roster.policy.totp, roster.in_force.place
        if totp is None:
            return None
        return unwrap(self._key(roster.in_force.epoch).wrap_key, totp[1], totp_place(place))

    def _key(self, epoch: int) -> EpochKey:
        if epoch not in self.keys:
            raise Problem("no-key", f"epoch {epoch} began without this device")
        return self.keys[epoch]


def totp_place(where: bytes) -> bytes:
    """What a TOTP secret is bound to: the founding join key, or the chain."""
    return b"countersign/v1/wrapped-totp" + where


def _newest(roster: Roster, device: bytes, sealing: SealingKey, above: int) -> EpochKey | None:
    """The newest epoch key that a rotation, or the founding, has sealed to a device."""
    for epoch in range(roster.epoch, above, -1):
        if found := _sealed_to(roster, epoch, device):
            sealed, info, associated = found
            return EpochKey(open_sealed(sealing.private, sealed, info, associated), epoch)
    return None


def _sealed_to(roster: Roster, epoch: int, device: bytes) -> tuple[bytes, bytes, bytes] | None:
    """What an epoch's beginning has for a device, with the info and the associated data."""
    begun, recovery = roster.epochs[epoch], roster.founded.recovery
    for recipient in begun.rotation.recipients if begun.rotation else ():
        if recipient.device == device:
            return recipient.epoch_key, rotation_info(roster.chain, device, begun.signer, epoch), begun.prev
    if epoch == 1 and recovery and recovery[0].signing == device:
        return recovery[1], recovery_info(roster.founded.join_key, device, epoch), b""
    return None


def checked(roster: Roster, key: EpochKey) -> EpochKey:
    """A key that the log names."""
    if key.key_id != roster.epochs[key.epoch].key_id:
        raise Alarm("other-epoch-key", f"another epoch key than the log names for {key.epoch}")
    return key


def _down_to_the_first(roster: Roster, newest: EpochKey) -> dict[int, EpochKey]:
    """Each key opens the one before."""
    keys = {newest.epoch: checked(roster, newest)}
    while (key := keys[min(keys)]).epoch > 1:
        rotation = roster.epochs[key.epoch].rotation
        assert rotation is not None
        secret = unwrap(key.wrap_key, rotation.epoch_key_before, b"countersign/v1/wrapped-epoch-key" + roster.chain)
        keys[key.epoch - 1] = checked(roster, EpochKey(secret, key.epoch - 1))
    return keys


def _opened(roster: Roster, key: EpochKey) -> tuple[bytes, SyncCode]:
    """Name key and sync code, as they are wrapped for an epoch."""
    rotation = roster.epochs[key.epoch].rotation
    name_key, code = (rotation or roster.founded).name_key, (rotation or roster.founded).sync_code
    where = roster.chain if rotation else roster.founded.join_key
    secret = unwrap(key.wrap_key, code, b"countersign/v1/wrapped-sync-code" + where)
    opened = SyncCode(secret)
    if opened.join_key.public != roster.epochs[key.epoch].join_key:
        raise Alarm("other-sync-code", "the sync code in the log is another than its join key says")
    return unwrap(key.wrap_key, name_key, b"countersign/v1/wrapped-name-key" + where), opened
