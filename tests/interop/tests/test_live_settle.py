"""The real relay and the end of a fork, which several approvers agree to. Skipped without it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from family import Family, Person, three_approvers
from test_forks import Branch
from test_live_approvals import kept, posted
from test_live_attacks import Wire, code, pytestmark, url, wire  # noqa: F401 - fixtures
from test_live_lifecycle import SEEDS, LiveFamily
from vectors_of import refusal

from countersign_client import cbor
from countersign_client.approval import Abandoned, Nothing, Subject
from countersign_client.entries import Entry
from countersign_client.fork import gone_over
from countersign_client.forms import Signed, sign_form
from countersign_client.messages import BODY_LIMIT, NEW, Append, LogPage
from countersign_client.policy import WRITER


@pytest.fixture
def family(wire: Wire) -> Family:  # noqa: F811
    """Three approvers, of whom two must agree to end a chain, and so to end a fork."""
    made = three_approvers(LiveFamily(next(SEEDS), wire=wire))
    made.policy = replace(made.policy, quorums=(1, 1, 1, 2))
    made.add(made.author(made.laptop).change_policy(made.policy))
    return made


def answer(family: Family, *entries: Signed[Entry]) -> str:
    """What the relay says of new entries, posted at once."""
    body = Append(tuple(entry.raw for entry in entries), NEW)
    return code(family.wire.post("/v1/log", cbor.encode(body.to_raw())))


def shown(family: Family, person: Person) -> tuple[bytes, ...]:
    """The relay's whole log."""
    response = family.wire.get(f"/v1/chains/{family.roster.chain.hex()}/log", person.signing)
    page = cbor.decode_as(LogPage, response.content, BODY_LIMIT)
    assert response.is_success and page.seq == len(page.entries) - 1
    return page.entries


def fork(family: Family) -> tuple[Branch, Branch]:
    """The relay's branch, which begins an epoch by the phone, and the laptop's, which begins one by the laptop and is not shown."""
    stem = Branch.of(family)
    theirs = stem.rotated(family.phone)
    family.add(theirs.entries[-1])
    return theirs, stem.rotated(family.laptop)


def test_two_end_a_fork_and_one_alone_does_not(family: Family) -> None:
    theirs, ours = fork(family)
    laptop, phone, tablet = family.laptop, family.phone, family.tablet
    (rotated,) = ours.entries[ours.common :]
    assert answer(family, rotated) == "head-moved"
    alone = ours.settle(laptop, theirs)
    assert refusal(lambda: ours.add(alone)) == theirs.says(alone, ours) == answer(family, rotated, alone) == "quorum"
    about = Subject(12, Abandoned(theirs.first))
    assert posted(family, ours.author(tablet).approve(Subject(9, Nothing()))) == "unknown-head"
    assert posted(family, ours.author(tablet).approve(Subject(12, Abandoned(ours.first)))) == "unknown-head"
    approval = ours.author(tablet).approve(about)
    assert posted(family, approval) == "ok" and kept(family) == [approval.raw]
    settle = ours.author(laptop).settle(theirs.first, [approval])
    assert theirs.says(settle, ours) is None and answer(family, rotated, settle) == "ok"
    settled = ours.add(settle)
    assert shown(family, phone) == settled.raw and kept(family) == []
    assert gone_over(theirs.roster, theirs.raw, shown(family, phone)) == (settled.roster, ours.common)
    assert answer(family, settled.rotated(phone).entries[-1]) == "ok"
    assert answer(family, theirs.rotated(phone).entries[-1]) == "head-moved"


def test_the_order_in_which_the_end_of_a_fork_is_refused(family: Family) -> None:
    theirs, ours = fork(family)
    laptop, phone, tablet = family.laptop, family.phone, family.tablet
    (rotated,) = ours.entries[ours.common :]
    for person, refused in ((family.person("stranger"), "not-a-member"), (family.writer, "not-an-approver")):
        body = ours.author(laptop).settle(theirs.first).body
        assert answer(family, rotated, sign_form(body, person.signing)) == refused, "before their number"
    family.add(family.author(phone).change_role(tablet.id, WRITER))
    theirs = replace(Branch.of(family), common=theirs.common)
    void = ours.settle(laptop, theirs, tablet)
    assert refusal(lambda: ours.add(void)) is None
    assert theirs.says(void, ours) == answer(family, rotated, void) == "approval-void", "no approver of the other branch any more"
    elsewhere = replace(theirs, entries=(*theirs.entries[: theirs.common], theirs.entries[-1]))
    assert answer(family, rotated, ours.settle(laptop, elsewhere, phone)) == "head-moved", "not where the relay's begins"
    stale = ours.author(laptop).settle(theirs.first, [ours.author(phone).approve(Subject(9, Nothing()))])
    assert theirs.says(stale, ours) is None
    assert refusal(lambda: ours.add(stale)) == answer(family, rotated, stale) == "approval-void", "by the rules of its own log"
    assert answer(family, rotated, ours.settle(laptop, theirs, phone)) == "ok"


def test_whoever_a_branch_removed_has_no_voice_there(family: Family) -> None:
    stem, (laptop, phone, tablet) = Branch.of(family), (family.laptop, family.phone, family.tablet)
    family.remove(phone, laptop)
    theirs, ours = replace(Branch.of(family), common=stem.common), stem.rotated(laptop)
    (rotated,) = ours.entries[ours.common :]
    assert answer(family, rotated, ours.settle(laptop, theirs, tablet)) == "not-a-member"
    assert answer(family, rotated, ours.settle(tablet, theirs, laptop)) == "approval-void"
    assert answer(family, rotated, ours.settle(tablet, theirs, phone)) == "ok"


@pytest.mark.parametrize("smaller_is_new", [False, True])
def test_of_two_that_settled_upon_each_other_the_relay_follows_the_smaller_hash(family: Family, smaller_is_new: bool) -> None:
    stem, (laptop, phone, tablet) = Branch.of(family), (family.laptop, family.phone, family.tablet)
    both = sorted((stem.rotated(laptop), stem.rotated(phone)), key=lambda branch: branch.first, reverse=smaller_is_new)
    theirs, ours = both
    there, here = theirs.settle(phone, ours, tablet), ours.settle(laptop, theirs, tablet)
    assert answer(family, theirs.entries[-1], there) == "ok"
    told = theirs.add(there).says(here, ours)
    assert told == (None if smaller_is_new else "not-abandoned")
    assert answer(family, ours.entries[-1], here) == (told or "ok")
    assert shown(family, phone) == (ours.add(here) if smaller_is_new else theirs.add(there)).raw
