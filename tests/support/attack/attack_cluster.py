"""Three real servers that find each other by gossip, watched from outside under attack."""

from __future__ import annotations

import contextlib
import mmap
import re
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attack_agent
from attack_aim import Target, tls_of
from gossiping_servers import GossipingServers, gossiping
from server_processes import until
from tls_files import Certificates

from quorate.certificates.names import Role

_AGENT = Path(attack_agent.__file__)
_SAMPLE_S = 0.05


class Loop:
    """The longest callback of one server's loop since `restart`."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(attack_agent.FILE_BYTES))
        self.path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), attack_agent.FILE_BYTES)
        self._numbers = memoryview(self._map).cast("Q")

    def restart(self) -> None:
        """Forget what was longest."""
        self._numbers[0] = self._numbers[1] = 0

    @property
    def longest(self) -> tuple[float, str]:
        """Milliseconds of CPU time, and which callback it was."""
        start = attack_agent.NAME_AT
        return self._numbers[0] / 1e6, self._map[start : start + 200].decode().strip()


class AttackedServers(GossipingServers):
    """Servers whose loops are measured."""

    def __init__(self, folder: Path, count: int = 3, *, tls: bool = False, **keys: Any) -> None:
        super().__init__(folder, count, **keys)
        self.certificates = ""
        if tls:
            self._speak_tls(folder / "certificates")
        self.loops = [Loop(folder / f"s{number}.loop") for number in range(count)]

    def _speak_tls(self, folder: Path) -> None:
        """Each server has a certificate of its own, and clients need one."""
        ours = Certificates(folder)
        for number, keys in enumerate(self.keys):
            files = ours.files(f"s{number}")
            keys["tls"] = {
                "http": True,
                "rpc": True,
                "verify_https_client": True,
                "ca_file": files.ca_file,
                "cert_file": files.cert_file,
                "key_file": files.key_file,
            }
        ours.files("client", role=Role.CLI)
        Certificates(folder, "other-ca").files("foreign")
        self.certificates = str(folder)
        self.tls = tls_of(self.certificates, "client")
        self.configure()

    def command(self, number: int) -> list[str]:
        return [sys.executable, str(_AGENT), "agent", "-config", str(self.config(number))]

    def environment(self, number: int) -> dict[str, str]:
        return {attack_agent.FILE: str(self.loops[number].path)}

    def targets(self) -> list[Target]:
        """What a client of the servers knows of them, and what it can learn by asking."""
        leader = self.leader()
        return [
            Target(
                host=self.host(number),
                http=self.http[number],
                rpc=self.rpc[number],
                serf=self.serf[number],
                control=str(self.data_dir(number) / "control.sock"),
                server_id=self.server_id(number),
                name=self.node(number),
                leads=number == leader,
                certificates=self.certificates,
            )
            for number in range(self.count)
        ]

    def terms(self) -> int:
        """The highest term that a server is in."""
        said = [until(partial(self.stats, n), f"an answer of server {n}", 60) for n in range(3)]
        return max(int(stats["term"]) for stats in said)

    def log_bytes(self) -> list[int]:
        return [(self.folder / f"s{number}.log").stat().st_size for number in range(self.count)]

    def memory(self) -> list[int]:
        """Resident bytes of each server."""
        return [resident_bytes(self.processes[number].pid) for number in range(self.count)]

    def descriptors(self) -> list[int]:
        folders = [f"/proc/{self.processes[n].pid}/fd" for n in range(self.count)]
        return [sum(1 for _ in Path(folder).iterdir()) for folder in folders]


def resident_bytes(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@contextlib.contextmanager
def attacked(folder: Path, *, tls: bool = False, **keys: Any) -> Iterator[AttackedServers]:
    """A cluster at the highest feature level, in which all vote."""
    servers = AttackedServers(folder, 3, tls=tls, **keys)
    with gossiping(servers):
        leader = servers.leader(30.0)
        servers.all_vote()
        until(
            lambda: servers.ask(leader, "/v1/operator/upgrade").json["Level"] >= 1,
            "the cluster to prove IDs",
        )
        yield servers


class Peaks:
    """The most memory and descriptors of each server, from a thread, until `end`."""

    def __init__(self, servers: AttackedServers) -> None:
        self._servers = servers
        self._ended = threading.Event()
        self.memory = servers.memory()
        self.descriptors = servers.descriptors()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            with contextlib.suppress(OSError, AssertionError):  # a server that has ended
                self._look()

    def _look(self) -> None:
        self.memory = list(map(max, self.memory, self._servers.memory()))
        self.descriptors = list(map(max, self.descriptors, self._servers.descriptors()))

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
