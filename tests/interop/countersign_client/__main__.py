"""The command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .code import PAYLOAD, SyncCode
from .founder import Approver, found
from .forms import DELETE
from .http import Relay
from .joiner import Joiner
from .member import Member
from .policy import APPROVER, READER, WRITER
from .problems import Problem
from .records import Held
from .rounds import spaced
from .store import Store

_ROLES = {"approver": APPROVER, "writer": WRITER, "reader": READER}


def main() -> int:
    """Runs one subcommand: 0, or 1 with the refusal on stderr."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except Problem as refusal:
        print(f"{type(refusal).__name__.lower()}: {refusal}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="countersign_client")
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser("found")
    command.add_argument("--relay", required=True)
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("--name", required=True)
    command.set_defaults(run=_found)

    command = commands.add_parser("join")
    command.add_argument("--relay", help="not needed with a payload, which names it")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("--code-file", type=Path, required=True)
    command.add_argument("--name", required=True)
    command.set_defaults(run=_join)

    command = commands.add_parser("withdraw")
    command.add_argument("--state", type=Path, required=True)
    command.set_defaults(run=_withdraw)

    command = commands.add_parser("approve")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("--request", default="")
    command.add_argument("--role", choices=_ROLES, default="writer")
    command.set_defaults(run=_approve)

    command = commands.add_parser("put")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("collection")
    command.add_argument("id")
    command.add_argument("value")
    command.set_defaults(run=_put)

    command = commands.add_parser("get")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("collection")
    command.add_argument("id")
    command.set_defaults(run=_get)

    command = commands.add_parser("delete")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("collection")
    command.add_argument("id")
    command.set_defaults(run=_delete)

    command = commands.add_parser("verify")
    command.add_argument("--state", type=Path, required=True)
    command.set_defaults(run=_verify)

    command = commands.add_parser("watch")
    command.add_argument("--state", type=Path, required=True)
    command.add_argument("--count", type=int, required=True)
    command.add_argument("--cut-after", type=int)
    command.set_defaults(run=_watch)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def _member(arguments: argparse.Namespace) -> Member:
    store = Store.load(arguments.state)
    return Member(store, Relay(store.state.relay))


def _found(arguments: argparse.Namespace) -> None:
    relay = Relay(arguments.relay)
    code = found(arguments.state, relay, arguments.name)
    _say(code.words())
    _say(code.payload(relay.origin))


def _join(arguments: argparse.Namespace) -> None:
    text = arguments.code_file.read_text().strip()
    if text.startswith(PAYLOAD):
        relay, code = SyncCode.from_payload(text)
    else:
        relay, code = arguments.relay, SyncCode.from_words(text)
    if not relay:
        raise Problem("usage", "words do not name a relay: --relay")
    joiner = Joiner.start(arguments.state, Relay(relay), code, arguments.name)
    chain = joiner.run(lambda number, digits: _say(f"code {number}: {spaced(digits)}"))
    _say(f"joined {chain.hex()}: finished only when the other device says so")


def _withdraw(arguments: argparse.Namespace) -> None:
    store = Store.load(arguments.state)
    if store.state.join is None:
        raise Problem("no-request", "this device has not asked")
    Joiner(store, Relay(store.state.relay), store.state.join).withdraw()
    _say("withdrawn")


def _approve(arguments: argparse.Namespace) -> None:
    approver = Approver(_member(arguments), lambda text: print(text, file=sys.stderr, flush=True))
    request = approver.approve(arguments.request.lower(), _ROLES[arguments.role], sys.stdin)
    _say(f"admitted {request.hex()}")


def _put(arguments: argparse.Namespace) -> None:
    number = _member(arguments).put(arguments.collection, arguments.id, arguments.value.encode())
    _say(f"stored {number}")


def _delete(arguments: argparse.Namespace) -> None:
    _say(f"stored {_member(arguments).delete(arguments.collection, arguments.id)}")


def _get(arguments: argparse.Namespace) -> None:
    value = _member(arguments).get(arguments.collection, arguments.id)
    if value is None:
        raise Problem("not-found", "no such record")
    _say(value.decode(errors="backslashreplace"))


def _verify(arguments: argparse.Namespace) -> None:
    entries, records, opened = _member(arguments).verify()
    _say(f"verified {entries} entries, {records} records, {opened} opened")


def _said(member: Member, held: Held) -> str:
    """What a record says. One that does not open stops nothing: any writer can make it."""
    try:
        content = member.open(held)
    except Problem as problem:
        return f"damaged {held.record.body.name.hex()} {problem.code}"
    return f"put {content.collection} {content.name} {content.value.decode(errors='backslashreplace')}"


def _watch(arguments: argparse.Namespace) -> None:
    member = _member(arguments)

    def show(held: Held) -> None:
        if held.record.body.operation == DELETE:
            _say(f"{held.number} deleted {held.record.body.name.hex()}")
        elif held.ciphertext is None:
            _say(f"{held.number} replaced {held.record.body.name.hex()}")
        else:
            _say(f"{held.number} {_said(member, held)}")

    member.watch(arguments.count, arguments.cut_after, show)


if __name__ == "__main__":
    sys.exit(main())
