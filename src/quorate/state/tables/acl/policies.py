"""Policies, by name: the text that an operator wrote, and the rights that a leader read in it.

Nothing here reads the text: the command brings both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec

from quorate.acl.values import PolicyRights
from quorate.state.engine.table import Command, OnRestore, Reader, Record, Table, Tables
from quorate.state.tables import limits
from quorate.state.tables.acl import standing
from quorate.state.tables.acl.standing import ACL_LEVEL
from quorate.state.tables.limits import Full

ANONYMOUS: Final = "anonymous"
"""The policy with this name has the rights of callers without a token."""

POLICIES_MAX: Final = 8192
"""A list of all of them stays below some megabytes."""

ROW_BYTES: Final = 1024
"""Memory of a row beside its texts."""

_encode = msgspec.msgpack.Encoder().encode


class AclPolicy(Record, frozen=True, kw_only=True):
    """One policy. `rights` are what `rules` say."""

    name: str
    description: str = ""
    rules: str = ""
    rights: PolicyRights = PolicyRights()

    def content_hash(self) -> bytes:
        """32 bytes that change when anything but the indexes changes, as today's servers send."""
        return hash_of(self.name, self.description, self.rules)


def hash_of(*parts: str) -> bytes:
    """BLAKE2b-256 over the parts: so today's servers make the hashes of all ACL objects."""
    return hashlib.blake2b("".join(parts).encode(), digest_size=32).digest()


def weigh(row: AclPolicy) -> tuple[str, int]:
    """No namespace, since it counts against no namespace's bound; and the memory that it takes."""
    return "", ROW_BYTES + 2 * len(row.name) + 4 * len(row.rules)


class PutPolicy(Command, frozen=True, kw_only=True):
    """Write a policy whole; the indexes inside `policy` do not matter.

    Result: empty, why not, or Full.
    """

    TYPE: ClassVar[int] = 65
    LEVEL: ClassVar[int] = ACL_LEVEL

    policy: AclPolicy

    def apply(self, tables: Tables, index: int) -> str | Full:
        """See the class."""
        name = self.policy.name
        known = tables.get(TABLE, name)
        if known is None and len(tables.rows(TABLE)) >= POLICIES_MAX:
            return f"there are {POLICIES_MAX} policies, which is the most there can be"
        more = weigh(self.policy)[1] - (0 if known is None else weigh(known)[1])
        if (full := limits.beyond(tables, {"": more})) is not None:
            return full
        tables.put(TABLE, name, self.policy, index)
        return ""


class DeletePolicy(Command, frozen=True, kw_only=True):
    """Delete a policy; one that is not there is no error. Result: whether it was there.

    Tokens and roles keep its name, which gives no rights then.
    """

    TYPE: ClassVar[int] = 66
    LEVEL: ClassVar[int] = ACL_LEVEL

    name: str

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        return tables.delete(TABLE, self.name, index)


def _merge(ours: Reader, theirs: Reader) -> Mapping[str, AclPolicy]:
    """The archive's; the cluster's own if the archive is from before ACL."""
    return (theirs if standing.current(theirs).bootstrap_index else ours).rows(TABLE)


TABLE: Final = Table(
    name="acl_policies",
    record=AclPolicy,
    on_restore=OnRestore.MERGED,
    restored="replaced",
    merge_all=_merge,
    commands=(PutPolicy, DeletePolicy),
    level=ACL_LEVEL,
    weigh=weigh,
)


def by_name(reader: Reader, name: str) -> AclPolicy | None:
    """The policy of this name, or None."""
    return reader.get(TABLE, name)
