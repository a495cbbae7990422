"""Resets: the sync code alone ends a chain at its relay, unless a member stops it in time."""

from __future__ import annotations

from .code import SyncCode
from .forms import Reset, Signed, open_form, sign_form
from .http import Relay
from .messages import ChainOfKey, ResetStanding
from .problems import Alarm, Problem
from .roster import Roster


def check_reset(roster: Roster, reset: Signed[Reset], stands: Signed[Reset] | None = None, left: int | None = None) -> None:
    """Whether a relay with this log, where perhaps one stands that waits `left` seconds, takes a reset: else the first code of the page's order."""
    body = reset.body
    if body.chain != roster.chain or reset.signer != roster.join_key:
        raise Problem("not-a-member")
    if roster.closed:
        raise Problem("chain-closed")
    if reset.hash in roster.vetoed_resets:
        raise Problem("reset-over")
    if stands and stands.hash == reset.hash:
        return
    head = roster.positions.get(body.head)
    if head is None:
        raise Problem("unknown-head")
    if head.seq < roster.policy_since:
        raise Problem("stale-terms")
    if body.wait < roster.policy.reset_delay:
        raise Problem("wait-too-short", f"{roster.policy.reset_delay} seconds at least")
    if stands and body.wait >= (stands.body.wait if left is None else left):
        raise Problem("reset-stands")


def chain_of(relay: Relay, code: SyncCode) -> ChainOfKey:
    """What the holder of a sync code must know before it signs a reset."""
    key = code.join_key
    return relay.get(f"/v1/join-keys/{key.public.hex()}", key, ChainOfKey)


def sign_reset(code: SyncCode, terms: ChainOfKey, wait: int | None = None) -> Signed[Reset]:
    """A reset that waits as long as its chain's policy asks for, or as long as is said."""
    return sign_form(Reset(terms.chain, terms.head, terms.wait if wait is None else wait), code.join_key)


def told_of(roster: Roster, standing: ResetStanding) -> Signed[Reset]:
    """The reset that a relay tells a member of. One that the current sync code did not sign stands in nobody's log."""
    reset = open_form(Reset, standing.reset)
    if reset.body.chain != roster.chain or reset.signer != roster.join_key:
        raise Alarm("lie", "the relay tells of a reset that the sync code did not sign")
    return reset
