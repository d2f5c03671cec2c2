"""Tokens and roles as a caller gives them, before a leader makes rows of them."""

from __future__ import annotations

import msgspec

from quorate.state.tables.acl.tokens import AclToken


class RoleNamed(msgspec.Struct, frozen=True, gc=False):
    """A role of a token, by its ID or by its name."""

    id: str = ""
    name: str = ""


class TokenGiven(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A token to be made, or, with an accessor, to be replaced but for its secret.

    `is_global` is None where nothing is said of it. It expires after `ttl_ns` nanoseconds, or at
    `expires` (Unix nanoseconds); neither may be changed later.
    """

    accessor: str = ""
    name: str = ""
    type: str = ""
    policies: tuple[str, ...] = ()
    roles: tuple[RoleNamed, ...] = ()
    is_global: bool | None = None
    ttl_ns: int = 0
    expires: int = 0


class RoleGiven(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A role to be made, or, with an ID, to be replaced."""

    id: str = ""
    name: str = ""
    description: str = ""
    policies: tuple[str, ...] = ()


class TokenMade(msgspec.Struct, frozen=True, gc=False):
    """A token as it was written, at this index of the state."""

    index: int
    accessor: str
    token: AclToken
    secret: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"TokenMade(index={self.index}, accessor={self.accessor!r})"


class TokenDeleted(msgspec.Struct, frozen=True, gc=False):
    """The index of the state at which it was deleted; the live servers that lag behind it."""

    index: int
    behind: tuple[str, ...] = ()
