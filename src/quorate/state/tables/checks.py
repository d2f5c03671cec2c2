"""The command at which all servers take a digest of their state, so that it can be compared.

Only at one place of the log are states comparable: the servers apply at different times, but what
is applied up to an index is the same for all. A version that does not know the command passes it
over, and its state is the same afterwards as if it had known it.
"""

from __future__ import annotations

from typing import ClassVar

from quorate.state.engine.table import Command, Tables


class CheckState(Command, frozen=True, kw_only=True):
    """Changes nothing. Result: itself, so that the caller of apply sees that it is one."""

    TYPE: ClassVar[int] = 7

    def apply(self, tables: Tables, index: int) -> CheckState:
        """See the class."""
        del tables, index
        return self
