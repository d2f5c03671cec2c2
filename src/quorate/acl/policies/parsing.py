"""From the text of a policy to its rules.

Bounds are checked first, and hold while the text is read. The texts of errors are those of
Nomad where one is known. Stricter than Nomad: a rule or a key that is not known is refused, for it
may be a `deny` that was misspelled.

Takes some milliseconds for the longest text: on a server, not on the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from quorate.acl.invalid import PolicyInvalid
from quorate.acl.policies.faults import bad_capability, bad_level, bad_name
from quorate.acl.policies.hcl import read_hcl
from quorate.acl.policies.json_text import read_json
from quorate.acl.policies.tree import TEXT_BYTES_MAX, Body, Item, Value, Values
from quorate.acl.policies.words import CAPABILITIES, LEVELS
from quorate.acl.values import NamedRule, NamespaceRule, PathRule, PolicyRights

DEFAULT_NAMESPACE: Final = "default"
"""Of a rule without a label."""

_SINGLE: Final = ("agent", "node", "operator", "quota", "plugin")
_NAMED: Final = ("namespace", "host_volume", "node_pool")
_POLICY: Final = "policy"
_CAPABILITIES: Final = "capabilities"
_VARIABLES: Final = "variables"
_PATH: Final = "path"
_QUOTED_MAX: Final = 200

NAME_LENGTH_MAX: Final = 128
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_PATTERN: Final = _NAME | {"*"}
_PATH_PATTERN: Final = _PATTERN | set("_~/")


def parse_policy(text: str) -> PolicyRights:
    """The rules of a text in HCL or JSON; an empty text has none. Raises PolicyInvalid."""
    size = len(text.encode("utf-8", "replace"))
    if size > TEXT_BYTES_MAX:
        raise PolicyInvalid(f"rules of {size} bytes are more than {TEXT_BYTES_MAX}")
    start = text.lstrip()
    if not start:
        return PolicyRights()
    body = read_json(text) if start.startswith("{") else read_hcl(text)
    known = [item for item in body if item.keys[0] in LEVELS]
    if not known:
        raise PolicyInvalid(f"Invalid policy: {_cut(text)}")
    for item in body:
        _check_keys(item, LEVELS, "policy")
    return _Rules(known).all()


class _Rules:
    """Reads the items of one policy, of which each is of a sort that is known."""

    def __init__(self, items: list[Item]) -> None:
        self._by_sort: dict[str, list[Item]] = {}
        for item in items:
            self._by_sort.setdefault(item.keys[0], []).append(item)

    def all(self) -> PolicyRights:
        """The rules. Raises PolicyInvalid."""
        levels = {sort: self._single(sort) for sort in _SINGLE}
        return PolicyRights(
            namespaces=tuple(self._namespaces()),
            agent=levels["agent"].policy,
            node=levels["node"].policy,
            operator=levels["operator"].policy,
            operator_capabilities=levels["operator"].capabilities,
            quota=levels["quota"].policy,
            plugin=levels["plugin"].policy,
            host_volumes=tuple(self._named("host_volume")),
            node_pools=tuple(self._named("node_pool")),
        )

    def _bodies(self, sort: str) -> Iterator[tuple[tuple[str, ...], Body]]:
        for item in self._by_sort.get(sort, ()):
            yield from _bodies_of(item)

    def _single(self, sort: str) -> NamedRule:
        """The one rule of a sort that has no label."""
        bodies = list(self._bodies(sort))
        if not bodies:
            return NamedRule("")
        if len(bodies) > 1:
            raise PolicyInvalid(f"Invalid {sort} policy: there is more than one {sort} rule")
        ((labels, body),) = bodies
        if labels:
            raise PolicyInvalid(f"Invalid {sort} policy: it has no label, not {labels[0]!r}")
        rule = _rule(sort, "", body)
        if not rule.policy and not rule.capabilities:
            raise bad_level(sort, rule)
        return rule

    def _named(self, sort: str) -> Iterator[NamedRule]:
        for labels, body in self._bodies(sort):
            for label, inner in _labelled(sort, labels, body):
                rule = _rule(sort, label, inner)
                _check_name(sort, rule)
                yield rule

    def _namespaces(self) -> Iterator[NamespaceRule]:
        for labels, body in self._bodies("namespace"):
            for label, inner in _labelled("namespace", labels, body):
                rule = _rule("namespace", label, inner)
                _check_name("namespace", rule)
                yield NamespaceRule(label, rule.policy, rule.capabilities, _variables(label, inner))


def _bodies_of(item: Item) -> Iterator[tuple[tuple[str, ...], Body]]:
    """Labels and insides of a block; JSON may have a list of them."""
    values = item.value if isinstance(item.value, Values) else [item.value]
    for value in values:
        if not isinstance(value, Body):
            raise PolicyInvalid(f"Invalid policy: {item.keys[0]} is a block, not a value")
        yield item.keys[1:], value


def _labelled(sort: str, labels: tuple[str, ...], body: Body) -> Iterator[tuple[str, Body]]:
    """Each label with its inside. In JSON the labels are keys of an object."""
    if len(labels) > 1:
        raise PolicyInvalid(f"Invalid {sort} policy: one label is allowed, not {len(labels)}")
    if labels:
        yield labels[0], body
        return
    own = {_POLICY, _CAPABILITIES, _VARIABLES} if sort == "namespace" else {_POLICY, _CAPABILITIES}
    if not body or any(item.keys[0] in own for item in body):
        if sort != "namespace":
            raise PolicyInvalid(f"Invalid {sort} policy: it needs a name as its label")
        yield DEFAULT_NAMESPACE, body
        return
    for item in body:
        for more, inner in _bodies_of(item):
            if more:
                raise PolicyInvalid(f"Invalid {sort} policy: one label is allowed")
            yield item.keys[0], inner


def _rule(sort: str, name: str, body: Body) -> NamedRule:
    """Level and capabilities of a block, each of which is allowed in this sort of rule."""
    allowed = {_POLICY}
    if sort in CAPABILITIES:
        allowed.add(_CAPABILITIES)
    if sort == "namespace":
        allowed.add(_VARIABLES)
    if sort == _PATH:
        allowed = {_CAPABILITIES}
    level = ""
    words: tuple[str, ...] = ()
    for item in body:
        _check_keys(item, allowed, f"{sort} rule")
        if item.keys[0] == _POLICY:
            level = _text(item)
        elif item.keys[0] == _CAPABILITIES:
            words = (*words, *_texts(item))
    return _checked(sort, NamedRule(name, level, words))


def _checked(sort: str, rule: NamedRule) -> NamedRule:
    if sort == _PATH:
        return rule
    if rule.policy and rule.policy not in LEVELS[sort]:
        raise bad_level(sort, rule)
    for word in rule.capabilities:
        if word not in CAPABILITIES[sort]:
            raise bad_capability(sort, word, rule, CAPABILITIES[sort])
    return rule


def _variables(namespace: str, body: Body) -> tuple[PathRule, ...] | None:
    """The paths of the `variables` blocks of a namespace."""
    paths: list[PathRule] | None = None
    for item in body:
        if item.keys[0] != _VARIABLES:
            continue
        paths = paths or []
        for labels, inner in _bodies_of(item):
            if labels:
                raise PolicyInvalid(f"Invalid variables block in namespace {namespace}: no label")
            paths.extend(_paths(namespace, inner))
    return None if paths is None else tuple(paths)


def _paths(namespace: str, body: Body) -> Iterator[PathRule]:
    for item in body:
        _check_keys(item, {_PATH}, "variables block")
        for labels, inner in _bodies_of(item):
            for path, inmost in _labelled(_PATH, labels, inner):
                if not _PATH_PATTERN.issuperset(path) or not 0 < len(path) <= NAME_LENGTH_MAX:
                    raise PolicyInvalid(
                        f"Invalid variables path '{_cut(path)}' in namespace {namespace}"
                    )
                words = _rule(_PATH, path, inmost).capabilities
                for word in words:
                    if word not in CAPABILITIES["variables"]:
                        raise PolicyInvalid(
                            f"Invalid variable capability '{_cut(word)}' in namespace {namespace}"
                        )
                yield PathRule(path, words)


def _check_name(sort: str, rule: NamedRule) -> None:
    allowed = _PATTERN if sort == "namespace" else _PATTERN | {"_"}
    if not allowed.issuperset(rule.name) or not 0 < len(rule.name) <= NAME_LENGTH_MAX:
        raise bad_name(sort, rule)


def _check_keys(item: Item, allowed: object, where: str) -> None:
    assert isinstance(allowed, set | dict)
    if item.keys[0] not in allowed:
        place = f" at {item.place}" if item.place else ""
        raise PolicyInvalid(
            f"Invalid policy: unknown key '{_cut(item.keys[0])}' in the {where}{place}; "
            f"known are {', '.join(sorted(allowed))}"
        )


def _text(item: Item) -> str:
    if len(item.keys) > 1 or not isinstance(item.value, str):
        raise PolicyInvalid(f"Invalid policy: {item.keys[0]} is a string")
    return item.value


def _texts(item: Item) -> tuple[str, ...]:
    value: Value = item.value
    if len(item.keys) > 1 or not isinstance(value, Values):
        raise PolicyInvalid(f"Invalid policy: {item.keys[0]} is a list of strings")
    if not all(isinstance(each, str) for each in value):
        raise PolicyInvalid(f"Invalid policy: {item.keys[0]} is a list of strings")
    return tuple(each for each in value if isinstance(each, str))


def _cut(text: str) -> str:
    return text if len(text) <= _QUOTED_MAX else f"{text[:_QUOTED_MAX]}..."
