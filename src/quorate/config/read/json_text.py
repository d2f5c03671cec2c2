"""JSON configuration: the same names as in HCL; a block is an object or a list of objects.

A key may appear more than once, as a block may in HCL: both are read, in order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from quorate.config.read.tree import DEPTH_MAX, Body, Item, MalformedError, Node, too_deep

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?')


def read_json(text: str) -> Body:
    """The items of a JSON object; `text` begins with its brace. Raises MalformedError."""
    try:
        body = json.loads(text, object_pairs_hook=_body, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise MalformedError(f"At {error.lineno}:{error.colno}: {error.msg}") from None
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        raise MalformedError(str(error)) from None
    assert isinstance(body, Body)  # the caller has seen the brace
    _locate(body, _key_lines(text), 0)
    return body


def _body(pairs: list[tuple[str, Any]]) -> Body:
    return Body([Item(key, value) for key, value in pairs])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _key_lines(text: str) -> Iterator[int]:
    """Line numbers of all keys of a well-formed text, in its order."""
    line, position = 1, 0
    for match in _STRING.finditer(text):
        if match[1]:
            line += text.count("\n", position, match.start())
            position = match.start()
            yield line


def _locate(node: Node, lines: Iterator[int], depth: int) -> None:
    """Give each item its line: a walk in the order of the text meets the keys in their order."""
    if depth > DEPTH_MAX:
        raise too_deep()
    if isinstance(node, Body):
        for item in node.items:
            item.line = next(lines)
            _locate(item.value, lines, depth + 1)
    elif isinstance(node, list):
        for each in node:
            _locate(each, lines, depth + 1)
