"""The rules of a policy, parsed once: an entry of the log carries them, a row keeps them.

Absent and empty are the same: `""` for a level, `()` for a list. A `variables` block without paths
is `()`, none is None.
"""

from __future__ import annotations

import msgspec


class PathRule(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`path "app/*" { capabilities = [...] }` of a `variables` block."""

    path: str
    capabilities: tuple[str, ...]


class NamespaceRule(
    msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True
):
    """`namespace "web-*" { ... }`: the name may have `*` for any characters."""

    name: str
    policy: str = ""
    capabilities: tuple[str, ...] = ()
    variables: tuple[PathRule, ...] | None = None


class NamedRule(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`host_volume "x" { ... }` or `node_pool "x" { ... }`, which grant nothing here."""

    name: str
    policy: str = ""
    capabilities: tuple[str, ...] = ()


class PolicyRights(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    omit_defaults=True,
    forbid_unknown_fields=True,
):
    """All rules of one policy, in the order of its text."""

    namespaces: tuple[NamespaceRule, ...] = ()
    agent: str = ""
    node: str = ""
    operator: str = ""
    operator_capabilities: tuple[str, ...] = ()
    quota: str = ""
    plugin: str = ""
    host_volumes: tuple[NamedRule, ...] = ()
    node_pools: tuple[NamedRule, ...] = ()

    def rule_count(self) -> int:
        """How many namespaces and paths of variables it names."""
        return sum(1 + len(each.variables or ()) for each in self.namespaces)
