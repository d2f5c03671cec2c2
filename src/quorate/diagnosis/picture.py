"""The facts put together: which configuration counts, who is in it, who is there, who leads."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from quorate.diagnosis.values import Failure, Member, Process, Report, Server, Trouble, World
from quorate.diagnosis.words import command, quoted

FRESH_MS = 5_000
"""A leader that was heard this long ago at most leads; elections are over sooner."""


FRESH_S = 150.0
"""What was refused longer ago may be over; each reason is told once a minute."""


class Picture:
    """What the causes look at. Made once of one `World`, which does not change."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.servers = world.servers

    def name(self, server_id: str, address: str = "") -> str:
        """The name of a server for people; its ID and address where no name is known."""
        for server in self.servers:
            if server.id == server_id and server.node and address in {"", server.address}:
                return server.node
        for entry in self.world.pool:
            if entry.id == server_id and entry.name:
                return entry.name
        for seen in (peer for server in self.servers for peer in server.told.peers):
            if seen.id == server_id and seen.node:
                return seen.node
        where = address or next((m.address for m in self.members if m.id == server_id), "")
        return f"{server_id} at {where}" if where else server_id

    def ask(self, verb: str, server: Server | None = None, rest: str = "") -> str:
        """The command `quorate <verb>` for this server, the leader, or one that has answered.

        `rest` are its arguments: they stand behind the options.
        """
        chosen = (server, self.leader, *self.main, *self.servers)
        http = next((each.http for each in chosen if each is not None and each.http), "")
        where = quoted(http) if http else "HTTP_ADDRESS"
        words = ("quorate", verb, f"-address={where}", *self.world.options, rest)
        return command(" ".join(filter(None, words)))

    def health(self, server: Server) -> str:
        """The command that shows the health of this server."""
        return self.ask("operator api", server, "/v1/agent/health")

    # -- the cluster ------------------------------------------------------------------------------

    @cached_property
    def main(self) -> tuple[Server, ...]:
        """The servers of the cluster that most of those that answer belong to.

        Servers whose cluster is not told count as of it.
        """
        named = Counter(key for s in self.servers if (key := _cluster(s))[0])
        if not named:
            return self.servers
        most = max(named, key=lambda key: (named[key], key[1]))
        return tuple(s for s in self.servers if _cluster(s) in {most, ("", "")})

    @cached_property
    def newest(self) -> Server | None:
        """The server whose configuration counts: the newest of those that hold one."""
        able = [server for server in self.main if server.members]
        return max(
            able,
            key=lambda s: (s.configuration_index, s.role == "leader", s.term, s.last_index),
            default=None,
        )

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The servers of the newest configuration; of data folders, where no server answers."""
        if self.newest is not None:
            return self.newest.members
        folders = [folder for folder in self.world.folders if folder.members]
        best = max(folders, key=lambda f: (f.configuration_index, f.reach), default=None)
        return best.members if best is not None and not self.servers else ()

    @cached_property
    def voters(self) -> tuple[Member, ...]:
        """Those that vote."""
        return tuple(member for member in self.members if member.voter)

    @cached_property
    def quorum(self) -> int:
        """How many voters are a majority."""
        return len(self.voters) // 2 + 1

    @cached_property
    def present(self) -> tuple[Member, ...]:
        """The voters that have answered somebody."""
        there = {server.id for server in self.main}
        return tuple(voter for voter in self.voters if voter.id in there)

    @cached_property
    def missing(self) -> tuple[Member, ...]:
        """The voters that nobody has had an answer from."""
        return tuple(voter for voter in self.voters if voter not in self.present)

    # -- who leads --------------------------------------------------------------------------------

    @cached_property
    def leader(self) -> Server | None:
        """The server that leads: it says so, and nobody has seen a later term."""
        leading = [server for server in self.main if server.role == "leader"]
        best = max(leading, key=lambda server: server.term, default=None)
        if best is None:
            return None
        followed = [s for s in self.main if s.leader and s.leader != best.address]
        later = any(s.term > best.term and s.last_contact_ms < FRESH_MS for s in followed)
        return None if later else best

    @cached_property
    def leader_address(self) -> str:
        """The RPC address of the leader: its own word, or that of servers that hear it."""
        if self.leader is not None:
            return self.leader.address
        heard = [s for s in self.main if s.leader and s.last_contact_ms < FRESH_MS]
        if heard:
            return max(heard, key=lambda server: server.term).leader
        return next((address for _, address in self.world.leaders), "")

    @cached_property
    def leader_name(self) -> str:
        """For people; empty where none leads."""
        address = self.leader_address
        if not address:
            return ""
        names = [s.node for s in self.servers if s.address == address and s.node]
        listed = [entry.name for entry in self.world.pool if entry.address == address]
        return next(iter([*names, *listed]), address)

    # -- who reaches which -------------------------------------------------------------------------

    def reports_of(self, member: Member) -> list[Report]:
        """Why servers had no answer of this one."""
        return [report for report in self.world.reports if report.of == member.id]

    def failures_of(self, member: Member) -> list[tuple[str, Failure]]:
        """(who, why): no answer of this one over the RPC port, to servers and from here."""
        told = [(self.name(each.by), each.failure) for each in self.reports_of(member)]
        here = [each for each in self.world.dialed if each.address == member.address]
        dialed = [("this machine", each.failure) for each in here if each.failure is not None]
        if here and not dialed and any(why.kind is Trouble.SILENT for _, why in told):
            told = [(who, _hanging(why)) for who, why in told]
        return told + dialed

    def process_of(self, member: Member) -> Process | None:
        """The process of this machine that has the RPC port of a server."""
        for each in self.world.dialed:
            if each.address == member.address and each.process is not None:
                return each.process
        return None

    def silent_s(self, server_id: str) -> float | None:
        """For how many seconds at least a server has been silent, by those that heard it last."""
        seen = [p.silent_s for s in self.main for p in s.told.peers if p.id == server_id]
        known = [silent for silent in seen if silent >= 0]
        return min(known, default=None)

    def reaches(self, server: Server) -> set[str]:
        """The voters that this one has an answer of, itself among them."""
        failed = {report.of for report in self.world.reports if report.by == server.id}
        return {voter.id for voter in self.present if voter.id not in failed} | {server.id}


def _hanging(failure: Failure) -> Failure:
    """A silence, seen together with a connection that its machine has taken."""
    return Failure(Trouble.HANGS, failure.text) if failure.kind is Trouble.SILENT else failure


def _cluster(server: Server) -> tuple[str, str]:
    facts = server.told
    return (facts.cluster_id, facts.epoch if facts.cluster_id else "")
