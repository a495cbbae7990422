"""HTTP: signed reads (RFC 9421), posts, problems (RFC 9457)."""

from __future__ import annotations

import base64
import os
import re
import time
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import http_sf
import httpx

from . import cbor
from .cbor import Shape
from .keys import SigningKey, verify
from .problems import Problem

S = TypeVar("S", bound=Shape)

ANSWER_LIMIT = 64 * 1024 * 1024
_TRIES = 3
_CLOCK = 60
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


@dataclass(frozen=True)
class SignedRead:
    """What the headers of a signed read say, once they have the one shape of the page."""

    device: bytes
    created: int
    parameters: str
    signature: bytes

    @classmethod
    def parse(cls, signature_input: str | None, signature: str | None) -> SignedRead:
        """Else `signature-missing` or `malformed`."""
        if signature_input is None or signature is None:
            raise Problem("signature-missing")
        try:
            inputs = http_sf.parse(signature_input.encode(), tltype="dictionary")
            signatures = http_sf.parse(signature.encode(), tltype="dictionary")
        except http_sf.StructuredFieldError as error:
            raise Problem("malformed", str(error)) from None
        if len(inputs) != 1 or inputs.keys() != signatures.keys():
            raise Problem("malformed", "not one signature")
        ((label, (components, parameters)),) = inputs.items()
        value = signatures[label][0]
        if components != [("@method", {}), ("@target-uri", {})] or not cls._sound(parameters):
            raise Problem("malformed", "not the components and parameters of the page")
        if type(value) is not bytes or len(value) != 64:
            raise Problem("malformed", "not a signature")
        written = http_sf.ser({label: (components, parameters)}).removeprefix(f"{label}=")
        return cls(bytes.fromhex(parameters["keyid"]), parameters["created"], written, value)

    @staticmethod
    def _sound(parameters: dict[str, object]) -> bool:
        texts = {name: value for name, value in parameters.items() if type(value) is str}
        created = parameters.get("created")
        return (
            parameters.keys() == {"created", *texts}
            and texts.keys() == {"nonce", "keyid", "alg", "tag"}
            and type(created) is int
            and created >= 0
            and 16 <= len(texts["nonce"]) <= 64
            and re.fullmatch("[0-9a-fA-F]{64}", texts["keyid"]) is not None
            and (texts["alg"], texts["tag"]) == ("ed25519", "countersign-v1")
        )

    def base(self, method: str, uri: str) -> str:
        """What is signed (RFC 9421 §2.5)."""
        return f'"@method": {method}\n"@target-uri": {uri}\n"@signature-params": {self.parameters}'

    def check(self, method: str, uri: str, now: int) -> bytes:
        """The device that signed this read: else `clock` or `bad-signature`."""
        if abs(now - self.created) > _CLOCK:
            raise Problem("clock")
        if not verify(self.device, self.signature, self.base(method, uri).encode()):
            raise Problem("bad-signature")
        return self.device


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
