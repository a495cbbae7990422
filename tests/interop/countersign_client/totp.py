"""One-time codes (RFC 6238): SHA-1, six digits, thirty seconds."""

from __future__ import annotations

import hmac

from .keys import u64

_STEP_S = 30


def one_time_code(secret: bytes, step: int) -> str:
    """The six digits of a time step."""
    mac = hmac.digest(secret, u64(step), "sha1")
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4]) & 0x7FFF_FFFF
    return f"{number % 1_000_000:06}"


def time_step(now_s: int) -> int:
    """The step of a moment."""
    return now_s // _STEP_S


def right_step(secret: bytes, code: str, now_s: int, used: int = -1) -> int | None:
    """The step of a code that is right by now and was not used: its own, one before, or one after."""
    now = time_step(now_s)
    steps = (step for step in (now, now - 1, now + 1) if step > used)
    return next((step for step in steps if hmac.compare_digest(one_time_code(secret, step).encode(), code.encode())), None)
