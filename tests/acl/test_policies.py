"""Texts of policies: what they mean, which are refused, and with which words."""

from __future__ import annotations

import json
import time

import pytest
from acl_cases import AclCase, cases
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.acl.capability import GRANTS, OPERATOR_NAMES, Capability
from quorate.acl.checks.policies import checked_policy
from quorate.acl.invalid import AclInvalid, PolicyInvalid
from quorate.acl.policies.parsing import parse_policy
from quorate.acl.policies.shown import rules_json
from quorate.acl.policies.tree import DEPTH_MAX, TEXT_BYTES_MAX
from quorate.acl.rights import Rights
from quorate.acl.values import NamedRule, NamespaceRule, PathRule, PolicyRights

# Decided by what is not in the text: the token, the path, a body that is no JSON.
NOT_OF_THE_TEXT = {
    "v16acl-policy-put-anon",
    "v16acl-policy-put-mismatch",
    "v16acl-policy-put-bad-json",
}
PUT = [case for case in cases("policy-put-") if case.name not in NOT_OF_THE_TEXT]


@pytest.mark.parametrize("case", PUT, ids=lambda case: case.name.removeprefix("v16acl-"))
def test_captured_policies(case: AclCase) -> None:
    body = case.body
    if case.status == 200:
        checked_policy(body["Name"], body["Description"], body["Rules"])
        return
    with pytest.raises(AclInvalid) as refused:
        checked_policy(body["Name"], body["Description"], body["Rules"])
    assert refused.value.text == case.text


def test_all_faults_of_a_policy_are_named_at_once() -> None:
    with pytest.raises(AclInvalid) as refused:
        checked_policy("bad.name", "d" * 257, 'agent { policy = "nope" }')
    assert refused.value.text == (
        "policy 0 invalid: 3 errors occurred:\n"
        "\t* invalid name 'bad.name'\n"
        '\t* failed to parse rules: Invalid agent policy: &acl.AgentPolicy{Policy:"nope"}\n'
        "\t* description longer than 256\n\n"
    )


def test_rules_are_shown_as_captured() -> None:
    (case,) = cases("policy-get")
    shown = rules_json(parse_policy(case.answer["Rules"]), case.answer["Rules"])
    assert shown == case.answer["RulesJSON"]
    assert list(shown) == list(case.answer["RulesJSON"])


EVERYTHING_THERE_IS = """
# a comment
namespace "web-*" {
  policy       = "write" // another
  capabilities = ["alloc-exec", "read-logs",]
  variables {
    path "app/*" { capabilities = ["read", "list"] }
    path "app/secret" {
      capabilities = ["deny"]
    }
  }
}
namespace { policy = "read" }
/* of several
   lines */
agent    { policy = "read" }
node     { policy = "write" }
quota    { policy = "read" }
plugin   { policy = "list" }
operator {
  policy       = "read"
  capabilities = ["snapshot-save", "peer-remove"]
}
host_volume "fast" { capabilities = ["mount-readonly"] }
node_pool "gpu" { policy = "read" }
"""
AS_JSON = {
    "namespace": [
        {
            "web-*": {
                "policy": "write",
                "capabilities": ["alloc-exec", "read-logs"],
                "variables": {
                    "path": {
                        "app/*": {"capabilities": ["read", "list"]},
                        "app/secret": {"capabilities": ["deny"]},
                    }
                },
            }
        },
        {"default": {"policy": "read"}},
    ],
    "agent": {"policy": "read"},
    "node": {"policy": "write"},
    "quota": [{"policy": "read"}],
    "plugin": {"policy": "list"},
    "operator": {"policy": "read", "capabilities": ["snapshot-save", "peer-remove"]},
    "host_volume": {"fast": {"capabilities": ["mount-readonly"]}},
    "node_pool": {"gpu": {"policy": "read"}},
}
ITS_RULES = PolicyRights(
    namespaces=(
        NamespaceRule(
            "web-*",
            "write",
            ("alloc-exec", "read-logs"),
            (PathRule("app/*", ("read", "list")), PathRule("app/secret", ("deny",))),
        ),
        NamespaceRule("default", "read"),
    ),
    agent="read",
    node="write",
    operator="read",
    operator_capabilities=("snapshot-save", "peer-remove"),
    quota="read",
    plugin="list",
    host_volumes=(NamedRule("fast", "", ("mount-readonly",)),),
    node_pools=(NamedRule("gpu", "read"),),
)


@pytest.mark.parametrize("text", [EVERYTHING_THERE_IS, json.dumps(AS_JSON)], ids=["HCL", "JSON"])
def test_every_sort_of_rule(text: str) -> None:
    assert parse_policy(text) == ITS_RULES


@pytest.mark.parametrize(
    "text",
    [
        'agent { policy = "read" }',
        'agent { "policy" = "read" }',
        'agent = { policy = "read" }',
        'agent { policy = "read", }',
        'agent {\r\n  policy =\r\n    "read"\r\n}\r\n',
        'agent { policy = "\\u0072ead" }',
        '\ufeffagent { policy = "read" }',
        '{"agent": {"policy": "read"}}',
        '  {"agent": [{"policy": "read"}]}',
    ],
)
def test_other_ways_to_write_the_same(text: str) -> None:
    assert parse_policy(text) == PolicyRights(agent="read")


@pytest.mark.parametrize("mark", ["<<EOT", "<<-EOT"])
def test_a_heredoc_has_the_ends_of_its_lines(mark: str) -> None:
    with pytest.raises(PolicyInvalid, match="Invalid agent policy") as refused:
        parse_policy(f"agent {{\n policy = {mark}\nread\n  EOT\n}}")
    assert 'Policy:"read\\n"' in refused.value.text


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_has_no_rules(text: str) -> None:
    assert parse_policy(text) == PolicyRights()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# nothing", "Invalid policy: # nothing"),
        (
            "operator",
            "Failed to parse ACL Policy: At 1:10: object expected closing RBRACE got: EOF",
        ),
        ("operator {", "Failed to parse ACL Policy: At 1:12: object expected closing RBRACE got"),
        ('agent { policy = "read }', "At 1:18: literal not terminated"),
        ('agent { policy = "a\\q" }', "At 1:20: illegal char escape"),
        ("agent { policy = read }", "At 1:18: Unknown token: IDENT 'read'"),
        ("agent { policy }", "expected start of object ('{') or assignment ('=')"),
        ("agent { = 1 }", "At 1:9: expected a key, got: ASSIGN"),
        ("agent ! {}", "At 1:7: illegal character '!'"),
        ("/* no end", "At 1:1: comment not terminated"),
        ("a { b = <<EOT\nx", "At 1:9: heredoc not terminated"),
        ("a { b = <<\nx", "At 1:9: heredoc without a mark"),
        ('operator { capabilities = ["a" "b"] }', "expected comma or list end, got: STRING 'b'"),
        ("{", "Failed to parse ACL Policy: At 1:2: "),
        ('{"agent": NaN}', "NaN is no JSON"),
        ('{"agent": null}', "null is no value of a policy"),
        ('{"agent": "read"}', "agent is a block, not a value"),
        ("agent {}", 'Invalid agent policy: &acl.AgentPolicy{Policy:""}'),
        ("operator {}", 'Invalid operator policy: &acl.OperatorPolicy{Policy:""}'),
        ('agent { policy = "list" }', 'Invalid agent policy: &acl.AgentPolicy{Policy:"list"}'),
        ('agent "x" { policy = "read" }', "Invalid agent policy: it has no label, not 'x'"),
        (
            'agent { policy = "read" }\nagent { policy = "deny" }',
            "Invalid agent policy: there is more than one agent rule",
        ),
        (
            'agent { policy = "read" }\nnamespaces "x" { policy = "deny" }',
            "Invalid policy: unknown key 'namespaces' in the policy at 2:1; known are agent,",
        ),
        (
            'agent { polcy = "read" }',
            "unknown key 'polcy' in the agent rule at 1:9; known are policy",
        ),
        ('agent { policy = ["read"] }', "Invalid policy: policy is a string"),
        ('operator { capabilities = "x" }', "capabilities is a list of strings"),
        ("operator { capabilities = [true] }", "capabilities is a list of strings"),
        ('agent { capabilities = ["x"] }', "unknown key 'capabilities' in the agent rule"),
        (
            'operator { capabilities = ["nope"] }',
            "Invalid operator capability 'nope'; there are: audit-read, autopilot-write, backup-",
        ),
        ('operator { capabilities = ["management"] }', "Invalid operator capability 'management'"),
        ('operator { capabilities = ["agent:write"] }', "Invalid operator capability"),
        ('namespace "a b" {}', 'Invalid namespace name: &acl.NamespacePolicy{Name:"a b", '),
        ('namespace "" {}', "Invalid namespace name"),
        (f'namespace "{"a" * 129}" {{}}', "Invalid namespace name"),
        ('namespace "a" "b" {}', "one label is allowed, not 2"),
        ('namespace "a" { variables "x" {} }', "Invalid variables block in namespace a: no label"),
        ('namespace "a" { variables { paths {} } }', "unknown key 'paths' in the variables block"),
        ('namespace "a" { variables { path "a b" {} } }', "Invalid variables path 'a b' in"),
        ('namespace "a" { variables { path {} } }', "it needs a name as its label"),
        (
            'namespace "a" { variables { path "x" { policy = "read" } } }',
            "unknown key 'policy' in the path rule at 1:40",
        ),
        ('host_volume { policy = "read" }', "it needs a name as its label"),
        ('host_volume "x" { capabilities = ["read"] }', "Invalid host volume capability 'read'"),
        ("x" * (TEXT_BYTES_MAX + 1), f"rules of {TEXT_BYTES_MAX + 1} bytes are more than"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy(text)
    assert reason in refused.value.text


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * (DEPTH_MAX + 1),
        "a {" * (DEPTH_MAX + 1),
        "{" * 60_000,
        "[" * 60_000,
        '{"a":' * 10_000,
        "a {" * 20_000,
        'agent { policy = "' + "\\" * 60_000,
        "agent " * 10_000,
        "/*" * 30_000,
        "a=<<x\n" * 10_000,
        "operator { capabilities = [" + '"deny",' * 9_000,
        "a{}" * 20_000,
        '"' * 60_001,
        '{"operator":{"capabilities":[' + ",".join(['"deny"'] * 9_000) + "]}}",
        '{"a":' + "1" * 60_000 + "}",
    ],
)
def test_texts_that_are_made_to_hurt_are_refused_in_a_moment(text: str) -> None:
    started = time.process_time()
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy(text)
    assert time.process_time() - started < 1
    assert len(refused.value.text) < 1000


PIECES = st.sampled_from(
    [
        *("{", "}", "[", "]", "=", ",", '"', "\n", " ", "\\", "#", "/*", "*/", "<<EOT", "EOT"),
        *("agent", "operator", "namespace", '"default"', "policy", "capabilities", "variables"),
        *("path", '"read"', '"deny"', '"snapshot-save"', ":", "null", "1", "-1", "é", "\x00"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40).map(" ".join) | st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    try:
        rights = Rights([parse_policy(text)])
    except PolicyInvalid as error:
        reason = error.text
    else:
        reason = "it is read, and its rights are made"
        assert not rights.everything
    assert reason


# -- several policies together -----------------------------------------------------------------

LEVELS = st.sampled_from(["", "read", "write"])
WORDS = st.sampled_from(["read", "list", "write", "destroy"])
NAMES = st.sampled_from(["default", "web", "web-1", "*", "web*", "*1"])
PATHS = st.sampled_from(["a", "a/b", "*", "a*", "a/*", "*b"])


def policies(*, may_deny: bool) -> st.SearchStrategy[PolicyRights]:
    words, levels = WORDS, LEVELS
    if may_deny:
        words, levels = WORDS | st.just("deny"), LEVELS | st.just("deny")
    path = st.builds(PathRule, PATHS, st.lists(words, max_size=3).map(tuple))
    namespace = st.builds(
        NamespaceRule,
        NAMES,
        levels,
        st.just(()),
        st.lists(path, max_size=3).map(tuple),
    )
    return st.builds(
        PolicyRights,
        namespaces=st.lists(namespace, max_size=3).map(tuple),
        agent=levels,
        node=levels,
        operator=levels,
        operator_capabilities=st.lists(st.sampled_from(sorted(OPERATOR_NAMES)), max_size=3).map(
            tuple
        ),
    )


COARSE = sorted({name for levels in GRANTS.values() for each in levels.values() for name in each})


@settings(max_examples=40, deadline=None)
@given(st.lists(policies(may_deny=False), max_size=4), policies(may_deny=False))
def test_one_more_policy_without_deny_takes_no_level_away(
    some: list[PolicyRights], more: PolicyRights
) -> None:
    before, after = Rights(some), Rights([*some, more])
    for capability in (*COARSE, *OPERATOR_NAMES):
        assert after.allows(capability) >= before.allows(capability)
        alone = Rights([more])
        assert after.allows(capability) is (before.allows(capability) or alone.allows(capability))


@settings(max_examples=40, deadline=None)
@given(st.lists(policies(may_deny=True), max_size=4), NAMES, PATHS)
def test_deny_wins_and_order_does_not_matter(
    some: list[PolicyRights], namespace: str, path: str
) -> None:
    rights, turned = Rights(some), Rights(reversed(some))
    denied = PolicyRights(
        namespaces=(NamespaceRule(namespace, variables=(PathRule(path, ("deny",)),)),),
        agent="deny",
        node="deny",
        operator="deny",
    )
    with_deny = Rights([*some, denied])
    for capability in Capability:
        assert rights.allows(capability) is turned.allows(capability)
    for capability in (*COARSE, *OPERATOR_NAMES):
        assert not with_deny.allows(capability)
    for capability in (Capability.VARIABLES_READ, Capability.VARIABLES_LIST):
        same = rights.allows_variable(capability, namespace, path)
        assert same is turned.allows_variable(capability, namespace, path)
        assert not with_deny.allows_variable(capability, namespace, path)
    assert rights.sees_namespace(namespace) is turned.sees_namespace(namespace)
