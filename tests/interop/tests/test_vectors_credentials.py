"""docs/vectors/credentials.json: what is proven by them, what is refused and where, and the same bytes made again."""

from __future__ import annotations

from typing import Any

import pytest
import vectors_of
from test_vectors_cddl import matches
from test_vectors_forms import check_made, texts
from vectors_of import Case, load, visit

from countersign_client import cbor, vectors
from countersign_client.credential import (
    LIMIT, MOST_ENTRIES, Credential, Known, NotAMember, NotBorneOut, Proven, make_credential, prove,
)
from countersign_client.problems import Problem
from countersign_client.roster import Former

Json = dict[str, Any]


def known_of(case: Case) -> Known:
    chain, head = case["known"]["chain"], case["known"]["head"]
    return Known(bytes.fromhex(chain) if chain else None, (bytes.fromhex(head["hash"]), head["seq"]) if head else None)


def shown(document: Json, case: Case) -> bytes:
    """The bytes, made from their inputs."""
    if fill := case.get("fill"):
        return vectors.filled(fill)
    log = tuple(bytes.fromhex(document["entries"][name]["bytes"]) for name in case["log"])
    data = bytearray(cbor.encode(Credential(1, case.bytes("device"), log).to_raw()))
    for edit in case.get("edits") or ():
        data[edit["at"] : edit["at"] + edit["cut"]] = bytes.fromhex(edit["insert"])
    assert bytes(data) == case.bytes("bytes")
    return bytes(data)


def departure(former: Former | None) -> Json | None:
    return {"seq": former.until, "by": former.by.hex(), "why": vectors.WHY[former.why]} if former else None


def told(proven: Proven) -> Json:
    """What is proven, as the vectors tell it."""
    links = [
        {
            "device": link.device.hex(),
            "seq": link.seq,
            "by": link.by.hex(),
            "with": [device.hex() for device in link.consents],
            "how": None if link.how is None else vectors.WAYS[link.how],
            "ended": departure(link.ended),
        }
        for link in proven.links
    ]
    return {
        "chain": proven.chain.hex(),
        "founder": proven.founder.hex(),
        "signing": proven.signing.hex(),
        "sealing": proven.sealing.hex(),
        "role": vectors.ROLES[proven.role],
        "epoch": proven.epoch,
        "head": proven.head.hex(),
        "seq": proven.seq,
        "links": links,
    }


def credential(document: Json, case: Case) -> None:
    data, known = shown(document, case), known_of(case)
    try:
        proven = prove(data, known)
    except Problem as problem:
        assert (problem.code, problem.place) == (case["error"], case["index"])
        if isinstance(problem, NotAMember):
            assert departure(problem.former) == case["former"]
        if isinstance(problem, NotBorneOut):
            newest = problem.newest
            assert vectors_of.refusal(lambda: prove(data, newest)) == case["error"]
        return
    assert case["error"] is None and case["index"] is None
    assert told(proven) == case["proven"]
    assert prove(data, proven.newest()) == proven
    raw = cbor.decode_as(Credential, data, LIMIT)
    assert make_credential(raw.device, raw.entries) == data


def test_credentials() -> None:
    assert visit("credentials", {"keys", "entries"}, {"cases": credential}) > 50


def test_named_entries() -> None:
    """Every entry that cases name is made again from its payload, and named by a case."""
    document = load("credentials")
    for entry in map(Case, document["entries"].values()):
        check_made(document, entry)
        entry.end()
    assert document["entries"].keys() <= set(texts(document["cases"]))


def test_cddl() -> None:
    """What is well-formed has the shape, and what has not is malformed. Of encodings, CDDL says nothing."""
    encodings = {"not-canonical", "too-large", "unknown-version"}
    for case in load("credentials")["cases"]:
        if case["error"] in encodings or case["name"].startswith("indefinite"):
            continue
        whole = case["error"] != "malformed" or case["index"] is not None
        assert matches("credential", bytes.fromhex(case["bytes"])) == whole, case["name"]


def test_entries_are_counted() -> None:
    head = bytes([0xA3, 0, 1, 1, 0x58, 0x20, *bytes(32), 2, 0x9A])
    for count, place in ((MOST_ENTRIES, 0), (MOST_ENTRIES + 1, None)):
        with pytest.raises(Problem) as refused:
            prove(head + count.to_bytes(4) + b"\x40" * count, Known())
        assert (refused.value.code, refused.value.place) == ("malformed", place)


CHANGES = {
    "another code": lambda d: d["cases"][-1].update(error="malformed"),
    "another place": lambda d: next(case for case in d["cases"] if case["name"] == "gap").update(index=1),
    "another link": lambda d: d["cases"][1]["proven"]["links"][0].update(seq=0),
    "another end": lambda d: next(case for case in d["cases"] if case["name"] == "removed")["former"].update(seq=1),
    "another device": lambda d: d["cases"][0].update(device="00" * 32),
    "another known head": lambda d: d["cases"][5]["known"]["head"].update(hash="00" * 32),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_noticed(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = vectors_of.load

    def changed(name: str) -> Json:
        change(document := read(name))
        return document

    monkeypatch.setattr(vectors_of, "load", changed)
    with pytest.raises(AssertionError):
        test_credentials()
