"""Commands as they stand in the log: one byte that names the type, then a msgpack map.

Invariant: `decode` never raises. Bytes that this version cannot read, because a later version
wrote them or because they are damaged, become an `UnknownCommand`; all servers of one version
agree on which those are, so the server lives on and can say what it needs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quorate.levels import LEVEL, LEVEL_MAX, describe
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.registry import Registry
from quorate.state.engine.table import IGNORABLE, Bound, Command, Special, Tables, Wrapper
from quorate.version import __version__

_encode = msgspec.msgpack.Encoder().encode

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
        """The command and why it cannot be read, in one line."""
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


class Wrapped(msgspec.Struct, frozen=True, gc=False):
    """A wrapper, and the command that it holds."""

    wrapper: Wrapper
    command: Command

    def apply(self, tables: Tables, index: int) -> Any:
        """Apply the command as the wrapper does it."""
        return self.wrapper.carry_out(self.command, tables, index)


def encode(command: Command) -> bytes:
    """The bytes of a command for the log. Its level is checked where it is proposed."""
    return bytes((command.TYPE,)) + _encode(command)


def decode(data: bytes, registry: Registry) -> Command | Wrapped | UnknownCommand:
    """The command in these bytes, or an UnknownCommand with the reason. Never raises."""
    if not data:
        return UnknownCommand(-1, "it is empty", knows=registry.level)
    read = registry.plain.get(data[0])
    try:
        if read is not None:
            return read(memoryview(data)[1:])
        return _special(data, registry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return UnknownCommand(data[0], str(error), knows=registry.level)


def _special(data: bytes, registry: Registry) -> Command | Wrapped | UnknownCommand:
    """A command that is not told by its bytes alone. Raises what its decoder raises."""
    decoder = registry.decoders.get(data[0])
    if decoder is None:
        return UnknownCommand(data[0], NO_SUCH_TYPE, knows=registry.level)
    command = decoder.decode(memoryview(data)[1:])
    if isinstance(command, RaiseLevel):
        above = command.level > registry.level
        return _above(command, registry.level) if above else command
    return _completed(command, registry)


def level_of(data: bytes, registry: Registry) -> int:
    """The level from which on an encoded command of this version may be written.

    A wrapper has that of the command in it, if that is later. Raises KeyError for another version's
    command.
    """
    needed = registry.levels[data[0]]
    if data[0] in registry.wrappers:
        wrapped = decode(data, registry)
        assert isinstance(wrapped, Wrapped), "it was encoded by this server"
        return max(needed, wrapped.command.LEVEL)
    return needed


def type_of(data: bytes, registry: Registry) -> int:
    """The type of an encoded command of this version; of a wrapper, that of the command in it."""
    if data[0] in registry.wrappers:
        wrapped = decode(data, registry)
        assert isinstance(wrapped, Wrapped), "it was encoded by this server"
        return wrapped.command.TYPE
    return data[0]


def _completed(command: Special, registry: Registry) -> Command | Wrapped | UnknownCommand:
    if isinstance(command, Wrapper):
        return _unwrapped(command, registry)
    assert isinstance(command, Bound), command
    try:
        return command.bind(registry.by_name)
    except (msgspec.MsgspecError, ValueError) as error:
        return UnknownCommand(command.TYPE, str(error), knows=registry.level)


def _unwrapped(wrapper: Wrapper, registry: Registry) -> Wrapped | UnknownCommand:
    if wrapper.command and wrapper.command[0] in registry.wrappers:
        return UnknownCommand(wrapper.TYPE, "it holds a wrapper", knows=registry.level)
    command = decode(wrapper.command, registry)
    if isinstance(command, UnknownCommand):
        return command  # that is what this version has to know
    assert isinstance(command, Command), "only wrappers are unwrapped"
    return Wrapped(wrapper, command)


def _above(command: RaiseLevel, known: int) -> UnknownCommand:
    version = command.version if command.version.isprintable() else ""
    return UnknownCommand(
        command.TYPE,
        f"it raises the cluster to feature level {min(command.level, LEVEL_MAX)}, and this version "
        f"knows level {known}",
        describe(min(command.level, LEVEL_MAX), version[:40]),
        known,
    )
