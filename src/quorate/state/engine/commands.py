"""Commands as they stand in the log: one byte that names the type, then a msgpack map.

Invariant: `decode` never raises. Bytes that this version cannot read, because a later version
wrote them or because they are damaged, become an `UnknownCommand`; all servers of one version
agree on which those are, so the server lives on and can say what it needs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quorate.levels import LEVEL, LEVEL_MAX, describe
from quorate.state.engine.registry import TODAY, Registry
from quorate.state.engine.table import IGNORABLE, Command, Tables
from quorate.state.tables.journal import Noted, carry_out
from quorate.state.tables.level import RaiseLevel
from quorate.version import __version__

_encode = msgspec.msgpack.Encoder().encode
_RAISE: Final = RaiseLevel.TYPE

_NOTED: Final = bytes((Noted.TYPE,))

NO_SUCH_TYPE: Final = "no such type"
"""The reason where a whole kind of command is unknown, not only a field of one."""


class UnknownCommand(msgspec.Struct, frozen=True, gc=False):
    """A command that this version cannot read. `type` is -1 if it is empty.

    `needs` says which level it takes, where the command tells; else it is empty. `knows` is the
    level of the version that met it.
    """

    type: int
    reason: str
    needs: str = ""
    knows: int = LEVEL

    @property
    def ignorable(self) -> bool:
        """True if the state is the same without it: it may be passed over."""
        return self.type >= 0 and bool(self.type & IGNORABLE)

    @property
    def explained(self) -> str:
        """What it is and why it cannot be read, in one line."""
        return (
            f"a command of type {self.type} cannot be read by Quorate {__version__}, which knows "
            f"level {self.knows} ({self.reason})"
        )

    @property
    def upgrade(self) -> str:
        """The version that reads it, as far as that is known."""
        return f"{self.needs} or later" if self.needs else "the version of the present leader"

    def __str__(self) -> str:
        return f"{self.explained}: upgrade this server to {self.upgrade}"


class Act(msgspec.Struct, frozen=True, gc=False):
    """A command, and what the journal is to tell of it."""

    noted: Noted
    command: Command

    def apply(self, tables: Tables, index: int) -> Any:
        """Carry it out and tell of it; the result is the command's own."""
        return carry_out(self.noted, self.command, tables, index)


def encode(command: Command) -> bytes:
    """The bytes of a command for the log. Its level is checked where it is proposed."""
    return bytes((command.TYPE,)) + _encode(command)


def decode(data: bytes, registry: Registry = TODAY) -> Command | Act | UnknownCommand:
    """The command in these bytes, or an UnknownCommand with the reason. Never raises."""
    if not data:
        return UnknownCommand(-1, "it is empty", knows=registry.level)
    decoder = registry.decoders.get(data[0])
    if decoder is None:
        return UnknownCommand(data[0], NO_SUCH_TYPE, knows=registry.level)
    try:
        command: Command = decoder.decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return UnknownCommand(data[0], str(error), knows=registry.level)
    if data[0] == _RAISE and isinstance(command, RaiseLevel) and command.level > registry.level:
        return _above(command, registry.level)
    return _unwrapped(command, registry) if isinstance(command, Noted) else command


def _unwrapped(noted: Noted, registry: Registry) -> Act | UnknownCommand:
    command = decode(noted.command, registry) if noted.command[:1] != _NOTED else None
    if isinstance(command, UnknownCommand):
        return command  # that is what this version has to know
    if not isinstance(command, Command):
        return UnknownCommand(Noted.TYPE, "it wraps itself", knows=registry.level)
    return Act(noted, command)


def _above(command: RaiseLevel, known: int) -> UnknownCommand:
    version = command.version if command.version.isprintable() else ""
    return UnknownCommand(
        command.TYPE,
        f"it raises the cluster to feature level {min(command.level, LEVEL_MAX)}, and this version "
        f"knows level {known}",
        describe(min(command.level, LEVEL_MAX), version[:40]),
        known,
    )
