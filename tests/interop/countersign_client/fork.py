"""How a fork ends: of two branches one is abandoned, and whoever stands on it asks who says so."""

from __future__ import annotations

from .approval import Approval
from .changes import Settle
from .entries import Entry
from .forms import Signed, open_form
from .log import apply
from .policy import APPROVER
from .problems import Problem
from .roster import Roster


def gives_way(pinned: Roster, settle: Signed[Entry], other: bytes) -> None:
    """Whether a log gives way to a verified branch that begins with `other` and has this settle: else the first code of the page's order.

    It is asked of the branch that is abandoned, by whoever stands on it. By its own rules a branch settles upon whatever it likes.
    """
    body = settle.body.body
    if not isinstance(body, Settle):
        raise Problem("not-abandoned", "no settle")
    if settle.signer not in pinned.members:
        raise Problem("not-a-member")
    if pinned.role(settle.signer) != APPROVER:
        raise Problem("not-an-approver")
    if pinned.closed:
        raise Problem("chain-closed")
    if len(body.approvals) < pinned.policy.highest_quorum - 1:
        raise Problem("quorum", "fewer than this branch asks for")
    if any(pinned.role(open_form(Approval, form).signer) != APPROVER for form in body.approvals):
        raise Problem("approval-void", "no approver of this branch")
    # Of two branches that settled upon each other everybody follows the one that begins with the smaller hash.
    if other in pinned.abandoned and body.abandoned < other:
        raise Problem("not-abandoned", "this branch settled upon the other one, and goes on")


def gone_over(pinned: Roster, own: tuple[bytes, ...], shown: tuple[bytes, ...]) -> tuple[Roster, int]:
    """The roster of another branch that a device goes over to, and how many entries both have: else `fork`.

    `own` is the pinned log from `found` on, and `shown` the whole log that another branch is part of.
    """
    entries = [open_form(Entry, raw) for raw in shown]
    mine = [open_form(Entry, raw).hash for raw in own]
    common = next((at for at, entry in enumerate(entries[: len(mine)]) if entry.hash != mine[at]), len(entries))
    if not 0 < common < min(len(mine), len(entries)):
        raise Problem("fork", "no other branch of this chain")
    roster: Roster | None = None
    for entry in entries:
        roster = apply(roster, entry)
    assert roster is not None
    for entry in entries[common:]:
        body = entry.body.body
        if isinstance(body, Settle) and body.abandoned == mine[common]:
            try:
                gives_way(pinned, entry, entries[common].hash)
            except Problem:
                continue
            return roster, common
    raise Problem("fork", "the branch that is shown settles nothing here")
