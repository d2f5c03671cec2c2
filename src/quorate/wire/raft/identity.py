"""The identity record in bytes: the value of `QuorateIdentity` in every message of ours.

A byte string of fixed layout, big-endian: layout number (1), flags (1: epoch bits follow, 2: run
bits follow), feature level (2 bytes), epoch counter (4), start number (8), then the epoch's bits
(0 or 16 bytes), the start's bits (0 or 8), the length of the server ID (1) with the ID, the length
of the cluster ID (1) with the ID. Nothing follows. To other makes it is one opaque value.

A message costs next to nothing more for it: the record of a sender changes a few times in its life,
so equal bytes are decoded once and one record is packed once. What is kept is bounded.

Ours; hashicorp/raft skips the key, and so does the first version (level 0).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from quorate.raft.values.identity import EPOCH_BITS, RUN_BITS, Epoch, IdentityRecord, Start
from quorate.wire.go.msgpack import bad_frame, pack_raw

LAYOUT: Final = 1
LEVEL_MAX: Final = (1 << 15) - 1
COUNTER_MAX: Final = (1 << 31) - 1
START_MAX: Final = (1 << 62) - 1
ID_CHARS_MAX: Final = 128
"""Of a server ID. Ours are UUIDs; users of the library choose their own."""
CLUSTER_CHARS_MAX: Final = 64
RECORD_BYTES_MAX: Final = 18 + EPOCH_BITS + RUN_BITS + 2 + ID_CHARS_MAX + CLUSTER_CHARS_MAX

_HEAD: Final = struct.Struct(">BBHIQ")
_HAS_EPOCH_BITS: Final = 1
_HAS_RUN_BITS: Final = 2
_KEPT: Final = 1024
"""Records of senders that are remembered; more than there are servers in a pool."""


def printable_problem(what: str, text: str, chars_max: int, *, empty: bool = False) -> str:
    """Why `text` is no ID that may be stored, logged and sent on; empty if it is one."""
    if not text:
        return "" if empty else f"{what} is empty"
    if len(text) > chars_max:
        return f"{what} has {len(text)} characters, more than {chars_max}"
    if not (text.isascii() and text.isprintable()):
        return f"{what} has characters that are not printable ASCII"
    return ""


def is_sound(start: Start) -> bool:
    """True for a start that a server can have had."""
    return 0 < start.number <= START_MAX and len(start.run) == RUN_BITS


@lru_cache(_KEPT)
def encode_record(record: IdentityRecord) -> bytes:
    """The bytes of a record. Raises ValueError for one that no receiver would take."""
    epoch, start = record.epoch, record.start
    problem = (
        printable_problem("server ID", record.server_id, ID_CHARS_MAX)
        or printable_problem("cluster ID", record.cluster_id, CLUSTER_CHARS_MAX, empty=True)
        or _number_problem(record.level, epoch.counter, start.number)
        or ("" if len(epoch.bits) in {0, EPOCH_BITS} else "epoch bits of another length")
        or ("" if len(start.run) in {0, RUN_BITS} else "run bits of another length")
    )
    if problem:
        raise ValueError(problem)
    flags = _HAS_EPOCH_BITS * bool(epoch.bits) | _HAS_RUN_BITS * bool(start.run)
    server, cluster = record.server_id.encode(), record.cluster_id.encode()
    return b"".join(
        (
            _HEAD.pack(LAYOUT, flags, record.level, epoch.counter, start.number),
            epoch.bits,
            start.run,
            bytes((len(server),)),
            server,
            bytes((len(cluster),)),
            cluster,
        )
    )


class _Packed:
    """The record packed last, found again without hashing it: a server sends its own, always."""

    record: IdentityRecord | None = None
    value: bytes = b""


def pack_record(record: IdentityRecord) -> bytes:
    """The record as the value of a msgpack map."""
    if _Packed.record is not record:
        _Packed.value, _Packed.record = pack_raw(encode_record(record)), record
    return _Packed.value


@lru_cache(_KEPT)
def decode_record(data: bytes) -> IdentityRecord:
    """The record in `data`. Raises BadFrame for anything else."""
    if len(data) < _HEAD.size:
        raise bad_frame(f"an identity record of {len(data)} bytes")
    layout, flags, level, counter, number = _HEAD.unpack_from(data)
    if layout != LAYOUT:
        raise bad_frame(f"an identity record of unknown layout {layout}")
    if flags & ~(_HAS_EPOCH_BITS | _HAS_RUN_BITS):
        raise bad_frame(f"an identity record with unknown flags {flags:#04x}")
    problem = _number_problem(level, counter, number)
    if problem:
        raise bad_frame(f"an identity record: {problem}")
    place = _HEAD.size
    bits, place = _take(data, place, EPOCH_BITS if flags & _HAS_EPOCH_BITS else 0)
    run, place = _take(data, place, RUN_BITS if flags & _HAS_RUN_BITS else 0)
    server_id, place = _take_text(data, place, "server ID", ID_CHARS_MAX)
    cluster_id, place = _take_text(data, place, "cluster ID", CLUSTER_CHARS_MAX)
    if not server_id:
        raise bad_frame("an identity record without a server ID")
    if place != len(data):
        raise bad_frame(f"an identity record with {len(data) - place} bytes too many")
    return IdentityRecord(
        server_id=server_id,
        cluster_id=cluster_id,
        epoch=Epoch(counter, bits),
        level=level,
        start=Start(number, run),
    )


def read_record(value: Any, key: str) -> IdentityRecord | None:
    """The record that a message carries; None if it carries none. Raises BadFrame."""
    if value is None:
        return None
    if type(value) is not bytes or len(value) > RECORD_BYTES_MAX:
        raise bad_frame(f"{key} is no identity record")
    return decode_record(value)


def _number_problem(level: int, counter: int, start: int) -> str:
    if not 0 <= level <= LEVEL_MAX:
        return f"feature level {level} is out of range"
    if not 0 <= counter <= COUNTER_MAX:
        return f"epoch {counter} is out of range"
    if not 0 <= start <= START_MAX:
        return f"start number {start} is out of range"
    return ""


def _take(data: bytes, place: int, size: int) -> tuple[bytes, int]:
    end = place + size
    if end > len(data):
        raise bad_frame("an identity record that is cut off")
    return data[place:end], end


def _take_text(data: bytes, place: int, what: str, chars_max: int) -> tuple[str, int]:
    length, place = _take(data, place, 1)
    raw, place = _take(data, place, length[0])
    text = raw.decode("ascii", "replace")
    problem = printable_problem(f"its {what}", text, chars_max, empty=True)
    if problem:
        raise bad_frame(f"an identity record: {problem}")
    return text, place
