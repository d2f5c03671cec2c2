"""Tokens, by accessor. The secret of a token is never here in the clear.

A row has the SHA-256 of the secret, by which a caller is found, and the secret sealed with the root
keys, as the values of variables are. Nothing here opens it or asks a clock: the times in commands
are those of the leader that wrote them.

Invariant: no two tokens have the same secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from msgspec.structs import replace

from quorate.state.engine.table import SINGLETON, Command, OnRestore, Reader, Record, Table, Tables
from quorate.state.tables import cluster, limits, root_keys
from quorate.state.tables.acl import deleted, roles, standing
from quorate.state.tables.acl.deleted import DeletedToken
from quorate.state.tables.acl.policies import hash_of
from quorate.state.tables.acl.roles import CHANGED
from quorate.state.tables.acl.standing import ACL_LEVEL
from quorate.state.tables.limits import Full
from quorate.state.tables.root_keys import VALUES, Resealed

CLIENT: Final = "client"
MANAGEMENT: Final = "management"

TOKENS_MAX: Final = 262_144
"""Rows: some 300 MiB of memory. The bound of the state is lower on most machines."""

DELETED_AT_ONCE: Final = 256
"""Tokens that one command deletes."""

ROW_BYTES: Final = 1024
"""Memory of a row beside its texts: with the entry of its digest."""

_BY_DIGEST: Final = "digest"
_BY_EXPIRY: Final = "expiry"
_BY_AGE: Final = "age"
_EXPIRES: Final = "expires"


class AclToken(Record, frozen=True, kw_only=True):
    """One token. `digest` is the SHA-256 of its secret; `data`, `key_id`, `nonce` are that, sealed.

    `policies` are names, `roles` are IDs. Times are Unix nanoseconds; `expires` is 0 if it does not
    expire, `ttl_ns` what was asked for.
    """

    digest: bytes
    data: bytes
    key_id: str = ""
    nonce: bytes = b""
    name: str = ""
    type: str = CLIENT
    policies: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    is_global: bool = False
    create_time: int = 0
    ttl_ns: int = 0
    expires: int = 0

    def __repr__(self) -> str:
        """Without what the secret could be found from."""
        return f"AclToken(name={self.name!r}, type={self.type!r})"

    def content_hash(self) -> bytes:
        """32 bytes that change when its name or its rights change, as today's servers send."""
        scope = "global" if self.is_global else "local"
        return hash_of(self.name, self.type, *self.policies, scope, *self.roles)


def weigh(row: AclToken) -> tuple[str, int]:
    """No namespace, and the memory that it takes."""
    links = sum(len(each) + 49 for each in (*row.policies, *row.roles))
    return "", ROW_BYTES + 2 * (len(row.name) + links)


class PutToken(Command, frozen=True, kw_only=True):
    """Write a token whole, if it is as it was at index `since`; 0: if there is none.

    Result: empty, why not, or Full.
    """

    TYPE: ClassVar[int] = 69
    LEVEL: ClassVar[int] = ACL_LEVEL

    accessor: str
    token: AclToken
    since: int = 0

    def apply(self, tables: Tables, index: int) -> str | Full:
        """See the class."""
        known = tables.get(TABLE, self.accessor)
        if (0 if known is None else known.modify_index) != self.since:
            return CHANGED
        for role_id in self.token.roles:
            if tables.get(roles.TABLE, role_id) is None:
                return f"cannot find role {role_id}"
        if (why := _no_room(tables, known, self.token)) is not None:
            return why
        return _put(tables, self.accessor, self.token, index)


class BootstrapAcl(Command, frozen=True, kw_only=True):
    """Write the first token, or another one if `reset_index` is that of the last bootstrap.

    Result: empty, or why not. It passes all bounds of the state.
    """

    TYPE: ClassVar[int] = 70
    LEVEL: ClassVar[int] = ACL_LEVEL

    accessor: str
    token: AclToken
    reset_index: int = 0

    def apply(self, tables: Tables, index: int) -> str:
        """See the class."""
        known = standing.current(tables)
        if known.bootstrap_index != self.reset_index:
            return bootstrapped(known.bootstrap_index)
        if tables.get(TABLE, self.accessor) is not None:
            return CHANGED
        refused = _put(tables, self.accessor, self.token, index)
        if not refused:
            after = replace(known, bootstrap_index=index)
            tables.put(standing.TABLE, SINGLETON, after, index)
        return refused


def bootstrapped(reset_index: int) -> str:
    """Why ACL is not bootstrapped once more."""
    return f"ACL bootstrap already done (reset index: {reset_index})"


def _no_room(tables: Tables, known: AclToken | None, token: AclToken) -> str | Full | None:
    if known is None and len(tables.rows(TABLE)) >= TOKENS_MAX:
        return f"there are {TOKENS_MAX} tokens, which is the most there can be"
    more = weigh(token)[1] - (0 if known is None else weigh(known)[1])
    return limits.beyond(tables, {"": more})


def _put(tables: Tables, accessor: str, token: AclToken, index: int) -> str:
    """Write it, and forget that it was deleted once. Why not, or empty."""
    same = by_digest(tables, token.digest)
    if same is not None and same[0] != accessor:
        return "another token has this secret"
    if same is not None:  # the same secret: it may have been sealed again meanwhile
        sealed = same[1]
        token = replace(token, data=sealed.data, key_id=sealed.key_id, nonce=sealed.nonce)
    tables.delete(deleted.TABLE, accessor, index)
    tables.put(TABLE, accessor, token, index)
    return ""


class DeleteTokens(Command, frozen=True, kw_only=True):
    """Delete all of these tokens, or none. Result: the accessors of those that are not there."""

    TYPE: ClassVar[int] = 71
    LEVEL: ClassVar[int] = ACL_LEVEL

    accessors: tuple[str, ...]
    time_ns: int

    def apply(self, tables: Tables, index: int) -> tuple[str, ...]:
        """See the class."""
        accessors = tuple(dict.fromkeys(self.accessors[:DELETED_AT_ONCE]))
        rows = {each: row for each in accessors if (row := tables.get(TABLE, each)) is not None}
        missing = tuple(each for each in accessors if each not in rows)
        if missing:
            return missing
        for accessor, row in rows.items():
            tables.delete(TABLE, accessor, index)
            gone = DeletedToken(token_index=row.create_index, expires=row.expires)
            deleted.remember(tables, accessor, gone, index, self.time_ns)
        return ()


class ExpireTokens(Command, frozen=True, kw_only=True):
    """Delete those of these tokens that have expired by `time_ns`. Result: how many."""

    TYPE: ClassVar[int] = 72
    LEVEL: ClassVar[int] = ACL_LEVEL

    accessors: tuple[str, ...]
    time_ns: int

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        count = 0
        for accessor in self.accessors[:DELETED_AT_ONCE]:
            row = tables.get(TABLE, accessor)
            if row is not None and 0 < row.expires <= self.time_ns:
                tables.delete(TABLE, accessor, index)
                count += 1
        return count


class ReplaceTokenSeals(Command, frozen=True, kw_only=True):
    """Put these secrets in place, sealed with the active key `key_id`; they are the same ones.

    As `root_keys.ReplaceSeals` does for variables, below the same condition. Result: the modify
    index of the key's record now, 0 if nothing was done.
    """

    TYPE: ClassVar[int] = 73
    LEVEL: ClassVar[int] = ACL_LEVEL

    key_id: str
    modify_index: int
    rows: tuple[Resealed, ...]

    def apply(self, tables: Tables, index: int) -> int:
        """See the class."""
        record = root_keys.in_phase(tables, self.key_id, VALUES, self.modify_index)
        if record is None:
            return 0
        count = 0
        for each in self.rows:
            row = tables.get(TABLE, each.key)
            if row is None or row.nonce != each.was or row.key_id == self.key_id:
                continue
            sealed = replace(row, data=each.data, key_id=self.key_id, nonce=each.nonce)
            tables.amend(TABLE, each.key, sealed)
            count += 1
        record = replace(record, resealed=record.resealed + count)
        tables.put(root_keys.TABLE, self.key_id, record, index)
        return index


def _merge(ours: Reader, theirs: Reader) -> Mapping[str, AclToken]:
    """The archive's, without those that were deleted since.

    The cluster's own if the archive is from before ACL: nobody could come in any more.
    """
    if not standing.current(theirs).bootstrap_index:
        return ours.rows(TABLE)
    own, gone = ours.rows(TABLE), ours.rows(deleted.TABLE)
    forgotten = standing.current(ours).forgotten if _are_one(ours, theirs) else 0
    return {
        accessor: row
        for accessor, row in theirs.rows(TABLE).items()
        if accessor not in gone and (row.create_index > forgotten or accessor in own)
    }


def _are_one(ours: Reader, theirs: Reader) -> bool:
    """Whether both are states of one cluster: then their indexes compare."""
    us, them = cluster.current(ours), cluster.current(theirs)
    return us is not None and them is not None and us.cluster_id == them.cluster_id


def _digests(row: AclToken) -> tuple[str, ...]:
    return (row.digest.hex(),)


def _expiries(row: AclToken) -> tuple[str, ...]:
    return (_EXPIRES,) if row.expires else ()


def _age(row: AclToken) -> tuple[str, ...]:
    return (_place(row.create_index),)


def _place(create_index: int) -> str:
    return f"{create_index:016x}"


ALL_TABLES: Final = frozenset(
    {"acl_policies", "acl_tokens", deleted.TABLE.name, roles.TABLE.name, standing.TABLE.name}
)
"""The names of all tables of ACL."""

TABLE: Final = Table(
    name="acl_tokens",
    record=AclToken,
    on_restore=OnRestore.MERGED,
    restored="replaced, deleted ones stay so",
    merge_all=_merge,
    commands=(PutToken, BootstrapAcl, DeleteTokens, ExpireTokens, ReplaceTokenSeals),
    level=ACL_LEVEL,
    indexes=MappingProxyType({_BY_DIGEST: _digests, _BY_EXPIRY: _expiries, _BY_AGE: _age}),
    weigh=weigh,
)


def by_digest(reader: Reader, digest: bytes) -> tuple[str, AclToken] | None:
    """The accessor and record of the token whose secret has this SHA-256, or None."""
    return next(reader.with_value(TABLE, _BY_DIGEST, digest.hex()), None)


def by_age(reader: Reader, start: tuple[int, str] | None = None) -> Iterator[tuple[str, AclToken]]:
    """All tokens, the oldest first; from the create index and accessor of `start` on."""
    after = None
    if start is not None:
        create_index, accessor = start
        row = reader.get(TABLE, accessor)
        if row is not None and row.create_index == create_index:
            yield accessor, row
        after = (_place(create_index), accessor)
    yield from reader.in_order(TABLE, _BY_AGE, after)


def policies_of(reader: Reader, token: AclToken) -> tuple[str, ...]:
    """The names of its policies, sorted: its own, and those of its roles that are there."""
    names = set(token.policies)
    for role_id in token.roles:
        role = reader.get(roles.TABLE, role_id)
        names.update(() if role is None else role.policies)
    return tuple(sorted(names))


def that_expire(reader: Reader, after: str | None = None) -> Iterator[tuple[str, AclToken]]:
    """Those that expire at some time, in the order of their accessors."""
    return reader.with_value(TABLE, _BY_EXPIRY, _EXPIRES, after)
