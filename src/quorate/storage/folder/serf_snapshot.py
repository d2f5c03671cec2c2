"""Serf's snapshot file: the members that were known, to find the pool again after a restart.

See docs/wire.md#serfs-snapshot.

Lines are appended as things happen, without a sync: what a crash loses is only a hint, and so is
what a flush that failed has left to be seen. When the file has grown too long it is replaced by a
short one, all or nothing. A line that cannot be read, the torn last one among them, is passed over.

One thread at a time; it may block on the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from quorate.errors import QuorateError, StorageFull
from quorate.given_files import content
from quorate.gossip.messages import Address
from quorate.storage.atomic import make_dir, write_atomic
from quorate.storage.disk_errors import clear_errors

COMPACT_BYTES: Final = 128 * 1024
_BYTES_MAX: Final = 64 << 20
"""More than a pool of the largest size writes before the file is made short again."""
_BYTES_PER_MEMBER: Final = 256
_NUMBERS: Final = {"clock": 0, "event-clock": 1, "query-clock": 2}


class Known(msgspec.Struct):
    """The contents of a file: members believed alive, and the clocks (members, events, queries)."""

    alive: dict[str, Address] = msgspec.field(default_factory=dict)
    clocks: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])
    left: bool = False

    def take(self, line: str, *, rejoin_after_leave: bool) -> None:
        """Follow one line. Unknown and damaged ones change nothing."""
        kind, _, rest = line.partition(":")
        rest = rest.removeprefix(" ")
        if kind == "alive":
            name, _, where = rest.rpartition(" ")
            address = parse_address(where)
            if name and address is not None:
                self.alive[name] = address
        elif kind == "not-alive":
            self.alive.pop(rest, None)
        elif kind in _NUMBERS and rest.isascii() and rest.isdecimal() and len(rest) < 20:
            self.clocks[_NUMBERS[kind]] = int(rest)
        elif line == "leave":
            self.left = True
            if not rejoin_after_leave:
                self.alive.clear()
                self.clocks = [0, 0, 0]

    def lines(self) -> Iterator[str]:
        """The shortest file that says the same."""
        for name, address in self.alive.items():
            yield alive_line(name, address)
        for kind, place in _NUMBERS.items():
            yield f"{kind}: {self.clocks[place]}"


def can_be_written(name: str) -> bool:
    """False for names that would look like other lines: names come from other members."""
    return bool(name) and name.isprintable()


def alive_line(name: str, address: Address) -> str:
    """A member is alive, and where."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"alive: {name} {host}:{address.port}"


def parse_address(text: str) -> Address | None:
    """An address in a line; None if it is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or len(port) > 5:
        return None
    return Address(host.strip("[]"), int(port)) if int(port) < 1 << 16 else None


def read_known(content: bytes, *, rejoin_after_leave: bool) -> Known:
    """The members and clocks in a file. Without `rejoin_after_leave` a leave forgets all before."""
    known = Known()
    *lines, _torn = content.split(b"\n")
    for line in lines:
        text = line.decode(errors="replace")
        if text and not text.startswith("#"):
            known.take(text, rejoin_after_leave=rejoin_after_leave)
    return known


class SerfSnapshot:
    """The file, open for appending. `known` is what stood in it when it was opened."""

    def __init__(self, path: Path, *, rejoin_after_leave: bool) -> None:
        """Read the file, if there is one, and make it short. Raises QuorateError.

        On a full disk it stays as it is: a server has to come up there to make room, and the next
        write tells of the trouble, or writes all that is known.
        """
        self._path = path
        with clear_errors(f"read {path}"):
            make_dir(path.parent)
            try:
                data = content(path, _BYTES_MAX)
            except FileNotFoundError:
                data = b""
        self.known: Final = read_known(data, rejoin_after_leave=rejoin_after_leave)
        self._now = msgspec.structs.replace(
            self.known, alive=dict(self.known.alive), clocks=list(self.known.clocks), left=False
        )
        self._file: BinaryIO | None = None
        self._size = 0
        with suppress(StorageFull):
            self._compact()

    def append(self, lines: Iterable[str]) -> None:
        """Write these down. Nothing is written after a leave. Raises StorageFull, QuorateError."""
        out = []
        for line in lines:
            if self._now.left:
                break
            self._now.take(line, rejoin_after_leave=True)
            out.append(line)
        if not out and self._file is not None:
            return
        if self._file is None:
            self._compact()  # the last write failed: rewrite the file with all that is known
        else:
            self._write("".join(f"{line}\n" for line in out).encode())
        limit = max(COMPACT_BYTES, len(self._now.alive) * _BYTES_PER_MEMBER)
        if self._size > limit and not self._now.left:
            self._compact()

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            with clear_errors(f"write {self._path}"):
                self._file.write(data)
                self._file.flush()
        except QuorateError:
            with suppress(OSError):
                self._file.close()
            self._file = None
            raise
        self._size += len(data)

    def _compact(self) -> None:
        self.close()
        lines = [*self._now.lines(), *(["leave"] if self._now.left else [])]
        content = "".join(f"{line}\n" for line in lines).encode()
        write_atomic(self._path, content)
        with clear_errors(f"open {self._path}"):
            self._file = self._path.open("ab")
        self._size = len(content)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
