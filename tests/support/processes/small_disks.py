"""Servers on a disk that can be filled: a file system of its own, in memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from register_writers import read
from server_processes import Servers, until

DISK_BYTES = 64 << 20


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[None]:
    """A file system of its own at `path`, while the block runs."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system to fill")
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


@contextmanager
def on_small_disk(
    folder: Path, count: int, number: int, size: int = DISK_BYTES
) -> Iterator[Servers]:
    """A running cluster in which one server has a small disk."""
    servers = Servers(folder, count)
    with small_disk(servers.data_dir(number), size):
        servers.start()
        try:
            until(lambda: read(servers, servers.leader()), "the first writes of the leader")
            yield servers
        finally:
            servers.stop_all()
