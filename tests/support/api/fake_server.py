"""A server without a cluster: all parts that `quorate.api.parts` names, answered from memory.

Forwarding goes to the application of another fake, as over the RPC port, so a test can put a
follower in front of a leader and a region in front of another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from hashlib import sha256
from io import BytesIO
from random import Random
from typing import Any

from fake_access import FakeAccess
from fake_admin import admin_of
from fake_recorder import FakeRecorder
from fake_recovery import FakeRecovery, NothingToBegin

from quorate.api.app import HttpApplication
from quorate.api.http.messages import Request, Response, StreamResponse
from quorate.api.parts import Parts
from quorate.archive.meta import ArchiveError, ArchiveMeta
from quorate.archive.reading import read_archive
from quorate.errors import (
    BackupFailed,
    NoLeader,
    NoPathToRegion,
    NotLeader,
    PeerNotFound,
    QuorateError,
)
from quorate.metrics import Metrics
from quorate.server.archive.replacing import Report
from quorate.server.archive.saving import Saved
from quorate.server.backups.keeper import Backups
from quorate.server.backups.taking import Taken
from quorate.server.bounds.usage import Usage
from quorate.server.events.hub import Hub
from quorate.server.leader.acts import Acts
from quorate.server.options import AclOptions, BackupOptions
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse, OnItsWay
from quorate.server.secrets.keeper import RootKeeper
from quorate.server.secrets.resealer import Resealer
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.sealer import Sealer
from quorate.server.views.records import (
    JoinResult,
    KeyringOperation,
    KeyringResult,
    Member,
    ServerView,
    Transfer,
    VoterView,
)
from quorate.shapes.agent import Rejoined
from quorate.shapes.compaction import Compacted
from quorate.shapes.operator import (
    OperatorHealth,
    RaftConfiguration,
    RaftFacts,
    RaftServer,
    UpgradeCheck,
)
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import root_keys
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.root_keys import ROOT_KEYS_LEVEL, AddRootKey

NOW = 1_795_444_800.0  # some second of 2026, in Unix time

FIRST_KEY = "c97d2330-aa51-4a65-219c-395644383cf1"
"""The root key of a fake at a level that has one."""

IDS = {
    "s1": "68279362-7ebc-e6ca-8c47-bc3536d97319",
    "s2": "13ab2eb1-3900-055b-76fa-4d364900687d",
    "s3": "990fe718-2e08-2a6f-9689-0955efec4c73",
}


def peer(name: str, address: str, *, leader: bool, server_id: str = "", **more: Any) -> RaftServer:
    """A voter of protocol 3, unless `more` says otherwise."""
    fields: dict[str, Any] = {"voter": True, "raft_protocol": "3", "node": f"{name}.global", **more}
    return RaftServer(id=server_id or IDS[name], address=address, leader=leader, **fields)


def member(name: str, region: str, address: str, status: str = "alive", **tags: str) -> Member:
    """A member of the pool with the tags that clients read."""
    all_tags = {
        "role": "nomad",
        "region": region,
        "dc": "dc1",
        "id": IDS.get(name, "435ddb59-1748-d56e-8975-256623bfa84d"),
        "port": "4647",
        "rpc_addr": address,
        "build": "1.0.18",
        "vsn": "1",
        "mvn": "1",
        "raft_vsn": "3",
        "expect": "3",
        **tags,
    }
    return Member(name=f"{name}.{region}", addr=address, port=4648, status=status, tags=all_tags)


def three_peers(leader: str = "s3") -> RaftConfiguration:
    """The three servers of most captured cases."""
    names = (("s3", "127.0.0.3:4647"), ("s2", "127.0.0.2:4647"), ("s1", "127.0.0.1:4647"))
    peers = tuple(peer(name, address, leader=name == leader) for name, address in names)
    return RaftConfiguration(index=22, servers=peers)


class FakeOptions:
    """What was configured."""

    def __init__(self, name: str, region: str) -> None:
        self.name, self.region, self.datacenter = name, region, "dc1"
        self.http_headers: dict[str, str] = {}
        self.prometheus = False
        self.authoritative_region = ""
        self.acl = AclOptions()
        self.regions_prove = False
        self.host_data: Callable[[], Awaitable[dict[str, Any]]] | None = None

    @property
    def config_view(self) -> dict[str, Any]:
        return {
            "NodeName": self.name,
            "Region": self.region,
            "Datacenter": self.datacenter,
            "Ports": {"HTTP": 4646, "RPC": 4647, "Serf": 4648},
            "Server": {"Enabled": True, "BootstrapExpect": 3},
            "Version": {"Version": "1.0.18", "VersionPrerelease": ""},
        }


class FakeCompacting:
    """Servers whose logs are as short as they can be."""

    async def all(self) -> list[Compacted]:
        return [found for each in IDS if (found := await self.one(each)) is not None]

    async def one(self, server: str) -> Compacted | None:
        await asyncio.sleep(0)
        name = server or "s3"
        if name not in IDS:
            return None
        return Compacted(id=IDS[name], node=f"{name}.global", log_bytes_before=9, log_bytes_after=3)


class FakeServer:
    """One server, which is all of its parts. Its fields are changed by the tests at will."""

    def __init__(self, name: str = "s3", region: str = "global", role: str = "leader") -> None:
        self.options = FakeOptions(name, region)
        self.access = FakeAccess()
        self.role = role  # leader, follower, or lost: nobody leads
        self.lease = True
        self.address = f"127.0.0.{name[-1]}:4647"
        self.leader_at = "127.0.0.3:4647" if role != "lost" else ""
        self.contact_ms = 0 if role == "leader" else 8
        self.view = three_peers()
        self.pool = [member(f"s{n}", "global", f"127.0.0.{n}") for n in (3, 2, 1)]
        self.known_regions = ["global"]
        self.store = StateStore(TODAY)
        self.events = Hub(self.store)
        self.log_index = 4
        self.holding: list[str] = []  # whose disks may hold what older root keys have sealed
        self.sealer = Sealer(self.store, KeyRing(self.store), self.is_leader)
        self.usage = Usage(self.store)
        self.root_keys = RootKeeper(
            state=self.store,
            apply=self.apply,
            acts=Acts(self.store, lambda: int(NOW * 1000)),
            leads=self.is_leader,
            unix_ns=lambda: int(NOW * 10**9),
            resealer=Resealer(self.store, self.sealer, self.apply),
            holders=self.holders,
        )
        self.behind: tuple[str, ...] = ()  # servers that have not applied a deletion
        self.acl = admin_of(self)
        self.backups = Backups(
            options=BackupOptions(),
            state=self.store,
            taking=self,
            restores=self,
            apply=self.apply,
            server_id=self.options.name,
            leads=self.is_leader,
            sure=self.is_leader,
            now=lambda: NOW,
            begin=NothingToBegin(),
        )
        self.barriers = 0
        self.barrier_errors: list[QuorateError] = []
        self.apply_errors: list[QuorateError] = []
        self.save_errors: list[QuorateError] = []
        self.recorder = FakeRecorder()
        self.restored: list[tuple[bytes, bool, bool]] = []
        self.kept_acl: list[bool] = []
        self.removed: list[tuple[str | None, str | None]] = []
        self.forced: list[bool] = []
        self.forwarded: list[ForwardRequest] = []
        self.connected = False  # to the leader: a read can be passed on at once
        self.abandoned: list[asyncio.Future[ForwardResponse]] = []
        self.leader_application: HttpApplication | None = None
        self.leader_errors: list[QuorateError] = []
        self.region_applications: dict[str, HttpApplication] = {}
        self.member_applications: dict[str, HttpApplication] = {}
        self.region_errors: list[QuorateError] = []
        self.problem: str | None = None
        self.reason = ""  # for which nobody leads
        self.condition = OperatorHealth(healthy=True)
        self.pool_error: QuorateError | None = None
        self.joined: list[str] = []
        self.unreachable: dict[str, str] = {}  # by address: why
        self.left: list[tuple[str, bool]] = []
        self.ring: list[str] | None = None  # the keys of all members, the primary one first
        self.silent: list[str] = []  # members that do not answer a key query
        self.upgrade = UpgradeCheck(level=0, goal=1, may_mix="all")
        self.unasked: dict[str, str] = {}  # by server's name: why it gave no view
        self.on_wait: Callable[[], None] = lambda: None
        self.waits = 0

    async def take(self, slot: int, *, manual: bool) -> Taken:
        raise BackupFailed(f"nothing is taken for {slot}, {manual}")

    def write_defaults(self) -> FakeServer:
        """What a leader's first command writes."""
        self.commit(encode(InitialiseDefaults()))
        return self

    def commit(self, command: bytes) -> Any:
        """Apply a command at the next index; a level with root keys is followed by the first."""
        self.log_index += 1
        result = self.store.apply(self.log_index, command)
        if self.store.level >= ROOT_KEYS_LEVEL and not self.store.rows(root_keys.TABLE):
            first = AddRootKey(key_id=FIRST_KEY, key=bytes(32), create_time=int(NOW * 10**9))
            self.commit(encode(first))
        return result

    def application(
        self, metrics: Metrics | None = None, seed: int = 1, *, control: bool = True
    ) -> HttpApplication:
        """An application on this service, with a clock that stands still."""
        return HttpApplication(
            self.parts(), metrics or Metrics(), lambda: NOW, Random(seed), control=control
        )

    def parts(self) -> Parts:
        """What the API is made on."""
        return Parts(
            leadership=self,
            forwarder=self,
            state=self,
            writes=self,
            archives=self,
            backups=self.backups,
            sealer=self.sealer,
            usage=self.usage,
            restores=self,
            membership=self,
            cluster=self,
            compacting=FakeCompacting(),
            autopilot=self,
            pool=self,
            directory=self,
            events=self.events,
            root_keys=self.root_keys,
            acl=self.acl,
            recovery=FakeRecovery(),
            rejoining=self,
            recorder=self.recorder,
            agent=self,
            options=self.options,
            access=self.access,
        )

    # -- the parts -----------------------------------------------------------------------------

    async def save(self) -> Saved:
        await asyncio.sleep(0)
        if self.save_errors:
            raise self.save_errors.pop(0)

        async def body() -> AsyncGenerator[bytes, None]:
            yield b"archive"

        digest = sha256(b"archive").digest()
        return Saved(ArchiveMeta(), len(b"archive"), digest, body())

    async def restore(
        self,
        archive: AsyncIterator[bytes],
        *,
        force: bool = False,
        dry_run: bool = False,
        keep_acl: bool = False,
    ) -> Report:
        self.kept_acl.append(keep_acl)
        body = b"".join([piece async for piece in archive])
        self.restored.append((body, force, dry_run))
        if self.save_errors:
            raise self.save_errors.pop(0)
        try:
            read_archive(BytesIO(body).read)
        except ArchiveError as error:
            raise QuorateError("failed to restore from snapshot: " + error.text) from error
        return Report(meta=ArchiveMeta(id="2-4-5"), changes=(), index=9, safety="/safe")

    @property
    def shift(self) -> int:
        return self.store.shift

    def readable(self) -> StateStore:
        return self.store

    def leader_address(self) -> str:
        return self.address if self.role == "leader" else self.leader_at

    def is_leader(self) -> bool:
        return self.role == "leader"

    def has_begun(self) -> bool:
        return self.is_leader()

    def lease_valid(self) -> bool:
        return self.is_leader() and self.lease

    async def read_barrier(self) -> None:
        self.barriers += 1
        await asyncio.sleep(0)
        if self.barrier_errors:
            raise self.barrier_errors.pop(0)
        if not self.is_leader():
            raise NotLeader

    async def wait_for_leader(self, timeout_s: float) -> bool:
        self.waits += 1
        self.on_wait()
        until = asyncio.get_running_loop().time() + timeout_s
        while not self.leader_address():
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(0.005)
        return True

    def last_contact_ms(self) -> int:
        return 0 if self.is_leader() else self.contact_ms

    async def to_leader(self, request: ForwardRequest) -> ForwardResponse:
        self.forwarded.append(request)
        if self.leader_errors:
            raise self.leader_errors.pop(0)
        if self.leader_application is None:
            raise NoLeader
        return await loopback(self.leader_application, request)

    def at_once(self, request: ForwardRequest) -> OnItsWay | None:
        if not self.connected:
            return None
        return OnItsWay(asyncio.ensure_future(self.to_leader(request)), self.abandoned.append)

    async def to_member(self, server_id: str, request: ForwardRequest) -> ForwardResponse:
        self.forwarded.append(request)
        return await loopback(self.member_applications[server_id], request)

    async def to_region(self, region: str, request: ForwardRequest) -> ForwardResponse:
        self.forwarded.append(request)
        if self.region_errors:
            raise self.region_errors.pop(0)
        if region not in self.region_applications:
            raise NoPathToRegion
        return await loopback(self.region_applications[region], request)

    def raft_configuration(self) -> RaftConfiguration:
        return self.view

    def health(self) -> OperatorHealth:
        return self.condition

    def peers(self) -> list[str]:
        return [server.address for server in self.view.servers]

    def regions(self) -> list[str]:
        return self.known_regions

    def waiting(self) -> str:
        return self.reason

    def warning(self) -> str:
        return self.usage.warning()

    def health_problem(self) -> str | None:
        return self.problem

    def stats(self) -> dict[str, dict[str, str]]:
        return {
            "nomad": {"server": "true", "leader": str(self.is_leader()).lower()},
            "raft": {"state": "Leader", "term": "2", "num_peers": "2"},
            "serf": {"members": "3", "encrypted": "false"},
            "runtime": {"version": "3.11", "cpu_count": "2"},
        }

    def apply(self, command: bytes) -> asyncio.Future[tuple[int, Any]]:
        return asyncio.ensure_future(self._apply(command))

    async def _apply(self, command: bytes) -> tuple[int, Any]:
        await asyncio.sleep(0)
        if self.apply_errors:
            raise self.apply_errors.pop(0)
        if not self.is_leader():
            raise NotLeader
        result = self.commit(command)
        return self.log_index, result

    async def lagging(self, _: int) -> tuple[str, ...]:
        return self.behind

    async def holders(self, _: int) -> list[str]:
        return self.holding

    async def remove(self, *, server_id: str | None, address: str | None, force: bool) -> None:
        await asyncio.sleep(0)
        if self.apply_errors:
            raise self.apply_errors.pop(0)
        self.removed.append((server_id, address))
        self.forced.append(force)
        found = self._found(server_id, address)
        kept = tuple(server for server in self.view.servers if server is not found)
        self.view = RaftConfiguration(index=self.view.index + 1, servers=kept)

    async def transfer(self, *, server_id: str | None, address: str | None) -> Transfer:
        await asyncio.sleep(0)
        if self.apply_errors:
            raise self.apply_errors.pop(0)
        target = self._found(server_id, address)
        source = next(server for server in self.view.servers if server.leader)
        return Transfer(
            from_id=source.id,
            from_address=source.address,
            to_id=target.id,
            to_address=target.address,
            noop=target is source,
        )

    # -- the pool ------------------------------------------------------------------------------

    def members(self) -> list[Member]:
        return self.pool

    async def join(self, addresses: Sequence[str]) -> JoinResult:
        await self._pool_call()
        self.joined += addresses
        errors = tuple(self.unreachable[a] for a in addresses if a in self.unreachable)
        return JoinResult(len(addresses) - len(errors), errors)

    async def force_leave(self, node: str, *, prune: bool) -> None:
        await self._pool_call()
        self.left.append((node, prune))

    async def keyring(self, operation: KeyringOperation, key: str) -> KeyringResult:
        await self._pool_call()
        asked = [one.name for one in self.pool if one.status == "alive"]
        answering = [name for name in asked if name not in self.silent]
        why = self._change_ring(operation, key)
        keys = self.ring if operation is KeyringOperation.LIST and self.ring else []
        count = len(answering)
        return KeyringResult(
            keys=dict.fromkeys(keys, count),
            primary_keys=dict.fromkeys(keys[:1], count),
            messages=dict.fromkeys(answering, why) if why else {},
            num_nodes=len(asked),
            num_resp=count,
            num_err=count if why else 0,
            unanswered=tuple(
                one.name for one in self.pool if one.name not in answering and one.status != "left"
            ),
        )

    def _change_ring(self, operation: KeyringOperation, key: str) -> str:
        """Change the ring that all members share; why not, or empty."""
        ring = self.ring
        if ring is None:
            return "No keyring to modify (encryption not enabled)"
        match operation:
            case KeyringOperation.INSTALL if key not in ring:
                ring.append(key)
            case KeyringOperation.USE | KeyringOperation.REMOVE if key not in ring:
                return "Requested key is not in the keyring"
            case KeyringOperation.USE:
                ring.remove(key)
                ring.insert(0, key)
            case KeyringOperation.REMOVE if key == ring[0]:
                return "Removing the primary key is not allowed"
            case KeyringOperation.REMOVE:
                ring.remove(key)
        return ""

    async def upgrade_check(self) -> UpgradeCheck:
        await asyncio.sleep(0)
        return self.upgrade

    def facts(self) -> RaftFacts:
        return RaftFacts(id=IDS["s1"], term=2)

    async def views(self) -> list[ServerView]:
        await asyncio.sleep(0)
        servers = tuple(
            VoterView(id=one.id, address=one.address, voter=one.voter) for one in self.view.servers
        )
        found = []
        for one in self.view.servers:
            if one.node in self.unasked:
                why = self.unasked[one.node]
                found.append(ServerView(id=one.id, node=one.node, address=one.address, error=why))
                continue
            found.append(
                ServerView(
                    id=one.id,
                    node=one.node,
                    address=one.address,
                    role="leader" if one.leader else "follower",
                    term=2,
                    leader_address=self.leader_address(),
                    leader_id=IDS["s3"],
                    last_contact_ms=0 if one.leader else 8,
                    last_index=30,
                    commit_index=30,
                    configuration_index=self.view.index,
                    servers=servers,
                )
            )
        return found

    async def rejoin(self) -> Rejoined:
        await self._pool_call()
        return Rejoined(id=IDS["s2"], moved_aside="/data/server.removed-812")

    async def _pool_call(self) -> None:
        await asyncio.sleep(0)
        if self.pool_error is not None:
            raise self.pool_error

    # -- below ---------------------------------------------------------------------------------

    def _found(self, server_id: str | None, address: str | None) -> RaftServer:
        for server in self.view.servers:
            if server_id is not None and server.id == server_id:
                return server
            if address is not None and server.address == address:
                return server
        if server_id is not None:
            raise PeerNotFound("id", server_id)
        raise PeerNotFound("address", address or "")


async def answered(application: HttpApplication, request: Request) -> Response:
    """The application's response, awaited if need be."""
    result = application.handle(request)
    return result if isinstance(result, Response) else await result


async def loopback(application: HttpApplication, request: ForwardRequest) -> ForwardResponse:
    """The answer of another server, as it comes back over the RPC port."""
    response = await answered(
        application,
        Request(request.method, request.target.encode("latin-1"), request.headers, request.body),
    )
    stream = response.pieces if isinstance(response, StreamResponse) else None
    rendered = application.renderer.render(response, compressed=False)
    headers = tuple((name.lower(), value) for name, value in rendered.headers)
    body = rendered.body
    return ForwardResponse(status=rendered.status, headers=headers, body=body, stream=stream)
