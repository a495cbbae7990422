"""The rules of the log, the rule for records, and what a joiner requires."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from countersign_client import cbor
from countersign_client.approval import Approval, Nothing, Subject
from countersign_client.code import EpochKey, SyncCode
from countersign_client.cose import Envelope
from countersign_client.entries import Deny, Entry
from countersign_client.forms import Device, JoinRequest, Nonce, Record, open_form, sign_form
from countersign_client.founder import POLICY, admit_entry, deny_entry
from countersign_client.joiner import ask, believe, describe
from countersign_client.keys import SealingKey, SigningKey
from countersign_client.log import apply
from countersign_client.messages import RecordRow, SealedRecord
from countersign_client.policy import RECOVERY, check_policy
from countersign_client.problems import Alarm, Problem
from countersign_client.records import Content, Feed, Held, Writer, blind, open_record

TOTP = b"\x02" + bytes(60)
DEVICE, SEALING = SigningKey.random(), SealingKey.random()


def code_of(action) -> str:
    with pytest.raises(Problem) as caught:
        action()
    return caught.value.code


def a_request(chain, device=DEVICE, sealing=SEALING, code=None):
    return open_form(JoinRequest, ask(code or chain.code, device, sealing, describe("phone"), 5).request)


def admit(chain, roster, request=None, role=1, **changes):
    entry = admit_entry(roster, request or a_request(chain), b"d", role, chain.epoch_key, chain.founder, 6).body
    if changes:
        entry = replace(entry, body=replace(entry.body, **changes))
    return sign_form(entry, chain.founder)


def test_admit_makes_a_member(chain) -> None:
    roster = apply(chain.roster, admit(chain, chain.roster))
    assert roster.members[DEVICE.public].role == 1 and roster.seq == 1 and len(chain.roster.members) == 1


def test_refusals_of_admit(chain) -> None:
    roster = chain.roster
    after = apply(roster, admit(chain, roster))
    other = SigningKey.random()

    def refusal(entry, on=roster) -> str:
        return code_of(lambda: apply(on, entry))

    first = admit(chain, roster).body
    assert refusal(admit(chain, after, a_request(chain, other, SEALING)), after) == "key-known"
    assert refusal(admit(chain, after, a_request(chain, DEVICE, SealingKey.random())), after) == "key-known"
    assert refusal(admit(chain, roster, a_request(chain, code=SyncCode(os.urandom(32))))) == "stale-join-key"
    assert refusal(admit(chain, roster, epoch=2)) == "stale-epoch"
    assert refusal(admit(chain, roster, how=3)) == "way-not-allowed"
    assert refusal(admit(chain, roster, role=3)) == "role-not-allowed"
    agreed = sign_form(Approval(roster.chain, roster.head, Subject(9, Nothing())), other).raw
    assert refusal(admit(chain, roster, approvals=(agreed,))) == "quorum"
    assert refusal(sign_form(replace(first, chain=os.urandom(32)), chain.founder)) == "other-chain"
    assert refusal(sign_form(replace(first, prev=os.urandom(32)), chain.founder)) == "head-moved"
    assert refusal(sign_form(replace(first, seq=2), chain.founder)) == "head-moved"
    assert refusal(sign_form(first, other)) == "not-a-member"
    writes = replace(first, seq=2, prev=after.head)
    assert refusal(sign_form(writes, DEVICE), after) == "not-an-approver"
    assert refusal(chain.entry) == "other-chain"
    assert refusal(admit(chain, roster), None) == "other-chain"


def test_request_decided_twice_and_full_chain(chain) -> None:
    request = a_request(chain)
    denied = apply(chain.roster, deny_entry(chain.roster, request, 0, chain.founder, 6))
    assert code_of(lambda: apply(denied, admit(chain, denied, request))) == "already-decided"
    assert code_of(lambda: apply(denied, deny_entry(denied, request, 0, chain.founder, 6))) == "already-decided"
    again = a_request(chain, DEVICE, SealingKey.random())
    assert code_of(lambda: apply(denied, admit(chain, denied, again))) == "key-known"
    small = replace(chain.roster, in_force=replace(chain.roster.in_force, policy=replace(POLICY, most_members=1)))
    assert code_of(lambda: apply(small, admit(chain, small))) == "chain-full"


def test_deny_of_a_member(chain) -> None:
    body = Deny(os.urandom(32), chain.founder.public, 0, 0)
    entry = sign_form(Entry(chain.roster.chain, 1, chain.roster.head, 1, body), chain.founder)
    assert code_of(lambda: apply(chain.roster, entry)) == "key-is-member"


def test_request_inside_admit_is_verified(chain) -> None:
    request = a_request(chain)
    bare = cbor.encode(cbor.decode_as(Envelope, request.raw, 1024).form.to_raw())
    for raw, code in ((bare, "bad-proof"), (request.raw[:-1] + b"\xff", "bad-proof"), (b"\x00", "malformed")):
        entry = admit(chain, chain.roster, request=request)
        changed = sign_form(replace(entry.body, body=replace(entry.body.body, request=raw)), chain.founder)
        assert code_of(lambda changed=changed: apply(chain.roster, changed)) == code


def test_found_with_shared_keys(chain) -> None:
    found = chain.entry.body.body
    for device, good in (
        (Device(DEVICE.public, SEALING.public), True),
        (Device(DEVICE.public, found.founder.sealing), False),
        (Device(found.founder.signing, SEALING.public), False),
        (Device(found.join_key, SEALING.public), False),
    ):
        keys = {key.public: key for key in (DEVICE, chain.founder, chain.code.join_key)}
        body = replace(chain.entry.body, body=replace(found, recovery=(device, b"\x01" + bytes(80))))
        entry = sign_form(body, chain.founder, chain.code.join_key, keys[device.signing])
        if good:
            assert apply(None, entry).members[DEVICE.public].role == RECOVERY
        else:
            assert code_of(lambda entry=entry: open_form(Entry, entry.raw)) == "bad-field"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ways": (0, 0)}, "bad-policy"),
        ({"ways": (3, 0)}, "bad-policy"),
        ({"ways": ()}, "bad-policy"),
        ({"ways": (4,)}, "bad-policy"),
        ({"quorums": (1, 1, 1, 33)}, "bad-policy"),
        ({"closing_delay": 31_536_001}, "bad-policy"),
        ({"quorums": (0, 1, 1, 1)}, "bad-policy"),
        ({"request_lifetime": 0}, "bad-policy"),
        ({"request_lifetime": 86_401}, "bad-policy"),
        ({"most_members": 0}, "bad-policy"),
        ({"most_members": 129}, "bad-policy"),
        ({"ways": (2,)}, "bad-policy"),
        ({"ways": (2,), "totp": (1, TOTP)}, "bad-policy"),
        ({"totp": (0, TOTP)}, "bad-policy"),
        ({"totp": (1, TOTP[:-1])}, "bad-policy"),
        ({"totp": (1, b"\x01" + TOTP[1:])}, "bad-policy"),
        ({"ways": (0, 1)}, "not-supported"),
        ({"ways": (0, 1), "quorums": (0, 1, 1, 1)}, "bad-policy"),
        ({"totp": (0, TOTP), "ways": (0, 2)}, None),
        ({"totp": (1, TOTP)}, None),
        ({"ways": (3,)}, None),
        ({"quorums": (2, 3, 4, 32)}, None),
    ],
)
def test_policies(changes, code: str | None) -> None:
    if code is None:
        check_policy(replace(POLICY, **changes))
    else:
        assert code_of(lambda: check_policy(replace(POLICY, **changes))) == code


# Records


@pytest.fixture
def writer(chain) -> Writer:
    return Writer(chain.founder, chain.name_key, chain.epoch_key)


def test_record_line_and_content(chain, writer) -> None:
    feed = Feed()
    for number, value in enumerate((b"one", b"two"), 1):
        row = RecordRow(number, writer.put(chain.roster, feed, Content("c", "n", value), 1))
        held = feed.take(chain.roster, row)
        assert open_record(chain.name_key, {1: chain.epoch_key}, held).value == value
        assert feed.take(chain.roster, row) is held
    gone = feed.take(chain.roster, RecordRow(3, writer.delete(chain.roster, feed, "c", "n", 1)))
    assert gone.record.body.base == held.record.hash and gone.record.body.counter == 3
    assert code_of(lambda: open_record(chain.name_key, {1: chain.epoch_key}, gone)) == "no-ciphertext"


def test_refusals_of_records(chain, writer) -> None:
    feed = Feed()
    sealed = writer.put(chain.roster, feed, Content("c", "n", b"v"), 1)
    header = open_form(Record, sealed.header).body

    def refusal(signer=chain.founder, ciphertext=sealed.ciphertext, **changes) -> str:
        raw = sign_form(replace(header, **changes), signer).raw
        return code_of(lambda: feed.take(chain.roster, RecordRow(1, SealedRecord(raw, ciphertext))))

    assert refusal(chain=os.urandom(32)) == "other-chain"
    assert refusal(head=os.urandom(32)) == "unknown-head"
    assert refusal(epoch=2) == "stale-epoch"
    assert refusal(signer=DEVICE) == "not-a-member"
    assert refusal(counter=2, last=os.urandom(32)) == "broken-line"
    assert refusal(base=os.urandom(32)) == "conflict"
    assert refusal(ciphertext=b"x") == "other-ciphertext"
    feed.take(chain.roster, RecordRow(1, sealed))
    assert refusal(at=2) == "replayed"
    assert refusal(counter=2, last=os.urandom(32)) == "broken-line"


def test_reader_and_late_member_may_not_write(chain) -> None:
    for role, head in ((2, None), (1, chain.roster.head)):
        roster = apply(chain.roster, admit(chain, chain.roster, role=role))
        member = Writer(DEVICE, chain.name_key, chain.epoch_key)
        at = roster if head is None else replace(roster, head=head)
        sealed = member.put(at, Feed(), Content("c", "n", b"v"), 1)
        assert code_of(lambda: Feed().take(roster, RecordRow(1, sealed))) == "not-a-member"


def test_names_inside_are_those_outside(chain, writer) -> None:
    swapped = Writer(chain.founder, os.urandom(32), chain.epoch_key)
    sealed = swapped.put(chain.roster, Feed(), Content("c", "n", b"v"), 1)
    held = Held(1, open_form(Record, sealed.header), sealed.ciphertext)
    assert code_of(lambda: open_record(chain.name_key, {1: chain.epoch_key}, held)) == "other-names"
    moved = replace(held, record=replace(held.record, body=replace(held.record.body, at=2)))
    assert code_of(lambda: open_record(chain.name_key, {1: chain.epoch_key}, moved)) == "does-not-open"


def test_names_have_a_length() -> None:
    assert blind(bytes(32), "a", "b" * 256) != blind(bytes(32), "a", "b" * 255)
    for bad in ("", "x" * 257):
        assert code_of(lambda bad=bad: blind(bytes(32), "c", bad)) == "bad-field"


# What a joiner requires


def test_joiner_believes_a_good_log_and_nothing_else(chain) -> None:
    request = a_request(chain)
    nonce = sign_form(Nonce(chain.roster.chain, request.hash, 1, chain.roster.head, 1, os.urandom(32)), chain.founder)
    entry = admit(chain, chain.roster, request)
    found = chain.entry.raw

    def judge(entries, answered=(nonce,), code=chain.code, sealing=SEALING, own=request):
        return believe(tuple(entries), own, code, sealing, {nonce.signer for nonce in answered})

    joined = judge([found, entry.raw])
    assert (joined.epoch_key, joined.keyring.name_key) == (chain.epoch_key, chain.name_key)
    for bad in (
        lambda: judge([]),
        lambda: judge([found]),
        lambda: judge([found, entry.raw], answered=()),
        lambda: judge([found, entry.raw], answered=(sign_form(nonce.body, SigningKey.random()),)),
        lambda: judge([found, entry.raw], code=SyncCode(os.urandom(32))),
        lambda: judge([found, entry.raw], own=a_request(chain)),
        lambda: judge([found, entry.raw], sealing=SealingKey.random()),
    ):
        with pytest.raises(Alarm):
            bad()
    other_key = replace(chain, epoch_key=EpochKey(os.urandom(32), 1))
    with pytest.raises(Alarm, match="another epoch key"):
        judge([found, admit(other_key, chain.roster, request).raw])


