"""The headers of a tar file, as far as an archive of a snapshot has them.

Written is ustar: regular files of mode 0600. Read are ustar and the headers of pax and GNU tar,
whose content is bounded and not looked at.
"""

from __future__ import annotations

from typing import Final, NamedTuple

BLOCK: Final = 512
ZEROS: Final = bytes(BLOCK)

_MODE: Final = b"0000600\0"
_NOBODY: Final = b"0000000\0"
_OCTAL_MAX: Final = 8**11 - 1
_REGULAR: Final = frozenset((b"0", b"\0"))
_EXTENSIONS: Final = frozenset((b"x", b"g"))


class TarHeader(NamedTuple):
    """One member: its name and size in bytes. An `extension` is a header, not a file."""

    name: str
    size: int
    extension: bool


def header(name: str, size: int, unix_s: int) -> bytes:
    """The header of a regular file."""
    assert 0 < len(name) <= 100
    length = b"%011o\0" % size if size <= _OCTAL_MAX else b"\x80" + size.to_bytes(11, "big")
    fields = (
        name.encode("ascii").ljust(100, b"\0"),
        *(_MODE, _NOBODY, _NOBODY, length, b"%011o\0" % (unix_s & _OCTAL_MAX)),
        *(b" " * 8, b"0", bytes(100), b"ustar\x0000", bytes(64), _NOBODY, _NOBODY, bytes(167)),
    )
    block = b"".join(fields)
    assert len(block) == BLOCK, len(block)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size: int) -> int:
    """How many zeros follow a content of `size` bytes."""
    return -size % BLOCK


def read_header(block: bytes) -> TarHeader:
    """The header in a block that is not all zeros. Raises ValueError."""
    wanted = _number(block[148:156])
    if wanted != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise ValueError("archive/tar: invalid tar header")
    kind = block[156:157]
    if kind not in _REGULAR | _EXTENSIONS:
        raise ValueError(f"a member of type {kind!r}, which is no regular file")
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:262] == b"ustar" else b""
    if block[257:264] == b"ustar  ":  # GNU has times there
        prefix = b""
    whole = prefix + b"/" + name if prefix else name
    size = _number(block[124:136])
    return TarHeader(whole.decode("utf-8", "replace"), size, kind in _EXTENSIONS)


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise ValueError("archive/tar: invalid tar header")
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    try:
        return int(text, 8) if text else 0
    except ValueError:
        raise ValueError("archive/tar: invalid tar header") from None
