"""A device's durable state: one CBOR file, replaced whole and synced before anything that depends on it leaves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from . import cbor
from .cbor import Raw
from .code import EpochKey, SyncCode
from .forms import Cursor
from .keyring import Keyring
from .keys import SealingKey, SigningKey
from .messages import RecordRow, SealedRecord
from .problems import Problem
from .roster import Roster
from .shape import a_bool, a_bytes, a_text, a_uint, an_id
from .wire import Wire, many

_STATE_LIMIT = 1 << 32


@dataclass
class JoinState(Wire):
    """What a joiner must not forget."""

    READS = (a_bytes, a_bytes, an_id, many(a_bytes), a_bool)
    request: bytes
    description: bytes
    secret: bytes
    nonces: tuple[bytes, ...]
    ended: bool


@dataclass
class PromptState(Wire):
    """A nonce that this device signed: the request's join key, when, the form."""

    READS = (an_id, a_uint, a_bytes)
    join_key: bytes
    at: int
    nonce: bytes


@dataclass
class WrongState(Wire):
    """How often a wrong code was typed for a request."""

    READS = (an_id, a_uint)
    request: bytes
    count: int


@dataclass
class State(Wire):
    """Everything that a device keeps."""

    READS = (
        a_text,
        an_id,
        an_id,
        an_id,
        JoinState.from_raw,
        an_id,
        many(a_bytes),
        many(RecordRow.from_raw),
        Cursor.from_raw,
        Cursor.from_raw,
        SealedRecord.from_raw,
        many(PromptState.from_raw),
        many(WrongState.from_raw),
        many(an_id),
        a_bool,
        a_bytes,
    )
    OPTIONAL = frozenset({4, 5, 8, 9, 10, 15})

    relay: str
    signing_seed: bytes
    sealing_private: bytes
    sync_code: bytes
    join: JoinState | None = None
    epoch_key: bytes | None = None  # the one that this device was let in with
    entries: tuple[bytes, ...] = ()
    rows: tuple[RecordRow, ...] = ()
    cursor: Cursor | None = None
    watched: Cursor | None = None
    pending: SealedRecord | None = None
    prompts: tuple[PromptState, ...] = ()
    wrong: tuple[WrongState, ...] = ()
    admitted: tuple[bytes, ...] = ()
    forked: bool = False
    appending: bytes | None = None

    @property
    def signing(self) -> SigningKey:
        return SigningKey(self.signing_seed)

    @property
    def sealing(self) -> SealingKey:
        return SealingKey(self.sealing_private)

    @property
    def code(self) -> SyncCode:
        """The one that this device came in with."""
        return SyncCode(self.sync_code)

    def keyring(self, roster: Roster) -> Keyring:
        """Every key that this device has, by a log that it has followed."""
        member = roster.known(self.signing.public)
        if self.epoch_key is None or member is None:
            raise Problem("not-joined", "this device is not a member yet")
        return Keyring.of(roster, self.signing.public, self.sealing, EpochKey(self.epoch_key, member.epoch))


class Store:
    """The file that holds a State."""

    def __init__(self, directory: Path, state: State) -> None:
        self._path = directory / "state.cbor"
        self.state = state

    @classmethod
    def create(cls, directory: Path, state: State) -> Store:
        """A new state, in a directory that has none."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = cls(directory, state)
        if store._path.exists():
            raise Problem("exists", f"{store._path} is the state of another device")
        store.save()
        return store

    @classmethod
    def load(cls, directory: Path) -> Store:
        """The state of an earlier run."""
        data = (directory / "state.cbor").read_bytes()
        return cls(directory, cbor.decode_as(State, data, _STATE_LIMIT))

    def save(self) -> None:
        """Durable when it returns."""
        fresh = self._path.with_suffix(".new")
        raw: Raw = self.state.to_raw()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(cbor.encode(raw))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
