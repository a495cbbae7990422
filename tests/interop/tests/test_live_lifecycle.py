"""The real relay follows a chain through all kinds of entries, and refuses what the client refuses. Skipped without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest
import test_lifecycle
from family import Family, three_approvers
from test_lifecycle_rules import (  # noqa: F401 - run here again, with a relay that listens
    test_a_closing_stands_until_something_ends_it,
    test_a_closing_that_ended_with_a_role_stays_ended_when_the_role_is_given_back, test_approvals_that_do_not_count,
    test_every_kind_asks_first_for_its_place_and_its_signer, test_refusals_of_admit, test_refusals_of_change_policy,
    test_refusals_of_leave_and_change_role, test_refusals_of_remove, test_refusals_of_rotations, test_refusals_of_settle,
    test_where_several_decide_only_the_recovery_device_brings_another,
)
from test_live_attacks import Wire, code, pytestmark, url, wire  # noqa: F401 - fixtures

from countersign_client.entries import Entry
from countersign_client.forms import Signed
from countersign_client.messages import HEAL
from countersign_client.roster import Roster

SEEDS = count(5000)  # a relay takes each sync code once


@dataclass
class LiveFamily(Family):
    """A family whose every entry a relay takes as well, and of whose refused ones it says the same."""

    wire: Wire | None = None

    def add(self, entry: Signed[Entry]) -> Roster:
        roster = super().add(entry)
        answer = self.wire.append(entry, HEAL) if roster.seq else self.wire.post("/v1/chains", entry.raw)
        assert code(answer) == "ok", answer.text
        return roster

    def heard(self, entry: Signed[Entry], refusal: str) -> None:
        """A relay asks for the chain and the first signer before it asks for the place."""
        known = entry.body.chain == self.roster.chain and entry.signer in self.roster.members
        if entry.body.chain is not None:  # a second founding has a route of its own
            assert code(self.wire.append(entry, HEAL)) == (refusal if known else "not-a-member")


@pytest.fixture
def family(wire: Wire) -> Iterator[Family]:  # noqa: F811
    return three_approvers(LiveFamily(next(SEEDS), wire=wire))


@pytest.mark.parametrize("number", range(4))
def test_a_chain_of_all_kinds(wire: Wire, number: int, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(test_lifecycle, "Family", lambda seed: LiveFamily(seed, wire=wire))
    test_lifecycle.test_a_chain_of_all_kinds(number)
