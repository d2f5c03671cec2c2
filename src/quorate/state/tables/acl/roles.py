"""Roles, by ID: a name for several policies. Tokens name roles by their IDs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from quorate.state.engine.table import Command, OnRestore, Reader, Record, Table, Tables
from quorate.state.tables import limits
from quorate.state.tables.acl import policies, standing
from quorate.state.tables.acl.policies import hash_of
from quorate.state.tables.acl.standing import ACL_LEVEL
from quorate.state.tables.limits import Full

ROLES_MAX: Final = 8192

ROW_BYTES: Final = 768
"""Memory of a row beside its texts."""

_BY_NAME: Final = "name"


class AclRole(Record, frozen=True, kw_only=True):
    """One role. Names of roles are unique; `policies` are names, in the order given."""

    name: str
    description: str = ""
    policies: tuple[str, ...] = ()

    def content_hash(self) -> bytes:
        """32 bytes that change when anything but the indexes changes, as today's servers send."""
        return hash_of(self.name, self.description, *self.policies)


def weigh(row: AclRole) -> tuple[str, int]:
    """No namespace, and the memory that it takes."""
    texts = len(row.name) + len(row.description) + sum(len(name) + 49 for name in row.policies)
    return "", ROW_BYTES + 2 * texts


class PutRole(Command, frozen=True, kw_only=True):
    """Write a role whole, if it is as it was at index `since`; 0: if there is none.

    Result: empty, why not, or Full.
    """

    TYPE: ClassVar[int] = 67
    LEVEL: ClassVar[int] = ACL_LEVEL

    role_id: str
    role: AclRole
    since: int = 0

    def apply(self, tables: Tables, index: int) -> str | Full:
        """See the class."""
        known = tables.get(TABLE, self.role_id)
        if (0 if known is None else known.modify_index) != self.since:
            return CHANGED
        same = by_name(tables, self.role.name)
        if same is not None and same[0] != self.role_id:
            return f"role with name {self.role.name} already exists"
        for name in self.role.policies:
            if tables.get(policies.TABLE, name) is None:
                return f"cannot find policy {name}"
        if known is None and len(tables.rows(TABLE)) >= ROLES_MAX:
            return f"there are {ROLES_MAX} roles, which is the most there can be"
        more = weigh(self.role)[1] - (0 if known is None else weigh(known)[1])
        if (full := limits.beyond(tables, {"": more})) is not None:
            return full
        tables.put(TABLE, self.role_id, self.role, index)
        return ""


CHANGED: Final = "it has changed meanwhile"
"""Why a role or a token is not written: it is not as the leader had read it."""


class DeleteRole(Command, frozen=True, kw_only=True):
    """Delete a role. Result: whether it was there. Tokens keep its ID, which gives no rights."""

    TYPE: ClassVar[int] = 68
    LEVEL: ClassVar[int] = ACL_LEVEL

    role_id: str

    def apply(self, tables: Tables, index: int) -> bool:
        """See the class."""
        return tables.delete(TABLE, self.role_id, index)


def _merge(ours: Reader, theirs: Reader) -> Mapping[str, AclRole]:
    """The archive's; the cluster's own if the archive is from before ACL."""
    return (theirs if standing.current(theirs).bootstrap_index else ours).rows(TABLE)


def _names(row: AclRole) -> tuple[str, ...]:
    return (row.name,)


TABLE: Final = Table(
    name="acl_roles",
    record=AclRole,
    on_restore=OnRestore.MERGED,
    restored="replaced",
    merge_all=_merge,
    commands=(PutRole, DeleteRole),
    level=ACL_LEVEL,
    indexes=MappingProxyType({_BY_NAME: _names}),
    weigh=weigh,
)


def by_name(reader: Reader, name: str) -> tuple[str, AclRole] | None:
    """The ID and record of the role of this name, or None."""
    return next(reader.with_value(TABLE, _BY_NAME, name), None)
