"""The calls of the operator API, for both clients (docs/http-api.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quorate.client.calls.acl import AclOperations
from quorate.client.calls.backups import BackupOperations
from quorate.client.calls.call import (
    Answer,
    Call,
    Query,
    Request,
    act,
    call,
    cas_query,
    convert,
    decode,
    get,
    ours,
    parse,
    put,
    refusal,
    stale_query,
    succeeded,
)
from quorate.client.calls.models import (
    AgentSelf,
    AuditLog,
    AutopilotConfiguration,
    Compaction,
    Health,
    Joined,
    Keyring,
    LiveRecovery,
    Members,
    Metrics,
    Namespace,
    OperatorHealth,
    RaftConfiguration,
    RaftFacts,
    Rejoined,
    RootKey,
    RootKeyRotated,
    RootKeys,
    SchedulerConfiguration,
    SchedulerUpdate,
    StateSize,
    Transfer,
    UpgradeCheck,
    Views,
    to_json,
)
from quorate.client.errors import AnswerError

AUDIT: Final = "/v1/operator/audit"
AUTOPILOT: Final = "/v1/operator/autopilot/configuration"
COMPACT: Final = "/v1/operator/raft/compact"
HEALTH: Final = "/v1/agent/health"
METRICS: Final = "/v1/metrics"
NAMESPACE: Final = "/v1/namespace"
NAMESPACES: Final = "/v1/namespaces"
ROOT_KEYS: Final = "/v1/operator/keyring"
RECOVERY: Final = "/v1/operator/recovery"
SCHEDULER: Final = "/v1/operator/scheduler/configuration"
STATE: Final = "/v1/operator/state"
TRANSFER: Final = "/v1/operator/raft/transfer-leadership"

_LONG_S: Final = 600.0


class Operations(AclOperations, BackupOperations):
    """One method for each endpoint. Each raises ClientError."""

    # -- operator/raft -------------------------------------------------------------------------

    @call
    def raft_configuration(self, *, stale: bool = False) -> Call[RaftConfiguration]:
        """The Raft configuration; `stale` asks this agent alone, leader or none."""
        return get("/v1/operator/raft/configuration", RaftConfiguration, stale_query(stale))

    @call
    def remove_raft_peer(
        self, *, server_id: str = "", address: str = "", force: bool = False
    ) -> Call[None]:
        """Remove a server from the Raft configuration by its ID or its `IP:port` (one of them).

        `force` removes it even if that ends the quorum (servers that do not know it take no
        notice).
        """
        query = _one_of(server_id, address) + ([("force", "true")] if force else [])
        return act("DELETE", "/v1/operator/raft/peer", query)

    @call
    def transfer_leadership(self, *, server_id: str = "", address: str = "") -> Call[Transfer]:
        """Hand leadership to a voter, named by its ID or its `IP:port` (one of them)."""
        return Call(
            Request("PUT", TRANSFER, _one_of(server_id, address)),
            lambda answer: decode(TRANSFER, succeeded(answer).body or b"{}", Transfer),
        )

    @call
    def raft_views(self) -> Call[Views]:
        """The view of each server, as the agent gathers them; servers of Quorate only."""
        return get("/v1/operator/raft/views", Views, check=ours)

    @call
    def raft_facts(self) -> Call[RaftFacts]:
        """Log, term, configuration, epoch and start of the agent asked; Quorate only."""
        return get("/v1/operator/raft/facts", RaftFacts, check=ours)

    @call
    def compact(self, *, server: str = "", every: bool = False) -> Call[Compaction]:
        """Compact the log of the agent asked, of the server with that ID or name, or of all.

        What could not be done is in the answer. Servers of Quorate only.
        """
        query = [("server", server)] if server else []
        query += [("all", "true")] if every else []
        return Call(
            Request("PUT", COMPACT, query, None, _LONG_S),
            lambda answer: decode(COMPACT, _known(answer).body, Compaction),
        )

    @call
    def live_recovery(self) -> Call[LiveRecovery]:
        """The recovery for which the agent is prepared; over its control socket alone."""
        return get(RECOVERY, LiveRecovery, check=ours)

    @call
    def prepare_recovery(
        self, plan: bytes, *, lost: str = "", timeout: str = "", data_may_be_lost: bool = False
    ) -> Call[LiveRecovery]:
        """Prepare the agent for a plan, the content of its file; over its control socket alone.

        `lost` are IDs with commas between, `timeout` is a Go duration after which it is given up.
        """
        query = [("lost", lost), ("timeout", timeout)]
        query = [(name, value) for name, value in query if value]
        query += [("data-may-be-lost", "true")] if data_may_be_lost else []
        return _recovery("prepare", query, plan)

    @call
    def commit_recovery(self) -> Call[LiveRecovery]:
        """Carry out the plan for which the agent is prepared; over its control socket alone."""
        return _recovery("commit", [])

    @call
    def abort_recovery(self, *, force: bool = False) -> Call[LiveRecovery]:
        """Give that plan up; over its control socket alone."""
        return _recovery("abort", [("force", "true")] if force else [])

    @call
    def upgrade_check(self) -> Call[UpgradeCheck]:
        """The cluster's feature level and each member's version; servers of Quorate only."""
        return get("/v1/operator/upgrade", UpgradeCheck, check=ours)

    @call
    def audit(self, *, lane: str = "", count: int = 0) -> Call[AuditLog]:
        """The newest `count` audit records of the server asked, 0: all; servers of Quorate only."""
        query = [("lane", lane)] if lane else []
        return get(
            AUDIT, AuditLog, [*query, *([("count", str(count))] if count else [])], check=ours
        )

    @call
    def state_size(self) -> Call[StateSize]:
        """The memory that the state takes, its bounds and its largest prefixes; Quorate only."""
        return get(STATE, StateSize, check=ours)

    @call
    def set_state_limit(
        self, bytes_max: int, *, namespace: str = "", cas: int | None = None
    ) -> Call[None]:
        """Set the bound of a namespace, or of the whole state, in bytes; 0 takes it away."""
        body = {"BytesMax": bytes_max, "Namespace": namespace}
        return act("PUT", STATE + "/limit", cas_query(cas), body)

    # -- operator/autopilot and operator/scheduler ---------------------------------------------

    @call
    def autopilot_configuration(self, *, stale: bool = False) -> Call[AutopilotConfiguration]:
        """The autopilot configuration."""
        return get(AUTOPILOT, AutopilotConfiguration, stale_query(stale))

    @call
    def autopilot_health(self) -> Call[OperatorHealth]:
        """How the servers do, as their leader knows it. A cluster that is not healthy: 429."""
        return get("/v1/operator/autopilot/health", OperatorHealth)

    @call
    def set_autopilot_configuration(
        self, configuration: AutopilotConfiguration, *, cas: int | None = None
    ) -> Call[bool]:
        """Replace the autopilot configuration; False if `cas` is not its modify index any more."""
        return put(AUTOPILOT, bool, cas_query(cas), to_json(configuration))

    @call
    def scheduler_configuration(self, *, stale: bool = False) -> Call[SchedulerConfiguration]:
        """The scheduler configuration."""

        def read(answer: Answer) -> SchedulerConfiguration:
            data = parse(SCHEDULER, succeeded(answer).body)
            inner = data.get("SchedulerConfig") if isinstance(data, dict) else None
            return convert(SCHEDULER, inner or {}, SchedulerConfiguration)

        return Call(Request("GET", SCHEDULER, stale_query(stale)), read)

    @call
    def set_scheduler_configuration(
        self, configuration: SchedulerConfiguration, *, cas: int | None = None
    ) -> Call[SchedulerUpdate]:
        """Replace the scheduler configuration; `updated` is False if `cas` lost the race."""
        return put(SCHEDULER, SchedulerUpdate, cas_query(cas), to_json(configuration))

    # -- namespaces ----------------------------------------------------------------------------

    @call
    def namespaces(self, *, prefix: str = "", stale: bool = False) -> Call[list[Namespace]]:
        """The namespaces whose names begin with `prefix`, sorted by name."""

        def read(answer: Answer) -> list[Namespace]:
            found = parse(NAMESPACES, succeeded(answer).body)
            if not isinstance(found, list):
                raise AnswerError(NAMESPACES, "no list")
            return [convert(NAMESPACES, each, Namespace) for each in found]

        query = stale_query(stale) + ([("prefix", prefix)] if prefix else [])
        return Call(Request("GET", NAMESPACES, query), read)

    @call
    def read_namespace(self, name: str, *, stale: bool = False) -> Call[Namespace]:
        """One namespace. Raises StatusError (404) if it is not there."""
        return get(_of_namespace(name), Namespace, stale_query(stale))

    @call
    def put_namespace(self, namespace: Namespace) -> Call[None]:
        """Write a namespace: all of it is replaced. The server sets its hash and indexes."""
        return act("PUT", NAMESPACE, body=to_json(namespace))

    @call
    def delete_namespace(self, name: str) -> Call[None]:
        """Delete a namespace; one that is not there is no error, one in use is (409)."""
        return act("DELETE", _of_namespace(name))

    # -- status and regions --------------------------------------------------------------------

    @call
    def leader(self, *, region: str = "", stale: bool = False) -> Call[str]:
        """`IP:port` of the leader (of `region`, if given); may be empty when `stale`."""
        return get("/v1/status/leader", str, stale_query(stale) + _of_region(region))

    @call
    def peers(self, *, region: str = "", stale: bool = False) -> Call[list[str]]:
        """`IP:port` of every server of the Raft configuration."""
        return get("/v1/status/peers", list[str], stale_query(stale) + _of_region(region))

    @call
    def regions(self) -> Call[list[str]]:
        """The names of the regions that the agent knows."""
        return get("/v1/regions", list[str])

    # -- agent and metrics ---------------------------------------------------------------------

    @call
    def agent_self(self) -> Call[AgentSelf]:
        """Configuration, member and statistics of the agent itself."""
        return get("/v1/agent/self", AgentSelf)

    @call
    def agent_members(self) -> Call[Members]:
        """The pool as the agent sees it."""
        return get("/v1/agent/members", Members)

    @call
    def join(self, addresses: Sequence[str]) -> Call[Joined]:
        """Have the agent join the pool at these addresses; what failed is in the answer."""
        return put("/v1/agent/join", Joined, [("address", address) for address in addresses])

    @call
    def force_leave(self, node: str, *, prune: bool = False) -> Call[None]:
        """Declare a failed member left, by its full name; unknown names are no error."""
        query = [("node", node)] + ([("prune", "true")] if prune else [])
        return act("PUT", "/v1/agent/force-leave", query)

    @call
    def rejoin(self) -> Call[Rejoined]:
        """Have the agent come back after its removal; agents of Quorate only."""
        return put("/v1/agent/rejoin", Rejoined, check=ours)

    @call
    def keyring(self, operation: str, key: str = "", *, details: bool = False) -> Call[Keyring]:
        """Do `operation` (list, install, use, remove) to the gossip keys of all members.

        `details` asks for what each member answered; then failures of members are no error here.
        """
        path = f"/v1/agent/keyring/{operation}"
        query = [("details", "true")] if details else []
        return put(path, Keyring, query, {"Key": key}) if key else get(path, Keyring, query)

    @call
    def root_keys(self, *, stale: bool = False) -> Call[RootKeys]:
        """The root keys with which values are sealed, without the keys themselves."""

        def read(answer: Answer) -> RootKeys:
            raw = parse(ROOT_KEYS, succeeded(answer).body)
            return RootKeys(keys=convert(ROOT_KEYS, raw, tuple[RootKey, ...]), raw=raw)

        return Call(Request("GET", ROOT_KEYS + "/keys", stale_query(stale)), read)

    @call
    def rotate_root_key(self, *, full: bool = False) -> Call[RootKeyRotated]:
        """Make a new root key; `full` also removes text sealed with older ones from the disks."""
        return put(ROOT_KEYS + "/rotate", RootKeyRotated, [("full", "true")] if full else [])

    @call
    def remove_root_key(self, key_id: str, *, force: bool = False) -> Call[None]:
        """Remove a root key that nothing needs; `force` passes over logs and snapshots."""
        path = f"{ROOT_KEYS}/key/{_quoted(key_id)}"
        return act("DELETE", path, [("force", "true")] if force else [])

    @call
    def agent_health(self, *, kind: str = "") -> Call[Health]:
        """Health of the agent (`kind` is server, client or empty); bad health is no error here."""

        def read(answer: Answer) -> Health:
            # Bad health is status 500 with the same JSON; any other 500 is a text.
            if answer.status != 200 and not answer.body.startswith(b"{"):
                raise refusal(answer)
            return decode(HEALTH, answer.body, Health)

        return Call(Request("GET", HEALTH, [("type", kind)] if kind else []), read)

    @call
    def metrics(self) -> Call[Metrics]:
        """The metrics of the last complete interval."""
        return get(METRICS, Metrics)

    @call
    def metrics_text(self, *, form: str = "", pretty: bool = False) -> Call[str]:
        """The metrics as the server writes them; `form` is `prometheus` or empty for JSON."""
        query = [("format", form)] if form else []
        query += [("pretty", "1")] if pretty else []
        return Call(Request("GET", METRICS, query), lambda answer: succeeded(answer).text)

    # -- the system ----------------------------------------------------------------------------

    @call
    def collect_garbage(self) -> Call[None]:
        """Have the cluster collect what is no longer needed."""
        return act("PUT", "/v1/system/gc")

    @call
    def reconcile_summaries(self) -> Call[None]:
        """Have the cluster count its jobs again."""
        return act("PUT", "/v1/system/reconcile/summaries")


def _of_namespace(name: str) -> str:
    return f"{NAMESPACE}/{_quoted(name)}"


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _of_region(region: str) -> Query:
    return [("region", region)] if region else []


def _one_of(server_id: str, address: str) -> list[tuple[str, str]]:
    if bool(server_id) == bool(address):
        raise ValueError("give either server_id or address")
    return [("id", server_id)] if server_id else [("address", address)]


def _known(answer: Answer) -> Answer:
    """A 404 of ours names the server that is not known; a Nomad server's says nothing of one."""
    return succeeded(answer) if "ID or name" in answer.text else ours(answer)


def _recovery(step: str, query: Query, body: bytes | None = None) -> Call[LiveRecovery]:
    """One step of a recovery of servers that run; a large state takes time."""
    path = f"{RECOVERY}/{step}"
    return Call(
        Request("PUT", path, query, body, _LONG_S),
        lambda answer: decode(path, ours(answer).body, LiveRecovery),
    )
