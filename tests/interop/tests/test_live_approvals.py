"""The real relay and approvals: in which order it refuses them, which it keeps, and when they go. Skipped without it."""

from __future__ import annotations

import pytest
from family import Family, Person, three_approvers
from test_live_attacks import Wire, code, pytestmark, url, wire  # noqa: F401 - fixtures
from test_live_lifecycle import SEEDS, LiveFamily

from countersign_client import cbor
from countersign_client.approval import Admission, Approval, Nothing, RoleChange, Subject
from countersign_client.changes import OF_RESET
from countersign_client.forms import JoinRequest, Signed, open_form, sign_form
from countersign_client.joiner import ask, describe
from countersign_client.lifecycle import Brought
from countersign_client.messages import BODY_LIMIT, ApprovalsKept, Ask
from countersign_client.policy import READER, WRITER
from countersign_client.rotation import NOTHING, Removal

THE_END = Subject(9, Nothing())


@pytest.fixture
def family(wire: Wire) -> Family:  # noqa: F811
    return three_approvers(LiveFamily(next(SEEDS), wire=wire))


def agreed(family: Family, person: Person, subject: Subject = THE_END, **changes: bytes) -> Signed[Approval]:
    fields = {"chain": family.roster.chain, "head": family.roster.head} | changes
    return sign_form(Approval(fields["chain"], fields["head"], subject), person.signing)


def posted(family: Family, approval: Signed[Approval]) -> str:
    return code(family.wire.post("/v1/approvals", approval.raw))


def kept(family: Family, person: Person | None = None) -> list[bytes]:
    response = family.wire.get(f"/v1/chains/{family.roster.chain.hex()}/approvals", (person or family.reader).signing)
    assert response.is_success, response.text
    return list(cbor.decode_as(ApprovalsKept, response.content, BODY_LIMIT).approvals)


def admission(request: bytes) -> Subject:
    return Subject(2, Admission(request, WRITER))


def test_the_order_in_which_an_approval_is_refused(family: Family) -> None:
    stranger, unknown, old = family.person("stranger"), bytes(32), family.roster.chain
    assert posted(family, agreed(family, family.phone, chain=unknown, head=unknown)) == "not-a-member"
    assert posted(family, agreed(family, stranger, head=unknown)) == "not-a-member"
    for person in (family.reader, family.writer, family.words):
        assert posted(family, agreed(family, person, head=unknown)) == "not-an-approver"
    assert posted(family, agreed(family, family.phone, admission(unknown), head=unknown)) == "unknown-head"
    assert posted(family, agreed(family, family.phone, admission(unknown), head=old)) == "approval-void"
    own = Subject(7, RoleChange(family.phone.id, READER, NOTHING))
    assert posted(family, agreed(family, family.phone, own)) == "approval-void"
    assert posted(family, agreed(family, family.laptop, own)) == "ok"
    assert posted(family, agreed(family, family.phone, admission(unknown))) == "request-unknown"
    family.add(family.author(family.laptop).closing())
    family.add(family.author(family.phone).close(family.roster.head))
    assert posted(family, agreed(family, stranger)) == "not-a-member"
    assert posted(family, agreed(family, family.reader, head=unknown)) == "chain-closed"


def test_an_approval_of_a_request_goes_with_it(family: Family) -> None:
    person = family.person("watch")
    asked = ask(family.code, person.signing, person.sealing, describe("watch"), 5)
    request = open_form(JoinRequest, asked.request)
    assert code(family.wire.post("/v1/requests", cbor.encode(Ask(asked.request, asked.description).to_raw()))) == "ok"
    approval, end = agreed(family, family.phone, admission(request.hash)), agreed(family, family.tablet)
    assert posted(family, approval) == posted(family, end) == posted(family, approval) == "ok"
    assert kept(family) == [approval.raw, end.raw]
    family.add(family.denies(family.laptop, request))
    assert kept(family) == [end.raw], "a deny drops what is about its request, and no more"
    assert posted(family, agreed(family, family.phone, admission(request.hash))) == "request-closed"


def test_of_one_approver_eight_are_kept_and_an_entry_that_they_do_not_outlive_drops_them_all(family: Family) -> None:
    roles = [Subject(7, RoleChange(bytes([number] * 32), WRITER, None)) for number in range(9)]
    approvals = [agreed(family, family.phone, subject) for subject in roles]
    other = agreed(family, family.tablet)
    assert posted(family, other) == "ok"
    for approval in approvals:
        assert posted(family, approval) == "ok"
    assert kept(family) == [other.raw, *(approval.raw for approval in approvals[1:])]
    assert kept(family, family.words) == kept(family)
    before = kept(family)
    family.add(family.author(family.laptop).veto(OF_RESET, bytes(32)))
    assert kept(family) == before and posted(family, other) == "ok"
    family.add(family.author(family.writer).leave(NOTHING))
    assert kept(family) == [] and posted(family, other) == "approval-void"


def test_that_of_a_removal_outlives_a_rotation_by_whoever_is_to_go(family: Family) -> None:
    removal = agreed(family, family.phone, Subject(4, (Removal(family.tablet.id, NOTHING),)))
    assert posted(family, removal) == posted(family, agreed(family, family.phone)) == "ok"
    family.rotate(family.tablet)
    assert kept(family) == [removal.raw] and posted(family, removal) == "ok"
    family.rotate(family.words, Brought(None, family.fresh_recovery()))
    assert kept(family) == [] and posted(family, removal) == "approval-void"
