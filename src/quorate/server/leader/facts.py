"""What this leader knows, gathered into the values that `quorate.autopilot` decides on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from quorate.autopilot.facts import Claim, Facts, Peer
from quorate.replica.replica import Replica
from quorate.server.cluster.directory import Directory, Known
from quorate.server.cluster.identity import Identity
from quorate.server.integrity.checks import StateChecks
from quorate.state import autopilot, cluster, servers
from quorate.state.store import StateStore


def claim_of(identity: Identity, status: str = "alive") -> Claim:
    """What that server, or the pool, says of it."""
    return Claim(
        id=identity.id,
        name=identity.node,
        address=identity.address,
        region=identity.region,
        status=status,
        cluster_id=identity.cluster_id,
        leaving=identity.leaving,
        level=identity.level,
        version=identity.version,
    )


def _claim(known: Known) -> Claim:
    return claim_of(known.identity, known.status)


class FactSource:
    """Gathers them; every look is of that moment."""

    def __init__(
        self,
        *,
        replica: Replica,
        state: StateStore,
        directory: Directory,
        checks: StateChecks,
        now: Callable[[], float],
    ) -> None:
        self._replica = replica
        self._state = state
        self._directory = directory
        self._checks = checks
        self._now = now

    def look(self) -> Facts | None:
        """The facts of this moment, or None while another server leads."""
        replica, state = self._replica, self._state
        node = replica.node
        leader = node.leader
        if leader is None:
            return None
        me = msgspec.structs.replace(self._directory.me, cluster_id=node.cluster_id)
        return Facts(
            now=self._now(),
            me=claim_of(me),
            configuration=node.configuration,
            configuration_index=node.configuration_index,
            last_index=node.log.last_index,
            election_timeout_s=replica.options.settings.election_timeout_s,
            peers={
                server_id: Peer(match_index=peer.match_index, contact_at=peer.contact_at)
                for server_id, peer in leader.peers.items()
            },
            pool=tuple(_claim(known) for known in self._directory.all()),
            rivals=tuple(_claim(known) for known in self._directory.rivals()),
            records=state.rows(servers.TABLE),
            rules=autopilot.current(state),
            cluster_named=cluster.current(state) is not None,
            trouble=self._trouble(),
            level=state.level,
            unfit=frozenset(odd.id for odd in self._checks.verdict.wrong),
        )

    def _trouble(self) -> str:
        if self._replica.damage is not None:
            return "the state of this leader is damaged"
        if self._replica.held is not None:
            return "this leader cannot read a command of the log"
        return "no space left on this leader's disk" if self._replica.storage_full else ""
