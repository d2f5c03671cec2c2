"""The process of this machine that has a port, where a server takes connections and says nothing.

Linux tells it in /proc; processes of other users are seen by root alone, those of another container
not at all. Everywhere else, and for addresses of other machines, there is no answer.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from quorate.diagnosis.values import Process

_PROC: Final = Path("/proc")
_TABLES: Final = ("net/tcp", "net/tcp6")
_LISTENS: Final = "0A"
_ADDRESS_PLACE, _STATE_PLACE, _INODE_PLACE = 1, 3, 9  # columns of /proc/net/tcp


def listener_at(host: str, port: int) -> Process | None:
    """The process that listens there, if the host is this machine's. It waits for /proc."""
    if host != "localhost" and not _is_here(host):
        return None
    inodes = set(_listening(port))
    for folder in _PROC.glob("[0-9]*") if inodes else ():
        with suppress(OSError, ValueError, IndexError):
            if any(_names(link, inodes) for link in (folder / "fd").iterdir()):
                # pid (name) state ...: a name may hold anything
                state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                return Process(pid=int(folder.name), state=state[:1])
    return None


def _is_here(host: str) -> bool:
    """Can an address of this host be bound? Only those of the machine can."""
    try:
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (OSError, ValueError):
        return False
    return True


def _listening(port: int) -> Iterator[str]:
    """The names by which /proc/PID/fd knows the sockets that listen at this port."""
    for table in _TABLES:
        with suppress(OSError):
            for line in (_PROC / table).read_text().splitlines()[1:]:
                words = line.split()
                if len(words) <= _INODE_PLACE or words[_STATE_PLACE] != _LISTENS:
                    continue
                if words[_ADDRESS_PLACE].endswith(f":{port:04X}"):
                    yield f"socket:[{words[_INODE_PLACE]}]"


def _names(link: Path, inodes: set[str]) -> bool:
    with suppress(OSError):
        return str(link.readlink()) in inodes
    return False
