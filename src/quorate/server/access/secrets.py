"""The secrets of tokens, sealed as the values of variables are (`quorate.server.secrets`).

A token's place in the seal is its accessor, in a namespace that no variable can have.
"""

from __future__ import annotations

from typing import Final

import msgspec

from quorate.server.secrets.sealer import Sealer
from quorate.state.tables.acl.tokens import AclToken
from quorate.state.tables.variables import Sealed

PLACE: Final = "acl_tokens"
"""Names of namespaces have no underscore."""


class SealedToken(msgspec.Struct, frozen=True, gc=False):
    """A token, as the sealer needs it."""

    path: str
    data: bytes
    key_id: str
    nonce: bytes
    namespace: str = PLACE


def sealed_token(accessor: str, token: AclToken) -> SealedToken:
    """Where and how the secret of that token is sealed."""
    return SealedToken(accessor, token.data, token.key_id, token.nonce)


def seal_secret(sealer: Sealer, accessor: str, secret: str) -> Sealed:
    """For the leader alone. Raises CannotSealYet, KeyMissing."""
    return sealer.seal_packed(PLACE, accessor, secret.encode())


def secret_of(sealer: Sealer, accessor: str, token: AclToken) -> str:
    """The secret of that token. Raises KeyMissing, SealBroken."""
    return sealer.packed(sealed_token(accessor, token)).decode()
