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


def gives_way(pinned: Roster, settle: Signed[Entry]) -> None:
    """Whether a log gives way to a verified branch that has this settle: else the first code of the page's order.

    It is asked of the branch that is abandoned, by whoever stands on it. By its own rules a branch settles upon whatever it likes.
    """
    body = settle.body.body
    if not isinstance(body, Settle):
        raise Problem("not-abandoned", "no settle")
    hears(pinned, settle.signer, *(open_form(Approval, form).signer for form in body.approvals))


def hears(roster: Roster, signer: bytes, *agreed: bytes) -> None:
    """Whether these have a voice on a branch, and are enough there."""
    if signer not in roster.members:
        raise Problem("not-a-member")
    if roster.role(signer) != APPROVER:
        raise Problem("not-an-approver")
    if roster.closed:
        raise Problem("chain-closed")
    if len(agreed) < roster.policy.highest_quorum - 1:
        raise Problem("quorum", "fewer than this branch asks for")
    if any(roster.role(device) != APPROVER for device in agreed):
        raise Problem("approval-void", "no approver of this branch")


def goes_on_beside(pinned: Roster, other: Roster, own: bytes, first: bytes) -> bool:
    """Whether a log goes on although it gives way: both branches settled upon each other, each hears the other, and it begins with the
    smaller hash of the two first entries, `own` and `first`."""
    voices = dict(pinned.abandoned).get(first)
    if voices is None or own > first:
        return False
    try:
        hears(other, *voices)
    except Problem:
        return False
    return True


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
                gives_way(pinned, entry)
            except Problem:
                continue
            if not goes_on_beside(pinned, roster, mine[common], entries[common].hash):
                return roster, common
    raise Problem("fork", "the branch that is shown settles nothing here")
