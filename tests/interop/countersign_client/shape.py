"""Small readers of decoded CBOR. Each refuses with `malformed`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .cbor import Map, Raw
from .problems import Problem

T = TypeVar("T")


def a_map(raw: Raw) -> dict[int, Raw]:
    """A map."""
    if not isinstance(raw, dict):
        raise Problem("malformed", "not a map")
    return raw


def a_list(raw: Raw, exactly: int | None = None, least: int = 0, most: int | None = None) -> list[Raw]:
    """An array, of a length if one is asked for."""
    if type(raw) is not list or len(raw) < least or exactly not in (None, len(raw)) or len(raw) > (most or len(raw)):
        raise Problem("malformed", "not the array that belongs here")
    return raw


def a_uint(raw: Raw) -> int:
    """An unsigned integer."""
    if type(raw) is not int or raw < 0:
        raise Problem("malformed", "not an unsigned integer")
    return raw


def a_bool(raw: Raw) -> bool:
    """A truth value."""
    if type(raw) is not bool:
        raise Problem("malformed", "not a truth value")
    return raw


def a_bytes(raw: Raw) -> bytes:
    """A byte string."""
    if type(raw) is not bytes:
        raise Problem("malformed", "not a byte string")
    return raw


def a_text(raw: Raw) -> str:
    """A text string."""
    if type(raw) is not str:
        raise Problem("malformed", "not a text")
    return raw


def an_id(raw: Raw) -> bytes:
    """32 bytes."""
    if len(value := a_bytes(raw)) != 32:
        raise Problem("malformed", "not 32 bytes")
    return value


def field(fields: dict[int, Raw], key: int, read: Callable[[Raw], T]) -> T:
    """A field that must be there. One that stands twice is read twice, and found by its encoding."""
    if key not in fields:
        raise Problem("malformed", f"key {key} is missing")
    for again, value in fields.repeated if isinstance(fields, Map) else ():
        if again == key:
            read(value)
    return read(fields[key])


def maybe(fields: dict[int, Raw], key: int, read: Callable[[Raw], T]) -> T | None:
    """A field that may be there. One that is null is read as absent, and found by its encoding."""
    return None if fields.get(key) is None else field(fields, key, read)


def up_to(most: int) -> Callable[[Raw], int]:
    """A number of an enumeration that counts from 0, or one that fits into so many bits."""

    def read(raw: Raw) -> int:
        if (value := a_uint(raw)) > most:
            raise Problem("malformed", f"{value}, at most {most}")
        return value

    return read


a_u8 = up_to(0xFF)
a_u32 = up_to(0xFFFF_FFFF)


def present(fields: dict[int, Raw]) -> dict[int, Raw]:
    """A map without its absent fields."""
    return {key: value for key, value in fields.items() if value is not None}
