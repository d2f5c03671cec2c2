"""The leader's knowledge of which members have the wrapping keys that the root keys need.

A member without them gets no vote, and a root key is not wrapped with a key that members lack.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from quorate.errors import QuorateError
from quorate.raft.values.configuration import Server as Member
from quorate.replica.replica import Replica
from quorate.server.leader.acts import Acts
from quorate.server.rpc.calls import Callers
from quorate.server.secrets.wrapping import Wrapping, needed
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables.root_keys import ROOT_KEYS_LEVEL, Rewrapped, RewrapRootKeys

log = logging.getLogger("quorate.server")

WRAPPING_CALL: Final = "wrapping-keys"

_LOOK_S: Final = 1.0
_CALL_TIMEOUT_S: Final = 3.0
_IDS_MAX: Final = 16


class WrappingRequest(msgspec.Struct, frozen=True):
    """The argument of the call: there is nothing to say."""


class WrappingAnswer(msgspec.Struct, frozen=True):
    """The IDs of the wrapping keys that the server has."""

    ids: tuple[str, ...]


class WrappingMembers:
    """See the module. `leads`: this server leads, and has applied all there was before."""

    def __init__(
        self,
        *,
        replica: Replica[object],
        state: StateStore,
        callers: Callers,
        wrapping: Wrapping,
        leads: Callable[[], bool],
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        acts: Acts,
    ) -> None:
        self._replica = replica
        self._me = replica.server_id
        self._state = state
        self._callers = callers
        self._wrapping = wrapping
        self._leads = leads
        self._apply = apply
        self._acts = acts
        self._heard: dict[str, frozenset[str]] = {}
        self._told = ""
        self._warned = ""

    async def run(self) -> None:
        """For ever: ask the members while keys are wrapped, and wrap again what is to be."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self._leads() or self._state.level < ROOT_KEYS_LEVEL:
                self._heard = {}
                continue
            if not (self._wrapping.ids or needed(self._state)):
                continue
            try:
                await self.round()
            except QuorateError as error:
                self._tell(f"root keys are not wrapped again: {error.line()}")

    async def round(self) -> None:
        """Ask all members; wrap the root keys again if they can do with it. Raises QuorateError."""
        members = self._replica.node.configuration.servers
        found = await asyncio.gather(*(self._ask(each) for each in members))
        self._heard = {
            each.id: ids for each, ids in zip(members, found, strict=True) if ids is not None
        }
        if (text := self.warning()) != self._warned:
            self._warned = text
            if text:
                log.warning("%s", text)
            else:
                log.info("all members that answer have the wrapping keys of the root keys")
        await self._rewrap(members)

    async def _rewrap(self, members: tuple[Member, ...]) -> None:
        stale = self._wrapping.stale(self._state)
        if not stale:
            self._told = ""
            return
        wanted = self._wrapping.current_id
        waits_for = [
            each.address
            for each in members
            if wanted and wanted not in self._heard.get(each.id, ())
        ]
        if waits_for:
            raise QuorateError(
                f"wrapping key {wanted} is not known to be on {', '.join(waits_for)}",
                "give it to all servers, and reload them (SIGHUP), or start them again",
            )
        rows = []
        for key_id, row in stale:
            key, wrapped_by = self._wrapping.wrap(key_id, self._wrapping.unwrap(key_id, row))
            rows.append(Rewrapped(key_id, row.modify_index, key, wrapped_by))
        command = RewrapRootKeys(rows=tuple(rows))
        what = f"wrap the root keys with {wanted}" if wanted else "unwrap the root keys"
        told = self._acts.told_as(command, what, wanted)
        _, done = await self._apply(encode(told))
        if done:
            log.info("%d root keys: %s", done, what)

    async def without(self, wrapping_id: str) -> list[str]:
        """The members that answer, and do not have that wrapping key."""
        members = self._replica.node.configuration.servers
        found = await asyncio.gather(*(self._ask(each) for each in members))
        asked = zip(members, found, strict=True)
        return [each.address for each, ids in asked if ids is not None and wrapping_id not in ids]

    def why_no_vote(self, server_id: str) -> str:
        """Why that member gets no vote, or empty."""
        wanted = needed(self._state)
        if not wanted or server_id == self._me:
            return ""
        heard = self._heard.get(server_id)
        if heard is None:
            return f"it has not said as yet whether it has wrapping key {_named(wanted)}"
        lacks = wanted - heard
        return f"it does not have wrapping key {_named(lacks)} of the root keys" if lacks else ""

    def problem(self) -> str:
        """Why this server itself cannot read values, with the cure; or empty."""
        lacks = self._wrapping.lack(self._state)
        if not lacks:
            return ""
        return (
            f"the root keys are wrapped with key {_named(frozenset(lacks))}, which this server "
            "does not have: it reads and seals no values, and should not lead; give it the key "
            "(server.wrapping_key_file) and reload it (SIGHUP), or start it again"
        )

    def trouble(self) -> str:
        """Why another member should lead; empty if none is known to be better off."""
        wanted = needed(self._state)
        better = any(wanted <= ids for who, ids in self._heard.items() if who != self._me)
        return self.problem() if better else ""

    def warning(self) -> str:
        """On the leader: the other members that lack wrapping keys, with the cure; or empty."""
        wanted = needed(self._state)
        members = self._replica.node.configuration.servers
        lacks = {
            each.address: wanted - self._heard[each.id]
            for each in members
            if each.id != self._me and not wanted <= self._heard.get(each.id, wanted)
        }
        if not lacks:
            return ""
        keys = frozenset().union(*lacks.values())
        return (
            f"{', '.join(lacks)} lack wrapping key {_named(keys)} of the root keys: such a server "
            "gets no vote, reads no values and should not lead; give it the key "
            "(server.wrapping_key_file) and reload it (SIGHUP), or start it again"
        )

    def lacked_by(self, wrapping_id: str) -> tuple[str, ...]:
        """On the leader: addresses of the members that lack that key."""
        members = self._replica.node.configuration.servers
        heard = self._heard
        return tuple(
            each.address for each in members if wrapping_id not in heard.get(each.id, {wrapping_id})
        )

    def lacking(self) -> frozenset[str]:
        """The IDs of members that are known to lack wrapping keys."""
        wanted = needed(self._state)
        return frozenset(who for who, ids in self._heard.items() if not wanted <= ids)

    async def own(self) -> WrappingAnswer:
        """The answer to another server."""
        return WrappingAnswer(tuple(sorted(self._wrapping.ids)))

    async def _ask(self, member: Member) -> frozenset[str] | None:
        if member.id == self._me:
            return self._wrapping.ids
        try:
            found = await self._callers.call(
                *(member.address, WRAPPING_CALL, WrappingRequest(), WrappingAnswer),
                _CALL_TIMEOUT_S,
                server_id=member.id,
            )
        except QuorateError:
            return None
        return frozenset(found.ids[:_IDS_MAX])

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            log.warning("%s", text)


def _named(ids: frozenset[str]) -> str:
    return ", ".join(sorted(ids)[:3])
