"""A real `nomad` program beside us: its version, one server of it, and its command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from server_processes import free_ports, until

NOMAD = shutil.which("nomad")
needs_nomad = pytest.mark.skipif(
    NOMAD is None, reason="there is no nomad program on the PATH; Debian has none"
)


@cache
def nomad_version() -> tuple[int, ...]:
    """Of the program on the PATH."""
    assert NOMAD is not None
    said = subprocess.run([NOMAD, "version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[1].lstrip("v").partition("-")[0].split("."))


def run(program: list[str], *words: str, address: str) -> subprocess.CompletedProcess[str]:
    """A command against the agent at this HTTP address."""
    return subprocess.run(
        [*program, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=_environment(address),
    )


def _environment(address: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NOMAD_", "QUORATE_"))}
    return {**kept, "NOMAD_ADDR": address, "NOMAD_CLI_SHOW_HINTS": "0"}


@contextlib.contextmanager
def watching(program: str, *words: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """A command that does not end by itself; its lines are in `stdout`."""
    process = subprocess.Popen(
        [program, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(address),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


class NomadServer:
    """One Nomad server, a region of its own; no client, nothing but loopback."""

    def __init__(self, folder: Path, region: str, **server_keys: Any) -> None:
        self.http, self.rpc, self.serf = free_ports(3)
        self.log = folder / f"{region}.log"
        self._config = folder / f"{region}.json"
        loopback = "127.0.0.1"
        config = {
            "name": "n1",
            "region": region,
            "data_dir": str(folder / region),
            "bind_addr": loopback,
            "ports": {"http": self.http, "rpc": self.rpc, "serf": self.serf},
            "advertise": {"http": loopback, "rpc": loopback, "serf": loopback},
            "telemetry": {"prometheus_metrics": True},
            "disable_update_check": True,
            "leave_on_terminate": True,
            "server": {"enabled": True, "bootstrap_expect": 1, **server_keys},
        }
        self._config.write_text(json.dumps(config))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def start(self) -> None:
        """Run it, and wait until it leads its region."""
        assert NOMAD is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [NOMAD, "agent", "-config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self.leads, "a Nomad server that leads", 60)

    def leads(self) -> bool:
        assert NOMAD is not None
        said = run([NOMAD], "operator", "api", "/v1/status/leader", address=self.address)
        return said.returncode == 0 and str(self.rpc) in said.stdout

    def terminate(self) -> None:
        """Have it leave the pool and end."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


@contextlib.contextmanager
def nomad_server(folder: Path, region: str, **server_keys: Any) -> Iterator[NomadServer]:
    """A Nomad server that leads its region; gone afterwards."""
    server = NomadServer(folder, region, **server_keys)
    try:
        server.start()
        yield server
    finally:
        server.kill()
