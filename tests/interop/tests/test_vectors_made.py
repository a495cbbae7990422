"""What this implementation makes of the inputs of docs/vectors is, byte for byte, what the files have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vectors_of import FOLDER, load

from countersign_client import vectors

MADE = vectors.everything(FOLDER)
# Lists of which nothing can be made: a text is typed or not, a reveal answers or not.
JUDGED = {("rounds", "reveals"), ("rounds", "typed")}


def good(name: str, case: dict[str, Any]) -> bool:
    if name == "records":
        return "items" in case and vectors.is_written(case)
    return case.get("error") is None


def test_every_file_is_made() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(vectors.FILES) == MADE.keys()


@pytest.mark.parametrize("name", vectors.FILES)
def test_the_same_bytes(name: str) -> None:
    document = load(name)
    for member, cases in document.items():
        if not isinstance(cases, list) or (name, member) in JUDGED:
            continue
        wanted = [case for case in cases if good(name, case)]
        made = MADE[name][member]
        assert made == wanted and made, member
    for member in ("entries", "records", "forms", "resets"):
        if member in MADE[name]:
            assert MADE[name][member].items() <= document[member].items()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["vectors", str(FOLDER), str(tmp_path / "made")])
    vectors.main()
    assert {path.stem: json.loads(path.read_text()) for path in (tmp_path / "made").iterdir()} == MADE
