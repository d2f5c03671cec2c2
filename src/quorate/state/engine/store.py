"""The state machine: applies commands in log order and tells watchers which tables changed.

Invariant: `apply` depends on nothing but the commands applied before, so servers that applied
the same log hold the same state (`digest` shows it). Indexes given to `apply` only rise, until
`restore` puts another image in place. No command that may change the state is ever passed over: at
one that this version cannot read `apply` raises `Held`, here and at every try after it.

Not safe for threads, with one exception: what `snapshot` returns may run in any thread while
commands go on being applied, because it works on a copy of the dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from quorate.errors import MachineHeld
from quorate.state.engine.commands import UnknownCommand, decode
from quorate.state.engine.registry import TODAY, Registry
from quorate.state.engine.snapshot import SnapshotImage, UnknownTally, digest_of, encode_snapshot
from quorate.state.engine.table import R, Table, Tables
from quorate.state.tables import level

Watcher = Callable[[], None]


class Held(MachineHeld):
    """The command at `index` cannot be read by this version, and may not be passed over."""

    def __init__(self, index: int, command: UnknownCommand) -> None:
        super().__init__(
            f"this server has stopped applying the log at index {index}: {command.explained}",
            f"upgrade this server to {command.upgrade}",
        )
        self.index = index
        self.command = command


class StateStore:
    """The tables of one server. `registry` is what its version knows."""

    def __init__(self, registry: Registry = TODAY) -> None:
        self.registry = registry
        self._tables: Tables = registry.fresh_tables()
        self._applied_index = 0
        self._restores = 0
        self._unknown: dict[int, UnknownTally] = {}
        self._watchers: dict[str, list[Watcher]] = {}

    # -- changing ------------------------------------------------------------------------------

    def apply(self, index: int, command: bytes) -> Any:
        """Apply the command of the log entry at `index`; the result is the command's own.

        A command that this version cannot read, but may pass over, changes nothing, is counted,
        and gives an `UnknownCommand`. Any other raises `Held`, and nothing has changed.
        """
        assert index > self._applied_index, f"entry {index} after {self._applied_index}"
        decoded = decode(command, self.registry)
        if isinstance(decoded, UnknownCommand):
            if not decoded.ignorable:
                raise Held(index, decoded)
            self._applied_index = index
            return self._count_unknown(index, decoded)
        self._applied_index = index
        tables = self._tables
        result = decoded.apply(tables, index)
        if tables.changed:
            changed, tables.changed = tables.changed, []
            if self._watchers:
                self._notify(changed)
        return result

    def restore(self, image: SnapshotImage) -> None:
        """Put `image` in place of everything. Indexes may go back; all watchers are called."""
        self._tables = Tables(image.rows, image.indexes)
        self._applied_index = image.applied_index
        self._unknown = {tally.type: tally for tally in image.unknown}
        self._restores += 1
        self._notify(list(self._watchers))

    # -- reading -------------------------------------------------------------------------------

    @property
    def applied_index(self) -> int:
        """Index of the newest command applied here; 0 before the first."""
        return self._applied_index

    @property
    def restores(self) -> int:
        """How often `restore` was called: table indexes compare only within one number."""
        return self._restores

    @property
    def unknown_commands(self) -> tuple[UnknownTally, ...]:
        """The commands that were passed over, by type. Not empty: this server is behind others."""
        return tuple(self._unknown[key] for key in sorted(self._unknown))

    @property
    def level(self) -> int:
        """The cluster's feature level, as applied here so far."""
        return level.current(self._tables)

    def get(self, table: Table[R], key: str) -> R | None:
        """The record with this key, or None."""
        return self._tables.get(table, key)

    def rows(self, table: Table[R]) -> Mapping[str, R]:
        """All records of the table by key. Not to be kept across a change."""
        return self._tables.rows(table)

    def table_index(self, name: str) -> int:
        """Index of the last command that changed the table. Raises KeyError for no table."""
        return self._tables.indexes[name]

    def watch(self, name: str, callback: Watcher) -> Callable[[], None]:
        """Call `callback` after every command that changed the table, and after a restore.

        It runs inside `apply`, so it must be quick and must not raise. The result ends the
        watch and may be called more than once. Raises KeyError for no table.
        """
        if name not in self._tables.indexes:
            raise KeyError(name)
        watcher: Watcher = partial(callback)  # its own identity, if one callback watches twice
        self._watchers.setdefault(name, []).append(watcher)
        return partial(self._unwatch, name, watcher)

    # -- snapshots -----------------------------------------------------------------------------

    def image(self) -> SnapshotImage:
        """The state as it is now: dictionaries copied, records shared."""
        tables = self._tables
        return SnapshotImage(
            applied_index=self._applied_index,
            rows={name: rows.copy() for name, rows in tables.all_rows.items()},
            indexes=tables.indexes.copy(),
            unknown=self.unknown_commands,
        )

    def snapshot(self) -> Callable[[Callable[[bytes], object]], None]:
        """A function that writes the state as it is now, later and in any thread."""
        return partial(encode_snapshot, self.image(), registry=self.registry)

    def digest(self) -> bytes:
        """32 bytes that are equal on servers with equal tables. Takes time by their size."""
        return digest_of(self.image(), self.registry)

    # -- inside --------------------------------------------------------------------------------

    def _count_unknown(self, index: int, command: UnknownCommand) -> UnknownCommand:
        before = self._unknown.get(command.type)
        self._unknown[command.type] = UnknownTally(
            type=command.type,
            reason=command.reason,
            count=1 if before is None else before.count + 1,
            first_index=index if before is None else before.first_index,
            last_index=index,
        )
        return command

    def _notify(self, names: list[str]) -> None:
        for name in dict.fromkeys(names):
            for watcher in tuple(self._watchers.get(name, ())):
                watcher()

    def _unwatch(self, name: str, watcher: Watcher) -> None:
        watchers = self._watchers.get(name, [])
        remaining = [known for known in watchers if known is not watcher]
        if remaining:
            self._watchers[name] = remaining
        else:
            self._watchers.pop(name, None)
