"""This server as an operator sees it: does it take part, what does it wait for, its statistics."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import UTC, datetime

from quorate.replica.replica import Replica
from quorate.server.bounds.usage import Usage
from quorate.server.cluster.directory import ALIVE, Directory
from quorate.server.cluster.discovery import PoolWatch
from quorate.server.cluster.fixed_pool import FixedPool
from quorate.server.cluster.gossip_pool import GossipPool
from quorate.server.cluster.identity import Identity
from quorate.server.integrity.checks import StateChecks
from quorate.server.machine import ServerMachine
from quorate.server.room.watch import RoomWatch
from quorate.server.secrets.disks import Disks
from quorate.server.secrets.wrapping_members import WrappingMembers
from quorate.server.views import stats
from quorate.state.tables import servers


class AgentView:
    """See the module. `me` gives this server's identity of now."""

    def __init__(
        self,
        *,
        replica: Replica[object],
        machine: ServerMachine,
        directory: Directory,
        pool: FixedPool | GossipPool,
        watch: PoolWatch,
        checks: StateChecks,
        disks: Disks,
        usage: Usage,
        room: RoomWatch,
        acl_warning: Callable[[], str],
        backups_problem: Callable[[], str],
        wrapping: WrappingMembers,
        me: Callable[[], Identity],
    ) -> None:
        self._replica = replica
        self._machine = machine
        self._directory = directory
        self._pool = pool
        self._watch = watch
        self._checks = checks
        self._disks = disks
        self._usage = usage
        self._room = room
        self._acl_warning = acl_warning
        self._backups_problem = backups_problem
        self._wrapping = wrapping
        self._me = me

    def waiting(self) -> str:
        """The wait of this server in words: for a leader, for others to found with. Empty: none."""
        return self._watch.waiting

    def warning(self) -> str:
        """A thing to see to before it keeps servers from their work, or costs data; empty: none."""
        trust = self._replica.trust
        tls = None if trust is None else trust.tls
        worries = () if tls is None else tls.worries(datetime.now(UTC), self._replica.server_id)
        found = (
            self._room.warning(),
            self._usage.warning(),
            self._backups_problem(),
            self._wrapping.warning(),
            self._acl_warning(),
        )
        return "; ".join(filter(None, (*worries, *found)))

    def little_room(self) -> str:
        """Why this server may soon take no writes: its disk, or the bound of its log; or empty."""
        return self._room.warning()

    def health_problem(self) -> str | None:
        """Why this server does not take part although nothing keeps it from finding a leader.

        One line with the cure in it ("removed from the cluster at index 812; run: quorate server
        rejoin"), or None.
        """
        return self.problem()[1] or None

    def problem(self) -> tuple[str, str]:
        """The same as its kind, a word for programs, and the line; both are empty if there is none.

        The kinds are those of `Details.problem_kind`.
        """
        index = self.removed_at()
        if index:
            text = f"removed from the cluster at index {index}; run: quorate server rejoin"
            return "removed", text
        if prepared := self._replica.node.prepared:
            return "prepared", f"{prepared}; see quorate operator recover live status -help"
        damage, held = self._checks.damage, self._replica.held
        if damage is not None:
            return "damaged", f"{damage.text}; {damage.next_step}"
        if held is not None:
            return "held", f"{held.text}; {held.next_step}{self._leaders_version()}"
        others = (
            ("recovery", self._replica.node.prepared),
            ("twice", self._directory.two_bodies(self._replica.server_id)),
            ("namesake", self._pool.namesake()),
            ("disagree", self._checks.disagreement),
            ("tls", self._tls_invalid()),
            ("outside", self._outside()),
            ("wrapping", self._wrapping.problem()),
        )
        return next(((kind, text) for kind, text in others if text), ("", ""))

    def _tls_invalid(self) -> str:
        """Why no other server believes the certificate of this one, or empty."""
        trust = self._replica.trust
        if trust is None or trust.tls is None or not trust.tls.rpc:
            return ""
        return trust.tls.invalid(datetime.now(UTC))

    def _outside(self) -> str:
        """Why this server belongs to no cluster although it hears a leader, or empty."""
        node = self._replica.node
        me = self._replica.server_id
        if not node.leader_id:
            return ""
        if node.configuration.get(me) is not None:
            met = sum(member.status == ALIVE for member in self._pool.members()) > 1
            trouble = "" if met or self._is_the_last() else self._pool.trouble
            return (
                trouble and f"a member, but alone in its pool: no server could be joined: {trouble}"
            )
        why = self.waiting() or "it waits to be taken in"
        return (
            f"not a member: the Raft configuration of the leader at {node.leader_address} does not "
            f"have this server ({me}); {why}"
        )

    def _is_the_last(self) -> bool:
        """True for the only survivor of a recovery: those that it would join are lost."""
        node = self._replica.node
        recovered = node.identity is not None and node.identity.epoch.counter > 0
        return recovered and len(node.configuration.servers) == 1

    def _leaders_version(self) -> str:
        """Which version leads, for a server that needs it; empty while that is not known."""
        known = self._directory.by_id(self._replica.node.leader_id)
        if known is None:
            return ""
        return f" ({known.identity.node} leads and runs Quorate {known.identity.version[:40]})"

    def removed_at(self) -> int:
        """The index at which an operator removed this server; 0 if it is a member, or never was.

        It is known from committed state, this server's own or the leader's.
        """
        node = self._replica.node
        if node.configuration.get(self._replica.server_id) is not None and node.leader_id:
            return 0
        index = servers.removed_at(self._machine.store, self._replica.server_id)
        return index or self._watch.removed_at

    def stats(self) -> dict[str, dict[str, str]]:
        """The `stats` of agent/self: sections nomad, raft, serf, runtime, quorate."""
        return {
            "nomad": stats.nomad(self._replica, self._directory, self._me().expect == 1),
            "raft": {
                **stats.raft(self._replica),
                **stats.commands(self._machine.store),
            },
            "serf": self._pool.stats(),
            "runtime": stats.runtime(platform.machine()),
            "quorate": {
                "waiting": self.waiting(),
                **stats.state_check(self._checks),
                "older_text_on_disk": self._disks.older,
                "state_bytes": str(self._usage.bytes()),
                "state_bytes_max": str(self._usage.bytes_max()),
                "backup_problem": self._backups_problem(),
                "warning": self.warning(),
            },
        }
