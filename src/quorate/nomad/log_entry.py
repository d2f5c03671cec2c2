"""One entry of the log of a Nomad server: a msgpack map, and the command in it.

An entry is a request, not what came of it: a check-and-set that failed stands there too. Bodies
are decoded by the form of their values, since Nomad's types are not known here: byte strings that
are no text are shown as `hex:...`, times in Go's form as text. What may be a secret is shown by
its size unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgpack
import msgspec

from quorate.errors import BadFrame
from quorate.nomad.commands import IGNORABLE, SECRET_FIELDS, SECRET_OF, command_name
from quorate.wire.go.msgpack import LIMITS, UNPACK_ERRORS, Extension
from quorate.wire.go.time import NS_PER_SECOND, read_time
from quorate.wire.raft.membership import decode_configuration, decode_peers

COMMAND: Final = 0
CONFIGURATION: Final = 5
KINDS: Final = ("Command", "Noop", "AddPeer", "RemovePeer", "Barrier", "Configuration")
_PEER_KINDS: Final = {2, 3}
_U64_MAX: Final = (1 << 64) - 1
_ITEMS_MAX: Final = 1 << 22
_DEPTH_MAX: Final = 100
_BYTES_FIELDS: Final = frozenset({"Data", "Hash"})
_GO_TIME_BYTES: Final = 15

_BODY_LIMITS: Final[dict[str, Any]] = {
    **LIMITS,
    "max_array_len": _ITEMS_MAX,
    "max_map_len": _ITEMS_MAX,
    "use_list": True,
}


class NomadEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `appended_at` is Unix nanoseconds; `command` is None unless `kind` is a command.

    `page` is the page of the file, `size` the bytes of the value there.
    """

    index: int
    term: int
    kind: int
    data: bytes
    appended_at: int | None = None
    page: int = 0
    size: int = 0

    @property
    def kind_name(self) -> str:
        """What it is for Raft, such as Command."""
        return KINDS[self.kind]

    @property
    def command(self) -> int | None:
        """The number of its command, None if it has none."""
        return self.data[0] & ~IGNORABLE if self.kind == COMMAND and self.data else None

    @property
    def command_name(self) -> str:
        """The name of its command, empty if it has none."""
        return "" if self.command is None else command_name(self.command)


class BadEntry(msgspec.Struct, frozen=True):
    """What stands in the file where the entry `index` should."""

    index: int
    page: int
    why: str


def decode(index: int, value: bytes, page: int) -> NomadEntry | BadEntry:
    """The entry whose key is `index`."""
    try:
        return _decode(index, value, page)
    except UNPACK_ERRORS as error:
        return BadEntry(index, page, f"no msgpack: {str(error) or type(error).__name__}")
    except (BadFrame, _WrongError) as error:
        return BadEntry(index, page, str(error))


class _WrongError(Exception):
    pass


def _decode(index: int, value: bytes, page: int) -> NomadEntry:
    fields = msgpack.unpackb(value, **LIMITS)
    if type(fields) is not dict:
        raise _WrongError(f"no map but {type(fields).__name__}")
    own, term, kind = (_number(fields, name) for name in (b"Index", b"Term", b"Type"))
    if own != index:
        raise _WrongError(f"it says that it is entry {own}")
    if kind >= len(KINDS):
        raise _WrongError(f"unknown type {kind}")
    data = fields.get(b"Data")
    if data is not None and type(data) is not bytes:
        raise _WrongError(f"its Data is {type(data).__name__}")
    return NomadEntry(
        index=index,
        term=term,
        kind=kind,
        data=data or b"",
        appended_at=read_time(fields.get(b"AppendedAt"), "AppendedAt"),
        page=page,
        size=len(value),
    )


def _number(fields: dict[Any, Any], name: bytes) -> int:
    number = fields.get(name)
    if type(number) is not int or not 0 <= number <= _U64_MAX:
        raise _WrongError(f"its {name.decode()} is {str(number)[:40]}")
    return number


def body_of(entry: NomadEntry, *, secrets: bool = False) -> Any:
    """What the entry asks for, as values of JSON; None without any. Raises BadFrame.

    `secrets`: show what may be one.
    """
    if entry.kind == CONFIGURATION:
        return {"Servers": _servers(entry.data)}
    if entry.kind in _PEER_KINDS:
        return {"Servers": [{"Address": s.address} for s in decode_peers(entry.data).servers]}
    number = entry.command
    if number is None:
        return None
    hidden = frozenset() if secrets else SECRET_FIELDS | SECRET_OF.get(number, frozenset())
    left = _ITEMS_MAX

    def object_of(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        nonlocal left
        found = {}
        for key, value in pairs:
            name = _key(key)
            left -= 1
            if left < 0:
                raise BadFrame(f"more than {_ITEMS_MAX} values")
            if name in hidden and value not in (None, b"", [], {}):
                found[name] = _size(value)
            elif name in _BYTES_FIELDS and isinstance(value, bytes):
                found[name] = f"hex:{value.hex()}" if secrets or name == "Hash" else _size(value)
            else:
                found[name] = _shown(value)
        return found

    try:
        return _shown(msgpack.unpackb(entry.data[1:], **_BODY_LIMITS, object_pairs_hook=object_of))
    except (*UNPACK_ERRORS, RecursionError) as error:
        raise BadFrame(f"its command is no msgpack: {error or type(error).__name__}") from None


def _servers(data: bytes) -> list[dict[str, Any]]:
    return [
        {"Address": s.address, "ID": s.id, "Suffrage": int(s.suffrage)}
        for s in decode_configuration(data).servers
    ]


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    if isinstance(key, dict) and key.keys() == {"Namespace", "ID"}:  # jobs that are removed
        return f"{key['Namespace']}.{key['ID']}"
    return str(_shown(key))


def _shown(value: Any, depth: int = 0) -> Any:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, list):
        if depth > _DEPTH_MAX:
            raise BadFrame("its command is nested too deep")
        return [_shown(each, depth + 1) for each in value]
    if isinstance(value, Extension):
        return f"hex:{value.data.hex()}"
    if isinstance(value, (dict, str, int, float)) or value is None:
        return value
    return str(value)


def _text(value: bytes) -> str:
    if len(value) == _GO_TIME_BYTES and value[0] == 1:
        try:
            return time_text(read_time(value, "time"))
        except BadFrame:
            return f"hex:{value.hex()}"
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return f"hex:{value.hex()}"


def _size(value: Any) -> str:
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return "(hidden)"


def time_text(unix_ns: int | None) -> str:
    """A time as RFC 3339 with nanoseconds; empty without one."""
    if unix_ns is None:
        return ""
    seconds, nanoseconds = divmod(unix_ns, NS_PER_SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{nanoseconds:09d}Z"
