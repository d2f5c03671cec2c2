"""Records of the log: the items of one write, in the order in which they are done.

Each item is its kind, u8, and the length of what follows, u32; then, integers little endian:

    1 head       layout u8 | last index u64 | last term u64 | base index u64 | base term u64
                 opens the first record of a file: what all files before it came to
    2 reset      index u64 | term u64: the log is empty, a snapshot ends there
    3 truncate   index u64: entries from there on are gone
    4 entry      term u64 | travelling form of the entry; its index is one above the last one
    5 base       index u64 | term u64: entries up to there are gone
    6 hard state term u64 | vote term u64 | candidate that got the vote, UTF-8
    7 meta       length of the name u16 | name, UTF-8 | value

An entry's checksum is that of its frames (`log_frames`). Behind the head of a file stands a meta
of the log's own: what the file holds at least (`Bound`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from quorate.errors import BadFrame, LogDamaged
from quorate.raft.values.messages import Entry, HardState
from quorate.storage.log.frames import pack_frame, read_frame
from quorate.wire.raft.entries import decode_entry, encode_entry

LAYOUT: Final = 2
"""1 was the layout in LMDB."""

HEAD, RESET, TRUNCATE, ENTRY, BASE, HARD_STATE, META = range(1, 8)

_ITEM: Final = struct.Struct("<BI")
ENTRY_ITEM: Final = struct.Struct("<BIQ")
"""Of an entry: kind, length of what follows, term. Its travelling form is behind it."""

_TERM: Final = struct.Struct("<Q")
_HEAD: Final = struct.Struct("<BQQQQ")
_PAIR: Final = struct.Struct("<QQ")
_NAME: Final = struct.Struct("<H")
_BOUND: Final = struct.Struct("<QQQ?")
BOUND_NAME: Final = "quorate.bound"
"""The name of the meta that is the log's own."""

_BOUND_AT: Final = _ITEM.size + _HEAD.size  # in the payload of a file's first record

ITEM_HEAD: Final = _ITEM.size
"""Bytes of an item before its body."""

ENTRY_HEAD: Final = ENTRY_ITEM.size
"""Bytes of an entry's item before its travelling form."""

ENTRY_BODY: Final = _TERM.size
"""Bytes of the body of an entry's item before its travelling form."""


COMMAND_END: Final = b"\xa4Type\x00"
"""The end of the travelling form of a command: its kind comes last."""


class Head(NamedTuple):
    """The totals of all files before this one."""

    layout: int
    last_index: int
    last_term: int
    base_index: int
    base_term: int


class Bound(NamedTuple):
    """What is certain of the file `number`: it was durable before this was written.

    The file has at least `room` bytes and, of them, `size` bytes of records; `followed`: there is
    a file behind it, with a record in it. A file that holds less was cut, or its successor was
    removed: no crash does that.
    """

    number: int
    room: int = 0
    size: int = 0
    followed: bool = False


class Item(NamedTuple):
    """One item: its kind, where in the payload its body begins and ends."""

    kind: int
    start: int
    end: int


def head_item(head: Head) -> bytes:
    """The item that opens a file."""
    return _item(HEAD, _HEAD.pack(*head))


def reset_item(index: int, term: int) -> bytes:
    """The log restarts behind a snapshot."""
    return _item(RESET, _PAIR.pack(index, term))


def truncate_item(index: int) -> bytes:
    """Entries from `index` on are gone."""
    return _item(TRUNCATE, _TERM.pack(index))


def base_item(index: int, term: int) -> bytes:
    """Entries up to `index` are gone."""
    return _item(BASE, _PAIR.pack(index, term))


def hard_state_item(state: HardState) -> bytes:
    """Term and vote."""
    return _item(HARD_STATE, _PAIR.pack(state.term, state.vote_term) + state.voted_for.encode())


def meta_items(meta: Mapping[str, bytes]) -> list[bytes]:
    """The small values of the store's user."""
    items = []
    for name, value in meta.items():
        encoded = name.encode()
        items.append(_item(META, _NAME.pack(len(encoded)) + encoded + value))
    return items


def bound_item(bound: Bound) -> bytes:
    """The meta that stands behind the head of a file. Its size does not depend on the bound.

    A meta, because versions that do not know of it keep what they do not know, and go on with the
    file. They write it again at the beginning of later files: it counts in that of its number only.
    """
    return meta_items({BOUND_NAME: _BOUND.pack(*bound)})[0]


def with_bound(head: bytes, bound: Bound) -> bytes | None:
    """The first frame of a file with this bound in it; None if it has no place for one.

    Versions that knew of no bound left none: room for it is behind a head that stands alone.
    """
    frame, item = read_frame(head), bound_item(bound)
    assert frame is not None, "the first frame was read and written whole"
    at, end = _BOUND_AT, _BOUND_AT + len(item)
    same = len(item) - _BOUND.size + _TERM.size  # up to the number of the file
    if frame.used > at and frame.body[at : at + same] != item[:same]:
        return None
    body = frame.body[:at] + item + frame.body[end:]
    return pack_frame(frame._replace(used=max(frame.used, end), body=body))


def entry_items(entries: Sequence[Entry]) -> list[bytes]:
    """Head and travelling form of each entry, in turns."""
    items: list[bytes] = []
    pack = ENTRY_ITEM.pack
    for entry in entries:
        encoded = encode_entry(entry)
        items += (pack(ENTRY, _TERM.size + len(encoded), entry.term), encoded)
    return items


def _item(kind: int, body: bytes) -> bytes:
    return _ITEM.pack(kind, len(body)) + body


def items_of(payload: bytes, at: int = 0) -> Iterator[Item]:
    """The whole items of a payload from `at` on; one that is cut off ends the iteration."""
    size, head = len(payload), _ITEM.size
    while at + head <= size:
        kind, length = _ITEM.unpack_from(payload, at)
        start, end = at + head, at + head + length
        if end > size:
            return
        yield Item(kind, start, end)
        at = end


def read_head(payload: bytes, item: Item) -> Head:
    """Raises struct.error."""
    return Head(*_HEAD.unpack(payload[item.start : item.end]))


def read_pair(payload: bytes, item: Item) -> tuple[int, int]:
    """The numbers of a reset or a base. Raises struct.error."""
    first, second = _PAIR.unpack(payload[item.start : item.end])
    return first, second


def read_number(payload: bytes, item: Item) -> int:
    """The index of a truncation, the term of an entry. Raises ValueError."""
    if item.end - item.start < _TERM.size:
        raise ValueError("a number is cut off")
    return int(_TERM.unpack_from(payload, item.start)[0])


def read_hard_state(payload: bytes, item: Item) -> HardState:
    """Raises struct.error, UnicodeDecodeError."""
    body = payload[item.start : item.end]
    term, vote_term = _PAIR.unpack_from(body)
    return HardState(term, body[_PAIR.size :].decode(), vote_term)


def read_meta(payload: bytes, item: Item) -> tuple[str, bytes]:
    """Raises struct.error, ValueError."""
    body = payload[item.start : item.end]
    value_at = _NAME.size + _NAME.unpack_from(body)[0]
    if value_at > len(body):
        raise ValueError("a name is cut off")
    return body[_NAME.size : value_at].decode(), body[value_at:]


def read_bound(name: str, value: bytes) -> Bound | None:
    """The bound in a meta, None if it is another one. Raises struct.error."""
    return Bound(*_BOUND.unpack(value)) if name == BOUND_NAME else None


def read_entry(index: int, term: int | None, encoded: bytes, path: str) -> Entry:
    """The entry that belongs at `index`, out of its travelling form. Raises LogDamaged."""
    try:
        entry = decode_entry(encoded)
    except BadFrame as error:
        raise entry_damaged(index, path, error.text) from error
    if (entry.index, entry.term) != (index, term):
        what = f"it holds entry {entry.index} of term {entry.term}, not of term {term}"
        raise entry_damaged(index, path, what)
    return entry


def log_damaged(text: str, path: str, index: int | None = None) -> LogDamaged:
    """The error for the log's file `path`, with what to do about it."""
    next_step = (
        f"move the folder {Path(path).parent.parent} away, keep it for a look, and start this "
        "server: it is filled again from its peers"
    )
    return LogDamaged(text, path=path, index=index, next_step=next_step)


def entry_damaged(index: int, path: str, what: str) -> LogDamaged:
    """The error for the entry at `index` of the log in the file `path`."""
    return log_damaged(f"entry {index} in {path} is damaged: {what}", path, index)
