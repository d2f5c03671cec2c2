"""The file of a namespace, in HCL or JSON (docs/namespaces.md#as-a-file)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from quorate.client import Namespace, NamespaceCapabilities

if TYPE_CHECKING:
    from quorate.config.read.tree import Body, Node


class _Capabilities(msgspec.Struct, forbid_unknown_fields=True):
    enabled_task_drivers: tuple[str, ...] | None = msgspec.field(
        name="enabledtaskdrivers", default=None
    )
    disabled_task_drivers: tuple[str, ...] | None = msgspec.field(
        name="disabledtaskdrivers", default=None
    )


class _File(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    quota: str = ""
    meta: dict[str, str] | None = None
    capabilities: _Capabilities | None = None


def parsed(text: str, *, as_json: bool) -> Namespace:
    """The namespace that a file describes. Raises ValueError with what is wrong, in one line."""
    from quorate.config.read.hcl_apart import read_hcl_apart
    from quorate.config.read.json_text import read_json
    from quorate.config.read.tree import MalformedError

    try:
        body = read_json(text) if as_json else read_hcl_apart(text)
    except MalformedError as error:
        raise ValueError(str(error)) from None
    fields = _fields(body)
    if isinstance(given := fields.get("capabilities"), _Block):
        fields["capabilities"] = _fields(given.body)
    if isinstance(given := fields.get("meta"), _Block):
        fields["meta"] = {item.key: item.value for item in given.body.items}
    file = msgspec.convert(fields, _File)
    drivers = file.capabilities
    return Namespace(
        name=file.name,
        description=file.description,
        quota=file.quota,
        meta=file.meta,
        capabilities=None
        if drivers is None
        else NamespaceCapabilities(
            enabled_task_drivers=drivers.enabled_task_drivers,
            disabled_task_drivers=drivers.disabled_task_drivers,
        ),
    )


class _Block:
    """A block whose names are not yet looked at."""

    def __init__(self, body: Body) -> None:
        self.body = body


def _fields(body: Body) -> dict[str, Any]:
    """What a block says, by name. Names count without case and underscores: HCL has one, JSON none.

    Raises ValueError for a name that is there twice.
    """
    found: dict[str, Any] = {}
    for item in body.items:
        name = item.key.replace("_", "").lower()
        if name in found:
            raise ValueError(f"line {item.line}: {item.key} is there twice")
        found[name] = _value(item.value)
    return found


def _value(node: Node) -> Any:
    from quorate.config.read.tree import Body

    return _Block(node) if isinstance(node, Body) else node
