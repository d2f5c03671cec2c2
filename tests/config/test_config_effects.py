"""Every key that a configuration may have does something, or the start says that it does not."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from config_hosts import HOST

import quorate
from quorate.config import AgentConfig, load
from quorate.config.keys.schema import KEYS, is_block
from quorate.config.keys.spec import Effect, Kind, key_of, name_of
from quorate.errors import ConfigError
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.scheduler import SchedulerConfiguration

SOURCE = Path(quorate.__file__).parent

# What only shows, names or checks a value does nothing with it.
NO_USE = ("config/model.py", "config/keys/", "config/view/", "config/checks/check.py")

# What only decides whether there is a start at all.
FOR_THE_START = {"server.enabled"}

# Blocks that are stored as they are, and in what.
STORED = {
    "autopilot.": AutopilotConfiguration,
    "server.default_scheduler_config.": SchedulerConfiguration,
}

SOME: dict[Kind, Any] = {
    Kind.BOOL: True,
    Kind.INT: 77,
    Kind.FLOAT: 7.5,
    Kind.STRING: "something",
    Kind.DURATION: "77s",
    Kind.LIST: ["+something"],
    Kind.FILTERS: {"some": {"type": "HTTPEvent", "endpoints": ["/thing"]}},
    Kind.MAP: {"some": "thing"},
    Kind.ANY: {"some": "thing"},
}


def fields(record: Any, block: str = "") -> Iterator[tuple[str, str]]:
    """Dotted key, and the name of its field."""
    for field in dataclasses.fields(record):
        if key_of(field) is not None:
            yield block + name_of(field), field.name
        elif is_block(field):
            yield from fields(field.default_factory, f"{block}{field.name}.")


FIELDS = dict(fields(AgentConfig))


@cache
def read_somewhere() -> frozenset[str]:
    """Names of attributes that code below the configuration reads."""
    names: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).as_posix().startswith(NO_USE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                names.add(node.attr)
    return frozenset(names)


def outcome(key: str, tmp_path: Path) -> str:
    """What a start says to a configuration in which this key alone has another value."""
    rules = KEYS[key]
    value = not rules.default if rules.kind is Kind.BOOL else SOME[rules.kind]
    block, _, name = key.rpartition(".")
    tree: dict[str, Any] = {"server": {"enabled": True, "bootstrap_expect": 1}, "data_dir": "/d"}
    place = tree
    for part in filter(None, block.split(".")):
        place = place.setdefault(part, {})
    place[name] = value
    file = tmp_path / "a.json"
    file.write_text(json.dumps(tree))
    try:
        _, notes = load([file], {}, host=HOST)
    except ConfigError as error:
        return f"error: {error.line()}"
    return "\n".join(notes.error_lines())


def test_all_keys_are_known_here() -> None:
    ignored = {name for name, rules in KEYS.items() if rules.effect is Effect.NONE}
    assert set(FIELDS) | ignored == set(KEYS)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_key_has_an_effect_a_warning_or_an_error(key: str, tmp_path: Path) -> None:
    effect = KEYS[key].effect
    said = outcome(key, tmp_path)
    if effect is Effect.NONE:
        assert "No effect in this version of Quorate" in said
        assert key in said or key.partition(".")[0] in said
    elif effect is Effect.REFUSED:
        assert said.startswith("error: ")
        assert key in said
    elif effect is not Effect.GRANTED:  # what is always so needs nothing
        assert "No effect in this version" not in said
        stored = next((kind for block, kind in STORED.items() if key.startswith(block)), None)
        if stored is not None:
            assert FIELDS[key] in {field.name for field in stored_fields(stored)}
        elif key not in FOR_THE_START:
            assert FIELDS[key] in read_somewhere(), f"nothing reads {key}"


def stored_fields(kind: Any) -> tuple[Any, ...]:
    return msgspec.structs.fields(kind)
