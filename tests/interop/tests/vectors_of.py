"""Reads docs/vectors so that nothing is passed over: every list, every case, every member of every case."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from countersign_client.problems import Problem

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "vectors"
_FOR_PEOPLE = {"name", "comment"}

# Where signed forms stand that cases name: the file, and its member.
NAMED = [("logs", "entries"), ("epochs", "entries"), ("records", "entries"), ("records", "records"), ("rounds", "entries"), ("rounds", "forms"), ("resets", "entries"), ("resets", "resets")]


def load(name: str) -> dict[str, Any]:
    """One file of the vectors."""
    return json.loads((FOLDER / f"{name}.json").read_text())


class Case:
    """One case. It knows which of its members nobody has asked for."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self.members = members
        self._unread = set(members) - _FOR_PEOPLE

    def __getitem__(self, member: str) -> Any:
        self._unread.discard(member)
        return self.members[member]

    def get(self, member: str) -> Any:
        """A member that may be missing."""
        return self[member] if member in self.members else None

    def bytes(self, member: str) -> bytes:
        """A member that is bytes."""
        return bytes.fromhex(self[member])

    def end(self) -> None:
        """Every member was asked for."""
        assert not self._unread, f"nobody looked at {sorted(self._unread)}"


Check = Callable[[dict[str, Any], Case], None]


def visit(name: str, beside: set[str], checks: Mapping[str, Check]) -> int:
    """Checks every case of every list, and says how many there were. All failures are told at once."""
    document = load(name)
    lists = {member for member, value in document.items() if isinstance(value, list)}
    assert lists == checks.keys(), f"lists that nobody checks, or that are not there: {lists ^ checks.keys()}"
    assert document.keys() - lists == beside | {"about"}
    visited, failures = 0, []
    for member, check in checks.items():
        names = [case["name"] for case in document[member] if "name" in case]
        assert len(names) == len(set(names)) and document[member], member
        for case in document[member]:
            visited += 1
            reading = Case(case)
            try:
                check(document, reading)
                reading.end()
            except (AssertionError, Problem, KeyError, TypeError, ValueError) as error:
                failures.append(f"{member}: {case.get('name', case)}: {type(error).__name__} {error}")
    assert not failures, "\n".join([f"{len(failures)} of {visited}", *failures])
    assert visited == sum(len(document[member]) for member in lists)
    return visited


def refusal(action: Callable[[], Any]) -> str | None:
    """The code that something is refused with, or None."""
    try:
        action()
    except Problem as problem:
        return problem.code
    return None
