"""The memory that this process may use: that of the machine, or less in a container."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_READ_MAX: Final = 64 * 1024
_UNLIMITED: Final = 1 << 60


def memory_bytes(root: Path = _ROOT) -> int:
    """In bytes; 0 if nothing tells it. `root` is where `proc` and `sys` are."""
    found = [_machine(root), *_limits_of_group(root)]
    known = [each for each in found if 0 < each < _UNLIMITED]
    return min(known, default=0)


def _machine(root: Path) -> int:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            value, *unit = rest.split() or ["0"]
            return int(value) * 1024 if value.isdigit() and unit == ["kB"] else 0
    return 0


def _limits_of_group(root: Path) -> list[int]:
    """The limits of this process's control group and of those above it, of either version."""
    found = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        parts = [part for part in path.split("/") if part not in {"", ".", ".."}]
        for length in range(len(parts), -1, -1):
            text = _text(base.joinpath(*parts[:length]) / name).strip()
            if text.isdigit():
                found.append(int(text))
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_MAX).decode("ascii", "replace")
    except OSError:
        return ""
