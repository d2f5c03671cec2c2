"""A BoltDB file: its buckets, and a walk over all keys of one in order.

Pages are reached from the root only: free pages hold old content that looks like a state. Each
page is taken once, so a damaged file cannot lead round in a circle. What is held in memory is one
page for each level of the tree, and some bits for each page of the file.

No checksum covers the pages of the tree. What shows a wrong link is the list of free pages, where
the file has one: each page below the high water mark is a meta, part of that list, reached once, or
free.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from quorate.nomad.bolt.free import PageSet, read_free
from quorate.nomad.bolt.meta import BoltError, Meta, Metas, Read, read_metas
from quorate.nomad.bolt.pages import BRANCH, HEADER, LEAF, Head, Item, Page, Range, head_of

DEPTH_MAX: Final = 32
_BUCKET: Final = struct.Struct("<QQ")
_FIRST_PAGE: Final = 2


class Shape:
    """How many pages of each kind a walk has met, and how deep the tree is."""

    def __init__(self) -> None:
        self.branch = 0
        self.leaf = 0
        self.overflow = 0
        self.depth = 0


class Bucket:
    """A bucket of the file. `root` is None if it lies inline, in page `holder`."""

    def __init__(
        self, file: BoltFile, name: bytes, value: bytes, holder: int, level: int = 0
    ) -> None:
        if len(value) < _BUCKET.size:
            raise BoltError(f"bucket {_shown(name)} has {len(value)} bytes", holder)
        root, self.sequence = _BUCKET.unpack_from(value)
        self.name: Final = name
        self.holder: Final = holder
        self.root: Final[int | None] = root or None
        self.level: Final = level
        self._file = file
        self._inline = b"" if root else value[_BUCKET.size :]

    def items(
        self, taken: PageSet | None = None, shape: Shape | None = None
    ) -> Iterator[tuple[Item, int]]:
        """All elements in order, each with the page where it lies. Raises BoltError.

        `taken`: see `BoltFile.walk`.
        """
        if self.root is not None:
            taken = self._file.taken() if taken is None else taken
            yield from self._file.walk(self.root, shape or Shape(), taken)
            return
        head = head_of(self._inline, self.holder)
        if head.flags != LEAF or head.id or head.overflow:
            raise BoltError(
                f"the inline bucket {_shown(self.name)} has flags {head.flags}", self.holder
            )
        inline = self._inline
        page = Page(
            self.holder, head, len(inline), lambda at, size: inline[at : at + size], Range()
        )
        for item in page.items():
            yield item, self.holder

    def buckets(self) -> Iterator[Bucket]:
        """The buckets in this one, in order of their names. Raises BoltError."""
        if self.level >= DEPTH_MAX:
            raise BoltError(f"buckets lie more than {DEPTH_MAX} deep", self.holder)
        for item, page in self.items():
            if item.is_bucket:
                yield Bucket(self._file, item.key, item.value(), page, self.level + 1)


class BoltFile:
    """See the module. `notes` are what a person should know of a file that can be read.

    Raises BoltError.
    """

    def __init__(self, read: Read, size: int) -> None:
        self.size: Final = size
        self._read = read
        self.metas: Final[Metas] = read_metas(read, size)
        newest = self.metas.newest
        assert newest is not None
        self.meta: Final[Meta] = newest
        self.notes: list[str] = list(self.metas.notes)
        if newest.high_water * newest.page_size > size:
            self.notes.append(
                f"the file ends below its high water mark: {size} bytes, not "
                f"{newest.high_water * newest.page_size}; it was cut"
            )
        self.shape: Final = Shape()
        self._pages = size // newest.page_size
        self._free = read_free(read, newest, self._pages, self.notes)
        self._of_root = PageSet(self._pages)

    def buckets(self) -> dict[bytes, Bucket]:
        """The buckets of the file by name. Raises BoltError."""
        found = {}
        self._of_root = PageSet(self._pages)
        for item, page in self.walk(self.meta.root, self.shape, self._of_root):
            if not item.is_bucket:
                raise BoltError(f"a key outside every bucket: {_shown(item.key)}", page)
            found[item.key] = Bucket(self, item.key, item.value(), page)
        return found

    def taken(self) -> PageSet:
        """The pages that the tree of the buckets takes; after `buckets`."""
        return self._of_root.copy()

    def check_reached(self, taken: PageSet) -> None:
        """After walks over all buckets: note pages in use that were not reached."""
        if self._free is None:
            return
        lost = self._free.missing(taken, min(self.meta.high_water, self._pages))
        if lost:
            self.notes.append(
                f"{len(lost)} pages in use are not reached, such as page {lost[0]}: a page above "
                "them is damaged, and entries may be missing"
            )

    def walk(self, root: int, shape: Shape, taken: PageSet) -> Iterator[tuple[Item, int]]:
        """All elements of the tree at page `root`, in order, each with its page.

        `taken` are the pages that were reached before, and gets those of this tree. Raises
        BoltError.
        """
        stack: list[Iterator[tuple[int, Range]]] = [iter([(root, Range())])]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                continue
            if len(stack) > DEPTH_MAX:
                raise BoltError(f"the tree is more than {DEPTH_MAX} pages deep", step[0])
            page = self._page(*step, taken)
            shape.depth = max(shape.depth, len(stack))
            shape.overflow += page.head.overflow
            if page.head.flags == BRANCH:
                shape.branch += 1
                stack.append(_below(page, step[1]))
                continue
            shape.leaf += 1
            if not page.head.elements and len(stack) > 1:
                self.notes.append(f"page {page.number} has no elements: entries may be missing")
            for item in page.items():
                yield item, page.number

    def _page(self, number: int, keys: Range, taken: PageSet) -> Page:
        size = self.meta.page_size
        if not _FIRST_PAGE <= number < self.meta.high_water:
            raise BoltError(
                f"it is named by the tree, and pages in use are {_FIRST_PAGE} to "
                f"{self.meta.high_water - 1}",
                number,
            )
        head = self._head(number)
        last = number + head.overflow
        if last >= self.meta.high_water or (last + 1) * size > self.size:
            raise BoltError("it goes on behind the end of the file", number)
        for each in range(number, last + 1):
            if each in taken:
                raise BoltError("it is reached twice", each)
            if self._free is not None and each in self._free.pages:
                raise BoltError("it is in use, and on the list of free pages", each)
            taken.add(each)
        start, length = number * size, (head.overflow + 1) * size

        def take(at: int, wanted: int) -> bytes:
            data = self._read(start + at, wanted)
            if len(data) != wanted:
                raise BoltError("the file ends in it", number)
            return data

        return Page(number, head, length, take, keys)

    def _head(self, number: int) -> Head:
        head = head_of(self._read(number * self.meta.page_size, HEADER), number)
        if head.id != number:
            raise BoltError(f"it says that it is page {head.id}", number)
        if head.flags not in {BRANCH, LEAF}:
            raise BoltError(f"it is neither branch nor leaf: flags {head.flags}", number)
        return head


def _below(page: Page, keys: Range) -> Iterator[tuple[int, Range]]:
    """The children of a branch, each with the range of its keys."""
    children = page.children()
    before = next(children, None)
    if before is None:
        raise BoltError("a branch without elements", page.number)
    for child in children:
        yield before.page, Range(before.key, child.key)
        before = child
    yield before.page, Range(before.key, keys.high)


def _shown(name: bytes) -> str:
    return repr(name[:40])[1:]
