"""The real relay against somebody who has only the page. Skipped without the real programs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest
from test_attacks import second_signature
from test_forms import NAMES, forms, keys, resigned  # noqa: F401 - fixtures

import run_live
from countersign_client import cbor
from countersign_client.cose import JOIN_PROOF, Envelope, Sign1
from countersign_client.entries import Deny, Entry
from countersign_client.forms import (
    Connect, JoinRequest, Nonce, Record, Reveal, Signed, Withdrawal, open_form, sign_form,
)
from countersign_client.founder import admit_entry
from countersign_client.http import signature_headers
from countersign_client.joiner import ask, describe
from countersign_client.keys import SealingKey, SigningKey
from countersign_client.log import apply
from countersign_client.member import milliseconds
from countersign_client.messages import HEAL, NEW, WITHDRAWN, Append, Ask, OpenRequests, Put, SealedRecord, Standing
from countersign_client.policy import APPROVER, WRITER
from countersign_client.problems import Problem
from countersign_client.records import Content, Feed, Writer
from countersign_client.rounds import JoinerRounds
from countersign_client.socket import Session, Whom

pytestmark = pytest.mark.skipif(not run_live.programs(), reason="COUNTERSIGN_RELAY and COUNTERSIGN_AGENT are not set")

LIMITS = """[limits]
requests_per_address = "10000/m"
requests_per_join_key = "10000/m"
chains_per_address = "10000/m"
refused_per_address = "100000/m"
"""
STRANGER = SigningKey.random()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    names = run_live.programs()
    assert names
    relay = run_live.LiveRelay(names[0], tmp_path_factory.mktemp("live") / "relay", LIMITS)
    yield relay.url
    relay.stop()


@dataclass(frozen=True)
class Wire:
    """A relay, with nothing between it and the test."""

    url: str
    client: httpx.Client

    def post(self, path: str, body: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/cbor"}
        return self.client.post(f"{self.url}{path}", content=body, headers=headers)

    def get(self, path: str, key: SigningKey, created: int = 0, signed: str = "") -> httpx.Response:
        """A signed read, as it should be or with another time or another address under the signature."""
        at = int(time.time()) + created
        headers = signature_headers(key, "GET", signed or self.url + path, at, os.urandom(16).hex())
        return self.client.get(self.url + path, headers=headers)

    def append(self, entry: Signed[Entry], purpose: int = NEW) -> httpx.Response:
        return self.post("/v1/log", cbor.encode(Append((entry.raw,), purpose).to_raw()))


@pytest.fixture
def wire(url: str, chain) -> Iterator[Wire]:
    with httpx.Client(trust_env=False, timeout=10) as client:
        wire = Wire(url, client)
        assert wire.post("/v1/chains", chain.entry.raw).status_code == 201
        yield wire


class Asker:
    """A device that has the sync code and asks."""

    def __init__(self, wire: Wire, chain) -> None:
        self.wire, self.key = wire, SigningKey.random()
        join = ask(chain.code, self.key, SealingKey.random(), describe("phone"), milliseconds())
        self.request = open_form(JoinRequest, join.request)
        self.body = cbor.encode(Ask(join.request, join.description).to_raw())
        self.rounds = JoinerRounds(self.request.hash, join.secret)
        self.path = f"/v1/requests/{self.request.hash.hex()}"

    def ask(self) -> httpx.Response:
        return self.wire.post("/v1/requests", self.body)

    def reveal(self, nonce: Signed[Nonce], **changes: bytes) -> httpx.Response:
        form = sign_form(replace(self.rounds.reveal(nonce), **changes), self.key)
        return self.wire.post("/v1/reveals", form.raw)

    def withdraw(self, key: SigningKey | None = None) -> httpx.Response:
        return self.wire.post("/v1/withdrawals", sign_form(Withdrawal(self.request.hash), key or self.key).raw)


def code(response: httpx.Response) -> str:
    return "ok" if response.is_success else response.json()["code"]


def nonce_for(of, asker: Asker, number: int = 1, key: SigningKey | None = None, **changes) -> Signed[Nonce]:
    roster = of.roster
    body = Nonce(roster.chain, asker.request.hash, number, roster.head, roster.epoch, os.urandom(32))
    return sign_form(replace(body, **changes), key or of.founder)


def post_nonce(wire: Wire, nonce: Signed[Nonce]) -> str:
    return code(wire.post("/v1/nonces", nonce.raw))


def admit(chain, asker: Asker, key: SigningKey | None = None, role: int = WRITER) -> Signed[Entry]:
    return admit_entry(chain.roster, asker.request, b"", role, chain.epoch_key, key or chain.founder, milliseconds())


def deny(chain, asker: Asker, key: SigningKey | None = None) -> Signed[Entry]:
    body = Deny(asker.request.hash, asker.key.public, 0, 0)
    entry = Entry(chain.roster.chain, chain.roster.seq + 1, chain.roster.head, milliseconds(), body)
    return sign_form(entry, key or chain.founder)


def a_record(chain, key: SigningKey) -> bytes:
    sealed = Writer(key, chain.name_key, chain.epoch_key).put(chain.roster, Feed(), Content("c", "n", b"v"), 1)
    return cbor.encode(Put((sealed,)).to_raw())


def test_the_code_opens_the_door_and_nothing_else(wire: Wire, chain) -> None:
    asker = Asker(wire, chain)
    asker.ask()
    here, nowhere = f"/v1/chains/{chain.roster.chain.hex()}", f"/v1/chains/{bytes(32).hex()}"
    for key in (STRANGER, chain.code.join_key, asker.key):
        for what in ("/log", "/requests", "/records", f"/records/{'0' * 64}/{'0' * 64}"):
            answers = [wire.get(where + what, key).json() for where in (here, nowhere)]
            assert answers[0]["code"] == "not-a-member"
            assert len({str({**answer, "instance": ""}) for answer in answers}) == 1
        assert post_nonce(wire, nonce_for(chain, asker, key=key)) == "not-a-member"
        for purpose in (NEW, HEAL):
            for entry in (admit(chain, asker, key, APPROVER), deny(chain, asker, key)):
                assert code(wire.append(entry, purpose)) == "not-a-member"
        assert code(wire.post("/v1/records", a_record(chain, key))) == "not-a-member"
        with pytest.raises(Problem, match="4403"), Session(wire.url, key, Whom(chain.roster.chain, chain.roster.head)) as s:
            s.receive(10)
    for key in (STRANGER, chain.code.join_key, chain.founder):
        assert wire.get(asker.path, key).status_code == 404
        assert code(asker.withdraw(key)) == "request-unknown"
        with pytest.raises(Problem, match="4401"), Session(wire.url, key, Whom(request=asker.request.hash)) as s:
            s.receive(10)


def test_rounds_are_in_order_and_once(wire: Wire, chain) -> None:
    asker = Asker(wire, chain)
    asker.ask()
    assert post_nonce(wire, nonce_for(chain, asker, 2)) == "round-taken"
    nonce = nonce_for(chain, asker)
    assert post_nonce(wire, nonce) == post_nonce(wire, nonce) == "ok"
    assert post_nonce(wire, nonce_for(chain, asker)) == post_nonce(wire, nonce_for(chain, asker, 3)) == "round-taken"
    for changes, refusal in (
        ({"head": bytes(32)}, "unknown-head"), ({"epoch": 2}, "stale-epoch"), ({"chain": bytes(32)}, "not-a-member"),
    ):
        assert post_nonce(wire, nonce_for(chain, asker, 2, **changes)) == refusal
    for changes, refusal in (
        ({"commitment": bytes(32)}, "broken-commitment"), ({"commitment": asker.rounds.commitment(2)}, "broken-commitment"),
        ({"nonce_hash": bytes(32)}, "other-nonce"), ({"request": bytes(32)}, "request-unknown"),
    ):
        assert code(asker.reveal(nonce, **changes)) == refusal
    assert code(asker.reveal(nonce)) == code(asker.reveal(nonce)) == "ok"
    assert code(asker.reveal(nonce, commitment=bytes(32))) == "broken-commitment"
    other = sign_form(asker.rounds.reveal(nonce), STRANGER)
    assert code(wire.post("/v1/reveals", other.raw)) == "request-unknown"


def seen(response: httpx.Response) -> tuple[object, ...]:
    """All that a joiner can see of an answer, but for the milliseconds left and what names the request."""
    headers = sorted((k, v) for k, v in response.headers.items() if k not in ("date", "countersign-time"))
    if not response.is_success:
        return response.status_code, headers, {**response.json(), "instance": ""}
    if not response.content:
        return response.status_code, headers
    standing = cbor.decode_as(Standing, response.content, 1 << 20)
    return response.status_code, headers, standing.state, standing.member_connected, len(standing.nonces)


@pytest.mark.parametrize("stage", ["waiting", "code", "revealed"])
def test_a_denial_looks_like_waiting(wire: Wire, chain, stage: str) -> None:
    pair = [Asker(wire, chain), Asker(wire, chain)]
    nonces = [nonce_for(chain, asker) for asker in pair]
    for asker, nonce in zip(pair, nonces, strict=True):
        asker.ask()
        if stage != "waiting":
            assert post_nonce(wire, nonce) == "ok"
        if stage == "revealed":
            assert code(asker.reveal(nonce)) == "ok"
    sockets = [Session(wire.url, asker.key, Whom(request=asker.request.hash)) for asker in pair]
    for session in sockets:
        assert isinstance(session.receive(10), Standing)
    assert code(wire.append(deny(chain, pair[0]))) == "ok"
    looks = (
        lambda asker, nonce: wire.get(asker.path, asker.key),
        lambda asker, nonce: asker.ask(),
        lambda asker, nonce: asker.reveal(nonce),
        lambda asker, nonce: asker.reveal(nonce, commitment=bytes(32)),
        lambda asker, nonce: asker.reveal(nonce, nonce_hash=bytes(32)),
        lambda asker, nonce: wire.post("/v1/nonces", nonce_for(chain, asker, 2, STRANGER).raw),
        lambda asker, nonce: wire.append(admit(chain, asker, STRANGER)),
        lambda asker, nonce: asker.withdraw(STRANGER),
        lambda asker, nonce: asker.withdraw(),
        lambda asker, nonce: wire.get(asker.path, asker.key),
        lambda asker, nonce: asker.ask(),
    )
    for look in looks:
        denied, waiting = (seen(look(asker, nonce)) for asker, nonce in zip(pair, nonces, strict=True))
        assert denied == waiting
    for session in sockets:  # nothing came between the denial and the withdrawal
        push = session.receive(10)
        assert isinstance(push, Standing) and push.state == WITHDRAWN
        session.__exit__(None, None, None)


def test_a_denial_frees_no_place(wire: Wire, chain) -> None:
    askers = [Asker(wire, chain) for _ in range(4)]
    assert [code(asker.ask()) for asker in askers] == ["ok", "ok", "ok", "too-many-pending"]
    assert code(wire.append(deny(chain, askers[0]))) == "ok"
    assert code(askers[3].ask()) == "too-many-pending"


def test_heal_admits_a_withdrawn_request_and_nothing_else_does(wire: Wire, chain) -> None:
    asker = Asker(wire, chain)
    asker.ask()
    asker.withdraw()
    assert code(wire.append(admit(chain, asker))) == "request-closed"
    assert code(wire.append(admit(chain, asker), HEAL)) == "ok"


def test_an_append_is_all_or_nothing(wire: Wire, chain) -> None:
    one, two = Asker(wire, chain), Asker(wire, chain)
    one.ask(), two.ask()
    first = admit(chain, one)
    chain.roster = apply(chain.roster, first)
    bad, good = admit(chain, two, STRANGER), admit(chain, two)

    def append(*entries: Signed[Entry]) -> httpx.Response:
        return wire.post("/v1/log", cbor.encode(Append(tuple(entry.raw for entry in entries), NEW).to_raw()))

    assert (append(first, bad).json()["code"], append(first, bad).json()["index"]) == ("not-a-member", 1)
    assert append(good).json()["seq"] == 0
    assert [code(append(first, good)) for _ in range(2)] == ["ok", "ok"]


def test_reads_are_bound_to_time_and_place(wire: Wire, chain) -> None:
    path = f"/v1/chains/{chain.roster.chain.hex()}/log"
    assert code(wire.get(path, chain.founder)) == "ok"
    for created in (-62, 62):
        assert code(wire.get(path, chain.founder, created)) == "clock"
    for signed in ("https://other.example" + path, wire.url + path + "?after=0"):
        assert code(wire.get(path, chain.founder, signed=signed)) == "bad-signature"


def test_a_connect_is_bound_to_relay_and_socket(wire: Wire, chain) -> None:
    whom = Whom(chain.roster.chain, chain.roster.head)

    class Elsewhere(Whom):
        changes: dict[str, object] = {}

        def answer(self, origin: str, device: bytes, relay_nonce: bytes) -> Connect:
            return replace(whom.answer(origin, device, relay_nonce), **self.changes)

    for changes in ({"origin": "https://other.example"}, {"relay_nonce": bytes(32)}, {"subprotocols": ()}, {"head": None}):
        Elsewhere.changes = changes
        with pytest.raises(Problem, match="4401"), Session(wire.url, chain.founder, Elsewhere()) as session:
            session.receive(10)


def test_other_bytes_of_the_same_form_change_nothing(wire: Wire, chain) -> None:
    asker = Asker(wire, chain)
    asker.ask()
    nonce = nonce_for(chain, asker)
    payload = cbor.decode_as(Envelope, nonce.raw, 1024).form.payload
    variant = second_signature(chain.founder, Nonce.LABEL, payload, os.urandom(31) + b"\x00")
    assert post_nonce(wire, nonce) == code(wire.post("/v1/nonces", cbor.encode(variant.to_raw()))) == "ok"
    (known,) = cbor.decode_as(
        OpenRequests, wire.get(f"/v1/chains/{chain.roster.chain.hex()}/requests", chain.founder).content, 1 << 20
    ).requests
    assert known.rounds[0].nonce == nonce.raw
    small = second_signature(chain.founder, Nonce.LABEL, payload, bytes(32))
    assert code(wire.post("/v1/nonces", cbor.encode(small.to_raw()))) == "bad-signature"


ROUTES = {JoinRequest: "requests", Withdrawal: "withdrawals", Nonce: "nonces", Reveal: "reveals", Record: "records", Entry: "log"}


# What is posted by itself, or inside what is posted: the relay opens it before it asks for anything else.
POSTED = [name for name in NAMES if name not in ("found", "member", "joiner", "refill") and not name.startswith("approval-")]


@pytest.mark.parametrize("name", POSTED)
def test_relay_and_client_refuse_with_the_same_code(wire: Wire, forms, keys, name: str) -> None:  # noqa: F811
    form = forms[name]
    raw, body = form.raw, form.body.to_raw()
    payload = cbor.encode(body)
    payloads = [
        cbor.encode({**body, 23: 0}), cbor.encode({**body, 0: 2}), payload + b"\x00", b"\xbf" + payload[1:] + b"\xff",
        payload[:1] + b"\x18\x00" + payload[2:], bytes([payload[0] + 1]) + payload[1:3] + payload[1:],
    ]
    payloads += [cbor.encode({**body, key: value}) for key in body if key for value in (-1, bytes(31), "x", {}, [], True)]
    payloads += [cbor.encode({other: body[other] for other in body if other != key}) for key in body]
    bad = [resigned(form, keys, changed) for changed in payloads]
    bad += [raw[:length] for length in range(0, len(raw), 11)] + [raw + b"\x00", bytes(type(form.body).LIMIT + 1)]
    bad += [raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :] for at in range(0, len(raw), 5)]
    cls = type(form.body)
    for changed in bad:
        try:
            open_form(cls, changed)
            continue
        except Problem as problem:
            refusal = problem.code
        message = changed
        if cls is JoinRequest:
            message = cbor.encode(Ask(changed, b"").to_raw())
        elif cls is Record:
            message = cbor.encode(Put((SealedRecord(changed, None),)).to_raw())
        elif cls is Entry:
            message = cbor.encode(Append((changed,), NEW).to_raw())
        assert code(wire.post(f"/v1/{ROUTES[cls]}", message)) == refusal, changed.hex()


CARRIED = (
    "a1001801", "a201000000", "a200000001", "a1616100", "f93c00", "f6", "f0", "f8ff", "9f00ff", "5f4101ff", "20", "c100",
    "81" * 5000 + "00", "c1" * 5000 + "00", "c249010000000000000000", "61ff", "1c", "5f6161ff", "7f61c361a4ff", "",
)  # fmt: skip
KEYS_AND_VALUES = (
    ("17", "81" * 2000 + "00"), ("17", "f93c00"), ("17", "61ff"), ("17", "9f00ff"), ("17", "81" * 99 + "9f00ff"), ("17", "f6"),
    ("17", "a1616100"), ("20", "00"), ("00", "6161"), ("00", "f6"), ("02", "6161"), ("05", "8203a0"), ("05", "820da0"), ("05", "8205a0"),
    ("4100", "00"), ("6161", "00"), ("1b7fffffffffffffff", "00"), ("1b8000000000000000", "00"), ("3bffffffffffffffff", "00"),
)  # fmt: skip


def test_relay_and_client_agree_on_what_nobody_makes(wire: Wire, chain) -> None:
    """What stands where the page leaves room: unknown kinds and keys, repeated keys, proofs without number."""
    roster = chain.roster
    fields = {0: 1, 1: roster.chain, 2: 1, 3: roster.head, 4: 1}
    body = Deny(os.urandom(32), os.urandom(32), 0, 0).to_raw()
    good, start = cbor.encode({**fields, 5: [3, body]}), cbor.encode(fields)[1:]
    payloads = [b"\xa6" + start + b"\x05\x82\x0d" + bytes.fromhex(carried) for carried in CARRIED]
    for key, value in KEYS_AND_VALUES:
        pair = bytes.fromhex(key + value)
        payloads += [b"\xa7" + good[1:] + pair, b"\xa7" + pair + good[1:]]
    sent = [cbor.encode(Sign1.sign(Entry.LABEL, chain.founder, payload).to_raw()) for payload in payloads]
    form = Sign1.sign(Entry.LABEL, chain.founder, good)
    raw = cbor.encode(form.to_raw())
    proof = cbor.encode(Sign1.sign(JOIN_PROOF, chain.founder, form.hash(Entry.LABEL)).to_raw())
    sent += [bytes([0x81 + count]) + raw + proof * count for count in range(8)]
    sent += [b"\x98\x02" + raw + proof, b"\x9f" + raw + proof + b"\xff", b"\x83" + raw + proof, b"\xd2" + raw]
    for data in sent:
        with pytest.raises(Problem) as refused:
            open_form(Entry, data)
        assert code(wire.append(Signed(chain.entry.body, b"", b"", data))) == refused.value.code, data.hex()
    for path, empty in (("/v1/log", {0: [], 1: 0}), ("/v1/records", {0: []})):
        assert code(wire.post(path, cbor.encode(empty))) == "malformed"
