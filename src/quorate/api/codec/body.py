"""JSON bodies, read as Go's decoder reads them (docs/http-api.md#bodies).

Only the first JSON value counts and what follows it is not looked at; names of fields match
without regard to case; unknown fields are ignored; `null` equals an empty object, and a field
that is `null` counts as absent. A number with a fraction or an exponent is no integer.

Nearly all bodies are exactly what the API describes. These are read in one step by a decoder made
for the shape (0.6 us instead of 4 us); what that refuses, or does not know, is read again by the
rules above. Both give the same where the first gives anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from quorate.api.codec.go_text import UINT64_MAX, quote
from quorate.shapes.shape import DURATION, INDEX, INT64, UINT64, attribute_of, kind_of
from quorate.wire.go.duration import parse_short_duration
from quorate.wire.go.fields import values_of

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
PATIENT_BYTES_MAX: Final = 64 * 1024
"""A longer body is read by the exact rules alone: by the others half a megabyte takes 20 ms."""
_BLANKS: Final = re.compile(r"[ \t\r\n]*")


class BodyError(Exception):
    """The fault of a body, without the endpoint's prefix."""


class Field(msgspec.Struct, frozen=True):
    """One known field: its name in the API, the attribute it becomes, how its value is read.

    The attributes of an object in an object stand beside those of the outer one.
    """

    name: str
    attribute: str
    read: Callable[[Any], Any] | Shape


class Shape:
    """The known fields of an object."""

    def __init__(self, *fields: Field) -> None:
        self._fields = {field.name.lower(): field for field in fields}
        self.exact: Any = msgspec.defstruct(
            "Exact",
            [(f.attribute, _type_of(f) | msgspec.UnsetType, msgspec.UNSET) for f in fields],
            rename={field.attribute: field.name for field in fields},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(self.exact).decode
        self.filled: Any = msgspec.defstruct(
            "Filled",
            [(f.attribute, _type_of(f, filled=True), _zero_of(f)) for f in fields],
            rename={field.attribute: field.name for field in fields},
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode_filled = msgspec.json.Decoder(self.filled).decode
        self.zeros: dict[str, Any] = {}  # what a body has that leaves everything out, by attribute
        for f in fields:
            if isinstance(f.read, Shape):
                self.zeros.update(f.read.zeros)
            else:
                self.zeros[f.attribute] = _ZEROS.get(f.read, 0)
        # Attributes whose value is what the decoder gives, and the others with how to read it.
        native = [f for f in fields if f.read in _READ_BY_THEIR_TYPE]
        self._native = tuple([f.attribute for f in native])
        self._native_values = values_of(self._native)
        self._read = tuple([(f.attribute, f.read) for f in fields if f not in native])

    @classmethod
    def of_struct(cls, shape: type[msgspec.Struct]) -> Shape:
        """The fields of a shape (`quorate.shapes`) but its indexes, which no caller sets.

        The attributes are those of the record that it is made of.
        """
        fields = []
        for field in msgspec.structs.fields(shape):
            kind = kind_of(field)
            if kind is INDEX:
                continue
            is_object = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
            read = cls.of_struct(kind) if is_object else _READ_BY_KIND[kind]
            fields.append(Field(field.encode_name, attribute_of(field), read))
        return cls(*fields)

    def read(self, body: bytes) -> dict[str, Any]:
        """The known fields of the object in `body`, by attribute. Raises BodyError."""
        try:
            return self.values(self._decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BodyError) as error:
            if len(body) > PATIENT_BYTES_MAX:
                raise BodyError(f"a body of {len(body)} bytes has to be exact: {error}") from error
            return self.of(first_value(body))

    def read_whole(self, body: bytes) -> dict[str, Any]:
        """All known fields, by attribute; those that `body` leaves out are zero. Raises BodyError.

        So it is where an object is replaced as a whole.
        """
        try:
            return self.values_of_all(self._decode_filled(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BodyError):
            return {**self.zeros, **self.of(first_value(body))}

    def values_of_all(self, filled: Any) -> dict[str, Any]:
        """All fields of `filled`, of our type. Raises BodyError."""
        result = dict(zip(self._native, self._native_values(filled), strict=True))
        for attribute, read in self._read:
            value = getattr(filled, attribute)
            if isinstance(read, Shape):
                result.update(read.values_of_all(value))
            else:
                result[attribute] = read(value)
        return result

    def values(self, exact: Any) -> dict[str, Any]:
        """The fields that `exact`, of our type, has. Raises BodyError."""
        values = self._native_values(exact)
        pairs = zip(self._native, values, strict=True)
        result = {name: value for name, value in pairs if value is not msgspec.UNSET}
        for attribute, read in self._read:
            value = getattr(exact, attribute)
            if value is msgspec.UNSET or value is None:
                continue
            if isinstance(read, Shape):
                result.update(read.values(value))
            else:
                result[attribute] = read(value)
        return result

    def of(self, value: Any) -> dict[str, Any]:
        """The known fields of a decoded object, by attribute; the last of equal names counts."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise BodyError(f"expected an object, got {_kind(value)}")
        found: dict[str, Any] = {}
        for name, item in value.items():
            field = self._fields.get(name.lower())
            if field is None or item is None:
                continue
            read = field.read
            try:
                found[field.attribute] = read.of(item) if isinstance(read, Shape) else read(item)
            except BodyError as error:
                raise BodyError(f"{field.name}: {error}") from error
        for field in self._fields.values():
            if isinstance(field.read, Shape) and field.attribute in found:
                found.update(found.pop(field.attribute))
        return found


def check_texts(body: bytes, texts_max: int) -> None:
    """Raise BodyError for many more texts (names of fields, values) in `body` than that.

    They are what its decoding takes its time for, some 0.3 us each. It is a look at the bytes: a
    text that ends in a backslash counts for half, and none counts that is within another.
    """
    if (body.count(b'"') - body.count(b'\\"')) // 2 > texts_max:
        raise BodyError(f"the body has more than {texts_max} names and values")


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


def _type_of(field: Field, *, filled: bool = False) -> Any:
    """What its decoder takes; a reader of an endpoint's own sees whatever there is."""
    if isinstance(field.read, Shape):
        return field.read.filled if filled else field.read.exact
    return _TYPES.get(field.read, Any)


def _zero_of(field: Field) -> Any:
    """What stands in a body for a field that it leaves out, where all of them count."""
    if isinstance(field.read, Shape):
        return msgspec.field(default_factory=field.read.filled)
    return _TYPES[field.read]() if field.read in _TYPES else 0


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


def strings(value: Any) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise BodyError(f"expected an array, got {_kind(value)}")
    return tuple([a_string(each) for each in value])


def string_map(value: Any) -> dict[str, str]:
    """An object whose values are texts; one that is null is an empty text."""
    if not isinstance(value, dict):
        raise BodyError(f"expected an object, got {_kind(value)}")
    return {
        a_string(name): "" if item is None else _item(name, item) for name, item in value.items()
    }


def _item(name: str, value: Any) -> str:
    try:
        return a_string(value)
    except BodyError as error:
        raise BodyError(f"{quote(name)}: {error}") from error


def a_duration(value: Any) -> int:
    """A duration string with a unit, as whole nanoseconds; an empty one is zero."""
    text = a_string(value)
    try:
        return parse_short_duration(text) if text else 0
    except ValueError as error:
        raise BodyError(str(error)) from None


_TYPES: Final[dict[Any, Any]] = {
    a_bool: bool,
    a_string: str,
    string_map: dict[str, str],
    a_uint64: int,
    an_int64: int,
    a_duration: str,
}
_ZEROS: Final[dict[Any, Any]] = {a_bool: False, a_string: "", string_map: {}}
_READ_BY_KIND: Final[dict[Any, Callable[[Any], Any]]] = {
    bool: a_bool,
    str: a_string,
    UINT64: a_uint64,
    INT64: an_int64,
    DURATION: a_duration,
}
_READ_BY_THEIR_TYPE: Final = frozenset({a_bool, a_string, string_map})


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
