"""The servers that were ever taken in: their last names, and which of them were sent away.

Gossip forgets who is gone, and forgets everything when all servers restart; this does not. A
server that an operator has removed stays marked until it is asked to rejoin, so that neither old
gossip nor the server itself can bring it back (docs/pains.md, 10 and 14).
"""

from __future__ import annotations

from typing import ClassVar, Final

from quorate.state.engine.table import Command, OnRestore, Reader, Record, Table, Tables

RECORDS_MAX: Final = 1024
"""Past it the record that was longest left alone goes: a cluster replaces its servers for years."""


class ServerRecord(Record, frozen=True, kw_only=True):
    """One server by its ID. `name` is that in the pool, `address` host:port of its RPC port.

    `removed` is True from the removal by an operator until it rejoins; `modify_index` is then the
    index of the removal.
    """

    name: str
    address: str
    removed: bool = False


class RecordServer(Command, frozen=True, kw_only=True):
    """The server is taken in, or has another name or address; it is no longer removed."""

    TYPE: ClassVar[int] = 5

    server_id: str
    name: str
    address: str

    def apply(self, tables: Tables, index: int) -> None:
        """See the class."""
        _put(tables, self.server_id, ServerRecord(name=self.name, address=self.address), index)


class RecordRemoval(Command, frozen=True, kw_only=True):
    """An operator removes the server. `name` and `address` are what is known of it."""

    TYPE: ClassVar[int] = 6

    server_id: str
    name: str
    address: str

    def apply(self, tables: Tables, index: int) -> None:
        """See the class."""
        record = ServerRecord(name=self.name, address=self.address, removed=True)
        _put(tables, self.server_id, record, index)


TABLE: Final = Table(
    name="servers",
    record=ServerRecord,
    on_restore=OnRestore.KEPT,
    commands=(RecordServer, RecordRemoval),
)


def _put(tables: Tables, server_id: str, record: ServerRecord, index: int) -> None:
    tables.put(TABLE, server_id, record, index)
    rows = tables.rows(TABLE)
    if len(rows) > RECORDS_MAX:
        tables.delete(TABLE, min(rows, key=lambda key: rows[key].modify_index), index)


def by_id(reader: Reader, server_id: str) -> ServerRecord | None:
    """The record of the server, or None."""
    return reader.get(TABLE, server_id)


def removed_at(reader: Reader, server_id: str) -> int:
    """The index at which an operator removed it; 0 if that has not happened, or is undone."""
    record = reader.get(TABLE, server_id)
    return record.modify_index if record is not None and record.removed else 0
