"""Two branches of one log: which of them gives way, and who goes over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from family import Family, Person
from vectors_of import refusal

from countersign_client.approval import Abandoned, Subject
from countersign_client.entries import Entry
from countersign_client.fork import gives_way, goes_on_beside, gone_over
from countersign_client.forms import Signed
from countersign_client.keyring import Keyring
from countersign_client.lifecycle import Author
from countersign_client.log import apply
from countersign_client.policy import WRITER
from countersign_client.roster import Roster
from countersign_client.rotation import NOTHING, Removal


@dataclass
class Branch:
    """A log that goes its own way after what it has in common with others."""

    family: Family
    roster: Roster
    entries: tuple[Signed[Entry], ...]
    common: int

    @classmethod
    def of(cls, family: Family) -> Branch:
        return cls(family, family.roster, tuple(family.entries), len(family.entries))

    @property
    def first(self) -> bytes:
        return self.entries[self.common].hash

    @property
    def raw(self) -> tuple[bytes, ...]:
        return tuple(entry.raw for entry in self.entries)

    def author(self, person: Person) -> Author:
        ring = Keyring.of(self.roster, person.id, person.sealing, person.own)
        return Author(self.roster, ring, person.signing, len(self.entries))

    def add(self, entry: Signed[Entry]) -> Branch:
        return replace(self, roster=apply(self.roster, entry), entries=(*self.entries, entry))

    def rotated(self, person: Person) -> Branch:
        return self.add(self.author(person).rotate())

    def settle(self, by: Person, other: Branch, *agree: Person) -> Signed[Entry]:
        approvals = [self.author(person).approve(Subject(12, Abandoned(other.first))) for person in agree]
        return self.author(by).settle(other.first, approvals)

    def says(self, settle: Signed[Entry], other: Branch) -> str | None:
        """What this branch, pinned, says of a settle on the other one."""
        beside = goes_on_beside(self.roster, other.roster, self.first, other.first)
        return refusal(lambda: gives_way(self.roster, settle)) or ("not-abandoned" if beside else None)


@pytest.fixture
def stem(family: Family) -> Branch:
    return Branch.of(family)


def asked_of(stem: Branch, *quorums: int) -> Branch:
    """The same, where so many must agree."""
    family = stem.family
    policy = replace(family.policy, quorums=quorums)
    branch = stem.add(stem.author(family.laptop).change_policy(policy))
    return replace(branch, common=len(branch.entries))


def test_who_has_no_voice_on_a_branch_ends_nothing_there(stem: Branch) -> None:
    family = stem.family
    laptop, phone, tablet = family.laptop, family.phone, family.tablet
    here = stem.rotated(laptop)
    without = stem.author(phone).remove((Removal(laptop.id, NOTHING),), 0, family.fresh_code())
    gone, made_writer = stem.add(without), stem.add(stem.author(phone).change_role(laptop.id, WRITER))
    assert gone.says(here.settle(laptop, gone), here) == "not-a-member"
    assert made_writer.says(here.settle(laptop, made_writer), here) == "not-an-approver"
    assert gone.says(here.settle(tablet, gone), here) is None
    assert gone.says(here.author(tablet).rotate(), here) == "not-abandoned"
    assert gone.says(here.settle(family.words, gone), here) == "not-an-approver"
    closing = stem.add(stem.author(phone).closing())
    closed = closing.add(closing.author(phone).close(closing.roster.head))
    assert closing.says(here.settle(laptop, closing), here) is None
    assert closed.says(here.settle(laptop, closed), here) == "chain-closed"
    assert closed.says(here.settle(family.words, closed), here) == "not-an-approver"


def test_as_many_agree_as_either_branch_asks_for(stem: Branch) -> None:
    laptop, phone, tablet = stem.family.laptop, stem.family.phone, stem.family.tablet
    here, strict = stem.rotated(laptop), asked_of(stem, 1, 1, 3, 1)
    strict = replace(strict, common=stem.common)
    assert strict.says(here.settle(laptop, strict), here) == "quorum", "a branch of before the quorum"
    assert strict.says(here.settle(laptop, strict, phone), here) == "quorum"
    assert strict.says(here.settle(laptop, strict, phone, tablet), here) is None, "its own rules ask for fewer"
    asked = asked_of(stem, 1, 2, 1, 1)
    one, two = asked.rotated(laptop), asked.rotated(phone)
    assert two.says(one.settle(laptop, two, tablet), one) is None
    assert refusal(lambda: one.add(one.settle(laptop, two, tablet))) is None
    assert refusal(lambda: one.add(one.settle(laptop, two))) == "quorum"
    mute = asked.add(asked.author(phone).change_role(tablet.id, WRITER))
    assert mute.says(one.settle(laptop, mute, tablet), one) == "approval-void"
    assert mute.says(one.settle(laptop, mute, phone), one) is None


def test_of_two_that_settled_upon_each_other_the_smaller_hash_goes_on(stem: Branch) -> None:
    laptop, phone = stem.family.laptop, stem.family.phone
    one, two = sorted((stem.rotated(laptop), stem.rotated(phone)), key=lambda branch: branch.first)
    there, here = one.settle(laptop, two), two.settle(phone, one)
    assert (one.says(here, two), two.says(there, one)) == (None, None), "as long as one alone did"
    settled = one.add(there)
    assert settled.says(here, two) == "not-abandoned"
    assert two.add(here).says(there, one) is None


def test_the_smaller_hash_is_worth_nothing_to_whom_the_other_branch_does_not_hear(stem: Branch) -> None:
    laptop, phone = stem.family.laptop, stem.family.phone
    own = stem.rotated(phone)
    while True:  # a removed device has as many tries as it likes
        removed = stem.add(stem.author(laptop).remove((Removal(phone.id, NOTHING),), 0, stem.family.fresh_code()))
        if own.first < removed.first:
            break
        own = stem.rotated(phone)
    own = own.add(own.settle(phone, removed))
    assert own.says(removed.settle(laptop, own), removed) is None


def test_a_device_goes_over_to_a_branch_that_settled_upon_its_own(stem: Branch) -> None:
    laptop, phone = stem.family.laptop, stem.family.phone
    mine, other = stem.rotated(phone).rotated(phone), stem.rotated(laptop)
    over = lambda shown: gone_over(mine.roster, mine.raw, shown)  # noqa: E731
    settled = other.add(other.settle(laptop, mine)).rotated(laptop)
    assert over(settled.raw) == (settled.roster, stem.common)
    assert refusal(lambda: over(other.raw)) == "fork", "nobody settled upon anything"
    elsewhere = other.add(other.author(laptop).settle(mine.entries[-1].hash))
    assert refusal(lambda: over(elsewhere.raw)) == "fork", "what is named is not where this one begins"
    for same in (mine.raw, stem.raw, mine.raw[:-1]):
        assert refusal(lambda: over(same)) == "fork"  # noqa: B023 - no other branch
    assert refusal(lambda: over((*settled.raw[:-2], settled.raw[-1]))) == "head-moved", "it verifies, or it is nothing"
    stranger = Family(2)
    stranger.found()
    assert refusal(lambda: over((stranger.entries[0].raw,))) == "fork"


def test_nobody_goes_over_to_what_its_own_branch_does_not_give_way_to(stem: Branch) -> None:
    laptop, phone = stem.family.laptop, stem.family.phone
    without = stem.author(phone).remove((Removal(laptop.id, NOTHING),), 0, stem.family.fresh_code())
    mine, other = stem.add(without), stem.rotated(laptop)
    settled = other.add(other.settle(laptop, mine))
    assert refusal(lambda: gone_over(mine.roster, mine.raw, settled.raw)) == "fork"
    again = settled.add(settled.settle(stem.family.tablet, mine))
    assert gone_over(mine.roster, mine.raw, again.raw)[0] == again.roster
