"""The frames in which a log lies on the disk: they tell a torn write from a damaged one.

A record is what one write makes durable. It lies in frames of 512 bytes, the unit that a disk
writes whole or not at all, at multiples of 512 of its file, in files that were zeros before:

    crc32, u32   of all that follows in the frame
    record, u64  number of the record; records are numbered without gaps through all files
    part, u32    number of this frame in the record, from 0
    parts, u32   how many frames the record has
    used, u16    how many bytes of the body are in use; all but the last frame are full
    body         490 bytes, the unused ones zero; integers are little endian

Invariant: after a crash in the middle of a write, each of its frames is either whole or still
zeros (so is each sector of LMDB's two roots, and it relies on that too). A frame that is neither
was changed later, by something else than us: damage, wherever it lies, and never "the write that
the crash cut off". Without this, a flipped bit in the last record would look like a write that
nobody was told of, and a server would forget an entry or a vote it had acknowledged.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple
from zlib import crc32

FRAME: Final = 512
_CRC: Final = struct.Struct("<I")
_REST: Final = struct.Struct("<QIIH")
_HEAD: Final = struct.Struct("<IQIIH")
HEAD: Final = _CRC.size + _REST.size
BODY: Final = FRAME - HEAD
"""Bytes of a record in one frame."""

_UNWRITTEN: Final = bytes(FRAME)


class Frame(NamedTuple):
    """A frame whose checksum matched."""

    record: int
    part: int
    parts: int
    used: int
    body: bytes


def frame_record(number: int, payload: bytes) -> bytes:
    """The frames of record `number`, one after another."""
    size = len(payload)
    pack, pack_crc = _REST.pack, _CRC.pack
    if size <= BODY:  # as of most writes when there are few clients
        rest = pack(number, 0, 1, size) + payload.ljust(BODY, b"\0")
        return pack_crc(crc32(rest)) + rest
    parts = -(-size // BODY)
    pieces: list[bytes] = []
    for part in range(parts):
        body = payload[part * BODY : (part + 1) * BODY]
        rest = pack(number, part, parts, len(body)) + body.ljust(BODY, b"\0")
        pieces += (pack_crc(crc32(rest)), rest)
    return b"".join(pieces)


def pack_frame(frame: Frame) -> bytes:
    """The 512 bytes of one frame."""
    rest = _REST.pack(frame.record, frame.part, frame.parts, frame.used) + frame.body
    return _CRC.pack(crc32(rest)) + rest


def is_unwritten(data: bytes) -> bool:
    """True if a frame was never written: zeros, or beyond the end of its file."""
    return data == _UNWRITTEN or not data


def read_frame(data: bytes) -> Frame | None:
    """The frame in 512 bytes, or None if they are not what was written."""
    if len(data) != FRAME:
        return None
    rest = data[_CRC.size :]
    if _CRC.unpack_from(data)[0] != crc32(rest):
        return None
    record, part, parts, used = _REST.unpack_from(rest)
    return Frame(record, part, parts, used, rest[_REST.size :])


def following(data: bytes, at: int, first: Frame) -> list[memoryview]:
    """What is used of the frames from `at` on that follow the first one of a record.

    It ends before one that is not as it should be, which the caller then looks at. This is most of
    the opening of a log.
    """
    view, pieces = memoryview(data), []
    unpack = _HEAD.unpack_from
    record, parts = first.record, first.parts
    for part in range(1, min(parts, (len(data) - at) // FRAME + 1)):
        crc, number, place, count, used = unpack(data, at)
        if crc != crc32(view[at + _CRC.size : at + FRAME]):
            break
        if number != record or place != part or count != parts:
            break
        pieces.append(view[at + HEAD : at + HEAD + min(used, BODY)])
        at += FRAME
    return pieces


def bodies(data: bytes) -> bytes | None:
    """The bodies of the frames in `data`, whole with their unused bytes, or None if damaged."""
    view, pieces = memoryview(data), []
    unpack = _CRC.unpack_from
    if len(data) % FRAME:
        return None
    for at in range(0, len(data), FRAME):
        if unpack(data, at)[0] != crc32(view[at + _CRC.size : at + FRAME]):
            return None
        pieces.append(view[at + HEAD : at + FRAME])
    return b"".join(pieces)
