"""Operators' acts for the journal: told in the entry that does them, so they cost no extra flush.

The leader says what a change is by the state that it has applied; of two changes under way at once
the second may be told as a change from before the first.

A program that writes settings in a loop must not pay for it: of the writes of settings ten are
looked at each second, and then it is told how many there were besides, and of which callers. That
access control is enforced, or not any more, is always told: nothing hides in a loop.

From feature level 4 on each act says who did it, and is told although it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from quorate.server.audit.acting import ACTING, Act, actor, noted
from quorate.state.engine.commands import decode, encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command, Wrapper
from quorate.state.tables.acl.standing import SetAclPhase
from quorate.state.tables.journal import (
    ACT,
    AUDIT_LEVEL,
    JOURNAL_LEVEL,
    OPERATOR,
    SETTING,
    Details,
    EnterRecords,
    Entry,
    Note,
    WriteJournal,
    differences,
    subject_of,
)

SETTINGS_PER_S: Final = 10

CALLERS_TOLD: Final = 6
"""Of the writes that are not told one by one; by the beginning of their accessors."""

_ACCESSOR_SHOWN: Final = 9
_OTHERS: Final = "others"
_ALWAYS: Final = frozenset({SetAclPhase.TYPE})


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
        self._skipped_by: dict[str, int] = {}

    def settings_told(self, command: bytes) -> bytes:
        """The encoded command as it is to be written: a caller's settings are told."""
        if command[0] not in self._settings:
            act = ACTING.get()
            return command if act is None else self._carrying(command, act)
        # Asked first: it is quick, and most of a program's many writes come no further.
        if self._full() and command[0] not in _ALWAYS:
            self._skip(ACTING.get())
            return command
        if self._state.level < JOURNAL_LEVEL:
            return command
        self._count()
        told = self._described(self._decoded(command), Note(kind=SETTING, what="changed"))
        if told is None or not told.details:
            act = ACTING.get()
            if act is None or self._state.level < AUDIT_LEVEL:
                return command
            told = told or Note(kind=SETTING, what="changed", subject=act.subject)
        if self._skipped:
            told = replace(told, details=told.details + self._not_told(" before"))
        return encode(self._noted(command, told))

    def _skip(self, act: Act | None) -> None:
        """Count a write that is not told by itself."""
        self._skipped += 1
        if act is None:
            return
        accessor = act.enter().accessor[:_ACCESSOR_SHOWN].rstrip("-")
        if accessor:
            by = self._skipped_by
            name = accessor if accessor in by or len(by) < CALLERS_TOLD else _OTHERS
            by[name] = by.get(name, 0) + 1

    def _not_told(self, when: str = "") -> Details:
        """What was counted, which begins again."""
        count = (("not told one by one", f"{self._skipped} writes{when}"),)
        by = ", ".join(f"{name} {times}" for name, times in self._skipped_by.items())
        self._skipped, self._skipped_by = 0, {}
        return (*count, ("by", by)) if by else count

    def _carrying(self, command: bytes, act: Act) -> bytes:
        """The command with the act of a caller, if it is the one that carries the act's record."""
        registry = self._state.registry
        if act.entered or not act.carried or self._state.level < AUDIT_LEVEL:
            return command
        if command[0] in registry.wrappers:
            return command
        changes = self._state.preview(self._decoded(command))
        subject = act.subject or (subject_of(changes[0]) if changes else "")
        note = Note(kind=ACT, what=act.what, subject=subject, force=act.force, details=act.details)
        return encode(self._noted(command, note))

    def _decoded(self, command: bytes) -> Command:
        decoded = decode(command, self._state.registry)
        assert isinstance(decoded, Command), "it was encoded by this server"
        return decoded

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

    def _noted(self, command: bytes, note: Note) -> Wrapper:
        return noted(command, note, self.unix_ms(), self._state.level)

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

    def alone(self, what: str, server_id: str) -> Command | None:
        """The command that tells of an operator's act which has no command of its own."""
        if self._state.level < JOURNAL_LEVEL:
            return None
        note = Note(kind=ACT, what=what, subject=server_id)
        if self._state.level >= AUDIT_LEVEL:
            entry = Entry(note=note, time_ms=self.unix_ms(), by=OPERATOR, who=actor())
            return EnterRecords(entries=(entry,))
        return WriteJournal(time_ms=self.unix_ms(), by=OPERATOR, notes=(note,))

    def rest(self) -> WriteJournal | None:
        """How many writes of settings were not told, once there are no more of them."""
        if not self._skipped or self._full():
            return None
        note = Note(kind=SETTING, what="changed", details=self._not_told())
        return WriteJournal(time_ms=self.unix_ms(), by=OPERATOR, notes=(note,))
