"""Operators' acts for the journal: told in the entry that does them, so they cost no extra flush.

The leader says what a change is by the state that it has applied; of two changes under way at once
the second may be told as a change from before the first.

A program that writes settings in a loop must not pay for it: of the writes of settings ten are
looked at each second, and then it is told how many there were besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from quorate.state.engine.commands import decode, encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.tables.journal import (
    ACT,
    JOURNAL_LEVEL,
    OPERATOR,
    SETTING,
    Details,
    Note,
    Noted,
    WriteJournal,
    differences,
    subject_of,
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
        self._told = 0  # writes of settings in that second
        self._full_until_ms = 0
        self._skipped = 0

    def settings_told(self, command: bytes) -> bytes:
        """The encoded command as it is to be written: a caller's settings are told."""
        if command[0] not in self._settings:
            return command
        # Asked first: it is quick, and most of a program's many writes come no further.
        if 0 <= self._full_until_ms - self.unix_ms() <= 1000:
            self._skipped += 1
            return command
        if self._state.level < JOURNAL_LEVEL:
            return command
        self._count()
        decoded = decode(command, self._state.registry)
        assert isinstance(decoded, Command), "it was encoded by this server"
        told = self._described(decoded, Note(kind=SETTING, what="changed"))
        if told is None or not told.details:
            return command
        if self._skipped:
            more = (("not told one by one", f"{self._skipped} writes before"),)
            told, self._skipped = replace(told, details=told.details + more), 0
        return encode(self._noted(command, told))

    def _full(self) -> bool:
        """Whether this second has had its number. A clock that was set back changes nothing."""
        return 0 <= self._full_until_ms - self.unix_ms() <= 1000

    def _count(self) -> None:
        second = self.unix_ms() // 1000
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        if self._told == SETTINGS_PER_S:
            self._full_until_ms = 1000 * (second + 1) - 1

    def _described(self, command: Command, note: Note) -> Note | None:
        """The note, with what the command would change by what is applied here now."""
        changes = self._state.preview(command)
        if not changes:
            return None
        first = changes[0]  # what a command changes first is what it is about
        return replace(note, subject=subject_of(first), details=differences(first))

    def _noted(self, command: bytes, note: Note) -> Noted:
        return Noted(command=command, note=note, time_ms=self.unix_ms(), by=OPERATOR)

    def told(self, command: Command, what: str, *, cause: str = "", force: bool = False) -> Command:
        """The command as it is to be written: an operator's act is told with it."""
        if self._state.level < JOURNAL_LEVEL:
            return command
        note = self._described(command, Note(kind=ACT, what=what, cause=cause, force=force))
        return command if note is None else self._noted(encode(command), note)

    def told_as(self, command: Command, what: str, subject: str, details: Details = ()) -> Command:
        """The same in the words given: the records that it changes hold what nobody may read."""
        if self._state.level < JOURNAL_LEVEL:
            return command
        note = Note(kind=ACT, what=what, subject=subject, details=details)
        return self._noted(encode(command), note)

    def alone(self, what: str, server_id: str) -> WriteJournal | None:
        """The command that tells of an operator's act which has no command of its own."""
        if self._state.level < JOURNAL_LEVEL:
            return None
        note = Note(kind=ACT, what=what, subject=server_id)
        return WriteJournal(time_ms=self.unix_ms(), by=OPERATOR, notes=(note,))

    def rest(self) -> WriteJournal | None:
        """How many writes of settings were not told, once there are no more of them."""
        if not self._skipped or self._full():
            return None
        details = (("not told one by one", f"{self._skipped} writes"),)
        self._skipped = 0
        note = Note(kind=SETTING, what="changed", details=details)
        return WriteJournal(time_ms=self.unix_ms(), by=OPERATOR, notes=(note,))
