"""A replica inside a user's asyncio service: `serve` founds a cluster, or joins one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from quorate.errors import QuorateError, WrongServers
from quorate.net.calls import CallConnection
from quorate.net.dial import greet, host_and_port
from quorate.net.port import RpcPort
from quorate.net.threads import in_thread
from quorate.net.tls.files import TlsFiles
from quorate.net.trust import Trust
from quorate.raft.values.configuration import Configuration, ConfigurationError, Server
from quorate.raft.values.identity import RUN_BITS
from quorate.replica.meeting import Meeting
from quorate.replica.options import Options
from quorate.replica.replica import Replica
from quorate.runtime.ports import StateMachine
from quorate.storage.folder.key_file import load_or_make_key
from quorate.storage.folder.replica_folder import ReplicaFolder
from quorate.storage.snapshots.store import SnapshotStore
from quorate.version import __version__

if TYPE_CHECKING:
    from quorate.net.tls.keeper import TlsKeeper

Result = TypeVar("Result")

log = logging.getLogger("quorate.replica")

_HANDSHAKE_TIMEOUT_S: Final = 5.0
_REGION: Final = "library"
"""The handshake names a region; replicas of a service have none."""
_CONNECTIONS_MAX: Final = 256
"""Of one client address: servers of a cluster on one machine, and no more."""
_CONNECTIONS_TOTAL: Final = 512
"""Of all: half of the files that a process may usually have open."""


async def serve(
    server_id: str,
    servers: Mapping[str, str],
    machine: StateMachine[Result],
    data_dir: Path,
    options: Options | None = None,
    *,
    join: bool = False,
    tls: TlsFiles | None = None,
) -> Replica[Result]:
    """Start the replica `server_id` and listen for its peers.

    `servers` maps server IDs to "host:port", this server's among them. Without `join` they are the
    founders of a cluster: all are given the same map, and the cluster is founded once, when all of
    them run. With `join` they are members of a cluster that is there, and this server becomes a
    non-voter of it: returns when the leader has taken it in. Once `data_dir` holds data, the log
    says which servers are members (`Replica.change`), and the map only helps to find them.

    With `tls` the servers speak TLS with each other, and take nothing else. The certificate has the
    name `server.library.nomad` (`quorate tls cert create -server -region=library`); its files are
    read again when they change, and one that cannot be used is told to `Replica.on_refused`. For 30
    days before it ends, `Status.tls_worries` and, once a day, the logger `quorate.replica` say so.

    What is refused is refused before anything is listened for. Raises WrongServers (this ID is not
    in the map, an address is none, another cluster answers, or a member's data is lost: the text
    says how to come back), DataFolderInUse, WrongDataFolder, LogDamaged, NotReached when no leader
    takes a joiner in within `options.join_timeout_s`, and OSError when the address cannot be used.
    """
    _check(server_id, servers)
    folder = await in_thread(
        partial(
            ReplicaFolder.open,
            data_dir,
            server_id=server_id,
            run=os.urandom(RUN_BITS),
            version=__version__,
        )
    )
    opened = _Opened(folder, dict(servers), options or Options())
    try:
        if tls is not None:
            await opened.speak_tls(tls)
        return await opened.start(machine, join=join)
    except BaseException:
        await opened.undo()
        raise


def _check(server_id: str, servers: Mapping[str, str]) -> None:
    """Raise WrongServers for a map with which nothing can work."""
    if server_id not in servers:
        raise WrongServers(
            f"the server {server_id!r} is not in the map of servers: {', '.join(sorted(servers))}",
            "give every server the same map, its own ID and address in it",
        )
    try:
        Configuration(tuple(Server(i, a) for i, a in sorted(servers.items()))).check()
        for address in servers.values():
            host_and_port(address)
    except (ConfigurationError, OSError) as error:
        raise WrongServers(f"the map of servers is wrong: {error}", "correct the map") from None


class _Opened:
    """One replica on its open folder, while it starts."""

    def __init__(self, folder: ReplicaFolder, servers: dict[str, str], options: Options) -> None:
        self._folder = folder
        self._servers = servers
        self._options = options
        self._me = folder.node_id
        self._address = servers[self._me]
        self._others = {i: a for i, a in servers.items() if i != self._me}
        self._replica: Replica[object] | None = None
        self._port: RpcPort | None = None
        self._tls: TlsKeeper | None = None

    async def speak_tls(self, files: TlsFiles) -> None:
        """Read the certificate. Raises QuorateError for one that the others would not believe."""
        # What reads certificates takes a few megabytes: it is loaded by a service that has some.
        from quorate.net.tls.identity import read_identity
        from quorate.net.tls.keeper import TlsKeeper

        self._tls = TlsKeeper(files, await in_thread(read_identity, files), region=_REGION)
        self._tls.check_own(self._tls.identity)

    def _renew(self, replica: Replica[object], tls: TlsKeeper) -> None:
        from quorate.net.tls.renewal import Renewal
        from quorate.net.tls.worrying import Worrying

        renewal = Renewal(tls, lambda _text: None, partial(replica.refused, "TLS"))
        replica.spawn(renewal.run())
        worrying = Worrying(
            tls, self._me, lambda text: log.warning("%s: %s", self._me, text), time.monotonic
        )
        replica.spawn(worrying.run())

    async def start(self, machine: StateMachine[Result], *, join: bool) -> Replica[Result]:
        folder, options = self._folder, self._options
        replica = Replica(
            server_id=self._me,
            address=self._address,
            machine=machine,
            log=await in_thread(folder.open_log),
            snapshots=SnapshotStore(folder.snapshots_path),
            options=options,
            promises=folder,
        )
        trust = self._trust(replica)
        replica.believe(trust)
        meeting = Meeting(replica, folder, trust, {} if join else self._servers, self._servers)
        replica.greeter = partial(meeting.greet, copied=partial(self._retire, replica))
        await replica.load()
        self._replica = replica
        replica.speak_as(folder.record)
        replica.locate = trust.place_of
        replica.begin()
        begins = not meeting.has_data
        if begins and not join:
            await meeting.look_before(self._others)
        if begins and join:
            await meeting.join(self._address, self._others, options.join_timeout_s)
        await self._listen(replica, trust, meeting)
        if not folder.identity.cluster_id:
            replica.spawn(meeting.found())
        replica.spawn(meeting.keep_keys())
        if self._tls is not None:
            self._renew(replica, self._tls)
        if not begins:
            members = {s.id: s.address for s in replica.node.configuration.servers}
            others = {i: a for i, a in {**members, **self._others}.items() if i != self._me}
            own = replica.node.configuration.get(self._me)
            if own is not None and own.address != self._address:
                replica.spawn(meeting.join(self._address, others, float("inf")))
        return replica

    def _trust(self, replica: Replica[object]) -> Trust:
        unproven = frozenset(self._options.unproven_peers)

        def configuration() -> Configuration:
            return replica.node.configuration

        def lenient() -> bool:
            """While a member of ours has no key on record: it ran before servers had keys."""
            return not all(trust.is_settled(server) for server in configuration().servers)

        trust = Trust(
            signer=load_or_make_key(self._folder),
            me=lambda: (self._folder.record, _REGION, self._address),
            configuration=configuration,
            starts=self._folder,
            lenient=lenient,
            unproven_hosts=unproven,
            refused=replica.refused,
            tls=self._tls,
        )
        trust.probe = lambda address: greet(address, trust)
        return trust

    async def _listen(self, replica: Replica[object], trust: Trust, meeting: Meeting) -> None:
        self._port = port = RpcPort(
            trust=trust,
            raft=replica.connection,
            http=None,
            calls=lambda peer: CallConnection(peer, meeting.answer),
            refused=replica.refused,
            handshake_timeout_s=_HANDSHAKE_TIMEOUT_S,
            connections_max=_CONNECTIONS_MAX,
            connections_total=_CONNECTIONS_TOTAL,
            bare=not self._options.stream_prefix,
        )
        await port.listen(*host_and_port(self._address))
        replica.after_stop.append(port.close)
        replica.after_stop.append(self._close_folder)

    async def _close_folder(self) -> None:
        self._folder.close()

    def _retire(self, replica: Replica[object], reason: str) -> None:
        """A member has seen a later start of this server: its data is an old copy."""
        self._folder.mark_rolled_back(reason, int(time.time()))
        replica.fail(
            QuorateError(
                f"this server must not take part: {reason}",
                "start it with a new server ID and join=True; remove the old ID, unless another "
                "server goes on with it",
            )
        )

    async def undo(self) -> None:
        """End what was begun; the folder is free for others."""
        if self._replica is not None:
            await self._replica.stop()
        if self._port is not None:
            await self._port.close()
        self._folder.close()
