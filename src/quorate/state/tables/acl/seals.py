"""The rows with something sealed in them: values of variables, and secrets of tokens."""

from __future__ import annotations

from quorate.state.engine.table import Reader
from quorate.state.tables import variables
from quorate.state.tables.acl import tokens


def key_ids(reader: Reader) -> set[str]:
    """The IDs of the root keys that rows need. Takes time by the size: of an image, in a thread."""
    found = {row.key_id for row in reader.rows(variables.TABLE).values()}
    found.update(row.key_id for row in reader.rows(tokens.TABLE).values())
    return found - {""}


def is_redacted(reader: Reader) -> bool:
    """Whether something sealed was taken out of its row. Takes time by the size."""
    return any(not row.data for row in reader.rows(variables.TABLE).values()) or any(
        not row.data for row in reader.rows(tokens.TABLE).values()
    )
