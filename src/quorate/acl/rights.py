"""The rights of a caller: several policies together, made once, asked for every request.

Policies add up. `deny` wins over whatever another policy grants for the same thing: for a level,
for the rules of one namespace, for one path. Of the rules of namespaces one applies to a namespace,
and of its paths one to a variable (`quorate.acl.globs`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from quorate.acl.capability import GRANTS, OF_OBJECTS, OPERATOR_NAMES, Capability
from quorate.acl.globs import Nearest
from quorate.acl.values import NamespaceRule, PolicyRights

DENY: Final = "deny"

VARIABLE_CAPABILITIES: Final = {
    "list": Capability.VARIABLES_LIST,
    "read": Capability.VARIABLES_READ,
    "write": Capability.VARIABLES_WRITE,
    "destroy": Capability.VARIABLES_DESTROY,
}
"""What the capabilities of a path grant; `deny` takes all of them away."""

_NAMESPACES_KEPT: Final = 256
"""Of how many namespaces a `Rights` remembers which rule applies."""

_NAME_LENGTH_KEPT: Final = 128
"""No namespace has a longer name, but a caller may ask for one."""


class _Namespace:
    """All rules of one name of namespaces, of all policies."""

    __slots__ = ("grants", "paths")

    def __init__(self, rules: list[NamespaceRule]) -> None:
        words = {rule.policy for rule in rules} | {word for r in rules for word in r.capabilities}
        words.discard("")
        by_path: dict[str, set[str]] = {}
        if DENY not in words:
            for path in (path for rule in rules for path in rule.variables or ()):
                by_path.setdefault(path.path, set()).update(path.capabilities)
        granted = {path: _of_path(words) for path, words in by_path.items()}
        self.paths = Nearest(granted)
        self.grants = DENY not in words and (bool(words) or any(granted.values()))


def _of_path(words: set[str]) -> frozenset[Capability]:
    if DENY in words:
        return frozenset()
    return frozenset(VARIABLE_CAPABILITIES[word] for word in words & VARIABLE_CAPABILITIES.keys())


_NO_RULE: Final = _Namespace([])


class Rights:
    """The rights of one caller. Made once per set of policies, asked for every request.

    Invariant: answers never change; what is remembered between calls is bounded.
    """

    __slots__ = ("_granted", "_known", "_namespaces", "everything")

    def __init__(self, policies: Iterable[PolicyRights] = (), *, everything: bool = False) -> None:
        policies = tuple(policies)
        self.everything = everything
        """Whether these are all rights there are, as management has them."""
        by_name: dict[str, list[NamespaceRule]] = {}
        for rule in (rule for policy in policies for rule in policy.namespaces):
            by_name.setdefault(rule.name, []).append(rule)
        compiled = {name: _Namespace(rules) for name, rules in by_name.items()}
        self._namespaces = Nearest(compiled)
        self._known: dict[str, _Namespace] = {}
        self._granted = _of_levels(policies) | _anywhere(compiled.values())

    def allows(self, capability: Capability) -> bool:
        """Whether the caller has it; of what objects have (`OF_OBJECTS`), for any of them."""
        return self.everything or capability in self._granted or capability is Capability.NONE

    def allows_variable(self, capability: Capability, namespace: str, path: str) -> bool:
        """Whether the caller may do this (a `VARIABLES_...`) to the variable at this path."""
        assert capability in OF_OBJECTS
        if self.everything:
            return True
        granted = self._of(namespace).paths.of(path)
        return granted is not None and capability in granted

    def allows_all_below(self, capability: Capability, namespace: str, start: str) -> bool:
        """Whether the caller may do this to all variables whose paths begin so, there or not."""
        if self.everything:
            return True
        found, whole = self._of(namespace).paths.below(start)
        return whole and all(capability in granted for granted in found)

    def allows_some_below(self, capability: Capability, namespace: str, start: str) -> bool:
        """Whether it may do this to any variable whose path begins so; there may be none."""
        if self.everything:
            return True
        found, _ = self._of(namespace).paths.below(start)
        return any(capability in granted for granted in found)

    def sees_namespace(self, name: str) -> bool:
        """Whether the caller has any right in this namespace, on variables too."""
        return self.everything or self._of(name).grants

    def _of(self, namespace: str) -> _Namespace:
        """The rule that applies. A name that a caller made up is remembered for a short time."""
        if (known := self._known.get(namespace)) is None:
            known = self._namespaces.of(namespace) or _NO_RULE
            if len(self._known) >= _NAMESPACES_KEPT:
                self._known.clear()
            if len(namespace) <= _NAME_LENGTH_KEPT:
                self._known[namespace] = known
        return known


def _of_levels(policies: tuple[PolicyRights, ...]) -> frozenset[Capability]:
    """What is granted by levels and by name. A word that is not known grants nothing."""
    granted: set[Capability] = set()
    for rule, levels in GRANTS.items():
        words = {getattr(policy, rule) for policy in policies}
        if rule == "operator":
            words |= {word for policy in policies for word in policy.operator_capabilities}
        if DENY not in words:
            granted.update(*(levels[word] for word in words & levels.keys()))
            granted.update(name for name in OPERATOR_NAMES if name in words)
    return frozenset(granted)


def _anywhere(namespaces: Iterable[_Namespace]) -> frozenset[Capability]:
    """Rights on objects that the caller has on some of them."""
    found: set[Capability] = set()
    for each in namespaces:
        if each.grants:
            found.add(Capability.NAMESPACE_ANY)
            found.update(*each.paths.all_rules())
    return frozenset(found)


EVERYTHING: Final = Rights(everything=True)
"""Management's, and everybody's while ACL is off."""

NOTHING: Final = Rights()
"""Those without any policy. What needs no right is allowed."""
