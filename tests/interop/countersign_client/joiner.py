"""The joining device: asks with the code, shows the check codes, and believes only what the page lets it believe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from . import cbor
from .code import EpochKey, SyncCode
from .entries import Admit, Description, Entry
from .forms import Device, JoinRequest, Nonce, Signed, Withdrawal, open_form, sign_form
from .http import Relay
from .keyring import Keyring, checked
from .keys import SealingKey, SigningKey, sha256, u64
from .log import apply
from .member import milliseconds
from .messages import ADMITTED, EXPIRED, WITHDRAWN, Ask, LogPage, Standing
from .policy import TYPED
from .problems import Alarm, Problem
from .roster import Roster
from .rounds import JoinerRounds, commitment_before
from .seal import open_sealed, wrap
from .socket import Session, Whom
from .store import JoinState, State, Store

AGENT = "countersign-client-py/1"


def describe(name: str) -> Description:
    """This device, in its own words."""
    return Description(name, sys.platform, AGENT)


def description_place(device: Device) -> bytes:
    """What a description beside a request is bound to."""
    return b"countersign/v1/description" + device.signing


def welcome_info(chain: bytes, request: bytes, signer: bytes, epoch: int) -> bytes:
    """What a welcome is bound to."""
    return b"countersign/v1/welcome" + chain + request + signer + u64(epoch)


def ask(
    code: SyncCode, signing: SigningKey, sealing: SealingKey, description: Description, now: int,
    secret: bytes | None = None,
) -> JoinState:
    """A fresh request with everything that the joiner must keep."""
    device = Device(signing.public, sealing.public)
    sealed = wrap(code.description_key, description.encoded(), description_place(device))
    secret = secret or JoinerRounds.draw()
    request = JoinRequest(code.join_key.public, device, sha256(sealed), commitment_before(secret, 8), now)
    return JoinState(sign_form(request, signing, code.join_key).raw, sealed, secret, (), False)


@dataclass(frozen=True)
class Joined:
    """A log that this device believes, the key that its welcome opened, and all that this key opens."""

    roster: Roster
    epoch_key: EpochKey
    keyring: Keyring


def believe(
    entries: tuple[bytes, ...], request: Signed[JoinRequest], code: SyncCode, sealing: SealingKey,
    showed_code_for: Set[bytes], accepts: Set[int] = frozenset({TYPED}),
) -> Joined:
    """Everything that a joiner requires before it believes that it is a member: else an Alarm.

    The join key and the sync code are asked for as of its own admission: what changed them later is followed as by any member.
    """
    roster: Roster | None = None
    mine: tuple[Signed[Entry], Admit, Roster] | None = None
    for raw in entries:
        entry = open_form(Entry, raw)
        roster = apply(roster, entry)
        if isinstance(entry.body.body, Admit) and _admits(entry.body.body, request):
            mine = entry, entry.body.body, roster
    if roster is None or mine is None or request.body.device.signing not in roster.members:
        raise Alarm("not-admitted", "the log does not admit this device")
    entry, admit, then = mine
    if then.join_key != code.join_key.public:
        raise Alarm("other-join-key", "the log has another join key")
    if open_form(JoinRequest, admit.request).hash != request.hash or request.body.device.sealing != sealing.public:
        raise Alarm("other-keys", "admitted with another request, or with keys that are not its own")
    if admit.how not in accepts:
        raise Alarm("not-the-approver", "admitted in a way that this device does not accept")
    if admit.how == TYPED and entry.signer not in showed_code_for:
        raise Alarm("not-the-approver", "admitted by a device whose code was never shown")
    epoch_key = open_welcome(roster, entry, admit, request, sealing)
    device = request.body.device.signing
    if Keyring.of(then, device, sealing, epoch_key).code != code:
        raise Alarm("other-sync-code", "the sync code in the log is another")
    return Joined(roster, epoch_key, Keyring.of(roster, device, sealing, epoch_key))


def open_welcome(
    roster: Roster, entry: Signed[Entry], admit: Admit, request: Signed[JoinRequest], sealing: SealingKey
) -> EpochKey:
    """The epoch key that an admission gives."""
    info = welcome_info(roster.chain, request.hash, entry.signer, admit.epoch)
    return checked(roster, EpochKey(open_sealed(sealing.private, admit.welcome, info, entry.body.prev or b""), admit.epoch))


def _admits(admit: Admit, request: Signed[JoinRequest]) -> bool:
    """Whether an admit is of this device."""
    return open_form(JoinRequest, admit.request).body.device.signing == request.body.device.signing


class Joiner:
    """A join under way, over its store."""

    def __init__(self, store: Store, relay: Relay, join: JoinState) -> None:
        self._store = store
        self._relay = relay
        self._join = join
        self._request = open_form(JoinRequest, join.request)
        answered = [open_form(Nonce, raw) for raw in join.nonces]
        self._rounds = JoinerRounds(self._request.hash, join.secret, answered)

    @classmethod
    def start(cls, directory: Path, relay: Relay, code: SyncCode, name: str) -> Joiner:
        """A new device with a request of its own, stored but not sent. An unfinished join goes on."""
        if (directory / "state.cbor").exists():
            store = Store.load(directory)
            if store.state.join is None or store.state.epoch_key is not None:
                raise Problem("exists", "this device has joined already")
            return cls(store, relay, store.state.join)
        signing, sealing = SigningKey.random(), SealingKey.random()
        join = ask(code, signing, sealing, describe(name), milliseconds())
        state = State(relay.origin, signing.seed, sealing.private, code.secret, join)
        return cls(Store.create(directory, state), relay, join)

    def run(self, show: Callable[[int, str], None]) -> bytes:
        """Asks, answers the rounds, and is a member when it returns the chain."""
        if self._join.ended:
            raise Alarm("request-closed", "this join is over")
        body = cbor.encode(Ask(self._join.request, self._join.description).to_raw())
        standing = self._relay.post("/v1/requests", body, Standing)
        for nonce in self._rounds.answered:
            self._reveal(nonce, show)
        while not self._admitted(standing, show):
            try:
                with Session(self._relay.origin, self._store.state.signing, Whom(request=self._request.hash)) as session:
                    while not self._admitted(standing, show):
                        push = session.receive()
                        standing = push if isinstance(push, Standing) else standing
            except Problem as problem:
                if problem.code != "closed":
                    raise
                time.sleep(0.5)
                standing = self._ask_standing()
        return self._finish()

    def withdraw(self) -> Standing:
        """Takes the request back, and ends the join on this device."""
        self._join.ended = True
        self._store.save()
        form = sign_form(Withdrawal(self._request.hash), self._store.state.signing)
        return self._relay.post("/v1/withdrawals", form.raw, Standing)

    def _ask_standing(self) -> Standing:
        return self._relay.get(f"/v1/requests/{self._request.hash.hex()}", self._store.state.signing, Standing)

    def _admitted(self, standing: Standing, show: Callable[[int, str], None]) -> bool:
        if standing.request != self._request.hash:
            raise Problem("malformed", "the standing of another request")
        for raw in standing.nonces:
            self._answer(open_form(Nonce, raw), raw, show)
        if standing.state in (EXPIRED, WITHDRAWN):
            raise Problem("expired", "the request has ended")
        return standing.state == ADMITTED

    def _answer(self, nonce: Signed[Nonce], raw: bytes, show: Callable[[int, str], None]) -> None:
        try:
            if not self._rounds.take(nonce):
                return
        except Alarm:
            self._join.ended = True
            self._store.save()
            raise
        self._join.nonces += (raw,)
        self._store.save()
        self._reveal(nonce, show)

    def _reveal(self, nonce: Signed[Nonce], show: Callable[[int, str], None]) -> None:
        reveal = sign_form(self._rounds.reveal(nonce), self._store.state.signing)
        self._relay.post_for_nothing("/v1/reveals", reveal.raw)
        show(nonce.body.round, self._rounds.code(nonce))

    def _finish(self) -> bytes:
        if not self._rounds.answered:
            raise Alarm("not-the-approver", "admitted without a code shown")
        state = self._store.state
        chain = self._rounds.answered[0].body.chain
        entries = self._whole_log(chain)
        showed = {nonce.signer for nonce in self._rounds.answered}
        joined = believe(entries, self._request, state.code, state.sealing, showed)
        if joined.roster.chain != chain:
            raise Alarm("second-chain", "the log of another chain")
        state.entries = entries
        state.epoch_key = joined.epoch_key.secret
        self._store.save()
        return chain

    def _whole_log(self, chain: bytes) -> tuple[bytes, ...]:
        entries: tuple[bytes, ...] = ()
        while True:
            query = f"?after={len(entries) - 1}" if entries else ""
            path = f"/v1/chains/{chain.hex()}/log{query}"
            page = self._relay.get(path, self._store.state.signing, LogPage)
            entries += page.entries
            if not page.entries or len(entries) > page.seq:
                return entries
