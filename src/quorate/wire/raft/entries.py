"""Log entries, as they travel and as they lie on disk (docs/wire.md#messages).

Invariant: an entry is encoded once. `Entry.encoded` keeps the bytes for the disk and for every
peer; an entry that came over the network is encoded again, in the canonical form, because the
sender may have written it in any form that decodes to the same value.

The canonical form is hashicorp/raft's: keys in byte order, nil for an empty byte string (a
command of no bytes thus travels as nil), AppendedAt as Go's binary time, and left out when it is
not known, which all versions accept.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from quorate.raft.values.messages import Entry
from quorate.wire.go.fields import read_bytes, read_uint, read_uint8
from quorate.wire.go.msgpack import bad_frame, pack_raw, pack_uint, unpack
from quorate.wire.go.time import pack_time, read_time

_FIVE_KEYS: Final = b"\x85"
_SIX_KEYS_APPENDED_AT: Final = b"\x86\xaaAppendedAt"
_DATA: Final = b"\xa4Data"
_EXTENSIONS: Final = b"\xaaExtensions"
_INDEX: Final = b"\xa5Index"
_TERM: Final = b"\xa4Term"
_TYPE: Final = b"\xa4Type"

# What stands before the data of an entry without AppendedAt, by the length of the data. The key
# of the data is part of it, so that a usual entry is a join of five pieces.
_NO_DATA: Final = _FIVE_KEYS + _DATA + b"\xc0"
_SHORT_DATA: Final = tuple(_FIVE_KEYS + _DATA + bytes((0xA0 | n,)) for n in range(32))
_LONG_DATA: Final = struct.Struct(f">{len(_NO_DATA)}sH").pack
_LONG_DATA_HEAD: Final = _FIVE_KEYS + _DATA + b"\xda"

# What stands between the data and the number of the index, likewise with the form of the number.
_NO_EXTENSIONS: Final = _EXTENSIONS + b"\xc0" + _INDEX
_NO_EXTENSIONS_INDEX32: Final = struct.Struct(f">{len(_NO_EXTENSIONS) + 1}sI").pack
_INDEX32_HEAD: Final = _NO_EXTENSIONS + b"\xce"

_APPENDED_AT_HEAD: Final = len(_FIVE_KEYS)


@lru_cache(maxsize=64)
def _term_and_type(term: int, kind: int) -> bytes:
    """The end of an entry. The same few stand at the end of thousands."""
    return _TERM + pack_uint(term) + _TYPE + pack_uint(kind)


def encode_entry(entry: Entry) -> bytes:
    """The travelling form; made at the first call and kept in `entry.encoded`."""
    if entry.encoded is not None:
        return entry.encoded
    data = entry.data
    size = len(data)
    if size == 0:
        head = _NO_DATA
    elif size < 32:
        head = _SHORT_DATA[size]
    elif size < 1 << 16:
        head = _LONG_DATA(_LONG_DATA_HEAD, size)
    else:
        head, data = _FIVE_KEYS + _DATA, pack_raw(data)
    index = entry.index
    if 1 << 16 <= index < 1 << 32 and not entry.extensions:
        middle = _NO_EXTENSIONS_INDEX32(_INDEX32_HEAD, index)
    elif entry.extensions:
        middle = _EXTENSIONS + pack_raw(entry.extensions) + _INDEX + pack_uint(index)
    else:
        middle = _NO_EXTENSIONS + pack_uint(index)
    tail = _term_and_type(entry.term, entry.kind)
    if entry.appended_at is not None:
        time = pack_time(entry.appended_at)
        head = _SIX_KEYS_APPENDED_AT + time + head[_APPENDED_AT_HEAD:]
    entry.encoded = encoded = b"".join((head, data, middle, tail))
    return encoded


def entry_from_map(fields: Any) -> Entry:
    """The entry that a decoded msgpack map stands for; `encoded` is None.

    Raises BadFrame when a field has a wrong type, and for nil: where an entry belongs, a Go node
    decodes nil and then dies of it.
    """
    if type(fields) is not dict:
        raise bad_frame(f"a log entry is no map but {type(fields).__name__}")
    get = fields.get
    index, term, kind = get(b"Index"), get(b"Term"), get(b"Type")
    data, extensions, appended_at = get(b"Data"), get(b"Extensions"), get(b"AppendedAt")
    # The usual entry costs these comparisons; only an unusual one is looked at field by field.
    if not (type(index) is type(term) is int and index >= 0 <= term):
        index, term = read_uint(index, "Index"), read_uint(term, "Term")
    if not (type(kind) is int and 0 <= kind < 256):
        kind = read_uint8(kind, "Type")
    if type(data) is not bytes:
        data = read_bytes(data, "Data")
    if extensions is None:
        extensions = b""
    elif type(extensions) is not bytes:
        extensions = read_bytes(extensions, "Extensions")
    if appended_at is not None:
        appended_at = read_time(appended_at, "AppendedAt")
    return Entry(index, term, kind, data, extensions, appended_at)


def decode_entry(encoded: bytes) -> Entry:
    """The entry in `encoded` (from a log store), which becomes its `encoded` as it is.

    Raises BadFrame when it is no entry.
    """
    entry = entry_from_map(unpack(encoded))
    entry.encoded = encoded
    return entry
