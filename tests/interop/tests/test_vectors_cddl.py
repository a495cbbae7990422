"""The CDDL of the page, as one document, against the bytes of docs/vectors."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from logging import getLogger
from typing import Any

import pytest
from cddl_verifier import Validator
from family import Family, three_approvers
from vectors_of import FOLDER, NAMED, load

from countersign_client import cbor, vectors
from countersign_client.cose import Envelope
from countersign_client.entries import KINDS, Deny, Entry
from countersign_client.forms import Refill, sign_form

getLogger("cddl_verifier").setLevel("CRITICAL")

PAGE = (FOLDER.parent / "protocol.md").read_text()
BLOCKS = re.findall(r"^```cddl\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

# Malformed for a reason that no CDDL can give: how an item is encoded, which points a key names, what a form inside is.
BEYOND_CDDL = re.compile(
    r".*/wide-tag|.*[/-]indefinite(-map)?|join-request/(sealing-key-(?!31).*|low-order-and-bad-signature)"
    r"|admit/(request-cut|another-form-inside|inner-fault-and-bad-proof)"
)


@cache
def schema() -> Validator:
    return Validator("\n".join(BLOCKS))


def matches(rule: str, data: bytes) -> bool:
    return schema().validate(data, root_type=rule).valid


def enveloped(case: dict[str, Any], data: bytes) -> bool:
    """A form's bytes. What `protected` holds is a rule of its own, which only its comment in `sign1` names."""
    if not matches("with-proofs" if case["proofs"] else "sign1", data):
        return False
    raw = cbor.parse(data)
    return all(matches("header", item.value[0]) for item in (raw if isinstance(raw, list) else [raw]))


def test_every_block_is_read() -> None:
    assert len(BLOCKS) == PAGE.count("```cddl") > 10
    rules = re.findall(r"^([\w-]+) *=", "\n".join(BLOCKS), re.MULTILINE)
    assert len(rules) == len(set(rules)) and {*vectors.FORMS, *vectors.MESSAGES} <= set(rules)


def test_every_name_is_defined() -> None:
    """One document: each rule stands once, and names nothing that is not there."""
    text = re.sub(r';.*|"[^"]*"|[\w-]+:', "", "\n".join(BLOCKS))
    rules = re.findall(r"^([\w-]+) *=", text, re.MULTILINE)
    prelude = {"bstr", "tstr", "uint", "bool", "size"}
    assert len(rules) == len(set(rules)) and set(re.findall(r"[A-Za-z][\w-]*", text)) - {*rules} == prelude


# Rules that name no map of their own: each is part of every case, or of those that are named here.
OF_NO_MAP = {
    "id", "millis", "sealed", "form", "header", "sign1", "Sig_structure", "with-proofs", "role", "how", "quorum", "approvals",
    "body", "subject", "to-device", "from-device", "credential",
}


KINDS_OF = vectors.KINDS | {"to-device": dict(enumerate(vectors.TO_DEVICE)), "from-device": {0: "ack"}}


def told_rules() -> dict[str, set[int]]:
    """The rules of which some file of the vectors has a good value; for those with kinds, the kinds."""
    told: dict[str, set[int]] = {}

    def tell(rule: str, value: Any) -> None:
        if isinstance(value, dict):
            told.setdefault(rule, set())
            for name, inner in value.items():
                tell(vectors.rule_of(rule, name), inner)
        elif isinstance(value, list) and rule in KINDS_OF:
            told.setdefault(rule, set()).add(value[0])
            tell(KINDS_OF[rule][value[0]], value[1])
        elif isinstance(value, list):
            for inner in value:
                tell(rule, inner)

    for name in ("forms", "messages"):
        for case in load(name)["cases"]:
            if case["error"] is None:
                tell(case["cddl"], case["fields"])
    if any(case["name"].endswith("description") for case in load("sealing")["cases"]):
        tell("description", {})
    if any("content" in record for case in load("records")["cases"] for record in case["records"]):
        tell("content", {})
    return told


def test_every_rule_stands_in_a_vector() -> None:
    """Of each map of the page there is a good one, of each kind that the page numbers too; and no kind but those."""
    told, text = told_rules(), "\n".join(BLOCKS)
    rules = set(re.findall(r"^([\w-]+) *=", text, re.MULTILINE))
    assert rules - OF_NO_MAP - told.keys() == set()
    for rule in ("body", "subject", "to-device", "from-device"):
        (written,) = re.findall(rf"^{rule} *=((?:.*\n)(?:\s+/.*\n)*)", text, re.MULTILINE)
        kinds = {int(number) for number in re.findall(r"\[(\d+), ", written)}
        assert kinds and told[rule] == kinds, rule


def test_what_the_client_makes_of_each_kind() -> None:
    family = three_approvers(Family(1))
    policies = [family.policy, replace(family.policy, ways=(3,), totp=(1, family.policy.totp[1]))]
    made = [*family.entries, *family.one_of_each().values(), *map(family.author(family.laptop).change_policy, policies)]
    made.append(sign_form(Refill.of(bytes(32), []), family.laptop.signing))
    kinds = {type(form.body.body) for form in made if isinstance(form.body, Entry)}
    assert kinds | {Deny} == set(KINDS.values())
    rules = {cls: rule for rule, cls in vectors.FORMS.items()}
    for form in made:
        envelope = Envelope.read(form.raw)
        assert matches(rules[type(form.body)], envelope.form.payload), form
        assert enveloped({"proofs": envelope.proofs}, form.raw)


def test_forms() -> None:
    document = load("forms")
    keys = vectors.signing_keys(document)
    unsaid = []
    for case in document["cases"]:
        if "fill" in case:
            assert case["cddl"] is None
            continue
        payload, data = bytes.fromhex(case["payload"]), bytes.fromhex(vectors.signed(keys, case)["bytes"])
        shaped = matches(case["form"], payload)
        assert case["cddl"] is None or shaped, case["name"]
        if case["error"] is None:
            assert case["cddl"] and enveloped(case, data), case["name"]
            assert matches("Sig_structure", bytes.fromhex(case["sig_structure"]))
        if case["error"] == "malformed" and shaped and enveloped(case, data):
            unsaid.append(case["name"])
        if case["error"] == "unknown-version":
            assert not shaped
    assert [name for name in unsaid if not BEYOND_CDDL.fullmatch(name)] == []
    assert len(unsaid) > 20


def test_messages() -> None:
    for case in load("messages")["cases"]:
        data = vectors.filled(case["fill"]) if "fill" in case else bytes.fromhex(case["bytes"])
        assert (case["cddl"] is None) == (case["error"] is not None)
        if not case["name"].endswith("/wide"):  # of one encoding among several, CDDL says nothing
            assert matches(case["rule"], data) == (case["error"] is None), case["name"]


@pytest.mark.parametrize(("name", "members"), NAMED)
def test_named_forms(name: str, members: str) -> None:
    """What verifies has the shape, wherever it stands."""
    rules = {cls.LABEL.decode(): rule for rule, cls in vectors.FORMS.items()}
    document = load(name)
    bad = {text for case in document.get("cases", []) if case.get("error") for text in case["log"]}
    for who, form in document[members].items():
        if name == "logs" and who in bad:
            continue
        payload, data = bytes.fromhex(form["payload"]), bytes.fromhex(form["bytes"])
        assert matches(rules[form["label"]], payload) and enveloped(form, data), who


def test_join() -> None:
    document = load("join")
    for step in document["steps"]:
        assert (step["rule"] is None) == (step["bytes"] == "")
        assert step["rule"] is None or matches(step["rule"], bytes.fromhex(step["bytes"])), step["name"]
        for form in step.get("forms", []):
            assert matches(form["cddl"], bytes.fromhex(form["payload"])) and enveloped(form, bytes.fromhex(form["bytes"]))


def test_what_is_sealed() -> None:
    for case in load("sealing")["cases"]:
        if case["error"] is None and case["name"].endswith("description"):
            assert matches("description", bytes.fromhex(case["plaintext"]))
    for case in load("records")["cases"]:
        for record in case["records"]:
            assert "content" not in record or matches("content", bytes.fromhex(record["content"]))
