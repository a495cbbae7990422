"""HTTP: signed reads (RFC 9421), posts, problems (RFC 9457)."""

from __future__ import annotations

import base64
import os
import time
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from . import cbor
from .cbor import Shape
from .keys import SigningKey
from .problems import Problem

S = TypeVar("S", bound=Shape)

ANSWER_LIMIT = 64 * 1024 * 1024
_TRIES = 3
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Scheme, host, and the port unless it is the default (RFC 6454 §6.2)."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"not the origin of a relay: {url!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = parts.port in (None, _DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" if default else f"{parts.scheme}://{host}:{parts.port}"


def signature_headers(key: SigningKey, method: str, uri: str, created: int, nonce: str) -> dict[str, str]:
    """The one profile of the page: method and target, and the five parameters in their order."""
    parameters = (
        f'("@method" "@target-uri");created={created};nonce="{nonce}"'
        f';keyid="{key.public.hex()}";alg="ed25519";tag="countersign-v1"'
    )
    base = f'"@method": {method}\n"@target-uri": {uri}\n"@signature-params": {parameters}'
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return {"Signature-Input": f"countersign={parameters}", "Signature": f"countersign=:{signature}:"}


class Relay:
    """A relay over HTTP."""

    def __init__(self, url: str) -> None:
        self.origin = origin_of(url)
        self._client = httpx.Client(timeout=30, trust_env=False)

    def post(self, path: str, body: bytes, answer: type[S]) -> S:
        """Posts CBOR and reads the answer."""
        return cbor.decode_as(answer, self._post(path, body), ANSWER_LIMIT)

    def post_for_nothing(self, path: str, body: bytes) -> None:
        """Posts CBOR where the answer is empty."""
        self._post(path, body)

    def get(self, path: str, key: SigningKey, answer: type[S]) -> S:
        """A signed read."""
        uri = self.origin + path
        response = self._send("GET", uri, b"", key)
        return cbor.decode_as(answer, response.content, ANSWER_LIMIT)

    def _post(self, path: str, body: bytes) -> bytes:
        return self._send("POST", self.origin + path, body, None).content

    def _send(self, method: str, uri: str, body: bytes, key: SigningKey | None) -> httpx.Response:
        """The same bytes get the same answer, so a broken connection is tried again. A signed read is signed anew."""
        for left in reversed(range(_TRIES)):
            headers = {"Accept": "application/cbor"}
            if key:
                headers |= signature_headers(key, method, uri, int(time.time()), os.urandom(16).hex())
            else:
                headers["Content-Type"] = "application/cbor"
            try:
                response = self._client.request(method, uri, content=body or None, headers=headers)
            except httpx.TransportError as error:
                if not left:
                    raise Problem("unreachable", str(error)) from error
                time.sleep(0.2)
                continue
            if response.is_success:
                return response
            raise _problem(response)
        raise AssertionError("the last try returns or raises")


def _problem(response: httpx.Response) -> Problem:
    code = f"http-{response.status_code}"
    try:
        told = response.json()
    except ValueError:
        return Problem(code, response.text[:200])
    if not isinstance(told, dict):
        return Problem(code)
    return Problem(str(told.get("code", code)), str(told.get("detail", "")))
