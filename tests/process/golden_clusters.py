"""Data folders as servers of older versions left them: `tests/golden/clusters/<name>.tar.xz`.

Every later version opens them. To make one of the version that is checked out, or of 586a0ee:

    PYTHONPATH=tests/process .venv/bin/python tests/process/golden_clusters.py level-1 [--old]
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from pathlib import Path

from older_version import MixedServers, source_of_old
from register_writers import PATH, body
from server_processes import until

FOLDERS = Path(__file__).parents[1] / "golden" / "clusters"
WRITES = 30
SNAPSHOT_EVERY = 8
MANY_BYTES = 64 << 20


def unpack(name: str, target: Path) -> None:
    """Put the data folder of that name in place."""
    with tarfile.open(FOLDERS / f"{name}.tar.xz") as archive:
        assert sum(member.size for member in archive) < MANY_BYTES
        archive.extractall(target, filter="data")


def make(name: str, *, old: bool) -> None:
    """Let one server write, with a snapshot in the middle, stop it, and pack what it leaves."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        servers = MixedServers(
            folder,
            source_of_old(folder / "old") if old else folder,
            1,
            raft_snapshot_threshold=SNAPSHOT_EVERY,
            raft_snapshot_interval="100ms",
            raft_trailing_logs=4,
        )
        servers.old = {0} if old else set()
        servers.start()
        try:
            servers.leader()
            for value in range(1, WRITES + 1):
                assert servers.ask(0, PATH, "PUT", body(value)).status == 200
            until(lambda: servers.stats(0)["last_snapshot_index"] != "0", "a snapshot")
            process = servers.processes.pop(0)
            process.terminate()
            process.wait(20)
        finally:
            servers.stop_all()
        FOLDERS.mkdir(parents=True, exist_ok=True)
        with tarfile.open(FOLDERS / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(servers.data_dir(0), arcname=".")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--old", action="store_true")
    given = parser.parse_args()
    make(given.name, old=given.old)
