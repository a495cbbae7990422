"""The good cases of docs/vectors, made from their inputs: `python -m countersign_client.vectors FROM TO`.

FROM is a folder with the files of docs/vectors. Of each good case only the inputs are read; everything else, down to the
signatures, is made here, and written to TO in the same format.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import cbor, seal
from .approval import Approval
from .cbor import Raw, Shape
from .code import EpochKey, RecoveryCode, SyncCode
from .cose import Envelope, Sign1, sig_structure
from .credential import make_credential
from .entries import Entry
from .forms import (
    DELETE, Body, Connect, JoinRequest, Nonce, Record, Refill, Reset, Reveal, Signed, Withdrawal, open_form,
    sign_form,
)
from .http import SignedRead
from .joiner import believe
from .keyring import Keyring
from .keys import SealingKey, SigningKey, hkdf
from .member import replay
from .messages import (
    BODY_LIMIT, FROM_DEVICE_LIMIT, TO_DEVICE_LIMIT, Answer, Append, Appended, ApprovalsKept, Ask, ChainOfKey, Frame,
    LogPage, OpenRequests, Put, RecordPage, RecordRow, ResetStanding, SealedRecord, Standing, Stored, Whereabouts,
)
from .play import Join
from .problems import Problem
from .reset import check_reset
from .records import Feed, Held, blind, open_record
from .roster import Roster
from .policy import ways_named
from .rounds import MOST_ROUNDS, JoinerRounds, commitment_before
from .totp import one_time_code, time_step
from .world import World, drawn, unhex

Json = dict[str, Any]
FORMS: dict[str, type[Body]] = {
    "entry": Entry,
    "join-request": JoinRequest,
    "withdrawal": Withdrawal,
    "nonce": Nonce,
    "reveal": Reveal,
    "record": Record,
    "connect": Connect,
    "approval": Approval,
    "refill": Refill,
    "reset": Reset,
}
# The rule of a field's map, or of the maps in its array, where it has another name than the field.
_RULES = {
    "requests": "open-request",
    "rounds": "round",
    "records": "sealed-record",
    "sealed": "sealed-record",
    "rows": "record-row",
    "removals": "removal",
    "recipients": "recipient",
    "rotation/recovery": "device",
}
# The rule of what stands beside a kind: of an entry, and of what is approved. An array there has the field's name.
KINDS = {
    "body": {
        1: "found", 2: "admit", 3: "deny", 4: "remove", 5: "rotate", 6: "leave", 7: "change-role", 8: "change-policy",
        9: "closing", 10: "veto", 11: "close", 12: "settle",
    },
    "subject": {2: "admit-subject", 4: "removals", 7: "role-subject", 8: "policy", 9: "closing-subject", 12: "settle-subject"},
}


def rule_of(form: str, name: str) -> str:
    """The rule of what a field of a map holds, if it has one: else its own name."""
    return _RULES.get(f"{form}/{name}") or _RULES.get(name, name)


def only(case: Json, *members: str) -> Json:
    """The members of a case that are inputs."""
    return {member: case[member] for member in ("name", "comment", "error", *members) if member in case}


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


def _recovery_code(given: Json) -> Json:
    code = RecoveryCode(*unhex(given, "recovery_code"))
    names = {"signing seed": "countersign/v1/recovery-signing", "sealing secret": "countersign/v1/recovery-sealing"}
    keys = {"signing": code.signing.public.hex(), "sealing": code.sealing.public.hex()}
    return {"words": code.words(), "derived": _derived(code.secret, b"", names)} | keys


def _one_time_code(given: Json) -> Json:
    step = time_step(given["now_s"])
    return {"code": one_time_code(*unhex(given, "secret"), step), "step": step}


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


def _refill(given: Json) -> Json:
    return {"out": Refill.of(bytes(32), map(bytes.fromhex, given["records"])).records.hex()}


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
        "recovery_codes": _each(document["recovery_codes"], _recovery_code, "recovery_code"),
        "one_time_codes": _each(document["one_time_codes"], _one_time_code, "secret", "now_s"),
        "epoch_keys": _each(document["epoch_keys"], _epoch_key, "epoch_key", "epoch"),
        "blinded_names": _each(document["blinded_names"], _blinded_name, "name_key", "collection", "id"),
        "check_codes": _each(document["check_codes"], _check_code, "c", "nonce", "request", "nonce_hash"),
        "refills": _each(document["refills"], _refill, "records"),
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


SEAL_INPUTS = ("suite", "key", "key_of", "aad", "aad_of", "info", "info_of", "sealing_secret", "plaintext", "nonce", "ikm")


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
    return {"cases": _each(document["cases"], _sealed, *SEAL_INPUTS)}


# Forms


FORM_INPUTS = ("form", "cddl", "fields", "signer", "proofs")


def signing_keys(document: Json) -> dict[str, SigningKey]:
    """Who signs, by name."""
    return {name: SigningKey(*unhex(key, "signing_seed")) for name, key in document["keys"].items()}


def raw_of(names: Json, form: str, fields: Json) -> Raw:
    """The map of CDDL that a case names field by field."""

    def value(name: str, given: Any) -> Raw:
        if isinstance(given, dict):
            return raw_of(names, rule_of(form, name), given)
        if name in KINDS:
            return [given[0], value(KINDS[name][given[0]], given[1])]
        if isinstance(given, list):
            return [value(name, item) for item in given]
        is_bytes = isinstance(given, str) and given.startswith("h'")
        return bytes.fromhex(given[2:-1]) if is_bytes else given

    numbers = {name: number for number, name in enumerate(names[form])} if fields else {}
    return {numbers[name]: value(name, given) for name, given in fields.items()}


def filled(fill: Json) -> bytes:
    """So many times one byte."""
    return bytes.fromhex(fill["byte"]) * fill["count"]


def signed(keys: Mapping[str, SigningKey], given: Json) -> Json:
    """A form from its payload: signed, its proofs beside it, and edited."""
    if fill := given.get("fill"):
        return {"bytes": filled(fill).hex()}
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
    made = _each(document["cases"], lambda given: form_of(names, keys, given), *FORM_INPUTS)
    return {"cases": made}


# Logs

ROLES = ("approver", "writer", "reader", "recovery")
WAYS = ("typed", "ticket", "totp", "none", "recovery")
REASONS = ("denied", "wrong-code", "not-me")
WHY = ("retired", "lost", "distrusted", "left", "replaced")


def logs(document: Json, world: World) -> Json:
    """logs.json."""
    entries: Json = {}
    cases: list[Json] = [only(case, "index", "log") for case in document["cases"] if not case["error"]]
    for case in cases:
        made, roster = world.log([document["entries"][name] for name in case["log"]])
        entries |= {name: form_told(world, entry) for name, entry in zip(case["log"], made, strict=True)}
        case["roster"] = roster_of(roster)
    return {"entries": entries, "cases": cases}


def form_told(world: World, form: Signed) -> Json:
    """A form as the vectors tell it where it is named."""
    sign1 = Envelope.read(form.raw).form
    proofs = [{"label": label.decode(), "signer": world.names[key]} for label, key in form.body.proofs()]
    told = {"label": form.body.LABEL.decode(), "signer": world.names[form.signer], "proofs": proofs}
    return told | {"payload": sign1.payload.hex(), "hash": form.hash.hex(), "bytes": form.raw.hex()}


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
        for signing, member in sorted(roster.members.items())
    ]
    former = [
        {"signing": signing.hex(), "seq": gone.until, "by": gone.by.hex(), "why": WHY[gone.why]}
        for signing, gone in sorted(roster.former.items())
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
        "key_id": roster.epochs[roster.epoch].key_id.hex(),
        "join_key": roster.join_key.hex(),
        "members": members,
        "former": former,
        "rotation_owed": roster.rotation_owed,
        "closing": roster.closing.hash.hex() if roster.closing else None,
        "closed": roster.closed,
        "totp_step": None if roster.totp_step < 0 else roster.totp_step,
        "decisions": decisions,
    }


# Records


def record_ciphertext(key: EpochKey, header: bytes, nonce: bytes, content: bytes) -> bytes:
    """The ciphertext that belongs to a header."""
    with drawn(nonce):
        return seal.wrap(key.record_key, content, open_form(Record, header).body.associated())


def records(document: Json, world: World) -> Json:
    """records.json: the cases whose every record is one that a writer of ours writes."""
    headers: Json = {}
    cases = []
    for case in filter(is_written, document["cases"]):
        inputs = only(case, "log", "relay", "reader", "refill", "epoch_key")
        cases.append(inputs | _feed(document, world, case, headers))
    return {"records": headers, "cases": cases}


def is_written(case: Json) -> bool:
    """Whether writers of ours make all of its records: each was good once, none is damaged, and none came back without its content."""
    verdicts = [case["relay"], case.get("refill", case["relay"])]
    good = any(verdict["error"] is None for verdict in verdicts)
    return good and all(item["state"] not in ("damaged", "replaced") for item in case["items"])


def keys_of(document: Json, case: Json, roster: Roster) -> dict[int, EpochKey]:
    """The keys that the records of a case are opened with: the first one, and that of the last epoch."""
    given = {1: document["epoch_key"], roster.epoch: case.get("epoch_key", document["epoch_key"])}
    return {epoch: EpochKey(bytes.fromhex(key), epoch) for epoch, key in given.items()}


def _feed(document: Json, world: World, case: Json, headers: Json) -> Json:
    entries, roster = world.log([document["entries"][name] for name in case["log"]])
    feed, lines, keys = Feed(), [], keys_of(document, case, roster)
    for given in case["records"]:
        header = document["records"][given["record"]]
        head = cbor.parse(*unhex(header, "payload"))[8]
        at = 1 + [entry.hash for entry in entries].index(head)
        made = world.record(replay(tuple(entry.raw for entry in entries[:at])), feed, keys, header, given)
        if given in case["records"][: len(lines)]:
            made = SealedRecord(*unhex(headers[given["record"]], "bytes"), *unhex(given, "ciphertext"))
        headers[given["record"]] = form_told(world, open_form(Record, made.header))
        lines.append(given | {"ciphertext": made.ciphertext.hex() if made.ciphertext else None})
        feed.take(roster, RecordRow(len(lines), made))
    return {"records": lines, "items": items_of(world.name_key, keys, feed, roster)}


def items_of(name_key: bytes, keys: Mapping[int, EpochKey], feed: Feed, roster: Roster) -> list[Json]:
    """What a reader has."""
    disputed = [held.place for held in feed.disputed(roster)]
    items = []
    for place in sorted(feed.current):
        item = item_of(name_key, keys, feed.current[place])
        items.append(item | {"disputed": True} if place in disputed and item["state"] == "there" else item)
    return items


def item_of(name_key: bytes, keys: Mapping[int, EpochKey], held: Held) -> Json:
    """What a reader has at a place."""
    collection, name = (blinded.hex() for blinded in held.place)
    known = {"collection": collection, "id": name, "version": held.record.hash.hex()}
    if held.record.body.operation == DELETE:
        return known | {"state": "deleted"}
    if held.ciphertext is None:
        return known | {"state": "replaced"}
    try:
        content = open_record(name_key, keys, held)
    except Problem:
        return known | {"state": "damaged"}
    return known | {"state": "there", "names": [content.collection, content.name], "value": content.value.hex()}


# Epochs


def epochs(document: Json, world: World) -> Json:
    """epochs.json: the keys that a device has."""
    entries: Json = {}

    def keys(given: Json) -> Json:
        made, roster = world.log([document["entries"][name] for name in given["log"]])
        entries.update((name, form_told(world, entry)) for name, entry in zip(given["log"], made, strict=True))
        ring = keyring_of(document, given, roster)
        known = [ring.keys[epoch].secret.hex() for epoch in sorted(ring.keys)]
        return {"epoch_keys": known, "name_key": ring.name_key.hex(), "sync_code": ring.code.secret.hex()}

    cases = _each(document["cases"], keys, "device", "epoch_key", "log")
    return {"entries": entries, "cases": cases}


def keyring_of(document: Json, given: Json, roster: Roster) -> Keyring:
    """What a device has whose own epoch key is that of any epoch, or none: else what is wrong with it."""
    key, own = document["keys"][given["device"]], given["epoch_key"]
    signing, sealing_secret = unhex(key, "signing", "sealing_secret")
    candidates = [EpochKey(bytes.fromhex(own), epoch) for epoch in roster.epochs] if own else []
    mine = next((known for known in candidates if known.key_id == roster.epochs[known.epoch].key_id), None)
    ring = Keyring.of(roster, signing, SealingKey(sealing_secret), mine)
    ring.current(roster)
    return ring


# Credentials


def credentials(document: Json) -> Json:
    """credentials.json: what a device hands out, of entries that are signed again."""
    keys = signing_keys(document)
    entries: Json = {}

    def credential(given: Json) -> Json:
        told = {name: document["entries"][name] for name in given["log"]}
        entries.update((name, form | signed(keys, form)) for name, form in told.items())
        log = tuple(bytes.fromhex(entries[name]["bytes"]) for name in given["log"])
        return {"bytes": make_credential(bytes.fromhex(given["device"]), log).hex()}

    cases = _each(document["cases"], credential, "index", "known", "device", "log", "proven")
    return {"entries": entries, "cases": cases}


# Resets


def resets(document: Json) -> Json:
    """resets.json: the good cases, with logs and resets that are signed again."""
    keys = signing_keys(document)
    made: Json = {"entries": {}, "resets": {}}

    def named(members: str, name: str) -> Json:
        made[members][name] = document[members][name] | signed(keys, document[members][name])
        return made[members][name]

    def reset(given: Json) -> Json:
        roster = replay(tuple(bytes.fromhex(named("entries", name)["bytes"]) for name in given["log"]))
        stands = given["stands"] and open_form(Reset, bytes.fromhex(named("resets", given["stands"])["bytes"]))
        check_reset(roster, open_form(Reset, bytes.fromhex(named("resets", given["reset"])["bytes"])), stands, given["left_s"])
        return {"least_s": None}

    cases = [
        only(case, "least_s", "log", "stands", "left_s", "reset") | reset(case) for case in document["cases"] if not case["error"]
    ]
    return made | {"cases": cases}


# Rounds


def rounds(document: Json, world: World) -> Json:
    """rounds.json: good answers, with their forms, and what a joiner has at the end of a whole join."""
    made: Json = {}
    told = document["forms"]
    _, roster = world.log([next(entry for entry in document["entries"].values() if entry["hash"] == world.chain)])

    def form(name: str, signed: Signed) -> Signed:
        made[name] = form_told(world, signed)
        return signed

    def request(name: str) -> Signed[JoinRequest]:
        body = JoinRequest.from_raw(cbor.parse(*unhex(told[name], "payload")))
        return form(name, world.request(body))

    answers = []
    for case in document["answers"]:
        if case["error"]:
            continue
        asked, (c8,) = request(case["request"]), unhex(case, "c8")
        joiner, given = JoinerRounds(asked.hash, c8), []
        for name, answer in zip(case["nonces"], case["answers"], strict=True):
            nonce = form(name, world.nonce(roster, asked, told[name]))
            joiner.take(nonce)
            form(answer["reveal"], sign_form(joiner.reveal(nonce), world.signing[case["device"]]))
            given.append({"reveal": answer["reveal"], "check_code": joiner.code(nonce)})
        answers.append(only(case, "index", "device", "request", "c8", "nonces") | {"answers": given})
    admissions = []
    for case in document["admissions"]:
        if case["error"]:
            continue
        entries, _ = world.log([document["entries"][name] for name in case["log"]])
        sealing_key, showed = SealingKey(*unhex(case, "sealing_secret")), set(map(bytes.fromhex, case["showed_code_for"]))
        raw = tuple(entry.raw for entry in entries)
        joined = believe(raw, request(case["request"]), world.code, sealing_key, showed, ways_named(case["accepts"]))
        secrets = {"epoch_key": joined.epoch_key.secret, "name_key": joined.keyring.name_key, "sync_code": joined.keyring.code.secret}
        inputs = only(case, "signing_seed", "sealing_secret", "request", "showed_code_for", "accepts", "log")
        admissions.append(inputs | {name: secret.hex() for name, secret in secrets.items()})
    return {"forms": made, "answers": answers, "admissions": admissions}


# Reads


def reads(document: Json) -> Json:
    """reads.json: the good ones, each signed by the key that its parameters name."""
    keys = {key.public: (name, key) for name, key in signing_keys(document).items()}

    def read(given: Json) -> Json:
        label, _, _ = given["signature_input"].partition("=")
        unsigned = f"{label}=:{base64.b64encode(bytes(64)).decode()}:"
        parsed = SignedRead.parse(given["signature_input"], unsigned)
        signer, key = keys[parsed.device]
        base = parsed.base(given["method"], given["target_uri"])
        signature = base64.b64encode(key.sign(base.encode())).decode()
        return {"signature": f"{label}=:{signature}:", "signer": signer, "base": base}

    return {"cases": _each(document["cases"], read, "method", "target_uri", "now_s", "signature_input")}


# Messages

MESSAGES: dict[str, tuple[type[Shape], int]] = {
    "append": (Append, BODY_LIMIT),
    "appended": (Appended, BODY_LIMIT),
    "ask": (Ask, BODY_LIMIT),
    "standing": (Standing, BODY_LIMIT),
    "log-page": (LogPage, BODY_LIMIT),
    "open-requests": (OpenRequests, BODY_LIMIT),
    "put": (Put, BODY_LIMIT),
    "stored": (Stored, BODY_LIMIT),
    "record-row": (RecordRow, BODY_LIMIT),
    "record-page": (RecordPage, BODY_LIMIT),
    "whereabouts": (Whereabouts, BODY_LIMIT),
    "chain-of-key": (ChainOfKey, BODY_LIMIT),
    "approvals-kept": (ApprovalsKept, BODY_LIMIT),
    "reset-standing": (ResetStanding, BODY_LIMIT),
    "to-device": (Frame, TO_DEVICE_LIMIT),
    "from-device": (Answer, FROM_DEVICE_LIMIT),
}
TO_DEVICE = (
    "challenge", "ready", "log-page", "record-page", "open-request", "ended", "standing", "approved", "reset-standing",
)


def message_of(names: Json, rule: str, fields: Any) -> Raw:
    """The CBOR of a message that a case names field by field."""
    if rule in ("to-device", "from-device"):
        kind, body = fields
        return [kind, raw_of(names, TO_DEVICE[kind] if rule == "to-device" else "ack", body)]
    return raw_of(names, rule, fields)


def _message(names: Json, given: Json) -> Json:
    cls, _ = MESSAGES[given["rule"]]
    value = cls.from_raw(message_of(names, given["rule"], given["fields"]))
    return {"bytes": cbor.encode(value.to_raw()).hex()}


def messages(document: Json) -> Json:
    """messages.json."""
    names = document["names"]
    return {"cases": _each(document["cases"], lambda given: _message(names, given), "rule", "cddl", "fields")}


def join(document: Json, world: World) -> Json:
    """join.json."""
    names, keys = document["names"], signing_keys(document)
    acted = Join(document, world)

    def made(given: Json) -> Json:
        return given | form_of(names, keys, given)

    steps = []
    for told in document["steps"]:
        step = {member: told[member] for member in ("name", "comment", "from", "to", "via", "rule")}
        for member, make in (("seals", lambda seal: seal | _sealed(seal)), ("forms", made)):
            if member in told:
                inputs = (*SEAL_INPUTS, *FORM_INPUTS)
                step[member] = [make(only(item, *inputs)) for item in told[member]]
        if "derived" in told:
            step["derived"] = [line | {"value": acted.derived[told["name"], line["name"]]} for line in told["derived"]]
        if "headers" in told:
            step["headers"] = acted.headers[told["name"]]
        steps.append(step | {"bytes": acted.sent.get(told["name"], b"").hex()})
    return {"steps": steps, "besides": [made(only(form, *FORM_INPUTS)) for form in document["besides"]]}


def everything(folder: Path) -> dict[str, Json]:
    """Every file of a folder of vectors, as far as it is good."""
    told = {name: json.loads((folder / f"{name}.json").read_text()) for name in FILES}
    told["join"]["names"] = told["forms"]["names"] | told["join"]["names"]
    keys = {name: key for file in ("forms", "logs", "epochs", "records") for name, key in told[file]["keys"].items()}
    world = World(told["derivations"], told["sealing"], keys)
    makers = (derivations, sealing, forms, messages, reads, credentials, resets)
    made = {maker.__name__: maker(told[maker.__name__]) for maker in makers}
    return made | {maker.__name__: maker(told[maker.__name__], world) for maker in (logs, epochs, records, rounds, join)}


FILES = (
    "derivations", "sealing", "forms", "logs", "epochs", "credentials", "resets", "records", "rounds", "reads", "messages",
    "join",
)


def main() -> None:
    """Reads the inputs in one folder, and writes what is made of them to another."""
    parser = argparse.ArgumentParser(prog="countersign_client.vectors")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    for name, document in everything(arguments.source).items():
        text = json.dumps(document, ensure_ascii=False, indent=2)
        (arguments.target / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
