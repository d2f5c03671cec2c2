"""Durations as Go writes and reads them: "1h2m3.5s", "250ms", "0s".

The rules and the texts of the errors are those of Go's package time (ParseDuration and
Duration.String), because they stand in configuration files, in the API and on the command line
of the servers we are compatible with. All durations are whole nanoseconds in an int64.
"""

from __future__ import annotations

import re
from typing import Final

NANOSECOND: Final = 1
MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE

_UNITS: Final = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "\N{MICRO SIGN}s": MICROSECOND,
    "\N{GREEK SMALL LETTER MU}s": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}

_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]*)(\.?)([0-9]*)([^.0-9]*)", re.DOTALL)
_INT64_MIN_SIZE: Final = 1 << 63  # the size of the most negative int64, one above the largest
_INT64_DIGITS_MAX: Final = 19

LENGTH_MAX: Final = 64
"""Characters of a duration: all seven units with all digits that count are shorter."""
_QUOTED: Final = {'"': '\\"', "\\": "\\\\"}


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration in Go's notation.

    Raises ValueError with Go's text when it has no such form or does not fit in an int64.
    """
    size_text = text[1:] if text[:1] in {"+", "-"} else text
    negative = text.startswith("-")
    if size_text == "0":
        return 0
    if not size_text:
        raise _invalid(text)
    total, position = 0, 0
    while position < len(size_text):
        part = _NUMBER_AND_UNIT.match(size_text, position)
        assert part is not None  # every group may be empty
        total += _part_size(part, text)
        if total > _INT64_MIN_SIZE:
            raise _invalid(text)
        position = part.end()
    if negative:
        return -total
    if total == _INT64_MIN_SIZE:
        raise _invalid(text)
    return total


def parse_short_duration(text: str) -> int:
    """The same for text from a network: at most `LENGTH_MAX` characters."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"time: a duration of more than {LENGTH_MAX} characters")
    return parse_duration(text)


def _part_size(part: re.Match[str], text: str) -> int:
    """Nanoseconds of one number with its unit."""
    whole_digits, _, fraction_digits, unit_name = part.groups()
    if not whole_digits and not fraction_digits:
        raise _invalid(text)
    significant = whole_digits.lstrip("0")
    if len(significant) > _INT64_DIGITS_MAX:
        raise _invalid(text)
    whole = int(significant or "0")
    if whole > _INT64_MIN_SIZE:
        raise _invalid(text)
    if not unit_name:
        raise ValueError(f"time: missing unit in duration {_quoted(text)}")
    unit = _UNITS.get(unit_name)
    if unit is None:
        raise ValueError(f"time: unknown unit {_quoted(unit_name)} in duration {_quoted(text)}")
    if whole > _INT64_MIN_SIZE // unit:
        raise _invalid(text)
    return whole * unit + _fraction_size(fraction_digits, unit)


def _fraction_size(digits: str, unit: int) -> int:
    """Nanoseconds of the digits behind the point.

    Like Go: digits that no longer fit in an int64 are dropped, and the product is one of floats.
    """
    numerator, scale = 0, 1.0
    for digit in digits:
        if numerator > (_INT64_MIN_SIZE - 1) // 10:
            break
        following = numerator * 10 + int(digit)
        if following > _INT64_MIN_SIZE:
            break
        numerator, scale = following, scale * 10
    return int(float(numerator) * (float(unit) / scale))


def _invalid(text: str) -> ValueError:
    return ValueError(f"time: invalid duration {_quoted(text)}")


def _quoted(text: str) -> str:
    """In double quotes; what is not printable ASCII as the hex of its UTF-8 bytes."""
    return '"' + "".join(_QUOTED.get(char) or _hex_unless_ascii(char) for char in text) + '"'


def _hex_unless_ascii(char: str) -> str:
    if " " <= char < "\x80":
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogatepass"))


def format_duration(ns: int) -> str:
    """Nanoseconds in Go's notation: no leading units that are zero, no trailing zeros.

    Below a second the unit is ns, us (with a micro sign) or ms; above it come hours, minutes and
    seconds.
    """
    sign, size = ("-", -ns) if ns < 0 else ("", ns)
    if size < SECOND:
        return sign + _format_below_a_second(size)
    minutes, rest = divmod(size, MINUTE)
    text = _decimal(rest, 9) + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        if hours:
            text = f"{hours}h{text}"
    return sign + text


def _format_below_a_second(size: int) -> str:
    if size == 0:
        return "0s"
    if size < MICROSECOND:
        return f"{size}ns"
    if size < MILLISECOND:
        return _decimal(size, 3) + "\N{MICRO SIGN}s"
    return _decimal(size, 6) + "ms"


def _decimal(value: int, places: int) -> str:
    """`value` divided by 10**places, exactly, without trailing zeros."""
    whole, fraction = divmod(value, 10**places)
    if not fraction:
        return str(whole)
    digits = f"{fraction:0{places}}".rstrip("0")
    return f"{whole}.{digits}"
