"""Every refusal of the rules of the log, kind by kind, in the order of the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from family import WAYS, Family, Person
from vectors_of import FOLDER, refusal

from countersign_client import cbor
from countersign_client.approval import Abandoned, Admission, Nothing, RoleChange, Subject
from countersign_client.changes import (
    LOST, OF_CLOSING, OF_RESET, ChangePolicy, ChangeRole, Close, Closing, Leave, Remove, Rotate, Settle, Veto,
)
from countersign_client.cose import JOIN_PROOF, RECOVERY_PROOF, Envelope
from countersign_client.entries import Deny, Entry, Known
from countersign_client.forms import Signed, open_form, sign_form
from countersign_client.keyring import Keyring
from countersign_client.lifecycle import NOTHING_NEW, Author, Brought
from countersign_client.log import apply
from countersign_client.policy import APPROVER, NONE, READER, RECOVERY, TOTP, TOTP_BEFORE_PROMPT, TYPED, WRITER
from countersign_client.roster import Roster
from countersign_client.rotation import EARLIER, NOTHING, Cut, Removal

SECTION = re.compile(r"^## The rules of the log\n(.*?)^## ", re.DOTALL | re.MULTILINE)


def refused(family: Family, code: str, entry: Signed[Entry], roster: Roster | None = None) -> None:
    """The entry is one, and the log refuses it, with this code."""
    on = family.roster if roster is None else roster
    assert refusal(lambda: apply(on, open_form(Entry, entry.raw))) == code
    if roster is None:
        family.heard(entry, code)


def signed(family: Family, by: Person, body: Known, brought: Brought = NOTHING_NEW) -> Signed[Entry]:
    return family.author(by).entry(body, brought)


def removal_of(*people: Person) -> tuple[Removal, ...]:
    return tuple(Removal(person.id, NOTHING) for person in sorted(people, key=lambda person: person.id))


def with_quorums(family: Family, *quorums: int) -> Roster:
    """The roster as if its policy had other quorums."""
    in_force = family.roster.in_force
    return replace(family.roster, in_force=replace(in_force, policy=replace(in_force.policy, quorums=quorums)))


def test_every_kind_asks_first_for_its_place_and_its_signer(family) -> None:
    chain, stranger, code = family.roster, family.person("stranger"), family.fresh_code()
    author, removals = family.author(family.laptop), removal_of(family.reader)
    bodies: list[Known] = [
        Remove(removals, LOST, author.rotation(Brought(code), {family.reader.id})),
        Rotate(author.rotation(NOTHING_NEW)), Leave(NOTHING), ChangeRole(family.writer.id, READER, NOTHING), Close(bytes(32)),
        ChangePolicy(WAYS), Closing(), Veto(OF_CLOSING, bytes(32)), Settle(bytes(32), author.rotation(NOTHING_NEW)),
    ]
    for body in bodies:
        brought = Brought(code) if isinstance(body, Remove) else NOTHING_NEW
        good = signed(family, family.laptop, body, brought)
        for signer, wrong in ((family.laptop, None), (stranger, "not-a-member"), (family.writer, "not-an-approver")):
            def at(**changes: object) -> Signed[Entry]:
                return sign_form(replace(good.body, **changes), signer.signing, *brought.proof_keys())

            refused(family, "other-chain", at(chain=bytes(32), seq=9))
            refused(family, "head-moved", at(seq=chain.seq))
            refused(family, "head-moved", at(seq=chain.seq + 2))
            refused(family, "head-moved", at(prev=bytes(32)))
            refused(family, "chain-closed", at(), replace(chain, closed=True))
            if wrong and not (isinstance(body, Leave) and signer is family.writer):
                refused(family, wrong, at())
        by_words = sign_form(good.body, family.words.signing, *brought.proof_keys())
        if not isinstance(body, Remove):
            refused(family, "not-an-approver", by_words)
        else:
            assert refusal(lambda: apply(chain, by_words)) is None  # noqa: B023
        for changes in ({"seq": 0}, {"chain": None}, {"prev": None}):
            entry = sign_form(replace(good.body, **changes), stranger.signing, *brought.proof_keys())
            assert refusal(lambda: open_form(Entry, entry.raw)) == "bad-field"  # noqa: B023


def test_refusals_of_admit(family) -> None:
    person = family.person("late")
    request, laptop = family.asks(person), family.laptop
    good = family.admits(laptop, request, WRITER)

    def entry(by: Person = laptop, **changes: object) -> Signed[Entry]:
        return signed(family, by, replace(good.body.body, **changes))

    stale = family.asks(person, family.fresh_code())
    known = family.asks(replace(person, sealing=family.phone.sealing))
    refused(family, "key-known", entry(request=known.raw, epoch=2))
    refused(family, "stale-join-key", entry(request=stale.raw, epoch=2))
    refused(family, "stale-epoch", entry(epoch=2, how=4))
    for by, how in ((laptop, 4), (family.words, TYPED), (family.words, NONE)):
        refused(family, "way-not-allowed", entry(by, how=how, role=RECOVERY))
    refused(family, "totp-step-used", entry(how=TOTP, totp_step=7, role=RECOVERY))
    refused(family, "totp-step-used", entry(how=TOTP, totp_step=0))
    assert refusal(lambda: apply(family.roster, entry(how=TOTP, totp_step=8))) is None
    agreed = family.agree([family.phone], Subject(2, Admission(request.hash, WRITER)))[0].raw
    refused(family, "role-not-allowed", entry(role=RECOVERY, approvals=(agreed,)))
    small = replace(family.roster, in_force=replace(family.roster.in_force, policy=replace(family.policy, most_members=5)))
    refused(family, "quorum", entry(approvals=(agreed,)), small)
    refused(family, "chain-full", entry(), small)
    family.add(family.denies(laptop, request))
    refused(family, "already-decided", entry(epoch=2))
    refused(family, "already-decided", family.denies(laptop, request))
    refused(family, "key-known", family.admits(laptop, family.asks(person), WRITER))
    body = Deny(bytes(32), family.words.id, 0, 0)
    refused(family, "key-is-member", signed(family, laptop, body))
    family.remove(laptop, family.phone)
    refused(family, "key-known", family.admits(laptop, family.asks(family.phone), WRITER))
    family.add(family.denies(laptop, family.asks(family.phone)))
    refused(family, "other-chain", family.entries[0])
    assert refusal(lambda: apply(None, good)) == "other-chain"


def test_refusals_of_remove(family) -> None:
    laptop, words, code = family.laptop, family.words, family.fresh_code()
    approvers = (laptop, family.phone, family.tablet)

    def entry(by: Person, *people: Person, devices: tuple[bytes, ...] = (), approvals: object = (), **changes: object):
        gone = {*(person.id for person in people), *devices}
        removals = tuple(Removal(device, NOTHING) for device in sorted(gone))
        rotation = replace(family.author(by).rotation(Brought(code), gone), **changes)
        return signed(family, by, Remove(removals, LOST, rotation, approvals), Brought(code))

    refused(family, "no-such-member", entry(laptop, laptop, devices=(bytes(32),)))
    refused(family, "no-such-member", entry(laptop, family.person("stranger")))
    refused(family, "self-removal", entry(laptop, *approvers, epoch=9))
    refused(family, "self-removal", entry(words, words, epoch=9))
    refused(family, "last-approver", entry(words, *approvers, epoch=9))
    strict = with_quorums(family, 1, 2, 1, 1)
    refused(family, "too-few-approvers", entry(laptop, family.phone, family.tablet, epoch=9), strict)
    refused(family, "stale-epoch", entry(words, family.phone, family.tablet, epoch=9), strict)
    assert refusal(lambda: apply(strict, entry(words, family.phone, family.tablet))) is None
    refused(family, "quorum", entry(laptop, family.reader), strict)
    agreed = tuple(approval.raw for approval in family.agree([family.phone], Subject(4, removal_of(family.reader))))
    refused(family, "quorum", entry(words, family.reader, approvals=agreed), strict)
    assert refusal(lambda: apply(strict, entry(laptop, family.reader, approvals=agreed))) is None
    refused(family, "approval-void", entry(laptop, family.writer, approvals=agreed), strict)
    with_words = family.remove(laptop, words)
    assert not [member for member in with_words.members.values() if member.role == RECOVERY]


def test_refusals_of_rotations(family) -> None:
    first = family.code
    family.rotate(family.laptop, Brought(family.fresh_code()))
    laptop, fresh = family.laptop, family.fresh_recovery()

    def rotation(brought: Brought = NOTHING_NEW, **changes: object):
        return replace(family.author(laptop).rotation(brought), **changes)

    def both(code: str, given, brought: Brought = NOTHING_NEW) -> None:
        refused(family, code, signed(family, laptop, Rotate(given), brought))
        refused(family, code, signed(family, laptop, Settle(bytes(32), given), brought))

    both("stale-epoch", rotation(Brought(first), epoch=2), Brought(first))
    both("stale-epoch", rotation(epoch=4))
    for known in (first, family.code):
        both("join-key-known", rotation(Brought(known, fresh), recipients=rotation().recipients[:1]), Brought(known, fresh))
    old = Brought(None, replace(fresh, sealing=family.words.sealing.public))
    both("key-known", rotation(old, recipients=rotation().recipients[:1]), old)
    same = Brought(None, replace(fresh, signing=family.words.signing))
    both("key-known", rotation(same), same)
    recipients = rotation().recipients
    both("wrong-recipients", rotation(recipients=recipients[1:]))
    both("wrong-recipients", rotation(Brought(None, fresh), recipients=recipients), Brought(None, fresh))
    extra = sorted((*recipients, replace(recipients[0], device=bytes(32))), key=lambda recipient: recipient.device)
    both("wrong-recipients", rotation(recipients=tuple(extra)))
    refused(family, "not-abandoned", signed(family, laptop, Settle(family.entries[1].hash, rotation(epoch=9))))


def test_where_several_decide_only_the_recovery_device_brings_another(family) -> None:
    laptop, words, fresh = family.laptop, family.words, Brought(None, family.fresh_recovery())
    refused(family, "not-an-approver", family.author(words).rotate())
    refused(family, "not-an-approver", family.author(words).rotate(Brought(family.fresh_code())))
    refused(family, "not-an-approver", family.author(words).settle(bytes(32), brought=fresh))
    assert refusal(lambda: apply(family.roster, family.author(laptop).rotate(fresh))) is None
    for quorums in ((2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2)):
        refused(family, "quorum", family.author(laptop).rotate(fresh), with_quorums(family, *quorums))
    refused(family, "quorum", family.author(laptop).settle(bytes(32), brought=fresh), with_quorums(family, 2, 1, 1, 1))
    removals, code = removal_of(family.reader), family.fresh_code()
    agreed = family.agree([family.phone], Subject(4, removals))
    brings = family.author(laptop).remove(removals, LOST, code, agreed, fresh.recovery)
    refused(family, "quorum", brings, with_quorums(family, 1, 2, 1, 1))
    family.add(family.author(laptop).change_policy(replace(family.policy, quorums=(2, 3, 2, 2))))
    known = Brought(None, replace(fresh.recovery, sealing=words.sealing.public))
    refused(family, "key-known", family.author(laptop).rotate(known))
    rotation = replace(family.author(laptop).rotation(fresh), recipients=family.author(laptop).rotation(NOTHING_NEW).recipients)
    refused(family, "quorum", signed(family, laptop, Rotate(rotation), fresh))
    refused(family, "wrong-recipients", signed(family, words, Rotate(rotation), fresh))
    another = Brought(None, family.fresh_recovery())
    again = family.author(words).rotate(another).body
    family.rotate(words, fresh)
    late = replace(again, seq=family.roster.seq + 1, prev=family.roster.head)
    refused(family, "not-a-member", sign_form(late, words.signing, *another.proof_keys()))


def test_refusals_of_settle(family) -> None:
    laptop, phone, tablet, branch = family.laptop, family.phone, family.tablet, bytes(32)
    early = family.agree([phone, tablet], Subject(12, Abandoned(branch)))
    refused(family, "quorum", family.author(laptop).settle(branch, early[:1]))
    assert refusal(lambda: apply(family.roster, family.author(laptop).settle(branch))) is None
    family.add(family.author(laptop).change_policy(replace(family.policy, quorums=(1, 1, 3, 1))))
    agreed = family.agree([phone, tablet], Subject(12, Abandoned(branch)))
    other = family.agree([tablet], Subject(12, Abandoned(bytes([9] * 32))))
    refused(family, "not-abandoned", family.author(laptop).settle(family.entries[2].hash, agreed))
    refused(family, "quorum", family.author(laptop).settle(branch))
    refused(family, "quorum", family.author(laptop).settle(branch, agreed[:1]))
    for void in (early, [agreed[0], other[0]], [agreed[0], *family.agree([laptop], Subject(12, Abandoned(branch)))]):
        refused(family, "approval-void", family.author(laptop).settle(branch, void))
    short = replace(family.author(laptop).rotation(NOTHING_NEW), epoch=9)
    refused(family, "stale-epoch", signed(family, laptop, Settle(branch, short)))
    roster = family.add(family.author(laptop).settle(branch, agreed))
    assert dict(roster.abandoned) == {branch: (laptop.id, *sorted((phone.id, tablet.id)))}
    refused(family, "approval-void", family.author(laptop).settle(branch, agreed))


def test_what_an_approval_outlives(family) -> None:
    """What anybody who decides may sign at any time, and a removal besides what its device could sign to put it off."""
    laptop, phone, tablet = family.laptop, family.phone, family.tablet
    family.add(family.author(laptop).change_policy(replace(family.policy, quorums=(1, 2, 1, 2))))
    removals, branch = removal_of(family.reader), bytes(32)
    subjects = Subject(4, removals), Subject(9, Nothing()), Subject(12, Abandoned(branch))
    of_removal, of_closing, of_settle = (family.agree([phone], subject) for subject in subjects)

    def counts(entry: Signed[Entry] | None) -> list[bool]:
        """Whether those of a removal, of the end and of a settle still count after an entry."""
        after = apply(family.roster, entry) if entry else family.roster
        ring = Keyring.of(after, laptop.id, laptop.sealing, laptop.own)
        author = Author(after, ring, laptop.signing, 0)
        code = family.fresh_code()
        made = author.remove(removals, LOST, code, of_removal), author.closing(of_closing), author.settle(branch, of_settle)
        told = [refusal(lambda: apply(after, form)) for form in made]  # noqa: B023
        assert set(told) <= {None, "approval-void"}
        return [code is None for code in told]

    author = family.author(tablet)
    everything, removal_alone, nothing = [True, True, True], [True, False, False], [False, False, False]
    for entry, wanted in (
        (None, everything),
        (family.denies(tablet, family.asks(family.person("stranger"))), everything),
        (author.veto(OF_RESET, bytes(32)), everything),
        (author.rotate(), removal_alone),
        (author.rotate(Brought(family.fresh_code())), removal_alone),
        (family.author(family.words).rotate(Brought(None, family.fresh_recovery())), nothing),
        (family.admits(tablet, family.asks(family.person("late")), READER), nothing),
        (family.author(family.writer).leave(NOTHING), nothing),
        (author.change_role(family.writer.id, READER, NOTHING), nothing),
        (author.change_policy(replace(family.policy, quorums=(1, 2, 1, 2), most_members=9)), nothing),
        (author.settle(bytes([9] * 32), family.agree([laptop], Subject(12, Abandoned(bytes([9] * 32))))), nothing),
    ):
        assert counts(entry) == wanted, entry


def test_bad_fields_of_rotations(family) -> None:
    """What the form alone shows."""
    laptop, code, fresh = family.laptop, family.fresh_code(), family.fresh_recovery()
    brought = Brought(code, fresh)
    good = family.author(laptop).rotation(brought)
    recipients = good.recipients

    def field(given, proofs: Brought = brought) -> str | None:
        entry = signed(family, laptop, Rotate(given), proofs)
        return refusal(lambda: open_form(Entry, entry.raw))

    assert field(good) is None
    assert field(replace(good, recipients=recipients[::-1])) == "bad-field"
    assert field(replace(good, recipients=(*recipients, recipients[-1]))) == "bad-field"
    assert field(replace(good, recipients=(replace(recipients[0], epoch_key=b"\x01" + bytes(79)),))) == "bad-field"
    assert field(replace(good, recipients=(replace(recipients[0], epoch_key=b"\x02" + bytes(80)),))) == "bad-field"
    for name in ("epoch_key_before", "name_key", "sync_code"):
        assert field(replace(good, **{name: b"\x02" + bytes(73)})) == "bad-field"
        assert field(replace(good, **{name: b"\x01" + bytes(72)})) == "bad-field"
    assert field(replace(good, recipients=())) == "malformed"
    assert field(replace(good, recipients=recipients * 26)) == "malformed"
    own = Brought(code, replace(fresh, signing=laptop.signing))
    assert field(replace(good, recovery=own.recovery.device), own) == "bad-field"
    same = Brought(code, replace(fresh, signing=code.join_key))
    assert field(replace(good, recovery=same.recovery.device), same) == "bad-field"
    removals = removal_of(family.reader, family.writer)
    plain = replace(good, join_key=None, recovery=None)
    for body, proofs in (
        (Remove(removals, LOST, plain), NOTHING_NEW),
        (Remove(removals[::-1], LOST, good), brought),
        (Remove(removals[:1] * 2, LOST, good), brought),
        (Remove((replace(removals[0], cut=Cut(0, bytes(32), 0)),), LOST, good), brought),
        (Leave(Cut(1, None, EARLIER)), NOTHING_NEW),
        (ChangeRole(family.writer.id, READER, Cut(1, None, 0)), NOTHING_NEW),
    ):
        entry = signed(family, laptop, body, proofs)
        assert refusal(lambda: open_form(Entry, entry.raw)) == "bad-field"  # noqa: B023


def test_proofs_of_rotations(family) -> None:
    """Join proof, then recovery proof, of what the rotation brings, and nothing else."""
    laptop, code, fresh = family.laptop, family.fresh_code(), family.fresh_recovery()
    for brought, labels in (
        (NOTHING_NEW, []), (Brought(code), [JOIN_PROOF]), (Brought(None, fresh), [RECOVERY_PROOF]),
        (Brought(code, fresh), [JOIN_PROOF, RECOVERY_PROOF]),
    ):
        entry = family.author(laptop).rotate(brought)
        envelope = Envelope.read(entry.raw)
        assert [label for label, _ in entry.body.proofs()] == labels and len(envelope.proofs) == len(labels)
        wrong = [envelope.proofs[::-1]] if len(labels) == 2 else []
        wrong += [envelope.proofs[1:], envelope.proofs[:1] * 3, (*envelope.proofs, envelope.form)]
        for proofs in wrong:
            raw = cbor.encode(replace(envelope, proofs=proofs).to_raw())
            if proofs != envelope.proofs:
                assert refusal(lambda: open_form(Entry, raw)) == "bad-proof"  # noqa: B023


def test_refusals_of_leave_and_change_role(family) -> None:
    laptop, phone = family.laptop, family.phone
    refused(family, "not-an-approver", family.author(family.words).leave(NOTHING))
    strict = with_quorums(family, 1, 3, 1, 1)
    refused(family, "too-few-approvers", family.author(phone).leave(NOTHING), strict)
    assert refusal(lambda: apply(strict, family.author(family.reader).leave(NOTHING))) is None

    def entry(person: Person, role: int, cut: Cut | None = None, by: Person = laptop, agree: tuple[Person, ...] = ()):
        approvals = family.agree(agree, Subject(7, RoleChange(person.id, role, cut)))
        return family.author(by).change_role(person.id, role, cut, approvals)

    refused(family, "no-such-member", entry(family.person("stranger"), RECOVERY, NOTHING))
    refused(family, "role-not-allowed", entry(family.words, RECOVERY))
    refused(family, "role-not-allowed", entry(family.words, READER, NOTHING))
    refused(family, "role-not-allowed", entry(family.writer, RECOVERY, NOTHING))
    refused(family, "nothing-changes", entry(family.writer, WRITER, NOTHING))
    refused(family, "bad-cut", entry(phone, READER), strict)
    refused(family, "bad-cut", entry(phone, WRITER, NOTHING), strict)
    refused(family, "bad-cut", entry(family.reader, WRITER, NOTHING))
    refused(family, "too-few-approvers", entry(phone, READER, NOTHING, agree=(family.tablet,)), strict)
    need = with_quorums(family, 1, 1, 2, 1)
    refused(family, "quorum", entry(family.writer, READER, NOTHING), need)
    assert refusal(lambda: apply(need, entry(family.writer, READER, NOTHING, agree=(phone,)))) is None
    refused(family, "approval-void", entry(phone, WRITER, agree=(phone,)), need)
    for person in (phone, family.tablet):
        family.add(family.author(person).leave(NOTHING))
    refused(family, "last-approver", entry(laptop, READER, NOTHING))
    refused(family, "last-approver", family.author(laptop).leave(NOTHING))


def test_refusals_of_change_policy(family) -> None:
    laptop, policy = family.laptop, family.policy

    def entry(agree: tuple[Person, ...] = (), **changes: object):
        new = replace(policy, **changes)
        return family.author(laptop).change_policy(new, family.agree(agree, Subject(8, new)))

    refused(family, "bad-policy", entry(ways=(1, 0)))
    refused(family, "bad-policy", entry(ways=(TYPED,)))
    refused(family, "not-supported", entry(ways=(0, 1, 2), most_members=1))
    refused(family, "nothing-changes", entry((family.phone,)))
    refused(family, "chain-full", entry(most_members=4, quorums=(4, 1, 1, 1)))
    assert refusal(lambda: apply(family.roster, entry(most_members=5))) is None
    refused(family, "too-few-approvers", entry((family.phone,), quorums=(1, 1, 1, 4)))
    refused(family, "quorum", entry((family.phone,), quorums=(1, 1, 3, 1)))
    family.add(entry(quorums=(1, 1, 3, 1)))
    refused(family, "quorum", entry((family.phone,)))
    family.add(entry((family.phone, family.tablet), totp=None, ways=(TYPED,)))
    totp = family.with_totp(policy, family.keyring(laptop).current(family.roster), family.roster.chain, TOTP_BEFORE_PROMPT)
    family.policy = replace(totp, ways=(TYPED,))
    family.add(family.author(laptop).change_policy(family.policy))
    assert len(family.keyring(family.phone).totp_secret(family.roster)) == 20


def test_approvals_that_do_not_count(family) -> None:
    laptop, phone, tablet = family.laptop, family.phone, family.tablet
    subject = Subject(9, Nothing())
    family.add(family.author(laptop).change_policy(replace(family.policy, quorums=(1, 1, 1, 2))))
    in_force = family.roster.in_force
    early = family.agree([phone], subject)

    def closing(*approvals: Signed) -> Signed[Entry]:
        return family.author(laptop).closing(approvals)

    (good,) = family.agree([phone], subject)
    assert refusal(lambda: apply(family.roster, closing(good))) is None
    for body, signer in (
        (replace(good.body, chain=bytes(32)), phone), (replace(good.body, head=bytes(32)), phone),
        (replace(good.body, head=family.rosters[-2].head), phone), (good.body, laptop), (good.body, family.writer),
        (good.body, family.words), (good.body, family.person("stranger")),
        (replace(good.body, subject=Subject(4, removal_of(tablet))), phone),
    ):
        refused(family, "approval-void", closing(sign_form(body, signer.signing)))
    twice = Closing((good.raw, good.raw))
    three = replace(family.roster, in_force=replace(in_force, policy=replace(family.policy, quorums=(1, 1, 1, 3))))
    refused(family, "approval-void", signed(family, laptop, twice), three)
    both = sorted((good, *family.agree([tablet], subject)), key=lambda approval: approval.signer)
    refused(family, "approval-void", signed(family, laptop, Closing(tuple(approval.raw for approval in both[::-1]))), three)
    assert refusal(lambda: apply(three, closing(*both))) is None
    bent = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    for raw, code in ((bent, "bad-signature"), (b"\x00", "malformed"), (bytes(16_385), "too-large")):
        entry = signed(family, laptop, Closing((raw,)))
        assert refusal(lambda: open_form(Entry, entry.raw)) == code  # noqa: B023
    family.add(family.denies(laptop, family.asks(family.person("stranger"))))
    assert refusal(lambda: apply(family.roster, closing(*early))) is None
    family.add(family.author(tablet).leave(NOTHING))
    refused(family, "approval-void", closing(*early))


def test_a_closing_stands_until_something_ends_it(family) -> None:
    laptop, phone, tablet = family.laptop, family.phone, family.tablet
    refused(family, "no-such-closing", family.author(laptop).veto(OF_CLOSING, bytes(32)))
    refused(family, "no-such-closing", family.author(laptop).close(bytes(32)))
    family.add(family.author(laptop).veto(OF_RESET, bytes(32)))
    first = family.author(phone).closing()
    family.add(first)
    refused(family, "closing-open", family.author(laptop).closing())
    refused(family, "no-such-closing", family.author(laptop).close(bytes(32)))
    family.add(family.author(tablet).veto(OF_CLOSING, first.hash))
    refused(family, "no-such-closing", family.author(laptop).close(first.hash))
    second = family.author(phone).closing()
    family.add(second)
    family.add(family.author(laptop).change_role(phone.id, WRITER))
    refused(family, "no-such-closing", family.author(laptop).close(second.hash))
    third = family.author(tablet).closing()
    family.add(third)
    family.add(family.author(tablet).leave(NOTHING))
    assert family.roster.closing is None
    fourth = family.author(laptop).closing()
    family.add(fourth)
    family.add(family.author(laptop).close(fourth.hash))
    refused(family, "chain-closed", family.author(laptop).rotate())


def test_a_closing_that_ended_with_a_role_stays_ended_when_the_role_is_given_back(family) -> None:
    laptop, phone = family.laptop, family.phone
    closing = family.author(phone).closing()
    family.add(closing)
    family.add(family.author(laptop).change_role(phone.id, WRITER))
    family.add(family.author(laptop).change_role(phone.id, APPROVER))
    refused(family, "no-such-closing", family.author(laptop).close(closing.hash))


@pytest.mark.parametrize("place", range(4))
def test_a_found_asks_for_no_more_approvers_than_there_are(place: int) -> None:
    quorums = [1, 1, 1, 1]
    quorums[place] = 2
    for changes, code in (({}, "too-few-approvers"), ({"ways": (1,)}, "not-supported"), ({"most_members": 1}, "bad-policy")):
        family = Family(2, replace(WAYS, quorums=tuple(quorums), **changes))
        assert refusal(family.found) == code


def test_every_code_of_the_page_was_met() -> None:
    """Each code of the section stands in an assertion above."""
    (section,) = SECTION.findall((FOLDER.parent / "protocol.md").read_text())
    codes = set(re.findall(r"`([a-z]+(?:-[a-z]+)+|quorum)`", section)) - {"change-role", "change-policy"}
    here = Path(__file__).read_text()
    assert len(codes) > 25 and [code for code in codes if f'"{code}"' not in here] == []
