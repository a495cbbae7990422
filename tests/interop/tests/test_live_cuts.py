"""The real relay, where writing is taken away: cuts, and what comes back with a refill. Skipped without it."""

from __future__ import annotations

import pytest
from family import Family, three_approvers
from test_cuts import Line
from test_live_attacks import Wire, code, pytestmark, url, wire  # noqa: F401 - fixtures
from test_live_lifecycle import SEEDS, LiveFamily

from countersign_client import cbor
from countersign_client.forms import Record, Refill, Signed, open_form, sign_form
from countersign_client.messages import NEW, Put, RecordRow
from countersign_client.policy import READER, WRITER
from countersign_client.rotation import EARLIER, LAST, NOTHING, Cut, Removal


@pytest.fixture
def family(wire: Wire) -> Family:  # noqa: F811
    return three_approvers(LiveFamily(next(SEEDS), wire=wire))


@pytest.fixture
def line(family: Family) -> Line:
    """Three records of the writer, which the relay has."""
    made = Line(family, family.writer)
    for name in ("a", "b", "c"):
        assert posted(family, made.write(name)) == "ok"
    return made


def posted(family: Family, row: RecordRow, refill: Signed[Refill] | None = None) -> str:
    put = Put((row.record,), refill.raw if refill else None)
    return code(family.wire.post("/v1/records", cbor.encode(put.to_raw())))


def refill_of(family: Family, row: RecordRow, person=None, chain: bytes | None = None) -> Signed[Refill]:
    record = open_form(Record, row.record.header)
    return sign_form(Refill.of(chain or family.roster.chain, [record.hash]), (person or family.reader).signing)


def test_a_last_cut_is_the_last(family: Family, line: Line) -> None:
    for cut in (NOTHING, line.cut(2, LAST), Cut(3, bytes(32), LAST)):
        answer = family.wire.append(family.author(family.writer).leave(cut), NEW)
        problem = answer.json()
        last = {"device": family.writer.id.hex(), "counter": 3, "hash": line.cut(3, LAST).record.hex()}
        assert problem["code"] == "cut-behind" and {name: problem[name] for name in last} == last
    entry = family.author(family.writer).leave(line.cut(3, LAST))
    assert code(family.wire.append(entry, NEW)) == "ok"


@pytest.mark.parametrize("which", [LAST, EARLIER])
def test_what_was_kept_back_is_past_every_cut(family: Family, line: Line, which: int) -> None:
    late = line.write("d", feed=line.feed)
    family.add(family.author(family.laptop).change_role(family.writer.id, READER, line.cut(3, which)))
    assert posted(family, late) == "not-a-member"
    family.add(family.author(family.laptop).change_role(family.writer.id, WRITER))
    assert posted(family, late) == "past-cut"
    assert posted(family, line.write("e")) == "ok"


def test_a_refill_asks_what_was(family: Family, line: Line) -> None:
    late = line.write("d", feed=line.feed)
    family.rotate(family.laptop)
    assert posted(family, late) == "stale-epoch"
    assert posted(family, late, refill_of(family, late, family.person("stranger"))) == "not-a-member"
    for person in (family.words, family.reader):
        assert posted(family, late, refill_of(family, late, person, bytes(32))) == "bad-field"
    assert posted(family, late, refill_of(family, line.rows[0])) == "bad-field"
    assert posted(family, late, refill_of(family, late)) == "ok"


def test_a_stranger_learns_from_its_refill_what_its_own_bytes_say_and_nothing_more(family: Family, line: Line) -> None:
    """Whether the form names the records beside it is asked before who signs; then who signs, before anything of the chain."""
    stranger = family.person("stranger")
    assert posted(family, line.rows[0], refill_of(family, line.rows[1], stranger)) == "bad-field"
    assert posted(family, line.rows[0], refill_of(family, line.rows[0], stranger)) == "not-a-member"


@pytest.mark.parametrize(("which", "answer"), [(LAST, "past-cut"), (EARLIER, "ok")])
def test_a_refill_past_a_cut(family: Family, line: Line, which: int, answer: str) -> None:
    late = line.write("d", feed=line.feed)
    removal = Removal(family.writer.id, line.cut(3, which))
    family.add(family.author(family.laptop).remove((removal,), 0, family.fresh_code()))
    assert posted(family, late) == "not-a-member"
    assert posted(family, late, refill_of(family, late)) == "past-cut"
    assert posted(family, late, refill_of(family, late, family.laptop)) == answer


def test_whoever_leaves_ends_no_record_of_others(family: Family, line: Line) -> None:
    """A cut of its own that says *last* is compared, and counts as earlier all the same."""
    late = line.write("d", feed=line.feed)
    family.add(family.author(family.writer).leave(line.cut(3, LAST)))
    assert posted(family, late, refill_of(family, late)) == "past-cut"
    assert posted(family, late, refill_of(family, late, family.laptop)) == "ok"


def test_who_was_made_a_reader_gives_back_nothing_past_its_cut(family: Family, line: Line) -> None:
    late = line.write("d", feed=line.feed)
    family.add(family.author(family.laptop).change_role(family.writer.id, READER, line.cut(3, EARLIER)))
    assert posted(family, late, refill_of(family, late, family.writer)) == "past-cut"
    family.add(family.author(family.laptop).change_role(family.writer.id, WRITER))
    assert posted(family, late, refill_of(family, late, family.writer)) == "past-cut"
    assert posted(family, late, refill_of(family, late, family.laptop)) == "ok"
