"""The two meta pages of a BoltDB file: which state of the file counts.

Pages 0 and 1 each describe one state; transaction t is written to page t mod 2, so the other page
is the state one transaction before. A power cut may leave one of them torn. A meta counts if its
magic, version and checksum (FNV-1a, 64 bits) are right; of two the one of the later transaction.
Numbers are little endian, as on every machine that Nomad has releases for but s390x.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from quorate.errors import QuorateError

Read: TypeAlias = Callable[[int, int], bytes]
"""(offset, size) -> so many bytes of the file, fewer at its end."""

PAGE_SIZE_MIN: Final = 1 << 10
PAGE_SIZE_MAX: Final = 16 << 20
META_BYTES: Final = 80

_MAGIC: Final = b"\xed\xda\x0c\xed"
_VERSION: Final = 2
_META_FLAG: Final = 4
_FIELDS: Final = struct.Struct("<QHHI4sIIIQQQQQQ")
_CHECKED: Final = slice(16, 72)
_FNV_START: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_U64: Final = (1 << 64) - 1

NEXT_STEP: Final = (
    "read the raft.db of another server, or a copy of this one that was made while its server was "
    "stopped"
)


class BoltError(QuorateError):
    """A file that is no sound BoltDB file. `page` is the damaged page, None for the whole file."""

    def __init__(self, text: str, page: int | None = None, next_step: str = NEXT_STEP) -> None:
        where = f"page {page}: " if page is not None else ""
        super().__init__(where + text, next_step)
        self.page = page


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """A sound meta page. `high_water`: all pages in use are below it. `freelist`: None if none."""

    page: int
    page_size: int
    root: int
    freelist: int | None
    high_water: int
    txid: int
    checksum: int


class Metas(msgspec.Struct, frozen=True):
    """What pages 0 and 1 hold: a sound meta, or why it is none."""

    found: tuple[Meta | str, Meta | str]

    @property
    def newest(self) -> Meta | None:
        """The meta that counts, None if neither is sound."""
        sound = [meta for meta in self.found if isinstance(meta, Meta)]
        return max(sound, key=lambda meta: meta.txid, default=None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of a file of which one meta is not sound."""
        newest = self.newest
        if newest is None:
            return ()
        return tuple(
            f"page {page} is no sound meta page ({why}); this is the state of transaction "
            f"{newest.txid}, and the newest one may be lost"
            for page, why in enumerate(self.found)
            if isinstance(why, str)
        )


def read_metas(read: Read, size: int) -> Metas:
    """Both metas of a file of `size` bytes. Raises BoltError if neither is sound."""
    if size < 2 * PAGE_SIZE_MIN:
        raise BoltError(f"the file has {size} bytes, and the smallest has two pages")
    first = _meta(read(0, META_BYTES), 0)
    if isinstance(first, Meta):
        second = _meta(read(first.page_size, META_BYTES), 1, first.page_size)
        return _checked(Metas((first, second)), size)
    at = PAGE_SIZE_MIN
    second = "no meta at any place where it may be"
    while at <= PAGE_SIZE_MAX and at < size - PAGE_SIZE_MIN:
        found = _meta(read(at, META_BYTES), 1, at)
        if isinstance(found, Meta):
            second = found
            break
        at *= 2
    return _checked(Metas((first, second)), size)


def _checked(metas: Metas, size: int) -> Metas:
    newest = metas.newest
    if newest is None:
        raise BoltError(
            f"neither meta page is sound (page 0: {metas.found[0]}; page 1: {metas.found[1]})"
        )
    if size < 2 * newest.page_size:
        raise BoltError(f"the file has {size} bytes, not two pages of {newest.page_size}")
    return metas


def _meta(data: bytes, page: int, page_size: int | None = None) -> Meta | str:
    """The meta in the first bytes of its page, or why there is none."""
    if len(data) < META_BYTES:
        return "the file ends before it"
    (own, flags, _, _, magic, version, size, _, root, _, freelist, high_water, txid, checksum) = (
        _FIELDS.unpack(data)
    )
    if magic != _MAGIC:
        swapped = magic == _MAGIC[::-1]
        return "it was written by a big-endian machine" if swapped else "no BoltDB magic"
    faults = (
        (version != _VERSION, f"version {version}, and only {_VERSION} is known"),
        (checksum != fnv1a(data[_CHECKED]), "wrong checksum"),
        (own != page or flags != _META_FLAG, f"it says page {own} with flags {flags}"),
        (
            not PAGE_SIZE_MIN <= size <= PAGE_SIZE_MAX or size & (size - 1),
            f"a page size of {size}",
        ),
        (page_size not in {None, size}, f"page size {size}, and it begins at {page_size}"),
    )
    for wrong, why in faults:
        if wrong:
            return why
    return Meta(
        page=page,
        page_size=size,
        root=root,
        freelist=None if freelist == _U64 else freelist,
        high_water=high_water,
        txid=txid,
        checksum=checksum,
    )


def fnv1a(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = _FNV_START
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & _U64
    return value
