"""docs/configuration.md names every key, with its type and default, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from config_hosts import HOST
from places import DOCS

from quorate.config import FLAGS, AgentConfig, load
from quorate.config.keys.ignored import IGNORED
from quorate.config.keys.schema import KEYS
from quorate.config.keys.spec import Effect, Key, Kind, Merge
from quorate.wire.go.duration import parse_duration

DOC = (DOCS / "configuration.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+)( †)? \| (?:(.*?) )?\| (.*) \|$", re.MULTILINE)
WITHOUT_EFFECT = re.compile(r"^Accepted without effect: (.*?)\.$", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """Text below "## Keys", by dotted name of the block; the top level is ""."""
    below = DOC.partition("\n## Keys\n")[2].partition("\n## ")[0]
    parts = re.split(r"^### (.*)$", below, flags=re.MULTILINE)[1:]
    titles = (title.strip("`").replace("Top level", "") for title in parts[::2])
    return dict(zip(titles, parts[1::2], strict=True))


SECTIONS = sections()
MODEL = {
    key: rules
    for key, rules in KEYS.items()
    if key.rpartition(".")[2] not in IGNORED.get(key.rpartition(".")[0], {})
}


def rows() -> dict[str, tuple[str, str, str, str]]:
    """Dotted key to type, mark, default, effect."""
    return {
        f"{block}.{key}".lstrip("."): (kind, mark, default, effect)
        for block, text in SECTIONS.items()
        for key, kind, mark, default, effect in ROW.findall(text)
    }


def default_of(rules: Key, text: str) -> Any:
    text = text.strip("`")
    match rules.kind:
        case Kind.BOOL:
            return {"true": True, "false": False}[text]
        case Kind.INT:
            return int(text)
        case Kind.DURATION:
            return parse_duration(text)
        case Kind.LIST:
            return tuple(text.split())
        case Kind.MAP | Kind.FILTERS:
            return {}
    return text


def test_all_keys_are_there_and_no_others() -> None:
    assert set(rows()) == set(MODEL)


@pytest.mark.parametrize("key", sorted(MODEL))
def test_row(key: str) -> None:
    rules = MODEL[key]
    kind, mark, default, effect = rows()[key]
    assert kind == rules.kind
    assert default_of(rules, default) == rules.default
    assert bool(mark) == (rules.merge == Merge.GIVEN)
    assert effect.startswith("No effect") == (rules.effect == Effect.NONE)
    assert effect.startswith("Not supported") == (rules.effect == Effect.REFUSED)
    assert effect.startswith("Always so") == (rules.effect == Effect.GRANTED)
    assert ("SIGHUP." in effect) == (rules.effect == Effect.LIVE)


@pytest.mark.parametrize("block", IGNORED)
def test_keys_without_effect_are_named(block: str) -> None:
    found = WITHOUT_EFFECT.search(SECTIONS[block])
    assert found is not None
    assert re.findall(r"`(\w+)`", found[1]) == sorted(IGNORED[block])


def test_flags_are_named() -> None:
    named = set(re.findall(r"`-([a-z-]+)", DOC.partition("\n## Flags\n")[2]))
    expected = {
        flag.name
        for flag in FLAGS
        if not flag.target.startswith(("client.", "consul", "vault")) or flag.name == "client"
    }
    assert named == expected


def example(language: str, number: int, tmp_path: Path) -> AgentConfig:
    found = re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)
    file = tmp_path / f"server.{language}"
    file.write_text(found[number])
    config, notes = load([file], host=HOST)
    assert notes.warnings == ()
    return config


def test_the_examples_are_the_same_cluster_of_three(tmp_path: Path) -> None:
    config = example("hcl", 1, tmp_path)
    assert config == example("json", 0, tmp_path)
    assert not config.server.gossips
    assert config.server.initial_servers == ("10.0.0.1:4647", "10.0.0.2:4647", "10.0.0.3:4647")
    assert config.advertise.rpc == "10.0.0.1:4647"


def test_the_first_example_finds_the_same_servers_by_gossip(tmp_path: Path) -> None:
    config = example("hcl", 0, tmp_path)
    assert config.server.gossips
    assert config.server.bootstrap_expect == 3
    joins = config.server.server_join.retry_join
    assert list(joins) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
