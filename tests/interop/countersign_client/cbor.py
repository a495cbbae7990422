"""Deterministic CBOR (RFC 8949 §4.2.1).

`parse` reads any well-formed item of definite lengths, and `end_of_item` passes over any at all. `decode_as` checks, in the
order of the page: the size, the shape, and that encoding the decoded value again gives the same bytes. Unknown keys are
dropped by the shape and so found by the last step.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from .problems import Problem

Raw = Any  # int, bytes, str, bool, None, float, list, dict with int keys, Tag, Simple

MAX_DEPTH = 16
_KEYS = 1 << 63


@dataclass(frozen=True)
class Tag:
    """A tagged item."""

    number: int
    value: Raw


@dataclass(frozen=True)
class Simple:
    """A simple value that no form uses."""

    number: int


class Odd:
    """An item that no form holds: nested too deeply, or a map whose keys are no integers of 64 bits with sign."""


class Map(dict[int, Raw]):
    """A map. A key that stands twice has its last value, and the earlier ones are `repeated`."""

    repeated: tuple[tuple[int, Raw], ...] = ()


class Shape(Protocol):
    """A value that knows its own CBOR."""

    def to_raw(self) -> Raw: ...

    @classmethod
    def from_raw(cls, raw: Raw) -> Self: ...


S = TypeVar("S", bound=Shape)


def decode_as(cls: type[S], data: bytes, limit: int) -> S:
    """Size, shape, canonical bytes: `too-large`, `malformed` (or what the shape says), `not-canonical`."""
    if len(data) > limit:
        raise Problem("too-large", f"{len(data)} bytes, at most {limit}")
    value = cls.from_raw(parse(data))
    if encode(value.to_raw()) != data:
        raise Problem("not-canonical")
    return value


def encode(value: Raw) -> bytes:
    """The one deterministic encoding of a value."""
    if value is False:
        return b"\xf4"
    if value is True:
        return b"\xf5"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(encode(item) for item in value)
    if isinstance(value, dict):
        pairs = sorted((encode(key), encode(item)) for key, item in value.items())
        return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    if isinstance(value, Tag):
        return _head(6, value.number) + encode(value.value)
    raise TypeError(f"no form holds a {type(value).__name__}")


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if argument < 1 << 8 * struct.calcsize(form):
            return bytes([major << 5 | info]) + struct.pack(form, argument)
    raise ValueError("an integer of more than 64 bits")


def parse(data: bytes) -> Raw:
    """The first well-formed item, canonical or not. Trailing bytes are left to the comparison of `decode_as`."""
    return _Parser(data).item(0)


class _Parser:
    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise Problem("malformed", "the CBOR ends too early")
        self.at += count
        return self._data[self.at - count : self.at]

    def head(self) -> tuple[int, int, int]:
        """Major type, additional information, and argument."""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info in (28, 29, 30):
            raise Problem("malformed", "what no CBOR has")
        argument = info if info < 24 or info == 31 else int.from_bytes(self.take(1 << info - 24))
        if (major, info) == (7, 24) and argument < 32:
            raise Problem("malformed", "a simple value in two bytes")
        return major, info, argument

    def item(self, depth: int) -> Raw:
        if depth > MAX_DEPTH:
            self.at = end_of_item(self._data, self.at, definite=True)
            return Odd()
        major, info, argument = self.head()
        if info == 31:
            raise Problem("malformed", "an indefinite length")
        if major == 7:
            return self._simple(info, argument)
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return self.take(argument)
        if major == 3:
            return _text(self.take(argument))
        if major == 4:
            return [self.item(depth + 1) for _ in range(argument)]
        if major == 5:
            return self._map([self.item(depth + 1) for _ in range(2 * argument)])
        return Tag(argument, self.item(depth + 1))

    @staticmethod
    def _map(items: list[Raw]) -> Map | Odd:
        keys, values = items[::2], items[1::2]
        if not all(type(key) is int and -_KEYS <= key < _KEYS for key in keys):
            return Odd()
        pairs = list(zip(keys, values, strict=True))
        whole = Map(pairs)
        whole.repeated = tuple(pairs) if len(whole) < len(pairs) else ()
        return whole

    @staticmethod
    def _simple(info: int, argument: int) -> Raw:
        if info in (25, 26, 27):
            form = {25: ">e", 26: ">f", 27: ">d"}[info]
            return struct.unpack(form, argument.to_bytes(struct.calcsize(form)))[0]
        return {20: False, 21: True, 22: None}.get(argument, Simple(argument))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Problem("malformed", "text that is not UTF-8") from None


def end_of_item(data: bytes, at: int, definite: bool = False) -> int:
    """Where the item ends that begins here, whatever it is, as long as it is well-formed: else `malformed`."""
    levels: list[list[int]] = [[0, 1]]  # how many items were there, and how many there are: -1 where a break says it
    while levels:
        here = levels[-1]
        if here[0] == here[1]:
            levels.pop()
            continue
        parser = _Parser(data, at)
        major, info, argument = parser.head()
        at = parser.at
        if (major, info) == (7, 31):
            if here[1] != -1 or here[0] % here[2]:
                raise Problem("malformed", "a break where none can be")
            levels.pop()
            continue
        here[0] += 1
        if info == 31:
            if definite or major not in (2, 3, 4, 5):
                raise Problem("malformed", "an indefinite length where none can be")
            if major < 4:
                at = _end_of_chunks(data, at, major)
            else:
                levels.append([0, -1, major - 3])
        elif major in (2, 3):
            text = parser.take(argument)
            at = parser.at
            if major == 3:
                _text(text)
        elif major in (4, 5, 6):
            levels.append([0, {4: argument, 5: 2 * argument, 6: 1}[major]])
    return at


def _end_of_chunks(data: bytes, at: int, major: int) -> int:
    while data[at : at + 1] != b"\xff":
        parser = _Parser(data, at)
        if (head := parser.head())[0] != major or head[1] == 31:
            raise Problem("malformed", "a chunk of another type")
        chunk = parser.take(head[2])
        if major == 3:
            _text(chunk)
        at = parser.at
    return at + 1


def pair_in_map(data: bytes, key: int) -> tuple[int, int, int] | None:
    """If a map has `[number, item]` under a key: the number, and where the item begins and ends."""
    parser = _Parser(data)
    major, _, count = parser.head()
    for _ in range(count if major == 5 else 0):
        at = parser.at
        found = parser.head()[::2] == (0, key)
        parser.at = at = end_of_item(data, at)
        if found and parser.head()[::2] == (4, 2):
            major, _, number = parser.head()
            return (number, parser.at, end_of_item(data, parser.at)) if major == 0 else None
        parser.at = end_of_item(data, at)
    return None
