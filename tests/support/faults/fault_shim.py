"""A sick disk and a jumping clock for one server process: `fault_shim.c`, and its control."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

_SOURCE = Path(__file__).with_name("fault_shim.c")
_BLOCKED, _OFFSET, _SIZE = 0, 8, 16


@cache
def _library() -> Path:
    """The shim, compiled once for this process."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (gcc), to block syncs and move clocks")
    built = Path(mkdtemp(prefix="quorate-shim-")) / "fault_shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(built)]
    subprocess.run([*command, str(_SOURCE), "-ldl"], check=True)
    return built


class Shim:
    """What is wrong with one server's machine; `path` is the file that both sides map."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_SIZE))
        self._path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SIZE)

    def environment(self) -> dict[str, str]:
        """What the server has to be started with."""
        return {"LD_PRELOAD": str(_library()), "FAULT_SHIM_FILE": str(self._path)}

    def block_syncs(self, blocked: bool) -> None:
        """From now on nothing becomes durable, or everything does again."""
        struct.pack_into("<q", self._map, _BLOCKED, int(blocked))

    def set_clock(self, offset_s: float) -> None:
        """The time of day as this server sees it, against the true one."""
        struct.pack_into("<q", self._map, _OFFSET, int(offset_s * 1e9))
