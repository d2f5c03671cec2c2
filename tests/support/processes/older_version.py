"""The version of commit 586a0ee, from before feature levels, beside today's in one cluster."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from places import ROOT
from server_processes import Servers

COMMIT = "586a0ee"
LOCK = "requirements.lock"


def source_of_old(folder: Path) -> Path:
    """The old version's source, ready to be run by this interpreter; skips the test without it.

    It runs with what is installed here, so its own locked requirements must be among these.
    """
    if _git("rev-parse", "--verify", f"{COMMIT}^{{commit}}") is None:
        pytest.skip(f"commit {COMMIT} is not in this repository (a shallow clone, or none)")
    missing = _pins(_git("show", f"{COMMIT}:{LOCK}") or b"") - _pins((ROOT / LOCK).read_bytes())
    if missing:
        pytest.skip(f"commit {COMMIT} needs {', '.join(sorted(missing))}, which {LOCK} has not")
    folder.mkdir(parents=True, exist_ok=True)
    packed = folder / "src.tar"
    assert _git("archive", f"--output={packed}", COMMIT, "src") is not None
    shutil.unpack_archive(packed, folder)
    return folder / "src"


def _pins(lock: bytes) -> set[str]:
    """The packages with their versions."""
    return set(re.findall(r"^[\w.-]+==[\w.]+", lock.decode(), re.MULTILINE))


def _git(*words: str) -> bytes | None:
    """What git prints; None if it cannot be run, or fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, check=False, timeout=60
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


class MixedServers(Servers):
    """Servers of which those in `old` run the source of the old version."""

    def __init__(self, folder: Path, source: Path, count: int = 3, **server_keys: Any) -> None:
        super().__init__(folder, count, **server_keys)
        self.source = source
        self.old = set(range(count))

    def environment(self, number: int) -> dict[str, str]:
        return {"PYTHONPATH": str(self.source)} if number in self.old else {}

    def restart(self, number: int, *, old: bool) -> None:
        """Stop one server in an orderly way, and start it with the other version."""
        process = self.processes.pop(number)
        process.terminate()
        process.wait(PATIENCE_S)
        if old:
            self.old.add(number)
        else:
            self.old.discard(number)
        self.start(number)

    def upgrade(self, number: int) -> Any:
        """What a server of today says of the upgrade."""
        return self.ask(number, "/v1/operator/upgrade").json
