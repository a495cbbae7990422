"""All that is asked of a sealed value without its key: its size and its suite."""

from __future__ import annotations

from .problems import Problem
from .seal import HPKE, XCHACHA

DESCRIPTION_LIMIT = 512
_KEY = {HPKE: 81, XCHACHA: 73}
_TOTP = 61


def check_description(sealed: bytes) -> None:
    """Whether it opens is known only to those who have the key."""
    if len(sealed) > DESCRIPTION_LIMIT:
        raise Problem("bad-field", f"a sealed description has at most {DESCRIPTION_LIMIT} bytes")


def check_key(sealed: bytes, suite: bytes) -> None:
    """A sealed key has the size of its suite."""
    if sealed[:1] != suite or len(sealed) != _KEY[suite]:
        raise Problem("bad-field", f"a key sealed with suite {suite.hex()} has {_KEY[suite]} bytes")


def is_totp_secret(sealed: bytes) -> bool:
    """Twenty bytes, wrapped."""
    return sealed[:1] == XCHACHA and len(sealed) == _TOTP
