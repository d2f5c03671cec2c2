"""A preview of the changes of a command."""

from __future__ import annotations

from quorate.state.engine.changes import Change
from quorate.state.engine.table import SINGLETON, Command, R, Table, Tables, cas_holds


class _Preview(Tables):
    """The rows of other tables, which only collects changes. A command reads what was before.

    Every method of `Tables` that changes rows is another one here.
    """

    def put(self, table: Table[R], key: str, record: R, index: int) -> R:
        """The record is not stamped with indexes."""
        self.changes.append(Change(table.name, key, self.get(table, key), record, index))
        return record

    def put_single(self, table: Table[R], record: R, index: int, cas: int | None) -> bool:
        """Nothing is written."""
        if not cas_holds(cas, self.get(table, SINGLETON)):
            return False
        self.put(table, SINGLETON, record, index)
        return True

    def amend(self, table: Table[R], key: str, record: R) -> None:
        """No reader sees a difference: there is no change."""

    def delete(self, table: Table[R], key: str, index: int) -> bool:
        """Nothing is removed."""
        known = self.get(table, key)
        if known is not None:
            self.changes.append(Change(table.name, key, known, None, index))
        return known is not None


def changes_of(command: Command, tables: Tables) -> list[Change]:
    """The changes that the command would make now, in order; their index is 0."""
    preview = _Preview(tables.held)
    command.apply(preview, 0)
    return preview.changes
