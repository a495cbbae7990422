"""Nothing in the vectors is passed over: whatever is added or changed makes the checks fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import test_vectors_derivations
import test_vectors_flows
import test_vectors_forms
import vectors_of

CHANGES: list[tuple[Callable[[], object], str, Callable[[dict[str, Any]], object]]] = [
    (test_vectors_forms.test_forms, "a list that nobody knows", lambda d: d.update(more=[{"name": "x"}])),
    (test_vectors_forms.test_forms, "a list that is gone", lambda d: d.pop("cases")),
    (test_vectors_forms.test_forms, "a list that is empty", lambda d: d["cases"].clear()),
    (test_vectors_forms.test_forms, "a member that nobody knows", lambda d: d["cases"][0].update(more=1)),
    (test_vectors_forms.test_forms, "two cases of one name", lambda d: d["cases"].append(d["cases"][0])),
    (test_vectors_forms.test_forms, "another code", lambda d: d["cases"][-1].update(error="bad-field")),
    (test_vectors_forms.test_forms, "a good case called bad", lambda d: d["cases"][0].update(error="malformed")),
    (test_vectors_forms.test_forms, "another field", lambda d: d["cases"][0]["fields"].update(at=1)),
    (test_vectors_forms.test_forms, "another hash", lambda d: d["cases"][0].update(hash="00" * 32)),
    (test_vectors_forms.test_logs, "another place", lambda d: d["cases"][-1].update(index=0)),
    (test_vectors_forms.test_logs, "another roster", lambda d: d["cases"][0]["roster"].update(seq=1)),
    (test_vectors_derivations.test_sealing, "another plaintext", lambda d: d["cases"][0].update(plaintext="00")),
    (test_vectors_flows.test_records, "another item", lambda d: d["cases"][0]["items"][0].update(value="00")),
    (test_vectors_flows.test_resets, "another code", lambda d: d["cases"][-1].update(error="reset-over")),
    (test_vectors_flows.test_resets, "another wait", lambda d: d["cases"][4].update(least_s=1)),
    (test_vectors_flows.test_rounds, "another code", lambda d: d["answers"][0]["answers"][0].update(check_code="000000")),
    (test_vectors_flows.test_reads, "another base", lambda d: d["cases"][0].update(base="x")),
    (test_vectors_flows.test_messages, "another field", lambda d: d["cases"][0]["fields"].update(purpose=1)),
]


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[what for _, what, _ in CHANGES])
def test_noticed(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check, _, change = CHANGES[number]
    read = vectors_of.load

    def changed(name: str) -> dict[str, Any]:
        document = read(name)
        if name == check.__name__.removeprefix("test_"):
            change(document)
        return document

    monkeypatch.setattr(vectors_of, "load", changed)
    with pytest.raises(AssertionError):
        check()
