"""CBOR, keys, sealing, the code, the rounds and the signed reads, against outside oracles where there are some."""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

from countersign_client import cbor, seal
from countersign_client.code import EpochKey, SyncCode
from countersign_client.forms import JoinRequest, Nonce, open_form, sign_form
from countersign_client.http import origin_of, signature_headers
from countersign_client.joiner import ask, describe
from countersign_client.keys import (
    LOW_ORDER_U, P, SMALL_ORDER_Y, SealingKey, SigningKey, good_sealing_key, good_signing_key, hkdf, hmac_sha256, sha256,
)
from countersign_client.keys import verify as strict
from countersign_client.problems import Alarm, Problem
from countersign_client.rounds import ApproverRounds, JoinerRounds, Prompt, check_code, commitment_before, open_reveal


def some(depth: int = 0):
    kinds = [
        lambda: random.choice([0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1, -1, -24, -25, -(2**64)]),
        lambda: os.urandom(random.choice([0, 1, 23, 24, 300])),
        lambda: "é" * random.choice([0, 5, 20]),
        lambda: random.choice([True, False]),
        lambda: [some(depth + 1) for _ in range(3)],
        lambda: {random.randrange(-30, 70000): some(depth + 1) for _ in range(3)},
    ]
    return random.choice(kinds[: 4 if depth > 3 else 6])()


def test_cbor_agrees_with_cbor2() -> None:
    for _ in range(500):
        value = some()
        data = cbor.encode(value)
        assert cbor2.loads(data) == value == cbor.parse(data)
    small = {0: 1, 1: b"x", 7: [1, True], 23: "t"}
    assert cbor.encode(small) == cbor2.dumps(small, canonical=True)
    assert cbor.encode({-1: 0, 24: 0}) == bytes.fromhex("a218180020" "00")  # bytewise, not shortest first


@pytest.mark.parametrize(
    "data", ["", "18", "1c", "5f", "5f6161ff", "7f4161ff", "ff", "81ff", "a1", "bf00ff", "61ff", "f800", "df", "1f", "9bffffffffffffffff"]
)
def test_malformed_cbor(data: str) -> None:
    with pytest.raises(Problem, match="malformed"):
        cbor.parse(bytes.fromhex(data))


def test_what_no_form_holds_is_passed_over() -> None:
    """An unknown key is found by the encoding, whatever it carries."""
    for odd in (b"\x81" * 100_000 + b"\x00", bytes.fromhex("a1f500"), bytes.fromhex("a11b800000000000000000")):
        value = cbor.parse(odd)
        while isinstance(value, list):
            (value,) = value
        assert isinstance(value, cbor.Odd)
    with pytest.raises(Problem, match="malformed"):
        cbor.parse(b"\x81" * 100_000 + b"\x9f\xff")


@pytest.mark.parametrize("item", ["00", "5f4101ff", "7f6161ff", "9f00bf0001ffff", "c181f97e00", "a1f500", "f8ff", "81" * 99 + "00"])
def test_end_of_any_item(item: str) -> None:
    data = bytes.fromhex(item)
    assert cbor.end_of_item(data + b"\x00", 0) == len(data)
    for length in range(len(data)):
        with pytest.raises(Problem, match="malformed"):
            cbor.end_of_item(data[:length], 0)


@pytest.mark.parametrize("item", ["ff", "81ff", "c1ff", "bf00ff", "1f", "5f6161ff", "5f5f4101ffff", "f818", "61ff", "1c"])
def test_what_is_no_item(item: str) -> None:
    with pytest.raises(Problem, match="malformed"):
        cbor.end_of_item(bytes.fromhex(item), 0)


def test_small_order_keys_are_refused() -> None:
    for y in SMALL_ORDER_Y:
        for sign in (0, 1 << 255):
            assert not good_signing_key((y + sign).to_bytes(32, "little"))
    for y in range(P, 2**255):
        assert not good_signing_key(y.to_bytes(32, "little"))
    assert good_signing_key(SigningKey.random().public)


def test_small_order_key_that_a_lax_library_takes() -> None:
    identity = (1).to_bytes(32, "little")
    forged = identity + bytes(32)
    Ed25519PublicKey.from_public_bytes(identity).verify(forged, b"anything")
    assert not strict(identity, forged, b"anything")


def test_low_order_u_are_those_that_give_zero() -> None:
    for u in LOW_ORDER_U:
        assert not good_sealing_key(u.to_bytes(32, "little"))
        with pytest.raises(ValueError):
            X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(u.to_bytes(32, "little")))
    assert good_sealing_key(SealingKey.random().public)


def test_hkdf_and_hmac_vectors() -> None:
    """RFC 5869 A.3 and RFC 4231 test 2."""
    assert hkdf(b"\x0b" * 22, b"", 42).hex().startswith("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex().startswith("5bdcc146bf60754e6a042426089575c7")


def test_xchacha_vector() -> None:
    """draft-irtf-cfrg-xchacha-03 A.3.1."""
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    )
    sealed = (
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
        "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        "21f9664c97637da9768812f615c68b13b52e" "c0875924c1c7987947deafd8780acf49"
    )
    nonce = bytes(range(0x40, 0x58))
    opened = seal.unwrap(bytes(range(0x80, 0xA0)), b"\x02" + nonce + bytes.fromhex(sealed), bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert opened == plaintext


def test_hpke_vector() -> None:
    """RFC 9180 A.2.1, the first encryption."""
    private = "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"
    enc = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
    sealed = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    opened = seal.open_sealed(
        bytes.fromhex(private),
        bytes.fromhex("01" + enc + sealed),
        bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        b"Count-0",
    )
    assert opened == b"Beauty is truth, truth beauty"


def test_sealed_for_another_place_does_not_open() -> None:
    key, device = os.urandom(32), SealingKey.random()
    wrapped, welcome = seal.wrap(key, b"p", b"here"), seal.seal_to(device.public, b"p", b"info", b"here")
    for action in (
        lambda: seal.unwrap(key, wrapped, b"there"),
        lambda: seal.open_sealed(device.private, welcome, b"info", b"there"),
        lambda: seal.open_sealed(device.private, welcome, b"other", b"here"),
        lambda: seal.open_sealed(SealingKey.random().private, welcome, b"info", b"here"),
        lambda: seal.open_sealed(device.private, b"\x01" + bytes(32) + welcome[33:], b"info", b"here"),
    ):
        with pytest.raises(Problem, match="does-not-open"):
            action()
    for action in (lambda: seal.unwrap(key, welcome, b""), lambda: seal.open_sealed(device.private, b"", b"", b"")):
        with pytest.raises(Problem, match="does-not-open"):
            action()


def test_code_as_words_and_payload() -> None:
    assert SyncCode(bytes(32)).words() == "abandon " * 23 + "art"
    code = SyncCode(os.urandom(32))
    assert SyncCode.from_words("  " + code.words().upper().replace(" ", "\n")) == code
    relay = "https://relay.example:8443&%26%25"
    payload = code.payload(relay)
    assert SyncCode.from_payload(payload) == (relay, code) and payload.count("&") == 1
    swapped = payload[:-1] + ("A" if payload[-1] != "A" else "B")
    for bad in (swapped, payload[:-1], payload[1:], payload + "=", payload[:-1] + "="):
        with pytest.raises(Problem, match="bad-payload"):
            SyncCode.from_payload(bad)
    for words, refusal in (("abandon " * 24, "checksum"), ("abandon " * 11 + "about", "word-count"), ("x " * 24, "unknown-word")):
        with pytest.raises(Problem, match=refusal):
            SyncCode.from_words(words)


def test_derivations_by_hand() -> None:
    """HKDF with one block is two HMACs."""

    def one_block(secret: bytes, info: bytes) -> bytes:
        return hmac_sha256(hmac_sha256(bytes(32), secret), info + b"\x01")

    secret = os.urandom(32)
    code, key = SyncCode(secret), EpochKey(secret, 3)
    assert code.join_key.public == SigningKey(one_block(secret, b"countersign/v1/join-key")).public
    assert code.description_key == one_block(secret, b"countersign/v1/description-key")
    three = bytes(7) + b"\x03"
    assert key.key_id == one_block(secret, b"countersign/v1/key-id" + three)
    assert key.wrap_key == one_block(secret, b"countersign/v1/wrap-key" + three)
    assert key.record_key == one_block(secret, b"countersign/v1/record-key" + three)


DEVICE, APPROVER, SECRET = SigningKey.random(), SigningKey.random(), os.urandom(32)


def a_request():
    return open_form(JoinRequest, ask(SyncCode(SECRET), DEVICE, SealingKey.random(), describe("x"), 1).request)


def a_nonce(request, number: int, chain: bytes = bytes(32)):
    return sign_form(Nonce(chain, request.hash, number, bytes(32), 1, os.urandom(32)), APPROVER)


def test_check_code_by_hand() -> None:
    nonce, value = a_nonce(a_request(), 1), os.urandom(32)
    prk = hmac_sha256(bytes(32), value + nonce.body.nonce)
    out = hmac_sha256(prk, b"countersign/v1/check-code" + nonce.body.request + nonce.hash + b"\x01")
    assert check_code(value, nonce) == str(int.from_bytes(out[:8], "big") % 10**6).zfill(6)


def test_rounds_on_both_sides() -> None:
    join = ask(SyncCode(SECRET), DEVICE, SealingKey.random(), describe("x"), 1)
    request = open_form(JoinRequest, join.request)
    rounds = JoinerRounds(request.hash, join.secret)
    assert commitment_before(join.secret, 8) == request.body.commitment
    for number in range(1, 9):
        nonce = a_nonce(request, number)
        assert rounds.take(nonce) and not rounds.take(nonce)
        reveal = sign_form(rounds.reveal(nonce), DEVICE)
        value = open_reveal(request, nonce, reveal.raw).body.commitment
        assert check_code(value, nonce) == rounds.code(nonce)
        assert sha256(b"countersign/v1/commitment" + value) == rounds.commitment(number - 1)
    with pytest.raises(Problem, match="not-the-joiner"):
        open_reveal(request, nonce, sign_form(rounds.reveal(nonce), APPROVER).raw)
    for wrong, code in (
        (rounds.reveal(a_nonce(request, 8)), "other-nonce"),
        (replace(reveal.body, request=os.urandom(32)), "other-request"),
        (replace(reveal.body, commitment=os.urandom(32)), "broken-commitment"),
        (replace(reveal.body, commitment=rounds.commitment(7)), "broken-commitment"),
    ):
        with pytest.raises(Problem, match=code):
            open_reveal(request, nonce, sign_form(wrong, DEVICE).raw)


def test_joiner_ends_the_join() -> None:
    request = a_request()
    first = a_nonce(request, 1)
    for second in (a_nonce(request, 1), a_nonce(request, 2, os.urandom(32)), a_nonce(request, 3)):
        rounds = JoinerRounds(request.hash, bytes(32))
        assert rounds.take(first)
        with pytest.raises(Alarm):
            rounds.take(second)
    with pytest.raises(Problem, match="other-request"):
        JoinerRounds(request.hash, bytes(32)).take(a_nonce(a_request(), 1))


def test_approver_budget_and_wrong_codes() -> None:
    rounds, join_key = ApproverRounds(), os.urandom(32)
    for count in range(5):
        rounds.may_sign(join_key, 1000 * count, 1, frozenset())
        rounds.prompts.append(Prompt(a_nonce(a_request(), 1), join_key, 1000 * count))
    with pytest.raises(Problem):
        rounds.may_sign(join_key, 6000, 1, frozenset())
    with pytest.raises(Problem):
        rounds.may_sign(os.urandom(32), 6000, 60_000, frozenset())
    rounds.may_sign(join_key, 86_400_000, 1, frozenset())
    rounds.admitted.add(rounds.prompts[4].nonce.body.request)
    rounds.may_sign(join_key, 6000, 1, frozenset())
    assert rounds.compare(b"r", "012345", "012 345\n") and not rounds.must_deny(b"r")
    for typed in ("12345", "", "1234567", "0x2345", "\u0661\u0662\u0663\u0664\u0665\u0666"):
        assert not rounds.compare(b"r", "012345", typed) and not rounds.wrong
    for _ in range(3):
        assert not rounds.must_deny(b"r") and not rounds.compare(b"r", "012345", "123 456")
    assert rounds.must_deny(b"r")


def test_signed_read_against_another_library() -> None:
    key = SigningKey.random()

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str):
            assert key_id == key.public.hex()
            return Ed25519PublicKey.from_public_bytes(key.public)



    uri = "https://relay.example/v1/chains/00/log?after=3"
    created = int(time.time())
    headers = signature_headers(key, "GET", uri, created, "0" * 16)
    message = SimpleNamespace(method="GET", url=uri, headers=headers)
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
    (result,) = verifier.verify(message, max_age=timedelta(seconds=60), expect_tag="countersign-v1")
    assert set(result.covered_components) >= {'"@method"', '"@target-uri"'}


def test_origins() -> None:
    assert origin_of("https://Relay.Example:443/") == "https://relay.example"
    assert origin_of("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    for bad in ("ftp://x", "https://x/base", "relay"):
        with pytest.raises(ValueError):
            origin_of(bad)
