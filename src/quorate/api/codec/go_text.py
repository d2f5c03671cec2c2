"""Values in Go's notation, with the texts of Go's errors, which clients have in their scripts."""

from __future__ import annotations

from typing import Final

UINT64_MAX: Final = 2**64 - 1

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})

_ESCAPES: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


ECHO_MAX: Final = 128
"""Characters of a caller's text that an error repeats."""


def quote(text: str) -> str:
    """`text` in double quotes on one line, with what cannot be printed escaped; cut if long."""
    if len(text) > ECHO_MAX:
        text = text[:ECHO_MAX] + "..."
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def parse_bool(text: str) -> bool | None:
    """The boolean, or None if Go would not take it for one."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def parse_uint64(text: str) -> int:
    """An unsigned 64 bit number in decimal digits. Raises ValueError with Go's text."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    digits = text.lstrip("0")
    if len(digits) > 20 or int(digits or "0") > UINT64_MAX:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return int(digits or "0")
