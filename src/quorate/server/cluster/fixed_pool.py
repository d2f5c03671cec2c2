"""A pool that is the fixed list of the configuration: what it can show, and what it cannot do."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.errors import GossipDisabled
from quorate.server.cluster.directory import Directory
from quorate.server.views.records import JoinResult, KeyringOperation, KeyringResult, Member


class FixedPool:
    """`GossipPool` for servers that do not gossip."""

    looked_for_others = True
    trouble = ""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def start(self) -> None:
        """Nothing: the servers are asked over the RPC port."""

    async def stop(self) -> None:
        """Nothing."""

    async def leave(self) -> None:
        """Nothing: a list has no word for it."""

    def namesake(self) -> str:
        """Nothing: names count in a pool only."""
        return ""

    def tell(self) -> None:
        """Nothing: other servers ask for it."""

    def members(self) -> list[Member]:
        """All servers that were ever heard of."""
        return [
            Member(
                name=known.identity.node,
                addr=known.identity.address.rpartition(":")[0].strip("[]"),
                port=known.identity.serf_port,
                status=known.status,
                tags=known.identity.tags(),
            )
            for known in self._directory.all()
        ]

    def stats(self) -> dict[str, str]:
        """The section `serf` of agent/self. Fields of gossip are zero."""
        statuses = [known.status for known in self._directory.all()]
        zero = ("health_score", "member_time", "event_time", "query_time", "intent_queue")
        more = ("event_queue", "query_queue", "coordinate_resets")
        return {
            "members": str(len(statuses)),
            "failed": str(statuses.count("failed")),
            "left": str(statuses.count("left")),
            "encrypted": "false",
            **dict.fromkeys((*zero, *more), "0"),
        }

    async def join(self, addresses: Sequence[str]) -> JoinResult:
        """Raises GossipDisabled."""
        del addresses
        raise GossipDisabled

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Raises GossipDisabled."""
        del node, prune
        raise GossipDisabled

    async def keyring(self, operation: KeyringOperation, key: str) -> KeyringResult:
        """Raises GossipDisabled."""
        del operation, key
        raise GossipDisabled
