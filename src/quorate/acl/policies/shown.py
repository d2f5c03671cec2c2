"""The rules of a policy as `RulesJSON` shows them: with the names of Nomad's records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quorate.acl.values import NamedRule, PolicyRights


def rules_json(rights: PolicyRights, text: str) -> dict[str, Any]:
    """`RulesJSON` of a policy with this text. What is absent is null."""
    operator = _level(rights.operator, has_rule=bool(rights.operator_capabilities))
    if operator is not None and rights.operator_capabilities:
        operator["Capabilities"] = list(rights.operator_capabilities)
    return {
        "Agent": _level(rights.agent),
        "HostVolumes": _named(rights.host_volumes),
        "Namespaces": [
            {
                "Capabilities": list(rule.capabilities) or None,
                "Name": rule.name,
                "Policy": rule.policy,
                "Variables": None
                if rule.variables is None
                else {
                    "Paths": [
                        {"Capabilities": list(path.capabilities), "PathSpec": path.path}
                        for path in rule.variables
                    ]
                },
            }
            for rule in rights.namespaces
        ]
        or None,
        "Node": _level(rights.node),
        "NodePools": _named(rights.node_pools),
        "Operator": operator,
        "Plugin": _level(rights.plugin),
        "Quota": _level(rights.quota),
        "Raw": text,
    }


def _level(level: str, *, has_rule: bool = False) -> dict[str, Any] | None:
    return {"Policy": level} if level or has_rule else None


def _named(rules: Sequence[NamedRule]) -> list[dict[str, Any]] | None:
    return [
        {
            "Capabilities": list(rule.capabilities) or None,
            "Name": rule.name,
            "Policy": rule.policy,
        }
        for rule in rules
    ] or None
