"""The real relay and whoever has only the sync code, or only the recovery words. Skipped without it."""

from __future__ import annotations

import base64
from dataclasses import replace

import httpx
import pytest
from family import Family, three_approvers
from run_live import eventually
from test_live_attacks import Wire, code, pytestmark, url, wire  # noqa: F401 - fixtures
from test_live_lifecycle import SEEDS, LiveFamily

from countersign_client import cbor
from countersign_client.changes import OF_RESET
from countersign_client.code import SyncCode
from countersign_client.forms import Reset, Signed, sign_form
from countersign_client.lifecycle import Brought, NewRecovery
from countersign_client.messages import BODY_LIMIT, ChainOfKey, ResetStanding, Whereabouts
from countersign_client.problems import Problem
from countersign_client.reset import check_reset, sign_reset


@pytest.fixture
def family(wire: Wire) -> Family:  # noqa: F811
    return three_approvers(LiveFamily(next(SEEDS), wire=wire))


def read(family: Family, path: str, key, answer: type):
    response = family.wire.get(path, key)
    return cbor.decode_as(answer, response.content, BODY_LIMIT) if response.is_success else code(response)


def terms(family: Family, sync_code: SyncCode | None = None) -> ChainOfKey | str:
    key = (sync_code or family.code).join_key
    return read(family, f"/v1/join-keys/{key.public.hex()}", key, ChainOfKey)


def announced(family: Family, reset: Signed[Reset]) -> httpx.Response:
    return family.wire.post("/v1/resets", reset.raw)


def same(family: Family, reset: Signed[Reset], stands: Signed[Reset] | None = None) -> str:
    """What the relay says of a reset, which is what the client says of it."""
    try:
        check_reset(family.roster, reset, stands)
        told = "ok"
    except Problem as problem:
        told = problem.code
    answer = announced(family, reset)
    assert code(answer) == told
    if told == "ok":
        assert cbor.decode_as(ResetStanding, answer.content, BODY_LIMIT).reset == reset.raw
    if told == "wait-too-short":
        assert answer.json()["least"] == family.roster.policy.reset_delay
    return told


def signed(family: Family, head: bytes, wait: int, sync_code: SyncCode | None = None) -> Signed[Reset]:
    return sign_form(Reset(family.roster.chain, head, wait), (sync_code or family.code).join_key)


def test_every_refusal_of_a_reset(family: Family) -> None:
    chain, week = family.roster.chain, family.policy.reset_delay
    assert terms(family) == ChainOfKey(chain, chain, 0, week)
    other = SyncCode(family.random.randbytes(32))
    assert terms(family, other) == "unknown-join-key"
    strange = family.wire.get(f"/v1/join-keys/{family.code.join_key.public.hex()}", other.join_key)
    assert code(strange) == "not-a-member"
    assert same(family, signed(family, bytes(32), 0, other)) == "not-a-member"
    assert same(family, sign_form(Reset(bytes(32), chain, week), family.code.join_key)) == "not-a-member"
    assert same(family, signed(family, bytes(32), 0)) == "unknown-head"
    assert same(family, signed(family, chain, week - 1)) == "wait-too-short"
    early = signed(family, family.roster.head, week + 2)
    family.add(family.author(family.laptop).change_policy(replace(family.roster.policy, reset_delay=60)))
    assert same(family, early) == same(family, signed(family, chain, 0)) == "stale-terms"
    told = terms(family)
    assert told == ChainOfKey(chain, family.roster.head, family.roster.seq, 60)
    first, second = sign_reset(family.code, told), sign_reset(family.code, told, 61)
    assert same(family, first) == same(family, first, first) == "ok"
    assert same(family, second, first) == "reset-stands"
    assert same(family, signed(family, told.head, 59), first) == "wait-too-short"
    family.add(family.author(family.laptop).change_policy(replace(family.roster.policy, reset_delay=90)))
    assert same(family, first, first) == "ok", "its terms stay"
    family.add(family.author(family.phone).veto(OF_RESET, first.hash))
    assert same(family, first) == "reset-over"
    assert same(family, second) == "stale-terms"
    old = family.code
    family.rotate(family.laptop, Brought(family.fresh_code()))
    assert terms(family, old) == "unknown-join-key"
    assert same(family, signed(family, family.roster.head, 90, old)) == "not-a-member"
    third = sign_reset(family.code, terms(family))
    assert same(family, third) == "ok"
    family.add(family.author(family.laptop).closing())
    family.add(family.author(family.phone).close(family.roster.head))
    assert terms(family) == "chain-closed"
    assert same(family, third) == same(family, signed(family, bytes(32), 0)) == "chain-closed"


def test_what_is_left_of_a_chain_that_was_reset(family: Family) -> None:
    family.add(family.author(family.laptop).change_policy(replace(family.roster.policy, reset_delay=0)))
    words = f"/v1/keys/{family.words.id.hex()}"
    assert read(family, words, family.words.signing, Whereabouts) == Whereabouts(
        family.roster.chain, family.roster.head, family.roster.seq
    )
    reset = sign_reset(family.code, terms(family))
    assert same(family, reset) == "ok"
    log = f"/v1/chains/{family.roster.chain.hex()}/log"
    gone = lambda: (answer := family.wire.get(log, family.laptop.signing)).status_code == 410 and answer or None  # noqa: E731
    answer = eventually(gone, "the end")
    assert code(answer) == "reset" and base64.b64decode(answer.json()["form"]) == reset.raw
    assert read(family, words, family.words.signing, Whereabouts) == "reset"
    assert terms(family) == "reset"
    assert code(family.wire.post("/v1/chains", family.entries[0].raw)) == "reset"
    assert code(announced(family, reset)) == "reset"
    # Its join key founds no other chain.
    again = Family(next(SEEDS))
    again.code = family.code
    again.found(recovery=False)
    assert code(family.wire.post("/v1/chains", again.entries[0].raw)) == "join-key-taken"


def test_recovery_words_are_answered_while_they_are_current(family: Family) -> None:
    words = lambda person: read(family, f"/v1/keys/{person.id.hex()}", person.signing, Whereabouts)  # noqa: E731
    assert words(family.words) == Whereabouts(family.roster.chain, family.roster.head, family.roster.seq)
    assert words(family.laptop) == words(family.person("stranger")) == "not-found"
    assert code(family.wire.get(f"/v1/keys/{family.words.id.hex()}", family.laptop.signing)) == "not-found"
    new = family.person("recovery words")
    family.rotate(family.laptop, Brought(None, NewRecovery(new.signing, new.sealing.public)))
    assert words(family.words) == "not-found" and words(new).head == family.roster.head
