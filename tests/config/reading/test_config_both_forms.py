"""HCL and JSON of the same content mean the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.config.build import build
from quorate.config.keys.schema import SCHEMA, Block
from quorate.config.keys.spec import Key, Kind
from quorate.config.model import AgentConfig
from quorate.config.read.merge import merge
from quorate.config.read.parse import parse_bytes
from quorate.wire.go.duration import format_duration

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=8).filter(
    lambda text: "${" not in text and "%{" not in text  # computed in HCL, plain in JSON
)
LABELS = st.from_regex(r"f[a-z0-9-]{0,5}", fullmatch=True)
FILTER = st.fixed_dictionaries(
    {"type": st.just("HTTPEvent"), "endpoints": st.lists(TEXTS, min_size=1, max_size=2)},
    optional={"stages": st.just(["*"]), "operations": st.lists(TEXTS, max_size=2)},
)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.BOOL: st.booleans(),
    Kind.INT: st.integers(1, 2**63 - 1),
    Kind.FLOAT: st.integers(0, 10**6).map(lambda n: n / 64),
    Kind.STRING: TEXTS,
    Kind.DURATION: st.integers(10**9, 10**15).map(format_duration),
    Kind.LIST: st.lists(TEXTS, max_size=3),
    Kind.FILTERS: st.dictionaries(LABELS, FILTER, max_size=3),
    Kind.MAP: st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]*", fullmatch=True), TEXTS),
}


def contents(block: Block) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the keys of a block with values of their kinds."""
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, rules in block.members.items():
        if isinstance(rules, Block):
            optional[name] = contents(rules)
        elif rules.kind != Kind.ANY:
            optional[name] = VALUES[rules.kind]
    names = sorted(optional)
    some = st.lists(st.sampled_from(names), max_size=4, unique=True)
    return some.flatmap(lambda chosen: st.fixed_dictionaries({n: optional[n] for n in chosen}))


def as_hcl(content: dict[str, Any], block: Block) -> str:
    lines: list[str] = []
    for name, value in content.items():
        rules = block.members[name]
        if isinstance(rules, Block):
            lines.append(f"{name} {{\n{as_hcl(value, rules)}\n}}")
        elif rules.kind == Kind.FILTERS:
            for label, inside in value.items():
                keys = "\n".join(f"{key} = {constant(each)}" for key, each in inside.items())
                lines.append(f'{name} "{label}" {{\n{keys}\n}}')
        elif rules.kind == Kind.MAP:
            inside = "\n".join(f'"{key}" = {constant(each)}' for key, each in value.items())
            lines.append(f"{name} {{\n{inside}\n}}")
        else:
            lines.append(f"{name} = {constant(value)}")
    return "\n".join(lines)


def constant(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def configuration(text: str) -> AgentConfig:
    return build(merge([parse_bytes(text.encode(), "f")]))


@settings(deadline=None, max_examples=60)
@given(contents(SCHEMA))
def test_same_content_same_configuration(content: dict[str, Any]) -> None:
    from_hcl = configuration(as_hcl(content, SCHEMA))
    assert from_hcl == configuration(json.dumps(content))
    listed = {name: [each] if isinstance(each, dict) else each for name, each in content.items()}
    assert from_hcl == configuration(json.dumps(listed, indent=1))


def test_every_kind_is_tried() -> None:
    kinds = {rules.kind for rules in SCHEMA.members.values() if isinstance(rules, Key)}
    assert set(VALUES) | {Kind.ANY} == set(Kind)
    assert {Kind.ANY, Kind.MAP, Kind.STRING} <= kinds
