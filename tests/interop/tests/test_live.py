"""The flows of run_live.py, one test each. Skipped without the real programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import run_live


@pytest.mark.skipif(not run_live.programs(), reason="COUNTERSIGN_RELAY and COUNTERSIGN_AGENT are not set")
@pytest.mark.parametrize("flow", run_live.FLOWS, ids=lambda flow: flow.__name__)
def test_live(flow: Callable[[], None]) -> None:
    flow()
