"""The secrets of tokens that are sealed with older root keys, sealed again a batch at a time.

There is no replicated place as of variables: a row says itself with which key it is sealed, and a
new leader passes over those that are done.
"""

from __future__ import annotations

import logging
from typing import Final

from quorate.errors import KeyMissing, SealBroken
from quorate.server.access.secrets import sealed_token
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl import tokens
from quorate.state.tables.root_keys import Resealed

log = logging.getLogger("quorate.server")

_LOOKED_AT_MAX: Final = 2000


class TokenSeals:
    """See the module. `held`: there is a token whose secret does not open here."""

    def __init__(self, state: StateStore, sealer: Sealer, rows_max: int) -> None:
        self._state = state
        self._sealer = sealer
        self._rows_max = rows_max
        self._after = ""
        self.held = False

    def begin(self) -> None:
        """Look at all of them again."""
        self._after, self.held = "", False

    def some(self, key_id: str) -> tuple[tuple[Resealed, ...], bool]:
        """The next secrets, sealed again with the active key `key_id`; whether there are no more.

        Raises CannotSealYet, KeyMissing of the active key.
        """
        found: list[Resealed] = []
        rows = self._state.scan(tokens.TABLE, after=self._after or None)
        for looked_at, (accessor, token) in enumerate(rows):
            if looked_at >= _LOOKED_AT_MAX or len(found) >= self._rows_max:
                return tuple(found), False
            self._after = accessor
            if token.key_id in {key_id, ""}:
                continue
            sealed = sealed_token(accessor, token)
            try:
                packed = self._sealer.packed(sealed)
            except (KeyMissing, SealBroken) as error:
                log.warning("the secret of token %s cannot be sealed again: %s", accessor, error)
                self.held = True
                continue
            again = self._sealer.seal_packed(sealed.namespace, accessor, packed)
            if again.key_id == key_id:  # or another rotation came
                found.append(Resealed(accessor, token.nonce, again.data, again.nonce))
        return tuple(found), True
