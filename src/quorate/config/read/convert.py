"""Texts of a file or a flag, converted to values of the key's kind.

As lenient as the readers that such files were written for
(docs/configuration.md#files-flags-and-order): a boolean may be "true" or 1, a number may stand in
quotes, a string may be a bare number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from quorate.config.keys.spec import Key, Kind
from quorate.config.read.tree import Body, Expression, Node
from quorate.wire.go.duration import format_duration, parse_duration

_INT64_MAX: Final = 2**63 - 1
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_SHOWN_MAX: Final = 40


def convert(rules: Key, node: Node) -> Any:
    """A bool, int (durations: nanoseconds), float, str, tuple of str, or dict of str to str.

    None if what is written means "not set". Raises ValueError with a text that follows the key's
    name ("must be ...").
    """
    if node is None:
        return None
    if isinstance(node, Expression) and rules.kind != Kind.ANY:
        raise _not("a constant", node)
    value = _CONVERTERS[rules.kind](node)
    if rules.kind in {Kind.INT, Kind.FLOAT, Kind.DURATION} and value is not None:
        _check_bounds(rules, value)
    return value


def _check_bounds(rules: Key, value: float) -> None:
    if value >= rules.minimum:
        return
    if not rules.minimum:
        raise ValueError("must not be negative")
    is_duration = rules.kind == Kind.DURATION
    least = format_duration(rules.minimum) if is_duration else str(rules.minimum)
    raise ValueError(f"must be at least {least}")


def _bool(node: Node) -> bool:
    value = _BOOLEANS.get(_scalar(node).lower())
    if value is None:
        raise _not("true or false", node)
    return value


def _int(node: Node) -> int:
    text = node if isinstance(node, str) else str(node)
    digits = text.removeprefix("-")
    is_number = isinstance(node, int | str) and not isinstance(node, bool)
    if not (is_number and digits.isascii() and digits.isdigit()):
        raise _not("a whole number", node)
    if len(digits) > len(str(_INT64_MAX)) or int(digits) > _INT64_MAX:
        raise ValueError("is out of range")
    return int(text)


def _float(node: Node) -> float:
    try:
        value = float(_scalar(node))
    except ValueError:
        raise _not("a number", node) from None
    if not math.isfinite(value):
        raise _not("a number", node)
    return value


def _string(node: Node) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, int | float) and not isinstance(node, bool):
        return str(node)
    raise _not("a string", node)


def _duration(node: Node) -> int | None:
    text = _scalar(node)
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise _not('a duration such as "30s"', node) from None


def _list(node: Node) -> tuple[str, ...]:
    if not isinstance(node, list):
        raise _not("a list of strings", node)
    if any(isinstance(each, list | Body) for each in node):
        raise ValueError("must be a list of strings")
    return tuple(_string(each) for each in node)


def _map(node: Node) -> Mapping[str, str]:
    bodies = node if isinstance(node, list) else [node]
    values: dict[str, str] = {}
    for body in bodies:
        if not isinstance(body, Body):
            raise _not("a block of strings", node)
        values.update((item.key, _string(item.value)) for item in body.items)
    return values


def _any(node: Node) -> str:
    """What is not looked at is not kept either, so that a secret in it is shown nowhere."""
    del node
    return "(set)"


def _not(wanted: str, node: Node) -> ValueError:
    return ValueError(f"must be {wanted}, got {_shown(node)}")


def _scalar(node: Node) -> str:
    return "" if isinstance(node, list | Body) else str(node)


def _shown(node: Node) -> str:
    """The value in an error: short, on one line."""
    match node:
        case str():
            text = f'"{node}"' if node.isprintable() else repr(node)
        case Expression():
            text = node.text
        case list():
            text = "a list"
        case Body():
            text = "a block"
        case bool():
            text = str(node).lower()
        case _:
            text = str(node)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


_CONVERTERS: Final[dict[Kind, Callable[[Node], Any]]] = {
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.FLOAT: _float,
    Kind.STRING: _string,
    Kind.DURATION: _duration,
    Kind.LIST: _list,
    Kind.MAP: _map,
    Kind.ANY: _any,
}
