"""docs/vectors/records.json, epochs.json, resets.json, rounds.json, reads.json and messages.json: what happens after a form has verified."""

from __future__ import annotations

from typing import Any

from vectors_of import Case, load, refusal, visit

from countersign_client import cbor, vectors
from countersign_client.code import EpochKey, SyncCode
from countersign_client.entries import Entry
from countersign_client.forms import JoinRequest, Nonce, Record, Reset, Signed, open_form, sign_form
from countersign_client.http import SignedRead
from countersign_client.joiner import believe
from countersign_client.keys import SealingKey, SigningKey
from countersign_client.log import apply
from countersign_client.messages import RecordRow, SealedRecord
from countersign_client.records import Feed, Gate, Refilled
from countersign_client.reset import check_reset
from countersign_client.roster import Roster
from countersign_client.policy import ways_named
from countersign_client.rounds import JoinerRounds, check_code, open_reveal, typed_code

Document = dict[str, Any]


# Records


def roster_after(document: Document, names: list[str]) -> Roster:
    roster: Roster | None = None
    for name in names:
        roster = apply(roster, open_form(Entry, bytes.fromhex(document["entries"][name]["bytes"])))
    assert roster is not None
    return roster


def record_rows(document: Document, case: Case, keys: dict[int, EpochKey]) -> list[RecordRow]:
    rows = []
    for number, given in enumerate(map(Case, case["records"]), 1):
        header = bytes.fromhex(document["records"][given["record"]]["bytes"])
        fill, text = given.get("ciphertext_fill"), given.get("ciphertext")
        ciphertext = vectors.filled(fill) if fill else None if text is None else bytes.fromhex(text)
        if given.get("nonce"):
            epoch = open_form(Record, header).body.epoch
            sealed = vectors.record_ciphertext(keys.get(epoch, keys[1]), header, given.bytes("nonce"), given.bytes("content"))
            assert (sealed != ciphertext) == (case.members["name"] == "other-ciphertext")
        given.end()
        rows.append(RecordRow(number, SealedRecord(header, ciphertext)))
    return rows


def verdict(feed: Feed, roster: Roster, rows: list[RecordRow]) -> Document:
    for index, row in enumerate(rows):
        if (code := refusal(lambda: feed.take(roster, row))) is not None:  # noqa: B023
            return {"error": code, "index": index}
    return {"error": None, "index": None}


def records(document: Document, case: Case) -> None:
    roster = roster_after(document, case["log"])
    keys = vectors.keys_of(document, case.members, roster)
    assert case.get("epoch_key") in (None, keys[roster.epoch].secret.hex())
    rows = record_rows(document, case, keys)
    reader, name_key = Feed(), bytes.fromhex(document["name_key"])
    assert verdict(Gate(), roster, rows) == case["relay"]
    if refill := case.get("refill"):
        assert verdict(Refilled(by=roster.founded.founder.signing), roster, rows) == refill
    read = verdict(reader, roster, rows)
    assert case["reader"] in (None, read)
    if case["reader"] and read["error"] is None:
        assert vectors.items_of(name_key, keys, reader, roster) == case["items"]


# Epochs


def epoch_keys(document: Document, case: Case) -> None:
    roster = roster_after(document, case["log"])
    assert (case["epoch_key"] is None) == (case["device"] == "recovery words")
    opened = lambda: vectors.keyring_of(document, case.members, roster)  # noqa: E731
    assert refusal(opened) == case["error"]
    if case["error"] is None:
        ring = opened()
        assert [ring.keys[epoch].secret.hex() for epoch in range(1, roster.epoch + 1)] == case["epoch_keys"]
        assert (ring.name_key, ring.code.secret) == (case.bytes("name_key"), case.bytes("sync_code"))


def test_epochs() -> None:
    visit("epochs", {"keys", "entries"}, {"cases": epoch_keys})


# Resets


def reset(document: Document, case: Case) -> None:
    def named(name: str | None) -> Signed[Reset] | None:
        return name and open_form(Reset, bytes.fromhex(document["resets"][name]["bytes"]))

    roster = roster_after(document, case["log"])
    stands, asked = named(case["stands"]), named(case["reset"])
    assert refusal(lambda: check_reset(roster, asked, stands, case["left_s"])) == case["error"]
    assert case["least_s"] == (roster.policy.reset_delay if case["error"] == "wait-too-short" else None)


def test_resets() -> None:
    visit("resets", {"keys", "entries", "resets"}, {"cases": reset})


# Rounds


def form(document: Document, cls: type, name: str) -> Signed:
    return open_form(cls, bytes.fromhex(document["forms"][name]["bytes"]))


def reveal(document: Document, case: Case) -> None:
    request, nonce = form(document, JoinRequest, case["request"]), form(document, Nonce, case["nonce"])
    data = bytes.fromhex(document["forms"][case["reveal"]]["bytes"])
    assert refusal(lambda: open_reveal(request, nonce, data)) == case["error"]


def answers(document: Document, case: Case) -> None:
    device = vectors.signing_keys(document)[case["device"]]
    rounds = JoinerRounds(form(document, JoinRequest, case["request"]).hash, case.bytes("c8"))
    given = [Case(answer) for answer in case["answers"]]
    said: list[tuple[bytes, str]] = []
    ended = None, None
    for index, name in enumerate(case["nonces"]):
        nonce = form(document, Nonce, name)
        if (code := refusal(lambda: rounds.take(nonce))) is not None:  # noqa: B023
            ended = code, index
            break
        said.append((sign_form(rounds.reveal(nonce), device).raw, rounds.code(nonce)))
    assert ended == (case["error"], case["index"])
    wanted = [(bytes.fromhex(document["forms"][answer["reveal"]]["bytes"]), answer["check_code"]) for answer in given]
    assert said == wanted
    for answer in given:
        answer.end()


def typed(document: Document, case: Case) -> None:
    request, nonce = form(document, JoinRequest, case["request"]), form(document, Nonce, case["nonce"])
    revealed = open_reveal(request, nonce, bytes.fromhex(document["forms"][case["reveal"]]["bytes"]))
    digits = typed_code(case["text"])
    right = digits == check_code(revealed.body.commitment, nonce)
    assert ("not-a-code" if digits is None else "right" if right else "wrong") == case["attempt"]


def admission(document: Document, case: Case) -> None:
    request = form(document, JoinRequest, case["request"])
    entries = tuple(bytes.fromhex(document["entries"][name]["bytes"]) for name in case["log"])
    assert SigningKey(case.bytes("signing_seed")).public == request.body.device.signing
    sealing = SealingKey(case.bytes("sealing_secret"))
    (code,) = (code for code in load("derivations")["sync_codes"] if code["name"] == "world")
    own, showed = SyncCode(bytes.fromhex(code["sync_code"])), {bytes.fromhex(device) for device in case["showed_code_for"]}
    accepts = ways_named(case["accepts"])
    judge = lambda: believe(entries, request, own, sealing, showed, accepts)  # noqa: E731
    assert own.join_key.public == request.body.join_key and refusal(judge) == case["error"]
    if case["error"] is None:
        joined = judge()
        known = case.bytes("epoch_key"), case.bytes("name_key"), case.bytes("sync_code")
        assert (joined.epoch_key.secret, joined.keyring.name_key, joined.keyring.code.secret) == known


# Reads and messages


def read(document: Document, case: Case) -> None:
    headers = case["signature_input"], case["signature"]
    method, uri = case["method"], case["target_uri"]
    check = lambda: SignedRead.parse(*headers).check(method, uri, case["now_s"])  # noqa: E731
    assert refusal(check) == case["error"] and case["now_s"]
    if case["base"] and case["error"] in (None, "clock"):
        assert SignedRead.parse(*headers).base(method, uri) == case["base"]
    signer = case["signer"]
    assert (signer is not None) == (case["error"] is None)
    if signer:
        assert check().hex() == document["keys"][signer]["signing"]


def message(document: Document, case: Case) -> None:
    cls, limit = vectors.MESSAGES[case["rule"]]
    data = vectors.filled(case["fill"]) if "fill" in case.members else case.bytes("bytes")
    assert refusal(lambda: cbor.decode_as(cls, data, limit)) == case["error"]
    assert case["cddl"] in (None, case["rule"])  # test_vectors_cddl.py asks whether it matches
    if case["error"] is None:
        raw = vectors.message_of(document["names"], case["rule"], case["fields"])
        assert cbor.decode_as(cls, data, limit) == cls.from_raw(raw)


def test_records() -> None:
    visit("records", {"epoch_key", "name_key", "keys", "entries", "records"}, {"cases": records})


def test_rounds() -> None:
    checks = {"reveals": reveal, "answers": answers, "typed": typed, "admissions": admission}
    visit("rounds", {"keys", "forms", "entries"}, checks)


def test_reads() -> None:
    visit("reads", {"keys"}, {"cases": read})


def test_messages() -> None:
    visit("messages", {"names"}, {"cases": message})
