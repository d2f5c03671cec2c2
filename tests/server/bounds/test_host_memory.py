"""The memory of a process: the machine's, or that of its control groups if that is less."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.server.bounds.host_memory import memory_bytes

GIB = 1 << 30


def host(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MACHINE = {"proc/meminfo": f"MemTotal:       {8 * GIB // 1024} kB\nMemFree: 12 kB\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/memory.max": "max\n"}, 8 * GIB),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": f"{GIB}\n"}, GIB),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/memory.max": f"{2 * GIB}\n",
                "sys/fs/cgroup/a/b/memory.max": f"{3 * GIB}\n",
            },
            2 * GIB,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,memory:/x\n3:cpuset:/y\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{GIB}\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            GIB,
        ),
        ({"proc/self/cgroup": "0::/../../etc\n", "sys/fs/cgroup/memory.max": "0\n"}, 8 * GIB),
        ({"proc/self/cgroup": "no cgroup\n"}, 8 * GIB),
    ],
)
def test_the_least_counts(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert memory_bytes(host(tmp_path, {**MACHINE, **files})) == expected


@pytest.mark.parametrize("text", ["", "MemTotal: many kB\n", "MemTotal:\n", "MemTotal: 5 MB\n"])
def test_a_machine_that_does_not_tell_has_no_number(tmp_path: Path, text: str) -> None:
    assert memory_bytes(host(tmp_path, {"proc/meminfo": text})) == 0


def test_this_machine_tells() -> None:
    assert memory_bytes() > 64 << 20
