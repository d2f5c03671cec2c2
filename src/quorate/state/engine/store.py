"""The state machine: applies commands in log order and tells watchers what changed.

Invariant: `apply` depends on nothing but the commands applied before, so servers that applied
the same log hold the same state (`digest` shows it). Indexes given to `apply` only rise, until
`restore` puts another image in place. No command that may change the state is ever passed over: at
one that this version cannot read `apply` raises `Held`, here and at every try after it.

Not safe for threads, with one exception: what `snapshot` returns may run in any thread while
commands go on being applied, because it works on an image of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from quorate.errors import MachineHeld
from quorate.state.engine import level
from quorate.state.engine.changes import Change, RecentChanges
from quorate.state.engine.commands import UnknownCommand, decode
from quorate.state.engine.digest import digest_of
from quorate.state.engine.preview import changes_of
from quorate.state.engine.registry import Registry
from quorate.state.engine.restore import shift
from quorate.state.engine.rows import SUM_MASK, TableRows
from quorate.state.engine.snapshot import SnapshotImage, UnknownTally, encode_snapshot
from quorate.state.engine.table import Command, R, Record, Table, Tables
from quorate.state.engine.watch import Watcher, Watches

Follower = Callable[[list[Change] | None], None]

_FREED_AT_ONCE: Final = 64
"""Chunks of rows, in less than 1 ms."""


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

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._tables: Tables = registry.fresh_tables()
        self._applied_index = 0
        self._restores = 0
        self._shift = 0
        self.left_over: list[TableRows[Any]] = []
        self._unknown: dict[int, UnknownTally] = {}
        self._recent = RecentChanges(self._table_indexes())
        self._watches = Watches()
        self._watched = self._watches.tables
        self._followers: list[tuple[Follower, frozenset[str]]] = []
        self._followed: dict[str, list[Follower]] = {}  # by table

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
        result = decoded.apply(tables, index + self._shift)
        if tables.changes:
            if tables.replaced is not None:
                self.left_over += tables.replaced
                tables.replaced = None
                self._replaced()
            changes, tables.changes = tables.changes, []
            if len(changes) > 1:
                self._recent.add(changes)
                self._tell(changes)
            else:  # as nearly all commands
                change = changes[0]
                table = change.table
                self._recent.adders[table](change.key, change.index)
                for follower in self._followed.get(table, ()):
                    follower(changes)
                if table in self._watched:
                    self._watches.wake(changes)
        return result

    def _tell(self, changes: list[Change]) -> None:
        for follower, tables in self._followers:
            told = [change for change in changes if change.table in tables]
            if told:
                follower(told)
        self._watches.wake(changes)

    def restore(self, image: SnapshotImage) -> Tables:
        """Put `image` in place of everything. Indexes may go back; all watchers are called.

        The image is the store's from now on. The result is what was there before: freeing a million
        records at once takes a tenth of a second, `Tables.drain` does it in steps.
        """
        before, self._tables = self._tables, image.tables
        self._applied_index = image.applied_index
        self._shift = image.index - image.applied_index
        self._unknown = {tally.type: tally for tally in image.unknown}
        self._replaced()
        return before

    def _replaced(self) -> None:
        """Whole tables have other rows: what was remembered of their changes is of no use."""
        self._shift = shift.current(self._tables)
        self._restores += 1
        self._recent = RecentChanges(self._table_indexes())
        for follower, _ in self._followers:
            follower(None)
        self._watches.wake_all()

    def take_left_over(self) -> list[TableRows[Any]]:
        """Rows that a restore has put out of use: to be freed in steps, as those of `restore`."""
        rows, self.left_over = self.left_over, []
        return rows

    # -- reading -------------------------------------------------------------------------------

    @property
    def applied_index(self) -> int:
        """Index of the newest command applied here; 0 before the first."""
        return self._applied_index

    @property
    def shift(self) -> int:
        """How far the indexes of the state are above those of the log (`engine.shift`)."""
        return self._shift

    @property
    def index(self) -> int:
        """The index of the state: no row has a higher one."""
        return self._applied_index + self._shift

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
        """All records of the table by key, in order. Not to be kept across a change."""
        return self._tables.rows(table)

    def scan(
        self, table: Table[R], prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, R]]:
        """See `Reader.scan`."""
        return self._tables.scan(table, prefix, after, limit)

    def with_value(
        self, table: Table[R], index: str, value: str, after: str | None = None
    ) -> Iterator[tuple[str, R]]:
        """See `Reader.with_value`."""
        return self._tables.with_value(table, index, value, after)

    def in_order(
        self, table: Table[R], index: str, after: tuple[str, str] | None = None
    ) -> Iterator[tuple[str, R]]:
        """See `Reader.in_order`."""
        return self._tables.in_order(table, index, after)

    def weight(self, name: str) -> int:
        """See `Reader.weight`."""
        return self._tables.weight(name)

    def weights(self, name: str) -> Mapping[str, int]:
        """See `Reader.weights`."""
        return self._tables.weights(name)

    @property
    def size(self) -> int:
        """Bytes of the encoded rows of all tables, as a snapshot holds them."""
        return self._tables.size

    def preview(self, command: Command) -> list[Change]:
        """The changes that the command would make if it were applied now; nothing is changed."""
        return changes_of(command, self._tables)

    def table_index(self, name: str) -> int:
        """Index of the last command that changed the table. Raises KeyError for no table."""
        return self._tables.index_of(name)

    def changed_since(
        self, table: str, index: int, *, key: str | None = None, prefix: str | None = None
    ) -> bool | None:
        """Whether anything of the table, the key or the prefix changed after `index`.

        A deletion is a change. None: it cannot be proven that nothing changed, because the changes
        after `index` are not all known here any more, or came in a snapshot. Raises KeyError for
        no table.
        """
        if key is not None:
            record: Record | None = self._tables.held[table].records.get(key)
            if record is not None:  # it is as it was written by that index
                return record.modify_index > index
            return self._recent.key_changed(table, key, index)
        if prefix:
            return self._recent.prefix_changed(table, prefix, index)
        return self._tables.index_of(table) > index

    @property
    def watching(self) -> int:
        """How many watches there are."""
        return self._watches.count

    def watch(
        self, table: str, callback: Watcher, *, key: str | None = None, prefix: str | None = None
    ) -> Callable[[], None]:
        """Call `callback` after every command that changed the table, and after a restore.

        With `key` or `prefix` only for that key, or the keys that begin so. It runs inside `apply`,
        once for each command, so it must be quick and must not raise. The result ends the watch
        and may be called more than once. Raises KeyError for no table.
        """
        if table not in self._tables.held:
            raise KeyError(table)
        return self._watches.add(table, callback, key=key, prefix=prefix)

    def follow(self, callback: Follower, tables: Iterable[str]) -> Callable[[], None]:
        """Give `callback` the changes of these tables, in order; None after a restore.

        It is called once for each command that changed one of them, below the same rules as a
        watch's callback. The result ends it, and may be called more than once.
        """
        follower: Follower = partial(callback)  # its own identity, if one callback follows twice
        self._set_followers([*self._followers, (follower, frozenset(tables))])
        return partial(self._unfollow, follower)

    # -- snapshots -----------------------------------------------------------------------------

    def image(self) -> SnapshotImage:
        """The state as it is now: it shares the rows, and takes a millisecond for a million."""
        return SnapshotImage(self._applied_index, self._tables.image(), self.unknown_commands)

    def snapshot(self) -> Callable[[Callable[[bytes], object]], None]:
        """A function that writes the state as it is now, later, once, and in any thread.

        It also calls `write` with nothing, while it frees what it has written.
        """
        return partial(_write_out, self.image(), self.registry)

    def digest(self) -> bytes:
        """32 bytes that are equal on servers with equal tables. Takes time by their size."""
        return digest_of(self.image(), self.registry)

    def changed_in_memory(self) -> list[str]:
        """The tables whose rows are not what the commands made of them. Takes time by the size."""
        self._tables.settle()
        held = self._tables.held.items()
        return [name for name, rows in held if (sum(rows.sums()) - rows.sum) & SUM_MASK]

    # -- inside --------------------------------------------------------------------------------

    def _table_indexes(self) -> dict[str, int]:
        return {name: rows.index for name, rows in self._tables.held.items()}

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

    def _unfollow(self, follower: Follower) -> None:
        self._set_followers([known for known in self._followers if known[0] is not follower])

    def _set_followers(self, followers: list[tuple[Follower, frozenset[str]]]) -> None:
        self._followers = followers
        self._followed = {}
        for follower, tables in followers:
            for table in tables:
                self._followed[table] = [*self._followed.get(table, ()), follower]


def _write_out(image: SnapshotImage, registry: Registry, write: Callable[[bytes], object]) -> None:
    encode_snapshot(image, write, registry)
    # What was replaced meanwhile is held by the image alone. Freed in one piece, a million records
    # would hold the interpreter's lock, and with it the loop, for a tenth of a second. `write` may
    # leave others their turn, here as between blocks.
    for freed, _ in enumerate(image.tables.drain()):
        if freed % _FREED_AT_ONCE == 0:
            write(b"")
