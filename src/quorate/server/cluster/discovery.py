"""Finding the other servers, and becoming one of them: found a cluster or join one.

Every known address is asked who it is; the answers fill the directory. While this server holds no
configuration it founds a cluster together with the others it expects, or waits to be taken in;
after every start it introduces itself to the leader, which takes it in, notes a new address, or
finds nothing to do. A server that an operator removed stays out until it is asked to rejoin.
With gossip the addresses come from the pool, and nobody is asked once this server is settled,
until it has had no leader for longer than an election takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from quorate.errors import QuorateError, WrongDataFolder
from quorate.net.peer import Peer
from quorate.raft.values.identity import Start
from quorate.server.cluster.directory import ALIVE, Directory
from quorate.server.cluster.fixed_pool import FixedPool
from quorate.server.cluster.founding import Bootstrap
from quorate.server.cluster.gossip_pool import GossipPool
from quorate.server.cluster.identity import GREETED_MAX, Greeting, Identity
from quorate.server.cluster.joining import JoinAnswer
from quorate.server.cluster.no_leader import is_stranger
from quorate.server.options import ServerOptions
from quorate.server.rpc.calls import Callers

log = logging.getLogger("quorate.server")

_ASK_INTERVAL_S = 2.0
_HURRY_INTERVAL_S = 0.25
_LEADERLESS_S = 3.0  # an election is over sooner


class PoolWatch:
    """See the module. `introduced` is True once the leader knows this server as it is now.

    `waiting` says in words what this server waits for; empty while all is well.
    """

    def __init__(
        self,
        *,
        options: ServerOptions,
        directory: Directory,
        callers: Callers,
        bootstrap: Bootstrap,
        pool: FixedPool | GossipPool,
        me: Callable[[], Identity],
        take_in: Callable[..., Awaitable[JoinAnswer]],
        why_no_leader: Callable[[], str],
        fatal: Callable[[QuorateError], None],
        rng: Random,
        rolled_back: Callable[[str, Peer], None],
        learn_starts: Callable[[Peer, Mapping[str, Start]], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._now = now
        self._rolled_back = rolled_back
        self._learn_starts = learn_starts
        self._options = options
        self._directory = directory
        self._callers = callers
        self._bootstrap = bootstrap
        self._pool = pool
        self._gossips = options.gossip is not None
        self._me = me
        self._take_in = take_in
        self._why_no_leader = why_no_leader
        self._fatal = fatal
        self._rng = rng
        self.introduced = False
        self.removed_at = 0  # the index of our removal, if the leader has told us of one
        self.waiting = ""
        listed = () if self._gossips else (*options.founders, *options.join)
        self._configured = [address for address in listed if address != options.rpc_address]
        self._leader_at = self._now()  # when one was known last

    async def run(self) -> None:
        """For ever."""
        while True:
            self._directory.update_me(self._me())
            self._pool.tell()
            leaderless = self._leaderless()
            if leaderless:
                # Perhaps only for this one: others may follow a leader that has let go of it.
                self.introduced = False
            if not (self._gossips and self._settled()):
                await self._ask_all()
            self._directory.refresh(self._now())
            try:
                await self._act()
                self._wait_for(self._why_no_leader() + self._join_trouble() if leaderless else "")
            except QuorateError as error:
                self._wait_for(str(error))
            hurry = not (self._settled() or self.removed_at or leaderless)
            pause = _HURRY_INTERVAL_S if hurry else _ASK_INTERVAL_S
            await asyncio.sleep(pause * (0.75 + self._rng.random() / 2))

    def _settled(self) -> bool:
        return self.introduced and self._me().initialised

    async def leader(self) -> Greeting | None:
        """The answer of this region's leader to this server; None if none is found."""
        await self._ask_all()
        me = self._me()
        others = [other.leader for other in self.settled_others() if other.leader]
        for address in dict.fromkeys([me.leader, *others]):
            if address and address != me.address:
                answer = await self.greet(address)
                if answer is not None and answer.me.leader == answer.me.address:
                    return answer
        return None

    async def rejoin(self, timeout_s: float) -> str:
        """Ask to be taken in although this server was removed; why that is not done, or empty."""
        self.introduced = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._ask_all()
                await self._introduce(self._me(), self.settled_others(), "rejoin")
        except TimeoutError:
            return f"no answer within {timeout_s:g} s"
        except QuorateError as error:
            return str(error)
        return "" if self.introduced else "no server leads, or names a leader"

    def _wait_for(self, text: str) -> None:
        if text and text != self.waiting:
            log.info("waiting: %s", text)
        self.waiting = text

    def _leaderless(self) -> bool:
        """True if a server with a configuration knows no leader for longer than elections take."""
        me, now = self._me(), self._now()
        if me.leader or not me.initialised:
            self._leader_at = now
        return now - self._leader_at > _LEADERLESS_S

    def leaderless_s(self) -> float:
        """For how many seconds no leader has been known, to within the pause of `run`."""
        me = self._me()
        return self._now() - self._leader_at if me.initialised and not me.leader else 0.0

    def _join_trouble(self) -> str:
        return f"; no server could be joined: {self._pool.trouble}" if self._pool.trouble else ""

    # -- asking ---------------------------------------------------------------------------------

    async def _ask_all(self) -> None:
        me = self._me()
        addresses = dict.fromkeys(self._configured)
        for known in self._directory.all():
            # The pool tells who lives, and other regions are no business of this one.
            useless = self._gossips and (
                known.status != ALIVE or known.identity.region != me.region
            )
            if known.identity.id != me.id and not useless:
                addresses.setdefault(known.identity.address)
        await asyncio.gather(*(self._ask(address) for address in addresses))

    async def _ask(self, address: str) -> None:
        answer = await self.greet(address)
        if answer is None:
            return
        self.greeted(answer.me, configured=address in self._configured)
        if not self._gossips:
            for other in answer.others[:GREETED_MAX]:
                if other.id != self._me().id:
                    self._directory.told(other)

    async def greet(self, address: str) -> Greeting | None:
        """The greeting of the server at `address`; None if none answers, or one that is another."""
        greeting = Greeting(me=self._me())
        try:
            answer, peer = await self._callers.ask(address, "greet", greeting, Greeting, 1.0)
            if peer is not None and answer.starts:
                await self._learn_starts(peer, answer.starts)
        except QuorateError:
            return None
        if peer is not None:
            said = (answer.me.id, answer.me.address)
            if said != (peer.server_id, peer.address):
                return None
            if answer.rolled_back:
                self._rolled_back(answer.objection, peer)
        return answer

    def greeted(self, other: Identity, *, configured: bool = False) -> None:
        """Another server has said who it is."""
        me = self._me()
        if other.region == me.region and other.id != me.id:
            ours, theirs = me.cluster_id, other.cluster_id
            if ours and theirs and ours != theirs:
                if configured:
                    self._fatal(_wrong_cluster(self._options, ours, other))
                return
        if self._directory.heard(other, self._now()):
            log.info("server %s at %s (%s) answers", other.node, other.address, other.id)

    # -- acting ---------------------------------------------------------------------------------

    async def _act(self) -> None:
        me = self._me()
        settled = self.settled_others()
        if not me.initialised and not settled:
            await self._try_to_found(me, self._directory.alive(me.region))
        elif not self.introduced:
            await self._introduce(me, settled, "join")

    def settled_others(self) -> list[Identity]:
        """The living servers of this region that hold a configuration, but for strangers."""
        me = self._me()
        live = self._directory.alive(me.region)
        return [
            other
            for other in live
            if other.initialised and other.id != me.id and not is_stranger(me, other)
        ]

    async def _try_to_found(self, me: Identity, live: list[Identity]) -> None:
        if not self._pool.looked_for_others:
            return  # a server that is not seen may have a cluster already
        if not me.expect:
            raise QuorateError("no server of a cluster answers, and bootstrap_expect is not set")
        founders = [other for other in live if other.expect and not other.initialised]
        if self._options.founders:
            founders = [f for f in founders if f.address in self._options.founders]
        differing = [f for f in founders if f.expect != me.expect]
        if differing:
            other = differing[0]
            raise QuorateError(
                f"bootstrap_expect differs: {me.expect} here, {other.expect} on {other.node}; "
                "make them equal"
            )
        if len(founders) < me.expect:
            raise QuorateError(self._too_few(me, founders))
        chosen = sorted(founders, key=lambda f: f.id)[: me.expect]
        if chosen[0].id == me.id:
            await self._bootstrap.lead(chosen, self._callers)
            self.introduced = True

    def _too_few(self, me: Identity, founders: list[Identity]) -> str:
        names = ", ".join(f.node for f in founders)
        text = f"{len(founders)} of {me.expect} expected servers answer ({names})"
        elsewhere = [
            known.identity
            for known in self._directory.all()
            if known.status == ALIVE and known.identity.region != me.region
        ]
        if elsewhere:
            others = ", ".join(f"{o.node} of region {o.region!r}" for o in elsewhere)
            text += f"; the pool also has {others}: the servers of a cluster name the same region"
        return text + self._join_trouble()

    async def _introduce(self, me: Identity, settled: list[Identity], verb: str) -> None:
        leader = me.leader or next((other.leader for other in settled if other.leader), "")
        if not me.cluster_id:
            _check_one_cluster(settled)
        if not leader:
            if not me.initialised:
                raise QuorateError(_no_leader_to_join(settled))
            return
        if leader == me.address:
            answer = await self._take_in(me, None, forgive=verb == "rejoin")
        else:
            answer = await self._callers.call(leader, verb, me, JoinAnswer, 10.0)
        self.removed_at = answer.removed_at
        if answer.member:
            self.introduced = True
            log.info("the leader at %s knows this server", leader)
        elif answer.why:
            raise QuorateError(f"the leader at {leader} does not take this server in: {answer.why}")


def _check_one_cluster(settled: list[Identity]) -> None:
    found = {other.cluster_id: other.node for other in settled if other.cluster_id}
    if len(found) > 1:
        named = ", ".join(f"{node} (cluster {cluster})" for cluster, node in sorted(found.items()))
        raise QuorateError(
            f"there are servers of {len(found)} clusters in this pool, {named}, and this one has "
            "data of none; start it where only servers of its own are reached"
        )


def _no_leader_to_join(settled: list[Identity]) -> str:
    named = ", ".join(
        f"{other.node} (cluster {other.cluster_id or 'not named'})" for other in settled
    )
    return (
        f"there is a cluster already, of {named}, and it has no leader that could take this "
        "server in; no other cluster is founded beside it"
    )


def _wrong_cluster(options: ServerOptions, ours: str, other: Identity) -> WrongDataFolder:
    return WrongDataFolder(
        f"the data folder {options.data_dir} belongs to cluster {ours}, but {other.node} at "
        f"{other.address} belongs to cluster {other.cluster_id}",
        "use another data_dir, or correct the list of servers",
    )
