"""A member: follows the log and the feed, writes, reads, verifies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from . import cbor
from .approval import Approval, Subject
from .entries import Entry
from .forms import PUT, Cursor, Refill, Reset, Signed, open_form, sign_form
from .http import Relay
from .keyring import Keyring
from .lifecycle import Author
from .log import apply
from .messages import (
    HEAL, NEW, Append, Appended, ApprovalsKept, LogPage, OpenRequest, OpenRequests, Push, Put, Ready, RecordPage,
    RecordRow, ResetStanding, SealedRecord, Stored,
)
from .problems import Alarm, Problem
from .records import Content, Feed, Held, Writer, blind, open_record
from .reset import told_of
from .roster import Roster
from .socket import Session, Whom
from .store import Store

_ENTRIES_AT_ONCE = 64
_REFUSALS = frozenset(
    {
        "broken-line",
        "conflict",
        "not-a-member",
        "other-chain",
        "other-ciphertext",
        "past-cut",
        "replayed",
        "stale-epoch",
        "unknown-head",
    }
)
_PATIENCE = 20  # seconds for a message that the relay owes
_FAILURES = 20  # sockets in a row that end without a record


def milliseconds() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


class Member:
    """A device that is in a chain, over its store."""

    def __init__(self, store: Store, relay: Relay) -> None:
        self.store = store
        self.relay = relay
        self.roster = replay(store.state.entries)
        self.feed = Feed()
        for row in store.state.rows:
            self.feed.restore(row)
        self._keyring: tuple[int, Keyring] | None = None
        self._chain = f"/v1/chains/{self.roster.chain.hex()}"

    @property
    def keyring(self) -> Keyring:
        """Every key that this device has. It grows with the log."""
        if self._keyring is None or self._keyring[0] != self.roster.epoch:
            self._keyring = self.roster.epoch, self.store.state.keyring(self.roster)
        return self._keyring[1]

    # The log

    def sync_log(self) -> None:
        """Fetches what is new, and gives back what the relay has lost, even this device's own admission."""
        try:
            self._follow_log()
        except Problem as problem:
            if problem.code != "not-a-member":
                raise
            self._give_back()
            self._follow_log()

    def _give_back(self) -> None:
        found, *later = self.store.state.entries
        self.relay.post("/v1/chains", found, Appended)
        for start in range(0, len(later), _ENTRIES_AT_ONCE):
            self.append(tuple(later[start : start + _ENTRIES_AT_ONCE]), HEAL)

    def _follow_log(self) -> None:
        while True:
            page = self._log_after(self.roster.seq)
            self.accept(page.entries)
            if page.seq > self.roster.seq and page.entries:
                continue
            if page.seq > self.roster.seq:
                self._fork("the relay is ahead and shows no entries")
            if self._hash_at(page.seq) != page.head:
                self._fork("the relay has another entry where this device has one")
            if page.seq == self.roster.seq:
                return
            lost = self.store.state.entries[page.seq + 1 :][:_ENTRIES_AT_ONCE]
            self.append(tuple(lost), HEAL)

    def append(self, entries: tuple[bytes, ...], purpose: int) -> Appended:
        """Posts entries."""
        return self.relay.post("/v1/log", cbor.encode(Append(entries, purpose).to_raw()), Appended)

    def accept(self, entries: tuple[bytes, ...]) -> None:
        """Verifies entries, applies them and stores them."""
        for raw in entries:
            entry = open_form(Entry, raw)
            if entry.hash in self.roster.positions:
                continue
            if entry.body.prev in self.roster.positions and entry.body.prev != self.roster.head:
                self._fork(f"two entries follow the same one at {entry.body.seq}")
            self.roster = apply(self.roster, entry)
            self.store.state.entries += (raw,)
        self.store.save()
        if held := self.feed.past_last_cut(self.roster):
            raise Alarm("past-cut", f"the relay showed {len(held)} records of which the log says that it had none")

    def _log_after(self, seq: int | None) -> LogPage:
        query = "" if seq is None else f"?after={seq}"
        return self.relay.get(f"{self._chain}/log{query}", self.store.state.signing, LogPage)

    def _hash_at(self, seq: int) -> bytes | None:
        return next((known for known, position in self.roster.positions.items() if position.seq == seq), None)

    def _fork(self, what: str) -> None:
        self.store.state.forked = True
        self.store.save()
        raise Alarm("fork", f"{what}. Membership changes stop on this device.")

    def open_requests(self) -> tuple[OpenRequest, ...]:
        """The requests that wait for a member."""
        return self.relay.get(f"{self._chain}/requests", self.store.state.signing, OpenRequests).requests

    # What approvers and the holder of the sync code say

    def author(self) -> Author:
        """Signs at the head that this device has pinned."""
        return Author(self.roster, self.keyring, self.store.state.signing, milliseconds())

    def approvals(self) -> list[Signed[Approval]]:
        """Those that would count in the next entry. The relay's word: an entry with them is checked by everybody."""
        kept = self.relay.get(f"{self._chain}/approvals", self.store.state.signing, ApprovalsKept)
        return [open_form(Approval, form) for form in kept.approvals]

    def approve(self, subject: Subject) -> Signed[Approval]:
        """Agrees to what another approver will sign."""
        approval = self.author().approve(subject)
        self.relay.post_for_nothing("/v1/approvals", approval.raw)
        return approval

    def carry_out(self, entry: Signed[Entry]) -> None:
        """Appends an entry of this device's own, and follows it."""
        self.append((entry.raw,), NEW)
        self.sync_log()

    def told(self, *what: type[Push]) -> Push:
        """The first message of a fresh session that is one of these."""
        with self._session() as session:
            while True:
                push = session.receive(_PATIENCE)
                if isinstance(push, what):
                    return push
                if isinstance(push, LogPage | RecordPage):
                    session.acknowledge(self.roster.seq, self._watched_number())

    def reset_told(self) -> Signed[Reset]:
        """The reset that stands: the relay tells of it at every connect."""
        push = self.told(ResetStanding)
        assert isinstance(push, ResetStanding)
        return told_of(self.roster, push)

    # The feed

    def sync_records(self) -> None:
        """Fetches what is new. A feed of another store is read from its beginning, and given what it lacks."""
        before = self.store.state.cursor
        self._follow_records()
        now = self.store.state.cursor
        if before and now and now.store != before.store:
            for held in list(self.feed.held.values()):
                self._put(SealedRecord(held.record.raw, held.ciphertext), self._refill(held))
            self._follow_records()

    def _follow_records(self) -> None:
        while True:
            at = self.store.state.cursor
            page = self._records_after(at.number if at else None)
            if at and page.cursor.store != at.store:
                self.store.state.cursor = None
                continue
            for row in page.rows:
                self._take(row)
            self.store.state.cursor = page.cursor
            self.store.save()
            if not page.rows or page.cursor.number >= page.last:
                return

    def _take(self, row: RecordRow) -> Held:
        """Checks a row and keeps it if it is new. One that names an unknown head waits for the log."""
        known = len(self.feed.held)
        try:
            held = self.feed.take(self.roster, row)
        except Problem as problem:
            if problem.code != "unknown-head":
                raise
            self.sync_log()
            held = self.feed.take(self.roster, row)
        if len(self.feed.held) > known:
            self.store.state.rows += (row,)
        return held

    def _records_after(self, number: int | None) -> RecordPage:
        query = "" if number is None else f"?after={number}"
        return self.relay.get(f"{self._chain}/records{query}", self.store.state.signing, RecordPage)

    def sync(self) -> None:
        """Log, then feed."""
        self.sync_log()
        self.sync_records()

    # Reading and writing

    def put(self, collection: str, name: str, value: bytes) -> int:
        """Writes a new version and says its number."""
        content = Content(collection, name, value)
        return self._write(lambda writer: writer.put(self.roster, self.feed, content, milliseconds()))

    def delete(self, collection: str, name: str) -> int:
        """Writes a tombstone and says its number."""
        return self._write(lambda writer: writer.delete(self.roster, self.feed, collection, name, milliseconds()))

    def _write(self, make: Callable[[Writer], SealedRecord]) -> int:
        """Stores the record before it leaves. What an earlier run left unsent goes first."""
        self._send_pending()
        self.sync()
        state = self.store.state
        state.pending = make(Writer(state.signing, self.keyring.name_key, self.keyring.current(self.roster)))
        self.store.save()
        number = self._send_pending()
        self.sync_records()
        return number

    def _send_pending(self) -> int:
        pending = self.store.state.pending
        if pending is None:
            return 0
        try:
            number = self._put(pending)
        except Problem as problem:
            if problem.code in _REFUSALS:
                self._drop_pending()
            raise
        self._drop_pending()
        return number

    def _put(self, record: SealedRecord, refill: bytes | None = None) -> int:
        return self.relay.post("/v1/records", cbor.encode(Put((record,), refill).to_raw()), Stored).numbers[0]

    def _refill(self, held: Held) -> bytes:
        """Says that this member gives a record back."""
        return sign_form(Refill.of(self.roster.chain, (held.record.hash,)), self.store.state.signing).raw

    def _drop_pending(self) -> None:
        self.store.state.pending = None
        self.store.save()

    def get(self, collection: str, name: str) -> bytes | None:
        """The current value of a name, if it has one."""
        self.sync()
        held = self.feed.current.get(blind(self.keyring.name_key, collection, name))
        if held is None or held.record.body.operation != PUT:
            return None
        return self.open(held).value

    def fetch(self, collection: str, name: str) -> RecordRow:
        """The row that the relay has for a name."""
        place = "/".join(blinded.hex() for blinded in blind(self.keyring.name_key, collection, name))
        return self.relay.get(f"{self._chain}/records/{place}", self.store.state.signing, RecordRow)

    def open(self, held: Held) -> Content:
        """The content of a record."""
        return open_record(self.keyring.name_key, self.keyring.keys, held)

    def verify(self) -> tuple[int, int, int]:
        """Everything again from nothing: how many entries, records, and contents were right."""
        self.sync_log()
        entries: list[bytes] = []
        while len(entries) <= self.roster.seq:
            page = self._log_after(len(entries) - 1 if entries else None)
            if not page.entries:
                raise Alarm("incomplete", "the relay shows less than the whole log")
            entries += page.entries
        roster = replay(tuple(entries))
        if roster.positions.get(self.roster.head) is None:
            self._fork("the relay's whole log is not the one of this device")
        feed, number, opened = Feed(), None, 0
        while True:
            records = self._records_after(number)
            for row in records.rows:
                held = feed.take(roster, row)
                if held.ciphertext is not None:
                    self.open(held)
                    opened += 1
            number = records.cursor.number
            if not records.rows or number >= records.last:
                break
        if withheld := feed.withheld():
            raise Alarm("incomplete", f"the relay withholds the ciphertext of {len(withheld)} current records")
        self._same_lines(feed)
        return len(entries), len(feed.held), opened

    def _same_lines(self, fresh: Feed) -> None:
        """No record that this device has seen may be gone from what the relay shows."""
        gone = [held for known, held in self.feed.held.items() if known not in fresh.held]
        if gone:
            raise Alarm("incomplete", f"the relay no longer shows {len(gone)} records that this device holds")

    def watch(self, count: int, cut_after: int | None, show: Callable[[Held], None]) -> None:
        """Shows records as they come. After `cut_after` of them it cuts the socket and resumes by its cursor."""
        shown = failures = 0
        while shown < count:
            try:
                with self._session() as session:
                    for held in self._stream(session):
                        show(held)
                        shown, failures = shown + 1, 0
                        if shown in (count, cut_after):
                            break
            except Problem as problem:
                failures += 1
                if problem.code != "closed" or failures == _FAILURES:
                    raise
                time.sleep(0.5)

    def _session(self) -> Session:
        state = self.store.state
        whom = Whom(chain=self.roster.chain, head=self.roster.head, cursor=state.watched)
        return Session(self.relay.origin, state.signing, whom)

    def _stream(self, session: Session) -> Iterator[Held]:
        """The records of a session. Each is stored, and the cursor with it, before it is handed out."""
        while True:
            push = session.receive()
            if isinstance(push, Ready) and not push.knows_head:
                self.sync_log()
            elif isinstance(push, LogPage):
                self.accept(push.entries)
                session.acknowledge(self.roster.seq, self._watched_number())
            elif isinstance(push, RecordPage):
                for row in push.rows:
                    held = self._take(row)
                    self._watched(Cursor(push.cursor.store, row.number))
                    yield held
                self._watched(push.cursor)
                session.acknowledge(self.roster.seq, push.cursor.number)

    def _watched(self, cursor: Cursor) -> None:
        self.store.state.watched = cursor
        self.store.save()

    def _watched_number(self) -> int:
        return self.store.state.watched.number if self.store.state.watched else 0


def replay(entries: tuple[bytes, ...]) -> Roster:
    """The roster of a whole log."""
    roster: Roster | None = None
    for raw in entries:
        entry: Signed[Entry] = open_form(Entry, raw)
        roster = apply(roster, entry)
    if roster is None:
        raise Problem("not-joined", "this device has no log yet")
    return roster
