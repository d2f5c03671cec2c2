"""One line of JSON that carries its own checksum.

Invariant: every byte of the line is covered. The last key is `Checksum`: CRC-64/XZ, 8 bytes big
endian in base64 (the form of docs/wire.md#snapshot-folders), over all that stands before its comma.
It is an ordinary key, so that other readers, who skip keys they do not know, can read the line too.
"""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from fastcrc.crc64 import xz

from quorate.errors import LogDamaged
from quorate.given_files import content
from quorate.storage.disk_errors import clear_errors

T = TypeVar("T")

_BYTES_MAX: Final = 16 << 20
"""The largest has the key and address of each server of a configuration."""

_KEY: Final = b',"Checksum":"'
_END: Final = b'"}\n'


def crc_bytes(crc: int) -> bytes:
    """A CRC-64 as docs/wire.md#snapshot-folders writes it: 8 bytes, big endian."""
    return crc.to_bytes(8, "big")


def seal(value: msgspec.Struct) -> bytes:
    """The line for a struct, keys in the order of its fields."""
    body = msgspec.json.encode(value).removesuffix(b"}")
    return body + ending(body)


def read_sealed(path: Path, kind: type[T]) -> T:
    """The struct in a file made by `seal`.

    Raises LogDamaged when the file is missing or not what was written, QuorateError when it is not
    readable.
    """
    with clear_errors(f"read {path}"):
        try:
            line = content(path, _BYTES_MAX)
        except FileNotFoundError as error:
            raise LogDamaged(f"{path} is missing", path=str(path)) from error
    return unseal(line, str(path), kind)


def unseal(line: bytes, path: str, kind: type[T]) -> T:
    """The struct in a line made by `seal` that was found in `path`. Raises LogDamaged."""
    body, _, _ = line.rpartition(_KEY)
    if line != body + ending(body):
        raise LogDamaged(f"{path} is damaged: its checksum does not match", path=path)
    try:
        return msgspec.json.decode(body + b"}", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # also: not UTF-8, too deep
        raise LogDamaged(f"{path} cannot be understood: {error}", path=path) from error


def ending(body: bytes) -> bytes:
    """The bytes behind the body: the key of the checksum, the checksum, the end of the object."""
    return _KEY + b64encode(crc_bytes(xz(body))) + _END
