"""One page of a BoltDB file, or the page inside an inline bucket: its header and elements.

Every position is checked before it is used: keys and values lie inside the page, one behind the
other from the end of the table of elements on, as BoltDB writes them; keys are not empty, ascend,
and lie in the range that the branch above gave. So a changed count, position or length shows. A
page that is too large to hold in memory is read element by element.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from quorate.nomad.bolt.meta import BoltError

HEADER: Final = 16
BRANCH: Final = 1
LEAF: Final = 2
KEY_BYTES_MAX: Final = 32768
VALUE_BYTES_MAX: Final = 64 << 20
"""No value of a raft.db is larger: Nomad refuses far smaller requests."""

_HELD: Final = 1 << 20
_ELEMENT: Final = 16
_HEAD: Final = struct.Struct("<QHHI")
_BRANCH: Final = struct.Struct("<IIQ")
_LEAF: Final = struct.Struct("<IIII")
_IS_BUCKET: Final = 1

Take: TypeAlias = Callable[[int, int], bytes]
"""(position in the page, size) -> exactly so many bytes."""


class Head(NamedTuple):
    """The header of a page."""

    id: int
    flags: int
    elements: int
    overflow: int


class Child(NamedTuple):
    """A branch element: keys of the page `page` are not below `key`."""

    key: bytes
    page: int


class Item(NamedTuple):
    """A leaf element. `value` reads its bytes when it is called."""

    key: bytes
    is_bucket: bool
    size: int
    value: Callable[[], bytes]


class Range(NamedTuple):
    """Keys from `low` on, below `high`; None: no end."""

    low: bytes = b""
    high: bytes | None = None


def head_of(data: bytes, page: int) -> Head:
    """The header at the beginning of `data`. Raises BoltError."""
    if len(data) < HEADER:
        raise BoltError("the file ends in its header", page)
    return Head(*_HEAD.unpack_from(data))


class Page:
    """The elements of one page.

    Args:
        number: its number, or that of the page in which an inline bucket lies.
        head: its header.
        size: its bytes, overflow included.
        take: reads in it.
        keys: where its keys must lie.
    """

    def __init__(self, number: int, head: Head, size: int, take: Take, keys: Range) -> None:
        self.number = number
        self.head = head
        self._size = size
        self._keys = keys
        self._end = HEADER + head.elements * _ELEMENT
        if self._end > size:
            raise BoltError(f"{head.elements} elements do not fit into {size} bytes", number)
        if size <= _HELD:
            held = take(0, size)
            self._take: Take = lambda at, length: held[at : at + length]
        else:
            self._take = take
        self._table = self._take(HEADER, head.elements * _ELEMENT)

    def children(self) -> Iterator[Child]:
        """The elements of a branch page, in order. Raises BoltError."""
        last, end = None, self._end
        for number, (position, size, page) in enumerate(_BRANCH.iter_unpack(self._table)):
            self._check_place(number, position, end)
            last = self._key(number, end, size, last)
            end += size
            yield Child(last, page)

    def items(self) -> Iterator[Item]:
        """The elements of a leaf page, in order. Raises BoltError."""
        last, end = None, self._end
        for number, (flags, position, size, length) in enumerate(_LEAF.iter_unpack(self._table)):
            self._check_place(number, position, end)
            last = self._key(number, end, size, last)
            if flags & ~_IS_BUCKET:
                raise BoltError(f"element {number} has flags {flags}", self.number)
            value_at = end + size
            end = value_at + length
            if value_at + length > self._size:
                raise BoltError(f"the value of element {number} is outside the page", self.number)
            if length > VALUE_BYTES_MAX:
                raise BoltError(f"the value of element {number} has {length} bytes", self.number)
            yield Item(last, bool(flags), length, self._reader(value_at, length))

    def _reader(self, at: int, length: int) -> Callable[[], bytes]:
        return lambda: self._take(at, length)

    def _check_place(self, number: int, position: int, expected: int) -> None:
        if HEADER + number * _ELEMENT + position != expected:
            raise BoltError(f"the content of element {number} is not in its place", self.number)

    def _key(self, number: int, at: int, size: int, last: bytes | None) -> bytes:
        if not 1 <= size <= KEY_BYTES_MAX:
            raise BoltError(f"the key of element {number} has {size} bytes", self.number)
        if at + size > self._size:
            raise BoltError(f"the key of element {number} is outside the page", self.number)
        key = self._take(at, size)
        if last is not None and key <= last:
            raise BoltError(f"the key of element {number} is out of order", self.number)
        if key < self._keys.low or (self._keys.high is not None and key >= self._keys.high):
            raise BoltError(
                f"the key of element {number} does not belong below its branch", self.number
            )
        return key
