"""Records: blinding, writing, and everything that a reader checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from . import cbor
from .cbor import Raw
from .code import EpochKey
from .forms import DELETE, PUT, Record, Refill, Signed, open_form, sign_form
from .keys import SigningKey, hmac_sha256, sha256
from .messages import RecordRow, SealedRecord
from .problems import Problem
from .roster import Position, Roster
from .rotation import EARLIER, LAST, Cut
from .seal import unwrap, wrap
from .shape import a_bytes, a_map, a_text
from .shape import field as key

CIPHERTEXT_LIMIT = 256 * 1024
_NAME_LIMIT = 256


@dataclass(frozen=True)
class Content:
    """What a record says."""

    collection: str
    name: str
    value: bytes

    def to_raw(self) -> Raw:
        return {0: self.collection, 1: self.name, 2: self.value}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        fields = a_map(raw)
        return cls(key(fields, 0, a_text), key(fields, 1, a_text), key(fields, 2, a_bytes))


Place = tuple[bytes, bytes]  # blinded collection, blinded name


def blind(name_key: bytes, collection: str, name: str) -> Place:
    """Where a name stands: else `bad-field` for a name that is empty or too long."""
    if not all(1 <= len(text) <= _NAME_LIMIT for text in (collection, name)):
        raise Problem("bad-field", "names have 1 to 256 characters")
    blinded = hmac_sha256(name_key, b"countersign/v1/collection" + collection.encode())
    return blinded, hmac_sha256(name_key, b"countersign/v1/record-id" + blinded + name.encode())


@dataclass(frozen=True)
class Held:
    """A record that passed every check."""

    number: int
    record: Signed[Record]
    ciphertext: bytes | None

    @property
    def place(self) -> Place:
        return self.record.body.collection, self.record.body.name


@dataclass
class Feed:
    """The feed as this reader has followed it: every writer's line, and the current version of every name."""

    held: dict[bytes, Held] = field(default_factory=dict)
    lines: dict[bytes, Held] = field(default_factory=dict)
    current: dict[Place, Held] = field(default_factory=dict)

    def take(self, roster: Roster, row: RecordRow) -> Held:
        """Checks a row and follows it. A row that is held already changes nothing."""
        record = open_form(Record, row.record.header)
        held = Held(row.number, record, row.record.ciphertext)
        check_ciphertext(held)
        if (before := self.held.get(record.hash)) is not None:
            return before
        check_position(roster, record)
        check_last_cut(roster, record)
        self._check_place(held)
        return self._follow(held)

    def restore(self, row: RecordRow) -> None:
        """Follows a row that this reader took before. What the log says by now of its writer, `past_last_cut` tells."""
        self._follow(Held(row.number, open_form(Record, row.record.header), row.record.ciphertext))

    def _follow(self, held: Held) -> Held:
        record = held.record
        self.held[record.hash] = self.lines[record.signer] = self.current[held.place] = held
        return held

    def _check_place(self, held: Held) -> None:
        """The next in its writer's line, and of its name."""
        record = held.record
        line = self.lines.get(record.signer)
        counter, last = (line.record.body.counter, line.record.hash) if line else (0, None)
        if record.body.counter <= counter:
            raise Problem("replayed")
        if record.body.counter != counter + 1 or record.body.last != last:
            raise Problem("broken-line")
        now = self.current.get(held.place)
        if record.body.base != (now.record.hash if now else None):
            raise Problem("conflict", "a record that does not replace the current version")

    def past_last_cut(self, roster: Roster) -> list[Held]:
        """What was taken before the log said that there was no such record: an honest relay never has any."""
        return [held for held in self.held.values() if _is(LAST, cut_before(roster, held.record))]

    def disputed(self, roster: Roster) -> list[Held]:
        """Current versions by a writer whose later word does not count, until somebody writes them anew."""
        return [held for held in self.current.values() if _is(EARLIER, cut_before(roster, held.record))]

    def withheld(self) -> list[Held]:
        """Current versions whose ciphertext never came. Only replaced ones may lack it."""
        return [
            held for held in self.current.values() if held.record.body.operation == PUT and held.ciphertext is None
        ]


@dataclass
class Gate(Feed):
    """The feed as a relay keeps it: what it asks of a record before it stores it."""

    def take(self, roster: Roster, row: RecordRow) -> Held:
        record = open_form(Record, row.record.header)
        held = Held(row.number, record, row.record.ciphertext)
        if (before := self.held.get(record.hash)) is not None:
            return before
        if self.held and record.body.chain != roster.chain:
            raise Problem("other-chain", "a batch that names two")
        self._check_signer(roster, record)
        check_position(roster, record)
        self._check_cut(roster, record)
        self._check_epoch(roster, record)
        self._check_place(held)
        check_ciphertext(held)
        self._check_content(held)
        return self._follow(held)

    def _check_content(self, held: Held) -> None:
        if held.record.body.operation == PUT and held.ciphertext is None:
            raise Problem("other-ciphertext", "a put without a ciphertext")

    def _check_signer(self, roster: Roster, record: Signed[Record]) -> None:
        now = Position(roster.seq, roster.epoch)
        if record.body.chain != roster.chain or not roster.may_write(record.signer, now):
            raise Problem("not-a-member")

    def _check_cut(self, roster: Roster, record: Signed[Record]) -> None:
        if cut_before(roster, record):
            raise Problem("past-cut")

    def _check_epoch(self, roster: Roster, record: Signed[Record]) -> None:
        if record.body.epoch != roster.epoch:
            raise Problem("stale-epoch")


def check_refill(roster: Roster, refill: Signed[Refill], records: Sequence[Signed[Record]]) -> None:
    """What a relay asks of a refill before it asks of the records beside it what held where they were written."""
    if refill.signer not in roster.members:
        raise Problem("not-a-member")
    chains = {roster.chain, *(record.body.chain for record in records)}
    if chains != {refill.body.chain} or refill.body != Refill.of(roster.chain, (record.hash for record in records)):
        raise Problem("bad-field", "a refill names the records beside it, in their order")


@dataclass
class Refilled(Gate):
    """The gate for what a relay lost: of those who wrote it, and of the epoch, is asked what was, and not what is."""

    by: bytes = b""
    """Who gives it back."""

    def _check_content(self, held: Held) -> None:
        """A version that was replaced comes back without its content: nobody may have it any more."""

    def _check_signer(self, roster: Roster, record: Signed[Record]) -> None:
        return None

    def _check_cut(self, roster: Roster, record: Signed[Record]) -> None:
        """Past an earlier cut the word of another device that writes is asked for: its writer could sign such records for ever."""
        check_last_cut(roster, record)
        now = Position(roster.seq, roster.epoch)
        if cut_before(roster, record) and (self.by == record.signer or not roster.may_write(self.by, now)):
            raise Problem("past-cut")

    def _check_epoch(self, roster: Roster, record: Signed[Record]) -> None:
        return None


def check_position(roster: Roster, record: Signed[Record]) -> None:
    """The rule that relay and reader share."""
    if record.body.chain != roster.chain:
        raise Problem("other-chain")
    position = roster.positions.get(record.body.head)
    if position is None:
        raise Problem("unknown-head")
    if record.body.epoch != position.epoch:
        raise Problem("stale-epoch")
    if not roster.may_write(record.signer, position):
        raise Problem("not-a-member")


def cut_before(roster: Roster, record: Signed[Record]) -> Cut | None:
    """The cut that a record is past: its signer lost writing after the record's head, and the cut leaves the record out."""
    span = roster.span(record.signer, roster.positions[record.body.head])
    cut = span.cut if span else None
    if cut is None or record.body.counter < cut.counter:
        return None
    return None if record.hash == cut.record else cut


def check_last_cut(roster: Roster, record: Signed[Record]) -> None:
    """Past a cut that says *last* there is nothing at an honest relay."""
    if _is(LAST, cut_before(roster, record)):
        raise Problem("past-cut", "the cut says that the relay has no such record")


def _is(which: int, cut: Cut | None) -> bool:
    return cut is not None and cut.which == which


def check_ciphertext(held: Held) -> None:
    """A ciphertext that is there is the one that was signed."""
    if held.ciphertext is None:
        return
    if len(held.ciphertext) > CIPHERTEXT_LIMIT or sha256(held.ciphertext) != held.record.body.ciphertext_hash:
        raise Problem("other-ciphertext")


def open_record(name_key: bytes, keys: Mapping[int, EpochKey], held: Held) -> Content:
    """The content, whose names are the ones outside: else `other-names`."""
    body = held.record.body
    if held.ciphertext is None:
        raise Problem("no-ciphertext")
    if body.epoch not in keys:
        raise Problem("no-key", f"epoch {body.epoch} began without this device")
    plaintext = unwrap(keys[body.epoch].record_key, held.ciphertext, body.associated())
    content = cbor.decode_as(Content, plaintext, CIPHERTEXT_LIMIT)
    if blind(name_key, content.collection, content.name) != held.place:
        raise Problem("other-names", "the names inside are not the ones outside")
    return content


@dataclass(frozen=True)
class Writer:
    """A member that writes, at one moment of its line."""

    signing: SigningKey
    name_key: bytes
    epoch_key: EpochKey

    def put(self, roster: Roster, feed: Feed, content: Content, now: int) -> SealedRecord:
        """A new version of a name."""
        header = self._header(roster, feed, content.collection, content.name, now, PUT)
        plaintext = cbor.encode(content.to_raw())
        ciphertext = wrap(self.epoch_key.record_key, plaintext, header.associated())
        if len(ciphertext) > CIPHERTEXT_LIMIT:
            raise Problem("other-ciphertext", "a ciphertext has at most 256 KiB")
        return self._signed(header, ciphertext)

    def delete(self, roster: Roster, feed: Feed, collection: str, name: str, now: int) -> SealedRecord:
        """A tombstone."""
        return self._signed(self._header(roster, feed, collection, name, now, DELETE), None)

    def _signed(self, header: Record, ciphertext: bytes | None) -> SealedRecord:
        ciphertext_hash = None if ciphertext is None else sha256(ciphertext)
        whole = replace(header, ciphertext_hash=ciphertext_hash)
        return SealedRecord(sign_form(whole, self.signing).raw, ciphertext)

    def _header(
        self, roster: Roster, feed: Feed, collection: str, name: str, now: int, operation: int
    ) -> Record:
        place = blind(self.name_key, collection, name)
        line = feed.lines.get(self.signing.public)
        base = feed.current.get(place)
        return Record(
            chain=roster.chain,
            collection=place[0],
            name=place[1],
            epoch=self.epoch_key.epoch,
            counter=line.record.body.counter + 1 if line else 1,
            last=line.record.hash if line else None,
            base=base.record.hash if base else None,
            head=roster.head,
            at=now,
            operation=operation,
            ciphertext_hash=None,
        )
