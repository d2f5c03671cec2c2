"""Blocks that have a label and may stand several times: the filters of the audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from quorate.config.keys.spec import Key, Kind
from quorate.config.read.convert import convert
from quorate.config.read.tree import Body, Node

ANY: Final = ("*",)
STAGES: Final = ("*", "OperationReceived", "OperationComplete")
HTTP_EVENT: Final = "HTTPEvent"

_KEYS: Final = {
    "type": Key(kind=Kind.STRING),
    "endpoints": Key(kind=Kind.LIST),
    "stages": Key(kind=Kind.LIST),
    "operations": Key(kind=Kind.LIST),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Events that are left out of the file of a sink."""

    endpoints: tuple[str, ...]
    stages: tuple[str, ...] = ANY
    operations: tuple[str, ...] = ANY


def filters(labels: tuple[str, ...], node: Node) -> Mapping[str, AuditFilter]:
    """The filters of one block, by label. Raises ValueError that follows the key's name."""
    return {label: _filter(label, body) for label, body in _blocks(labels, node)}


def _blocks(labels: tuple[str, ...], node: Node) -> Iterator[tuple[str, Node]]:
    bodies = node if isinstance(node, list) else [node]
    for body in bodies:
        if not isinstance(body, Body):
            raise ValueError("must be a block")  # noqa: TRY004  as `convert` does
        if labels:
            yield labels[0], body
        elif any(item.key in _KEYS for item in body.items):
            raise ValueError('needs a label: filter "name" { ... }')
        else:
            for item in body.items:
                yield from _blocks((item.key,), item.value)


def _filter(label: str, body: Node) -> AuditFilter:
    assert isinstance(body, Body), "it was looked at"
    given: dict[str, tuple[str, ...]] = {}
    kind = ""
    for item in body.items:
        rules = _KEYS.get(item.key)
        if rules is None:
            raise ValueError(f'"{label}" has no key {item.key}; it has {", ".join(_KEYS)}')
        try:
            value = convert(rules, item.value)
        except ValueError as error:
            raise ValueError(f'"{label}": {item.key} {error}') from None
        if item.key == "type":
            kind = value
        else:
            given[item.key] = value
    if kind != HTTP_EVENT:
        raise ValueError(f'"{label}": type must be "{HTTP_EVENT}"')
    if not given.get("endpoints"):
        raise ValueError(f'"{label}": endpoints must name paths, such as "/v1/metrics"')
    wrong = [each for each in given.get("stages", ()) if each not in STAGES]
    if wrong:
        raise ValueError(f'"{label}": stages are {", ".join(STAGES)}, got "{wrong[0][:40]}"')
    return AuditFilter(**{name: value or ANY for name, value in given.items()})
