"""An operator's acts on tokens, policies and roles, on the leader.

The leader reads policies, off the loop; makes accessors and secrets, and seals them; and looks at
what is there. Each act is one command, which is refused where something else came first.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from quorate.acl.checks.policies import checked_policy
from quorate.acl.checks.roles import check_role
from quorate.acl.checks.tokens import ExpiryBounds, check_token, is_uuid
from quorate.acl.invalid import AclInvalid
from quorate.errors import NoSuchRole, StateFull
from quorate.net.threads import in_thread
from quorate.server.access.given import (
    RoleGiven,
    RoleNamed,
    TokenDeleted,
    TokenGiven,
    TokenMade,
)
from quorate.server.access.secrets import seal_secret, secret_of
from quorate.server.leader.acts import Acts
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.tables.acl import roles, standing, tokens
from quorate.state.tables.acl.policies import AclPolicy, DeletePolicy, PutPolicy
from quorate.state.tables.acl.roles import CHANGED, AclRole, DeleteRole, PutRole
from quorate.state.tables.acl.tokens import (
    MANAGEMENT,
    AclToken,
    BootstrapAcl,
    DeleteTokens,
    PutToken,
    bootstrapped,
)
from quorate.state.tables.limits import Full

RESET_FILE: Final = "acl-bootstrap-reset"
"""In the folder of the server that leads: the index of the last bootstrap, to do it once more."""

BOOTSTRAP_NAME: Final = "Bootstrap Token"

_RESET_BYTES_MAX: Final = 64
_TRIES: Final = 4
"""Of a write over what another one has changed meanwhile."""


class AclAdmin:
    """See the module. `folder` is the server's own; `unix_ns` gives Unix nanoseconds.

    `behind` gives the names of live servers that have not applied the entry of that index soon;
    `refusal` puts a bound of the state into words; `make_id` gives a UUID that is a secret too.
    """

    def __init__(
        self,
        *,
        state: StateStore,
        sealer: Sealer,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        acts: Acts,
        unix_ns: Callable[[], int],
        folder: Path,
        bounds: ExpiryBounds,
        behind: Callable[[int], Awaitable[tuple[str, ...]]],
        refusal: Callable[[Full], StateFull],
        make_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._state = state
        self._sealer = sealer
        self._apply = apply
        self._acts = acts
        self._unix_ns = unix_ns
        self._folder = folder
        self._bounds = bounds
        self._behind = behind
        self._refusal = refusal
        self._make_id = make_id

    # -- bootstrap ---------------------------------------------------------------------------------

    async def bootstrap(self, secret: str = "") -> TokenMade:
        """Make the first token, of management, with that secret or one that is made here.

        Once more only if the file `acl-bootstrap-reset` holds the index of the last bootstrap.
        Raises AclInvalid, CannotSealYet.
        """
        if secret and not is_uuid(secret):
            raise AclInvalid("invalid acl token", "give a UUID as BootstrapSecret, or none")
        known = standing.current(self._state).bootstrap_index
        reset_index = await in_thread(self._reset_index) if known else None
        if known and reset_index is None:
            raise AclInvalid(
                bootstrapped(known),
                f"to make another one write {known} into {self._folder / RESET_FILE} on the leader",
            )
        if known and reset_index != known:
            raise AclInvalid(
                f"Invalid bootstrap reset index (specified {reset_index}, reset index: {known})"
            )
        accessor = self._make_id()
        token = self._new(
            accessor,
            secret or self._make_id(),
            AclToken(
                digest=b"",
                data=b"",
                name=BOOTSTRAP_NAME,
                type=MANAGEMENT,
                is_global=True,
                create_time=self._unix_ns(),
            ),
        )
        command = BootstrapAcl(accessor=accessor, token=token, reset_index=known)
        index, refused = await self._done(command, "bootstrap ACL", accessor)
        if refused:
            raise AclInvalid(refused)
        return self._made(index, accessor)

    def _reset_index(self) -> int | None:
        """In a thread: the index in the file; None if there is none. -1 for what is no index."""
        try:
            with (self._folder / RESET_FILE).open("rb") as file:
                text = file.read(_RESET_BYTES_MAX).strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else -1

    # -- policies ----------------------------------------------------------------------------------

    async def put_policy(self, name: str, description: str, rules: str) -> int:
        """Write a policy whole; the index of the state. Raises AclInvalid, StateFull."""
        rights = await in_thread(checked_policy, name, description, rules)
        policy = AclPolicy(name=name, description=description, rules=rules, rights=rights)
        index, refused = await self._done(PutPolicy(policy=policy), "write ACL policy", name)
        if refused:
            raise AclInvalid(refused)
        return index

    async def delete_policy(self, name: str) -> int:
        """Delete a policy, if it is there; the index of the state."""
        index, _ = await self._done(DeletePolicy(name=name), "delete ACL policy", name)
        return index

    # -- roles -------------------------------------------------------------------------------------

    async def put_role(self, given: RoleGiven) -> tuple[int, str, AclRole]:
        """Write a role; the index of the state, its ID and its record. Raises AclInvalid."""
        names = tuple(dict.fromkeys(given.policies))
        check_role(given.name, given.description, names)
        role = AclRole(name=given.name, description=given.description, policies=names)
        for _ in range(_TRIES):
            role_id, since = given.id or self._make_id(), 0
            if given.id:
                known = self._state.get(roles.TABLE, given.id)
                if known is None:
                    raise AclInvalid(f"cannot find role {given.id}")
                since = known.modify_index
            command = PutRole(role_id=role_id, role=role, since=since)
            index, refused = await self._done(command, "write ACL role", role_id)
            if refused != CHANGED:
                break
        if refused:
            raise AclInvalid(refused)
        written = self._state.get(roles.TABLE, role_id)
        return index, role_id, written if written is not None else role

    async def delete_role(self, role_id: str) -> int:
        """Delete a role; the index of the state. Raises NoSuchRole."""
        index, was_there = await self._done(DeleteRole(role_id=role_id), "delete ACL role", role_id)
        if not was_there:
            raise NoSuchRole
        return index

    # -- tokens ------------------------------------------------------------------------------------

    async def put_token(self, given: TokenGiven) -> TokenMade:
        """Make a token, or replace one but for its secret. Raises AclInvalid, CannotSealYet."""
        for _ in range(_TRIES):
            accessor, token, since = self._wanted(given)
            command = PutToken(accessor=accessor, token=token, since=since)
            what = "write ACL token" if since else "create ACL token"
            index, refused = await self._done(command, what, accessor)
            if refused != CHANGED:
                break
        if refused:
            raise AclInvalid(refused)
        return self._made(index, accessor)

    def _wanted(self, given: TokenGiven) -> tuple[str, AclToken, int]:
        """The accessor, the record, and as which one it must be there. Raises AclInvalid."""
        links = self._roles_named(given.roles)
        policies = tuple(dict.fromkeys(given.policies))
        if given.accessor:
            return self._changed(given, policies, links)
        now = self._unix_ns()
        ttl_ns = given.ttl_ns or (given.expires - now if given.expires else 0)
        # If both are given the time counts, so that is what the bounds are for.
        lives_ns = given.expires - now if given.expires else given.ttl_ns or None
        check_token(
            *(given.name, given.type, policies, links),
            ttl_ns=lives_ns,
            bounds=self._bounds,
        )
        accessor = self._make_id()
        token = AclToken(
            digest=b"",
            data=b"",
            name=given.name,
            type=given.type,
            policies=policies,
            roles=links,
            is_global=bool(given.is_global),
            create_time=now,
            ttl_ns=ttl_ns,
            expires=given.expires or (now + ttl_ns if ttl_ns else 0),
        )
        return accessor, self._new(accessor, self._make_id(), token), 0

    def _changed(
        self, given: TokenGiven, policies: tuple[str, ...], links: tuple[str, ...]
    ) -> tuple[str, AclToken, int]:
        known = self._state.get(tokens.TABLE, given.accessor)
        if known is None:
            raise AclInvalid(f"cannot find token {given.accessor}")
        check_token(*(given.name, given.type, policies, links), ttl_ns=None, bounds=self._bounds)
        if given.is_global is not None and given.is_global != known.is_global:
            raise AclInvalid(f"token {given.accessor}: Global cannot be changed, make another one")
        if given.ttl_ns not in {0, known.ttl_ns} or given.expires not in {0, known.expires}:
            raise AclInvalid(
                f"token {given.accessor}: its expiration cannot be changed, make another one"
            )
        token = replace(known, name=given.name, type=given.type, policies=policies, roles=links)
        return given.accessor, token, known.modify_index

    def _roles_named(self, given: tuple[RoleNamed, ...]) -> tuple[str, ...]:
        """The IDs of these roles. Raises AclInvalid for one that is not there."""
        found: dict[str, None] = {}
        for each in given:
            role_id = each.id
            if not role_id:
                named = roles.by_name(self._state, each.name)
                role_id = named[0] if named is not None else ""
            if not role_id or self._state.get(roles.TABLE, role_id) is None:
                raise AclInvalid(f"cannot find role {(each.id or each.name)[:128]}")
            found[role_id] = None
        return tuple(found)

    def _new(self, accessor: str, secret: str, token: AclToken) -> AclToken:
        """The token with that secret. Raises CannotSealYet, KeyMissing."""
        sealed = seal_secret(self._sealer, accessor, secret)
        return replace(
            token,
            digest=sha256(secret.encode()).digest(),
            data=sealed.data,
            key_id=sealed.key_id,
            nonce=sealed.nonce,
        )

    def _made(self, index: int, accessor: str) -> TokenMade:
        token = self._state.get(tokens.TABLE, accessor)
        if token is None:  # as soon as it was there
            raise AclInvalid(f"token {accessor} was deleted meanwhile")
        return TokenMade(index, accessor, token, self.secret_of(accessor, token))

    def secret_of(self, accessor: str, token: AclToken) -> str:
        """The secret of that token. Raises KeyMissing, SealBroken."""
        return secret_of(self._sealer, accessor, token)

    async def delete_token(self, accessor: str) -> TokenDeleted:
        """Delete a token, and wait a moment until all live servers know. Raises AclInvalid."""
        command = DeleteTokens(accessors=(accessor,), time_ns=self._unix_ns())
        index, missing = await self._done(command, "delete ACL token", accessor)
        if missing:
            raise AclInvalid(f"Cannot delete nonexistent tokens: {', '.join(missing)[:128]}")
        return TokenDeleted(index, await self._behind(index - self._state.shift))

    async def _done(self, command: Command, what: str, subject: str) -> tuple[int, Any]:
        """Replicate it, told as that act: the index of the state, and its result."""
        told = self._acts.told_as(command, what, subject)
        index, result = await self._apply(encode(told))
        if isinstance(result, Full):
            raise self._refusal(result)
        return index + self._state.shift, result
