"""All endpoints, one row each. Adding one is a row here and a handler.

From this table come the routes, the answers to wrong methods, the bounds of bodies, the table in
docs/http-api.md, the page at `/ui/`, and the tests that walk all endpoints.
"""

from __future__ import annotations

from typing import Final

from quorate.acl.capability import Capability
from quorate.api.endpoint import ANY, KIB, Consistency, Endpoint, Forwarding, OfAct, Wrong
from quorate.api.endpoints.acl.rows import ROWS as _ACL
from quorate.api.endpoints.agent import AgentEndpoint
from quorate.api.endpoints.cluster import ClusterEndpoint
from quorate.api.endpoints.events import EventsEndpoint
from quorate.api.endpoints.jobless.rows import ROWS as _JOBLESS
from quorate.api.endpoints.metrics import MetricsEndpoint
from quorate.api.endpoints.monitor import MonitorEndpoint
from quorate.api.endpoints.namespaces import NamespacesEndpoint
from quorate.api.endpoints.operator.audit import ROWS as _AUDIT
from quorate.api.endpoints.operator.autopilot import AutopilotEndpoint
from quorate.api.endpoints.operator.backup import ROWS as _BACKUPS
from quorate.api.endpoints.operator.compact import ROWS as _COMPACTION
from quorate.api.endpoints.operator.keyring import ROWS as _KEYRING
from quorate.api.endpoints.operator.raft import (
    RaftConfiguration,
    RaftEndpoint,
    RaftPeer,
    TransferLeadership,
)
from quorate.api.endpoints.operator.recovery import ROWS as _RECOVERY
from quorate.api.endpoints.operator.root_keys import ROWS as _ROOT_KEYS
from quorate.api.endpoints.operator.scheduler import SchedulerEndpoint
from quorate.api.endpoints.operator.snapshot import SnapshotEndpoint
from quorate.api.endpoints.operator.state import ROWS as _STATE_SIZE
from quorate.api.endpoints.operator.upgrade import UpgradeEndpoint
from quorate.api.endpoints.operator.views import FactsEndpoint, ViewsEndpoint
from quorate.api.endpoints.pages import PagesEndpoint
from quorate.api.endpoints.pool import PoolEndpoint
from quorate.api.endpoints.variables.rows import ROWS as _VARIABLES
from quorate.api.http.messages import STREAM_BYTES_MAX

GET: Final = ("GET",)
PUT: Final = ("PUT",)
WRITE: Final = ("PUT", "POST")

_NOT_FOUND: Final = Wrong(404)

_STATUS: Final = (
    Endpoint(
        path="/v1/status/leader",
        methods=GET,
        made_of=ClusterEndpoint,
        handler=ClusterEndpoint.get_leader,
        capability=Capability.NONE,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="RPC address of the leader, a JSON string",
    ),
    Endpoint(
        path="/v1/status/peers",
        methods=GET,
        made_of=ClusterEndpoint,
        handler=ClusterEndpoint.get_peers,
        capability=Capability.NONE,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="RPC addresses of all servers of the Raft configuration",
    ),
    Endpoint(
        path="/v1/regions",
        methods=GET,
        made_of=ClusterEndpoint,
        handler=ClusterEndpoint.get_regions,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="names of the regions with a live server",
    ),
)

_AGENT: Final = (
    Endpoint(
        path="/v1/agent/self",
        methods=GET,
        made_of=AgentEndpoint,
        handler=AgentEndpoint.get_self,
        capability=Capability.AGENT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="effective configuration, own entry in the pool, statistics",
    ),
    Endpoint(
        path="/v1/agent/members",
        methods=GET,
        made_of=AgentEndpoint,
        handler=AgentEndpoint.get_members,
        capability=Capability.NODE_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="the servers this one knows, of all regions",
    ),
    Endpoint(
        path="/v1/agent/health",
        methods=GET,
        made_of=AgentEndpoint,
        handler=AgentEndpoint.get_health,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="[?type=server|client]",
        does="200 if this server takes part and finds a leader within 5 s",
    ),
    Endpoint(
        path="/v1/agent/host",
        methods=GET,
        made_of=AgentEndpoint,
        handler=AgentEndpoint.get_host,
        capability=Capability.AGENT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.SERVER,
        parameters="[?server_id=]",
        does="the machine: addresses, disks, name resolution; 403 without `enable_debug`",
    ),
    Endpoint(
        path="/v1/agent/monitor",
        methods=GET,
        made_of=MonitorEndpoint,
        handler=MonitorEndpoint.get,
        capability=Capability.AGENT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.SERVER,
        streams=True,
        parameters="[?log_level=&plain=&log_json=&server_id=]",
        does="the log from now on, as a stream",
    ),
    Endpoint(
        path="/v1/agent/join",
        methods=WRITE,
        made_of=PoolEndpoint,
        handler=PoolEndpoint.join,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="?address= (repeatable)",
        does="join the servers at these gossip addresses",
        act=OfAct("join a pool", ("address",)),
    ),
    Endpoint(
        path="/v1/agent/force-leave",
        methods=WRITE,
        made_of=PoolEndpoint,
        handler=PoolEndpoint.force_leave,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="?node=[&prune]",
        does="declare a failed member left",
        act=OfAct("declare a server left", ("node",), ("prune",)),
    ),
    Endpoint(
        path="/v1/agent/rejoin",
        methods=WRITE,
        made_of=PoolEndpoint,
        handler=PoolEndpoint.rejoin,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="come back after a removal (ours)",
        act=OfAct("rejoin the cluster"),
    ),
    Endpoint(
        path="/v1/agent/servers",
        methods=("GET", *WRITE),
        made_of=PoolEndpoint,
        handler=PoolEndpoint.servers,
        capability=Capability.AGENT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="501 `Invalid method`: there is no client here",
        listed=False,
    ),
)

_STATE: Final = (
    Endpoint(
        path="/v1/metrics",
        methods=GET,
        made_of=MetricsEndpoint,
        handler=MetricsEndpoint.get,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="[?format=prometheus]",
        does="measurements",
    ),
    Endpoint(
        path="/v1/event/stream",
        methods=GET,
        made_of=EventsEndpoint,
        handler=EventsEndpoint.get,
        capability=Capability.BY_TOPIC,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.REGION,
        streams=True,
        parameters="[?topic=&index=&namespace=]",
        does="what changes, as it changes, as a stream",
    ),
    Endpoint(
        path="/v1/namespaces",
        methods=GET,
        made_of=NamespacesEndpoint,
        handler=NamespacesEndpoint.get_list,
        capability=Capability.NAMESPACE_ANY,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        parameters="[?prefix=]",
        does="the namespaces, sorted by name; blocking",
    ),
    Endpoint(
        path="/v1/namespace/<name>",
        methods=GET,
        made_of=NamespacesEndpoint,
        handler=NamespacesEndpoint.get_one,
        capability=Capability.NAMESPACE_ANY,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="one namespace; blocking",
    ),
    Endpoint(
        path="/v1/namespace/<name>",
        methods=WRITE,
        made_of=NamespacesEndpoint,
        handler=NamespacesEndpoint.put_one,
        capability=Capability.MANAGEMENT,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=64 * KIB,
        does="write one namespace",
        act=OfAct("write a namespace", carried=True),
    ),
    Endpoint(
        path="/v1/namespace/<name>",
        methods=("DELETE",),
        made_of=NamespacesEndpoint,
        handler=NamespacesEndpoint.delete,
        capability=Capability.MANAGEMENT,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        does="delete one namespace, which holds no variables",
        act=OfAct("delete a namespace", carried=True),
    ),
    Endpoint(
        path="/v1/namespace",
        methods=WRITE,
        made_of=NamespacesEndpoint,
        handler=NamespacesEndpoint.put,
        capability=Capability.MANAGEMENT,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=64 * KIB,
        does="write the namespace that the body names",
        act=OfAct("write a namespace", carried=True),
    ),
)

_RAFT: Final = (
    Endpoint(
        path="/v1/operator/raft/configuration*",
        methods=GET,
        made_of=RaftConfiguration,
        handler=RaftConfiguration.get,
        capability=Capability.RAFT_READ,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="the servers of the Raft configuration, and the leader",
        wrong=Wrong(405, ""),
    ),
    Endpoint(
        path="/v1/operator/raft/views*",
        methods=GET,
        made_of=ViewsEndpoint,
        handler=ViewsEndpoint.get,
        capability=Capability.RAFT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.REGION,
        parameters="[?details]",
        does="what each server of the region believes, side by side (ours)",
    ),
    Endpoint(
        path="/v1/operator/raft/facts*",
        methods=GET,
        made_of=FactsEndpoint,
        handler=FactsEndpoint.get,
        capability=Capability.RAFT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="log, term, configuration, epoch and start of this server (ours)",
    ),
    Endpoint(
        path="/v1/operator/raft/peer*",
        methods=("DELETE",),
        made_of=RaftPeer,
        handler=RaftPeer.delete,
        capability=Capability.PEER_REMOVE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="?id= or ?address=, [&force]",
        does="remove a server",
        wrong=_NOT_FOUND,
        act=OfAct("remove", ("id", "address"), always=True),
    ),
    Endpoint(
        path="/v1/operator/raft/transfer-leadership*",
        methods=WRITE,
        made_of=TransferLeadership,
        handler=TransferLeadership.put,
        capability=Capability.TRANSFER_LEADERSHIP,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="?id= or ?address=",
        does="let another voter lead",
        act=OfAct("transfer leadership", ("id", "address")),
    ),
    Endpoint(
        path="/v1/operator/raft/*",
        methods=ANY,
        made_of=RaftEndpoint,
        handler=RaftEndpoint.unknown,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="404 `Invalid method`",
        listed=False,
    ),
)

_OPERATOR: Final = (
    Endpoint(
        path="/v1/operator/autopilot/configuration",
        methods=GET,
        made_of=AutopilotEndpoint,
        handler=AutopilotEndpoint.get,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="autopilot's settings",
        wrong=_NOT_FOUND,
    ),
    Endpoint(
        path="/v1/operator/autopilot/configuration",
        methods=PUT,
        made_of=AutopilotEndpoint,
        handler=AutopilotEndpoint.put,
        capability=Capability.AUTOPILOT_WRITE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=64 * KIB,
        parameters="[?cas=]",
        does="replace autopilot's settings",
        wrong=_NOT_FOUND,
        act=OfAct("change autopilot's settings"),
    ),
    Endpoint(
        path="/v1/operator/autopilot/health",
        methods=GET,
        made_of=AutopilotEndpoint,
        handler=AutopilotEndpoint.health,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        does="health of the servers; 429 with the same body if one is not healthy",
        wrong=_NOT_FOUND,
    ),
    Endpoint(
        path="/v1/operator/scheduler/configuration",
        methods=GET,
        made_of=SchedulerEndpoint,
        handler=SchedulerEndpoint.get,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="the scheduler's settings (kept, not used)",
    ),
    Endpoint(
        path="/v1/operator/scheduler/configuration",
        methods=WRITE,
        made_of=SchedulerEndpoint,
        handler=SchedulerEndpoint.put,
        capability=Capability.OPERATOR_WRITE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=64 * KIB,
        parameters="[?cas=]",
        does="replace the scheduler's settings",
        act=OfAct("change the scheduler's settings"),
    ),
    Endpoint(
        path="/v1/operator/snapshot",
        methods=GET,
        made_of=SnapshotEndpoint,
        handler=SnapshotEndpoint.get,
        capability=Capability.SNAPSHOT_SAVE,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        streams=True,
        does="the whole replicated state as an archive, with its SHA-256 in the header `Digest`",
        act=OfAct("save a snapshot"),
    ),
    Endpoint(
        path="/v1/operator/snapshot",
        methods=WRITE,
        made_of=SnapshotEndpoint,
        handler=SnapshotEndpoint.put,
        capability=Capability.SNAPSHOT_RESTORE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        body_max=STREAM_BYTES_MAX,
        streams=True,
        parameters="[?force&dry-run&keep-acl&details]",
        does="restore the state from an archive",
        act=OfAct("restore a snapshot", details=("dry-run",)),
    ),
    Endpoint(
        path="/v1/operator/upgrade",
        methods=GET,
        made_of=UpgradeEndpoint,
        handler=UpgradeEndpoint.get,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.REGION,
        does="the cluster's feature level, versions, and what the level waits for (ours)",
    ),
    Endpoint(
        path="/v1/operator/license",
        methods=GET,
        made_of=ClusterEndpoint,
        handler=ClusterEndpoint.get_license,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="204: there is none",
        listed=False,
    ),
    Endpoint(
        path="/v1/operator/license",
        methods=PUT,
        made_of=ClusterEndpoint,
        handler=ClusterEndpoint.put_license,
        capability=Capability.OPERATOR_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="501: there is none",
        listed=False,
    ),
    Endpoint(
        path="/ui/*",
        methods=GET,
        made_of=PagesEndpoint,
        handler=PagesEndpoint.get,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="a page that lists the endpoints",
    ),
)

TABLE: Final = (
    *(*_STATUS, *_AGENT, *_KEYRING, *_STATE, *_RAFT, *_COMPACTION, *_OPERATOR),
    *(*_ACL, *_BACKUPS, *_ROOT_KEYS, *_STATE_SIZE, *_AUDIT, *_RECOVERY, *_VARIABLES),
    *_JOBLESS,
)
