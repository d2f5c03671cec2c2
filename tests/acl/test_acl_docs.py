"""docs/acl.md names every capability, what levels grant, and what each one is needed for."""

from __future__ import annotations

import re

from places import DOCS

from quorate.acl.capability import GRANTS, OF_OBJECTS, OPERATOR_NAMES, Capability
from quorate.acl.policies.parsing import parse_policy
from quorate.acl.policies.tree import TEXT_BYTES_MAX
from quorate.acl.policies.words import CAPABILITIES, LEVELS
from quorate.acl.rights import VARIABLE_CAPABILITIES
from quorate.api.reference import rewritten

PAGE = (DOCS / "acl.md").read_text()


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = PAGE.split(f"## {heading}\n", 1)[1]
    lines = [line for line in below.split("\n## ", 1)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_levels() -> None:
    shown = {
        (rule.strip("`"), level.strip("`")): words(granted)
        for rule, level, granted in rows_of("What a level grants")
    }
    real = {
        (rule, level): {str(each) for each in granted}
        for rule, levels in GRANTS.items()
        for level, granted in levels.items()
    }
    assert shown == real


def test_what_each_capability_is_needed_for() -> None:
    assert rewritten(PAGE) == PAGE, "run: python -m quorate.api.reference docs/acl.md"
    named = {cells[0].strip("`") for cells in rows_of("The capabilities")}
    assert named == {str(each) for each in Capability if each is not Capability.NONE}


def test_words_of_rules() -> None:
    for rule, levels, capabilities in rows_of("Rules"):
        name = rule.split("`")[1].split(" ")[0]
        assert words(levels) == set(LEVELS.get(name, ()))
        if name == "operator":
            assert words(capabilities) == {"deny"}  # and those of the other table
        elif name == "namespace":
            assert words(capabilities) <= CAPABILITIES[name]
        else:
            assert words(capabilities) == set(CAPABILITIES.get(name, ()))


def test_bounds_and_examples() -> None:
    assert f"{TEXT_BYTES_MAX // 1024} KiB" in PAGE
    examples = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
    assert examples
    for example in examples:
        assert parse_policy(example)


def test_every_right_has_a_way_to_be_given() -> None:
    by_level = {each for levels in GRANTS.values() for grants in levels.values() for each in grants}
    named = {Capability.ANY_CALLER, Capability.BY_TOPIC}
    objects = set(VARIABLE_CAPABILITIES.values()) | {Capability.NAMESPACE_ANY} | named
    alone = {Capability.NONE, Capability.MANAGEMENT}
    assert by_level | objects | OPERATOR_NAMES | alone == set(Capability)
    assert objects == OF_OBJECTS
