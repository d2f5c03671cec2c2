"""Requests that another server has to answer: the leader, one that is named, another region's."""

from __future__ import annotations

import asyncio
from typing import Final

from quorate.errors import NoLeader, NotReached
from quorate.raft.effects import RoleChanged
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse, OnItsWay
from quorate.server.rpc.http_pool import HttpPool
from quorate.server.rpc.regions import forward_to_region

FORMER_LEADER_PATIENCE_S: Final = 0.3


class Forwarder:
    """Passes requests on over the RPC port. Made on the running loop."""

    def __init__(self, http: HttpPool, directory: Directory, replica: Replica[object]) -> None:
        self._http = http
        self._directory = directory
        self._replica = replica
        self._loop = asyncio.get_running_loop()
        self._followed = replica.node.leader_address  # of the leader known last
        replica.on_role.append(self._role_changed)

    async def to_leader(self, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to the leader.

        Raises NoLeader when none is known, LeadershipLost when another leader was elected before
        the answer came, QuorateError with the transport's text on failure.
        """
        address, leader_id = self._leader()
        if not address:
            raise NoLeader
        return await self._http.request(address, request, leader_id)

    def at_once(self, request: ForwardRequest) -> OnItsWay | None:
        """Pass a request without a stream to the leader, if that can be done without an await.

        None if it cannot: there is no leader, or no connection to it is free. Then nothing is sent.
        """
        address, leader_id = self._leader()
        return self._http.at_once(address, request, leader_id) if address else None

    def _leader(self) -> tuple[str, str]:
        """Address and ID of the leader; the address is empty when none is known."""
        node = self._replica.node
        address, leader_id = node.leader_address, node.leader_id
        leader = node.configuration.get(leader_id) if address else None
        if leader is not None and not leader.key:  # nothing proves that it is at that address
            address = self._replica.locate(leader)
        return address, leader_id

    async def to_member(self, server_id: str, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to that server of the Raft configuration.

        Only members have a key on record, by which a server proves that it is the one. Raises
        NotReached for one that is no member; QuorateError with the transport's text on failure.
        """
        member = self._replica.node.configuration.get(server_id)
        if member is None:
            raise NotReached(
                f"{server_id[:64]} is not in the Raft configuration", "ask that server itself"
            )
        return await self._http.request(self._replica.locate(member), request, server_id)

    async def to_region(self, region: str, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to a live server of that region. Raises NoPathToRegion."""
        return await forward_to_region(region, request, directory=self._directory, http=self._http)

    def _role_changed(self, change: RoleChanged) -> None:
        if not change.leader_address:
            return
        former, self._followed = self._followed, change.leader_address
        if former not in {"", change.leader_address}:
            # A former leader that runs answers at once that it leads no more; one that is stopped
            # or cut off would keep its callers waiting for the whole timeout of a request.
            self._loop.call_later(
                FORMER_LEADER_PATIENCE_S, self._http.give_up, former, self._loop.time()
            )
