"""The rounds of a join: commitments, the check code, and what each side holds itself to."""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field

from .forms import JoinRequest, Nonce, Reveal, Signed, open_form
from .keys import hkdf, sha256
from .problems import Alarm, Problem

MOST_ROUNDS = 8
_NONCES_A_DAY = 5
_OPEN_ROUNDS = 3
WRONG_CODES = 3
_DAY = 86_400_000


def commitment_before(value: bytes, steps: int) -> bytes:
    """c of `steps` rounds earlier."""
    for _ in range(steps):
        value = sha256(b"countersign/v1/commitment" + value)
    return value


def check_code(commitment: bytes, nonce: Signed[Nonce]) -> str:
    """Six digits that depend on both sides and on every byte of the nonce form."""
    info = b"countersign/v1/check-code" + nonce.body.request + nonce.hash
    number = int.from_bytes(hkdf(commitment + nonce.body.nonce, info)[:8])
    return f"{number % 1_000_000:06}"


def typed_code(text: str) -> str | None:
    """The digits of a text that somebody typed, if it is a code: six of ASCII, spaces and hyphens aside."""
    digits = "".join(text.split()).replace("-", "")
    return digits if re.fullmatch("[0-9]{6}", digits) else None


def spaced(code: str) -> str:
    """A code as a person reads it."""
    return f"{code[:3]} {code[3:]}"


@dataclass
class JoinerRounds:
    """The joiner's side: one nonce per round, ever, in order, of one chain."""

    request: bytes
    secret: bytes
    answered: list[Signed[Nonce]] = field(default_factory=list)

    @staticmethod
    def draw() -> bytes:
        """c₈ at random."""
        return os.urandom(32)

    def commitment(self, number: int) -> bytes:
        """c of a round."""
        return commitment_before(self.secret, MOST_ROUNDS - number)

    def take(self, nonce: Signed[Nonce]) -> bool:
        """Whether this nonce is now to be answered. A second nonce in a round, or a second chain, is an Alarm."""
        if nonce.body.request != self.request:
            raise Problem("other-request")
        if self.answered and nonce.body.chain != self.answered[0].body.chain:
            raise Alarm("second-chain", "a nonce from a second chain: this join is over")
        if nonce.body.round <= len(self.answered):
            if nonce.hash != self.answered[nonce.body.round - 1].hash:
                raise Alarm("second-nonce", "a second nonce in a round: this join is over")
            return False
        if nonce.body.round != len(self.answered) + 1:
            raise Alarm("round-taken", "a nonce out of order: this join is over")
        self.answered.append(nonce)
        return True

    def reveal(self, nonce: Signed[Nonce]) -> Reveal:
        return Reveal(self.request, nonce.hash, self.commitment(nonce.body.round))

    def code(self, nonce: Signed[Nonce]) -> str:
        return check_code(self.commitment(nonce.body.round), nonce)


def open_reveal(request: Signed[JoinRequest], nonce: Signed[Nonce], data: bytes) -> Signed[Reveal]:
    """A reveal that answers this nonce of this request with the value that was committed."""
    reveal = open_form(Reveal, data)
    if not request.hash == reveal.body.request == nonce.body.request:
        raise Problem("other-request")
    if reveal.signer != request.body.device.signing:
        raise Problem("not-the-joiner", "a reveal is signed by the device of the request")
    if reveal.body.nonce_hash != nonce.hash:
        raise Problem("other-nonce")
    if commitment_before(reveal.body.commitment, nonce.body.round) != request.body.commitment:
        raise Problem("broken-commitment")
    return reveal


@dataclass(frozen=True)
class Prompt:
    """A nonce that this device signed, and when."""

    nonce: Signed[Nonce]
    join_key: bytes
    at: int


@dataclass
class ApproverRounds:
    """The approver's side, counted in its own durable state."""

    prompts: list[Prompt] = field(default_factory=list)
    admitted: set[bytes] = field(default_factory=set)
    wrong: dict[bytes, int] = field(default_factory=dict)

    def own(self, request: bytes) -> Prompt | None:
        """The last nonce that this device signed for a request."""
        return next((prompt for prompt in reversed(self.prompts) if prompt.nonce.body.request == request), None)

    def may_sign(self, join_key: bytes, now: int, lifetime: int, decided: frozenset[bytes]) -> None:
        """Five a day for a join key without an admission, three open: else `too-many-rounds`."""
        spent = [
            prompt
            for prompt in self.prompts
            if prompt.join_key == join_key
            and now - prompt.at < _DAY
            and prompt.nonce.body.request not in self.admitted
        ]
        still_open = [
            prompt
            for prompt in self.prompts
            if prompt.nonce.body.request not in decided and now - prompt.at < lifetime
        ]
        if len(spent) >= _NONCES_A_DAY or len(still_open) >= _OPEN_ROUNDS:
            raise Problem("too-many-rounds", "this device has signed as many nonces as it may for now")

    def compare(self, request: bytes, expected: str, typed: str) -> bool:
        """Whether the code is right. Wrong ones are counted; a text that is not six digits is not a code."""
        digits = typed_code(typed)
        if digits is None:
            return False
        if hmac.compare_digest(digits, expected):
            return True
        self.wrong[request] = self.wrong.get(request, 0) + 1
        return False

    def must_deny(self, request: bytes) -> bool:
        return self.wrong.get(request, 0) >= WRONG_CODES
