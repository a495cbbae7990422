"""What the tests share: a chain in memory, and a relay of a few lines that stands where the network would."""

from __future__ import annotations

import os
import queue
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from family import Family, three_approvers

from countersign_client import cbor, seal, socket
from countersign_client.code import EpochKey, SyncCode
from countersign_client.entries import Admit, Deny, Entry
from countersign_client.forms import Connect, Cursor, JoinRequest, Nonce, Record, Reveal, Signed, open_form
from countersign_client.founder import found_entry
from countersign_client.http import Relay
from countersign_client.joiner import describe
from countersign_client.keys import SealingKey, SigningKey
from countersign_client.log import apply
from countersign_client.member import milliseconds
from countersign_client.messages import (
    Append, Appended, Ask, Challenge, Frame, LogPage, OpenRequest, OpenRequests, Put, Ready, RecordPage, RecordRow,
    Round, SealedRecord, Seen, Standing, Stored,
)
from countersign_client.problems import Problem
from countersign_client.roster import Roster

ORIGIN = "http://relay.test:8080"


@dataclass
class Chain:
    """A founded chain with all its secrets."""

    code: SyncCode
    epoch_key: EpochKey
    name_key: bytes
    founder: SigningKey
    sealing: SealingKey
    entry: Signed[Entry]
    roster: Roster


@pytest.fixture
def chain() -> Chain:
    code, epoch_key, name_key = SyncCode(os.urandom(32)), EpochKey(os.urandom(32), 1), os.urandom(32)
    founder, sealing = SigningKey.random(), SealingKey.random()
    entry = found_entry(code, epoch_key, name_key, founder, sealing, describe("laptop"), 1_700_000_000_000)
    return Chain(code, epoch_key, name_key, founder, sealing, entry, apply(None, entry))


class FakeRelay(Relay):
    """One chain, no checks but those that the flows need."""

    def __init__(self) -> None:
        super().__init__(ORIGIN)
        self.entries: list[bytes] = []
        self.rows: list[RecordRow] = []
        self.refills: list[bytes | None] = []
        self.store = 7
        self.roster: Roster | None = None
        self.ask: Ask | None = None
        self.rounds: list[Round] = []
        self.sockets: list[FakeSocket] = []
        self.lost_answers = 0

    def _send(self, method: str, uri: str, body: bytes, key: SigningKey | None) -> httpx.Response:
        parts = urlsplit(uri)
        answer = self._route(method, parts.path, parse_qs(parts.query), body)
        for fake in self.sockets:
            fake.push(self.standing())
        return httpx.Response(200, content=cbor.encode(answer.to_raw()) if answer else b"")

    def _route(self, method: str, path: str, query: dict[str, list[str]], body: bytes):
        after = int(query.get("after", ["-1"])[0])
        if path == "/v1/chains":
            return self._append([body])
        if path == "/v1/log":
            return self._append(list(cbor.decode_as(Append, body, 1 << 22).entries))
        if path == "/v1/requests":
            self.ask = cbor.decode_as(Ask, body, 1 << 22)
            return self.standing()
        if path.startswith("/v1/requests/"):
            return self.standing()
        if path == "/v1/nonces":
            if not any(known.nonce == body for known in self.rounds):
                if open_form(Nonce, body).body.round <= len(self.rounds):
                    raise Problem("round-taken")
                self.rounds.append(Round(body, None))
            return None
        if path == "/v1/reveals":
            nonce = open_form(Reveal, body).body.nonce_hash
            self.rounds = [
                Round(known.nonce, body) if open_form(Nonce, known.nonce).hash == nonce else known
                for known in self.rounds
            ]
            return None
        if path == "/v1/records":
            put = cbor.decode_as(Put, body, 1 << 22)
            (record,) = put.records
            self.refills.append(put.refill)
            for row in self.rows:
                if row.record.header == record.header:
                    return Stored((row.number,))
            self._replace(open_form(Record, record.header).body)
            self.rows.append(RecordRow(len(self.rows) + 1, record))
            if self.lost_answers:
                self.lost_answers -= 1
                raise Problem("unreachable")
            return Stored((len(self.rows),))
        if path.endswith("/log"):
            return LogPage(tuple(self.entries[after + 1 :][:2]), self.roster.head, self.roster.seq)
        if path.endswith("/requests"):
            return OpenRequests((self.open_request(),) if self.ask else ())
        if path.endswith("/records"):
            start = max(after, 0)
            rows = tuple(self.rows[start:][:2])
            return RecordPage(rows, Cursor(self.store, start + len(rows)), len(self.rows))
        raise AssertionError(path)

    def _replace(self, record: Record) -> None:
        for place, row in enumerate(self.rows):
            if open_form(Record, row.record.header).hash == record.base:
                self.rows[place] = RecordRow(row.number, SealedRecord(row.record.header, None))

    def _append(self, entries: list[bytes]) -> Appended:
        for raw in entries:
            self.roster = apply(self.roster, open_form(Entry, raw))
            self.entries.append(raw)
        return Appended(self.roster.head, self.roster.seq)

    def open_request(self) -> OpenRequest:
        return OpenRequest(self.ask.request, self.ask.description, Seen("192.0.2.1", None, 5), 900_000, tuple(self.rounds))

    def standing(self) -> Standing:
        request = open_form(JoinRequest, self.ask.request).hash if self.ask else bytes(32)
        decided = [open_form(Entry, raw).body.body for raw in self.entries]
        admitted = any(isinstance(body, Admit) for body in decided)
        denied = any(isinstance(body, Deny) for body in decided)
        state = 3 if admitted else 2 if denied else 1 if self.rounds else 0
        return Standing(request, state, 900_000, True, tuple(known.nonce for known in self.rounds))


class FakeSocket:
    """The relay's end and the device's end of one socket."""

    def __init__(self, relay: FakeRelay) -> None:
        self._relay = relay
        self._pushes: queue.Queue[bytes] = queue.Queue()
        self.connect: Connect | None = None
        self.acks: list[list[int]] = []
        self.nonce = os.urandom(32)
        self.push(Challenge(self.nonce, milliseconds()))

    def push(self, push) -> None:
        self._pushes.put(cbor.encode(Frame(push).to_raw()))

    def recv(self, timeout: float | None) -> bytes:
        try:
            return self._pushes.get(timeout=timeout or 20)
        except queue.Empty:
            raise TimeoutError from None

    def send(self, message: bytes) -> None:
        if self.connect is not None:
            self.acks.append(list(cbor.parse(message)[1].values()))
            return
        self.connect = open_form(Connect, message).body
        assert self.connect.origin == ORIGIN and self.connect.relay_nonce == self.nonce
        if self.connect.kind == 1:
            self._relay.sockets.append(self)
            self.push(self._relay.standing())
            return
        self.push(Ready(self._relay.roster.head, self._relay.roster.seq, True))
        start = self.connect.cursor.number if self.connect.cursor else 0
        for number in range(start, len(self._relay.rows), 2):
            rows = tuple(self._relay.rows[number : number + 2])
            self.push(RecordPage(rows, Cursor(self._relay.store, number + len(rows)), len(self._relay.rows)))

    def close(self) -> None:
        if self in self._relay.sockets:
            self._relay.sockets.remove(self)


@pytest.fixture(autouse=True)
def draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the randomness of sealing gives it back."""
    monkeypatch.setattr(seal, "draw", seal.draw)


@pytest.fixture
def family() -> Family:
    return three_approvers(Family(1))


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> FakeRelay:
    fake = FakeRelay()
    fake.dialled = []

    def dial(origin: str) -> FakeSocket:
        assert origin == ORIGIN
        fake.dialled.append(FakeSocket(fake))
        return fake.dialled[-1]

    monkeypatch.setattr(socket, "_dial", dial)
    return fake
