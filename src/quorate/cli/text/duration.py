"""Go duration texts: `300ms`, `1h2m3.5s`, `-1ns`, `0` (docs/http-api.md#bodies)."""

from __future__ import annotations

import re

NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
UNIT = re.compile(r"[^\d.]+")
UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]+)")


def check_duration(text: str) -> None:
    """Raise ValueError, in the words of Go's time.ParseDuration, unless `text` is a duration."""
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        number = NUMBER.match(rest)
        if number is None:
            raise ValueError(f'time: invalid duration "{text}"')
        rest = rest[number.end() :]
        unit = UNIT.match(rest)
        if unit is None:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit.group() not in UNITS:
            raise ValueError(f'time: unknown unit "{unit.group()}" in duration "{text}"')
        rest = rest[unit.end() :]


def seconds(text: str) -> float:
    """A duration that `check_duration` has let through, in seconds."""
    total = sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
    return -total if text.startswith("-") else total
