"""The real HTTP client and the real socket, over loopback."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from websockets.sync.server import serve

from countersign_client import cbor
from countersign_client.forms import Connect, open_form
from countersign_client.http import Relay
from countersign_client.keys import SigningKey
from countersign_client.messages import Appended, Challenge, Frame, Ready
from countersign_client.problems import Problem
from countersign_client.socket import SUBPROTOCOL, Session, Whom

HEAD = os.urandom(32)


class Handler(BaseHTTPRequestHandler):
    seen: list[tuple[str, str]] = []

    def _answer(self) -> None:
        self.seen.append((self.path, self.headers.get("Signature-Input", "")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        refused = self.path.startswith("/v1/log")
        body = b'{"code": "head-moved", "detail": "fetch"}' if refused else cbor.encode(Appended(HEAD, 3).to_raw())
        self.send_response(409 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        return None


def test_http() -> None:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    relay, key = Relay(f"http://127.0.0.1:{server.server_port}"), SigningKey.random()
    assert relay.get("/v1/x?after=3", key, Appended) == Appended(HEAD, 3)
    path, signature = Handler.seen[-1]
    assert path == "/v1/x?after=3" and f'keyid="{key.public.hex()}";alg="ed25519"' in signature
    with pytest.raises(Problem) as caught:
        relay.post("/v1/log", b"x", Appended)
    assert (caught.value.code, caught.value.detail) == ("head-moved", "fetch")
    server.shutdown()


def test_socket() -> None:
    got: list[Connect] = []
    acks: list[bytes] = []

    def talk(connection) -> None:
        nonce = os.urandom(32)
        connection.send(cbor.encode(Frame(Challenge(nonce, 1)).to_raw()))
        got.append(open_form(Connect, connection.recv()).body)
        assert got[0].relay_nonce == nonce
        connection.send(cbor.encode(Frame(Ready(HEAD, 3, True)).to_raw()))
        acks.append(connection.recv())
        connection.close(4001)

    with serve(talk, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        with Session(origin, SigningKey.random(), Whom(chain=HEAD, head=HEAD)) as session:
            assert session.receive() == Ready(HEAD, 3, True)
            session.acknowledge(3, 9)
            with pytest.raises(Problem, match="closed"):
                session.receive()
        server.shutdown()
    assert got[0].origin == origin and got[0].subprotocols == (SUBPROTOCOL,)
    assert acks == [bytes.fromhex("8200a200030109")]
