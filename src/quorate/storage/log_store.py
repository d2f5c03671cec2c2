"""The durable log of a server with its term and vote, on LMDB.

Invariants:
- `write` is one LMDB transaction: after it returns, all of the batch is on disk; when it raises,
  and whenever the process or the machine dies before it returns, all or nothing of it is. What
  Raft must have on disk before it answers (Figure 2: currentTerm, votedFor, log[]) goes through
  one such call.
- Nothing that fails its checksum is ever returned (layout: `log_format`; checks: `log_check`).
- One thread writes at a time, others may read meanwhile: they see the state before or after a
  write, because LMDB keeps versions of its pages, and `LogExtent` is replaced as a whole.

Same three stable keys as hashicorp/raft (files, section 5). Differs in that vote and entries
share a transaction, and in the checksums.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

import lmdb

from quorate.errors import LogDamaged, StorageFull, WrongDataFolder
from quorate.raft.messages import Entry, HardState
from quorate.storage import log_format
from quorate.storage.disk_errors import clear_errors
from quorate.storage.log_check import check_entries, check_file, check_settings
from quorate.storage.log_environment import DATA_FILE, lmdb_error, open_environment
from quorate.storage.log_extent import LogExtent
from quorate.storage.log_room import Room
from quorate.storage.write_batch import WriteBatch

__all__ = ["LogStore", "WriteBatch"]

COMPACT_MAX_PER_WRITE: Final = 16_384
"""10 to 15 ms of work; more than one snapshot interval usually leaves."""

COMPACT_WHEN_FULL: Final = 64
"""The same for a disk without room."""


class LogStore:
    """The log store in one folder. Made by `open`."""

    def __init__(self, path: Path, env: lmdb.Environment, compact_max: int) -> None:
        self._folder = path
        self._compact_max = compact_max
        self._path = str(path / DATA_FILE)
        self._env = env
        self._logs: Any = env.open_db(b"logs")
        self._conf: Any = env.open_db(b"conf")
        self._room = Room(env, (self._logs, self._conf), path)
        self._writing = Lock()
        self._extent = LogExtent()
        self._garbage = 0  # records at or below the base that still lie on the disk
        self._hard_state = HardState()
        self._meta: dict[str, bytes] = {}

    @classmethod
    def open(cls, path: Path, compact_max: int = COMPACT_MAX_PER_WRITE) -> LogStore:
        """Open the store in folder `path`, or make one there, and check all of it.

        `compact_max` is the most compacted records that one write removes from the disk; it bounds
        how long a write takes. The others are out of the log at once all the same, and are
        removed by later writes.

        The caller has made sure that nobody else uses the folder (see `DataFolder`). Takes about
        5 us an entry. Raises LogDamaged, WrongDataFolder (another layout), StorageFull,
        QuorateError.
        """
        doing = f"open the log in {path}"
        with clear_errors(doing):
            data_file = path / DATA_FILE
            if data_file.exists() and data_file.stat().st_size > 0:
                check_file(data_file)
            env = open_environment(path)
        try:
            store = cls(path, env, compact_max)
            store._load()
        except lmdb.Error as error:
            env.close()
            raise lmdb_error(error, doing, path) from error
        except BaseException:
            env.close()
            raise
        return store

    @property
    def path(self) -> Path:
        """The folder that holds the log."""
        return self._folder

    def close(self) -> None:
        """Give the files back. No other method may be used after it."""
        with self._writing:
            self._env.close()

    # -- reading: on the event loop, while another thread may be in `write` -----------------------

    def first_index(self) -> int:
        """Index of the first entry; 0 if there is none."""
        extent = self._extent
        return 0 if extent.is_empty else extent.base_index + 1

    def last_index(self) -> int:
        """Index of the last entry; 0 if there is none."""
        extent = self._extent
        return 0 if extent.is_empty else extent.last_index

    def base(self) -> tuple[int, int]:
        """(index, term) of the last entry that compaction or `reset_to` took away, or (0, 0).

        The first entry of the log, now or later, has the index behind it.
        """
        return self._extent.base_index, self._extent.base_term

    def term(self, index: int) -> int | None:
        """Term of the entry at `index`, also of the base; None for any other index."""
        return self._extent.term(index)

    def hard_state(self) -> HardState:
        """Term and vote, as last written."""
        return self._hard_state

    def meta(self, key: str) -> bytes | None:
        """The small value kept under `key`, or None."""
        return self._meta.get(key)

    def size_bytes(self) -> int:
        """Size of the file. It never shrinks: room that became free is used again."""
        with clear_errors(f"ask for the size of {self._path}"):
            return Path(self._path).stat().st_size

    def compaction_pending(self) -> bool:
        """True while compacted records still lie on the disk; any write removes more of them."""
        return self._garbage > 0

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """The entries from `low` up to, not including, `high`, as far as the log has them.

        Stops before the travelling forms exceed `max_bytes` together, but gives at least one
        entry. Empty if `low` is not in the log. Raises LogDamaged.
        """
        extent = self._extent
        if low not in extent or low >= high:
            return []
        with self._clear_errors("read"), self._env.begin(self._logs) as txn:
            return self._read(txn.cursor(), low, min(high, extent.last_index + 1), max_bytes)

    def _read(self, cursor: Any, low: int, high: int, max_bytes: int) -> list[Entry]:
        if not cursor.set_range(log_format.entry_key(low)):
            return []  # truncated by a write since the extent was looked at
        found: list[Entry] = []
        room = max_bytes
        for index, (key, value) in zip(range(low, high), cursor, strict=False):
            if key != log_format.entry_key(index):
                if index == low and not cursor.prev():
                    return []  # compacted or replaced, likewise
                raise log_format.entry_damaged(index, self._path, "it is missing")
            room -= len(value) - log_format.ENTRY_HEAD.size
            if room < 0 and found:
                break
            found.append(log_format.read_entry(index, value, self._path))
        return found

    # -- looking after what lies there: in any thread ---------------------------------------------

    def check(self, low: int, count: int, max_bytes: int) -> int:
        """Read up to `count` entries from `low` on where they lie on the disk, for their checksums.

        Also those of term, vote and base. Stops once more than `max_bytes` were read. Returns the
        index to go on from, 0 when the end of the log was reached. Raises LogDamaged.
        """
        try:
            return self._check(low, count, max_bytes)
        except LogDamaged:
            # What looked like damage may have been a write of which only a part was published.
            with self._writing:
                return self._check(low, count, max_bytes)

    def _check(self, low: int, count: int, max_bytes: int) -> int:
        extent = self._extent
        low = max(low, extent.base_index + 1)
        high, room = min(low + count, extent.last_index + 1), max_bytes
        with self._clear_errors("read"), self._env.begin(self._logs) as txn:
            check_settings(txn, self._conf, self._path)
            cursor = txn.cursor()
            cursor.set_range(log_format.entry_key(low))
            for index in range(low, high):
                if cursor.key() != log_format.entry_key(index):
                    raise log_format.entry_damaged(index, self._path, "it is missing")
                value = cursor.value()
                log_format.read_entry_term(index, value, self._path)
                room -= len(value)
                if room < 0:
                    high = index + 1
                    break
                cursor.next()
        return high if high <= extent.last_index else 0

    # -- writing: in a worker thread --------------------------------------------------------------

    def write(self, batch: WriteBatch) -> None:
        """Make all of `batch` durable, or nothing.

        Raises StorageFull when there is no room: the store is as it was, and a later write may
        succeed. Raises QuorateError for anything else the disk says; what is on disk is then
        known only after opening the store anew.
        """
        with self._writing:
            extent = self._extent_after(batch)
            if batch.entries:
                with self._clear_errors("write"):
                    self._room.check(batch.entries)
            try:
                garbage = self._commit(batch, extent, self._compact_max)
            except StorageFull:
                # What the last compaction freed can be used from the second write after it on,
                # and a smaller compaction needs less room: see `log_room`.
                self._write_layout()
                garbage = self._commit(batch, extent, COMPACT_WHEN_FULL)
            self._extent = extent
            self._garbage = garbage
            if batch.hard_state is not None:
                self._hard_state = batch.hard_state
            if batch.meta:
                self._meta = self._meta | dict(batch.meta)

    def _commit(self, batch: WriteBatch, extent: LogExtent, compact_max: int) -> int:
        size = sum(len(entry.encoded or b"") for entry in batch.entries)
        with self._clear_errors("write", size), self._env.begin(write=True) as txn:
            return self._apply(txn, batch, extent, compact_max)

    def _write_layout(self) -> None:
        """Write the layout, also where it stands already: the smallest of all writes."""
        key, layout = log_format.FORMAT_KEY, log_format.FORMAT
        with self._clear_errors("write"), self._env.begin(write=True) as txn:
            txn.put(key, log_format.setting_value(key, layout), db=self._conf)

    @contextmanager
    def _clear_errors(self, verb: str, size: int = 0) -> Iterator[None]:
        try:
            yield
        except lmdb.Error as error:
            raise lmdb_error(error, f"{verb} {self._path}", self._folder, size) from error

    def _extent_after(self, batch: WriteBatch) -> LogExtent:
        extent = self._extent
        if batch.reset_to is not None:
            index, term = batch.reset_to
            extent = LogExtent(index, term, index)
        if batch.truncate_from is not None:
            extent = extent.truncated_from(batch.truncate_from)
        if batch.entries:
            extent = extent.extended(batch.entries)
        if batch.compact_to is not None:
            extent = extent.compacted_to(batch.compact_to)
        return extent

    def _apply(
        self,
        txn: lmdb.Transaction[bytes],
        batch: WriteBatch,
        extent: LogExtent,
        compact_max: int,
    ) -> int:
        """Bring the transaction to `extent` and the batch; how many compacted records remain."""
        garbage, old = self._garbage, self._extent
        if batch.reset_to is not None:
            txn.drop(self._logs, delete=False)
            garbage, old = 0, LogExtent(*batch.reset_to, batch.reset_to[0])
        with txn.cursor(self._logs) as cursor:
            if batch.truncate_from is not None:
                first_key = log_format.entry_key(batch.truncate_from)
                while cursor.set_range(first_key):
                    cursor.delete()
            if batch.entries:
                records = [log_format.entry_record(entry) for entry in batch.entries]
                _, added = cursor.putmulti(records, append=True)
                assert added == len(records), (added, len(records))
            garbage += extent.base_index - old.base_index
            for _ in range(min(garbage, compact_max)):
                cursor.first()
                cursor.delete()
        for key, payload in self._changed_settings(batch, extent).items():
            txn.put(key, log_format.setting_value(key, payload), db=self._conf)
        return max(0, garbage - compact_max)

    def _changed_settings(self, batch: WriteBatch, extent: LogExtent) -> dict[bytes, bytes]:
        changed = log_format.meta_settings(batch.meta)
        if batch.hard_state is not None:
            changed |= log_format.hard_state_settings(batch.hard_state)
        base = (extent.base_index, extent.base_term)
        if base != self.base():
            changed |= log_format.base_settings(base)
        return changed

    # -- opening ----------------------------------------------------------------------------------

    def _load(self) -> None:
        """Check and take over what is on the disk; a store without anything gets its layout."""
        with self._env.begin() as txn:
            settings = check_settings(txn, self._conf, self._path)
            is_new = not settings and txn.stat(self._logs)["entries"] == 0
            if not is_new:
                self._check_layout(settings)
            base = log_format.base_of(settings, self._path)
            self._extent, self._garbage = check_entries(txn, self._logs, base, self._path)
        self._hard_state = log_format.hard_state_of(settings, self._path)
        self._meta = log_format.meta_of(settings, self._path)
        if is_new:
            self._write_layout()

    def _check_layout(self, settings: dict[bytes, bytes]) -> None:
        layout = settings.get(log_format.FORMAT_KEY)
        if layout is None:
            raise LogDamaged(f"{self._path} is damaged: its layout is missing", path=self._path)
        if layout != log_format.FORMAT:
            shown = layout.decode(errors="backslashreplace")
            raise WrongDataFolder(
                f"the log in {self._folder} has layout {shown}, we read layout "
                f"{log_format.FORMAT.decode()}: another version of Quorate wrote it",
                "start the version that wrote it",
            )
