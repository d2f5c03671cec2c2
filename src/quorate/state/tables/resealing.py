"""Sealing values again with the active root key: the same values in another form.

No index of a variable moves by it, and no watch wakes: clients see no difference.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from msgspec.structs import replace

from quorate.state.engine.table import Command, Tables
from quorate.state.tables import root_keys, variables
from quorate.state.tables.root_keys import ROOT_KEYS_LEVEL, VALUES


class Resealed(msgspec.Struct, frozen=True, gc=False):
    """The value of the row `key` as it was at `modify_index`, sealed again."""

    key: str
    modify_index: int
    data: bytes
    nonce: bytes


class ReplaceSeals(Command, frozen=True, kw_only=True):
    """Put these values in place, sealed with the active key `key_id`; rows up to `after` are done.

    Only while the record of that key is as it was at `modify_index`: then no restore, and no other
    leader, came between. A row that was written since keeps what it has. Result: how many values
    were put in place, -1 if the record was another.
    """

    TYPE: ClassVar[int] = 35
    LEVEL: ClassVar[int] = ROOT_KEYS_LEVEL

    key_id: str
    modify_index: int
    after: str
    rows: tuple[Resealed, ...]

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        record = root_keys.in_phase(tables, self.key_id, VALUES, self.modify_index)
        if record is None:
            return -1
        count = 0
        for each in self.rows:
            row = tables.get(variables.TABLE, each.key)
            if row is None or row.modify_index != each.modify_index or row.key_id == self.key_id:
                continue
            sealed = replace(row, data=each.data, key_id=self.key_id, nonce=each.nonce)
            tables.amend(variables.TABLE, each.key, sealed)
            count += 1
        record = replace(record, after=self.after, resealed=record.resealed + count)
        tables.put(root_keys.TABLE, self.key_id, record, index)
        return count
