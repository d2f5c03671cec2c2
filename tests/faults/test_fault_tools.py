"""The tools of this folder do what they say: a cut link is cut, a blocked sync blocks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fault_network import Network
from fault_shim import Shim
from patience import PATIENCE_S
from server_processes import until

pytestmark = pytest.mark.process

LISTEN = """
import socket
with socket.create_server(("0.0.0.0", 7000)) as server:
    while True:
        stream, _ = server.accept()
        with stream:
            stream.sendall(b"x" * int(stream.recv(100)))
"""
FETCH = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 7000), timeout=1.5) as stream:
    stream.sendall(sys.argv[2].encode())
    size = 0
    while data := stream.recv(65536):
        size += len(data)
print(size, time.monotonic() - began)
"""


def fetch(network: Network, source: int, target: int, size: int = 1) -> float | None:
    """Seconds until server `source` got so many bytes from `target`; None: it did not."""
    command = [sys.executable, "-c", FETCH, network.address(target), str(size)]
    done = subprocess.run(
        [*network.entering(source), *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        assert "timed out" in done.stderr or "refused" in done.stderr, done.stderr
        return None
    received, seconds = done.stdout.split()
    assert int(received) == size
    return float(seconds)


def test_links_are_cut_made_lossy_and_narrow_and_healed() -> None:
    network = Network(3)
    listener = subprocess.Popen([*network.entering(0), sys.executable, "-c", LISTEN])
    try:
        until(lambda: fetch(network, 1, 0) is not None, "the listener")
        network.cut({1}, {0})
        assert fetch(network, 1, 0) is None
        assert fetch(network, 2, 0) is not None
        network.heal()
        network.cut({0}, {1})  # the other way: what comes back is lost
        assert fetch(network, 1, 0) is None
        network.heal()
        network.lose(0, 99)
        assert fetch(network, 1, 0) is None
        network.heal()
        network.narrow(0, True)
        assert (fetch(network, 1, 0, 40_000) or 0.0) > 0.5
        network.heal()
        assert (fetch(network, 1, 0, 40_000) or 9.0) < 0.5
    finally:
        listener.kill()
        listener.wait(PATIENCE_S)
        network.close()


SEEN = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    for line in sys.stdin:
        file.write(b"x")
        os.fdatasync(file.fileno())
        print(time.time(), time.monotonic(), flush=True)
"""


def test_syncs_block_and_only_the_time_of_day_jumps(tmp_path: Path) -> None:
    shim = Shim(tmp_path / "shim")
    with subprocess.Popen(
        [sys.executable, "-c", SEEN, str(tmp_path / "synced")],
        env=shim.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin
        assert process.stdout

        def ask() -> None:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()

        def seen() -> tuple[float, float]:
            assert process.stdout
            wall, monotonic = process.stdout.readline().split()
            return float(wall), float(monotonic)

        ask()
        wall, monotonic = seen()
        shim.set_clock(-3600)
        ask()
        earlier, later = seen()
        assert -3600 <= earlier - wall < -3590
        assert 0 <= later - monotonic < 10
        shim.block_syncs(True)
        ask()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        shim.block_syncs(False)
        assert seen()[1] - later >= 0.3
        process.stdin.close()
