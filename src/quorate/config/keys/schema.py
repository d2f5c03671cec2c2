"""All keys that a configuration may have, made from `model` and `ignored`.

`SCHEMA` is the tree in which a file is read; `KEYS` the same by dotted name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from quorate.config.keys.ignored import FREE, IGNORED
from quorate.config.keys.spec import Key, key_of, name_of
from quorate.config.model import AgentConfig


@dataclass(frozen=True, slots=True)
class Block:
    """The keys and blocks of one block; a `free` one accepts any other key too."""

    members: Mapping[str, Key | Block]
    free: bool = False


def dotted(block: str, name: str) -> str:
    """The full name of a key of a block; the outermost block has no name."""
    return f"{block}.{name}" if block else name


def is_block(field: dataclasses.Field[Any]) -> bool:
    """Whether a field of a configuration record is a record itself."""
    return dataclasses.is_dataclass(field.default_factory)


def _block(record: Any, name: str) -> Block:
    members: dict[str, Key | Block] = {}
    for field in dataclasses.fields(record):
        key = key_of(field)
        if key is not None:
            members[name_of(field)] = key
        elif is_block(field):
            members[field.name] = _block(field.default_factory, dotted(name, field.name))
    return Block(members | dict(IGNORED.get(name, {})), free=name in FREE)


def _flat(block: Block, name: str) -> Iterator[tuple[str, Key]]:
    for member, rules in block.members.items():
        if isinstance(rules, Block):
            yield from _flat(rules, dotted(name, member))
        else:
            yield dotted(name, member), rules


SCHEMA: Final = _block(AgentConfig, "")
KEYS: Final[Mapping[str, Key]] = dict(_flat(SCHEMA, ""))
