"""The file of a variable, in HCL or JSON (docs/variables.md#as-a-file)."""

from __future__ import annotations

from typing import Any

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The variable to write, and the modify index that it must have."""

    path: str
    namespace: str
    modify_index: int
    items: dict[str, str]


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    path: str = ""
    namespace: str = ""
    items: dict[str, str] = {}
    modifyindex: int = 0
    createindex: int = 0
    createtime: int = 0
    modifytime: int = 0


def parsed(text: str, *, as_json: bool) -> dict[str, Any]:
    """The fields of a file. Raises ValueError with what is wrong, in one line."""
    from quorate.config.read.hcl_apart import read_hcl_apart
    from quorate.config.read.json_text import read_json
    from quorate.config.read.tree import Body, MalformedError

    try:
        body = read_json(text) if as_json else read_hcl_apart(text)
    except MalformedError as error:
        raise ValueError(str(error)) from None
    found: dict[str, Any] = {}
    for item in body.items:
        name = item.key.replace("_", "").lower()  # HCL has underscores, JSON none
        if name in found:
            raise ValueError(f"line {item.line}: {item.key} is there twice")
        value = item.value
        found[name] = {i.key: i.value for i in value.items} if isinstance(value, Body) else value
    fields: dict[str, Any] = msgspec.to_builtins(msgspec.convert(found, _File))
    return fields
