"""Commands as they stand in the log: one byte that names the type, then a msgpack map.

Invariant: `decode` never raises. Bytes that this version cannot read, because a later version
wrote them or because they are damaged, become an `UnknownCommand`; all servers of one version
agree on which those are, so the server lives on and can say what it needs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from quorate import __version__
from quorate.state.registry import COMMANDS
from quorate.state.table import Command

_encode = msgspec.msgpack.Encoder().encode

_TYPE_BYTES: Final = {command: bytes([command.TYPE]) for command in COMMANDS}

_DECODERS: Final[dict[int, msgspec.msgpack.Decoder[Any]]] = {
    command.TYPE: msgspec.msgpack.Decoder(command) for command in COMMANDS
}
assert len(_DECODERS) == len(COMMANDS), "two commands share a type byte"


NO_SUCH_TYPE: Final = "no such type"
"""The reason where a whole kind of command is unknown, not only a field of one."""


class UnknownCommand(msgspec.Struct, frozen=True, gc=False):
    """What applying a command gives that this version cannot read. `type` is -1 if it is empty."""

    type: int
    reason: str

    def __str__(self) -> str:
        return (
            f"command of type {self.type} cannot be read by Quorate {__version__} ({self.reason}): "
            "upgrade this server to the version of the leader that wrote it"
        )


def encode(command: Command) -> bytes:
    """The bytes of a command for the log."""
    return _TYPE_BYTES[type(command)] + _encode(command)


def decode(data: bytes) -> Command | UnknownCommand:
    """The command in these bytes, or an UnknownCommand with the reason. Never raises."""
    if not data:
        return UnknownCommand(-1, "it is empty")
    decoder = _DECODERS.get(data[0])
    if decoder is None:
        return UnknownCommand(data[0], NO_SUCH_TYPE)
    try:
        command: Command = decoder.decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return UnknownCommand(data[0], str(error))
    return command
