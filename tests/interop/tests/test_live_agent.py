"""Chains that change, with the real relay and the real agent, both ways. Skipped without the programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_live import Agent, World, programs, world

from countersign_client import cbor
from countersign_client.approval import Admission, Nothing, Subject
from countersign_client.changes import OF_RESET, Closing
from countersign_client.code import RecoveryCode, SyncCode
from countersign_client.entries import Entry
from countersign_client.forms import Record, open_form
from countersign_client.messages import Approved, Put, ResetStanding, SealedRecord, Stored
from countersign_client.member import Member, milliseconds
from countersign_client.policy import APPROVER, WRITER
from countersign_client.problems import Alarm, Problem
from countersign_client.records import Content, Writer
from countersign_client.recovery import take_up, whereabouts
from countersign_client.reset import chain_of, sign_reset, told_of

pytestmark = pytest.mark.skipif(not programs(), reason="COUNTERSIGN_RELAY and COUNTERSIGN_AGENT are not set")

THE_END = Subject(9, Nothing())


@pytest.fixture
def here() -> Iterator[World]:
    """The agent founded the chain, and this client is an approver of it."""
    with world(World.client_joins) as pair:
        yield pair


def shown(agent: Agent, *arguments: str) -> dict:
    return json.loads(agent(*arguments, "--json"))


def refused(call) -> str:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.code


def last(member: Member) -> Entry:
    return open_form(Entry, member.store.state.entries[-1]).body


def two_decide(here: World) -> Member:
    here.agent("policy", "set", "--quorum-closing", "2")
    member = here.member()
    member.sync()
    assert member.roster.policy.quorums == (1, 1, 1, 2)
    return member


def test_the_agent_carries_out_what_this_client_approved(here: World) -> None:
    member = two_decide(here)
    assert member.approvals() == []
    approval = member.approve(THE_END)
    assert member.approvals() == [approval]
    (proposed,) = shown(here.agent, "approvals", "list")["approvals"]
    here.agent("approvals", "agree", proposed["proposal"])
    member.sync()
    assert last(member).body == Closing((approval.raw,)) and member.roster.closing and member.approvals() == []


def test_the_agent_admits_with_an_approval_of_this_client(here: World) -> None:
    here.agent("policy", "set", "--quorum-admit", "2")
    member = here.member()
    member.sync()
    agreed = []

    def agrees(request: bytes) -> None:
        agreed.append(member.approve(Subject(2, Admission(request, WRITER))))
        agreed.append(member.approve(Subject(2, Admission(request, APPROVER))))

    third = here.another_client_joins("third", agrees)
    member.sync()
    admit = last(member).body
    assert admit.approvals == (agreed[admit.role != WRITER].raw,) and admit.role in (APPROVER, WRITER)
    assert third.roster.members.keys() == member.roster.members.keys() and len(third.roster.members) == 3
    assert member.approvals() == []


def test_this_client_carries_out_what_the_agent_approved(here: World) -> None:
    member = two_decide(here)
    here.agent("chain", "purge", "--accept-risk", "purge")
    push = member.told(Approved)
    assert isinstance(push, Approved) and [approval.raw for approval in member.approvals()] == [push.approval]
    alone = member.author().closing()
    assert refused(lambda: member.carry_out(alone)) == "quorum"
    member.carry_out(member.author().closing(member.approvals()))
    assert member.roster.closing and shown(here.agent, "status")["closing"]
    here.agent("chain", "veto")
    member.sync()
    assert member.roster.closing is None


def test_a_reset_that_this_client_signs_and_the_agent_stops(here: World) -> None:
    member, code = here.member(), SyncCode.from_words(here.agent("code", "show"))
    terms = chain_of(member.relay, code)
    assert (terms.chain, terms.head, terms.seq) == (member.roster.chain, member.roster.chain, 0)
    reset = sign_reset(code, terms)
    announce = lambda form: member.relay.post("/v1/resets", form.raw, ResetStanding)  # noqa: E731
    standing = announce(reset)
    assert standing.reset == reset.raw and 0 < standing.milliseconds_left <= terms.wait * 1000
    assert announce(reset).reset == reset.raw and member.reset_told() == reset
    assert refused(lambda: announce(sign_reset(code, terms, terms.wait + 1))) == "reset-stands"
    assert refused(lambda: announce(sign_reset(code, terms, terms.wait - 1))) == "wait-too-short"
    assert refused(lambda: announce(sign_reset(SyncCode(bytes(32)), terms))) == "not-a-member"
    assert refused(lambda: chain_of(member.relay, SyncCode(bytes(32)))) == "unknown-join-key"
    with pytest.raises(Alarm):
        told_of(member.roster, ResetStanding(sign_reset(SyncCode(bytes(32)), terms).raw, 1))
    with here.agent.running() as errors:
        errors.match("RESET announced")
    assert shown(here.agent, "status")["reset"]["wait"] == terms.wait
    here.agent("chain", "veto")
    member.sync()
    veto = last(member).body
    assert (veto.of, veto.hash) == (OF_RESET, reset.hash)
    assert refused(lambda: announce(reset)) == "reset-over"


def test_a_reset_that_the_agent_signs_and_this_client_stops(here: World, tmp_path: Path) -> None:
    member = here.member()
    words = tmp_path / "words"
    words.write_text(here.agent("code", "show"))
    here.agent("policy", "set", "--reset-delay", "1h")
    asked = ("chain", "reset", "--relay", here.relay.url, "--code-file", str(words), "--accept-risk", "reset")
    here.agent(*asked)
    member.sync()
    reset = member.reset_told()
    assert (reset.body.head, reset.body.wait) == (member.roster.head, 3600)
    member.carry_out(member.author().veto(OF_RESET, reset.hash))
    assert shown(here.agent, "status")["reset"] is None
    here.agent(*asked, "--wait", "2h")
    assert member.reset_told().body.wait == 7200


def sealed_now(member: Member, name: str) -> SealedRecord:
    """A record that is sealed under the epoch that this device knows, and is not sent."""
    state = member.store.state
    writer = Writer(state.signing, member.keyring.name_key, member.keyring.current(member.roster))
    return writer.put(member.roster, member.feed, Content("notes", name, name.encode()), milliseconds())


def test_this_client_follows_rotations_and_removals_of_the_agent(here: World) -> None:
    member = here.member()
    member.put("notes", "before", b"before")
    late = sealed_now(member, "late")
    here.agent("code", "rotate")
    post = lambda record: member.relay.post("/v1/records", cbor.encode(Put((record,)).to_raw()), Stored)  # noqa: E731
    assert refused(lambda: post(late)) == "stale-epoch"
    member.sync()
    assert member.roster.epoch == 2 and member.keyring.code == SyncCode.from_words(here.agent("code", "show"))
    again = sealed_now(member, "late")
    assert [open_form(Record, record.header).body.epoch for record in (late, again)] == [1, 2]
    post(again)
    assert here.agent("record", "get", "notes", "late").strip() == "late"
    here.agent("record", "put", "notes", "after", "by the agent")
    assert member.get("notes", "after") == b"by the agent" and member.get("notes", "before") == b"before"
    third = here.another_client_joins("third")
    third.put("notes", "third", b"by the third")
    here.agent("devices", "remove", "third", "--reason", "lost")
    assert refused(third.sync) == "not-a-member"
    member.sync()
    assert member.roster.epoch == 3 and len(member.roster.members) == 2
    assert member.roster.former.keys() == {third.store.state.signing.public}
    assert member.get("notes", "third") == b"by the third"
    member.put("notes", "after", b"in the third epoch")
    assert here.agent("record", "get", "notes", "after").strip() == "in the third epoch"
    entries, records, _ = member.verify()
    assert (entries, records) == (5, 5) and "5 entries and 5 records" in here.agent("log", "verify")


def test_the_holder_of_recovery_words_finds_its_chain(here: World, tmp_path: Path) -> None:
    paper = tmp_path / "paper"
    agent = Agent(programs()[1], tmp_path / "other")
    agent("init", "--relay", here.relay.url, "--name", "laptop", "--recovery-file", str(paper))
    words = RecoveryCode.from_words(" ".join(line for line in paper.read_text().splitlines() if not line.startswith("#")))
    relay = here.member().relay
    told = whereabouts(relay, words)
    assert told.head == told.chain and told.seq == 0
    agent("code", "rotate")
    roster, keyring = take_up(relay, words)
    assert (roster.chain, roster.epoch, roster.head) == (told.chain, 2, whereabouts(relay, words).head)
    assert keyring.code == SyncCode.from_words(agent("code", "show"))
    stranger = RecoveryCode(bytes(32))
    assert refused(lambda: whereabouts(relay, stranger)) == "not-found"
    elsewhere = f"/v1/keys/{words.signing.public.hex()}"
    assert refused(lambda: relay.get(elsewhere, stranger.signing, type(told))) == "not-found"
