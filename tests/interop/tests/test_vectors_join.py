"""docs/vectors/join.json: every step of a whole join is read here; that it is made again is in test_vectors_made.py."""

from __future__ import annotations

from typing import Any

from test_vectors_derivations import sealed
from test_vectors_forms import form
from vectors_of import Case, load, visit

from countersign_client import cbor, vectors
from countersign_client.code import SyncCode
from countersign_client.cose import Envelope
from countersign_client.http import SignedRead

ENVELOPES = {"sign1", "with-proofs"}


def step(document: dict[str, Any], case: Case) -> None:
    """Who says it, in which shape, and what both work out are in the file; here the bytes are read."""
    data, made = case.bytes("bytes"), case.get("forms") or []
    for check, items in ((sealed, case.get("seals") or []), (form, made)):
        for item in map(Case, items):
            check(document, item)
            item.end()
    rule = case["rule"]
    if rule in ENVELOPES:
        assert [item["bytes"] for item in made] == [data.hex()]
        assert bool(Envelope.read(data).proofs) == (rule == "with-proofs")
    elif rule is None:
        assert data == b""
    else:
        cls, limit = vectors.MESSAGES[rule]
        cbor.decode_as(cls, data, limit)
        assert all(bytes.fromhex(item["bytes"]) in data for item in made)
    assert {case["from"], case["to"]} <= {"laptop", "phone", "relay"} and case["via"]
    if headers := case.get("headers"):
        values = dict(line.split(": ", 1) for line in headers)
        read = SignedRead.parse(values["Signature-Input"], values["Signature"])
        method, _, path = case["via"].partition(" ")
        device = read.check(method, document["inputs"]["origin"] + path, read.created)
        assert device.hex() == document["keys"][case["from"]]["signing"]
    case.get("derived")  # compared in test_vectors_made.py


def test_join() -> None:
    names = load("forms")["names"]

    def beside(document: dict[str, Any], case: Case) -> None:
        form(document | {"names": names | document["names"]}, case)

    assert visit("join", {"names", "keys", "inputs"}, {"steps": step, "besides": beside}) > 30


def test_inputs() -> None:
    inputs = Case(load("join")["inputs"])
    assert SyncCode(inputs.bytes("sync_code")).words() == inputs["words"]
    world = {member: load("rounds")["admissions"][0][member] for member in ("epoch_key", "name_key", "sync_code")}
    assert all(inputs[member] == value for member, value in world.items())
    assert inputs["c8"] == load("rounds")["answers"][0]["c8"] and inputs["origin"] == "https://relay.example"
    inputs.end()
