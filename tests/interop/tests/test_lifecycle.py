"""A chain that lives: it plays through every kind of entry, and only those who should have its keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from family import WAYS, Family, Person
from vectors_of import refusal

from countersign_client.approval import Abandoned, Nothing, RoleChange, Subject
from countersign_client.changes import OF_CLOSING, OF_RESET, Rotate
from countersign_client.entries import KINDS, Entry
from countersign_client.forms import open_form
from countersign_client.joiner import believe
from countersign_client.keyring import Keyring
from countersign_client.lifecycle import NOTHING_NEW, Brought
from countersign_client.log import apply
from countersign_client.policy import APPROVER, READER, RECOVERY, TOTP, WRITER
from countersign_client.problems import Alarm, Problem
from countersign_client.roster import writes
from countersign_client.rotation import NOTHING

# Keys


def check_keys(family: Family) -> None:
    """Every member opens every epoch, and everything that is wrapped; whoever is gone opens none that came later."""
    roster = family.roster
    rings = [family.keyring(family.people[device]) for device in roster.members]
    assert all(ring == rings[0] for ring in rings) and rings[0].keys.keys() == roster.epochs.keys()
    assert rings[0].name_key == family.name_key and rings[0].code == family.code
    for device in (*roster.members, *roster.former):
        said = rings[0].description(roster, device)
        assert said is None if family.people[device].name == "recovery words" else said.name == family.people[device].name
    assert (rings[0].totp_secret(roster) is None) == (roster.policy.totp is None)
    for device, gone in roster.former.items():
        person = family.people[device]
        ring = Keyring.of(roster, device, person.sealing, person.own)
        last = max(roster.positions[entry.hash].epoch for entry in family.entries if entry.body.seq < gone.until)
        assert max(ring.keys) == last and ring.keys == {epoch: rings[0].keys[epoch] for epoch in ring.keys}


def test_keys_over_epochs(family) -> None:
    family.rotate(family.phone)
    late = family.admit(family.laptop, "late", WRITER)
    family.remove(family.tablet, family.laptop, family.reader)
    family.rotate(family.phone, Brought(family.fresh_code(), family.fresh_recovery()))
    family.admit(family.tablet, "later", READER)
    check_keys(family)
    assert family.roster.epoch == 4 and set(family.keyring(late).keys) == {1, 2, 3, 4}
    assert refusal(lambda: family.keyring(family.laptop).description(family.roster, late.id)) is None
    assert max(family.keyring(family.laptop).keys) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda rotation, other: replace(rotation, key_id=other.key_id), "other-epoch-key"),
        (lambda rotation, other: replace(rotation, epoch_key_before=other.epoch_key_before), "does-not-open"),
        (lambda rotation, other: replace(rotation, name_key=other.name_key), "does-not-open"),
        (lambda rotation, other: replace(rotation, recipients=other.recipients), "other-epoch-key"),
    ],
)
def test_a_rotation_that_lies_is_found_out(family, change, code: str) -> None:
    author = family.author(family.laptop)
    one, other = (author.rotation(NOTHING_NEW) for _ in range(2))
    family.add(author.entry(Rotate(change(one, other))))
    assert refusal(lambda: family.keyring(family.phone)) == code


def test_a_rotation_with_another_sync_code_or_name_key_is_found_out(family) -> None:
    author = family.author(family.laptop)
    for ring in (replace(author.keyring, code=family.fresh_code()), replace(author.keyring, name_key=bytes(32))):
        lying = replace(author, keyring=ring).rotate()
        roster = apply(family.roster, lying)
        with pytest.raises(Alarm, match="other-(sync-code|name-key)"):
            Keyring.of(roster, family.phone.id, family.phone.sealing, family.phone.own)


def test_a_joiner_follows_what_changed_after_its_admission(family) -> None:
    person, code = family.person("late"), family.code
    request = family.asks(person)
    family.add(family.admits(family.laptop, request, WRITER))
    family.remove(family.laptop, family.reader)
    raw = tuple(entry.raw for entry in family.entries)
    joined = believe(raw, request, code, person.sealing, {family.laptop.id})
    assert joined.epoch_key.epoch == 1 and joined.keyring == family.keyring(family.laptop)
    family.remove(family.laptop, person)
    raw = tuple(entry.raw for entry in family.entries)
    assert refusal(lambda: believe(raw, request, code, person.sealing, {family.laptop.id})) == "not-admitted"


# The log plays


def approvers_but(family: Family, quorum: int, by: Person, *about: Person) -> list[Person] | None:
    """As many others as a quorum asks for, if there are so many."""
    return others_but(family, family.roster.policy.quorums[quorum] - 1, by, *about)


def others_but(family: Family, wanted: int, by: Person, *about: Person) -> list[Person] | None:
    """So many other approvers, if there are."""
    others = [person for person in family.members(APPROVER) if person is not by and person not in about]
    return family.random.sample(others, wanted) if len(others) >= wanted else None


def play_admit(family: Family, by: Person) -> bool:
    how = family.random.choice(family.roster.policy.ways)
    agree = approvers_but(family, 0, by)
    if agree is None or family.roster.counted >= family.roster.policy.most_members:
        return False
    step = family.roster.totp_step + family.random.randint(1, 9) if how == TOTP else None
    family.admit(by, f"device {family.roster.seq}", family.random.choice((APPROVER, WRITER, READER)), how, agree, step)
    return True


def play_recovery_admits(family: Family, by: Person) -> bool:
    (words,) = family.members(RECOVERY)
    if family.roster.counted >= family.roster.policy.most_members:
        return False
    family.admit(words, f"device {family.roster.seq}", APPROVER)
    return True


def play_deny(family: Family, by: Person) -> bool:
    family.add(family.denies(by, family.asks(family.person("stranger"))))
    return True


def may_bring(family: Family) -> bool:
    """Whether an approver brings a recovery device."""
    return family.roster.policy.highest_quorum == 1


def play_remove(family: Family, by: Person) -> bool:
    others = [person for person in family.members(APPROVER, WRITER, READER) if person is not by]
    gone = family.random.sample(others, min(len(others), family.random.randint(1, 2)))
    agree = approvers_but(family, 1, by, *gone)
    left = len([person for person in family.members(APPROVER) if person not in gone])
    if not gone or agree is None or left < max(family.roster.policy.quorums):
        return False
    family.remove(by, *gone, agree=agree, recovery=may_bring(family) and family.random.random() < 0.3)
    return True


def play_rotate(family: Family, by: Person) -> bool:
    code = family.fresh_code() if family.random.random() < 0.5 else None
    recovery = family.fresh_recovery() if family.random.random() < 0.5 else None
    if recovery and (not may_bring(family) or family.random.random() < 0.3):
        (by,) = family.members(RECOVERY)
    family.rotate(by, Brought(code, recovery))
    return True


def play_leave(family: Family, by: Person) -> bool:
    person = family.random.choice(family.members(APPROVER, WRITER, READER))
    role = family.roster.role(person.id)
    if role == APPROVER and family.roster.approvers <= max(family.roster.policy.quorums):
        return False
    family.add(family.author(person).leave(NOTHING))
    return True


def play_change_role(family: Family, by: Person) -> bool:
    person, role = family.random.choice(family.members(APPROVER, WRITER, READER)), family.random.randint(0, 2)
    before, agree = family.roster.role(person.id), approvers_but(family, 2, by, person)
    enough = before != APPROVER or family.roster.approvers > max(family.roster.policy.quorums)
    if role == before or agree is None or not enough:
        return False
    cut = None if writes(role) else family.cut(person)
    approvals = family.agree(agree, Subject(7, RoleChange(person.id, role, cut)))
    family.add(family.author(by).change_role(person.id, role, cut, approvals))
    return True


def play_change_policy(family: Family, by: Person) -> bool:
    most, agree = family.roster.approvers, approvers_but(family, 2, by)
    quorums = tuple(family.random.randint(1, min(most, 3)) for _ in range(4))
    policy = replace(WAYS, quorums=quorums, request_lifetime=family.random.randint(1, 86_400))
    if agree is None:
        return False
    if family.random.random() < 0.5:
        mode = family.random.randint(0, 1)
        policy = family.with_totp(policy, family.keyring(by).current(family.roster), family.roster.chain, mode)
    family.add(family.author(by).change_policy(policy, family.agree(agree, Subject(8, policy))))
    return True


def play_closing(family: Family, by: Person) -> bool:
    agree = approvers_but(family, 3, by)
    if family.roster.closing or agree is None:
        return False
    family.add(family.author(by).closing(family.agree(agree, Subject(9, Nothing()))))
    assert family.roster.closing and family.roster.closing.delay == family.roster.policy.closing_delay
    return True


def play_veto(family: Family, by: Person) -> bool:
    if not family.roster.closing:
        family.add(family.author(by).veto(OF_RESET, family.random.randbytes(32)))
        return True
    family.add(family.author(by).veto(OF_CLOSING, family.roster.closing.hash))
    return True


def play_settle(family: Family, by: Person) -> bool:
    agree, abandoned = others_but(family, family.roster.policy.highest_quorum - 1, by), family.random.randbytes(32)
    if agree is None:
        return False
    approvals = family.agree(agree, Subject(12, Abandoned(abandoned)))
    family.add(family.author(by).settle(abandoned, approvals))
    return True


PLAYS: list[Callable[[Family, Person], bool]] = [
    play_admit, play_admit, play_admit, play_recovery_admits, play_deny, play_remove, play_rotate, play_leave,
    play_change_role, play_change_policy, play_closing, play_veto, play_settle,
]


def check_log(family: Family) -> None:
    """What holds of every log: its counts, its spans, and that it reads the same from its bytes."""
    roster, again = family.roster, None
    for entry in family.entries:
        again = apply(again, open_form(Entry, entry.raw))
    assert again == roster and roster.seq == len(family.entries) - 1
    assert roster.approvers >= 1 and not roster.members.keys() & roster.former.keys()
    assert len(family.members(RECOVERY)) == 1
    for device, member in roster.members.items():
        spans = roster.writing.get(device, ())
        assert bool(spans and spans[-1].until is None) == writes(member.role)
    for device in roster.former:
        assert all(span.until is not None for span in roster.writing.get(device, ()))
    assert {device for device in (*roster.members, *roster.former)} <= roster.known_keys


@pytest.mark.parametrize("number", range(int(os.environ.get("COUNTERSIGN_PLAYS", "4"))))
def test_a_chain_of_all_kinds(number: int) -> None:
    seed = int(os.environ.get("COUNTERSIGN_SEED", str(1000 + number)))
    print(f"COUNTERSIGN_SEED={seed}")
    family = Family(seed)
    family.found()
    family.admit(family.laptop, "phone", APPROVER)
    steps = 0
    while steps < 40 or len({type(entry.body.body) for entry in family.entries}) < len(KINDS) - 1:
        by = family.random.choice(family.members(APPROVER))
        steps += family.random.choice(PLAYS)(family, by)
        check_keys(family)
        assert steps < 400
    check_log(family)
    spoiled(family, Random(seed))
    while not family.roster.closing:
        play_closing(family, family.random.choice(family.members(APPROVER)))
    family.add(family.author(family.members(APPROVER)[0]).close(family.roster.closing.hash))
    assert {type(entry.body.body) for entry in family.entries} == set(KINDS.values())
    assert family.roster.closed


def spoiled(family: Family, random: Random) -> None:
    """No entry stands in another place, or by another signer, or with a bit that is another."""
    for place, entry in enumerate(family.entries):
        before = family.rosters[place - 1] if place else None
        other = family.rosters[random.randrange(len(family.rosters))]
        if other is not before:
            with pytest.raises(Problem):
                apply(other, entry)
        raw = bytearray(entry.raw)
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        with pytest.raises(Problem):
            open_form(Entry, bytes(raw))
