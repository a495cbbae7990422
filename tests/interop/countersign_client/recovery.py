"""The holder of recovery words: nothing else is left, and the relay is asked which chain they belong to."""

from __future__ import annotations

from .code import RecoveryCode
from .entries import Entry
from .forms import Signed, open_form
from .http import Relay
from .keyring import Keyring
from .log import apply
from .messages import LogPage, Whereabouts
from .policy import RECOVERY
from .problems import Problem
from .roster import Roster


def whereabouts(relay: Relay, words: RecoveryCode) -> Whereabouts:
    """The chain of a recovery device, by its signing key."""
    return relay.get(f"/v1/keys/{words.signing.public.hex()}", words.signing, Whereabouts)


def take_up(relay: Relay, words: RecoveryCode) -> tuple[Roster, Keyring]:
    """Everything that the page requires before the words are used: the log from its founding on, and every key."""
    told = whereabouts(relay, words)
    roster: Roster | None = None
    while roster is None or roster.seq < told.seq:
        after = "" if roster is None else f"?after={roster.seq}"
        page = relay.get(f"/v1/chains/{told.chain.hex()}/log{after}", words.signing, LogPage)
        if not page.entries:
            raise Problem("incomplete", "the relay shows less than the whole log")
        for raw in page.entries:
            entry: Signed[Entry] = open_form(Entry, raw)
            roster = apply(roster, entry)
    if roster.chain != told.chain or told.head not in roster.positions:
        raise Problem("other-chain", "the log is not the one that the relay named")
    device = roster.members.get(words.signing.public)
    if device is None or (device.role, device.sealing) != (RECOVERY, words.sealing.public):
        raise Problem("not-a-member", "the log has another recovery device")
    keyring = Keyring.of(roster, words.signing.public, words.sealing, None)
    keyring.current(roster)
    return roster, keyring
