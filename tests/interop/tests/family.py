"""A chain with many devices in memory, which every one of them follows. Its randomness is one seed's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from countersign_client import seal
from countersign_client.approval import Abandoned, Admission, Approval, Nothing, RoleChange, Subject
from countersign_client.changes import LOST
from countersign_client.code import EpochKey, SyncCode
from countersign_client.entries import Admit, Entry
from countersign_client.forms import Device, JoinRequest, Signed, open_form
from countersign_client.founder import POLICY, admit_entry, deny_entry, found_entry
from countersign_client.joiner import ask, describe, open_welcome
from countersign_client.keyring import Keyring, totp_place
from countersign_client.keys import SealingKey, SigningKey
from countersign_client.lifecycle import NOTHING_NEW, Author, Brought, NewRecovery
from countersign_client.log import apply
from countersign_client.policy import (
    APPROVER, BY_RECOVERY, NONE, READER, RECOVERY, TOTP, TOTP_WAY, TYPED, WRITER, Policy,
)
from countersign_client.roster import Roster, writes
from countersign_client.rotation import EARLIER, LAST, NOTHING, Cut, Removal

WAYS = replace(POLICY, ways=(TYPED, NONE), closing_delay=0)


@dataclass
class Person:
    """A device with its secrets, and the epoch key that it was let in with."""

    name: str
    signing: SigningKey
    sealing: SealingKey
    own: EpochKey | None = None

    @property
    def id(self) -> bytes:
        return self.signing.public

    @property
    def device(self) -> Device:
        return Device(self.signing.public, self.sealing.public)


@dataclass
class Family:
    """The chain, whoever is or was in it, and whoever may come."""

    seed: int
    policy: Policy = WAYS
    people: dict[bytes, Person] = field(default_factory=dict)
    entries: list[Signed[Entry]] = field(default_factory=list)
    rosters: list[Roster] = field(default_factory=list)
    codes: list[SyncCode] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        seal.draw = self.random.randbytes  # the fixture puts it back
        self.laptop, self.words = self.person("laptop"), self.person("recovery words")
        self.code, self.name_key = SyncCode(self.random.randbytes(32)), self.random.randbytes(32)
        self.laptop.own = EpochKey(self.random.randbytes(32), 1)

    def person(self, name: str) -> Person:
        """A device that nobody knows yet."""
        person = Person(name, SigningKey(self.random.randbytes(32)), SealingKey(self.random.randbytes(32)))
        self.people[person.id] = person
        return person

    @property
    def roster(self) -> Roster:
        return self.rosters[-1]

    def members(self, *roles: int) -> list[Person]:
        """The members with one of some roles, in the order of their coming."""
        return [self.people[known] for known, member in self.roster.members.items() if member.role in roles]

    def keyring(self, person: Person) -> Keyring:
        return Keyring.of(self.roster, person.id, person.sealing, person.own)

    def author(self, person: Person) -> Author:
        return Author(self.roster, self.keyring(person), person.signing, self.roster.seq)

    def found(self, recovery: bool = True) -> Roster:
        device = NewRecovery(self.words.signing, self.words.sealing.public) if recovery else None
        laptop = self.laptop
        entry = found_entry(
            self.code, laptop.own, self.name_key, laptop.signing, laptop.sealing, describe("laptop"), 0, self.policy, device
        )
        return self.add(entry)

    def with_totp(self, policy: Policy, key: EpochKey, place: bytes, mode: int = TOTP_WAY) -> Policy:
        """A policy with a secret of its own."""
        sealed = seal.wrap(key.wrap_key, self.random.randbytes(20), totp_place(place))
        ways = tuple(sorted({*policy.ways, TOTP})) if mode == TOTP_WAY else policy.ways
        return replace(policy, ways=ways, totp=(mode, sealed))

    def add(self, entry: Signed[Entry]) -> Roster:
        """Applies an entry to the log, as everybody who reads its bytes."""
        again = open_form(Entry, entry.raw)
        assert again == entry
        self.rosters.append(apply(self.roster if self.rosters else None, again))
        self.entries.append(entry)
        return self.roster

    def heard(self, entry: Signed[Entry], refusal: str) -> None:
        """Somebody else may be asked about an entry that was refused."""

    # Joining

    def asks(self, person: Person, code: SyncCode | None = None) -> Signed[JoinRequest]:
        description = describe(person.name)
        asked = ask(code or self.code, person.signing, person.sealing, description, 5, self.random.randbytes(32))
        return open_form(JoinRequest, asked.request)

    def admits(
        self, by: Person, request: Signed[JoinRequest], role: int, how: int = TYPED,
        approvals: Iterable[Signed[Approval]] = (), step: int | None = None,
    ) -> Signed[Entry]:
        """The entry that admits. Its description is that of the device's name."""
        description = describe(self.people[request.body.device.signing].name).encoded()
        key = self.keyring(by).current(self.roster)
        return admit_entry(self.roster, request, description, role, key, by.signing, 6, how, approvals, step)

    def admit(
        self, by: Person, name: str, role: int, how: int = TYPED, agree: Iterable[Person] = (), step: int | None = None
    ) -> Person:
        """Somebody asks, is admitted, and opens the welcome."""
        person = self.person(name)
        request = self.asks(person)
        approvals = self.agree(agree, Subject(2, Admission(request.hash, role)))
        if self.roster.role(by.id) == RECOVERY:
            how = BY_RECOVERY
        entry = self.admits(by, request, role, how, approvals, step)
        roster = self.add(entry)
        assert isinstance(entry.body.body, Admit)
        person.own = open_welcome(roster, entry, entry.body.body, request, person.sealing)
        return person

    def denies(self, by: Person, request: Signed[JoinRequest]) -> Signed[Entry]:
        return deny_entry(self.roster, request, 0, by.signing, 6)

    # Changing

    def agree(self, people: Iterable[Person], subject: Subject) -> list[Signed[Approval]]:
        """What other approvers sign."""
        return [self.author(person).approve(subject) for person in people]

    def cut(self, person: Person) -> Cut | None:
        """What takes writing away, from somebody who wrote nothing; nothing from somebody who cannot write."""
        return Cut(0, None, LAST) if writes(self.roster.role(person.id)) else None

    def fresh_code(self) -> SyncCode:
        self.codes.append(SyncCode(self.random.randbytes(32)))
        return self.codes[-1]

    def fresh_recovery(self) -> NewRecovery:
        person = self.person("recovery words")
        return NewRecovery(person.signing, person.sealing.public)

    def remove(self, by: Person, *people: Person, agree: Iterable[Person] = (), recovery: bool = False) -> Roster:
        """Removes devices, and goes on with another sync code."""
        removals = tuple(sorted((Removal(person.id, NOTHING) for person in people), key=lambda removal: removal.device))
        approvals, code = self.agree(agree, Subject(4, removals)), self.fresh_code()
        brought = self.fresh_recovery() if recovery else None
        roster = self.add(self.author(by).remove(removals, LOST, code, approvals, brought))
        self.code = code
        return roster

    def one_of_each(self) -> dict[str, Signed]:
        """An entry of every kind that changes the chain, and the approvals in them. They need not follow each other."""
        author, reader, writer = self.author(self.laptop), self.reader.id, self.writer.id
        removals, cut = (Removal(reader, NOTHING),), Cut(9, bytes(32), EARLIER)
        subjects = {
            "approval-admit": Subject(2, Admission(bytes(32), READER)), "approval-remove": Subject(4, removals),
            "approval-change-role": Subject(7, RoleChange(writer, READER, cut)),
            "approval-change-policy": Subject(8, self.policy), "approval-closing": Subject(9, Nothing()),
            "approval-settle": Subject(12, Abandoned(bytes(32))),
        }
        approvals = {name: author.approve(subject) for name, subject in subjects.items()}
        return approvals | {
            "remove": author.remove(removals, LOST, self.fresh_code(), [approvals["approval-remove"]]),
            "rotate": author.rotate(),
            "rotate-bringing": author.rotate(Brought(self.fresh_code(), self.fresh_recovery())),
            "leave": author.leave(cut),
            "change-role": author.change_role(writer, READER, cut, [approvals["approval-change-role"]]),
            "change-policy": author.change_policy(self.policy, [approvals["approval-change-policy"]]),
            "closing": author.closing([approvals["approval-closing"]]),
            "veto": author.veto(0, bytes(32)),
            "close": author.close(bytes(32)),
            "settle": author.settle(bytes(32), [approvals["approval-settle"]], Brought(None, self.fresh_recovery())),
        }

    def rotate(self, by: Person, brought: Brought = NOTHING_NEW) -> Roster:
        roster = self.add(self.author(by).rotate(brought))
        self.code = brought.code or self.code
        return roster


def three_approvers(made: Family) -> Family:
    """Three approvers, a writer, a reader, and a recovery device."""
    made.policy = made.with_totp(WAYS, made.laptop.own, made.code.join_key.public)
    made.found()
    made.phone = made.admit(made.laptop, "phone", APPROVER)
    made.tablet = made.admit(made.phone, "tablet", APPROVER, NONE)
    made.writer = made.admit(made.tablet, "writer", WRITER, TOTP, step=7)
    made.reader = made.admit(made.words, "reader", READER)
    return made
