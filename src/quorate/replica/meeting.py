"""How replicas of one service find out about each other: who is there, founding, joining.

Invariants:
- A cluster is founded only when every founder has promised itself to the same proposal, which the
  founder with the lowest ID makes. It names the cluster, and every founder with its address and the
  key that it has proven. So no two clusters come of one list, whichever founder starts first.
- A server with data founds nothing. A founder without data, although others know it as a member,
  has lost its disk: it must not vote again under its ID (Raft 5.2).
- A joiner becomes a non-voter under the ID and with the key that its connection proves.
- A server that runs on an old copy of its data hears so from any member that it asks.

The questions are calls over proven connections (`quorate.net.calls`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from quorate.errors import (
    ChangeOvertaken,
    ChangeRefused,
    LeadershipLost,
    NotLeader,
    NotReached,
    QuorateError,
    WrongServers,
)
from quorate.levels import LEVEL
from quorate.net.calls import call, read_argument, write_answer
from quorate.net.peer import Peer
from quorate.net.threads import in_thread
from quorate.net.trust import Trust
from quorate.raft.values.configuration import Change, ChangeKind, Configuration, Server
from quorate.raft.values.identity import Start
from quorate.replica.joins import Joins, too_many, waiting
from quorate.replica.replica import Replica
from quorate.storage.folder.server_folder import ServerFolder
from quorate.wire.handshake import RefusedThere

ASK_TIMEOUT_S: Final = 1.0
_TOLD_MAX: Final = 32
"""Members in one answer: a cluster has up to 256, whose addresses may be long."""
_AGAIN_S: Final = 0.2
_KEYS_AGAIN_S: Final = 1.0

T = TypeVar("T")


class Ask(msgspec.Struct, frozen=True):
    """The argument of `who`: nothing; the connection says who asks."""


class Introduction(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `who`.

    `members` are (ID, address) of the newest configuration known there: the asker first, if it is
    one, and up to `_TOLD_MAX` in all.
    `keyed`: the asker holds the key of a member there. `objection` says why nothing of it counts
    there, empty if nothing speaks against it; `copied` that the reason is its data folder, which is
    an old copy or one of two. A member is told the newest `starts` of members that were seen there.
    """

    server_id: str
    cluster_id: str = ""
    members: tuple[tuple[str, str], ...] = ()
    leader_id: str = ""
    leader_address: str = ""
    keyed: bool = False
    objection: str = ""
    copied: bool = False
    starts: dict[str, Start] = {}

    def knows(self, server_id: str) -> bool:
        """True if that server is a member of its configuration."""
        return any(member == server_id for member, _ in self.members)


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster to found: (ID, address, public key) of each founder, in the order of IDs."""

    cluster_id: str
    founders: tuple[tuple[str, str, bytes], ...]

    def configuration(self) -> Configuration:
        """Entry 1."""
        return Configuration(tuple(Server(i, a, key=key) for i, a, key in self.founders))


class Verdict(msgspec.Struct, frozen=True):
    """The answer to a proposal, and to the order to carry it out: `why` is empty for yes."""

    why: str = ""


class Joining(msgspec.Struct, frozen=True):
    """The argument of `join`: where the joiner listens."""

    address: str


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `join`. `leader` is where to ask instead, `why` a refusal in words.

    With `later` it is one for now: the joiner asks again.
    """

    cluster_id: str = ""
    leader: str = ""
    why: str = ""
    later: bool = False


class Meeting:
    """See the module; of one replica.

    `founders` maps ID to address, empty for a joiner; `listed` is the map that the replica was
    given, in which it may find members that have moved.
    """

    def __init__(
        self,
        replica: Replica[object],
        folder: ServerFolder,
        trust: Trust,
        founders: Mapping[str, str],
        listed: Mapping[str, str],
    ) -> None:
        self._listed = listed
        self._replica = replica
        self._folder = folder
        self._trust = trust
        self._founders = dict(sorted(founders.items()))
        self._promised: Proposal | None = None
        self._founding = asyncio.Lock()
        self._joins = Joins(time.monotonic)

    # -- answering -------------------------------------------------------------------------------

    async def answer(self, verb: str, argument: bytes, peer: Peer) -> bytes:
        """Answer one call. Raises QuorateError to refuse it."""
        if verb == "who":
            read_argument(argument, Ask)
            return write_answer(self._introduce(peer))
        if verb in {"promise", "found"}:
            proposal = read_argument(argument, Proposal)
            answer = self._promise if verb == "promise" else self._found
            return write_answer(Verdict(await answer(proposal, peer)))
        if verb == "join":
            return write_answer(await self._take_in(read_argument(argument, Joining), peer))
        raise QuorateError(f"unknown call {verb[:40]!r}")

    @property
    def has_data(self) -> bool:
        """True once this replica has a configuration, or entries of a log."""
        node = self._replica.node
        return bool(node.configuration.servers or node.log.last_index or node.term)

    def _introduce(self, peer: Peer) -> Introduction:
        node, trust = self._replica.node, self._trust
        known = trust.holds_the_key(peer)
        leader = node.configuration.get(node.leader_id)
        return Introduction(
            server_id=self._replica.server_id,
            cluster_id=self._folder.identity.cluster_id,
            members=told_members(node.configuration, peer.server_id),
            leader_id=node.leader_id,
            leader_address=trust.place_of(leader) if leader else node.leader_address,
            keyed=known,
            objection=trust.peer_objection(peer) if known else "",
            copied=known and trust.is_copy(peer.record),
            starts=trust.starts_for(peer),
        )

    async def _promise(self, proposal: Proposal, peer: Peer) -> str:
        why = self._objection(proposal, peer)
        if not why:
            self._promised = proposal
        return why

    def _objection(self, proposal: Proposal, peer: Peer) -> str:
        me = self._replica.server_id
        if self.has_data:
            return f"{me} has data already"
        places = {server_id: address for server_id, address, _ in proposal.founders}
        if places != self._founders:
            return f"{me} was started with other servers: {_listed(self._founders)}"
        if peer.server_id != next(iter(self._founders)):
            return f"{peer.server_id} is not the first of the founders"
        keys = {server_id: key for server_id, _, key in proposal.founders}
        if keys[me] != self._trust.key:
            return f"the proposal has another key of {me}"
        return ""

    async def _found(self, proposal: Proposal, _: Peer | None = None) -> str:
        if proposal != self._promised:
            return f"{self._replica.server_id} has not promised this"
        async with self._founding:
            if not self.has_data:
                # The entry first: a process that ends in between has either nothing of the
                # cluster, and can be asked again, or all of it but the name.
                await self._replica.bootstrap(proposal.configuration())
                await self._belong_to(proposal.cluster_id)
        return ""

    async def _belong_to(self, cluster_id: str) -> None:
        await in_thread(self._folder.set_cluster_id, cluster_id)
        self._replica.speak_as(self._folder.record)

    def _join_objection(self, peer: Peer) -> str:
        """Why this server is not taken in, for good; or empty."""
        if peer.record.level < LEVEL:
            return (
                f"{peer.server_id} has feature level {peer.record.level}, and this cluster "
                f"has {LEVEL}: start it with a newer version of Quorate"
            )
        known = self._replica.node.configuration.get(peer.server_id)
        if known is not None and known.key not in {b"", peer.key}:
            return _lost_disk(peer.server_id, self._replica.server_id)
        return self._trust.objection(peer.record)

    async def _take_in(self, joining: Joining, peer: Peer) -> Joined:
        replica, node = self._replica, self._replica.node
        if not replica.is_leader:
            return Joined(why=_NO_LEADER)  # the asker looks for the new one by itself
        if why := self._join_objection(peer):
            return Joined(why=why)
        known = node.configuration.get(peer.server_id)
        cluster_id = self._folder.identity.cluster_id
        if known is None or (known.address, known.key) != (joining.address, peer.key):
            if why := (known is None and self._crowded()) or self._joins.take():
                replica.refused(peer.address, f"it asks to join: {why}")
                return Joined(why=why, later=True)
            change = Change(
                ChangeKind.ADD_NONVOTER,
                peer.server_id,
                joining.address,
                node.configuration_index,
                key=peer.key,
            )
            try:
                await replica.change(change)
            except (ChangeRefused, LeadershipLost, NotLeader) as error:
                words = "; ".join(filter(None, (error.text, error.next_step)))
                return Joined(why=words if _is_final(error) else _LATER)
        return Joined(cluster_id=cluster_id)

    def _crowded(self) -> str:
        settings, node = self._replica.options.settings, self._replica.node
        found = waiting(
            node.configuration,
            self._replica.peers(),
            behind_max=settings.append_entries_max,
            silent_s=2 * settings.election_timeout_s,
        )
        return too_many(found)

    # -- asking ----------------------------------------------------------------------------------

    async def ask(self, address: str) -> Introduction | None:
        """The server at this address; None without an answer. Raises RefusedThere."""
        try:
            return (await self._call(address, "who", Ask(), Introduction, ASK_TIMEOUT_S))[0]
        except RefusedThere:
            raise
        except QuorateError:
            return None

    async def _ask_before(self, address: str) -> Introduction | None:
        """`ask`, of a replica without data: a refusal there means that its ID is a member's."""
        try:
            return await self.ask(address)
        except RefusedThere as error:
            raise WrongServers(
                f"{self._replica.server_id} has no data, and the server at {address} says: "
                f"{error.text}",
                f"if the disk of this server was lost, {_NEW_ID}",
            ) from None

    async def _call(
        self, address: str, verb: str, argument: object, answer: type[T], timeout_s: float = 10.0
    ) -> tuple[T, Peer]:
        return await call(address, self._trust, verb, argument, answer, timeout_s=timeout_s)

    async def look_before(self, others: Mapping[str, str]) -> None:
        """Before anything is founded: does anyone know a cluster that this replica belongs to?

        Raises WrongServers. A server that does not answer says nothing.
        """
        me = self._replica.server_id
        found = await asyncio.gather(*(self._ask_before(address) for address in others.values()))
        for other in found:
            if other is None or not other.members:
                continue
            if other.keyed:
                continue  # founded without the end of this process: its leader will send the rest
            if other.knows(me):
                raise WrongServers(_lost_disk(me, other.server_id))
            raise WrongServers(
                f"{other.server_id} belongs to a cluster already, of "
                f"{', '.join(member for member, _ in other.members)}; {me} founds none beside it",
                "to become a member, start it with join=True",
            )

    async def found(self) -> None:
        """Found the cluster together with the other founders, as soon as all of them answer.

        A founder that cannot answer now, as one that is being stopped, is asked again. Raises
        WrongServers, or RefusedThere, when a founder refuses for good.
        """
        me = self._replica.server_id
        while not self._folder.identity.cluster_id:
            if self.has_data:  # another founder leads, and has sent the first entry
                await self._learn_cluster()
            elif next(iter(self._founders)) == me:
                with contextlib.suppress(NotReached):
                    await self._propose()
            await asyncio.sleep(_AGAIN_S)

    async def _learn_cluster(self) -> None:
        """Take over the name of the cluster in whose configuration this server is, by its key."""
        for server in self._replica.node.configuration.servers:
            if server.id == self._replica.server_id:
                continue
            with contextlib.suppress(RefusedThere):
                other = await self.ask(server.address)
                if other is not None and other.keyed and other.cluster_id:
                    await self._belong_to(other.cluster_id)
                    return

    async def _propose(self) -> None:
        keys, others = {self._replica.server_id: self._trust.key}, dict(self._founders)
        del others[self._replica.server_id]
        promised_to = self._promised.cluster_id if self._promised else None
        founded: set[str] = set()
        for server_id, address in others.items():
            other, peer = await self._ask_founder(
                address, "who", Ask(), Introduction, timeout_s=ASK_TIMEOUT_S
            )
            if peer.server_id != server_id:
                raise WrongServers(f"{address} is the address of {peer.server_id}, not {server_id}")
            if other.members and other.cluster_id == promised_to:
                founded.add(server_id)
            elif other.members:
                await self.look_before({server_id: address})
                return  # of the founding that this process did not see the end of
            keys[server_id] = peer.key
        proposal = self._promised or Proposal(
            cluster_id=str(uuid.uuid4()),
            founders=tuple((i, a, keys[i]) for i, a in self._founders.items()),
        )
        self._promised = proposal
        for verb in ("promise", "found"):
            for server_id in [each for each in others if each not in founded]:
                verdict, _ = await self._ask_founder(others[server_id], verb, proposal, Verdict)
                if verdict.why and verb == "promise":
                    raise WrongServers(f"the cluster cannot be founded: {verdict.why}")
                if verdict.why:
                    return  # started again in between: it is asked again
        await self._found(proposal)

    async def _ask_founder(
        self, address: str, verb: str, argument: object, answer: type[T], timeout_s: float = 10.0
    ) -> tuple[T, Peer]:
        """`_call`. Raises NotReached also for an error there: it says nothing for the next time."""
        try:
            return await self._call(address, verb, argument, answer, timeout_s)
        except (NotReached, RefusedThere):
            raise
        except QuorateError as error:
            self._replica.refused(address, f"it cannot found a cluster yet: {error.text}")
            raise NotReached(f"{address} answers {verb} with: {error.text}") from None

    async def join(self, address: str, others: Mapping[str, str], patience_s: float) -> None:
        """Be taken in by the leader of a cluster that one of `others` belongs to.

        `address` is where this replica listens. Bind the folder to that cluster before returning.
        Raises WrongServers when the leader refuses, NotReached when there is none for so long.
        """
        deadline = asyncio.get_running_loop().time() + patience_s
        last = "none of them answers"
        while True:
            for other in others.values():
                asked = await self._ask_before(other)
                if asked is None or not asked.members:
                    continue
                if asked.copied:
                    raise WrongServers(asked.objection, _NEW_ID)
                if self._folder.identity.cluster_id not in {"", asked.cluster_id}:
                    last = f"{asked.server_id} belongs to another cluster, {asked.cluster_id}"
                    continue
                last = f"{asked.server_id} knows no leader"
                if asked.leader_address:
                    last = await self._ask_leader(asked.leader_address, address)
                if not last:
                    return
            if asyncio.get_running_loop().time() >= deadline:
                raise NotReached(
                    f"no cluster took this server in within {patience_s:g} s: {last} "
                    f"({_listed(others)})"
                )
            await asyncio.sleep(_AGAIN_S)

    async def _ask_leader(self, leader: str, address: str) -> str:
        """Ask the leader to take this server in; empty, or why it has to be asked again.

        Raises WrongServers when it refuses for good. A leader that is lost meanwhile has said
        nothing: the change may stand or not, and the next leader knows.
        """
        try:
            joined, _ = await self._call(leader, "join", Joining(address), Joined)
        except RefusedThere as error:
            raise WrongServers(f"the leader at {leader} says: {error.text}") from None
        except QuorateError as error:
            return f"the leader at {leader} was lost: {error.text}"
        if joined.why in {_NO_LEADER, _LATER} or joined.leader or (joined.why and joined.later):
            return f"the leader at {leader} says: {joined.why or joined.leader}"
        if joined.why:
            raise WrongServers(f"the leader at {leader} does not take this server in: {joined.why}")
        await self._belong_to(joined.cluster_id)
        return ""

    async def greet(self, member: Server, copied: Callable[[str], None]) -> bool:
        """Hear from a member, before this replica may vote, whether its data is an old copy.

        False if it does not answer. `copied` is called with the words of one that says so, and has
        proven that it is a member: a stranger at its address says nothing.
        """
        listed = self._listed.get(member.id, "")
        for address in dict.fromkeys(filter(None, (self._trust.place_of(member), listed))):
            with contextlib.suppress(QuorateError):
                other, peer = await self._call(address, "who", Ask(), Introduction, ASK_TIMEOUT_S)
                if not self._trust.holds_the_key(peer):
                    continue
                if other.copied:
                    copied(f"{other.objection} (found by {other.server_id})")
                    return False
                await self._trust.learn_starts(peer, other.starts)
                if peer.server_id == member.id:
                    return True
        return False

    async def keep_keys(self) -> None:
        """While this replica leads: put the keys on record of members that have none there.

        A cluster that was founded by the first version has none, and believes connections that
        prove nothing until then. Once every member has proven a key, none is of that version.
        """
        node, trust = self._replica.node, self._trust
        while True:
            await asyncio.sleep(_KEYS_AGAIN_S)
            keyless = [s for s in node.configuration.servers if not trust.is_settled(s)]
            keys = {server.id: trust.key_of(server.id) for server in keyless}
            if not self._replica.is_leader or not all(keys.values()):
                continue
            for server in keyless:
                index, key = node.configuration_index, keys[server.id]
                change = Change(ChangeKind.ADD_NONVOTER, server.id, server.address, index, key=key)
                with contextlib.suppress(QuorateError):  # no leader any more, say: looked at again
                    await self._replica.change(change)  # a voter keeps its vote


_NO_LEADER = "no leader"
_LATER = "another membership change is under way, or the leader has changed"
_NEW_ID = "start it with a new server ID and an empty folder, and join=True; then remove the old ID"


def _is_final(error: QuorateError) -> bool:
    return isinstance(error, ChangeRefused) and not isinstance(error, ChangeOvertaken)


def told_members(configuration: Configuration, asker: str) -> tuple[tuple[str, str], ...]:
    """ID and address of the asker, if it is a member, and of as many others as fit the answer."""
    known = sorted(configuration.servers, key=lambda server: server.id != asker)
    return tuple((server.id, server.address) for server in known[:_TOLD_MAX])


def _lost_disk(server_id: str, known_by: str) -> str:
    return (
        f"{known_by} knows {server_id} as a member, but its data folder is empty or another one: "
        f"its votes are lost, so it must not vote under this ID again; {_NEW_ID}"
    )


def _listed(servers: Mapping[str, str]) -> str:
    return ", ".join(f"{server_id} at {address}" for server_id, address in servers.items())
