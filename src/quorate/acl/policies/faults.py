"""Errors that quote a rule as Go prints a record of it, which is what Nomad answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from quorate.acl.invalid import PolicyInvalid
from quorate.acl.values import NamedRule

_RECORDS: Final = {
    "agent": "Agent",
    "host_volume": "HostVolume",
    "namespace": "Namespace",
    "node": "Node",
    "node_pool": "NodePool",
    "operator": "Operator",
    "plugin": "Plugin",
    "quota": "Quota",
}
_NO_LIST: Final = frozenset({"agent", "node", "operator", "plugin", "quota"})
_SHOWN_MAX: Final = 100


def bad_level(sort: str, rule: NamedRule) -> PolicyInvalid:
    """A level that rules of this sort do not have."""
    return PolicyInvalid(f"Invalid {_spoken(sort)} policy: {_record(sort, rule)}")


def bad_capability(sort: str, word: str, rule: NamedRule, known: Iterable[str]) -> PolicyInvalid:
    """A capability that rules of this sort do not have.

    Those of `operator` are ours alone, and no client expects words of Nomad: the `known` are named.
    """
    shown = word[:_SHOWN_MAX]
    if sort == "operator":
        there = ", ".join(sorted(known))
        return PolicyInvalid(f"Invalid operator capability '{shown}'; there are: {there}")
    return PolicyInvalid(f"Invalid {_spoken(sort)} capability '{shown}': {_record(sort, rule)}")


def bad_name(sort: str, rule: NamedRule) -> PolicyInvalid:
    """A name with other characters, or too long."""
    return PolicyInvalid(f"Invalid {_spoken(sort)} name: {_record(sort, rule)}")


def _spoken(sort: str) -> str:
    return sort.replace("_", " ")


def _record(sort: str, rule: NamedRule) -> str:
    fields = [f"Policy:{_quoted(rule.policy)}"]
    if sort not in _NO_LIST:
        words = ", ".join(_quoted(word) for word in rule.capabilities)
        some = f"[]string{{{words}}}" if words else "[]string(nil)"
        fields = [f"Name:{_quoted(rule.name)}", *fields, f"Capabilities:{some}"]
    if sort == "namespace":
        fields.append("Variables:(*acl.VariablesPolicy)(nil)")
    record = f"&acl.{_RECORDS[sort]}Policy{{{', '.join(fields)}}}"
    return record if len(record) <= 4 * _SHOWN_MAX else f"{record[: 4 * _SHOWN_MAX]}..."


def _quoted(text: str) -> str:
    return json.dumps(text[:_SHOWN_MAX], ensure_ascii=False)
