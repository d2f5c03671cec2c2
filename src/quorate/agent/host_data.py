"""What `/v1/agent/host` tells of the machine, where `enable_debug` is set.

For archives of support, which hold the files that explain a network that does not work. Without
access control each client of the HTTP port may ask, so of the environment only values that
are no secret anywhere are shown.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from quorate.config.checks.host import Host
from quorate.net.threads import in_thread

FILE_BYTES_MAX: Final = 64 * 1024
"""Of each file that is shown; more is cut."""

VARIABLES_MAX: Final = 256
"""Names of the environment that are shown."""

_SHOWN: Final = frozenset(
    {"HOME", "INVOCATION_ID", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TZ", "USER"}
    | {"NOMAD_ADDR", "NOMAD_NAMESPACE", "NOMAD_REGION", "PYTHONPATH", "VIRTUAL_ENV"}
)
_REDACTED: Final = "<redacted>"
_MIB: Final = 1 << 20


def asking(data_dir: Path) -> Callable[[], Awaitable[dict[str, Any]]]:
    """The source of the data, read in a thread each time."""
    return lambda: in_thread(host_data, data_dir)


def host_data(data_dir: Path) -> dict[str, Any]:
    """System, addresses, disks, name resolution and environment; keys as clients know them."""
    return {
        "Disk": {str(path): _disk(path) for path in (Path("/"), data_dir) if path.exists()},
        "Environment": _environment(),
        "Hosts": _text(Path("/etc/hosts")),
        "Network": [
            {"address": str(each.address), "name": each.name} for each in Host().interfaces()
        ],
        "OS": " ".join(os.uname()),
        "ResolvConf": _text(Path("/etc/resolv.conf")),
    }


def _disk(path: Path) -> dict[str, int]:
    try:
        found = os.statvfs(path)
    except OSError:
        return {"DiskMB": 0, "UsedMB": 0}
    size, free = found.f_blocks * found.f_frsize, found.f_bfree * found.f_frsize
    return {"DiskMB": size // _MIB, "UsedMB": (size - free) // _MIB}


def _environment() -> dict[str, str]:
    names = sorted(os.environ)[:VARIABLES_MAX]
    return {name: os.environ[name] if name in _SHOWN else _REDACTED for name in names}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode(errors="replace")
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
