"""How the fields of gossip messages read and write: Go's structs as maps with sorted keys.

What `wire.fields` is for Raft. Differences: text is Go's `string`, so that empty is empty and
never nil; numbers have the widths of their Go types, and one that does not fit is refused; an IP
address is 4 or 16 bytes and text with us (docs/wire.md#gossip-messages).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from quorate.gossip.messages import Address, Versions
from quorate.wire.go.fields import read_bool, read_bytes, read_optional_bytes, read_text, read_uint
from quorate.wire.go.msgpack import NIL, bad_frame, map_header, pack_raw, unpack

UINT8_MAX: Final = (1 << 8) - 1
UINT16_MAX: Final = (1 << 16) - 1
UINT32_MAX: Final = (1 << 32) - 1
UINT64_MAX: Final = (1 << 64) - 1

_FLOAT: Final = struct.Struct(">Bd").pack


def pack_map(*fields: tuple[bytes, bytes]) -> bytes:
    """A map of the keys in the order given, which has to be byte order; values are encoded."""
    parts = [map_header(len(fields))]
    for key, value in fields:
        parts += (pack_raw(key), value)
    return b"".join(parts)


def pack_long_map(items: list[tuple[str, bytes]]) -> bytes:
    """A map of text to encoded values, of any length (it is data, no struct)."""
    size = len(items)
    head = map_header(size) if size < 16 else _map16(size)
    return head + b"".join([pack_string(key) + value for key, value in items])


def _map16(size: int) -> bytes:
    return struct.pack(">BH", 0xDE, size) if size <= UINT16_MAX else struct.pack(">BI", 0xDF, size)


def pack_string(value: str) -> bytes:
    """A Go string: empty is empty."""
    return pack_raw(value.encode())


def pack_float(value: float) -> bytes:
    """A float64."""
    return _FLOAT(0xCB, value)


@lru_cache(maxsize=4096)
def pack_ip(host: str) -> bytes:
    """The address as raw bytes: 4, or 16. Raises ValueError for anything but an IP address."""
    return pack_raw(ip_address(host).packed)


@lru_cache(maxsize=4096)
def _ip_text(packed: bytes) -> str:
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # Go holds IPv4 addresses so, and prints them without
    return str(address)


def pack_versions(versions: Versions | None) -> bytes:
    """`Vsn`: six bytes in a raw string; none is nil."""
    if versions is None:
        return NIL
    return pack_raw(
        bytes(
            (
                *(versions.protocol_min, versions.protocol_max, versions.protocol_current),
                *(versions.delegate_min, versions.delegate_max, versions.delegate_current),
            )
        )
    )


_OURS: Final = Versions()


class Fields:
    """One decoded map. Every method raises BadFrame if the value is not of that Go type.

    Missing keys are Go's zero values, unknown keys are skipped; `message` names it in errors.
    """

    __slots__ = ("_get", "_message")

    def __init__(self, value: Any, message: str) -> None:
        if value is None:
            value = {}
        if type(value) is not dict:
            raise bad_frame(f"{message} is no map but {type(value).__name__}")
        self._get = value.get
        self._message = message

    def uint(self, key: bytes, most: int = UINT64_MAX) -> int:
        """An unsigned number of at most `most`."""
        number = read_uint(self._get(key), key.decode())
        if number > most:
            raise bad_frame(f"{key.decode()} of {self._message} is too large: {number}")
        return number

    def flag(self, key: bytes) -> bool:
        """True or false."""
        return read_bool(self._get(key), key.decode())

    def text(self, key: bytes) -> str:
        """Text in UTF-8."""
        return read_text(self._get(key), key.decode())

    def raw(self, key: bytes) -> bytes:
        """Bytes; nil is empty."""
        return read_bytes(self._get(key), key.decode())

    def optional(self, key: bytes) -> bytes | None:
        """Bytes; nil is None."""
        return read_optional_bytes(self._get(key), key.decode())

    def value(self, key: bytes) -> Any:
        """Any value."""
        return self._get(key)

    def array(self, key: bytes) -> tuple[Any, ...] | None:
        """An array; nil is None."""
        value = self._get(key)
        if value is not None and type(value) is not tuple:
            raise bad_frame(f"{key.decode()} of {self._message} is no array")
        return value

    def ip(self, key: bytes) -> str:
        """An IP address as text. IPv4 in IPv6 is IPv4."""
        packed = self.raw(key)
        if len(packed) not in {4, 16}:
            raise bad_frame(f"{key.decode()} of {self._message} is no IP address")
        return _ip_text(packed)

    def address(self, ip: bytes, port: bytes) -> Address:
        """An IP address and a port that stand under two keys."""
        return Address(self.ip(ip), self.uint(port, UINT16_MAX))

    def versions(self) -> Versions | None:
        """`Vsn`; None if it is not given."""
        packed = self.raw(b"Vsn")
        if not packed:
            return None
        if len(packed) != 6:
            raise bad_frame(f"Vsn of {self._message} has {len(packed)} bytes instead of 6")
        versions = Versions(*packed)
        return _OURS if versions == _OURS else versions


def fields_of(data: bytes, message: str) -> Fields:
    """The map that is exactly `data`. Raises BadFrame."""
    return Fields(unpack(data), message)
