"""Records of those who can write no more: what counts, what is refused, and what is disputed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from family import Family, Person
from vectors_of import refusal

from countersign_client.forms import Record, open_form
from countersign_client.lifecycle import Author
from countersign_client.messages import RecordRow, SealedRecord
from countersign_client.policy import APPROVER, READER, WRITER
from countersign_client.records import Content, Feed, Gate, Writer, open_record
from countersign_client.roster import Roster
from countersign_client.rotation import EARLIER, LAST, Cut, Removal

How = Callable[[Family, Person, Cut], Roster]


def removed(family: Family, person: Person, cut: Cut) -> Roster:
    code = family.fresh_code()
    roster = family.add(family.author(family.laptop).remove((Removal(person.id, cut),), 0, code))
    family.code = code
    return roster


def left(family: Family, person: Person, cut: Cut) -> Roster:
    return family.add(family.author(person).leave(cut))


def muted(family: Family, person: Person, cut: Cut) -> Roster:
    return family.add(family.author(family.laptop).change_role(person.id, READER, cut))


class Line:
    """Somebody's records, as they are written one after the other, and a feed that has them."""

    def __init__(self, family: Family, person: Person) -> None:
        self.family, self.person, self.feed = family, person, Feed()
        self.rows: list[RecordRow] = []

    def write(self, name: str, value: bytes = b"", feed: Feed | None = None) -> RecordRow:
        """The next record, of which only a feed that is given hears nothing."""
        ring = self.family.keyring(self.person)
        writer = Writer(self.person.signing, ring.name_key, ring.current(self.family.roster))
        sealed = writer.put(self.family.roster, feed or self.feed, Content("c", name, value), len(self.rows))
        row = RecordRow(len(self.rows) + 1, sealed)
        if feed is None:
            self.rows.append(row)
            self.feed.take(self.family.roster, row)
        return row

    def cut(self, counter: int, which: int) -> Cut:
        """After so many records."""
        if counter == 0:
            return Cut(0, None, which)
        return Cut(counter, open_form(Record, self.rows[counter - 1].record.header).hash, which)


@pytest.fixture
def line(family: Family) -> Line:
    made = Line(family, family.writer)
    for name in ("a", "b", "c"):
        made.write(name)
    return made


def taken(feed: Feed, roster: Roster, rows: list[RecordRow]) -> list[str | None]:
    return [refusal(lambda: feed.take(roster, row)) for row in rows]  # noqa: B023


@pytest.mark.parametrize("how", [removed, muted])
@pytest.mark.parametrize("counter", range(4))
def test_of_a_last_cut_there_is_nothing_beyond(family: Family, line: Line, how: How, counter: int) -> None:
    roster = how(family, line.person, line.cut(counter, LAST))
    assert taken(Feed(), roster, line.rows)[: counter + 1] == ([None] * counter + ["past-cut"])[:3]
    assert [held.number for held in line.feed.past_last_cut(roster)] == list(range(counter + 1, 4))
    assert line.feed.disputed(roster) == []
    assert set(taken(Gate(), roster, line.rows)) == {"not-a-member"}


@pytest.mark.parametrize(("how", "which"), [(removed, EARLIER), (left, EARLIER), (left, LAST), (muted, EARLIER)])
@pytest.mark.parametrize("counter", range(4))
def test_beyond_an_earlier_cut_all_is_kept_and_disputed(
    family: Family, line: Line, how: How, which: int, counter: int
) -> None:
    """Whoever leaves says it of itself: it counts as earlier, whatever it says."""
    roster, fresh = how(family, line.person, line.cut(counter, which)), Feed()
    assert taken(fresh, roster, line.rows) == [None] * 3
    for feed in (fresh, line.feed):
        assert [held.number for held in feed.disputed(roster)] == list(range(counter + 1, 4))
        assert feed.past_last_cut(roster) == []


def test_what_is_written_anew_is_disputed_no_more(family: Family, line: Line) -> None:
    muted(family, line.person, line.cut(0, EARLIER))
    other = Line(family, family.phone)
    other.feed = line.feed
    other.write("b", b"anew")
    assert [held.number for held in line.feed.disputed(family.roster)] == [1, 3]


def test_the_same_counter_with_another_hash_is_past_the_cut(family: Family, line: Line) -> None:
    twin = line.write("a", b"twin", Feed())
    first, third = line.cut(1, LAST), line.cut(3, LAST)
    assert refusal(lambda: Feed().take(muted(family, line.person, first), twin)) == "past-cut"
    family.rosters.pop()
    assert refusal(lambda: Feed().take(muted(family, line.person, third), twin)) is None


def test_writing_that_is_given_again_begins_anew(family: Family, line: Line) -> None:
    """The cut is of the records before it: what follows the line later is past none."""
    before = line.write("d", b"", line.feed)
    muted(family, line.person, line.cut(3, LAST))
    assert refusal(lambda: line.feed.take(family.roster, line.write("e", feed=line.feed))) == "not-a-member"
    family.add(family.author(family.laptop).change_role(line.person.id, WRITER))
    gate = Gate()
    for row in line.rows:
        gate.restore(row)
    assert refusal(lambda: gate.take(family.roster, before)) == "past-cut"
    assert refusal(lambda: line.feed.take(family.roster, before)) == "past-cut"
    line.write("e")
    assert taken(gate, family.roster, line.rows) == [None] * 4
    assert line.feed.past_last_cut(family.roster) == [] and line.feed.disputed(family.roster) == []


def test_a_change_from_approver_to_writer_cuts_nothing(family: Family) -> None:
    line = Line(family, family.phone)
    line.write("a")
    family.add(family.author(family.laptop).change_role(family.phone.id, WRITER))
    line.write("b")
    family.add(family.author(family.laptop).change_role(family.phone.id, APPROVER))
    line.write("c")
    assert taken(Gate(), family.roster, line.rows) == [None] * 3


def test_records_of_every_epoch_are_opened_and_only_those_of_the_current_one_stored(family: Family, line: Line) -> None:
    family.rotate(family.laptop)
    stale = Author(family.rosters[-2], family.keyring(family.writer), family.writer.signing, 0)
    assert stale.roster.epoch == 1
    gate = Gate()
    assert taken(gate, family.roster, line.rows) == ["stale-epoch"] * 3
    line.write("d")
    late = family.admit(family.laptop, "late", READER)
    ring = family.keyring(late)
    assert [held.record.body.epoch for held in line.feed.held.values()] == [1, 1, 1, 2]
    for held in line.feed.held.values():
        assert open_record(ring.name_key, ring.keys, held).collection == "c"
    gone = family.phone
    family.remove(family.laptop, gone)
    last = line.feed.take(family.roster, line.write("e"))
    ring = family.keyring(gone)
    assert refusal(lambda: open_record(ring.name_key, ring.keys, last)) == "no-key"


def test_a_record_in_another_epoch_than_its_head_is_stale(family: Family, line: Line) -> None:
    old = family.keyring(line.person).current(family.roster)
    family.rotate(family.laptop)
    sealed = Writer(line.person.signing, family.name_key, old).put(family.roster, line.feed, Content("c", "x", b""), 1)
    row = RecordRow(4, SealedRecord(sealed.header, sealed.ciphertext))
    assert taken(line.feed, family.roster, [row]) == taken(Gate(), family.roster, [row]) == ["stale-epoch"]
