"""A reader of policies in JSON, into the same items as those in HCL."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from quorate.acl.policies.tree import Body, Budget, Item, Value, Values, malformed


def read_json(text: str) -> Body:
    """The items of an object. Raises PolicyInvalid."""
    _check_depth(text)
    try:
        whole = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=str,
            parse_float=str,
            parse_constant=_no_constant,
        )
    except ValueError as error:
        raise malformed(_shown(error)) from None
    budget = Budget()
    value = _value(whole, budget)
    if not isinstance(value, Body):
        raise malformed("JSON of a policy is an object")
    return value


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON, with keys that stand there twice."""


def _no_constant(name: str) -> NoReturn:
    raise malformed(f"{name} is no JSON")


def _shown(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"At {error.lineno}:{error.colno}: {error.msg}"
    return str(error)


def _check_depth(text: str) -> None:
    """Before the parser, which has a stack of its own. Brackets in strings do not count."""
    budget = Budget()
    in_string = escaped = False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            budget.enter("")
        elif char in "]}":
            budget.leave()


def _value(given: Any, budget: Budget) -> Value:
    if isinstance(given, str | bool):
        return given
    if isinstance(given, _Pairs):
        body = Body()
        for key, inner in given:
            budget.count()
            body.append(Item((key,), _value(inner, budget), ""))
        return body
    if isinstance(given, list):
        values = Values()
        for inner in given:
            budget.count()
            values.append(_value(inner, budget))
        return values
    raise malformed("null is no value of a policy")
