"""Every server that can be found is asked: those given, and those that the answers name.

One deadline holds for all of it. What has not answered by then counts as silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from quorate.diagnosis.asking.answers import (
    Told,
    clock_of,
    objects,
    pool_of,
    read_json,
    server_from,
    servers_of,
    text,
)
from quorate.diagnosis.asking.network import Answer, Place, Unanswered, dial, get
from quorate.diagnosis.asking.processes import listener_at
from quorate.diagnosis.values import (
    Asked,
    Dialed,
    Failure,
    PoolEntry,
    Report,
    Server,
    Trouble,
    World,
)
from quorate.errors import QuorateError
from quorate.net.threads import in_thread

DEADLINE_S: Final = 8.0
REQUEST_S: Final = 4.0
"""A server of ours asks the others for 2 s at most before it answers."""

HEALTH_S: Final = 6.0
"""A server looks for a leader for 5 s before it says that it has none."""

ASKED_MAX: Final = 64
DIALED_MAX: Final = 128
AT_ONCE: Final = 32

_VIEWS: Final = "/v1/operator/raft/views?details"
_OTHERS: Final = {
    "self": "/v1/agent/self",
    "configuration": "/v1/operator/raft/configuration?stale",
    "members": "/v1/agent/members",
    "peers": "/v1/status/peers?stale",
}
_HEALTH: Final = "/v1/agent/health"
_LEADER: Final = "/v1/status/leader?stale"
_UNTOLD: Final = frozenset({Trouble.DENIED, Trouble.UNCHECKED})


class How(NamedTuple):
    """How agents are asked. `place` makes one of an address; it raises QuorateError."""

    place: Callable[[str], Place]
    headers: Mapping[str, str]
    deadline_s: float = DEADLINE_S


class Gatherer:
    """One gathering. `say` is told how far it is."""

    def __init__(self, how: How, say: Callable[[str], None] = lambda _: None) -> None:
        self._how = how
        self._say = say
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[str, Asked] = {}
        self._dialed: dict[tuple[str, str], Dialed] = {}
        self._servers: dict[tuple[str, str], Server] = {}
        self._reports: dict[tuple[str, str, str], Report] = {}
        self._pool: dict[tuple[str, str, str], PoolEntry] = {}
        self._leaders: dict[str, str] = {}
        self._ends: dict[str, float] = {}  # of certificates, by the base of the URL
        self._late = False

    async def gather(
        self, addresses: Iterable[str], joins: Iterable[str] = (), http_port: int = 4646
    ) -> World:
        """Ask these HTTP addresses, and all that is found by them; dial the addresses to join.

        `http_port` is where the servers to join may have their API.
        """
        for address in addresses:
            self._ask(address, guessed=False)
        self._join(joins, "http", http_port)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._how.deadline_s
        while self._tasks and (left := until - loop.time()) > 0:
            self._say(f"{self._answered()} of {len(self._asked)} have answered")
            await asyncio.wait(
                self._tasks, timeout=min(left, 0.2), return_when=asyncio.FIRST_COMPLETED
            )
        self._late = self._late or bool(self._tasks)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return World(
            asked=tuple(self._asked.values()),
            servers=tuple(sorted(self._servers.values(), key=lambda s: (s.node, s.address))),
            reports=tuple(self._reports.values()),
            pool=tuple(self._pool.values()),
            dialed=tuple(self._dialed.values()),
            leaders=tuple(self._leaders.items()),
            late=self._late,
        )

    def _answered(self) -> int:
        return sum(bool(asked.server) for asked in self._asked.values())

    # -- tasks ------------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ask(self, address: str, *, guessed: bool) -> None:
        if address in self._asked:
            return
        if len(self._asked) >= ASKED_MAX:
            self._late = self._late or not guessed
            return
        silent = Failure(Trouble.SILENT, "no answer when the time was up")
        self._asked[address] = Asked(address=address, guessed=guessed, failure=silent)
        self._begin(self._ask_one(address, guessed=guessed))

    def _dial(self, address: str, what: str) -> None:
        key = (address, what)
        if key in self._dialed or len(self._dialed) >= DIALED_MAX:
            return
        silent = Failure(Trouble.SILENT, "no answer when the time was up")
        self._dialed[key] = Dialed(address=address, what=what, failure=silent)
        self._begin(self._dial_one(address, what))

    async def _dial_one(self, address: str, what: str) -> None:
        host, port = _host_and_port(address, 4648 if what == "join" else 4647)
        failure, process = None, None
        async with self._turn:
            try:
                await dial(host, port)
            except Unanswered as error:
                failure = error.failure
            else:
                process = await in_thread(listener_at, host, port) if what == "rpc" else None
        self._dialed[address, what] = Dialed(
            address=address, what=what, failure=failure, process=process
        )

    # -- one agent --------------------------------------------------------------------------------

    async def _ask_one(self, address: str, *, guessed: bool) -> None:
        async with self._turn:
            try:
                server, untold = await self._meet(self._how.place(address))
                ends = self._ends.get(self._how.place(address).base)
                days = None if ends is None else (ends - time.time()) / 86_400
                asked = Asked(
                    address=address,
                    guessed=guessed,
                    server=server,
                    failure=untold,
                    certificate_days=days,
                )
            except Unanswered as error:
                asked = Asked(address=address, guessed=guessed, failure=error.failure)
                if error.failure.kind is Trouble.HANGS:
                    self._asked[address] = asked  # it stands, should the time be up now
                    place = self._how.place(address)
                    process = await in_thread(listener_at, place.host, place.port)
                    asked = msgspec.structs.replace(asked, process=process)
            except (QuorateError, ValueError) as error:  # a server told of what is no address
                failure = Failure(Trouble.DNS, str(error))
                asked = Asked(address=address, guessed=guessed, failure=failure)
        self._asked[address] = asked

    async def _meet(self, place: Place) -> tuple[str, Failure | None]:
        """Ask the agent there; the ID of its server, and why it tells no more than its health.

        Raises Unanswered.
        """
        began = time.time()
        answer = await self._get(place, _VIEWS)
        views, refused = None, None
        try:
            views = read_json(answer)
        except Unanswered as error:
            if answer.status == 200:
                raise  # it is no agent
            refused = error
        if views is not None and text(views, "Asked"):
            return await self._take_views(place, views, began), None
        untold = None if refused is None or refused.failure.kind not in _UNTOLD else refused.failure
        told, clock = await self._tell(place, denied=untold is not None)
        server = server_from(told, place.base)
        if server is None:
            raise (
                refused
                if refused is not None
                else Unanswered(Trouble.GARBAGE, "it tells no server")
            )
        if clock is not None:
            server = msgspec.structs.replace(
                server, clock_off_s=clock - time.time(), clock_error_s=2.0
            )
        self._note(server)
        self._pool_told(told.members, server.id)
        if views is not None:
            _, others, reports = servers_of({**views, "Asked": server.id}, "")
            for other in others:
                if other.id != server.id:
                    self._note(other)
            self._note_reports(reports)
        self._look_for_others(place, server)
        return server.id, untold if server.id == place.base else None

    async def _get(self, place: Place, path: str) -> Answer:
        limit_s = HEALTH_S if path == _HEALTH else REQUEST_S
        answer = await get(place, path, self._how.headers, limit_s)
        if answer.ends is not None:
            self._ends[place.base] = answer.ends
        return answer

    async def _take_views(self, place: Place, views: Any, began: float) -> str:
        ended = time.time()
        asked, servers, reports = servers_of(views, place.base)
        error_s = (ended - began) / 2
        for server in servers:
            known = server
            if server.facts is not None and server.facts.clock_ms:
                off = server.facts.clock_ms / 1000 - (began + ended) / 2
                known = msgspec.structs.replace(server, clock_off_s=off, clock_error_s=error_s)
            self._note(known)
        self._note_reports(reports)
        own = next((s for s in servers if s.id == asked), None)
        with contextlib.suppress(Unanswered):
            self._pool_told(read_json(await self._get(place, _OTHERS["members"])), asked)
        if own is not None:
            self._look_for_others(place, own)
        return asked

    async def _tell(self, place: Place, *, denied: bool) -> tuple[Told, float | None]:
        """What an agent tells that knows no details, or `denied` them; and its clock."""
        clocks: list[float] = []

        async def one(path: str) -> Any:
            try:
                answer = await self._get(place, path)
                if (clock := clock_of(answer)) is not None:
                    clocks.append(clock)
                if path == _HEALTH and answer.status == 500:
                    answer = answer._replace(status=200)
                return read_json(answer)
            except Unanswered:
                return None

        names = [*_OTHERS, "health"] if denied else list(_OTHERS)
        found = await asyncio.gather(
            *(one(_OTHERS.get(name, _HEALTH)) for name in names), one(_LEADER)
        )
        leader = found.pop() if isinstance(found, list) else None
        told = Told(**dict(zip(names, found, strict=True)))
        named = [leader] if isinstance(leader, str) else []
        rows = objects(told.configuration, "Servers")
        named += [text(row, "Address") for row in rows if row.get("Leader") is True]
        if any(named):
            self._leaders[place.base] = next(filter(None, named))
        return told, clocks[0] if clocks else None

    # -- what they tell ---------------------------------------------------------------------------

    def _note(self, server: Server) -> None:
        """Of two tellings of one server its own counts, then the later one."""
        key = (server.id, server.address)
        known = self._servers.get(key)
        if known is None or (not known.http and (server.http or server.term >= known.term)):
            self._servers[key] = server

    def _note_reports(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self._reports[report.by, report.of, report.address] = report

    def _pool_told(self, members: Any, by: str) -> None:
        for entry in pool_of(members, by):
            self._pool[by, entry.name, entry.address] = entry

    def _look_for_others(self, place: Place, own: Server) -> None:
        """Servers that this one names: where their API may be, and their RPC address.

        Of those that have told of themselves to another one only the API is looked for: a command
        that is proposed may have to name it.
        """
        known = {address for (_, address), s in self._servers.items() if s.facts is not None}
        apart = _port(own.address) - place.port
        wanted = {member.address for member in own.members}
        wanted |= {
            entry.address
            for entry in self._pool.values()
            if entry.by == own.id and entry.status != "left" and entry.region == own.told.region
        }
        scheme = "https" if place.tls is not None else "http"
        for address in sorted(wanted - {own.address}):
            if address not in known:
                self._dial(address, "rpc")
            host, port = _host_and_port(address, 4647)
            if host and 0 < port - apart < 1 << 16 and not place.socket:
                shown = f"[{host}]" if ":" in host else host
                self._ask(f"{scheme}://{shown}:{port - apart}", guessed=True)
        self._join(own.told.gossip.join, scheme, place.port)

    def _join(self, addresses: Iterable[str], scheme: str, http_port: int) -> None:
        """Dial servers that are to be joined, and look whether their API is at that port."""
        for address in addresses:
            if "=" in address or " " in address:
                continue  # how to ask a cloud for its machines
            self._dial(address, "join")
            host, _ = _host_and_port(address, 4648)
            shown = f"[{host}]" if ":" in host else host
            self._ask(f"{scheme}://{shown}:{http_port}", guessed=True)


def _host_and_port(address: str, default: int) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host[:1] == "["):
        return host.strip("[]"), int(port) if 0 < int(port) < 1 << 16 else default
    return address.strip("[]"), default


def _port(address: str) -> int:
    return _host_and_port(address, 4647)[1]
