"""Quorate as it was at another commit, in a checkout and an environment of its own.

`QUORATE_BEFORE` names the commit; without it this rival is left out. The checkout is made by git
from this repository and set up by that commit's own lock, under `build/before-<commit>-<Python>`:
once for each version of the interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from bench.load import LoadFailed
from bench.rival import Cluster
from bench.run_quorate import start_with

NAME = "Quorate before"
VARIABLE = "QUORATE_BEFORE"

ROOT = Path(__file__).resolve().parent.parent


def version() -> str | None:
    """The commit, as git names it, or None where none is asked for."""
    asked = os.environ.get(VARIABLE, "")
    return _commit(asked)[:12] if asked else None


def start(folder: Path) -> Cluster:
    """Three servers of that commit with the default configuration."""
    return start_with(_interpreter(_commit(os.environ[VARIABLE])), folder)


@cache
def _commit(name: str) -> str:
    return _run(["git", "rev-parse", "--verify", f"{name}^{{commit}}"], ROOT).strip()


@cache
def _interpreter(commit: str) -> str:
    """The interpreter of an environment in which that commit is installed."""
    python = ".".join(map(str, sys.version_info[:3]))
    checkout = ROOT / "build" / f"before-{commit[:12]}-{python}"
    if not checkout.exists():
        print(f"setting up {commit[:12]} in {checkout}", file=sys.stderr)
        checkout.parent.mkdir(exist_ok=True)
        _run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(checkout)], ROOT)
        _run(["git", "checkout", "--quiet", commit], checkout)
    # The interpreter below this environment: both versions run on the same one.
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    _run(["make", "setup", f"PYTHON={base}"], checkout)
    return str(checkout / ".venv" / "bin" / "python")


def _run(argv: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise LoadFailed(f"{' '.join(argv)}: {error.stderr.strip()[-500:]}") from error
    return done.stdout
