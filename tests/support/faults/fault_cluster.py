"""Servers whose machines and links can be spoilt, and how soon they serve again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from fault_network import Network
from fault_shim import Shim
from register_writers import PATH, body
from server_processes import Servers, until

SMALL_DISK_BYTES = 48 << 20
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)


class FaultServers(Servers):
    """Servers with a shim each; with `network`, each in a namespace of its own.

    Their data lies in memory: a disk that other programs keep busy would be a fault that no test
    asked for. A killed process loses nothing by that.

    Server `small_disk`, if given, has its data on a small file system that can be filled.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        *,
        network: Network | None = None,
        small_disk: int | None = None,
        **server_keys: Any,
    ) -> None:
        self.network = network
        self.small_disk = small_disk
        self.shims = [Shim(folder / f"s{number}.shim") for number in range(count)]
        self.stopped: set[int] = set()
        self._mounted = False
        memory = Path("/dev/shm")
        self._disks = Path(
            mkdtemp(prefix="quorate-faults-", dir=memory if memory.is_dir() else None)
        )
        super().__init__(folder, count, **server_keys)

    def host(self, number: int) -> str:
        return self.network.address(number) if self.network else super().host(number)

    def command(self, number: int) -> list[str]:
        entering = self.network.entering(number) if self.network else []
        return [*entering, *super().command(number)]

    def environment(self, number: int) -> dict[str, str]:
        return self.shims[number].environment()

    def data_dir(self, number: int) -> Path:
        return self._disks / f"s{number}"

    # -- a small disk -----------------------------------------------------------------------------

    def mount_small_disk(self) -> None:
        """Give that server its small file system. Skips where that is not allowed."""
        assert self.small_disk is not None
        path = self.data_dir(self.small_disk)
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(path)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        if mounted.returncode:
            pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
        self._mounted = True

    def fill_disk(self) -> None:
        """Leave no room on the small disk."""
        assert self.small_disk is not None
        with self._ballast().open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free_disk(self) -> None:
        """Give the room back."""
        self._ballast().unlink(missing_ok=True)

    def _ballast(self) -> Path:
        assert self.small_disk is not None
        return self.data_dir(self.small_disk) / "ballast"

    # -- processes --------------------------------------------------------------------------------

    def freeze(self, *numbers: int) -> None:
        """Stop processes in the middle of whatever they do."""
        for number in numbers:
            self.signal(number, signal.SIGSTOP)
            self.stopped.add(number)

    def thaw(self) -> None:
        """Let all stopped processes go on."""
        for number in list(self.stopped):
            self.signal(number, signal.SIGCONT)
        self.stopped.clear()

    def resident_bytes(self, number: int) -> int:
        """Memory that a server holds now."""
        status = Path(f"/proc/{self.processes[number].pid}/status").read_text()
        found = _RESIDENT.search(status)
        return int(found.group(1)) << 10 if found else 0

    def stop_all(self) -> None:
        super().stop_all()
        if self._mounted:
            subprocess.run(
                ["umount", "--lazy", str(self.data_dir(self.small_disk or 0))], check=True
            )
            self._mounted = False
        shutil.rmtree(self._disks, ignore_errors=True)

    # -- what can be seen -------------------------------------------------------------------------

    def term(self, number: int) -> int:
        return int(self.stats(number)["term"])


def serves_everywhere(servers: FaultServers, timeout_s: float) -> float:
    """Seconds until there is a leader, and every server carries a write out through it."""
    began = time.monotonic()
    deadline = began + timeout_s
    for number in range(servers.count):

        def written(number: int = number) -> bool:
            # Never true here: it passes through the log and changes nothing.
            answer = servers.ask(number, f"{PATH}?cas=0", "PUT", body(0), timeout_s=3)
            return answer.status == 200

        left = max(0.1, deadline - time.monotonic())
        until(written, f"server {number} to serve writes", left)
    servers.leader(max(0.1, deadline - time.monotonic()))
    return time.monotonic() - began


@contextlib.contextmanager
def running(
    folder: Path,
    count: int = 3,
    *,
    namespaces: bool = False,
    small_disk: int | None = None,
    **server_keys: Any,
) -> Iterator[FaultServers]:
    """A cluster that serves; all its processes and networks are gone afterwards."""
    with contextlib.ExitStack() as stack:
        network = None
        if namespaces:
            network = Network(count)
            stack.callback(network.close)
            stack.enter_context(network.inside())
        servers = FaultServers(folder, count, network=network, small_disk=small_disk, **server_keys)
        stack.callback(servers.stop_all)
        if small_disk is not None:
            servers.mount_small_disk()
        servers.start()
        servers.leader(30)
        serves_everywhere(servers, 30)
        until(lambda: servers.voters() == count, "all to vote")
        yield servers


def log_tail(servers: FaultServers, lines: int = 15) -> str:
    """The end of every server's log, for the report of a failure."""
    return "\n".join(
        f"--- s{number}\n" + os.linesep.join(servers.log(number).splitlines()[-lines:])
        for number in range(servers.count)
    )
