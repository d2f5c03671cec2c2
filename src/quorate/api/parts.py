"""The parts of a server that the API is made on: narrow protocols, and `Parts`, all of them.

The API holds no cluster logic: it decodes a request, finds out by `Leadership` whether this
server may answer, and encodes the answer. Each endpoint takes from `Parts` what it needs.
Everything runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from quorate.acl.caller import Caller
from quorate.recovery.plan import Plan
from quorate.server.access.given import RoleGiven, TokenDeleted, TokenGiven, TokenMade
from quorate.server.access.transition import Refusals
from quorate.server.archive.replacing import Report
from quorate.server.archive.saving import Saved
from quorate.server.audit.acting import Act
from quorate.server.audit.sink import Sink
from quorate.server.backups.standing import Standing
from quorate.server.bounds.usage import Usage
from quorate.server.events.hub import Hub
from quorate.server.options import AclOptions, BackupOptions
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse, OnItsWay
from quorate.server.server import Server
from quorate.server.views.records import (
    JoinResult,
    KeyringOperation,
    KeyringResult,
    Member,
    ServerView,
    Transfer,
)
from quorate.shapes.agent import Rejoined
from quorate.shapes.compaction import Compacted
from quorate.shapes.operator import (
    LiveRecovery,
    OperatorHealth,
    RaftConfiguration,
    RaftFacts,
    UpgradeCheck,
)
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl.roles import AclRole
from quorate.state.tables.acl.tokens import AclToken
from quorate.state.tables.backups import Backup
from quorate.state.tables.journal import Who
from quorate.state.tables.variables import Sealed, Variable


class Leadership(Protocol):
    """The leader, and the proof that a linearizable read needs."""

    def leader_address(self) -> str:
        """RPC address of the leader this server follows (its own if it leads), or empty."""

    def is_leader(self) -> bool:
        """True while this server believes to lead (no promise: see `lease_valid`)."""

    def has_begun(self) -> bool:
        """True if this server leads, and has applied all that earlier leaders have written."""

    def lease_valid(self) -> bool:
        """True if this server leads, is ready, and its lease proves it.

        Then a read of applied state made right now, without awaiting, is linearizable.
        """

    async def read_barrier(self) -> None:
        """Return when a read made now on this leader is linearizable.

        Raises NotLeader, NotReady, LeadershipLost, StateDamaged or MachineHeld.
        """

    async def wait_for_leader(self, timeout_s: float) -> bool:
        """Wait until a leader is known (this server or another); False if none is in time."""

    def last_contact_ms(self) -> int:
        """Whole milliseconds since the leader was heard; 0 on the leader."""


class Access(Protocol):
    """From the secret of a token to its caller (docs/acl.md)."""

    @property
    def enabled(self) -> bool:
        """Whether access control is on at this server. It stays so until its end."""

    @property
    def transition(self) -> bool:
        """Whether what would be refused is allowed, and counted."""

    @property
    def stamp(self) -> object:
        """Another object after each change of what a caller may do."""

    @property
    def refusals(self) -> Refusals:
        """The requests that were allowed so."""

    def caller(self, secret: str, now_s: float) -> Caller:
        """The caller with that secret, by the state here; empty: an anonymous one.

        `now_s` is Unix time. Raises TokenNotFound, TokenExpired, StateDamaged, LevelTooLow.
        """


class Forwarder(Protocol):
    """The way to the servers that have to answer instead of this one."""

    async def to_leader(self, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to the leader over the RPC port.

        Raises NoLeader when none is known, LeadershipLost when another leader was elected before
        the answer came, QuorateError with the transport's text on failure.
        """

    def at_once(self, request: ForwardRequest) -> OnItsWay | None:
        """Pass a request without a stream to the leader, if that can be done without an await.

        None if it cannot; then nothing is sent. The answer fails as `to_leader` does.
        """

    async def to_member(self, server_id: str, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to that server of the Raft configuration. Raises QuorateError."""

    async def to_region(self, region: str, request: ForwardRequest) -> ForwardResponse:
        """Pass a request to a live server of that region. Raises NoPathToRegion."""


class State(Protocol):
    """The replicated state."""

    def readable(self) -> StateStore:
        """The state as applied here so far.

        Raises StateDamaged while it is known not to be that of the other servers. What is of the
        log (who leads, the Raft configuration) can be answered all the same.
        """


class Writes(Protocol):
    """The way into the log."""

    @property
    def shift(self) -> int:
        """How far the indexes of the state are above those of the log."""

    def apply(self, command: bytes) -> asyncio.Future[tuple[int, Any]]:
        """Replicate a command of `state.engine.commands`: (log index, result of applying it).

        Raises NotLeader, LeadershipLost, ApplyTimeout, StorageFull, StateDamaged, LevelTooLow.
        """


class Archives(Protocol):
    """The state as a file."""

    async def save(self) -> Saved:
        """An archive of the state as it is applied here now.

        Raises Overloaded while another one is saved, StateDamaged, StorageFull.
        """


class Sealer(Protocol):
    """From the items of a variable to the bytes that are replicated, and back."""

    def seal(self, namespace: str, path: str, items: Mapping[str, str]) -> Sealed:
        """The bytes to replicate; for the leader alone. Raises QuorateError."""

    def open(self, record: Variable) -> dict[str, str]:
        """The items of a record. Raises KeyMissing, SealBroken."""


class Restores(Protocol):
    """The way back from a file, on the leader."""

    async def restore(
        self,
        archive: AsyncIterator[bytes],
        *,
        force: bool = False,
        dry_run: bool = False,
        keep_acl: bool = False,
    ) -> Report:
        """Check the archive, and restore it; `dry_run` only says what it would change.

        With `keep_acl` tokens, policies and roles stay as they are.

        Raises Overloaded, RestoreRefused, StorageFull, LevelTooLow, NotLeader, LeadershipLost, and
        QuorateError for an archive that is not whole.
        """


class Backups(Protocol):
    """The backups of the cluster, which its leader makes."""

    @property
    def options(self) -> BackupOptions:
        """What is configured here."""

    def standing(self) -> Standing:
        """How it stands with backups, as known here now."""

    async def make(self) -> Backup:
        """Make one now. Raises QuorateError."""

    async def verify(self, name: str) -> Backup:
        """Verify one; it says how it was found. Raises NoSuchBackup, QuorateError."""

    async def prune(self) -> list[str]:
        """Delete what retention does not keep; the names. Raises QuorateError."""

    async def restore(
        self, name: str, *, force: bool, dry_run: bool, keep_acl: bool = False
    ) -> Report:
        """Restore one, as `Restores` does. Raises NoSuchBackup, and what that raises."""


class Membership(Protocol):
    """Changes of the Raft configuration by an operator, on the leader."""

    async def remove(self, *, server_id: str | None, address: str | None, force: bool) -> None:
        """Remove a server from the Raft configuration. Raises PeerNotFound, ChangeRefused, ..."""

    async def transfer(self, *, server_id: str | None, address: str | None) -> Transfer:
        """Hand leadership over. Raises PeerNotFound, ChangeRefused, NotLeader."""


class Cluster(Protocol):
    """The Raft configuration, and what each server believes."""

    def raft_configuration(self) -> RaftConfiguration:
        """The newest Raft configuration this server knows.

        Should be the same object for as long as nothing in it changes: the API keeps the
        encoded answer with it.
        """

    def peers(self) -> list[str]:
        """Addresses of all servers of the Raft configuration, in its order."""

    def facts(self) -> RaftFacts:
        """The log and the identity of this server, of this moment."""

    async def views(self) -> list[ServerView]:
        """The views of all servers of this region: the leader, the term, and the members.

        All are asked at once, with a deadline; one that does not answer is in the list with the
        reason. Never fails, and needs no leader.
        """

    async def upgrade_check(self) -> UpgradeCheck:
        """The cluster's feature level and each member's version. Never fails, needs no leader."""


class Compacting(Protocol):
    """The logs of servers are compacted because an operator asks for it."""

    async def all(self) -> list[Compacted]:
        """Compact all servers of the region; what could not be done is in the answers."""

    async def one(self, server: str) -> Compacted | None:
        """Compact the server with this ID or name (empty: this one); None: it is not known."""


class Autopilot(Protocol):
    """The leader's knowledge of the servers' health."""

    def health(self) -> OperatorHealth:
        """The health of this moment. Raises NotLeader; NotWritten before its first settings."""


class Pool(Protocol):
    """The members of all regions."""

    def members(self) -> list[Member]:
        """All known members of the pool, with what is known of their state."""

    async def join(self, addresses: Sequence[str]) -> JoinResult:
        """Join the pool that is at these addresses: a host or an IP, a gossip port may follow.

        What cannot be reached is in the result. Raises GossipDisabled.
        """

    async def force_leave(self, node: str, *, prune: bool) -> None:
        """Declare a failed member left, by its full name; `prune` forgets it at once.

        An unknown name is no error, and one that lives refutes it. Raises GossipDisabled.
        """

    async def keyring(self, operation: KeyringOperation, key: str) -> KeyringResult:
        """Ask all members of the pool to do this to their key rings; `key` is base64, checked.

        What failed, and who did not answer, is in the result; a pool without encryption is a
        failure of all. Raises GossipDisabled.
        """


class Directory(Protocol):
    """The servers that this one knows."""

    def regions(self) -> list[str]:
        """Sorted names of the regions with at least one live server."""


class RootKeys(Protocol):
    """An operator's acts on the root keys, on the leader."""

    async def rotate(self, *, full: bool) -> tuple[int, str]:
        """Make a new key, and seal the values again: the log index, and the ID of the key.

        Raises ChangeRefused, LevelTooLow, and what `Writes.apply` raises.
        """

    async def remove(self, key_id: str, *, force: bool) -> int:
        """Remove a key that nothing needs; the log index.

        `force` passes over what only logs and snapshots may need. Raises NoSuchRootKey,
        ChangeRefused.
        """

    def lacked_by(self, wrapping_id: str, /) -> tuple[str, ...]:
        """Addresses of the members that this leader knows to lack that wrapping key."""


class AclAdmin(Protocol):
    """An operator's acts on tokens, policies and roles, on the leader.

    All raise AclInvalid for what may not be written, StateFull, and what `Writes.apply` raises.
    """

    async def bootstrap(self, secret: str = "") -> TokenMade:
        """Make the first token, with that secret if one is given."""

    async def put_policy(self, name: str, description: str, rules: str) -> int:
        """Write a policy whole; the index of the state."""

    async def delete_policy(self, name: str) -> int:
        """Delete a policy, if it is there; the index of the state."""

    async def put_role(self, given: RoleGiven) -> tuple[int, str, AclRole]:
        """Write a role; the index of the state, its ID and its record."""

    async def delete_role(self, role_id: str) -> int:
        """Delete a role; the index of the state. Raises NoSuchRole."""

    async def put_token(self, given: TokenGiven) -> TokenMade:
        """Make a token, or replace one but for its secret."""

    async def delete_token(self, accessor: str) -> TokenDeleted:
        """Delete a token; live servers that do not know it yet are named."""

    def secret_of(self, accessor: str, token: AclToken) -> str:
        """The secret of a token. Raises KeyMissing, SealBroken."""


class Recovery(Protocol):
    """The survivors of a lost quorum go on while they run; this server is one of them."""

    def standing(self) -> LiveRecovery:
        """How it stands."""

    async def prepare(
        self, plan: Plan, lost: Sequence[str], *, timeout_s: float, may_lose: bool
    ) -> LiveRecovery:
        """Prepare this server for the plan; IDs in `lost` are lost for good. QuorateError."""

    async def commit(self) -> LiveRecovery:
        """Carry it out. Raises QuorateError."""

    async def abort(self, *, force: bool) -> LiveRecovery:
        """Give it up; `force`: whatever the others do. Raises QuorateError."""


class Recorder(Protocol):
    """What keeps the records of acts that no entry carries."""

    @property
    def server_id(self) -> str:
        """The ID of this server."""

    def standing(self) -> tuple[int, tuple[str, ...]]:
        """How many records wait for a leader, and what is wrong with the local file."""

    async def note(self, act: Act, outcome: str, cause: str = "") -> None:
        """Note an act; durable when this returns, or logged as lost. Never raises."""

    def refuse(self, who: Who, what: str, subject: str, why: str) -> None:
        """Count a refusal of a caller that is known."""

    def often(self, who: Who, what: str, outcome: str) -> None:
        """Count an act that needs no right, of a caller where callers are asked for rights."""

    def refuse_unknown(self) -> None:
        """Count one of a caller that is not."""


class Rejoining(Protocol):
    """The way back after a removal."""

    async def rejoin(self) -> Rejoined:
        """Bring this server back after it was removed from the Raft configuration.

        Raises ChangeRefused if it is a member, or no cluster takes it in.
        """


class Agent(Protocol):
    """How this server itself does."""

    def waiting(self) -> str:
        """The event that this server waits for, in words; empty if for none."""

    def warning(self) -> str:
        """A thing that will keep this server from its work if nothing is done; empty: none."""

    def health_problem(self) -> str | None:
        """Why this server does not take part although nothing keeps it from finding a leader.

        One line with the cure in it ("removed from the cluster at index 812; run: quorate server
        rejoin"), or None.
        """

    def stats(self) -> dict[str, dict[str, str]]:
        """The `stats` of agent/self: sections nomad, raft, serf, runtime.

        See docs/http-api.md#the-pool.
        """


class Options(Protocol):
    """The configuration, as far as it shows."""

    @property
    def region(self) -> str:
        """This agent's region."""

    @property
    def datacenter(self) -> str:
        """This agent's datacenter."""

    @property
    def name(self) -> str:
        """This agent's name, without the region."""

    @property
    def authoritative_region(self) -> str:
        """The region to which writes of what all regions share go, or empty."""

    @property
    def acl(self) -> AclOptions:
        """How access control is configured here."""

    @property
    def regions_prove(self) -> bool:
        """Whether servers of other regions prove what they are: by certificates, with TLS."""

    @property
    def config_view(self) -> dict[str, Any]:
        """The `config` of agent/self: Go field names, secrets redacted."""

    @property
    def http_headers(self) -> dict[str, str]:
        """Configured `http_api_response_headers`. Read once, when the application is made."""

    @property
    def prometheus(self) -> bool:
        """Configured `telemetry.prometheus_metrics`."""

    @property
    def host_data(self) -> Callable[[], Awaitable[dict[str, Any]]] | None:
        """The source of this machine's data; None unless `enable_debug` is configured."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one server."""

    leadership: Leadership
    forwarder: Forwarder
    state: State
    writes: Writes
    archives: Archives
    backups: Backups
    sealer: Sealer
    usage: Usage
    restores: Restores
    membership: Membership
    cluster: Cluster
    compacting: Compacting
    autopilot: Autopilot
    pool: Pool
    directory: Directory
    events: Hub
    root_keys: RootKeys
    acl: AclAdmin
    recovery: Recovery
    rejoining: Rejoining
    recorder: Recorder
    sink: Sink | None = None
    agent: Agent
    options: Options
    access: Access


def parts_of(server: Server) -> Parts:
    """The parts of a server that is open."""
    return Parts(
        leadership=server.leadership,
        forwarder=server.forwarder,
        state=server.machine,
        writes=server.writes,
        archives=server.archives,
        backups=server.backups,
        sealer=server.sealer,
        usage=server.usage,
        restores=server.restores,
        membership=server.membership,
        cluster=server.cluster,
        compacting=server.compacting,
        autopilot=server.autopilot,
        pool=server.pool,
        directory=server.directory,
        events=server.events,
        root_keys=server.root_keys,
        acl=server.acl,
        recovery=server.recovery,
        rejoining=server.rejoining,
        recorder=server.recorder,
        sink=server.auditing.sink,
        agent=server.agent,
        options=server.options,
        access=server.access,
    )
