"""What the page leaves possible, and what it forbids in words that are easy to get wrong."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from nacl.bindings import crypto_core_ed25519_scalar_reduce, crypto_scalarmult_ed25519_base_noclamp

from countersign_client import cbor
from countersign_client.code import EpochKey
from countersign_client.cose import JOIN_PROOF, Envelope, Sign1, sig_structure
from countersign_client.forms import JoinRequest, Nonce, Record, open_form, sign_form
from countersign_client.founder import admit_entry, found_entry
from countersign_client.joiner import ask, believe, describe
from countersign_client.keys import GROUP_ORDER, SealingKey, SigningKey
from countersign_client.log import apply
from countersign_client.messages import RecordRow, SealedRecord
from countersign_client.records import Content, Feed, Writer
from countersign_client.rounds import JoinerRounds

IDENTITY = (1).to_bytes(32, "little")


def scalar(key: SigningKey) -> int:
    low = bytearray(hashlib.sha512(key.seed).digest()[:32])
    low[0] &= 248
    low[31] = (low[31] & 127) | 64
    return int.from_bytes(low, "little")


def second_signature(key: SigningKey, label: bytes, payload: bytes, r: bytes) -> Sign1:
    """Another signature of the same bytes by the same key, with an r of one's choice."""
    point = crypto_scalarmult_ed25519_base_noclamp(r) if any(r) else IDENTITY
    message = sig_structure(label, key.public, payload)
    h = int.from_bytes(hashlib.sha512(point + key.public + message).digest(), "little")
    s = (int.from_bytes(r, "little") + h * scalar(key)) % GROUP_ORDER
    return Sign1(key.public, payload, point + s.to_bytes(32, "little"))


def test_whoever_knows_the_code_captures_a_joiner(chain) -> None:
    """With a relay that helps. The page says so: a join is finished only when the other device says so."""
    device, sealing, attacker = SigningKey.random(), SealingKey.random(), SigningKey.random()
    join = ask(chain.code, device, sealing, describe("phone"), 1)
    request = open_form(JoinRequest, join.request)
    key = EpochKey(os.urandom(32), 1)
    found = found_entry(chain.code, key, os.urandom(32), attacker, SealingKey.random(), describe("laptop"), 2)
    roster = apply(None, found)
    nonce = sign_form(Nonce(roster.chain, request.hash, 1, roster.head, 1, os.urandom(32)), attacker)
    assert JoinerRounds(request.hash, join.secret).take(nonce)
    admit = admit_entry(roster, request, b"", 1, key, attacker, 3)
    joined = believe((found.raw, admit.raw), request, chain.code, sealing, {nonce.signer})
    assert joined.roster.chain == roster.chain != chain.roster.chain


def test_a_second_join_proof_keeps_the_request(chain) -> None:
    """Whoever knows the code can make other bytes of the same request. Its device must still find itself in the log."""
    device, sealing = SigningKey.random(), SealingKey.random()
    request = open_form(JoinRequest, ask(chain.code, device, sealing, describe("phone"), 1).request)
    form = cbor.decode_as(Envelope, request.raw, 1024).form
    r = crypto_core_ed25519_scalar_reduce(os.urandom(64))
    proof = second_signature(chain.code.join_key, JOIN_PROOF, request.hash, r)
    other = open_form(JoinRequest, cbor.encode(Envelope(form, (proof,)).to_raw()))
    assert other.hash == request.hash and other.raw != request.raw
    nonce = sign_form(Nonce(chain.roster.chain, request.hash, 1, chain.roster.head, 1, os.urandom(32)), chain.founder)
    admit = admit_entry(chain.roster, other, b"", 1, chain.epoch_key, chain.founder, 2)
    believe((chain.entry.raw, admit.raw), request, chain.code, sealing, {nonce.signer})


def test_a_signature_with_small_order_r_is_refused(chain) -> None:
    """Libraries differ on it, so one entry could split those who follow the log."""
    assert not second_signature(chain.founder, Record.LABEL, b"payload", bytes(32)).verifies(Record.LABEL)


def test_a_reader_accepts_a_line_whose_heads_go_back(chain) -> None:
    request = open_form(JoinRequest, ask(chain.code, SigningKey.random(), SealingKey.random(), describe("x"), 1).request)
    later = apply(chain.roster, admit_entry(chain.roster, request, b"", 1, chain.epoch_key, chain.founder, 2))
    writer, feed = Writer(chain.founder, chain.name_key, chain.epoch_key), Feed()
    feed.take(later, RecordRow(1, writer.put(later, feed, Content("c", "a", b""), 1)))
    feed.take(later, RecordRow(2, writer.put(chain.roster, feed, Content("c", "b", b""), 1)))


def test_a_fresh_reader_cannot_see_that_the_newest_records_are_missing(chain) -> None:
    writer, feed = Writer(chain.founder, chain.name_key, chain.epoch_key), Feed()
    rows = []
    for number in (1, 2, 3):
        rows.append(RecordRow(number, writer.put(chain.roster, feed, Content("c", "n", bytes([number])), 1)))
        feed.take(chain.roster, rows[-1])
    fresh = Feed()
    for row in rows[:2]:
        fresh.take(chain.roster, row)
    assert not fresh.withheld()


def test_an_honest_writer_that_was_refused_signs_a_second_record_with_one_counter(chain) -> None:
    """A relay that answers `conflict` and keeps the first can show each reader the one it likes."""
    writer = Writer(chain.founder, chain.name_key, chain.epoch_key)
    first = writer.put(chain.roster, Feed(), Content("c", "n", b"1"), 1)
    second = writer.put(chain.roster, Feed(), Content("c", "n", b"2"), 2)
    for sealed in (first, second):
        Feed().take(chain.roster, RecordRow(1, SealedRecord(sealed.header, sealed.ciphertext)))
    one, two = (open_form(Record, sealed.header).body for sealed in (first, second))
    assert one.counter == two.counter and replace(one, at=2, ciphertext_hash=two.ciphertext_hash) == two
