"""`raft.db` of a real Nomad server: term and vote, and the log, entry by entry.

The file has two buckets: `conf` with term and vote, `logs` with the entries by index. How far the
log is committed does not stand in it. Read in constant memory, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from quorate.nomad.bolt.file import BoltFile, Bucket, Shape
from quorate.nomad.bolt.meta import BoltError, Read
from quorate.nomad.log_entry import BadEntry, NomadEntry, decode

LOGS: Final = b"logs"
CONF: Final = b"conf"
KEEP_MAX: Final = 100
"""Gaps, damaged entries and configurations that a summary names; all are counted."""

_KEY_BYTES: Final = 8
_CANDIDATE_BYTES_MAX: Final = 1024


class Stable(msgspec.Struct, frozen=True, kw_only=True):
    """Term and vote as they are stored; None where nothing is. The candidate is an address."""

    current_term: int | None = None
    last_vote_term: int | None = None
    last_vote_candidate: str | None = None


class LogSummary(msgspec.Struct, kw_only=True):
    """What a walk over the whole log has met. `gaps` are (first, last) missing index."""

    entries: int = 0
    first_index: int | None = None
    last_index: int | None = None
    last_term: int | None = None
    kinds: dict[str, int] = {}
    commands: dict[int, int] = {}
    gaps: list[tuple[int, int]] = []
    gap_count: int = 0
    bad: list[BadEntry] = []
    bad_count: int = 0
    configuration: NomadEntry | None = None
    """The newest entry that sets one."""
    configurations: int = 0
    first_appended_at: int | None = None
    last_appended_at: int | None = None

    def add(self, found: NomadEntry | BadEntry) -> None:
        """One entry more; they come in the order of their indexes."""
        expected = found.index if self.last_index is None else self.last_index + 1
        if found.index != expected:
            self.gap_count += 1
            if len(self.gaps) < KEEP_MAX:
                self.gaps.append((expected, found.index - 1))
        if self.first_index is None:
            self.first_index = found.index
        self.last_index = found.index
        self.entries += 1
        if isinstance(found, BadEntry):
            self.bad_count += 1
            if len(self.bad) < KEEP_MAX:
                self.bad.append(found)
            return
        self.last_term = found.term
        self.kinds[found.kind_name] = self.kinds.get(found.kind_name, 0) + 1
        if found.command is not None:
            self.commands[found.command] = self.commands.get(found.command, 0) + 1
        if found.kind_name == "Configuration":
            self.configuration = found
            self.configurations += 1
        if found.appended_at is not None:
            if self.first_appended_at is None:
                self.first_appended_at = found.appended_at
            self.last_appended_at = found.appended_at


class RaftDb:
    """See the module. Raises BoltError, also while entries are read."""

    def __init__(self, read: Read, size: int) -> None:
        self.file: Final = BoltFile(read, size)
        buckets = self.file.buckets()
        missing = [name for name in (LOGS, CONF) if name not in buckets]
        if missing:
            raise BoltError(
                f"it has no bucket {missing[0].decode()}: it is not the log of a Nomad server"
            )
        self.notes: Final[list[str]] = self.file.notes
        self.notes.extend(
            [
                f"an unknown bucket {name[:40]!r} was skipped"
                for name in buckets
                if name not in {LOGS, CONF}
            ]
        )
        self.shape: Final = Shape()
        self._logs: Final[Bucket] = buckets[LOGS]
        self._conf: Final[Bucket] = buckets[CONF]
        self._taken = self.file.taken()
        self._stable = self._read_stable()

    @property
    def txid(self) -> int:
        """The transaction whose state is read."""
        return self.file.meta.txid

    @property
    def stable(self) -> Stable:
        """Term and vote."""
        return self._stable

    def _read_stable(self) -> Stable:
        values: dict[bytes, tuple[bytes, int]] = {}
        for item, page in self._conf.items(self._taken):
            if item.is_bucket:
                raise BoltError("a bucket inside conf", page)
            if item.size > _CANDIDATE_BYTES_MAX:
                raise BoltError(f"a value of {item.size} bytes in conf", page)
            values[item.key] = (item.value(), page)
        candidate = values.get(b"LastVoteCand")
        return Stable(
            current_term=_number(values, b"CurrentTerm"),
            last_vote_term=_number(values, b"LastVoteTerm"),
            last_vote_candidate=candidate[0].decode("utf-8", "replace") if candidate else None,
        )

    def entries(self) -> Iterator[NomadEntry | BadEntry]:
        """All entries, by index. A value that is no entry is a BadEntry. Raises BoltError."""
        term, taken = 0, self._taken.copy()
        for item, page in self._logs.items(taken, self.shape):
            if item.is_bucket or len(item.key) != _KEY_BYTES:
                what = "a bucket" if item.is_bucket else f"a key of {len(item.key)} bytes"
                raise BoltError(f"{what} among the entries", page)
            index = int.from_bytes(item.key, "big")
            entry = decode(index, item.value(), page)
            if isinstance(entry, NomadEntry):
                if entry.term < term:
                    why = f"its term {entry.term} is lower than that of the entry before, {term}"
                    yield BadEntry(index, page, why)
                    continue
                term = entry.term
            yield entry
        self.file.check_reached(taken)

    def ends(self) -> tuple[int, int]:
        """First and last index, 0 and 0 for an empty log. Keys alone are read. Raises BoltError."""
        first = last = 0
        for item, _ in self._logs.items(self._taken.copy()):
            last = int.from_bytes(item.key, "big")
            first = first or last
        return first, last

    def summary(self) -> LogSummary:
        """A walk over the whole log. Raises BoltError."""
        found = LogSummary()
        for entry in self.entries():
            found.add(entry)
        return found


def _number(values: dict[bytes, tuple[bytes, int]], key: bytes) -> int | None:
    if key not in values:
        return None
    data, page = values[key]
    if len(data) != _KEY_BYTES:
        raise BoltError(f"{key.decode()} has {len(data)} bytes, not {_KEY_BYTES}", page)
    return int.from_bytes(data, "big")
