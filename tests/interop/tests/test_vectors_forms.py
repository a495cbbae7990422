"""docs/vectors/forms.json and logs.json: what is accepted and what it says, what is refused and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from vectors_of import NAMED, Case, load, refusal, visit

from countersign_client import vectors
from countersign_client.cose import sig_structure
from countersign_client.entries import Entry
from countersign_client.forms import open_form
from countersign_client.log import apply
from countersign_client.problems import Problem
from countersign_client.roster import Roster


def check_made(document: dict[str, Any], case: Case) -> bytes:
    """What the case says of its making holds: the bytes come from its inputs, and the hash is of what is signed."""
    made = vectors.signed(vectors.signing_keys(document), case.members)
    assert all(case[member] == value for member, value in made.items() if member in case.members)
    assert case.get("fill") or {"hash", "bytes"} <= case.members.keys()
    for member in ("label", "signer", "payload", "proofs", "edits"):
        case.get(member)
    return bytes.fromhex(made["bytes"])


def form(document: dict[str, Any], case: Case) -> None:
    cls = vectors.FORMS[case["form"]]
    data = check_made(document, case)
    error = case.get("error")
    assert refusal(lambda: open_form(cls, data)) == error
    assert case["cddl"] in (None, case["form"])  # test_vectors_cddl.py asks whether it matches
    if error is not None:
        return
    opened = open_form(cls, data)
    signer = bytes.fromhex(document["keys"][case["signer"]]["signing"])
    assert (opened.hash, opened.signer, opened.raw) == (case.bytes("hash"), signer, data)
    assert sig_structure(cls.LABEL, signer, case.bytes("payload")) == case.bytes("sig_structure")
    fields = vectors.raw_of(document["names"], case["form"], case["fields"])
    assert opened.body == cls.from_raw(fields) and opened.body.to_raw() == fields


def log(document: dict[str, Any], case: Case) -> None:
    roster: Roster | None = None
    for index, name in enumerate(case["log"]):
        try:
            roster = apply(roster, open_form(Entry, bytes.fromhex(document["entries"][name]["bytes"])))
        except Problem as problem:
            assert (problem.code, index) == (case["error"], case["index"])
            return
    assert case["error"] is None and case["index"] is None and roster is not None
    assert vectors.roster_of(roster) == case["roster"]


def test_forms() -> None:
    assert visit("forms", {"names", "keys"}, {"cases": form}) > 300


def test_logs() -> None:
    assert visit("logs", {"keys", "entries"}, {"cases": log}) > 100


@pytest.mark.parametrize(("name", "members"), NAMED)
def test_named_forms(name: str, members: str) -> None:
    """Every form that cases name is made again from its payload, and named by a case."""
    document = load(name)
    for signed in map(Case, document[members].values()):
        check_made(document, signed)
        signed.end()
    lists = [value for value in document.values() if isinstance(value, list)]
    assert document[members].keys() <= set(texts(lists))


def texts(value: Any) -> Iterator[str]:
    """Every text in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)
