"""The cluster of a drill: its servers, what is in it, and how well it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from quorate.cli.context import Failure
from quorate.cli.dev.plan import ServerPlan, configuration
from quorate.cli.dev.ports import PortSet
from quorate.cli.dev.processes import ServerProcess, stop_all
from quorate.cli.dev.signals import StopSignals
from quorate.cli.dev.standing import look
from quorate.client import Client, ClientError, RaftConfiguration
from quorate.errors import QuorateError
from quorate.recovery.looking.folders import find, user_of

ASK_TIMEOUT_S: Final = 2.0
GRACE_S: Final = 5.0
PREPARED_S: Final = 120.0
DISK_BYTES: Final = 64 << 20
VALUES: Final = 20
"""Variables that are written before anything breaks: they must be there afterwards."""

_LOOK_S: Final = 0.2
_LARGE_WRITES: Final = 50
_LARGE_BYTES: Final = 30_000


class StoppedError(Exception):
    """A signal has come while the drill was prepared."""


class DrillCluster:
    """See the module. `servers` are those of the beginning, `processes` those started here."""

    def __init__(
        self, folder: Path, servers: Sequence[ServerPlan], spare: PortSet, stop: StopSignals
    ) -> None:
        self.folder = folder
        self.spare = spare
        self.stop = stop
        self.servers = tuple(servers)
        self.processes: dict[str, ServerProcess] = {}
        self._mounted: list[Path] = []
        for server in servers:
            self._configure(server, self.servers)

    def _configure(self, server: ServerPlan, servers: Sequence[ServerPlan]) -> None:
        """As for `quorate dev`, with servers that get their vote soon."""
        config = configuration(server, servers)
        config["autopilot"] = {"server_stabilization_time": "1s"}
        server.data_dir.mkdir(parents=True, exist_ok=True)
        server.config.write_text(json.dumps(config, indent=2) + "\n")

    def one_more(self) -> ServerPlan:
        """A further server with a configuration, which is not started."""
        number, last = len(self.servers) + 1, self.servers[-1]
        more = last._replace(
            name=f"server-{number}",
            ports=self.spare,
            data_dir=self.folder / f"server-{number}",
            config=self.folder / f"server-{number}.json",
            log=self.folder / f"server-{number}.log",
        )
        self._configure(more, self.servers)
        return more

    # -- processes ----------------------------------------------------------------------------

    def start(self, *servers: ServerPlan) -> None:
        """Start these."""
        for server in servers:
            self.processes[server.name] = ServerProcess(server)

    def kill(self, *servers: ServerPlan) -> None:
        """End these at once, as a loss of power does."""
        for server in servers:
            process = self.processes.pop(server.name)
            process.signal(signal.SIGKILL)
            process.wait(GRACE_S)

    def pause(self, *servers: ServerPlan) -> None:
        """These stand still."""
        for server in servers:
            self.processes[server.name].signal(signal.SIGSTOP)

    def lose_disk(self, *servers: ServerPlan) -> None:
        """The data of these is gone."""
        for server in servers:
            shutil.rmtree(server.data_dir)

    def mount_small_disk(self, server: ServerPlan) -> None:
        """The data of this server, which is stopped, moves to a disk of its own. Raises Failure."""
        kept = server.data_dir.with_suffix(".kept")
        server.data_dir.rename(kept)
        server.data_dir.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "tmpfs"]
        if why := _ran([*command, str(server.data_dir)]):
            raise Failure(
                f"Error: this drill needs a small disk, and cannot mount one: {why}",
                "run it as root",
            )
        self._mounted.append(server.data_dir)
        no_sockets = shutil.ignore_patterns("*.sock")
        shutil.copytree(kept, server.data_dir, ignore=no_sockets, dirs_exist_ok=True)
        shutil.rmtree(kept)

    def pid(self, server: ServerPlan) -> int | None:
        """The process that runs on the data of this server, started here or by hand."""
        try:
            return user_of(find(server.data_dir))
        except QuorateError:
            return None

    def end(self) -> list[str]:
        """Stop all that runs on this folder; the names of servers that others had started."""
        for process in self.processes.values():
            if process.exit_code() is None:
                process.signal(signal.SIGCONT)
        stop_all(list(self.processes.values()))
        others = []
        for path in sorted(self.folder.glob("server-*.json")):
            with suppress(QuorateError):
                if (pid := user_of(find(path.with_suffix("")))) is not None:
                    others.append(path.stem)
                    _end(pid)
        for path in self._mounted:
            _ran(["umount", "--lazy", str(path)])
        return others

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = PREPARED_S) -> None:
        """Until it is so. Raises StoppedError after a signal, Failure after that time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.stop.wait(_LOOK_S):
                raise StoppedError
            if time.monotonic() > deadline:
                raise Failure(
                    f"Error: the drill could not be prepared: not within {seconds:.0f} s: {what}",
                    "start it again, when the machine has less to do",
                )

    # -- what is asked ------------------------------------------------------------------------

    def client(self, server: ServerPlan) -> Client:
        """A client of this server."""
        return Client(server.http_address, timeout_s=ASK_TIMEOUT_S)

    def is_ready(self) -> bool:
        """True once all vote under one leader."""
        return look(self.servers).is_ready()

    def configuration(self, server: ServerPlan) -> RaftConfiguration:
        """The members that it knows. Raises ClientError."""
        with self.client(server) as client:
            return client.raft_configuration(stale=True)

    def is_known_at(self, asked: ServerPlan, server: ServerPlan) -> bool:
        """True if `asked` knows a member at the place of this server."""
        with suppress(ClientError):
            addresses = {each.address for each in self.configuration(asked).servers}
            return server.rpc_address in addresses
        return False

    def leader(self) -> ServerPlan:
        """The server that leads. Raises ClientError, Failure if none does."""
        leading = {s.address for s in self.configuration(self.servers[0]).servers if s.leader}
        for server in self.servers:
            if server.rpc_address in leading:
                return server
        raise Failure("Error: the cluster of the drill has no leader", "start the drill again")

    def has_no_leader(self, server: ServerPlan) -> bool:
        """True if this one answers, and knows none."""
        with suppress(ClientError):
            return not any(each.leader for each in self.configuration(server).servers)
        return False

    def leads(self, server: ServerPlan) -> bool:
        """True if this one leads, and all know it."""
        with suppress(ClientError):
            known = [self.configuration(each).servers for each in self.servers]
            leading = {each.address for servers in known for each in servers if each.leader}
            return leading == {server.rpc_address}
        return False

    def fill(self) -> None:
        """Write what must not be lost. Raises StoppedError, Failure."""
        self.wait(self._filled, "writes to be taken")

    def _filled(self) -> bool:
        with suppress(ClientError), self.client(self.leader()) as client:
            for number in range(VALUES):
                client.variables.put(f"app/{number}", {"value": str(number)})
            return True
        return False

    def what_is_wrong(self, servers: Sequence[ServerPlan], *, exactly: bool = True) -> str:
        """Empty if these are well, vote, take a write, and have all that was written.

        With `exactly` there is no other member.
        """
        try:
            for server in servers:
                if wrong := self._of_one(server, servers, exactly=exactly):
                    return f"{server.name}: {wrong}"
            return self._of_data(servers[0])
        except (ClientError, QuorateError) as error:
            return str(error)

    def _of_one(self, server: ServerPlan, servers: Sequence[ServerPlan], *, exactly: bool) -> str:
        with self.client(server) as client:
            health = client.agent_health().server
            known = client.raft_configuration(stale=True)
            full = client.raft_facts().storage_full
        if full:  # another one leads, so that writes are taken meanwhile
            return "its disk is full"
        if health is not None and not health.ok:
            return health.message
        if not any(each.leader for each in known.servers):
            return "it knows no leader"
        voters = {each.address for each in known.servers if each.voter}
        wanted = {each.rpc_address for each in servers}
        if not wanted <= voters:
            return "not all have a vote"
        if exactly and len(known.servers) != len(wanted):
            return "there are members that should not be"
        return ""

    def refuses_writes(self, server: ServerPlan) -> bool:
        """True if it does so at last: its log has some room of its own on a full disk."""
        try:
            with self.client(server) as client:
                for _ in range(_LARGE_WRITES):
                    client.variables.put("app/large", {"value": "x" * _LARGE_BYTES})
        except ClientError:
            return True
        return False

    def _of_data(self, server: ServerPlan) -> str:
        with self.client(server) as client:
            client.variables.put("app/after", {"value": str(time.time_ns())})
            for number in range(VALUES):
                if client.variables.get(f"app/{number}") is None:
                    return f"the variable app/{number} is gone"
        return ""

    def as_json(self) -> list[dict[str, Any]]:
        """What a person can find out about the servers, for programs."""
        found = []
        for path in sorted(self.folder.glob("server-*.json")):
            ports = json.loads(path.read_text())["ports"]
            folder = path.with_suffix("")
            server = self.servers[0]._replace(
                name=path.stem,
                ports=PortSet(**ports),
                data_dir=folder,
                config=path,
                log=path.with_suffix(".log"),
            )
            found.append(
                {
                    "name": server.name,
                    "address": server.http_address,
                    "rpc": server.rpc_address,
                    "config": str(path),
                    "data_dir": str(folder),
                    "log": str(server.log),
                    "pid": self.pid(server),
                }
            )
        return found


def fill(path: Path) -> None:
    """Write a file until its disk has no room."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def _ran(command: Sequence[str]) -> str:
    """Run a command; why it has failed, or empty."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        return str(error)
    return done.stderr.strip() or "it failed" if done.returncode else ""


def _end(pid: int) -> None:
    """End a process that runs on the folder of the drill."""
    deadline = time.monotonic() + GRACE_S
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            os.kill(pid, 0)
        os.kill(pid, signal.SIGKILL)
