"""Query strings, read as Go's net/url reads them, and the parameters all reads have.

Rules: docs/http-api.md#parameters-of-every-read and #where-we-differ-from-nomad-on-purpose. A pair
that Go would drop (a bad percent escape, a semicolon) is dropped here too; of a repeated parameter
the first counts. Every read refuses a bad value even of a parameter that it does not use, in the
order consistency, pagination, wait, index; writes read `region` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from quorate.api.codec.go_text import parse_bool, parse_uint64
from quorate.api.request_error import RequestError
from quorate.wire.go.duration import SECOND, parse_short_duration

WAIT_MAX_S: Final = 300.0
"""The longest wait of a blocking query, and the default."""

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Query(msgspec.Struct, frozen=True):
    """A query string. What a write does not read is at its default there."""

    values: Mapping[str, tuple[str, ...]]
    region: str = ""
    pretty: bool = False
    stale: bool = False
    index: int = 0
    wait_s: float = WAIT_MAX_S

    def first(self, name: str) -> str:
        """The first value of the parameter; empty if there is none."""
        values = self.values.get(name)
        return values[0] if values else ""


def split_pairs(raw: bytes) -> dict[str, tuple[str, ...]]:
    """All values of each parameter in order. Never raises."""
    values: dict[str, list[str]] = {}
    for pair in raw.split(b"&") if raw else ():
        if not pair or b";" in pair:
            continue
        name, _, value = pair.partition(b"=")
        decoded_name, decoded_value = decode_component(name), decode_component(value)
        if decoded_name is None or decoded_value is None:
            continue
        values.setdefault(decoded_name, []).append(decoded_value)
    return {name: tuple(found) for name, found in values.items()}


def decode_component(raw: bytes) -> str | None:
    """One name or value: plus is a blank; None if a percent escape is broken."""
    if raw.isalnum():
        return raw.decode()
    if b"%" in raw and _BAD_ESCAPE.search(raw):
        return None
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode(errors="replace")


def decode_path(raw: bytes) -> str | None:
    """A path with its percent escapes resolved; None if one is broken."""
    if b"%" not in raw:
        return raw.decode(errors="replace")
    if _BAD_ESCAPE.search(raw):
        return None
    return unquote_to_bytes(raw).decode(errors="replace")


def parse_query(raw: bytes, *, read: bool) -> Query:
    """The query of a read, or of a write. Raises RequestError for reads only."""
    if not raw:
        return NO_QUERY
    values = split_pairs(raw)
    query = Query(values)
    region, pretty = query.first("region"), "pretty" in values and query.first("pretty") != "0"
    if not read:
        return Query(values, region, pretty)
    stale = boolean(query, "stale")
    _check_per_page(query.first("per_page"))
    wait_s = _wait_s(query.first("wait"))
    return Query(values, region, pretty, stale, _index(query.first("index")), wait_s)


NO_QUERY: Final = Query({})


def boolean(query: Query, name: str) -> bool:
    """A switch: absent is false, bare is true. Raises RequestError for anything but a boolean."""
    if name not in query.values:
        return False
    value = query.first(name)
    switch = True if not value else parse_bool(value)
    if switch is None:
        raise RequestError(f"Expect `true` or `false` for `{name}` query string parameter")
    return switch


def _check_per_page(value: str) -> None:
    sign = -1 if value.startswith("-") else 1
    digits = value[1:] if value[:1] in {"+", "-"} else value
    size = digits.lstrip("0")
    is_number = digits.isascii() and digits.isdigit() and len(size) <= 10
    if value and not (is_number and -(2**31) <= sign * int(size or "0") < 2**31):
        raise RequestError("Expect a number for `per_page` query string parameter")


def _wait_s(value: str) -> float:
    try:
        wait_s = parse_short_duration(value) / SECOND if value else 0.0
    except ValueError:
        raise RequestError("Invalid wait time") from None
    return min(wait_s, WAIT_MAX_S) if wait_s > 0 else WAIT_MAX_S


def _index(value: str) -> int:
    try:
        return parse_uint64(value) if value else 0
    except ValueError:
        raise RequestError("Invalid index") from None


def parse_cas(
    query: Query, problem: str = "Error parsing cas value: ", *, empty_is_none: bool = False
) -> int | None:
    """The modify index that a write is bound to, or None if the parameter is absent.

    Raises RequestError for what is no index, after `problem`; so is an empty one, but where
    `empty_is_none`.
    """
    if "cas" not in query.values or (empty_is_none and not query.first("cas")):
        return None
    try:
        return parse_uint64(query.first("cas"))
    except ValueError as error:
        raise RequestError(f"{problem}{error}") from error
