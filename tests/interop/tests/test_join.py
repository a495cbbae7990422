"""The whole join and what comes after it, both roles, in memory."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from vectors_of import refusal

from countersign_client.changes import LOST
from countersign_client.code import SyncCode
from countersign_client.entries import Description
from countersign_client.forms import Record, Refill, open_form, sign_form
from countersign_client.founder import Approver, found
from countersign_client.joiner import Joiner, describe
from countersign_client.keys import SigningKey
from countersign_client.member import Member
from countersign_client.policy import WRITER
from countersign_client.problems import Alarm, Problem
from countersign_client.records import check_refill
from countersign_client.rotation import LAST, Cut, Removal
from countersign_client.store import Store


def load(directory: Path, relay) -> Member:
    return Member(Store.load(directory), relay)


def join(tmp_path: Path, relay, mistakes: int = 0) -> tuple[Member, Member]:
    """A founder and a joiner, after a join whose code was mistyped some times."""
    code = SyncCode.from_words(found(tmp_path / "a", relay, "laptop").words())
    joiner = Joiner.start(tmp_path / "b", relay, code, "phone")
    shown: queue.Queue[str] = queue.Queue()
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(joiner.run(lambda number, digits: shown.put(digits)))
        except Problem as refusal:
            ended.append(refusal)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not relay.ask:
        thread.join(0.01)

    def typed():
        digits = shown.get(timeout=10)
        for _ in range(mistakes):
            yield f"{(int(digits) + 1) % 1_000_000:06}\n"
        yield f"{digits[:3]} {digits[3:]}\n"

    told: list[str] = []
    try:
        Approver(load(tmp_path / "a", relay), told.append).approve("", WRITER, typed())
    finally:
        thread.join(10)
    assert "'phone'" in told[0]
    assert ended == [relay.roster.chain], ended
    return load(tmp_path / "a", relay), load(tmp_path / "b", relay)


def test_join_write_read_verify(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    assert founder.put("notes", "one", b"first") == 1
    assert joiner.get("notes", "one") == b"first"
    assert joiner.put("notes", "one", b"second") == 2
    assert founder.get("notes", "one") == b"second"
    assert joiner.put("notes", "two", b"other") == 3
    assert founder.delete("notes", "two") == 4
    assert load(tmp_path / "b", relay).get("notes", "two") is None
    assert founder.verify() == joiner.verify() == (2, 4, 1)


def test_two_wrong_codes_do_no_harm(tmp_path: Path, relay) -> None:
    join(tmp_path, relay, mistakes=2)


def test_three_wrong_codes_deny(tmp_path: Path, relay) -> None:
    with pytest.raises(Problem, match="wrong-code"):
        join(tmp_path, relay, mistakes=3)
    assert relay.roster.seq == 1 and len(relay.roster.members) == 1


def test_lost_answer_is_sent_again(tmp_path: Path, relay) -> None:
    founder, _ = join(tmp_path, relay)
    relay.lost_answers = 1
    with pytest.raises(Problem, match="unreachable"):
        founder.put("notes", "one", b"first")
    pending = load(tmp_path / "a", relay).store.state.pending
    assert pending == relay.rows[0].record


def test_watch_resumes_from_the_cursor(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    for number in range(5):
        founder.put("notes", f"n{number}", b"x")
    relay.dialled.clear()
    seen: list[int] = []
    joiner.watch(5, 3, lambda held: seen.append(held.number))
    assert seen == [1, 2, 3, 4, 5]
    first, second = relay.dialled
    assert first.connect.cursor is None and second.connect.cursor.number == 3
    assert first.acks == [[1, 2]] and first.connect.head == relay.roster.head


def test_relay_that_lost_its_tail_gets_it_back(tmp_path: Path, relay) -> None:
    founder, _ = join(tmp_path, relay)
    whole, relay.entries, relay.roster = list(relay.entries), [], None
    relay._append(whole[:1])
    founder.sync_log()
    assert relay.entries == whole


def test_relay_with_another_store_is_read_from_its_beginning(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    founder.put("notes", "one", b"x")
    joiner.sync()
    relay.store = 8
    founder.put("notes", "two", b"y")
    assert joiner.get("notes", "two") == b"y"
    assert joiner.store.state.cursor.store == 8


def test_relay_that_drops_records_is_found_out(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    founder.put("notes", "one", b"x")
    founder.put("notes", "two", b"y")
    joiner.sync()
    last = relay.rows.pop()
    with pytest.raises(Alarm, match="no longer shows 1"):
        joiner.verify()
    relay.rows[:] = [last]
    with pytest.raises(Problem, match="broken-line"):
        joiner.verify()


def test_relay_that_withholds_a_current_value_is_found_out(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    founder.put("notes", "one", b"x")
    row = relay.rows[0]
    relay.rows[0] = type(row)(1, type(row.record)(row.record.header, None))
    with pytest.raises(Alarm, match="withholds"):
        joiner.verify()


def test_members_follow_new_epochs_and_a_removed_one_none(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    approver, device = Approver(founder, print), joiner.store.state.signing.public
    assert joiner.put("notes", "one", b"first epoch") == 1
    approver.change(lambda author: author.rotate())
    assert founder.put("notes", "two", b"second epoch") == 2
    assert (joiner.get("notes", "one"), joiner.get("notes", "two")) == (b"first epoch", b"second epoch")
    assert joiner.put("notes", "one", b"again") == 3
    code = SyncCode(bytes(32))
    cut = Cut(2, joiner.feed.lines[device].record.hash, LAST)
    approver.change(lambda author: author.remove((Removal(device, cut),), LOST, code))
    assert founder.put("notes", "three", b"third epoch") == 4
    again = load(tmp_path / "a", relay)
    assert [again.get("notes", name) for name in ("one", "two", "three")] == [b"again", b"second epoch", b"third epoch"]
    assert again.keyring.code == code and again.verify() == (4, 4, 3)
    gone = load(tmp_path / "b", relay)
    assert gone.get("notes", "one") == b"again"
    for refused in (lambda: gone.get("notes", "three"), lambda: gone.put("notes", "four", b"")):
        with pytest.raises(Problem, match="no-key|not-sealed-here"):
            refused()


def test_what_lies_past_a_last_cut_is_told(tmp_path: Path, relay) -> None:
    founder, joiner = join(tmp_path, relay)
    joiner.put("notes", "one", b"x")
    founder.sync()
    removal = Removal(joiner.store.state.signing.public, Cut(0, None, LAST))
    with pytest.raises(Alarm, match="past-cut"):
        Approver(founder, print).change(lambda author: author.remove((removal,), LOST, SyncCode(bytes(32))))
    with pytest.raises(Problem, match="past-cut"):
        load(tmp_path / "a", relay).verify()


def test_records_of_another_store_are_given_back_with_a_refill(tmp_path: Path, relay) -> None:
    founder, _ = join(tmp_path, relay)
    founder.put("notes", "one", b"x")
    (row,), relay.rows[:], relay.store = list(relay.rows), [], 8
    founder.sync()
    assert relay.rows == [row]
    refill, record = open_form(Refill, relay.refills[-1]), open_form(Record, row.record.header)
    check_refill(founder.roster, refill, [record])
    for other, code in (
        (Refill.of(founder.roster.chain, ()), "bad-field"), (Refill.of(bytes(32), (record.hash,)), "bad-field"),
    ):
        form = sign_form(other, founder.store.state.signing)
        assert refusal(lambda: check_refill(founder.roster, form, [record])) == code  # noqa: B023
    stranger = sign_form(refill.body, SigningKey.random())
    assert refusal(lambda: check_refill(founder.roster, stranger, [record])) == "not-a-member"


def test_a_one_time_code_stays_out_of_the_log() -> None:
    said = replace(describe("phone"), one_time_code="123456")
    assert Description.decoded(said.encoded()) == said and said.without_code() == describe("phone")
