"""Runs this client against the real programs: `python tests/run_live.py`.

COUNTERSIGN_RELAY and COUNTERSIGN_AGENT are the paths of the two binaries. Every folder is temporary, every port is
given by the system, and every wait is bounded.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import SHUT_RDWR, create_connection, create_server
from socket import socket as Socket
from typing import IO, Any, TypeVar
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from countersign_client import socket  # noqa: E402
from countersign_client.code import SyncCode  # noqa: E402
from countersign_client.forms import DELETE  # noqa: E402
from countersign_client.founder import Approver, found  # noqa: E402
from countersign_client.http import Relay  # noqa: E402
from countersign_client.joiner import Joiner  # noqa: E402
from countersign_client.member import Member  # noqa: E402
from countersign_client.policy import WRITER  # noqa: E402
from countersign_client.records import Held  # noqa: E402
from countersign_client.store import Store  # noqa: E402

T = TypeVar("T")
PATIENCE = 30.0
_POLL = 0.05


def programs() -> tuple[str, str] | None:
    """The paths of relay and agent, if the environment names both."""
    relay, agent = os.environ.get("COUNTERSIGN_RELAY"), os.environ.get("COUNTERSIGN_AGENT")
    return (relay, agent) if relay and agent else None


def eventually(ask: Callable[[], T | None], what: str) -> T:
    """Asks until there is an answer."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(_POLL)
    return answer


class InBackground:
    """A call in a thread, whose result or exception is handed over at the end."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again in result()
            self._error = error

    def result(self) -> Any:
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise AssertionError("the call did not end")
        if self._error:
            raise self._error
        return self._result


class Lines:
    """The lines of a pipe, read as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._lines.put(line)

    def match(self, pattern: str) -> re.Match[str]:
        """The next line that matches."""
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            try:
                found_here = re.search(pattern, self._lines.get(timeout=left))
            except queue.Empty:
                break
            if found_here:
                return found_here
        raise AssertionError(f"no line like {pattern!r}")


class LiveRelay:
    """The relay program, on a port of its own."""

    def __init__(self, program: str, folder: Path, config: str = "") -> None:
        self._program = program
        self._folder = folder
        self._config = folder.with_suffix(".toml")
        self._config.write_text(config)
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.start()

    def start(self) -> None:
        """Starts it, on the port that it had before if it had one."""
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        command = [self._program, "serve", "--listen", listen, "--data", str(self._folder), "--config", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout
        self.url = Lines(self._process.stdout).match(r"listening on (http://\S+)")[1]

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Ends it and waits until it is gone."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdout:
                process.stdout.close()


class Agent:
    """The reference agent, over a home of its own."""

    def __init__(self, program: str, home: Path) -> None:
        self._command = [program, "--home", str(home)]

    def __call__(self, *arguments: str) -> str:
        """Runs a command that must succeed, and returns what it printed."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            raise AssertionError(f"{arguments} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def open_request(self) -> str | None:
        """The id of an open request."""
        requests = json.loads(self("requests", "list", "--json"))["requests"]
        return requests[0]["id"] if requests else None

    @contextmanager
    def running(self) -> Iterator[Lines]:
        """Its daemon. Yields what it tells."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen([*self._command, "run", "--plain"], text=True, **pipes)
        assert process.stdout
        try:
            yield Lines(process.stdout)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            process.stdout.close()

    @contextmanager
    def joining(self, payload: Path) -> Iterator[Lines]:
        """A join under way; at the end it must succeed. Yields its standard error."""
        command = [*self._command, "join", "--name", "phone", "--code-file", str(payload)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert process.stderr
        try:
            yield Lines(process.stderr)
            assert process.wait(PATIENCE) == 0, "the reference agent did not join"
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


class World:
    """A relay, and a pair of devices: the reference agent and this client."""

    def __init__(self, folder: Path, programs: tuple[str, str]) -> None:
        relay, agent = programs
        self.folder = folder
        self.relay = LiveRelay(relay, folder / "relay")
        self.agent = Agent(agent, folder / "agent")
        self._state = folder / "client"

    def member(self, name: str = "client") -> Member:
        """This client as a member, from its durable state."""
        return Member(Store.load(self.folder / name), Relay(self.relay.url))

    def client_joins(self) -> None:
        """The reference agent founds and approves; this client joins."""
        self.agent("init", "--no-recovery", "--relay", self.relay.url, "--name", "laptop")
        self._joins(self._state, "python")

    def another_client_joins(self, name: str, meanwhile: Callable[[bytes], object] = bytes) -> Member:
        """One more device of this client, with a state of its own. Something may be done with its request before the agent approves."""
        self._joins(self.folder / name, name, meanwhile)
        return self.member(name)

    def _joins(self, state: Path, name: str, meanwhile: Callable[[bytes], object] = bytes) -> None:
        code = SyncCode.from_words(self.agent("code", "show"))
        joiner = Joiner.start(state, Relay(self.relay.url), code, name)
        shown: queue.Queue[tuple[int, str]] = queue.Queue()
        join = InBackground(lambda: joiner.run(lambda number, digits: shown.put((number, digits))))
        request = eventually(self.agent.open_request, "the request")
        meanwhile(bytes.fromhex(request))
        self.agent("requests", "show", request)
        number, digits = shown.get(timeout=PATIENCE)
        assert number == 1
        self.agent("approve", request, "--check-code", digits)
        assert join.result() == self.member(state.name).roster.chain

    def agent_joins(self) -> None:
        """This client founds and approves; the reference agent joins."""
        payload = self.folder / "payload"
        payload.write_text(found(self._state, Relay(self.relay.url), "python").payload(self.relay.url))
        with self.agent.joining(payload) as errors:
            eventually(lambda: self.member().open_requests() or None, "the request")
            told: list[str] = []

            def typed() -> Iterator[str]:
                yield "".join(errors.match(r"code 1: (\d{3} \d{3})").groups())

            Approver(self.member(), told.append).approve("", WRITER, typed())
            assert "'phone'" in told[0]

    def close(self) -> None:
        self.relay.stop()


@contextmanager
def world(join: Callable[[World], None]) -> Iterator[World]:
    """Two devices in one chain."""
    names = programs()
    assert names, "COUNTERSIGN_RELAY and COUNTERSIGN_AGENT name no programs"
    with tempfile.TemporaryDirectory() as folder:
        here = World(Path(folder), names)
        try:
            join(here)
            yield here
        finally:
            here.close()


def a_client_joins() -> None:
    """(a) This client joins with a code and is approved by the reference agent."""
    with world(World.client_joins) as here:
        assert "2 entries" in here.agent("log", "verify")
        assert here.member().verify() == (2, 0, 0)


def b_agent_joins() -> None:
    """(b) This client founds a chain and approves the reference agent by typing its code."""
    with world(World.agent_joins) as here:
        assert "2 entries" in here.agent("log", "verify")
        assert here.member().verify() == (2, 0, 0)


def c_records_both_ways() -> None:
    """(c) Both write, replace, delete and read each other's records, and verify everything."""
    for join in (World.client_joins, World.agent_joins):
        with world(join) as here:
            agent, member = here.agent, here.member()
            agent("record", "put", "notes", "one", "by the agent")
            assert member.get("notes", "one") == b"by the agent"
            member.put("notes", "one", b"by the client")
            assert agent("record", "get", "notes", "one").strip() == "by the client"
            agent("record", "put", "notes", "one", "by the agent again")
            assert member.get("notes", "one") == b"by the agent again"
            member.delete("notes", "one")
            assert "one" not in agent("record", "list", "notes")
            agent("record", "put", "notes", "one", "after the tombstone")
            member.put("notes", "zwei \u00e9 \U0001f512", b"x" * 100_000)
            assert agent("record", "get", "notes", "zwei \u00e9 \U0001f512").strip() == "x" * 100_000
            agent("record", "delete", "notes", "zwei \u00e9 \U0001f512")
            assert member.get("notes", "zwei \u00e9 \U0001f512") is None
            row = member.fetch("notes", "one")
            assert member.open(member.feed.take(member.roster, row)).value == b"after the tombstone"
            assert "2 entries and 7 records" in agent("log", "verify")
            assert member.verify() == (2, 7, 1)


def d_watch_recovers() -> None:
    """(d) A watch goes on from its cursor after its own cut and after a relay that was killed."""
    with world(World.client_joins) as here:
        member, seen = here.member(), queue.Queue[Held]()
        watch = InBackground(lambda: member.watch(6, 2, seen.put))
        values = []

        def write(name: str) -> None:
            here.agent("record", "put", "notes", name, name)
            held = seen.get(timeout=PATIENCE)
            values.append((held.number, member.open(held).value))

        for name in ("1", "2", "3"):
            write(name)
        here.relay.stop(signal.SIGKILL)
        here.relay.start()
        for name in ("4", "5"):
            write(name)
        here.agent("record", "delete", "notes", "5")
        assert seen.get(timeout=PATIENCE).record.body.operation == DELETE
        watch.result()
        assert seen.empty() and values == [(number, b"%d" % number) for number in range(1, 6)]


def e_relay_that_lost_everything() -> None:
    """(e) A relay that lost its store gets log and records back from this client, and the agent goes on."""
    with world(World.client_joins) as here:
        member = here.member()
        member.put("notes", "one", b"by the client")
        here.agent("record", "put", "notes", "two", "by the agent")
        member.sync()
        here.relay.stop()
        shutil.rmtree(here.folder / "relay")
        here.relay.start()
        member.sync()
        assert member.verify() == (2, 2, 2)
        here.agent("record", "put", "notes", "one", "by the agent")
        assert member.get("notes", "one") == b"by the agent"


class CutWire:
    """A wire to a relay that breaks in the middle of whatever is on it, each time after so many bytes to the device."""

    def __init__(self, url: str, breaks: list[int]) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._relay = host, int(port)
        self._breaks = list(breaks)
        self.broken = 0
        self._listener = create_server((host, 0))
        self.url = f"http://{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            relay = create_connection(self._relay)
            threading.Thread(target=self._pass, args=(device, relay, None), daemon=True).start()
            left = self._breaks.pop(0) if self._breaks else None
            threading.Thread(target=self._pass, args=(relay, device, left), daemon=True).start()

    def _pass(self, source: Socket, target: Socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                target.sendall(data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    self.broken += 1
                    break
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


def f_cut_in_the_middle_of_pages() -> None:
    """(f) A connection that breaks in the middle of pages loses nothing and repeats nothing."""
    with world(World.client_joins) as here:
        values, member = [bytes([number]) * 100_000 for number in range(12)], here.member()
        for number, value in enumerate(values):
            member.put("notes", str(number), value)
        here.agent("record", "put", "notes", "last", "by the agent")
        wire = CutWire(here.relay.url, [300_000, 700_000, 60_000, 800])
        dial, seen = socket._dial, []
        with patch.object(socket, "_dial", lambda _: dial(wire.url)):
            here.member().watch(len(values) + 1, None, lambda held: seen.append((held.number, held.record.hash)))
        wire.close()
        assert wire.broken == 4, "not every cut was made before the end"
        assert [number for number, _ in seen] == list(range(1, len(values) + 2))
        member = here.member()
        assert [member.open(member.feed.held[known]).value for _, known in seen] == [*values, b"by the agent"]
        assert member.verify() == (2, 13, 13) and "2 entries and 13 records" in here.agent("log", "verify")


FLOWS = (
    a_client_joins, b_agent_joins, c_records_both_ways, d_watch_recovers, e_relay_that_lost_everything,
    f_cut_in_the_middle_of_pages,
)


def main() -> int:
    """Runs every flow: 0 if all of them work."""
    if not programs():
        print("set COUNTERSIGN_RELAY and COUNTERSIGN_AGENT to the two programs", file=sys.stderr)
        return 2
    failed = 0
    for flow in FLOWS:
        started = time.monotonic()
        try:
            flow()
        except Exception as error:  # noqa: BLE001 - the next flow is run all the same
            failed += 1
            print(f"FAILED {flow.__name__}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok     {flow.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
