"""What operators do, for the journal: told in the entry that does it, so it costs no other flush.

A program that writes settings in a loop must not drive elections out of the journal, nor pay for
it: of the changes of settings ten are told each second, and then how many there were besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.tables.journal import (
    ACT,
    JOURNAL_LEVEL,
    OPERATOR,
    SETTING,
    Note,
    Noted,
    WriteJournal,
)

SETTINGS_PER_S: Final = 10


class Acts:
    """Those of one leader; below the journal's feature level it tells nothing.

    `unix_ms` is the time of day in milliseconds.
    """

    def __init__(self, state: StateStore, unix_ms: Callable[[], int]) -> None:
        self._state = state
        self._settings = state.registry.settings
        self.unix_ms = unix_ms
        self._second = 0
        self._told = 0  # changes of settings in that second
        self._skipped = 0

    def settings_told(self, command: bytes) -> bytes:
        """The encoded command as it is to be written: a caller's settings are told."""
        if command[0] not in self._settings or self._state.level < JOURNAL_LEVEL:
            return command
        if not self._may_tell():
            self._skipped += 1
            return command
        skipped, self._skipped = self._skipped, 0
        return encode(
            Noted(
                command=command,
                kind=SETTING,
                what="changed",
                time_ms=self.unix_ms(),
                by=OPERATOR,
                skipped=skipped,
            )
        )

    def _may_tell(self) -> bool:
        second = self.unix_ms() // 1000
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        return self._told <= SETTINGS_PER_S

    def told(self, command: Command, what: str, *, cause: str = "", force: bool = False) -> Command:
        """The command as it is to be written: an operator's act is told with it."""
        if self._state.level < JOURNAL_LEVEL:
            return command
        return Noted(
            command=encode(command),
            kind=ACT,
            what=what,
            time_ms=self.unix_ms(),
            by=OPERATOR,
            cause=cause,
            force=force,
        )

    def alone(self, what: str, server_id: str) -> WriteJournal | None:
        """What tells of an operator's act that has no command of its own."""
        if self._state.level < JOURNAL_LEVEL:
            return None
        note = Note(kind=ACT, what=what, subject=server_id)
        return WriteJournal(time_ms=self.unix_ms(), by=OPERATOR, notes=(note,))

    def rest(self) -> WriteJournal | None:
        """How many changes of settings were not told, once there are no more of them."""
        if not self._skipped or self.unix_ms() // 1000 == self._second:
            return None
        details = (("not told one by one", f"{self._skipped} changes"),)
        self._skipped = 0
        note = Note(kind=SETTING, what="changed", details=details)
        return WriteJournal(time_ms=self.unix_ms(), by=OPERATOR, notes=(note,))
