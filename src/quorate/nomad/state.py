"""The records of `state.bin` in an archive of Nomad 1.4 to 1.6, one by one.

The state is an empty map, then for each record a byte for its type and a msgpack value. A type
that is not known here is stepped over by its value, and counted under its number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import msgpack
import msgspec

from quorate.archive.meta import ArchiveError

Read = Callable[[int], bytes]

BEGIN: Final = b"\x80"

_PIECE: Final = 64 << 10
_RECORD_BYTES_MAX: Final = 16 << 20
_LENGTH_MAX: Final = 1 << 16
_NEXT: Final = "save the archive again with nomad operator snapshot save"

TYPES: Final = {
    0: "NodeSnapshot",
    1: "JobSnapshot",
    2: "IndexSnapshot",
    3: "EvalSnapshot",
    4: "AllocSnapshot",
    5: "TimeTableSnapshot",
    6: "PeriodicLaunchSnapshot",
    7: "JobSummarySnapshot",
    8: "VaultAccessorSnapshot",
    9: "JobVersionSnapshot",
    10: "DeploymentSnapshot",
    11: "ACLPolicySnapshot",
    12: "ACLTokenSnapshot",
    13: "SchedulerConfigSnapshot",
    14: "ClusterMetadataSnapshot",
    15: "ServiceIdentityTokenAccessorSnapshot",
    16: "ScalingPolicySnapshot",
    17: "CSIPluginSnapshot",
    18: "CSIVolumeSnapshot",
    19: "ScalingEventsSnapshot",
    20: "EventSinkSnapshot",
    21: "ServiceRegistrationSnapshot",
    22: "VariablesSnapshot",
    23: "VariablesQuotaSnapshot",
    24: "RootKeyMetaSnapshot",
    25: "ACLRoleSnapshot",
    26: "ACLAuthMethodSnapshot",
    27: "ACLBindingRuleSnapshot",
    28: "NodePoolSnapshot",
    64: "NamespaceSnapshot",
}

_HIDDEN: Final = frozenset({"Data", "SecretID", "OIDCClientSecret", "JWTValidationPubKeys"})


class StateRecord(msgspec.Struct, frozen=True):
    """One record: its type, its bytes as stored, and its value if that was asked for."""

    type: str
    size: int
    value: Any = None


def records(
    read: Read, begun: bytes = b"", values_of: Collection[str] | None = ()
) -> Iterator[StateRecord]:
    """All records of a state whose first bytes `begun` were read; None: with all values.

    Texts are decoded; secrets and what is sealed are shown by their size. Raises ArchiveError.
    """
    source = _Source(read, begun)
    source.begin()
    while (kind := source.byte()) is not None:
        name = TYPES.get(kind, f"type {kind}")
        wanted = values_of is None or name in values_of
        size, value = source.value(_unpack if wanted else _skip)
        yield StateRecord(name, size + 1, _shown(value) if wanted else None)


class _Source:
    def __init__(self, read: Read, begun: bytes) -> None:
        self._read = read
        self._unpacker = msgpack.Unpacker(
            raw=True,
            strict_map_key=False,
            max_buffer_size=_RECORD_BYTES_MAX,
            max_array_len=_LENGTH_MAX,
            max_map_len=_LENGTH_MAX,
            ext_hook=_extension,
        )
        self._fed = len(begun)
        self._unpacker.feed(begun)

    def begin(self) -> None:
        """Step over the header."""
        if self.byte() != BEGIN[0]:
            raise ArchiveError("the state is not that of a Nomad server", _NEXT)

    def byte(self) -> int | None:
        """The next byte, None at the end."""
        while self._fed == self._unpacker.tell():
            if not self._more():
                return None
        return int(self._unpacker.read_bytes(1)[0])

    def value(self, how: Callable[[Any], Any]) -> tuple[int, Any]:
        """The next value, and its bytes."""
        start = self._unpacker.tell()
        while True:
            try:
                value = how(self._unpacker)
            except msgpack.OutOfData:
                if self._fed - start > _RECORD_BYTES_MAX:
                    raise ArchiveError("a record of the state is too large", _NEXT) from None
                if not self._more():
                    raise ArchiveError("the state is cut short in a record", _NEXT) from None
            except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
                raise ArchiveError(
                    f"a record of the state cannot be read: {error or type(error).__name__}", _NEXT
                ) from None
            else:
                return self._unpacker.tell() - start, value

    def _more(self) -> bool:
        data = self._read(_PIECE)
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            raise ArchiveError("a record of the state is too large", _NEXT) from None
        self._fed += len(data)
        return bool(data)


def _skip(unpacker: Any) -> None:
    unpacker.skip()


def _unpack(unpacker: Any) -> Any:
    return unpacker.unpack()


def _extension(_: int, data: bytes) -> bytes:
    return data


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        return text if text.isprintable() or not text.strip() else _size(value)
    if isinstance(value, dict):
        shown = {}
        for key, inner in value.items():
            name = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
            hidden = name in _HIDDEN and inner is not None
            shown[name] = _size(inner) if hidden else _shown(inner)
        return shown
    return [_shown(each) for each in value] if isinstance(value, list) else value


def _size(value: Any) -> str:
    return f"({len(value)} bytes)" if isinstance(value, bytes) else "(hidden)"
