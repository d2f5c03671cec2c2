"""The form of a gossip key: base64 of 16, 24 or 32 bytes.

See docs/configuration.md#server, `encrypt`.
"""

from __future__ import annotations

import base64
import binascii
import string
from typing import Final

_ALPHABET: Final = frozenset(string.ascii_letters + string.digits + "+/")
KEY_SIZES: Final = (16, 24, 32)


def without_line_ends(text: str) -> str:
    """A key as Go's decoder reads it: the ends of lines in it, as of a here-document, are none."""
    return text.replace("\r", "").replace("\n", "")


def key_fault(text: str) -> str:
    """The fault of a key, or nothing. The place is told as Go's decoder tells it."""
    try:
        key = base64.b64decode(without_line_ends(text), validate=True)
    except (binascii.Error, ValueError):
        return f"illegal base64 data at input byte {_bad_byte(text)}"
    if len(key) not in KEY_SIZES:
        return f"it has {len(key)} bytes; it must have 16, 24 or 32"
    return ""


def _bad_byte(text: str) -> int:
    """The first character that cannot stand there, else the start of the broken group of four."""
    bare = text.rstrip("=\r\n")
    for position, char in enumerate(bare):
        if char not in _ALPHABET and char not in "\r\n":
            return position
    return len(bare) // 4 * 4
