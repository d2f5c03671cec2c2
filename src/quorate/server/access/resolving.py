"""From the secret of a token to its caller, by the replicated state as this server has applied it.

A caller is resolved once and kept until something of it changes: then a look-up is all it takes,
however many tokens and policies there are. Secrets that are not known are not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from quorate.acl.caller import ANONYMOUS_ACCESSOR, Caller
from quorate.acl.rights import EVERYTHING, NOTHING, Rights
from quorate.acl.values import PolicyRights
from quorate.errors import TokenExpired, TokenNotFound, TooManyRules
from quorate.state.engine.changes import Change
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl import policies, roles, tokens
from quorate.state.tables.acl.policies import ANONYMOUS
from quorate.state.tables.acl.tokens import MANAGEMENT, AclToken

CALLERS_MAX: Final = 16_384
"""Callers that are kept, some 500 bytes each; those that came first go first."""

RIGHTS_MAX: Final = 1024
"""Sets of policies whose rights are kept."""

RULES_MAX: Final = 4096
"""Namespaces and paths in the policies of one caller together: 20 ms of the event loop when they
are put together, and half a millisecond for each request."""

ANONYMOUS_NAME: Final = "Anonymous Token"

_TABLES: Final = (tokens.TABLE.name, policies.TABLE.name, roles.TABLE.name)
_TOKENS: Final = tokens.TABLE.name
_NS_PER_MS: Final = 1_000_000


class Resolver:
    """See the module. `readable` gives the state, or raises what keeps it from being answered from.

    Not safe for threads.
    """

    def __init__(self, state: StateStore, readable: Callable[[], StateStore]) -> None:
        self._state = state
        self._readable = readable
        self._callers: dict[str, Caller] = {}  # by secret
        self._secrets: dict[str, str] = {}  # by accessor, of those
        self._rights: dict[tuple[str, ...], Rights] = {}  # by names of policies
        self._anonymous: Caller | None = None
        state.follow(self._changed, _TABLES)

    def caller(self, secret: str, now_s: float) -> Caller:
        """The caller with that secret; an empty one is that of an anonymous caller.

        `now_s` is Unix time. Raises TokenNotFound, TokenExpired, TooManyRules, and what `readable`
        raises.
        """
        self._readable()
        if not secret:
            return self._anonymous or self._new_anonymous()
        caller = self._callers.get(secret)
        if caller is None:
            caller = self._found(secret)
        if caller.expires_ms and caller.expires_ms <= now_s * 1000:
            raise TokenExpired
        return caller

    @property
    def kept(self) -> int:
        """How many callers are kept."""
        return len(self._callers)

    def _found(self, secret: str) -> Caller:
        digest = sha256(secret.encode("utf-8", "replace")).digest()
        found = tokens.by_digest(self._state, digest)
        # The index was asked with the digest, so its time tells nothing of the secret itself.
        if found is None or not compare_digest(found[1].digest, digest):
            raise TokenNotFound
        accessor, token = found
        caller = self._caller_of(accessor, token)
        if len(self._callers) >= CALLERS_MAX:
            first = self._callers.pop(next(iter(self._callers)))
            self._secrets.pop(first.accessor, None)
        self._callers[secret] = caller
        self._secrets[accessor] = secret
        return caller

    def _caller_of(self, accessor: str, token: AclToken) -> Caller:
        if token.type == MANAGEMENT:
            rights = EVERYTHING
        else:
            rights = self._rights_of(tokens.policies_of(self._state, token))
        return Caller(accessor, token.name, rights, -(-token.expires // _NS_PER_MS))

    def _rights_of(self, names: tuple[str, ...]) -> Rights:
        rights = self._rights.get(names)
        if rights is None:
            if len(self._rights) >= RIGHTS_MAX:
                self._rights.clear()
            rights = self._rights[names] = self._compiled(names)
        return rights

    def _compiled(self, names: Iterable[str]) -> Rights:
        found: list[PolicyRights] = []
        rules = 0
        for name in names:
            row = policies.by_name(self._state, name)
            if row is None:
                continue
            found.append(row.rights)
            rules += row.rights.rule_count()
            if rules > RULES_MAX:
                raise TooManyRules(RULES_MAX)
        return Rights(found) if found else NOTHING

    def _new_anonymous(self) -> Caller:
        rights = self._rights_of((ANONYMOUS,))
        self._anonymous = Caller(ANONYMOUS_ACCESSOR, ANONYMOUS_NAME, rights)
        return self._anonymous

    def _changed(self, changes: list[Change] | None) -> None:
        """A token that changed is resolved again; after another change all callers are."""
        if changes is not None and all(change.table == _TOKENS for change in changes):
            for change in changes:
                secret = self._secrets.pop(change.key, None)
                if secret is not None:
                    self._callers.pop(secret, None)
            return
        self._callers.clear()
        self._secrets.clear()
        self._rights.clear()
        self._anonymous = None
