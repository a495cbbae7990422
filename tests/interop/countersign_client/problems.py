"""Refusals, named by the codes of the page."""

from __future__ import annotations


class Problem(Exception):
    """A refusal. `code` is one of the page's problem codes, `place` what it is about, if it is one of several."""

    def __init__(self, code: str, detail: str = "", place: int | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.place = place


class Alarm(Problem):
    """A refusal that a person must hear about: a fork, an ended join, a chain that is not ours."""
