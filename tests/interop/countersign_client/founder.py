"""The founding device, and what any approver does: founds a chain, approves a joiner by a typed code."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .code import EpochKey, SyncCode
from .entries import WRONG_CODE, Admit, Deny, Description, Entry, Found
from .forms import Device, JoinRequest, Nonce, Signed, open_form, sign_form
from .http import Relay
from .joiner import describe, description_place, welcome_info
from .keyring import recovery_info, wrapped_description_place
from .keys import SealingKey, SigningKey, sha256
from .lifecycle import Approvals, Author, Brought, NewRecovery, in_order
from .member import Member, milliseconds
from .messages import NEW, Appended, OpenRequest
from .policy import TYPED, Policy
from .problems import Alarm, Problem
from .roster import Roster
from .rounds import ApproverRounds, Prompt, check_code, open_reveal
from .seal import seal_to, unwrap, wrap
from .store import PromptState, State, Store, WrongState

POLICY = Policy(
    ways=(TYPED,),
    quorums=(1, 1, 1, 1),
    request_lifetime=900,
    most_members=32,
    closing_delay=604_800,
    reset_delay=604_800,
)
_PAUSE = 0.5
_APPEND_TRIES = 5


def found_entry(
    code: SyncCode, epoch_key: EpochKey, name_key: bytes, founder: SigningKey, sealing: SealingKey,
    description: Description, now: int, policy: Policy = POLICY, recovery: NewRecovery | None = None,
) -> Signed[Entry]:
    """The first entry of a chain."""
    join_key = code.join_key.public
    device = Device(founder.public, sealing.public)
    wrapping = epoch_key.wrap_key
    found = Found(
        founder=device,
        join_key=join_key,
        key_id=epoch_key.key_id,
        description=wrap(wrapping, description.encoded(), wrapped_description_place(join_key, device.signing)),
        name_key=wrap(wrapping, name_key, b"countersign/v1/wrapped-name-key" + join_key),
        sync_code=wrap(wrapping, code.secret, b"countersign/v1/wrapped-sync-code" + join_key),
        policy=policy,
        recovery=_recovery(join_key, epoch_key, recovery) if recovery else None,
    )
    brought = Brought(code, recovery)
    return sign_form(Entry(None, 0, None, now, found), founder, *brought.proof_keys())


def _recovery(join_key: bytes, epoch_key: EpochKey, recovery: NewRecovery) -> tuple[Device, bytes]:
    """The recovery device, and the key of the first epoch sealed to it."""
    info = recovery_info(join_key, recovery.signing.public, epoch_key.epoch)
    return recovery.device, seal_to(recovery.sealing, epoch_key.secret, info, b"")


def admit_entry(
    roster: Roster, request: Signed[JoinRequest], description: bytes, role: int, epoch_key: EpochKey,
    signer: SigningKey, now: int, how: int = TYPED, approvals: Approvals = (), totp_step: int | None = None,
) -> Signed[Entry]:
    """The entry that admits a request at the head of a roster."""
    device = request.body.device
    info = welcome_info(roster.chain, request.hash, signer.public, roster.epoch)
    admit = Admit(
        request=request.raw,
        role=role,
        epoch=roster.epoch,
        how=how,
        description=wrap(epoch_key.wrap_key, description, wrapped_description_place(roster.chain, device.signing)),
        welcome=seal_to(device.sealing, epoch_key.secret, info, roster.head),
        approvals=in_order(approvals),
        totp_step=totp_step,
    )
    return sign_form(Entry(roster.chain, roster.seq + 1, roster.head, now, admit), signer)


def deny_entry(roster: Roster, request: Signed[JoinRequest], reason: int, signer: SigningKey, now: int) -> Signed[Entry]:
    """The entry that refuses a request for good."""
    deny = Deny(request.hash, request.body.device.signing, reason, 0)
    return sign_form(Entry(roster.chain, roster.seq + 1, roster.head, now, deny), signer)


def found(directory: Path, relay: Relay, name: str) -> SyncCode:
    """Founds a chain. The state is stored before anything leaves; a founding that was cut goes on."""
    if (directory / "state.cbor").exists():
        state = Store.load(directory).state
        if state.join is not None:
            raise Problem("exists", "this device has joined a chain")
    else:
        state = _fresh_state(relay, name)
        Store.create(directory, state)
    relay.post("/v1/chains", state.entries[0], Appended)
    return state.code


def _fresh_state(relay: Relay, name: str) -> State:
    signing, sealing, code = SigningKey.random(), SealingKey.random(), SyncCode(os.urandom(32))
    epoch_key, name_key = EpochKey(os.urandom(32), 1), os.urandom(32)
    entry = found_entry(code, epoch_key, name_key, signing, sealing, describe(name), milliseconds())
    state = State(relay.origin, signing.seed, sealing.private, code.secret)
    state.epoch_key, state.entries = epoch_key.secret, (entry.raw,)
    return state


class Approver:
    """A member that admits, by a code that a person types."""

    def __init__(self, member: Member, tell: Callable[[str], None]) -> None:
        self._member = member
        self._tell = tell
        self._state = member.store.state
        prompts = [Prompt(open_form(Nonce, p.nonce), p.join_key, p.at) for p in self._state.prompts]
        wrong = {known.request: known.count for known in self._state.wrong}
        self._rounds = ApproverRounds(prompts, set(self._state.admitted), wrong)

    def approve(self, prefix: str, role: int, typed: Iterable[str]) -> bytes:
        """Opens the oldest open request, compares the code that is typed, and admits. Says which request."""
        if self._state.forked:
            raise Alarm("fork", "there was a fork: membership changes stop on this device")
        self._member.sync_log()
        self._send_kept()
        open_request = self._choose(prefix)
        request, description = self._opened(open_request)
        self._tell(f"request {request.hash.hex()} from {Description.decoded(description).quoted()}")
        nonce, open_request = self._round(request, open_request)
        expected = check_code(self._revealed(request, nonce, open_request), nonce)
        for line in typed:
            if self._compare(request, expected, line):
                self._append(lambda roster: self._admit(roster, request, description, role))
                self._state.admitted += (request.hash,)
                self._member.store.save()
                return request.hash
            self._tell("not the code")
            if self._rounds.must_deny(request.hash):
                self._append(lambda roster: self._deny(roster, request))
                raise Problem("wrong-code", "three wrong codes: the request is denied")
        raise Problem("wrong-code", "no right code was typed")

    def change(self, make: Callable[[Author], Signed[Entry]]) -> None:
        """Appends an entry of any other kind, made again where another one was first."""
        if self._state.forked:
            raise Alarm("fork", "there was a fork: membership changes stop on this device")
        self._member.sync_log()
        self._send_kept()
        self._append(lambda roster: make(Author(roster, self._member.keyring, self._state.signing, milliseconds())))

    def _choose(self, prefix: str) -> OpenRequest:
        requests = [r for r in self._member.open_requests() if open_form(JoinRequest, r.request).hash.hex().startswith(prefix)]
        if not requests:
            raise Problem("no-request", "no open request")
        return min(requests, key=lambda r: r.seen.first)

    def _opened(self, found_open: OpenRequest) -> tuple[Signed[JoinRequest], bytes]:
        request = open_form(JoinRequest, found_open.request)
        if request.body.join_key != self._member.roster.join_key:
            raise Problem("stale-join-key")
        if sha256(found_open.description) != request.body.description_hash:
            raise Problem("bad-field", "not the description that the request names")
        key = self._member.keyring.code.description_key
        return request, unwrap(key, found_open.description, description_place(request.body.device))

    def _round(self, request: Signed[JoinRequest], seen: OpenRequest) -> tuple[Signed[Nonce], OpenRequest]:
        """This device's round: the one that it has, or a new one after those that others have."""
        while True:
            own = self._rounds.own(request.hash)
            nonce = own.nonce if own else self._sign(request, len(seen.rounds) + 1)
            try:
                self._member.relay.post_for_nothing("/v1/nonces", nonce.raw)
                return nonce, seen
            except Problem as problem:
                if problem.code != "round-taken":
                    raise
            seen = self._again(request)
            self._sign(request, len(seen.rounds) + 1)

    def _sign(self, request: Signed[JoinRequest], number: int) -> Signed[Nonce]:
        """Signs a nonce and stores it before it leaves."""
        roster, now = self._member.roster, milliseconds()
        lifetime = roster.policy.request_lifetime * 1000
        self._rounds.may_sign(request.body.join_key, now, lifetime, roster.decided)
        body = Nonce(roster.chain, request.hash, number, roster.head, roster.epoch, os.urandom(32))
        nonce = sign_form(body, self._state.signing)
        self._rounds.prompts.append(Prompt(nonce, request.body.join_key, now))
        self._state.prompts += (PromptState(request.body.join_key, now, nonce.raw),)
        self._member.store.save()
        return nonce

    def _again(self, request: Signed[JoinRequest]) -> OpenRequest:
        for known in self._member.open_requests():
            if open_form(JoinRequest, known.request).hash == request.hash:
                return known
        raise Problem("expired", "the request is no longer open")

    def _revealed(self, request: Signed[JoinRequest], nonce: Signed[Nonce], seen: OpenRequest) -> bytes:
        """Waits for the reveal of this round."""
        while True:
            for known in seen.rounds:
                if known.reveal is not None and open_form(Nonce, known.nonce).hash == nonce.hash:
                    return open_reveal(request, nonce, known.reveal).body.commitment
            time.sleep(_PAUSE)
            seen = self._again(request)

    def _compare(self, request: Signed[JoinRequest], expected: str, line: str) -> bool:
        right = self._rounds.compare(request.hash, expected, line)
        self._state.wrong = tuple(WrongState(known, count) for known, count in self._rounds.wrong.items())
        self._member.store.save()
        return right

    def _admit(self, roster: Roster, request: Signed[JoinRequest], description: bytes, role: int) -> Signed[Entry]:
        key = self._member.keyring.current(roster)
        said = Description.decoded(description).without_code().encoded()
        return admit_entry(roster, request, said, role, key, self._state.signing, milliseconds())

    def _deny(self, roster: Roster, request: Signed[JoinRequest]) -> Signed[Entry]:
        return deny_entry(roster, request, WRONG_CODE, self._state.signing, milliseconds())

    def _append(self, make: Callable[[Roster], Signed[Entry]]) -> None:
        """Appends at the head. An entry is made again only when another one holds its place."""
        for _ in range(_APPEND_TRIES):
            self._keep(make(self._member.roster).raw)
            if self._send_kept():
                return
        raise Problem("head-moved", "the log keeps moving")

    def _keep(self, entry: bytes | None) -> None:
        self._state.appending = entry
        self._member.store.save()

    def _send_kept(self) -> bool:
        """Repeats the entry that this device signed, with the same bytes, until it or another stands in its place."""
        if (raw := self._state.appending) is None:
            return False
        entry = open_form(Entry, raw)
        for _ in range(_APPEND_TRIES):
            try:
                self._member.append((raw,), NEW)
            except Problem as problem:
                if problem.code == "unreachable":
                    raise
                if problem.code != "head-moved":
                    self._keep(None)
                    raise
            self._member.sync_log()
            if entry.hash in self._member.roster.positions or self._member.roster.seq >= entry.body.seq:
                self._keep(None)
                return entry.hash in self._member.roster.positions
        raise Problem("head-moved", "the relay refuses the entry and shows no other")
