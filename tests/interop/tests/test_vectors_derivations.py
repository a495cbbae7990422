"""docs/vectors/derivations.json and sealing.json: every formula, and every sealed value."""

from __future__ import annotations

from typing import Any

from vectors_of import Case, load, refusal, visit

from countersign_client.code import EpochKey, RecoveryCode, SyncCode
from countersign_client.entries import Description
from countersign_client.forms import Refill
from countersign_client.keyring import totp_place
from countersign_client.keys import SealingKey, SigningKey, hkdf
from countersign_client.problems import Problem
from countersign_client.records import blind
from countersign_client.rounds import commitment_before
from countersign_client.seal import open_sealed, unwrap
from countersign_client.totp import one_time_code as code_of_step, right_step

NUMBER = 8


def derived(case: Case, secret: bytes, number: bytes, known: dict[str, bytes]) -> None:
    """The list `derived`: by its own members, and by what the client derives."""
    lines = case["derived"]
    assert [line["name"] for line in lines] == list(known)
    for line in map(Case, lines):
        assert line.bytes("secret") == secret
        assert line.bytes("info") == line["label"].encode() + number
        assert hkdf(secret, line.bytes("info"), line["length"]) == line.bytes("out") == known[line["name"]]
        line.end()


def sync_code(_: dict[str, Any], case: Case) -> None:
    code = SyncCode(case.bytes("sync_code"))
    assert code.words() == case["words"] and SyncCode.from_words(case["words"]) == code
    assert code.join_key.public == case.bytes("join_key")
    derived(case, code.secret, b"", {"join key seed": code.join_key.seed, "description key": code.description_key})


def recovery_code(_: dict[str, Any], case: Case) -> None:
    code = RecoveryCode(case.bytes("recovery_code"))
    assert code.words() == case["words"] and RecoveryCode.from_words(case["words"]) == code
    assert (code.signing.public, code.sealing.public) == (case.bytes("signing"), case.bytes("sealing"))
    derived(case, code.secret, b"", {"signing seed": code.signing.seed, "sealing secret": code.sealing.private})


def one_time_code(_: dict[str, Any], case: Case) -> None:
    """Right in its own step, and in the one before and after; once used, no more."""
    secret, code, step, now = case.bytes("secret"), case["code"], case["step"], case["now_s"]
    assert right_step(secret, code, now) == step and right_step(secret, code, now, step) is None
    assert [right_step(secret, code, now + late) for late in (-60, -30, 30, 60)] == [None, step, step, None]


def epoch_key(_: dict[str, Any], case: Case) -> None:
    key = EpochKey(case.bytes("epoch_key"), case["epoch"])
    known = {"key id": key.key_id, "wrap key": key.wrap_key, "record key": key.record_key}
    derived(case, key.secret, key.epoch.to_bytes(NUMBER), known)


def blinded_name(_: dict[str, Any], case: Case) -> None:
    blinded = blind(case.bytes("name_key"), case["collection"], case["id"])
    assert blinded == (case.bytes("blinded_collection"), case.bytes("blinded_id"))


def commitments(_: dict[str, Any], case: Case) -> None:
    values = [bytes.fromhex(value) for value in case["c"]]
    assert values == [commitment_before(values[-1], 8 - number) for number in range(9)]


def check_code(_: dict[str, Any], case: Case) -> None:
    assert case.bytes("secret") == case.bytes("c") + case.bytes("nonce")
    assert case.bytes("info") == b"countersign/v1/check-code" + case.bytes("request") + case.bytes("nonce_hash")
    out = hkdf(case.bytes("secret"), case.bytes("info"))[:8]
    assert out == case.bytes("out") and f"{int.from_bytes(out) % 1_000_000:06}" == case["check_code"]


def refill(_: dict[str, Any], case: Case) -> None:
    records = [bytes.fromhex(value) for value in case["records"]]
    assert Refill.of(bytes(32), records).records == case.bytes("out")


def payload(_: dict[str, Any], case: Case) -> None:
    code = SyncCode(case.bytes("sync_code"))
    assert code.payload(case["relay"]) == case["payload"]
    assert SyncCode.from_payload(case["payload"]) == (case["relay"], code)
    assert code.checksum() == case.bytes("checksum")


def text(_: dict[str, Any], case: Case) -> None:
    try:
        read = SyncCode.from_words(case["text"]) if case["kind"] == "words" else SyncCode.from_payload(case["text"])[1]
    except Problem as problem:
        assert (problem.code, problem.place, None) == (case["error"], case.get("position"), case["sync_code"])
    else:
        assert (read.secret, None) == (case.bytes("sync_code"), case["error"])
    assert case["kind"] in ("words", "payload")


def sealed(_: dict[str, Any], case: Case) -> None:
    """A good value is opened here; that the same bytes are sealed again is in test_vectors_made.py."""
    if case["suite"] == "02":
        key = case.bytes("key")
        opened = lambda: unwrap(key, case.bytes("sealed"), case.bytes("aad"))  # noqa: E731
    else:
        assert case["suite"] == "01"
        secret, info = case.bytes("sealing_secret"), case.bytes("info")
        opened = lambda: open_sealed(secret, case.bytes("sealed"), info, case.bytes("aad"))  # noqa: E731
    assert refusal(opened) == case["error"]
    if case["error"] is None:
        assert opened() == case.bytes("plaintext")
        randomness(case)


def randomness(case: Case) -> None:
    """What went in stands where the page says."""
    value = case.bytes("sealed")
    assert value[:1] == bytes.fromhex(case["suite"]) and case["aad_of"] is not None
    if case["suite"] == "02":
        assert value[1:25] == case.bytes("nonce") and case["key_of"]
        return
    assert value[1:33] == case.bytes("enc") == SealingKey(case.bytes("ephemeral_secret")).public
    assert SealingKey(case.bytes("sealing_secret")).public == case.bytes("sealing")
    assert len(case.bytes("ikm")) == 32 and case["info_of"]


def test_derivations() -> None:
    checks = {
        "sync_codes": sync_code, "recovery_codes": recovery_code, "one_time_codes": one_time_code, "epoch_keys": epoch_key, "blinded_names": blinded_name, "commitments": commitments,
        "check_codes": check_code, "refills": refill, "payloads": payload, "texts": text,
    }
    visit("derivations", set(), checks)


def test_sealing() -> None:
    visit("sealing", set(), {"cases": sealed})


def test_what_one_time_codes_seal() -> None:
    """The secret opens in the place of its own entry alone; the code is read by who has the sync code."""
    cases = {case["name"]: Case(case) for case in load("sealing")["cases"] if case["error"] is None}
    given = {name: next(case for case in load("derivations")[name] if case["name"] == "world") for name in ("sync_codes", "epoch_keys")}
    code = SyncCode(bytes.fromhex(given["sync_codes"]["sync_code"]))
    wrap_key = EpochKey(bytes.fromhex(given["epoch_keys"]["epoch_key"]), 1).wrap_key
    places = {"found": code.join_key.public, "change-policy": forms_chain()}
    for kind, place in places.items():
        case = cases[f"{kind}/totp-secret"]
        assert unwrap(wrap_key, case.bytes("sealed"), totp_place(place)) == case.bytes("plaintext")
        assert code_of_step(case.bytes("plaintext"), 0) == "755224"  # RFC 4226, appendix D
        (other,) = places.keys() - {kind}
        assert refusal(lambda: unwrap(wrap_key, case.bytes("sealed"), totp_place(places[other]))) == "does-not-open"  # noqa: B023
    asked = cases["tablet/totp-request-description"]
    device = bytes.fromhex(load("forms")["keys"]["tablet"]["signing"])
    opened = unwrap(code.description_key, asked.bytes("sealed"), b"countersign/v1/description" + device)
    described = Description.decoded(opened)
    assert described.one_time_code == "755224" and described.without_code().one_time_code is None


def forms_chain() -> bytes:
    """The chain of the world: the hash of `found`."""
    return bytes.fromhex(next(case["hash"] for case in load("forms")["cases"] if case["name"] == "found"))


def test_keys() -> None:
    """Every file that lists keys lists the same, and each public half belongs to its secret."""
    seen: dict[str, Any] = {}
    for name in ("forms", "logs", "epochs", "records", "resets", "rounds"):
        for who, key in load(name)["keys"].items():
            assert seen.setdefault(who, key) == key
    for key in map(Case, seen.values()):
        assert SigningKey(key.bytes("signing_seed")).public == key.bytes("signing")
        if key.get("sealing_secret"):
            assert SealingKey(key.bytes("sealing_secret")).public == key.bytes("sealing")
        key.end()
