"""From the items of a file to settings: every key is known, and every value of its kind.

Where a key stands twice in one file the later counts; blocks and maps that stand twice are put
together.
"""

from __future__ import annotations

import difflib
from typing import Any, Final

from quorate.config.keys.schema import SCHEMA, Block, dotted
from quorate.config.keys.spec import Key, Kind
from quorate.config.read.convert import convert
from quorate.config.read.filters import filters
from quorate.config.read.tree import Body, Item, Node
from quorate.config.read.value import Partial, Setting, Source
from quorate.errors import ConfigError

LABELLED: Final = frozenset({"audit.sink"})
"""Blocks that have a label, by which they are known to people."""


def decode(body: Body, file: str) -> Partial:
    """The settings of one file. Raises ConfigError: unknown keys, values of a wrong kind."""
    settings: dict[str, Setting] = {}
    _Decoder(file, settings).block(body, SCHEMA, "")
    return settings


def file_error(file: str, text: str, line: int = 0, next_step: str = "") -> ConfigError:
    """The error of a file, in the form of the golden cases, with the line if it is known."""
    where = f" (line {line})" if line else ""
    return ConfigError(
        f"Error loading configuration from {file}: Error loading {file}: {text}{where}", next_step
    )


class _Decoder:
    def __init__(self, file: str, settings: dict[str, Setting]) -> None:
        self._file = file
        self._settings = settings
        self._labels: dict[str, str] = {}  # of blocks that have one, by name

    def block(self, body: Body, block: Block, name: str) -> None:
        """Take in a block: what is inside first, then complain of names that it cannot have."""
        unknown: list[Item] = []
        for item in body.items:
            rules = block.members.get(item.key)
            if isinstance(rules, Block):
                self._inner_block(item, rules, dotted(name, item.key))
            elif rules is not None:
                self._setting(item, rules, dotted(name, item.key))
            elif block.free:
                self._setting(item, Key(kind=Kind.ANY), dotted(name, item.key))
            else:
                unknown.append(item)
        if unknown:
            raise self._unknown(unknown, block, name)

    def _inner_block(self, item: Item, block: Block, name: str) -> None:
        if item.labels and name not in LABELLED:
            raise self._error(f'{name} has no label, got "{item.labels[0]}"', item.line)
        if item.value is None:
            return  # null is "not set", for a block as for a value
        bodies: list[Node] = item.value if isinstance(item.value, list) else [item.value]
        if name in LABELLED:
            bodies = self._labelled(item, block, name, bodies)
        for body in bodies:
            if not isinstance(body, Body):
                raise self._error(f"{name} must be a block", item.line)
            self.block(body, block, name)

    def _labelled(self, item: Item, block: Block, name: str, bodies: list[Node]) -> list[Node]:
        """The bodies of a block with a label; in JSON the label is the key of an object."""
        found: list[Node] = []
        label = item.labels[0] if item.labels else ""
        for body in bodies:
            inner = body.items if isinstance(body, Body) else []
            if item.labels or len(inner) != 1 or inner[0].key in block.members:
                found.append(body)
                continue
            label = inner[0].key
            value = inner[0].value
            found += value if isinstance(value, list) else [value]
        if self._labels.setdefault(name, label) != label:
            both = f'"{self._labels[name]}" and "{label}"'
            raise self._error(f"{name}: there is one only, got {both}", item.line)
        return found

    def _setting(self, item: Item, rules: Key, name: str) -> None:
        if item.labels and rules.kind not in {Kind.ANY, Kind.FILTERS}:
            raise self._error(f'{name} has no label, got "{item.labels[0]}"', item.line)
        try:
            if rules.kind == Kind.FILTERS:
                value: Any = filters(item.labels, item.value)
            else:
                value = convert(rules, item.value)
        except ValueError as error:
            raise self._error(f"{name} {error}", item.line) from None
        if value is None:
            return
        known = self._settings.get(name)
        if known is not None and rules.kind in {Kind.MAP, Kind.FILTERS}:
            value = {**known.value, **value}
        self._settings[name] = Setting(value, Source(self._file, item.line))

    def _unknown(self, items: list[Item], block: Block, name: str) -> ConfigError:
        names = list(dict.fromkeys(item.key for item in items))
        text = f"unexpected keys {', '.join(names)}"
        near = [key for each in names for key in difflib.get_close_matches(each, block.members, 1)]
        return self._error(
            f"{name} {text}" if name else text,
            items[0].line,
            f"did you mean {near[0]}?" if near else "the configuration reference lists all keys",
        )

    def _error(self, text: str, line: int, next_step: str = "") -> ConfigError:
        return file_error(self._file, text, line, next_step)
