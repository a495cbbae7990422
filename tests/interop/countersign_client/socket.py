"""The WebSocket session: challenge, connect, pushes, acks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from . import cbor
from .forms import JOINER, MEMBER, Connect, Cursor, sign_form
from .keys import SigningKey
from .messages import TO_DEVICE_LIMIT, Ack, Answer, Challenge, Frame, Push
from .problems import Problem

SUBPROTOCOL = "countersign.v1"


@dataclass(frozen=True)
class Whom:
    """As what a device connects: a member of a chain, or the joiner of a request."""

    chain: bytes | None = None
    head: bytes | None = None
    cursor: Cursor | None = None
    request: bytes | None = None

    def answer(self, origin: str, device: bytes, relay_nonce: bytes) -> Connect:
        """The Connect that answers a challenge."""
        return Connect(
            subprotocols=(SUBPROTOCOL,),
            origin=origin,
            relay_nonce=relay_nonce,
            own_nonce=os.urandom(32),
            chain=self.chain,
            device=device,
            kind=MEMBER if self.chain else JOINER,
            request=self.request,
            head=self.head,
            cursor=self.cursor,
        )


class Session:
    """One socket to a relay, connected and proven."""

    def __init__(self, origin: str, key: SigningKey, whom: Whom) -> None:
        self._socket = _dial(origin)
        try:
            self._prove(origin, key, whom)
        except BaseException:
            self._socket.close()
            raise

    def _prove(self, origin: str, key: SigningKey, whom: Whom) -> None:
        challenge = self.receive(30)
        if not isinstance(challenge, Challenge):
            raise Problem("malformed", "a relay speaks first, with a challenge")
        self._socket.send(sign_form(whom.answer(origin, key.public, challenge.nonce), key).raw)

    def receive(self, timeout: float | None = None) -> Push:
        """The next message. A socket that ends is the Problem `closed`."""
        try:
            message = self._socket.recv(timeout)
        except (ConnectionClosed, TimeoutError) as closed:
            raise Problem("closed", str(closed)) from closed
        if isinstance(message, str):
            raise Problem("malformed", "a text message")
        return cbor.decode_as(Frame, message, TO_DEVICE_LIMIT).push

    def acknowledge(self, seq: int, number: int) -> None:
        """Says what is stored durably."""
        try:
            self._socket.send(cbor.encode(Answer(Ack(seq, number)).to_raw()))
        except ConnectionClosed as closed:
            raise Problem("closed", str(closed)) from closed

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def _dial(origin: str) -> ClientConnection:
    uri = "ws" + origin.removeprefix("http") + "/v1/socket"
    offer = [Subprotocol(SUBPROTOCOL)]
    try:
        socket = connect(uri, subprotocols=offer, max_size=TO_DEVICE_LIMIT, compression=None, proxy=None, legacy=True)
    except (OSError, InvalidHandshake) as error:
        raise Problem("closed", str(error)) from error
    if socket.subprotocol != SUBPROTOCOL:
        socket.close()
        raise Problem("closed", "the relay does not speak countersign.v1")
    return socket
