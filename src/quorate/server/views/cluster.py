"""The cluster as an operator sees it: the Raft configuration, and what each server believes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from quorate.raft.values.configuration import Configuration
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import ALIVE, Directory
from quorate.server.cluster.identity import Identity
from quorate.server.integrity.checks import StateChecks
from quorate.server.machine import ServerMachine
from quorate.server.rpc.calls import Callers
from quorate.server.views import raft
from quorate.server.views.facts import raft_facts
from quorate.server.views.peer import peer_view
from quorate.server.views.records import ServerView
from quorate.server.views.upgrade import upgrade_view
from quorate.shapes.diagnosis import Details
from quorate.shapes.operator import RaftConfiguration, RaftFacts, UpgradeCheck
from quorate.state.tables import servers

_NOBODY: Final[frozenset[str]] = frozenset()


class ClusterView:
    """See the module. `me` gives this server's identity of now.

    `namesake` says that another live server has its name, or nothing; `prepared` gives the digest
    of the plan of a recovery for which this one is prepared, or nothing.
    """

    def __init__(
        self,
        *,
        replica: Replica[object],
        machine: ServerMachine,
        directory: Directory,
        callers: Callers,
        checks: StateChecks,
        me: Callable[[], Identity],
        namesake: Callable[[], str],
        details: Callable[[], Details],
        prepared: Callable[[], str],
    ) -> None:
        self._replica = replica
        self._machine = machine
        self._state = machine.store
        self._directory = directory
        self._callers = callers
        self._checks = checks
        self._me = me
        self._namesake = namesake
        self._details = details
        self._prepared = prepared
        self._view: RaftConfiguration | None = None
        self._view_of: object = None
        self._doubtful: tuple[object, frozenset[str]] = (None, _NOBODY)
        self._state.watch(servers.TABLE.name, self._forget)

    def raft_configuration(self) -> RaftConfiguration:
        """The newest Raft configuration this server knows; the same object while it is the same."""
        node = self._replica.node
        answering = _NOBODY if node.leader is None else self._answering()
        seen = (
            *(node.configuration, node.configuration_index, node.leader_id),
            *(self._directory.version, answering),
        )
        if self._view is None or self._view_of != seen:
            self._view_of = seen
            self._view = RaftConfiguration(
                index=node.configuration_index,
                servers=tuple(
                    peer_view(
                        server,
                        directory=self._directory,
                        state=self._state,
                        leader_id=node.leader_id,
                        unix_time=self._unix_time,
                        answers=server.id in answering,
                    )
                    for server in node.configuration.servers
                ),
            )
        return self._view

    def _answering(self) -> frozenset[str]:
        """Servers that answer this leader although the pool does not call them alive.

        A server whose name another one has, or had before, is unknown or failed in the pool.
        """
        node = self._replica.node
        if node.leader is None or not (doubtful := self._not_alive(node.configuration)):
            return _NOBODY
        since = self._replica.now() - 2 * node.settings.election_timeout_s
        return frozenset(
            peer_id
            for peer_id, peer in node.leader.peers.items()
            if peer.contact_at > since and peer_id in doubtful
        )

    def _not_alive(self, configuration: Configuration) -> frozenset[str]:
        """The members that the pool does not call alive, by ID."""
        seen = (configuration, self._directory.version)
        if self._doubtful[0] != seen:
            ids = (server.id for server in configuration.servers)
            known = {server_id: self._directory.by_id(server_id) for server_id in ids}
            doubtful = (i for i, member in known.items() if not member or member.status != ALIVE)
            self._doubtful = (seen, frozenset(doubtful))
        return self._doubtful[1]

    def _forget(self) -> None:
        self._view = None

    def _unix_time(self, at: float) -> float:
        return time.time() - (self._replica.now() - at)

    def peers(self) -> list[str]:
        """Addresses of all servers of the Raft configuration, in its order."""
        return [server.address for server in self._replica.node.configuration.servers]

    def own(self) -> ServerView:
        """The view of this server on the cluster."""
        me = self._me()
        shares = raft.NAMESAKE if self._namesake() else ""
        if self._directory.two_bodies(self._replica.server_id):
            shares = raft.TWICE
        return raft.own_view(
            *(self._replica, me, self._checks, self._machine),
            shares=shares,
            details=self._details(),
            prepared=self._prepared(),
        )

    def facts(self) -> RaftFacts:
        """The log and the identity of this server, of this moment."""
        return raft_facts(self._replica, self._me(), self.own())

    async def views(self) -> list[ServerView]:
        """The view of each server of this region, this one first. Never fails."""
        return [self.own(), *await raft.gather(self._callers, self.others())]

    def others(self) -> list[raft.Target]:
        """The other servers of this region: those that are known, and those of Raft."""
        peers = self._replica.node.configuration.servers
        return raft.view_targets(self._directory, self._me().region, peers)

    async def upgrade_check(self) -> UpgradeCheck:
        """The cluster's feature level, each member's version, and what the level waits for."""
        return upgrade_view(self.own(), await self.views())
