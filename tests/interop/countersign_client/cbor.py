"""Deterministic CBOR (RFC 8949 §4.2.1).

`parse` reads any well-formed item of definite lengths; `decode_as` then checks, in the order of the page: the size, the
shape, and that encoding the decoded value again gives the same bytes. Unknown keys are dropped by the shape and so found
by the last step.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from .problems import Problem

Raw = Any  # int, bytes, str, bool, None, float, list, dict with int keys, Tag, Simple

MAX_DEPTH = 16


@dataclass(frozen=True)
class Tag:
    """A tagged item."""

    number: int
    value: Raw


@dataclass(frozen=True)
class Simple:
    """A simple value that no form uses."""

    number: int


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
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise Problem("malformed", "the CBOR ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def item(self, depth: int) -> Raw:
        if depth > MAX_DEPTH:
            raise Problem("malformed", "nested too deeply")
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if info > 27:
            raise Problem("malformed", "an indefinite length, or what no CBOR has")
        argument = info if info < 24 else int.from_bytes(self._take(1 << info - 24))
        if major == 7:
            return self._simple(info, argument)
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return self._take(argument)
        if major == 3:
            return _text(self._take(argument))
        if major == 4:
            return [self.item(depth + 1) for _ in range(argument)]
        if major == 5:
            return self._map([self.item(depth + 1) for _ in range(2 * argument)])
        return Tag(argument, self.item(depth + 1))

    @staticmethod
    def _map(items: list[Raw]) -> dict[int, Raw]:
        keys = items[::2]
        if not all(type(key) is int for key in keys):
            raise Problem("malformed", "map keys are integers")
        return dict(zip(keys, items[1::2], strict=True))

    @staticmethod
    def _simple(info: int, argument: int) -> Raw:
        if info in (25, 26, 27):
            form = {25: ">e", 26: ">f", 27: ">d"}[info]
            return struct.unpack(form, argument.to_bytes(struct.calcsize(form)))[0]
        if info == 24 and argument < 32:
            raise Problem("malformed", "a simple value in two bytes")
        return {20: False, 21: True, 22: None}.get(argument, Simple(argument))


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Problem("malformed", "text that is not UTF-8") from None
