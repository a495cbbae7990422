"""The good cases of docs/vectors, made from their inputs: `python -m countersign_client.vectors FROM TO`.

FROM is a folder with the files of docs/vectors. Of each good case only the inputs are read; everything else, down to the
signatures, is made here, and written to TO in the same format.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from . import cbor, seal
from .cbor import Raw
from .code import EpochKey, SyncCode
from .cose import Envelope, Sign1, sig_structure
from .entries import Entry
from .forms import Body, Connect, JoinRequest, Nonce, Record, Reveal, Withdrawal
from .keys import SealingKey, SigningKey, hkdf
from .log import Roster
from .records import blind
from .rounds import MOST_ROUNDS, commitment_before

Json = dict[str, Any]
FORMS: dict[str, type[Body]] = {
    "entry": Entry,
    "join-request": JoinRequest,
    "withdrawal": Withdrawal,
    "nonce": Nonce,
    "reveal": Reveal,
    "record": Record,
    "connect": Connect,
}
_KINDS = {1: "found", 2: "admit", 3: "deny"}


def only(case: Json, *members: str) -> Json:
    """The members of a case that are inputs."""
    return {member: case[member] for member in ("name", "comment", "error", *members) if member in case}


def unhex(case: Json, *members: str) -> list[bytes]:
    """Members that are bytes."""
    return [bytes.fromhex(case[member]) for member in members]


@contextmanager
def drawn(*values: bytes) -> Iterator[None]:
    """Gives the next sealings their randomness, in order."""
    left = list(values)

    def draw(length: int) -> bytes:
        assert len(left[0]) == length
        return left.pop(0)

    with patch.object(seal, "draw", draw):
        yield
    assert not left, "not everything was drawn"


# Derivations


def _derived(secret: bytes, number: bytes, names: Mapping[str, str]) -> list[Json]:
    lines = []
    for name, label in names.items():
        info = label.encode() + number
        out = hkdf(secret, info)
        line = {"name": name, "secret": secret.hex(), "label": label, "info": info.hex(), "length": 32, "out": out.hex()}
        lines.append(line)
    return lines


def _sync_code(given: Json) -> Json:
    code = SyncCode(*unhex(given, "sync_code"))
    names = {"join key seed": "countersign/v1/join-key", "description key": "countersign/v1/description-key"}
    derived = _derived(code.secret, b"", names)
    return {"words": code.words(), "derived": derived, "join_key": code.join_key.public.hex()}


def _epoch_key(given: Json) -> Json:
    names = {name: f"countersign/v1/{name.replace(' ', '-')}" for name in ("key id", "wrap key", "record key")}
    return {"derived": _derived(*unhex(given, "epoch_key"), given["epoch"].to_bytes(8), names)}


def _blinded_name(given: Json) -> Json:
    collection, name = blind(*unhex(given, "name_key"), given["collection"], given["id"])
    return {"blinded_collection": collection.hex(), "blinded_id": name.hex()}


def _commitments(given: Json) -> Json:
    (last,) = unhex(given, "c8")
    return {"c": [commitment_before(last, MOST_ROUNDS - number).hex() for number in range(MOST_ROUNDS + 1)]}


def _check_code(given: Json) -> Json:
    value, nonce, request, nonce_hash = unhex(given, "c", "nonce", "request", "nonce_hash")
    info = b"countersign/v1/check-code" + request + nonce_hash
    out = hkdf(value + nonce, info)[:8]
    digits = f"{int.from_bytes(out) % 1_000_000:06}"
    return {"secret": (value + nonce).hex(), "info": info.hex(), "out": out.hex(), "check_code": digits}


def _payload(given: Json) -> Json:
    code = SyncCode(*unhex(given, "sync_code"))
    return {"checksum": code.checksum().hex(), "payload": code.payload(given["relay"])}


def _text(given: Json) -> Json:
    words = given["kind"] == "words"
    code = SyncCode.from_words(given["text"]) if words else SyncCode.from_payload(given["text"])[1]
    return {"sync_code": code.secret.hex()}


def derivations(document: Json) -> Json:
    """derivations.json."""
    made = {
        "sync_codes": _each(document["sync_codes"], _sync_code, "sync_code"),
        "epoch_keys": _each(document["epoch_keys"], _epoch_key, "epoch_key", "epoch"),
        "blinded_names": _each(document["blinded_names"], _blinded_name, "name_key", "collection", "id"),
        "check_codes": _each(document["check_codes"], _check_code, "c", "nonce", "request", "nonce_hash"),
        "payloads": _each(document["payloads"], _payload, "relay", "sync_code"),
        "texts": _each(document["texts"], _text, "kind", "text"),
    }
    last = [{**case, "c8": case["c"][-1]} for case in document["commitments"]]
    made["commitments"] = [only(case) | _commitments(only(case, "c8")) for case in last]
    return made


def _each(cases: list[Json], make: Callable[[Json], Json], *inputs: str) -> list[Json]:
    """The good cases of a list: their inputs, and what is made of them."""
    given = [only(case, *inputs) for case in cases if not case.get("error")]
    return [case | make(case) for case in given]


# Sealing


def _sealed(given: Json) -> Json:
    plaintext, aad = unhex(given, "plaintext", "aad")
    if given["suite"] == "02":
        key, nonce = unhex(given, "key", "nonce")
        with drawn(nonce):
            return {"sealed": seal.wrap(key, plaintext, aad).hex()}
    secret, info, ikm = unhex(given, "sealing_secret", "info", "ikm")
    public = SealingKey(secret).public
    ephemeral = SealingKey(seal.ephemeral_secret(ikm))
    with drawn(ikm):
        value = seal.seal_to(public, plaintext, info, aad)
    enc = ephemeral.public.hex()
    return {"sealing": public.hex(), "ephemeral_secret": ephemeral.private.hex(), "enc": enc, "sealed": value.hex()}


def sealing(document: Json) -> Json:
    """sealing.json."""
    inputs = ("suite", "key", "key_of", "aad", "aad_of", "info", "info_of", "sealing_secret", "plaintext", "nonce", "ikm")
    return {"cases": _each(document["cases"], _sealed, *inputs)}


# Forms


def signing_keys(document: Json) -> dict[str, SigningKey]:
    """Who signs, by name."""
    return {name: SigningKey(*unhex(key, "signing_seed")) for name, key in document["keys"].items()}


def raw_of(names: Json, form: str, fields: Json) -> Raw:
    """The map of CDDL that a case names field by field."""

    def value(name: str, given: Any) -> Raw:
        if isinstance(given, dict):
            return raw_of(names, name, given)
        if name == "body":
            return [given[0], raw_of(names, _KINDS[given[0]], given[1])]
        if isinstance(given, list):
            return [value("", item) for item in given]
        is_bytes = isinstance(given, str) and given.startswith("h'")
        return bytes.fromhex(given[2:-1]) if is_bytes else given

    numbers = {name: number for number, name in enumerate(names[form])}
    return {numbers[name]: value(name, given) for name, given in fields.items()}


def signed(keys: Mapping[str, SigningKey], given: Json) -> Json:
    """A form from its payload: signed, its proofs beside it, and edited."""
    if fill := given.get("fill"):
        return {"bytes": (bytes.fromhex(fill["byte"]) * fill["count"]).hex()}
    (payload,) = unhex(given, "payload")
    label, key = given["label"].encode(), keys[given["signer"]]
    form = Sign1.sign(label, key, payload)
    proofs = tuple(_proof(keys, proof, form.hash(label)) for proof in given["proofs"])
    data = bytearray(cbor.encode(Envelope(form, proofs).to_raw()))
    for edit in given.get("edits", ()):
        data[edit["at"] : edit["at"] + edit["cut"]] = bytes.fromhex(edit["insert"])
    return {"hash": form.hash(label).hex(), "bytes": data.hex()}


def _proof(keys: Mapping[str, SigningKey], proof: Json, form_hash: bytes) -> Sign1:
    payload = bytes.fromhex(proof["payload"]) if "payload" in proof else form_hash
    return Sign1.sign(proof["label"].encode(), keys[proof["signer"]], payload)


def form_of(names: Json, keys: Mapping[str, SigningKey], given: Json) -> Json:
    """A good form from its fields, by the client's own class for it."""
    cls = FORMS[given["form"]]
    payload = cbor.encode(cls.from_raw(raw_of(names, given["form"], given["fields"])).to_raw())
    structure = sig_structure(cls.LABEL, keys[given["signer"]].public, payload)
    made = {"label": cls.LABEL.decode(), "payload": payload.hex(), "sig_structure": structure.hex()}
    return made | signed(keys, given | made)


def forms(document: Json) -> Json:
    """forms.json."""
    names, keys = document["names"], signing_keys(document)
    made = _each(document["cases"], lambda given: form_of(names, keys, given), "form", "cddl", "fields", "signer", "proofs")
    return {"cases": made}


# Logs

ROLES = ("approver", "writer", "reader", "recovery")
WAYS = ("typed", "ticket", "totp", "none", "recovery")
REASONS = ("denied", "wrong-code", "not-me")


def roster_of(roster: Roster) -> Json:
    """What a log says, as the vectors tell it."""
    members = [
        {
            "signing": signing.hex(),
            "sealing": member.sealing.hex(),
            "role": ROLES[member.role],
            "seq": member.since,
            "by": member.by.hex(),
            "how": None if member.how is None else WAYS[member.how],
        }
        for signing, member in roster.members.items()
    ]
    decisions = [
        {
            "request": decision.request.hex(),
            "device": decision.device.hex(),
            "outcome": "admitted" if decision.reason is None else REASONS[decision.reason],
            "seq": decision.seq,
        }
        for decision in roster.decisions
    ]
    return {
        "chain": roster.chain.hex(),
        "head": roster.head.hex(),
        "seq": roster.seq,
        "epoch": roster.epoch,
        "key_id": roster.key_ids[roster.epoch].hex(),
        "join_key": roster.join_key.hex(),
        "members": members,
        "decisions": decisions,
    }
