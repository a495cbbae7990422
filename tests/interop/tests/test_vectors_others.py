"""Programs that know nothing of Countersign read what the vectors hold: the standards are the ones that are named."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms
from mnemonic import Mnemonic
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from vectors_of import load

from countersign_client import cbor


def cose_verifies(item: bytes, label: str) -> bool:
    message = Sign1Message.decode(item)
    message.external_aad = label.encode()
    (kid,) = (value for name, value in message.phdr.items() if name.fullname == "KID")
    message.key = OKPKey(crv=Ed25519, x=kid)
    return message.verify_signature()


def test_pycose_verifies_every_good_form() -> None:
    for case in load("forms")["cases"]:
        if case["error"] is not None:
            continue
        raw = cbor.parse(bytes.fromhex(case["bytes"]))
        form, *proofs = raw if isinstance(raw, list) else [raw]
        assert cose_verifies(cbor.encode(form), case["label"]) and not cose_verifies(cbor.encode(form), "")
        assert len(proofs) == len(case["proofs"])
        for proof, told in zip(proofs, case["proofs"], strict=True):
            assert cose_verifies(cbor.encode(proof), told["label"]) and not cose_verifies(cbor.encode(proof), case["label"])


def test_pyhpke_opens_every_welcome() -> None:
    suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
    cases = [case for case in load("sealing")["cases"] if case["suite"] == "01" and case["error"] is None]
    assert any(case["name"] == "phone/welcome" for case in cases)
    for case in cases:
        secret, info, aad, sealed = (bytes.fromhex(case[name]) for name in ("sealing_secret", "info", "aad", "sealed"))
        context = suite.create_recipient_context(sealed[1:33], suite.kem.deserialize_private_key(secret), info)
        assert context.open(sealed[33:], aad).hex() == case["plaintext"]


def test_http_message_signatures_verifies_every_good_read() -> None:
    document = load("reads")

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
            return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_id))

    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Resolver())
    verifier.max_clock_skew = timedelta(days=36_500)  # the reads are of one moment, whatever the clock says
    for case in document["cases"]:
        if case["error"] not in (None, "bad-signature"):
            continue
        headers = {"Signature-Input": case["signature_input"], "Signature": case["signature"]}
        message = SimpleNamespace(method=case["method"], url=case["target_uri"], headers=headers)
        verify = lambda: verifier.verify(message, max_age=timedelta(days=36_500), expect_tag="countersign-v1")  # noqa: E731, B023
        if case["error"]:
            with pytest.raises(InvalidSignature):
                verify()
            continue
        (result,) = verify()
        assert result.parameters["keyid"].lower() == document["keys"][case["signer"]]["signing"]
        assert list(result.covered_components) == ['"@method"', '"@target-uri"', '"@signature-params"']


def test_mnemonic_reads_the_words() -> None:
    words = Mnemonic("english")
    for case in load("derivations")["sync_codes"]:
        assert words.check(case["words"]) and bytes(words.to_entropy(case["words"])).hex() == case["sync_code"]
        assert words.to_mnemonic(bytes.fromhex(case["sync_code"])) == case["words"]
