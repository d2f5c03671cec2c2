"""A real `nomad` program beside us: its version, servers of it, its command line, ours at them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from server_processes import Servers, free_ports, until

NOMAD = shutil.which("nomad")
QUORATE = [sys.executable, "-m", "quorate"]
KEY = "cg8StVXbQJ0gPvMd9o7yrg=="
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


class Cluster(Servers):
    """Three servers of ours that gossip with a key."""

    def __init__(self, folder: Path, **more: object) -> None:
        super().__init__(folder)
        for number in range(self.count):
            config = json.loads(self.config(number).read_text())
            config["telemetry"] = {"prometheus_metrics": True}
            config["leave_on_terminate"] = True
            config["enable_debug"] = True  # `agent/host` answers
            joins = [f"127.0.0.1:{port}" for port in self.serf]
            config["server"] = {
                "enabled": True,
                "bootstrap_expect": 3,
                "encrypt": KEY,
                "server_join": {"retry_join": joins, "retry_interval": "1s"},
                **more,
            }
            self.config(number).write_text(json.dumps(config))

    def address(self, number: int = 0) -> str:
        return f"http://127.0.0.1:{self.http[number]}"

    def nomad(self, *words: str, at: int = 0) -> subprocess.CompletedProcess[str]:
        """Nomad's program, asked for something of one of our servers."""
        assert NOMAD is not None
        return run([NOMAD], *words, address=self.address(at))

    def good(self, *words: str, at: int = 0) -> str:
        """What it says; it must succeed."""
        ran = self.nomad(*words, at=at)
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        return ran.stdout

    def bad(self, *words: str, at: int = 0) -> str:
        """What it says of an error."""
        ran = self.nomad(*words, at=at)
        assert ran.returncode == 1, (words, ran.stdout, ran.stderr)
        return ran.stderr


@contextlib.contextmanager
def three_of_ours(folder: Path) -> Iterator[Cluster]:
    """All of them vote, and none had a traceback."""
    servers = Cluster(folder)
    servers.start()
    try:
        servers.leader()
        until(lambda: servers.voters() == 3, "three voters")
        until(lambda: servers.ask(0, "/v1/operator/upgrade").json["Level"] >= 1, "its level")
        yield servers
    finally:
        servers.stop_all()
    for number in range(servers.count):
        assert "Traceback" not in servers.log(number), servers.log(number)


def ours(server: NomadServer, *words: str) -> subprocess.CompletedProcess[str]:
    """Our program, asked for something of a server of Nomad."""
    return run(QUORATE, *words, address=server.address)


def told(server: NomadServer, *words: str) -> str:
    """What it says; it must succeed."""
    ran = ours(server, *words)
    assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
    return ran.stdout


class NomadServer:
    """One Nomad server, by default a region of its own; no client, nothing but loopback."""

    def __init__(self, folder: Path, region: str, *, name: str = "n1", **server_keys: Any) -> None:
        self.http, self.rpc, self.serf = free_ports(3)
        self.log = folder / f"{region}-{name}.log"
        self.data_dir = folder / f"{region}-{name}"
        self._config = folder / f"{region}-{name}.json"
        loopback = "127.0.0.1"
        config = {
            "name": name,
            "region": region,
            "data_dir": str(self.data_dir),
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
        self.launch()
        until(self.leads, "a Nomad server that leads", 60)

    def launch(self) -> None:
        """Run it."""
        assert NOMAD is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [NOMAD, "agent", "-config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def leads(self) -> bool:
        return str(self.rpc) in self.leader()

    def leader(self) -> str:
        """The address of its leader, as it says; empty while it knows of none."""
        assert NOMAD is not None
        said = run([NOMAD], "operator", "api", "/v1/status/leader", address=self.address)
        address = said.stdout.strip().strip('"')
        return address if ":" in address else ""  # or a text, without an error

    def good(self, *words: str) -> str:
        """What Nomad's program says of it; it must succeed."""
        assert NOMAD is not None
        ran = run([NOMAD], *words, address=self.address)
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        return ran.stdout

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
