"""Every form, good and bad."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from family import Family, three_approvers

from countersign_client import cbor
from countersign_client.approval import Approval, Nothing, Subject
from countersign_client.cose import JOIN_PROOF, RECOVERY_PROOF, Envelope, Sign1
from countersign_client.entries import Admit, Deny, Entry
from countersign_client.forms import (
    Connect, Cursor, Device, JoinRequest, Nonce, Record, Refill, Reveal, Signed, Withdrawal, open_form, sign_form,
)
from countersign_client.founder import admit_entry, deny_entry
from countersign_client.joiner import ask, describe
from countersign_client.keys import LOW_ORDER_U, SealingKey, SigningKey
from countersign_client.problems import Problem
from countersign_client.records import Content, Feed, Writer
from countersign_client.rotation import NOTHING, Cut, Removal

KEY = SigningKey.random()
OTHER = SigningKey.random()
CHANGES = [
    "remove", "rotate", "rotate-bringing", "leave", "change-role", "change-policy", "closing", "veto", "close", "settle",
    "approval-admit", "approval-remove", "approval-change-role", "approval-change-policy", "approval-closing",
    "approval-settle",
]
NAMES = [
    "found", "admit", "deny", "join-request", "withdrawal", "nonce", "reveal", "record", "delete", "refill", "member",
    "joiner", *CHANGES,
]


def an_id() -> bytes:
    return os.urandom(32)


@cache
def living() -> tuple[dict[str, Signed], list[SigningKey]]:
    """A form of each kind that changes a chain, and the keys that sign and prove them."""
    family = three_approvers(Family(1))
    forms = family.one_of_each()
    return forms, [person.signing for person in family.people.values()] + [code.join_key for code in family.codes]


@pytest.fixture
def forms(chain) -> dict[str, Signed]:
    sealing = SealingKey.random()
    request = open_form(JoinRequest, ask(chain.code, KEY, sealing, describe("phone"), 1).request)
    writer = Writer(chain.founder, chain.name_key, chain.epoch_key)
    put = writer.put(chain.roster, Feed(), Content("c", "n", b"v"), 9)
    delete = writer.delete(chain.roster, Feed(), "c", "n", 9)
    member = Connect(("countersign.v1",), "https://r", an_id(), an_id(), an_id(), KEY.public, 0, None, an_id(), Cursor(1, 2))
    joiner = Connect(("countersign.v1",), "https://r", an_id(), an_id(), None, KEY.public, 1, an_id(), None, None)
    return {
        "found": chain.entry,
        "admit": admit_entry(chain.roster, request, b"d", 1, chain.epoch_key, chain.founder, 2),
        "deny": deny_entry(chain.roster, request, 1, chain.founder, 2),
        "join-request": request,
        "withdrawal": sign_form(Withdrawal(an_id()), KEY),
        "nonce": sign_form(Nonce(an_id(), an_id(), 1, an_id(), 1, an_id()), KEY),
        "reveal": sign_form(Reveal(an_id(), an_id(), an_id()), KEY),
        "record": open_form(Record, put.header),
        "delete": open_form(Record, delete.header),
        "refill": sign_form(Refill.of(an_id(), [an_id(), an_id()]), KEY),
        "member": sign_form(member, KEY),
        "joiner": sign_form(joiner, KEY),
        **living()[0],
    }


def refused(cls: type, data: bytes) -> str:
    with pytest.raises(Problem) as caught:
        open_form(cls, data)
    return caught.value.code


def resigned(form: Signed, keys: dict[bytes, SigningKey], payload: bytes) -> bytes:
    """The same form with another payload, every signature right."""
    cls = type(form.body)
    signed = Sign1.sign(cls.LABEL, keys[form.signer], payload)
    proofs = tuple(Sign1.sign(label, keys[key], signed.hash(cls.LABEL)) for label, key in form.body.proofs())
    return cbor.encode(Envelope(signed, proofs).to_raw())


@pytest.fixture
def keys(chain) -> dict[bytes, SigningKey]:
    return {key.public: key for key in (KEY, OTHER, chain.founder, chain.code.join_key, *living()[1])}


@pytest.mark.parametrize("name", NAMES)
def test_good(forms, name: str) -> None:
    form = forms[name]
    again = open_form(type(form.body), form.raw)
    assert again == form
    head = b"\xd2\x84\x58\x26\xa2\x01\x27\x04\x58\x20" + form.signer + b"\xa0"
    start = 1 if form.body.proofs() else 0
    assert form.raw[start:].startswith(head)


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_bit_is_refused(forms, name: str) -> None:
    form = forms[name]
    for place in range(len(form.raw)):
        changed = bytearray(form.raw)
        changed[place] ^= 1 << place % 8
        refused(type(form.body), bytes(changed))


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_and_a_trailing_byte_are_refused(forms, name: str) -> None:
    form = forms[name]
    for length in range(len(form.raw)):
        assert refused(type(form.body), form.raw[:length]) == "malformed"
    assert refused(type(form.body), form.raw + b"\x00") == "not-canonical"


@pytest.mark.parametrize("name", NAMES)
def test_unknown_and_repeated_keys_and_long_integers(forms, keys, name: str) -> None:
    form = forms[name]
    raw = form.body.to_raw()
    payload = cbor.encode(raw)
    unknown = cbor.encode({**raw, 23: 0})
    repeated = bytes([payload[0] + 1]) + payload[1:3] + payload[1:]
    longer = payload[:1] + b"\x18\x00" + payload[2:]
    endless = b"\xbf" + payload[1:] + b"\xff"
    for bad in (unknown, repeated, longer, payload + b"\x00"):
        assert refused(type(form.body), resigned(form, keys, bad)) == "not-canonical"
    assert refused(type(form.body), resigned(form, keys, endless)) == "malformed"
    assert refused(type(form.body), resigned(form, keys, cbor.encode({**raw, 0: 2}))) == "unknown-version"
    missing = {key: value for key, value in raw.items() if key != 0}
    assert refused(type(form.body), resigned(form, keys, cbor.encode(missing))) == "malformed"


@pytest.mark.parametrize("name", NAMES)
def test_another_label_is_another_form(forms, keys, name: str) -> None:
    form = forms[name]
    envelope = cbor.decode_as(Envelope, form.raw, 1 << 20)
    other = Sign1.sign(b"countersign/v1/other", keys[form.signer], envelope.form.payload)
    data = cbor.encode(Envelope(other, envelope.proofs).to_raw())
    assert refused(type(form.body), data) == "bad-signature"


@pytest.mark.parametrize("name", NAMES)
def test_too_large(forms, name: str) -> None:
    cls = type(forms[name].body)
    assert refused(cls, bytes(cls.LIMIT + 1)) == "too-large"


@pytest.mark.parametrize("name", ["found", "join-request", "member", "joiner"])
def test_wrong_signer(forms, name: str) -> None:
    form = forms[name]
    envelope = cbor.decode_as(Envelope, form.raw, 1 << 20)
    other = Sign1.sign(type(form.body).LABEL, OTHER, envelope.form.payload)
    data = cbor.encode(Envelope(other, envelope.proofs).to_raw())
    assert refused(type(form.body), data) == "wrong-signer"


@pytest.mark.parametrize("name", NAMES)
def test_proofs_missing_needless_or_wrong(forms, keys, name: str) -> None:
    form = forms[name]
    envelope = cbor.decode_as(Envelope, form.raw, 1 << 20)
    needless = Sign1.sign(JOIN_PROOF, OTHER, form.hash)
    sets = [(*envelope.proofs, needless)]
    if len(envelope.proofs) == 2:
        sets += [envelope.proofs[:1], envelope.proofs[1:], envelope.proofs[::-1]]
    elif envelope.proofs:
        ((label, key),) = form.body.proofs()
        joins = keys[key]
        sets += [
            (),
            (needless,),
            (Sign1.sign(label, joins, an_id()),),
            (Sign1.sign(RECOVERY_PROOF if label == JOIN_PROOF else JOIN_PROOF, joins, form.hash),),
            (Sign1.sign(type(form.body).LABEL, joins, form.hash),),
        ]
    for proofs in sets:
        assert refused(type(form.body), cbor.encode(Envelope(envelope.form, proofs).to_raw())) == "bad-proof"


def test_negative_s_is_refused(forms) -> None:
    """The same signature with s + L verifies in a lax library."""
    form = forms["nonce"]
    s = int.from_bytes(form.raw[-32:], "little") + 2**252 + 27742317777372353535851937790883648493
    assert refused(Nonce, form.raw[:-32] + s.to_bytes(32, "little")) == "bad-signature"


def test_bad_cose_shapes(forms) -> None:
    raw = forms["nonce"].raw
    sign1 = cbor.parse(raw)
    protected, _, payload, signature = sign1.value
    for shape in (
        cbor.Tag(18, [protected, {4: b"x"}, payload, signature]),
        cbor.Tag(18, [cbor.encode({1: -8, 3: 0, 4: KEY.public}), {}, payload, signature]),
        sign1.value,
        cbor.Tag(17, sign1.value),
        cbor.Tag(18, sign1.value[:3]),
        cbor.Tag(18, [protected, {}, payload, signature[:63]]),
        cbor.Tag(18, [cbor.encode({1: -7, 4: KEY.public}), {}, payload, signature]),
        cbor.Tag(18, [cbor.encode({1: -8}), {}, payload, signature]),
        [sign1],
        {},
    ):
        assert refused(Nonce, cbor.encode(shape)) == "malformed"


@pytest.mark.parametrize("kind", [0, 13, 1 << 40])
def test_unknown_kind(forms, keys, kind: int) -> None:
    form = forms["deny"]
    payload = cbor.encode({**form.body.to_raw(), 5: [kind, {}]})
    data = resigned(form, keys, payload)
    assert refused(Entry, data) == "unknown-kind"
    assert refused(Entry, data[:-1] + bytes([data[-1] ^ 1])) == "bad-signature"


BadBody = Callable[[dict[str, Signed]], tuple[str, object]]
BAD_FIELDS: list[BadBody] = [
    lambda f: ("nonce", replace(f["nonce"].body, round=0)),
    lambda f: ("nonce", replace(f["nonce"].body, round=9)),
    lambda f: ("record", replace(f["record"].body, counter=0)),
    lambda f: ("record", replace(f["record"].body, counter=2)),
    lambda f: ("record", replace(f["record"].body, last=an_id())),
    lambda f: ("record", replace(f["record"].body, operation=1)),
    lambda f: ("record", replace(f["record"].body, ciphertext_hash=None)),
    lambda f: ("delete", replace(f["delete"].body, ciphertext_hash=an_id())),
    lambda f: ("member", replace(f["member"].body, chain=None)),
    lambda f: ("member", replace(f["member"].body, head=None)),
    lambda f: ("joiner", replace(f["joiner"].body, request=None)),
    lambda f: ("joiner", replace(f["joiner"].body, head=an_id())),
    lambda f: ("deny", replace(f["deny"].body, body=Deny(an_id(), an_id(), 0, 604_801))),
    lambda f: ("deny", replace(f["deny"].body, chain=None)),
    lambda f: ("deny", replace(f["deny"].body, prev=None)),
    lambda f: ("deny", replace(f["deny"].body, seq=0)),
    lambda f: ("found", replace(f["found"].body, seq=1)),
    lambda f: ("found", replace(f["found"].body, prev=an_id())),
    lambda f: ("found", replace(f["found"].body, body=replace(f["found"].body.body, description=bytes(513)))),
    lambda f: ("admit", _admit(f, ticket=b"t")),
    lambda f: ("admit", _admit(f, how=2)),
    lambda f: ("admit", _admit(f, description=b"\x02" + bytes(512))),
    lambda f: ("approval-change-role", _subject(f, "approval-change-role", cut=Cut(0, an_id(), 0))),
    lambda f: ("approval-change-role", _subject(f, "approval-change-role", cut=Cut(1, None, 1))),
    lambda f: ("approval-remove", replace(f["approval-remove"].body, subject=Subject(4, (Removal(an_id(), NOTHING),) * 2))),
]
UNKNOWN_NUMBERS: list[BadBody] = [
    lambda f: ("record", replace(f["record"].body, operation=2)),
    lambda f: ("member", replace(f["member"].body, kind=2)),
    lambda f: ("deny", replace(f["deny"].body, body=Deny(an_id(), an_id(), 3, 0))),
    lambda f: ("admit", _admit(f, role=4)),
    lambda f: ("admit", _admit(f, how=5)),
    lambda f: ("remove", _body(f, "remove", reason=3)),
    lambda f: ("remove", _body(f, "remove", removals=())),
    lambda f: ("remove", _body(f, "remove", removals=f["remove"].body.body.removals * 129)),
    lambda f: ("leave", _body(f, "leave", cut=replace(f["leave"].body.body.cut, which=2))),
    lambda f: ("change-role", _body(f, "change-role", role=4)),
    lambda f: ("change-role", _body(f, "change-role", approvals=(b"",) * 129)),
    lambda f: ("veto", _body(f, "veto", of=2)),
    lambda f: ("closing", _body(f, "closing", approvals=(b"",))),
    *(
        lambda f, kind=kind: ("approval-closing", replace(f["approval-closing"].body, subject=Subject(kind, Nothing())))
        for kind in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13)
    ),
]


def _subject(forms: dict[str, Signed], name: str, **changes: object) -> Approval:
    approval = forms[name].body
    return replace(approval, subject=replace(approval.subject, what=replace(approval.subject.what, **changes)))


def _admit(forms: dict[str, Signed], **changes: object) -> Entry:
    entry = forms["admit"].body
    assert isinstance(entry.body, Admit)
    return replace(entry, body=replace(entry.body, **changes))


def _body(forms: dict[str, Signed], name: str, **changes: object) -> Entry:
    entry = forms[name].body
    return replace(entry, body=replace(entry.body, **changes))


@pytest.mark.parametrize("number", range(len(BAD_FIELDS)))
def test_bad_fields(forms, keys, number: int) -> None:
    name, body = BAD_FIELDS[number](forms)
    assert refused(type(body), resigned(forms[name], keys, cbor.encode(body.to_raw()))) == "bad-field"


@pytest.mark.parametrize("number", range(len(UNKNOWN_NUMBERS)))
def test_unknown_numbers(forms, keys, number: int) -> None:
    name, body = UNKNOWN_NUMBERS[number](forms)
    assert refused(type(body), resigned(forms[name], keys, cbor.encode(body.to_raw()))) == "malformed"


@pytest.mark.parametrize("u", sorted(LOW_ORDER_U) + [2**255 - 19, 2**255 - 18, 2**255 + 9])
def test_bad_sealing_keys(forms, keys, u: int) -> None:
    device = Device(KEY.public, u.to_bytes(32, "little"))
    body = replace(forms["join-request"].body, device=device)
    data = resigned(forms["join-request"], keys, cbor.encode(body.to_raw()))
    assert refused(JoinRequest, data) == "malformed"


def test_join_key_must_not_be_the_device(chain) -> None:
    join = chain.code.join_key
    body = JoinRequest(join.public, Device(join.public, SealingKey.random().public), an_id(), an_id(), 1)
    assert refused(JoinRequest, sign_form(body, join, join).raw) == "bad-field"
