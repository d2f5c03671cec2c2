"""JSON bodies, read as Go's decoder reads them (http-api 1.2).

Only the first JSON value counts and what follows it is not looked at; names of fields match
without regard to case; unknown fields are ignored; `null` equals an empty object, and a field
that is `null` counts as absent. A number with a fraction or an exponent is no integer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from quorate.api.go_text import UINT64_MAX
from quorate.wire.duration import parse_duration

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_BLANKS: Final = re.compile(r"[ \t\r\n]*")


class BodyError(Exception):
    """What is wrong with a body, without the endpoint's prefix."""


class Field(msgspec.Struct, frozen=True):
    """One known field: its name in the API, the attribute it becomes, how its value is read."""

    name: str
    attribute: str
    read: Callable[[Any], Any]


def read_object(body: bytes, fields: tuple[Field, ...]) -> dict[str, Any]:
    """The known fields of the object in `body`, by attribute. Raises BodyError."""
    return read_fields(first_value(body), fields)


def first_value(body: bytes) -> Any:
    """The first JSON value of `body`. Raises BodyError."""
    if not body:
        raise BodyError("Request body is empty")
    text = body.decode(errors="replace")
    blanks = _BLANKS.match(text)
    start = blanks.end() if blanks else 0
    if start == len(text):
        raise BodyError("EOF")
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise BodyError(f"invalid JSON at character {error.pos}: {error.msg}") from error
    except ValueError as error:  # a number of thousands of digits
        raise BodyError(f"invalid JSON: {error}") from error
    except RecursionError:
        raise BodyError("invalid JSON: nested too deeply") from None
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BodyError(f"invalid JSON: {name} is no JSON value")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def read_fields(value: Any, fields: tuple[Field, ...]) -> dict[str, Any]:
    """The known fields of a decoded object, by attribute; the last of equal names counts."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BodyError(f"expected an object, got {_kind(value)}")
    by_name: Mapping[str, Field] = {field.name.lower(): field for field in fields}
    result: dict[str, Any] = {}
    for name, item in value.items():
        field = by_name.get(name.lower())
        if field is None or item is None:
            continue
        try:
            result[field.attribute] = field.read(item)
        except BodyError as error:
            raise BodyError(f"{field.name}: {error}") from error
    return result


def a_bool(value: Any) -> bool:
    """A boolean, and nothing that only looks like one."""
    if not isinstance(value, bool):
        raise BodyError(f"expected a boolean, got {_kind(value)}")
    return value


def a_uint64(value: Any) -> int:
    """A whole number from 0 up."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= UINT64_MAX:
        raise BodyError(f"expected a whole number of 0 to 2^64-1, got {_kind(value)}")
    return value


def an_int64(value: Any) -> int:
    """A whole number."""
    if (
        not isinstance(value, int)
        or isinstance(value, bool)
        or not _INT64_MIN <= value <= _INT64_MAX
    ):
        raise BodyError(f"expected a whole number of 64 bits, got {_kind(value)}")
    return value


def a_string(value: Any) -> str:
    """Text. What is no Unicode text (half a surrogate pair) is replaced, as Go does."""
    if not isinstance(value, str):
        raise BodyError(f"expected a string, got {_kind(value)}")
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def a_duration(value: Any) -> int:
    """A duration string with a unit, as whole nanoseconds; an empty one is zero."""
    text = a_string(value)
    try:
        return parse_duration(text) if text else 0
    except ValueError as error:
        raise BodyError(str(error)) from None


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return f"number {json.dumps(value)[:40]}"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"
