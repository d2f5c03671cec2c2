"""Builds `gopeer` against a release of hashicorp/raft, once: the binary is kept in `build/`."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from places import ROOT

SOURCE = Path(__file__).with_name("gopeer")
# Module file and build tags of each release line. The first is the one of every day; v1.6 knows
# no pre-vote.
RELEASES = {
    "v1.7": ("go.mod", ""),
    "v1.8": ("v1.8.mod", ""),
    "v1.6": ("v1.6.mod", "before_prevote"),
}


@functools.cache
def gopeer(release: str) -> Path:
    """The program; skips the test where it cannot be built for want of (a recent) Go."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is missing: it builds the peer of hashicorp/raft (Debian: golang-go)")
    module, tags = RELEASES[release]
    needed = re.search(r"^go 1\.(\d+)", (SOURCE / module).read_text(), re.MULTILINE)
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
    have = re.search(r"go1\.(\d+)", version.stdout)
    assert needed is not None
    assert have is not None
    # The sources of v1.6 and v1.7 are built by Go 1.19, too, although they ask for 1.20.
    if int(have[1]) < min(int(needed[1]), 19 if release != "v1.8" else 99):
        pytest.skip(f"hashicorp/raft {release} needs Go 1.{needed[1]}, here is {version.stdout}")
    return _build(go, release, module, tags)


def _build(go: str, release: str, module: str, tags: str) -> Path:
    digest = hashlib.sha256()
    for path in sorted(SOURCE.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    program = folder / f"gopeer-{release}-{digest.hexdigest()[:12]}"
    with (folder / "gopeer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not program.exists():
            fresh = program.with_suffix(".new")
            command = [go, "build", "-trimpath", f"-modfile={module}", f"-tags={tags}"]
            done = subprocess.run(
                [*command, f"-o={fresh}", "."],
                cwd=SOURCE,
                env={**os.environ, "CGO_ENABLED": "0"},  # no C compiler is needed
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            fresh.rename(program)
    assert os.access(program, os.X_OK)
    return program
