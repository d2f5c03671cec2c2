"""What policies allow together."""

from __future__ import annotations

import tracemalloc

import pytest

from quorate.acl.caller import CONTROL, EVERYONE
from quorate.acl.capability import OF_OBJECTS, OPERATOR_NAMES, Capability
from quorate.acl.globs import fits
from quorate.acl.rights import EVERYTHING, NOTHING, Rights
from quorate.acl.values import NamespaceRule, PathRule, PolicyRights

READ = Capability.VARIABLES_READ


def in_default(*rules: PathRule) -> PolicyRights:
    return PolicyRights(namespaces=(NamespaceRule("default", variables=rules),))


def test_management_has_every_right() -> None:
    for caller in (EVERYONE, CONTROL):
        assert caller.rights is EVERYTHING
    assert all(EVERYTHING.allows(each) for each in Capability)
    assert all(EVERYTHING.allows_variable(each, "any", "x") for each in OF_OBJECTS)
    assert EVERYTHING.sees_namespace("any")


def test_without_a_policy_only_what_needs_no_right_is_allowed() -> None:
    assert [each for each in Capability if NOTHING.allows(each)] == [Capability.NONE]
    assert not NOTHING.allows_variable(READ, "default", "x")
    assert not NOTHING.sees_namespace("default")


@pytest.mark.parametrize(
    ("policy", "granted"),
    [
        (PolicyRights(agent="read"), {"agent:read"}),
        (PolicyRights(agent="write"), {"agent:read", "agent:write"}),
        (PolicyRights(node="read"), {"node:read"}),
        (PolicyRights(node="write"), {"node:read"}),
        (PolicyRights(operator="read"), {"operator:read"}),
        (
            PolicyRights(operator="write"),
            {"operator:read", "operator:write", "autopilot-write"},
        ),
        (PolicyRights(quota="write", plugin="read"), set()),
        (PolicyRights(operator_capabilities=("snapshot-save",)), {"snapshot-save"}),
        (PolicyRights(operator="deny", operator_capabilities=("snapshot-save",)), set()),
        (PolicyRights(operator="write", operator_capabilities=("deny",)), set()),
        (PolicyRights(operator="of tomorrow", operator_capabilities=("of tomorrow",)), set()),
    ],
)
def test_a_level_grants_this_and_no_more(policy: PolicyRights, granted: set[str]) -> None:
    rights = Rights([policy])
    assert {each for each in Capability if rights.allows(each)} == granted | {"none"}


def test_each_operator_capability_is_granted_by_its_name_alone() -> None:
    for name in OPERATOR_NAMES:
        rights = Rights([PolicyRights(operator_capabilities=(name,))])
        assert {each for each in Capability if rights.allows(each)} == {name, Capability.NONE}


def test_policies_add_up_and_deny_wins() -> None:
    read, write = PolicyRights(operator="read"), PolicyRights(operator="write", agent="read")
    denied = PolicyRights(operator="deny")
    assert Rights([read, write]).allows(Capability.OPERATOR_WRITE)
    assert not Rights([read, write, denied]).allows(Capability.OPERATOR_READ)
    assert Rights([write, denied]).allows(Capability.AGENT_READ)


def test_the_nearest_path_applies() -> None:
    rights = Rights(
        [in_default(PathRule("app/*", ("read",)), PathRule("app/secret", ("deny",)))],
    )
    assert rights.allows_variable(READ, "default", "app/x")
    assert not rights.allows_variable(READ, "default", "app/secret")
    assert not rights.allows_variable(READ, "default", "other/x")
    assert not rights.allows_variable(READ, "other", "app/x")
    assert rights.allows(READ)
    assert not rights.allows(Capability.VARIABLES_LIST)


def test_rules_of_one_path_in_two_policies_add_up_unless_one_denies() -> None:
    one, other = in_default(PathRule("a", ("read",))), in_default(PathRule("a", ("list",)))
    both = Rights([one, other])
    assert both.allows_variable(READ, "default", "a")
    assert both.allows_variable(Capability.VARIABLES_LIST, "default", "a")
    denied = Rights([one, other, in_default(PathRule("a", ("deny",)))])
    assert not denied.allows_variable(READ, "default", "a")


def test_one_rule_applies_to_a_namespace() -> None:
    # The example of Nomad's own documentation: "*-web" is nearer to "production-web" than "*".
    rights = Rights(
        [
            PolicyRights(
                namespaces=(NamespaceRule("*", "read"), NamespaceRule("*-web", "deny")),
            )
        ]
    )
    assert rights.sees_namespace("default")
    assert not rights.sees_namespace("production-web")


def test_a_denied_namespace_denies_its_variables() -> None:
    rule = NamespaceRule("default", "deny", variables=(PathRule("*", ("read",)),))
    rights = Rights([PolicyRights(namespaces=(rule,))])
    assert not rights.allows_variable(READ, "default", "x")
    assert not rights.allows(READ)


def test_a_right_on_variables_is_a_right_in_the_namespace() -> None:
    assert Rights([in_default(PathRule("a", ("list",)))]).sees_namespace("default")
    assert not Rights([in_default(PathRule("a", ("deny",)))]).sees_namespace("default")
    assert not Rights([in_default()]).sees_namespace("default")


def test_a_level_of_a_namespace_grants_no_variables() -> None:
    rights = Rights([PolicyRights(namespaces=(NamespaceRule("default", "write"),))])
    assert rights.sees_namespace("default")
    assert not rights.allows_variable(READ, "default", "app/x")


def test_names_that_callers_make_up_fill_no_memory() -> None:
    rights = Rights([in_default(PathRule("a", ("read",)))])
    tracemalloc.start()
    try:
        for number in range(5000):
            assert not rights.sees_namespace(f"made-up-{number}".ljust(100))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5000 * 100 / 4
    tracemalloc.start()
    try:
        for number in range(200):
            assert not rights.sees_namespace(f"made-up-{number}".ljust(10_000))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 200 * 10_000 / 4
    assert rights.allows_variable(READ, "default", "a")


@pytest.mark.parametrize(
    ("pattern", "name", "fit"),
    [
        ("*", "", True),
        ("*", "abc", True),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "acb", False),
        ("*a*", "xay", True),
        ("ab*bc", "abc", False),
        ("a", "a", True),
        ("a", "b", False),
        ("**", "x", True),
    ],
)
def test_patterns(pattern: str, name: str, fit: bool) -> None:
    assert fits(pattern, name) is fit
