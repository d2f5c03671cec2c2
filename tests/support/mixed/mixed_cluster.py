"""Mixed clusters of real processes: `g` is a peer of hashicorp/raft, `q` one of Quorate.

`cluster("ggq")` gives three running servers with a leader, and at its end demands that all that
a mixed cluster must have in common is the same, and that no log tells of a bad frame.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pypeer
from mixed_build import gopeer
from mixed_wires import Wires
from patience import PATIENCE_S

T = TypeVar("T")

VOTER, NONVOTER = 0, 1
# What tells of bytes that one side could not read. Connections end in many innocent ways.
_BAD = re.compile(
    r"failed to decode|unknown rpc type|msgpack|REFUSED|Traceback|panic:|bad answer"
    r"|unsupported snapshot|not supported with current protocol|unexpected command|short read"
    r"|it answers"
)
# The last: a Go leader that is deposed reads its log for an append of its own term a little longer,
# and finds there what its successor has written.
_INNOCENT = re.compile(
    r"connection reset|broken pipe|use of closed network connection|i/o timeout|\bEOF\b"
    r"|REFUSED \S+ g\d+ sent entries of a later term"
)


class Refused(Exception):
    """A peer answered with an error."""


def until(condition: Callable[[], T | None], what: str, timeout_s: float = PATIENCE_S) -> T:
    """The first true value of `condition`; fails naming `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError, ValueError, Refused):
            if value := condition():
                return value
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        threading.Event().wait(0.05)


class Line:
    """A control connection that stays open."""

    def __init__(self, port: int, timeout_s: float = 12.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._file = self._socket.makefile("rb")

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """The answer. Raises Refused for an error, OSError or ValueError when there is none."""
        self._socket.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._file.readline())
        if answer.get("error"):
            raise Refused(answer["error"])
        return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Peer:
    """One server: its place, its process, and what it says."""

    def __init__(
        self, name: str, folder: Path, wires: Wires, ports: list[int], by_address: bool
    ) -> None:
        self.name = name
        self.make = name[0]
        self.folder = folder / name
        self.log_path = folder / f"{name}.log"
        self.bind, self.control = ports
        self.address = f"127.0.0.1:{wires.lead_to(name, self.bind)}"
        self.id = self.address if by_address else name
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False
        self._wires = wires

    def start(self, flags: list[str], release: str) -> None:
        self.folder.mkdir(exist_ok=True)
        program = [sys.executable, pypeer.__file__]
        if self.make == "g":
            program = [str(gopeer(release))]
        place = ["-id", self.id, "-advertise", self.address, "-dir", str(self.folder)]
        ports = ["-bind", f"127.0.0.1:{self.bind}", "-control", f"127.0.0.1:{self.control}"]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, *place, *ports, *flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self._wires.pids[self.name] = self.process.pid
        until(lambda: self.ask("state"), f"{self.name} answers: {self.log_path}")

    def kill(self) -> None:
        assert self.process is not None
        if self.stopped:
            self.go_on()
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process = None

    def stand_still(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        self.stopped = True

    def go_on(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)
        self.stopped = False

    @property
    def runs(self) -> bool:
        return self.process is not None and not self.stopped

    def wipe(self) -> None:
        shutil.rmtree(self.folder)

    def ask(self, op: str, timeout_s: float = 12.0, **fields: Any) -> dict[str, Any]:
        """See `Line.ask`."""
        line = Line(self.control, timeout_s)
        try:
            return line.ask(op, **fields)
        finally:
            line.close()

    def state(self) -> dict[str, Any]:
        """Role, term, leader, indexes, configuration and digest."""
        return self.ask("state", timeout_s=3)

    def entries(self) -> dict[int, tuple[int, int, str]]:
        """The log: term, type and digest of the data, by index."""
        return {row[0]: tuple(row[1:]) for row in self.ask("log")["entries"]}

    def items(self) -> dict[str, int]:
        """The state machine's commands and their indexes; none stands there twice."""
        rows = self.ask("items")["items"]
        items = {data: index for index, data in rows}
        assert len(items) == len(rows), f"{self.name} carried out a command twice"
        return items

    def count_in_log(self, text: str) -> int:
        """How many lines of its log contain `text`."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return sum(text in line for line in lines)

    def wrong_lines(self, expected: str) -> list[str]:
        """What its log says of bytes it could not read, but for lines with `expected`."""
        if not self.log_path.exists():
            return []  # never started
        lines = self.log_path.read_text(errors="replace").splitlines()
        lines = [line for line in lines if not expected or expected not in line]
        return [line for line in lines if _BAD.search(line) and not _INNOCENT.search(line)]


class Cluster:
    """Peers by name: g1, g2, q1 ...; the first letter is the make."""

    def __init__(self, folder: Path, makes: str, **options: Any) -> None:
        """Options: `release` of hashicorp/raft, `spares` (makes of servers that are not founders,
        and not started), and those of `_flags`."""
        self.options = options
        self.release = options.get("release", "v1.7")
        self.wires = Wires()
        spares = options.get("spares", "")
        ports = free_ports(2 * len(makes + spares))
        self.peers: dict[str, Peer] = {}
        for make in makes + spares:
            number = 1 + sum(peer.make == make for peer in self.peers.values())
            own = [ports.pop(), ports.pop()]
            by_address = bool(options.get("by_address"))
            peer = Peer(f"{make}{number}", folder, self.wires, own, by_address)
            self.peers[peer.name] = peer
        self.founders = list(self.peers.values())[: len(makes)]
        self.acknowledged: dict[str, int] = {}
        self.away: set[str] = set()  # cut off: not asked for its view of the cluster

    def __getitem__(self, name: str) -> Peer:
        return self.peers[name]

    def by_id(self, server_id: str) -> Peer:
        return next(peer for peer in self.peers.values() if peer.id == server_id)

    def _flags(self, name: str) -> list[str]:
        options = self.options
        flags = ["-trailing", str(options.get("trailing", 10240))]
        flags += ["-prefix"] if options.get("prefix", True) else []
        if name[0] == "q":
            # As servers do: others skip the key that carries it.
            flags += ["-cluster", "mixed"] if options.get("prefix", True) else []
            flags += ["-lease"] if options.get("lease") else []
            return [*flags, "-multiplier", str(options.get("q_multiplier", 1.0))]
        flags += ["-multiplier", str(options.get("g_multiplier", 1.0))]
        flags += ["-new-time"] if options.get("new_time") else []
        flags += ["-in-flight", str(options.get("in_flight", 2))]
        protocols = options.get("protocols", {})
        flags += ["-protocol", str(protocols.get(name, protocols.get("g", 3)))]
        return [*flags, *(["-no-pre-vote"] if options.get("no_pre_vote") else [])]

    def start(self, *names: str) -> None:
        for name in names:
            self.peers[name].start(self._flags(name), self.release)

    def found(self, by: str) -> None:
        """Start the founders, and bootstrap by the first of the make `by`; "" is by all."""
        self.start(*(peer.name for peer in self.founders))
        servers = [{"id": p.id, "address": p.address, "suffrage": VOTER} for p in self.founders]
        for peer in self.founders:
            if not by or peer.make == by:
                peer.ask("bootstrap", servers=servers)
                if by:
                    break

    def running(self) -> list[Peer]:
        return [p for p in self.peers.values() if p.runs and p.name not in self.away]

    def isolate(self, name: str) -> None:
        """Cut a peer off from all others."""
        self.away.add(name)
        self.wires.part([name], [other for other in self.peers if other != name])

    def mend(self) -> None:
        """All can talk to all again."""
        self.away.clear()
        self.wires.mend()

    def others(self, *peers: Peer) -> list[Peer]:
        """The founders without these."""
        return [peer for peer in self.founders if peer not in peers]

    def leader(self, timeout_s: float = PATIENCE_S) -> Peer:
        """The peer that leads, once all members that run and are not cut off say so of it."""

        def agreed() -> Peer | None:
            states = [(peer, peer.state()) for peer in self.running()]
            leading = [peer for peer, state in states if state["role"] == "leader"]
            if len(leading) != 1:
                return None
            first = leading[0]
            members = {s["id"] for s in first.state()["servers"]}
            followed = all(s["leader"] == first.id for p, s in states if p.id in members)
            return first if followed else None

        return until(agreed, "a leader on whom all agree", timeout_s)

    def lead(self, make_or_name: str) -> Peer:
        """Leadership at a peer of that make (or that peer), handed over if it has to be."""
        deadline = time.monotonic() + 40
        while True:
            leader = self.leader()
            if make_or_name in (leader.make, leader.name):
                return leader
            assert time.monotonic() < deadline, f"leadership did not come to {make_or_name}"
            target = next(p for p in self.running() if make_or_name in (p.make, p.name))
            with contextlib.suppress(Refused, OSError, ValueError):
                leader.ask("transfer", id=target.id, address=target.address)

    def write(self, count: int, prefix: str, pad: int = 0) -> None:
        """Acknowledged writes, by the leader of the moment."""
        line = Line(self.leader().control)
        number = attempt = 0
        while number < count:
            data = f"{prefix}-{number}{chr(39) * attempt};"
            try:
                self.acknowledged[data] = line.ask("apply", data=data, pad=pad)["index"]
                number += 1
            except (Refused, OSError, ValueError):
                # Leadership has moved. It may stand all the same, so the next is another one.
                attempt += 1
                assert attempt < 10, "no leader takes a write"
                line.close()
                line = Line(self.leader().control)
        line.close()

    def change(self, kind: str, peer: Peer, **fields: Any) -> int:
        """Carried out by the leader of the moment; tried again while it cannot be yet."""
        asked = {"kind": kind, "id": peer.id, "address": peer.address, **fields}
        return until(
            lambda: int(self.leader().ask("change", **asked)["index"]), f"{kind} {peer.name}"
        )

    def level(self, timeout_s: float = PATIENCE_S) -> list[dict[str, Any]]:
        """All running members hold the same state, with a fresh write at its end."""
        marker = f"level-{len(self.acknowledged)}-{time.monotonic_ns()};"

        def written() -> int:
            return int(self.leader().ask("apply", data=marker)["index"])

        index = until(written, "a write at the end", timeout_s)
        self.acknowledged[marker] = index

        def same() -> list[dict[str, Any]] | None:
            members = {s["id"] for s in self.leader().state()["servers"]}
            states = [p.state() for p in self.running() if p.id in members]
            seen = {(s["count"], s["last_item"], s["digest"], s["last"]) for s in states}
            level = len(seen) == 1 and states[0]["last_item"] >= index
            return states if level else None

        return until(same, "the same state everywhere", timeout_s)

    def check(self) -> None:
        """What has to be the same on both makes is; nothing acknowledged is lost; see module."""
        states = self.level()
        assert len({json.dumps(s["servers"], sort_keys=True) for s in states}) == 1, states
        members = {s["id"] for s in states[0]["servers"]}
        peers = [peer for peer in self.running() if peer.id in members]

        def stored() -> dict[str, dict[int, tuple[int, int, str]]] | None:
            # What is committed is applied, maybe before the disk of every server has it.
            logs = {peer.name: peer.entries() for peer in peers}
            return logs if all(states[0]["last"] in log for log in logs.values()) else None

        logs = until(stored, "the last entry on every disk")
        low = max(min(log) for log in logs.values())
        high = min(max(log) for log in logs.values())
        first_name, first_log = next(iter(logs.items()))
        for name, log in logs.items():
            for index in range(low, high + 1):
                assert log[index] == first_log[index], (first_name, name, index)
        items = peers[0].items()
        lost = {d: i for d, i in self.acknowledged.items() if _found(items, d) != i}
        assert not lost, f"acknowledged and lost (or elsewhere): {list(lost.items())[:5]}"
        self.check_logs()

    def check_logs(self) -> None:
        # Releases before 1.7 close the connection on which they are asked for a pre-vote.
        unknown = "unknown rpc type 4" if self.release == "v1.6" else ""
        expected = self.options.get("expected", unknown)
        wrong = [(n, line) for n, p in self.peers.items() for line in p.wrong_lines(expected)]
        assert not wrong, wrong[:5]

    def end(self) -> None:
        for peer in self.peers.values():
            if peer.process is not None:
                peer.kill()
        self.wires.stop()


def _found(items: dict[str, int], data: str) -> int | None:
    # Long commands are listed by their beginning, which the padding follows.
    return items.get(data, items.get(data.ljust(40, ".")))


@contextlib.contextmanager
def cluster(folder: Path, makes: str, by: str = "", **options: Any) -> Iterator[Cluster]:
    """Servers with a leader; at a good end everything is compared. See `Cluster`."""
    made = Cluster(folder, makes, **options)
    try:
        made.found(by)
        made.leader()
        yield made
        made.mend()
        made.check()
    finally:
        made.end()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below the range from which the kernel takes its own."""
    ports: list[int] = []
    rng = random.SystemRandom()
    while len(ports) < count:
        port = rng.randrange(10000, 15000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports:
                ports.append(port)
    return ports
