"""The duty of a leader for root keys: to make the first one, to rotate and to remove them."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quorate.errors import ChangeRefused, NoSuchRootKey, QuorateError, WrappingKeyMissing
from quorate.server.leader.acts import Acts
from quorate.server.secrets.cipher import KEY_BYTES
from quorate.server.secrets.resealer import Resealer
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables import backups, root_keys, variables
from quorate.state.tables.acl import tokens
from quorate.state.tables.root_keys import (
    ACTIVE,
    DISKS,
    ROOT_KEYS_LEVEL,
    STILL_ACTIVE,
    VALUES,
    AddRootKey,
    EndPhase,
    RemoveRootKey,
    RootKey,
)

log = logging.getLogger("quorate.server")

_INTERVAL_S: Final = 0.1
_PAUSE_S: Final = 0.01
"""Between two batches of values that are sealed again: the writes of clients go on beside them."""
_LOOKED_AT_MAX: Final = 2000
"""Rows looked at in one step of the loop: some 0.5 ms."""
_AFTER_ERROR_S: Final = 5.0
_LIST: Final = "see how far it is: quorate operator root keyring list"


class RootKeeper:
    """See the module. `leads` says whether this server leads, and has applied all there was before.

    `unix_ns` gives the time of day in nanoseconds. `holders` names the members whose disks may hold
    text of that index or before. `draw` gives so many random bytes. `without` names the members
    that answer and lack that wrapping key; it is asked before a new root key is wrapped.
    `lacked_by` names them as a leader knows it already.
    """

    def __init__(
        self,
        *,
        state: StateStore,
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        acts: Acts,
        leads: Callable[[], bool],
        unix_ns: Callable[[], int],
        resealer: Resealer,
        holders: Callable[[int], Awaitable[list[str]]],
        draw: Callable[[int], bytes] = os.urandom,
        wrapping: Wrapping = NO_WRAPPING,
        without: Callable[[str], Awaitable[list[str]]] | None = None,
        lacked_by: Callable[[str], tuple[str, ...]] = lambda _: (),
    ) -> None:
        self._state = state
        self._apply = apply
        self._acts = acts
        self._leads = leads
        self._unix_ns = unix_ns
        self._resealer = resealer
        self._holders = holders
        self._draw = draw
        self._wrapping = wrapping
        self._without = without
        self._waits_for: list[str] = []
        self._lacked_by = lacked_by

    async def run(self) -> None:
        """For ever: what is to be done."""
        while True:
            await asyncio.sleep(_PAUSE_S if self._busy() else _INTERVAL_S)
            try:
                await self.round()
            except QuorateError as error:
                log.info("the work on root keys is postponed: %s", error.line())
                await asyncio.sleep(_AFTER_ERROR_S)

    def _busy(self) -> bool:
        found = root_keys.active(self._state) if self._leads() else None
        return found is not None and found[1].phase == VALUES

    async def round(self) -> None:
        """Do the next thing, if this server leads. Raises QuorateError."""
        if not self._leads():
            self._resealer.forget()
            return
        if self._state.level < ROOT_KEYS_LEVEL:
            return
        found = root_keys.active(self._state)
        if found is None:
            await self._apply(encode(await self._new_key()))
            return
        key_id, row = found
        if row.phase == VALUES:
            if await self._resealer.step(key_id, row):
                await self._end(key_id, row)
        elif row.phase == DISKS:
            await self._look_at_disks(key_id, row)

    async def _look_at_disks(self, key_id: str, row: RootKey) -> None:
        """End the phase once no member holds older text; a member that is away holds it up."""
        keys = self._state.rows(root_keys.TABLE).values()
        holders = await self._holders(max(each.unused_index for each in keys))
        if not holders:
            await self._end(key_id, row)
            log.info("no server holds text sealed with older root keys any more")
        elif holders != self._waits_for:
            log.info("text sealed with older root keys is on disks of: %s", ", ".join(holders))
        self._waits_for = holders

    async def rotate(self, *, full: bool) -> tuple[int, str]:
        """Make a new key the active one; values are sealed again in the background.

        Index of the state, and the ID of the key. Raises ChangeRefused if another rotation came
        first.
        """
        found = root_keys.active(self._state)
        command = await self._new_key(prev=found[0] if found else "", full=full)
        if self._state.level < ROOT_KEYS_LEVEL:  # refused, with the reason
            index, _ = await self._apply(encode(command))
            return index, command.key_id
        details = (("full", "true"),) if full else ()
        told = self._acts.told_as(command, "rotate the root key", command.key_id, details)
        index, refused = await self._apply(encode(told))
        if refused:
            raise ChangeRefused(f"the root key is not rotated: {refused}", _LIST)
        return index + self._state.shift, command.key_id

    async def remove(self, key_id: str, *, force: bool) -> int:
        """Remove a key that nothing needs; the index of the state.

        `force` passes over logs and snapshots, never over values that are there. Raises
        NoSuchRootKey, and ChangeRefused with what needs it.
        """
        row = self._state.get(root_keys.TABLE, key_id)
        if row is None:
            raise NoSuchRootKey
        if row.state == ACTIVE:
            raise ChangeRefused(STILL_ACTIVE, "run: quorate operator root keyring rotate")
        if not row.unused_index:
            raise ChangeRefused(
                "root key in use, cannot delete: values are sealed with it, and are being sealed "
                "again with the active key",
                _LIST,
            )
        needing = [] if force else backups.needing_key(self._state, key_id)
        if needing:
            raise ChangeRefused(
                "root key in use, cannot delete: values are sealed with it in the backup "
                f"{needing[0]}" + (f" and {len(needing) - 1} more" if needing[1:] else ""),
                "wait until retention has removed them; or remove it with -force",
            )
        holders = [] if force else await self._holders(row.unused_index)
        if holders:
            raise ChangeRefused(
                "root key in use, cannot delete: logs or snapshots may hold values sealed with it "
                f"on {', '.join(holders)}",
                "run: quorate operator root keyring rotate -full, which also removes older safety "
                "snapshots, and remove what was set aside: quorate operator recover prune; or "
                "remove it with -force, if no older snapshot is ever to be read again",
            )
        if needing_it := await self._needed_by(key_id):
            raise ChangeRefused(
                f"root key in use, cannot delete: {needing_it} is sealed with it",
                "run: quorate operator root keyring rotate",
            )
        command = RemoveRootKey(key_id=key_id, modify_index=row.modify_index)
        told = self._acts.told_as(command, "remove a root key", key_id)
        index, refused = await self._apply(encode(told))
        if refused:
            raise ChangeRefused(f"the root key is not removed: {refused}", "try again")
        return index + self._state.shift

    def lacked_by(self, wrapping_id: str) -> tuple[str, ...]:
        """Addresses of the members that this leader knows to lack that wrapping key."""
        return self._lacked_by(wrapping_id)

    async def _needed_by(self, key_id: str) -> str:
        """What is lost without the key; empty if there is nothing, as there should be."""
        for looked_at, (_, row) in enumerate(self._state.scan(variables.TABLE), start=1):
            if row.key_id == key_id:
                return f"the value of {row.path}"
            if looked_at % _LOOKED_AT_MAX == 0:
                await asyncio.sleep(0)
        for looked_at, (accessor, token) in enumerate(self._state.scan(tokens.TABLE), start=1):
            if token.key_id == key_id:
                return f"the secret of token {accessor}"
            if looked_at % _LOOKED_AT_MAX == 0:
                await asyncio.sleep(0)
        return ""

    async def _new_key(self, prev: str = "", *, full: bool = False) -> AddRootKey:
        if lacks := self._wrapping.lack(self._state):  # or the new one would lie in the clear
            raise WrappingKeyMissing(prev, lacks[0])
        wanted = self._wrapping.current_id
        if wanted and self._without is not None and (lacking := await self._without(wanted)):
            raise ChangeRefused(
                f"no root key is made: wrapping key {wanted} is not on {', '.join(lacking)}",
                "give it to all servers (server.wrapping_key_file), and start them again",
            )
        key_id = str(uuid.UUID(bytes=self._draw(16), version=4))
        key, wrapped_by = self._wrapping.wrap(key_id, self._draw(KEY_BYTES))
        return AddRootKey(
            key_id=key_id,
            key=key,
            wrapped_by=wrapped_by,
            create_time=self._unix_ns(),
            full=full,
            prev=prev,
        )

    async def _end(self, key_id: str, row: RootKey) -> None:
        command = EndPhase(key_id=key_id, phase=row.phase, modify_index=row.modify_index)
        await self._apply(encode(command))
