"""Values that travel as a map whose keys count the fields from 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, Self

from .cbor import Raw
from .shape import a_list, a_map, field, maybe

Read = Callable[[Raw], Any]


def many(read: Read, most: int | None = None, least: int = 0) -> Read:
    """An array of one kind."""
    return lambda raw: tuple(read(item) for item in a_list(raw, most=most, least=least))


def to_raw(value: Any) -> Raw:
    """A field's value, or an array of them."""
    if isinstance(value, tuple):
        return [to_raw(item) for item in value]
    return value.to_raw() if hasattr(value, "to_raw") else value


class Wire:
    """A dataclass that travels as a map: field n under key n, absent where it is None and may be."""

    READS: ClassVar[tuple[Read, ...]]
    OPTIONAL: ClassVar[frozenset[int]] = frozenset()

    def to_raw(self) -> Raw:
        values = [getattr(self, item.name) for item in fields(self)]  # type: ignore[arg-type]
        return {key: to_raw(value) for key, value in enumerate(values) if value is not None}

    @classmethod
    def from_raw(cls, raw: Raw) -> Self:
        found = a_map(raw)
        return cls(*((maybe if key in cls.OPTIONAL else field)(found, key, read) for key, read in enumerate(cls.READS)))
