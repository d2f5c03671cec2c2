"""The list of free pages of a BoltDB file, by which wrong links in the tree are found."""

from __future__ import annotations

import struct
from typing import Final

from quorate.nomad.bolt.meta import BoltError, Meta, Read
from quorate.nomad.bolt.pages import HEADER, head_of

_FREELIST: Final = 16
_COUNT_ELSEWHERE: Final = 0xFFFF
_NUMBER: Final = struct.Struct("<Q")
_PIECE: Final = 64 << 10
_NAMED_MAX: Final = 1000


class PageSet:
    """Numbers of pages below `pages`: a bit for each."""

    def __init__(self, pages: int) -> None:
        self._bits = bytearray((pages >> 3) + 1)

    def __contains__(self, page: int) -> bool:
        at = page >> 3
        return at < len(self._bits) and bool(self._bits[at] >> (page & 7) & 1)

    def add(self, page: int) -> None:
        """Page `page` is in it. Raises IndexError above the end."""
        self._bits[page >> 3] |= 1 << (page & 7)

    def copy(self) -> PageSet:
        """Another one with the same pages."""
        other = PageSet(0)
        other._bits = bytearray(self._bits)
        return other


class FreePages:
    """The free pages, and those in which their list lies."""

    def __init__(self, pages: PageSet, own: range) -> None:
        self.pages = pages
        self._own = own

    def missing(self, taken: PageSet, end: int) -> list[int]:
        """Pages from 2 on, below `end`, that are neither taken nor free; a thousand at most."""
        lost = []
        for page in range(2, end):
            if page not in taken and page not in self.pages and page not in self._own:
                lost.append(page)
                if len(lost) == _NAMED_MAX:
                    break
        return lost


def read_free(read: Read, meta: Meta, pages: int, notes: list[str]) -> FreePages | None:
    """The free pages of a file of so many pages; None if they are not stored, or not readable.

    The second is noted: the tree is sound without the list, and can be read.
    """
    if meta.freelist is None:
        return None
    try:
        return _read(read, meta, meta.freelist, pages)
    except BoltError as error:
        notes.append(f"the list of free pages is not readable ({error}): links are not checked")
        return None


def _read(read: Read, meta: Meta, number: int, pages: int) -> FreePages:
    size = meta.page_size
    if not 2 <= number < meta.high_water:
        raise BoltError("it is outside the pages in use", number)
    head = head_of(read(number * size, HEADER), number)
    if head.id != number or head.flags != _FREELIST:
        raise BoltError(f"it says page {head.id} with flags {head.flags}", number)
    at, count = number * size + HEADER, head.elements
    if count == _COUNT_ELSEWHERE:
        data = read(at, _NUMBER.size)
        count = _NUMBER.unpack(data)[0] if len(data) == _NUMBER.size else 0
        at += _NUMBER.size
    end = (number + head.overflow + 1) * size
    if at + count * _NUMBER.size > end:
        raise BoltError(f"{count} numbers do not fit into it", number)
    found, before = PageSet(pages), 1
    while count:
        piece = min(count, _PIECE // _NUMBER.size)
        data = read(at, piece * _NUMBER.size)
        if len(data) < piece * _NUMBER.size:
            raise BoltError("the file ends in it", number)
        for (page,) in _NUMBER.iter_unpack(data):
            if not before < page < meta.high_water:
                raise BoltError(f"page {page} is out of order in it", number)
            before = page
            if page < pages:  # a file may be cut in its free pages
                found.add(page)
        at += len(data)
        count -= piece
    return FreePages(found, range(number, number + head.overflow + 1))
