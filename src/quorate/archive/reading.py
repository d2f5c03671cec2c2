"""Reads and checks an archive, in constant memory. Texts are those of today's servers.

Nothing of it may be believed before `read_archive` has returned: the sums come last.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Final

import msgspec

from quorate.archive import tar
from quorate.archive.meta import (
    META,
    META_BYTES_MAX,
    STATE,
    STATE_BYTES_MAX,
    SUMS,
    SUMS_BYTES_MAX,
    ArchiveError,
    ArchiveMeta,
    decode_meta,
)

Read = Callable[[int], bytes]
"""At most so many of the next bytes, and none only at the end."""

_PIECE: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_HEAD: Final = 10
_TRAILING_MAX: Final = 20 * tar.BLOCK
"""Zeros behind the last member: tar's programs fill up the last of their records with them."""
_EXTENSION_BYTES_MAX: Final = 64 << 10
_EXTENSIONS_MAX: Final = 8
_SUM_LINE: Final = re.compile(r"([0-9a-f]{64})[ \t]+\*?(\S+)")

_CANNOT_DECOMPRESS: Final = "failed to decompress snapshot: "
_CANNOT_READ: Final = "failed to read snapshot file: "
_BROKEN: Final = f"{_CANNOT_READ}failed checking integrity of snapshot: "
_WHAT: Final = {
    META: "failed to read snapshot metadata: ",
    STATE: "failed to read or write snapshot data: ",
    SUMS: "failed to read snapshot hashes: ",
}


class Checked(msgspec.Struct, frozen=True):
    """An archive that is whole: its meta, and the SHA-256 of its state."""

    meta: ArchiveMeta
    state_sha256: bytes


class _Gunzip:
    """The content of one gzip member. Nothing may follow it."""

    def __init__(self, read: Read) -> None:
        self._source = read
        self._zip = zlib.decompressobj(_GZIP)
        self._given = 0

    def read(self, size: int) -> bytes:
        """Some of the next bytes, at most `size`; none only at the end. Raises ArchiveError."""
        while not self._zip.eof:
            data = self._zip.unconsumed_tail or self._source(_PIECE)
            if not data:
                raise _Cut(begun=self._given >= _GZIP_HEAD, empty=not self._given)
            if not self._zip.unconsumed_tail:
                self._given += len(data)
            try:
                piece = self._zip.decompress(data, size)
            except zlib.error as error:
                if "header" in str(error):
                    short = self._given < _GZIP_HEAD
                    text = "unexpected EOF" if short else "gzip: invalid header"
                    raise ArchiveError(_CANNOT_DECOMPRESS + text) from None
                raise ArchiveError(f"{_CANNOT_READ}its gzip data is damaged ({error})") from None
            if piece:
                return piece
        if self._zip.unused_data or self._source(1):
            raise ArchiveError(f"{_CANNOT_READ}unexpected EOF: bytes follow its end")
        return b""


class _Cut(Exception):
    """The compressed bytes end too soon."""

    def __init__(self, *, begun: bool, empty: bool) -> None:
        super().__init__("cut short")
        self.begun = begun
        self.empty = empty


class _Member:
    """The content of one member, to be read once."""

    def __init__(self, source: _Gunzip, name: str, size: int) -> None:
        self._source = source
        self.name = name
        self.left = size
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """At most `size` of the next bytes; none only at the end."""
        if not self.left or not size:
            return b""
        piece = _some(self._source, min(size, self.left), self.name)
        self.left -= len(piece)
        self.sha256.update(piece)
        return piece

    def rest(self) -> bytes:
        """All that was not read, which is bounded by the caller."""
        pieces = []
        while piece := self.read(_PIECE):
            pieces.append(piece)
        return b"".join(pieces)


def _some(source: _Gunzip, size: int, name: str) -> bytes:
    try:
        piece = source.read(size)
    except _Cut as cut:
        if not cut.begun:
            text = "EOF" if cut.empty else "unexpected EOF"
            raise ArchiveError(_CANNOT_DECOMPRESS + text) from None
        piece = b""
    if not piece:
        what = _WHAT.get(name, "failed reading snapshot: ")
        raise ArchiveError(f"{_CANNOT_READ}{what}unexpected EOF")
    return piece


class _Found:
    """What the members say, until all have been read."""

    def __init__(self, on_state: Callable[[Read], object] | None, state_max: int) -> None:
        self._on_state = on_state
        self._state_max = state_max
        self.meta: ArchiveMeta | None = None
        self.state_size = 0
        self.sums: bytes | None = None
        self.seen: dict[str, str] = {}  # by name: the sum of what came

    def take(self, member: _Member) -> None:
        """One file. Raises ArchiveError."""
        name, size = member.name, member.left
        limit = {META: META_BYTES_MAX, STATE: self._state_max, SUMS: SUMS_BYTES_MAX}.get(name)
        if limit is None:
            raise ArchiveError(f'{_CANNOT_READ}unexpected file "{name[:80]}" in snapshot')
        if name in self.seen:
            raise ArchiveError(f'{_CANNOT_READ}the file "{name}" is there twice')
        if size > limit:
            raise ArchiveError(f"{_CANNOT_READ}{name} has {size} bytes, the limit is {limit}")
        if name == STATE:
            self._take_state(member)
        else:
            data = member.rest()
            if name == META:
                self.meta = decode_meta(data)
            else:
                self.sums = data
        self.seen[name] = member.sha256.hexdigest()

    def _take_state(self, member: _Member) -> None:
        self.state_size = member.left
        if self.meta is not None and self.meta.size != member.left:
            raise self._wrong_size(self.meta)
        if self._on_state is not None:
            self._on_state(member.read)
        while member.read(_PIECE):
            pass

    def _wrong_size(self, meta: ArchiveMeta) -> ArchiveError:
        return ArchiveError(
            f"{_CANNOT_READ}its state has {self.state_size} bytes, and its metadata says "
            f"{meta.size}"
        )

    def checked(self) -> Checked:
        """All of it, if it is whole."""
        for name in (META, STATE, SUMS):
            if name not in self.seen:
                raise ArchiveError(f'{_BROKEN}file missing for "{name}"')
        assert self.meta is not None
        assert self.sums is not None
        self._compare(_listed(self.sums))
        if self.meta.size != self.state_size:
            raise self._wrong_size(self.meta)
        return Checked(self.meta, bytes.fromhex(self.seen[STATE]))

    def _compare(self, listed: dict[str, str]) -> None:
        for name, value in listed.items():
            if name not in {META, STATE}:
                raise ArchiveError(f'{_BROKEN}list has an unexpected file "{name[:80]}"')
            if self.seen[name] != value:
                raise ArchiveError(f'{_BROKEN}hash check failed for "{name}"')
        for name in (META, STATE):
            if name not in listed:
                raise ArchiveError(f'{_BROKEN}file missing for "{name}"')


def _listed(sums: bytes) -> dict[str, str]:
    listed: dict[str, str] = {}
    for line in sums.decode("utf-8", "replace").splitlines():
        match = _SUM_LINE.fullmatch(line.strip())
        if match is None:
            raise ArchiveError(f"{_BROKEN}a line of {SUMS} is no sum of a file")
        listed[match[2]] = match[1]
    return listed


def read_archive(
    read: Read,
    on_state: Callable[[Read], object] | None = None,
    *,
    state_max: int = STATE_BYTES_MAX,
) -> Checked:
    """Read to the end and check everything. Raises ArchiveError.

    `on_state` is given a function that reads the state; what it leaves is read and checked too.
    What it found counts only once this returns.
    """
    source = _Gunzip(read)
    found = _Found(on_state, state_max)
    extensions = 0
    while True:
        block = _block(source)
        if block is None or block == tar.ZEROS:
            break
        try:
            head = tar.read_header(block)
        except ValueError as error:
            raise ArchiveError(f"{_CANNOT_READ}failed reading snapshot: {error}") from None
        if head.extension:
            extensions += 1
            if head.size > _EXTENSION_BYTES_MAX or extensions > _EXTENSIONS_MAX:
                raise ArchiveError(f"{_CANNOT_READ}a header of it is too large")
            _skip_extension(_Member(source, "", head.size))
        else:
            found.take(_Member(source, head.name, head.size))
        if pad := tar.padding(head.size):
            _Member(source, head.name, pad).rest()
    _check_end(source)
    return found.checked()


def _block(source: _Gunzip) -> bytes | None:
    """The next header, None at the end of the archive."""
    block = b""
    while len(block) < tar.BLOCK:
        try:
            piece = source.read(tar.BLOCK - len(block))
        except _Cut:
            piece = _some(source, tar.BLOCK - len(block), "")
        if not piece:
            if block:
                raise ArchiveError(f"{_CANNOT_READ}failed reading snapshot: unexpected EOF")
            return None
        block += piece
    return block


def _skip_extension(member: _Member) -> None:
    if re.search(rb"(^|\n)\d+ (path|size)=", member.rest()):
        raise ArchiveError(f"{_CANNOT_READ}a header of it renames or resizes a file")


def _check_end(source: _Gunzip) -> None:
    """Nothing but zeros may follow, and not many."""
    left = 0
    while True:
        try:
            piece = source.read(_PIECE)
        except _Cut:
            piece = _some(source, _PIECE, SUMS)
        if not piece:
            return
        left += len(piece)
        if left > _TRAILING_MAX or piece.strip(b"\0"):
            raise ArchiveError(f"{_CANNOT_READ}{left} unread uncompressed bytes remain")
