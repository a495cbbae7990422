"""The whole join of docs/vectors/join.json, acted out: both devices, and what a relay says to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import cbor
from .cbor import Shape
from .forms import Connect, Cursor, JoinRequest, sign_form
from .http import signature_headers
from .joiner import believe
from .log import apply
from .messages import (
    ADMITTED, BODY_LIMIT, CODE, DECIDED, NEW, WAITING, Ack, Answer, Append, Appended, Ask, Challenge, Ended, Frame, LogPage,
    OpenRequest, Put, Ready, RecordPage, RecordRow, Round, Standing, Stored,
)
from .records import Feed, blind
from .rounds import JoinerRounds, commitment_before
from .socket import Whom
from .world import Json, World, unhex


class Join:
    """One join. It takes from the file what was drawn or read from a clock, and nothing else."""

    def __init__(self, document: Json, world: World) -> None:
        self._world = world
        self._origin = document["inputs"]["origin"]
        (self._c8,) = unhex(document["inputs"], "c8")
        self._steps = {step["name"]: step for step in document["steps"]}
        self.sent: dict[str, bytes] = {}
        self.headers: dict[str, list[str]] = {}
        self.derived: dict[tuple[str, str], str] = {}
        self._act()

    def _form(self, step: str) -> Json:
        """What is told of the form that a step makes."""
        return self._steps[step]["forms"][0]

    def _say(self, step: str, message: Shape | bytes) -> None:
        self.sent[step] = message if isinstance(message, bytes) else cbor.encode(message.to_raw())

    def _relay(self, step: str, cls: type[Any], **known: Any) -> Any:
        """A message of the relay, with everything in it that follows from what was sent before."""
        data = bytes.fromhex(self._steps[step]["bytes"])
        if self._steps[step]["rule"] == "to-device":
            told = cbor.decode_as(Frame, data, BODY_LIMIT).push
            assert type(told) is cls
            told = replace(told, **known)
            self._say(step, Frame(told))
        else:
            told = replace(cbor.decode_as(cls, data, BODY_LIMIT), **known)
            self._say(step, told)
        return told

    def _connect(self, who: str, name: str, whom: Whom) -> None:
        """A challenge and its answer."""
        key = self._world.signing[name]
        challenge = self._relay(f"{who}-challenge", Challenge)
        told = Connect.from_raw(cbor.parse(*unhex(self._form(f"{who}-connect"), "payload")))
        answer = replace(whom.answer(self._origin, key.public, challenge.nonce), own_nonce=told.own_nonce)
        self._say(f"{who}-connect", sign_form(answer, key).raw)

    def _act(self) -> None:
        world = self._world
        found = world.entry(None, self._form("found"))
        roster = apply(None, found)
        self._say("found", found.raw)
        self._derive("found", join_key=world.code.join_key.public, key_id=world.epoch_key.key_id, chain_id=roster.chain)
        self._relay("founded", Appended, head=roster.head, seq=roster.seq)
        self._connect("laptop", "laptop", Whom(chain=roster.chain, head=roster.head))
        self._relay("laptop-ready", Ready, head=roster.head, seq=roster.seq, knows_head=True)
        self.derived["sync-code", "words"] = world.code.words()
        self.derived["sync-code", "payload"] = world.code.payload(self._origin)

        told = JoinRequest.from_raw(cbor.parse(*unhex(self._form("ask"), "payload")))
        request, description = world.asked(replace(told, commitment=commitment_before(self._c8, 8)))
        rounds = JoinerRounds(request.hash, self._c8)
        self._say("ask", Ask(request.raw, description))
        c0, c1 = rounds.commitment(0), rounds.commitment(1)
        self._derive("ask", description_key=world.code.description_key, c1=c1, c0=c0, request_id=request.hash)
        self._relay("asked", Standing, request=request.hash, state=WAITING, nonces=())
        self._connect("phone", "phone", Whom(request=request.hash))
        self._relay("phone-standing", Standing, request=request.hash, state=WAITING, nonces=())
        self._relay("requested", OpenRequest, request=request.raw, description=description, rounds=())

        nonce = world.nonce(roster, request, self._form("nonce"))
        self._say("nonce", nonce.raw)
        self._relay("nonce-pushed", Standing, request=request.hash, state=CODE, nonces=(nonce.raw,))
        rounds.take(nonce)
        reveal = sign_form(rounds.reveal(nonce), world.signing["phone"])
        self._say("reveal", reveal.raw)
        digits = rounds.code(nonce)
        self.derived["reveal", "check code"] = digits
        told_rounds = (Round(nonce.raw, reveal.raw),)
        self._relay("revealed", OpenRequest, request=request.raw, description=description, rounds=told_rounds)
        self.derived["typed", "typed"] = f"{digits[:3]} {digits[3:]}"

        admit = world.entry(roster, self._form("admit"))
        after = apply(roster, admit)
        self._say("admit", Append((admit.raw,), NEW))
        self._relay("appended", Appended, head=after.head, seq=after.seq)
        self._relay("entries", LogPage, entries=(admit.raw,), head=after.head, seq=after.seq)
        self._relay("ended", Ended, request=request.hash, how=DECIDED)
        self._say("entries-ack", Answer(Ack(after.seq, 0)))
        self._relay("admitted", Standing, request=request.hash, state=ADMITTED, nonces=(nonce.raw,))

        self._read("read-log", f"/v1/chains/{roster.chain.hex()}/log")
        page = self._relay("log", LogPage, entries=(found.raw, admit.raw), head=after.head, seq=after.seq)
        joined = believe(page.entries, request, world.code, world.sealing["phone"], {nonce.signer})
        key = joined.epoch_key
        self._derive("log", epoch_key=key.secret, key_id=key.key_id, name_key=joined.keyring.name_key, sync_code=world.code.secret)
        self._connect("member", "phone", Whom(chain=after.chain, head=after.head))
        self._relay("member-ready", Ready, head=after.head, seq=after.seq, knows_head=True)

        (seal,) = self._steps["put"]["seals"]
        made = world.record(after, Feed(), {1: key}, self._form("put"), {"nonce": seal["nonce"], "content": seal["plaintext"]})
        self._say("put", Put((made,)))
        collection, name = blind(joined.keyring.name_key, "notes", "first")
        self._derive("put", blinded_collection=collection, blinded_name=name)
        self._relay("stored", Stored, numbers=(1,))
        records = cbor.decode_as(Frame, *unhex(self._steps["records"], "bytes"), BODY_LIMIT).push
        assert isinstance(records, RecordPage)
        self._relay("records", RecordPage, rows=(RecordRow(1, made),), cursor=Cursor(records.cursor.store, 1), last=1)
        self._say("records-ack", Answer(Ack(after.seq, 1)))

    def _read(self, step: str, path: str) -> None:
        """A signed read, with the time and the nonce that are told."""
        told = self._steps[step]["headers"][0]
        created, nonce = (told.split(f"{name}=")[1].split(";")[0].strip('"') for name in ("created", "nonce"))
        headers = signature_headers(self._world.signing["phone"], "GET", self._origin + path, int(created), nonce)
        self.headers[step] = [f"{name}: {value}" for name, value in headers.items()]

    def _derive(self, step: str, **values: bytes) -> None:
        for name, value in values.items():
            self.derived[step, name.replace("_", " ")] = value.hex()
