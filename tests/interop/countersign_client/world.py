"""The world of docs/vectors, acted out by the client's own functions with the randomness that the files tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from . import cbor, seal
from .approval import Approval
from .changes import Remove
from .code import EpochKey, SyncCode
from .entries import Admit, Description, Entry, Found
from .forms import DELETE, JoinRequest, Nonce, Record, Signed, open_form, sign_form
from .founder import admit_entry, found_entry
from .joiner import ask
from .keyring import Keyring
from .keys import SealingKey, SigningKey
from .lifecycle import Author, NewRecovery
from .log import apply
from .messages import SealedRecord
from .records import CIPHERTEXT_LIMIT, Content, Feed, Writer, open_record
from .roster import Roster

Json = dict[str, Any]


def unhex(case: Json, *members: str) -> list[bytes]:
    """Members that are bytes."""
    return [bytes.fromhex(case[member]) for member in members]


@contextmanager
def drawn(*values: bytes) -> Iterator[None]:
    """Gives the next sealings their randomness, in order."""
    left = list(values)

    def draw(length: int) -> bytes:
        assert len(left[0]) == length
        return left.pop(0)

    with patch.object(seal, "draw", draw):
        yield
    assert not left, "not everything was drawn"


class World:
    """The chain of the vectors. It takes from a file what no formula gives: times, roles, policies, first draws."""

    def __init__(self, derivations: Json, sealing: Json, keys: Json) -> None:
        (code,) = (case for case in derivations["sync_codes"] if case["name"] == "world")
        (epoch,) = (case for case in derivations["epoch_keys"] if case["name"] == "world")
        self.code = SyncCode(*unhex(code, "sync_code"))
        self.epoch_key = EpochKey(*unhex(epoch, "epoch_key"), epoch["epoch"])
        (self.name_key,) = unhex(derivations["blinded_names"][0], "name_key")
        self.sealed = {case["name"]: case for case in sealing["cases"] if not case["error"]}
        self.signing = {name: SigningKey(*unhex(key, "signing_seed")) for name, key in keys.items()}
        self.sealing = {name: SealingKey(*unhex(key, "sealing_secret")) for name, key in keys.items() if "sealing" in key}
        self.chain = self.sealed["phone/welcome"]["aad"]
        self.names = {key.public: name for name, key in self.signing.items()}

    def draws(self, *names: str) -> list[bytes]:
        """The randomness of sealed values."""
        cases = [self.sealed[name] for name in names]
        return [bytes.fromhex(case["nonce" if case["suite"] == "02" else "ikm"]) for case in cases]

    def description(self, name: str) -> Description:
        """What a device says about itself."""
        return Description.decoded(*unhex(self.sealed[name], "plaintext"))

    def entry(self, roster: Roster | None, given: Json) -> Signed[Entry]:
        """An entry after a log, of its own kind, by its own signer."""
        told = Entry.from_raw(cbor.parse(*unhex(given, "payload")))
        signer = self.signing[given["signer"]]
        if isinstance(told.body, Found):
            return self.found(signer, told.body, told.at)
        assert roster is not None
        if isinstance(told.body, Remove) and self._tells("removal/epoch-key-before", told.body.rotation.epoch_key_before):
            return self.removal(roster, signer, told.body, told.at)
        if not isinstance(told.body, Admit):
            return self.again(Entry(roster.chain, roster.seq + 1, roster.head, told.at, told.body), signer)
        asked = open_form(JoinRequest, told.body.request).body
        name = self.names[asked.device.signing]
        borrowed = asked.device.sealing != self.sealing[name].public
        if borrowed or not self._tells(f"{name}/admit-description", told.body.description):
            return self.again(Entry(roster.chain, roster.seq + 1, roster.head, told.at, told.body), signer)
        request = self.request(asked)
        with drawn(*self.draws(f"{name}/admit-description", f"{name}/welcome")):
            description = self.description(f"{name}/admit-description").encoded()
            approvals = [open_form(Approval, form) for form in told.body.approvals]
            how, step = told.body.how, told.body.totp_step
            return admit_entry(
                roster, request, description, told.body.role, self.epoch_key, signer, told.at, how, approvals, step
            )

    def _tells(self, name: str, sealed: bytes) -> bool:
        """Whether a value of suite 02 is sealed with the randomness of this name."""
        return name in self.sealed and sealed[1:25] == self.draws(name)[0]

    def removal(self, roster: Roster, signer: SigningKey, told: Remove, at: int) -> Signed[Entry]:
        """A removal, whose new epoch key and sync code are told as what was sealed."""
        recipients = [self.names[device] for device in told.rotation.devices]
        keys = [f"removal/epoch-key-for-the-{name}" for name in recipients]
        fresh, code = (bytes.fromhex(self.sealed[name]["plaintext"]) for name in (keys[0], "removal/sync-code"))
        ring = Keyring({1: self.epoch_key}, self.name_key, self.code)
        wrapped = ("removal/epoch-key-before", "removal/name-key", "removal/sync-code")
        with drawn(fresh, *self.draws(*keys, *wrapped)):
            return Author(roster, ring, signer, at).remove(told.removals, told.reason, SyncCode(code))

    def again(self, entry: Entry, signer: SigningKey) -> Signed[Entry]:
        """An entry of which the files do not tell all that was drawn: what it seals is taken as it stands."""
        return sign_form(entry, signer, *(self.signing[self.names[key]] for _, key in entry.proofs()))

    def found(self, signer: SigningKey, told: Found, at: int) -> Signed[Entry]:
        """A founding with the policy that is told."""
        name, draws, recovery = self.names[signer.public], ["found/description", "found/name-key", "found/sync-code"], None
        if told.recovery:
            draws.append("recovery/epoch-key")
            recovery = NewRecovery(self.signing["recovery words"], self.sealing["recovery words"].public)
        with drawn(*self.draws(*draws)):
            description, sealing = self.description("found/description"), self.sealing[name]
            return found_entry(
                self.code, self.epoch_key, self.name_key, signer, sealing, description, at, told.policy, recovery
            )

    def request(self, told: JoinRequest) -> Signed[JoinRequest]:
        """The request of a device."""
        return self.asked(told)[0]

    def asked(self, told: JoinRequest) -> tuple[Signed[JoinRequest], bytes]:
        """The request and the sealed description of a device, with the commitment and the time that are told."""
        name = self.names[told.device.signing]
        key, sealing_key = self.signing[name], self.sealing[name]
        with drawn(*self.draws(f"{name}/request-description")):
            description = self.description(f"{name}/request-description")
            asked = ask(self.code, key, sealing_key, description, told.at)
        body = open_form(JoinRequest, asked.request).body
        return sign_form(replace(body, commitment=told.commitment), key, self.code.join_key), asked.description

    def log(self, log: list[Json]) -> tuple[list[Signed[Entry]], Roster]:
        """A whole log."""
        roster: Roster | None = None
        made: list[Signed[Entry]] = []
        for given in log:
            made.append(self.entry(roster, given))
            roster = apply(roster, made[-1])
        assert roster is not None
        return made, roster

    def nonce(self, roster: Roster, request: Signed[JoinRequest], given: Json) -> Signed[Nonce]:
        """A nonce of a round, with the 32 bytes that are told."""
        told = Nonce.from_raw(cbor.parse(*unhex(given, "payload")))
        body = Nonce(roster.chain, request.hash, told.round, roster.head, roster.epoch, told.nonce)
        return sign_form(body, self.signing[given["signer"]])

    def record(
        self, roster: Roster, feed: Feed, keys: Mapping[int, EpochKey], header: Json, given: Json
    ) -> SealedRecord:
        """A record at the end of its writer's line, with the content, the randomness and the time that are told."""
        told = Record.from_raw(cbor.parse(*unhex(header, "payload")))
        writer = Writer(self.signing[header["signer"]], self.name_key, keys[roster.epoch])
        if told.operation == DELETE:
            (now,) = (held for place, held in feed.current.items() if place == (told.collection, told.name))
            content = open_record(self.name_key, keys, now)
            return writer.delete(roster, feed, content.collection, content.name, told.at)
        content = cbor.decode_as(Content, *unhex(given, "content"), CIPHERTEXT_LIMIT)
        with drawn(*unhex(given, "nonce")):
            return writer.put(roster, feed, content, told.at)
