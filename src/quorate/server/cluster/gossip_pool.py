"""The pool by gossip: what this server tells of itself there, and what it learns of others.

One pool spans all regions; only servers are let in (docs/wire.md#server-tags). What the pool says
goes into the directory, from which all else is decided.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from quorate.errors import QuorateError
from quorate.gossip.allowance import Allowance
from quorate.gossip.effects import ConflictFound, KeyAction, MemberChanged
from quorate.gossip.effects import Member as PoolMember
from quorate.gossip.messages import Address, SerfStatus
from quorate.gossip.messages import Versions as PoolVersions
from quorate.gossip.settings import LAN, WAN, Settings
from quorate.metrics import Metrics
from quorate.pool.addresses import join_text
from quorate.pool.options import PoolOptions
from quorate.pool.pool import Pool
from quorate.pool.refusals import Told
from quorate.pool.results import KeyResult
from quorate.pool.search import Search
from quorate.server.cluster.directory import STATUSES, Directory
from quorate.server.cluster.identity import Identity, identity_from_tags
from quorate.server.options import GossipOptions, ServerOptions
from quorate.server.views.records import (
    JoinResult,
    KeyringOperation,
    KeyringResult,
    Member,
    Versions,
)
from quorate.wire.serf.tags import encode_tags

log = logging.getLogger("quorate.server")

SERVERS_MAX = 512
"""Servers in a pool. To take so many in at once costs some 10 ms; no federation has as many."""

NEW_SERVERS_PER_S = 16.0
"""New names a second, after as many as the pool holds at once."""

_CLUSTER_ID_CHARS = 36
_LOG_LINES = 60.0
_LOG_LINES_PER_S = 1.0
_FIRST_PAUSE_S = 0.5  # between tries to join at first; doubled up to `retry_interval`
_NAMESAKE_S = 180.0  # as long as the full exchanges that tell of it take, and again
_LOOK_AGAIN_S = 5.0  # between two looks whether this server is alone again
_RECONNECT_TIMEOUT_S = 72 * 3600.0  # docs/wire.md#server-tags

_ACTIONS = {
    KeyringOperation.LIST: KeyAction.LIST,
    KeyringOperation.INSTALL: KeyAction.INSTALL,
    KeyringOperation.USE: KeyAction.USE,
    KeyringOperation.REMOVE: KeyAction.REMOVE,
}


def pool_settings(profile: str) -> Settings:
    """Timing and bounds of a server in its pool, "lan" or "wan"."""
    # A name is not worth stopping a server for: servers are known by their IDs.
    return msgspec.structs.replace(
        LAN if profile == "lan" else WAN,
        reconnect_timeout_s=_RECONNECT_TIMEOUT_S,
        resolve_conflicts=False,
        members_max=SERVERS_MAX,
        forgotten_max=4 * SERVERS_MAX,
        intents_max=SERVERS_MAX,
        queue_max=2 * SERVERS_MAX,
        new_names=float(SERVERS_MAX),
        new_names_per_s=NEW_SERVERS_PER_S,
    )


class GossipPool:
    """See the module. `start`, use, `stop`; stopping is not leaving."""

    def __init__(
        self,
        options: ServerOptions,
        gossip: GossipOptions,
        *,
        directory: Directory,
        me: Callable[[], Identity],
        metrics: Metrics,
        fatal: Callable[[BaseException], None],
        now: Callable[[], float],
    ) -> None:
        self._now = now
        self._lines = Allowance(_LOG_LINES, _LOG_LINES_PER_S, now())
        self._options = gossip
        self._directory = directory
        self._me = me
        self._fatal = fatal
        self._joining: asyncio.Task[None] | None = None
        host, port = gossip.bind
        self.name = me().node
        self._told = me().tags()
        _check_size(me())
        self._pool = Pool(
            PoolOptions(
                name=self.name,
                bind_host=host,
                bind_port=port,
                advertise=_address(gossip.advertise),
                default_port=port,
                tags=self._told,
                settings=pool_settings(gossip.profile),
                key=gossip.key or None,
                keyring_path=gossip.keyring_path,
                snapshot_path=options.data_dir / "server" / "serf" / "snapshot",
                rejoin_after_leave=gossip.rejoin_after_leave,
                admit=_admit,
            ),
            metrics=metrics,
        )
        self._pool.on_member.append(self._member_changed)
        self._pool.on_failure.append(fatal)
        self._pool.on_name_conflict.append(self._conflict_found)
        self._namesake = ("", float("-inf"))  # who has our name, and when that was seen last
        self._search: Search | None = None
        self.trouble = ""
        """Why none of the configured members could be joined so far; empty if one was."""

    # -- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take part, and look for the others. Raises QuorateError when the port cannot be had."""
        self._loop = asyncio.get_running_loop()
        await self._pool.start()
        if not self.looked_for_others:
            self._joining = self._loop.create_task(self._find_others())
            self._joining.add_done_callback(self._search_ended)

    @property
    def looked_for_others(self) -> bool:
        """True once all configured members were asked: until then nobody founds a cluster.

        A name that is still looked up may be that of a server which has one.
        """
        if self._search is None:
            return not (self._options.retry_join or self._options.start_join)
        return self._search.tried_all

    async def stop(self) -> None:
        """The others will see this server fail."""
        if self._joining is not None:
            self._joining.cancel()
        await self._pool.stop()

    async def leave(self) -> None:
        """Tell the pool that this server goes for good; returns when that has spread."""
        await self._pool.leave()

    def _search_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fatal(error)

    async def _find_others(self) -> None:
        """Join until one is reached, and again whenever this server is alone in the pool.

        Raises QuorateError when the configured tries are used up.
        """
        options = self._options
        addresses = [
            address
            for address in options.retry_join or options.start_join
            if address != options.advertise
        ]
        self._search = search = Search(self._pool.join, addresses)
        try:
            await self._join_by(search, addresses)
        finally:
            search.stop()

    async def _join_by(self, search: Search, addresses: list[str]) -> None:
        options = self._options
        pause, tries, joined = _FIRST_PAUSE_S, 0, False
        while addresses:
            # To be joined by others is not enough: they may be a part that has not met the rest.
            if joined and self._pool.node.knows_alive_others():
                # Not for good: all others may move while this server is cut off from them.
                pause, self.trouble = _FIRST_PAUSE_S, ""
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            result = await search.round(patient=bool(options.start_join))
            self.trouble = "" if result.count else _one_line(result.error)
            if result.count:
                joined = True
                log.info("joined the pool through %d of %d", result.count, len(addresses))
                if options.start_join:
                    return
                await asyncio.sleep(_FIRST_PAUSE_S)
                continue
            if options.start_join:
                raise QuorateError(
                    f"start_join reached no server: {_one_line(result.error)}",
                    "start one of them first, or use retry_join, which goes on trying",
                )
            tries += pause >= options.retry_interval_s  # quick tries at the beginning do not count
            alone = not (joined or self._pool.node.knows_alive_others())
            if alone and options.retry_max and tries >= options.retry_max:
                raise QuorateError(
                    f"retry_join reached no server in {tries} tries: {_one_line(result.error)}",
                    "start one of them, or raise retry_max (0: no limit)",
                )
            log.warning("no server to join yet: %s", self.trouble)
            await asyncio.sleep(min(pause, options.retry_interval_s))
            pause *= 2

    # -- what is known ---------------------------------------------------------------------------

    def _member_changed(self, changed: MemberChanged) -> None:
        member = changed.member
        if member.name == self.name:
            return
        identity = self._directory.pool_says(changed, self._now())
        if identity is not None and self._lines.take(self._now()):
            log.info("pool: %s %s at %s", changed.change.value, member.name, identity.address)

    def _conflict_found(self, found: ConflictFound) -> None:
        """Another living server has our name; both of them are told, again and again."""
        if not found.ours:
            return
        text = (
            f"two servers call themselves {found.name}: this one at {join_text(found.known)} and "
            f"one at {join_text(found.other)}; give one of them another name and restart it"
        )
        if text != self._namesake[0] and self._lines.take(self._now()):
            log.warning("%s", text)
        self._namesake = (text, asyncio.get_running_loop().time())

    def namesake(self) -> str:
        """That another living server has our name, or empty."""
        text, seen_at = self._namesake
        return text if asyncio.get_running_loop().time() - seen_at < _NAMESAKE_S else ""

    def tell(self) -> None:
        """Announce this server again if its tags have changed."""
        tags = self._me().tags()
        if tags != self._told:
            self._told = tags
            self._pool.set_tags(tags)

    def members(self) -> list[Member]:
        """All members of the pool, by name."""
        members = sorted(self._pool.members(), key=lambda member: member.name)
        return [_member_view(member) for member in members]

    def key_digests(self) -> tuple[str, ...]:
        """By what the keys of this server are told apart, that in use first; none: in the clear."""
        return self._pool.key_digests()

    def refused(self) -> list[Told]:
        """What was refused in gossip lately."""
        return self._pool.refused()

    def stats(self) -> dict[str, str]:
        """The section `serf` of agent/self."""
        return self._pool.stats()

    # -- what is asked ---------------------------------------------------------------------------

    async def join(self, addresses: Sequence[str]) -> JoinResult:
        """Join the pools at these addresses; one reached is enough."""
        result = await self._pool.join(addresses)
        return JoinResult(result.count, tuple(reason for _, reason in result.failures))

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Let a failed member count as left. No effect on one that lives, as this server does."""
        if node != self.name:
            self._pool.force_leave(node, prune=prune)

    async def keyring(self, operation: KeyringOperation, key: str) -> KeyringResult:
        """Ask all members; `key` is base64, checked before."""
        result = await self._pool.change_keys(_ACTIONS[operation], base64.b64decode(key))
        failed = [m.name for m in self._pool.members() if m.status is SerfStatus.FAILED]
        return _keyring_view(result, failed)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def _identity(name: str, address: Address, tags: Mapping[str, str]) -> Identity:
    return identity_from_tags(name, address.host, address.port, tags)


def _admit(name: str, address: Address, tags: Mapping[str, str]) -> str:
    try:
        _identity(name, address, tags)
    except ValueError as error:
        return str(error)
    return ""


def _check_size(me: Identity) -> None:
    """Raises QuorateError if this server could not say in gossip what it is, or later becomes."""
    tags = msgspec.structs.replace(me, cluster_id=me.cluster_id or "0" * _CLUSTER_ID_CHARS).tags()
    try:
        encode_tags(tags)
    except ValueError as error:
        raise QuorateError(
            f"this server cannot be announced in gossip: {error}",
            "shorten datacenter, region, or the host name in advertise.rpc",
        ) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _member_view(member: PoolMember) -> Member:
    versions = member.versions or PoolVersions()
    return Member(
        name=member.name,
        addr=member.address.host,
        port=member.address.port,
        status=STATUSES.get(member.status, "none"),
        tags=member.tags,
        protocol=Versions(versions.protocol_min, versions.protocol_max, versions.protocol_current),
        delegate=Versions(versions.delegate_min, versions.delegate_max, versions.delegate_current),
    )


def _keyring_view(result: KeyResult, failed_members: Sequence[str]) -> KeyringResult:
    listing = result.action is KeyAction.LIST
    return KeyringResult(
        keys=result.keys if listing else {},
        primary_keys=result.primary_keys if listing else {},
        messages=result.messages,
        num_nodes=len(result.members),
        num_resp=len(result.members) - len(result.silent),
        num_err=len(result.failed),
        unanswered=(*result.silent, *failed_members),
    )
