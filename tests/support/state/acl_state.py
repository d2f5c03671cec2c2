"""A store with tables of ACL, and short ways to fill them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from quorate.levels import LEVEL
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.policies import AclPolicy, PutPolicy
from quorate.state.tables.acl.roles import AclRole, PutRole
from quorate.state.tables.acl.tokens import AclToken, BootstrapAcl, DeleteTokens, PutToken
from quorate.state.tables.cluster import SetClusterMetadata


def token(secret: str, **fields: Any) -> AclToken:
    """A token with that secret; what seals it is not real."""
    digest = sha256(secret.encode()).digest()
    return AclToken(digest=digest, data=b"sealed " + digest, key_id="k", nonce=digest, **fields)


class AclState:
    """A store of today's level, whose commands are applied one after the other."""

    def __init__(self, cluster_id: str = "ours") -> None:
        self.store = StateStore(TODAY)
        self.apply(RaiseLevel(level=LEVEL))
        self.apply(SetClusterMetadata(cluster_id=cluster_id))

    def apply(self, command: Command) -> Any:
        return self.store.apply(self.store.applied_index + 1, encode(command))

    def bootstrap(self, accessor: str = "boss", reset_index: int = 0) -> Any:
        first = token(accessor, name="Bootstrap Token", type=tokens.MANAGEMENT)
        return self.apply(BootstrapAcl(accessor=accessor, token=first, reset_index=reset_index))

    def create(self, accessor: str, secret: str = "", **fields: Any) -> Any:
        return self.apply(PutToken(accessor=accessor, token=token(secret or accessor, **fields)))

    def update(self, accessor: str, secret: str = "", **fields: Any) -> Any:
        row = self.store.get(tokens.TABLE, accessor)
        since = 0 if row is None else row.modify_index
        wanted = token(secret or accessor, **fields)
        return self.apply(PutToken(accessor=accessor, token=wanted, since=since))

    def delete(self, *accessors: str, time_ns: int = 10) -> Any:
        return self.apply(DeleteTokens(accessors=accessors, time_ns=time_ns))

    def policy(self, name: str, rules: str = "") -> Any:
        return self.apply(PutPolicy(policy=AclPolicy(name=name, rules=rules)))

    def role(self, role_id: str, name: str, *policies: str, since: int = 0) -> Any:
        role = AclRole(name=name, policies=policies)
        return self.apply(PutRole(role_id=role_id, role=role, since=since))

    @property
    def accessors(self) -> list[str]:
        return list(self.store.rows(tokens.TABLE))
