"""After a rotation: the leader seals older values again with the active key, a batch at a time.

First the values of variables, then the secrets of tokens (`server.secrets.token_seals`).

How far it has come stands in the replicated record of the active key, so the next leader goes on
there. The work begins with an entry that changes nothing, and goes on when that is applied: then
all that this leader had sealed with an older key is applied too, and no value can come to lie
behind it that it would have to look at once more.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quorate.errors import KeyMissing, QuorateError, SealBroken
from quorate.server.secrets.sealer import Sealer
from quorate.server.secrets.token_seals import TokenSeals
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables import variables
from quorate.state.tables.acl.tokens import ReplaceTokenSeals
from quorate.state.tables.root_keys import ReplaceSeals, Resealed, RootKey

log = logging.getLogger("quorate.server")

_LOOKED_AT_MAX: Final = 2000
"""Rows looked at in one step of the loop: some 0.5 ms."""

_ROWS_MAX: Final = 128
"""Values sealed again in one step: some 1.5 ms."""

_BYTES_MAX: Final = 256 * 1024


class Resealer:
    """See the module."""

    def __init__(
        self,
        state: StateStore,
        sealer: Sealer,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        rows_max: int = _ROWS_MAX,
    ) -> None:
        self._state = state
        self._sealer = sealer
        self._apply = apply
        self._rows_max = rows_max
        self._tokens = TokenSeals(state, sealer, rows_max)
        self._of = 0  # the modify index of the key's record of which the rest is
        self._after = ""  # the last row that was looked at
        self._held_at: str | None = None  # behind which row the first one lies that does not open

    async def step(self, key_id: str, row: RootKey) -> bool:
        """Seal some values again; True once there are none left. Raises QuorateError.

        `row` is the record of the active key. The replicated place never passes a value that does
        not open here: another leader may have its key.
        """
        found: list[Resealed] = []
        at_end, begins = False, self._of != row.modify_index
        if begins:
            # Its entry comes behind all that this server has sealed with an older key, and has
            # asked for, be it in the log or not.
            self._after, self._held_at = row.after, None
            self._tokens.begin()
        else:
            found, at_end = self._some(key_id)
        if found or begins:
            after = self._after if self._held_at is None else self._held_at
            command = ReplaceSeals(
                key_id=key_id, modify_index=row.modify_index, after=after, rows=tuple(found)
            )
            self.forget()  # if it fails, these are looked at again
            _, self._of = await self._apply(encode(command))
            return False
        if at_end:
            again, at_end = self._tokens.some(key_id)
            if again:
                tokens = ReplaceTokenSeals(key_id=key_id, modify_index=row.modify_index, rows=again)
                self.forget()
                _, self._of = await self._apply(encode(tokens))
                return False
        if at_end and (self._held_at is not None or self._tokens.held):
            self.forget()
            raise QuorateError(
                "there are values that do not open, so their root key stays in use",
                "see the lines before; write them again, or delete them",
            )
        return at_end

    def forget(self) -> None:
        """This server does not lead: what it knows of its own writes counts no more."""
        self._of = 0

    def _some(self, key_id: str) -> tuple[list[Resealed], bool]:
        """The next values, sealed again; whether there are no more rows."""
        found: list[Resealed] = []
        looked_at = size = 0
        for key, row in self._state.scan(variables.TABLE, after=self._after or None):
            if looked_at >= _LOOKED_AT_MAX or len(found) >= self._rows_max or size >= _BYTES_MAX:
                return found, False
            looked_at += 1
            before, self._after = self._after, key
            if row.key_id in {key_id, ""}:
                continue
            try:
                packed = self._sealer.packed(row)
            except (KeyMissing, SealBroken) as error:
                log.warning("a value cannot be sealed again: %s", error)
                self._held_at = before if self._held_at is None else self._held_at
                continue
            sealed = self._sealer.seal_packed(row.namespace, row.path, packed)
            if sealed.key_id != key_id:  # another rotation came
                self.forget()
                return [], False
            found.append(Resealed(key, row.nonce, sealed.data, sealed.nonce))
            size += len(sealed.data)
        return found, True
