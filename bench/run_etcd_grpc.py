"""etcd 3.7 as people use it: by gRPC, from its own Go client.

Server and load program (`bench/etcd_grpc`) are built from etcd's own modules with the versions and
checksums of `go.mod` and `go.sum`, once, into `build/`. Left out where Go is missing or too old.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bench.load import Command, LoadFailed, Work, run_command
from bench.processes import ServerProcess
from bench.rival import (
    KEYS,
    LISTED_PREFIX,
    LOCK,
    VARIABLE_BYTES,
    VARIABLE_GET,
    VARIABLE_PUT,
    VARIABLES,
    Cluster,
)
from bench.run_etcd import VALUE, EtcdCluster, start_with

NAME = "etcd gRPC"

SOURCE = Path(__file__).resolve().parent / "etcd_grpc"
BUILD = SOURCE.parents[1] / "build" / "etcd_grpc"
FILL_S = 900.0
"""How long a million keys may take."""

SERVER, LOAD = BUILD / "etcd", BUILD / "load"

_REQUIRED = re.compile(r"^\s*(?:require\s+)?go\.etcd\.io/etcd/client/v3 v(\S+)", re.MULTILINE)


@cache
def version() -> str | None:
    """The version in go.mod, or None where it cannot be built."""
    if shutil.which("go") is None:
        return None
    try:
        _build()
    except LoadFailed as error:
        print(f"{NAME} is left out: {error}")
        return None
    found = _REQUIRED.search((SOURCE / "go.mod").read_text())
    return found[1] if found else None


def _build() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    for target, package in ((LOAD, "."), (SERVER, "go.etcd.io/etcd/server/v3")):
        argv = ["go", "build", "-o", str(target), package]
        done = subprocess.run(argv, cwd=SOURCE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LoadFailed(f"{' '.join(argv)}: {done.stderr.strip()[-500:]}")


class _GrpcCluster(EtcdCluster):
    def writes(self, server: int) -> dict[str, Work]:
        return {"": self._command(server, f"-size={len(VALUE)}")}

    def fill(self, leader: int, keys: str, count: int, size: int) -> bool:
        """Several in one transaction."""
        work = self._command(leader, "-mode=fill", *_of(keys, count), f"-size={size}")
        run_command(work, 1, 0, spare_s=FILL_S)
        return True

    def variables(self, leader: int) -> dict[str, Work]:
        """Keys and values of the same sizes; `get` is linearizable by default."""
        keys = _of(KEYS, VARIABLES)
        return {
            VARIABLE_PUT: self._command(leader, *keys, f"-size={VARIABLE_BYTES}"),
            VARIABLE_GET: self._command(leader, "-mode=get", *keys),
        }

    def lists(self, leader: int, count: int) -> Work | None:
        """Keys without values, as the others list them."""
        return self._command(leader, "-mode=list", *_of(LISTED_PREFIX, count // 100))

    def handover_ms(self, leader: int) -> float | None:
        """A `concurrency.Mutex` between two sessions."""
        return run_command(
            self._command(leader, "-mode=handover", f"-format={LOCK}"), 2, 0
        ).median_ms

    def _command(self, server: int, *more: str) -> Command:
        endpoint = f"127.0.0.1:{self.client_ports[server]}"
        return Command((str(LOAD), f"-endpoint={endpoint}", *more))


def _of(keys: str, count: int) -> tuple[str, str]:
    return f"-format={keys}", f"-keys={count}"


def start(folder: Path) -> Cluster:
    """Three servers with the default configuration."""

    def cluster(servers: Sequence[ServerProcess], client: Sequence[int]) -> Cluster:
        return _GrpcCluster(servers, client)

    return start_with(str(SERVER), folder, cluster, {})
