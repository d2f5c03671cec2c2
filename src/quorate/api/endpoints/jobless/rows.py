"""The rows of what a server without jobs answers: many paths, few answers.

They are made from lists of paths, because all paths of a list have the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from quorate.acl.capability import Capability
from quorate.api.endpoint import (
    ANY,
    KIB,
    SMALL,
    Consistency,
    Endpoint,
    Forwarding,
)
from quorate.api.endpoints.jobless.answers import JoblessEndpoint
from quorate.api.endpoints.jobless.search import SearchEndpoint
from quorate.api.http.messages import Call, Response

_GET: Final = ("GET",)
_CHANGES: Final = ("PUT", "POST", "DELETE")
_JOB_BYTES_MAX: Final = 64 * KIB
"""Specifications of jobs are read to be refused with a reason; a longer one is refused as such."""

_LISTS: Final = {
    "/v1/jobs": Capability.NAMESPACE_ANY,
    "/v1/nodes": Capability.NODE_READ,
    "/v1/node/pools": Capability.NODE_READ,
    "/v1/allocations": Capability.NAMESPACE_ANY,
    "/v1/evaluations": Capability.NAMESPACE_ANY,
    "/v1/deployments": Capability.NAMESPACE_ANY,
    "/v1/volumes": Capability.NAMESPACE_ANY,
    "/v1/plugins": Capability.NAMESPACE_ANY,
    "/v1/services": Capability.NAMESPACE_ANY,
    "/v1/scaling/policies": Capability.NAMESPACE_ANY,
}
_ONES: Final = {
    "/v1/job/<id>": Capability.NAMESPACE_ANY,
    "/v1/node/<id>": Capability.NODE_READ,
    "/v1/node/pool/<name>": Capability.NODE_READ,
    "/v1/allocation/<id>": Capability.NAMESPACE_ANY,
    "/v1/evaluation/<id>": Capability.NAMESPACE_ANY,
    "/v1/deployment/<id>": Capability.NAMESPACE_ANY,
    "/v1/volume/<id>": Capability.NAMESPACE_ANY,
    "/v1/plugin/<id>": Capability.NAMESPACE_ANY,
    "/v1/scaling/policy/<id>": Capability.NAMESPACE_ANY,
}
_CHANGES_ALONE: Final = ("/v1/jobs/parse", "/v1/validate/job", "/v1/service/<name>")
_ENTERPRISE: Final = (
    "/v1/operator/utilization",
    "/v1/quota",
    "/v1/quota/<name>",
    "/v1/quota-usages",
    "/v1/quotas",
    "/v1/recommendation",
    "/v1/recommendation/<id>",
    "/v1/recommendations",
    "/v1/recommendations/apply",
    "/v1/sentinel/policies",
    "/v1/sentinel/policy/<name>",
)
_ACL: Final = (
    "/v1/acl/auth-method",
    "/v1/acl/auth-method/<name>",
    "/v1/acl/auth-methods",
    "/v1/acl/binding-rule",
    "/v1/acl/binding-rule/<id>",
    "/v1/acl/binding-rules",
    "/v1/acl/login",
    "/v1/acl/oidc/<step>",
)


def _list(path: str, capability: Capability) -> Endpoint:
    return Endpoint(
        path=path,
        methods=_GET,
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.get_list,
        capability=capability,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="an empty list; blocking",
        listed=False,
    )


def _refused(
    path: str,
    does: str,
    handler: Callable[[JoblessEndpoint, Call], Response],
    methods: tuple[str, ...] = ANY,
) -> Endpoint:
    """A row that this server refuses by itself; the body may be a job."""
    return Endpoint(
        path=path,
        methods=methods,
        made_of=JoblessEndpoint,
        handler=handler,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        body_max=_JOB_BYTES_MAX,
        does=does,
        listed=False,
    )


def _one(path: str, capability: Capability) -> Endpoint:
    row = _refused(path, "404: there is none", JoblessEndpoint.get_one, _GET)
    return replace(row, capability=capability, body_max=SMALL)


def _changes(path: str) -> Endpoint:
    return _refused(path, "501: there are servers only", JoblessEndpoint.refuse, _CHANGES)


def _enterprise(path: str) -> Endpoint:
    return _refused(path, "501 `Nomad Enterprise only endpoint`", JoblessEndpoint.enterprise)


def _acl(path: str) -> Endpoint:
    return _refused(path, "400 `ACL support disabled`", JoblessEndpoint.acl_disabled)


_KEYS: Final = Endpoint(
    path="/.well-known/jwks.json",
    methods=_GET,
    made_of=JoblessEndpoint,
    handler=JoblessEndpoint.get_keys,
    capability=Capability.NONE,
    consistency=Consistency.LOCAL,
    forwarding=Forwarding.NONE,
    does="the public keys of workload identities: none",
)

_SEARCH: Final = (
    Endpoint(
        path="/v1/search",
        methods=("PUT", "POST"),
        made_of=SearchEndpoint,
        handler=SearchEndpoint.prefix,
        capability=Capability.NAMESPACE_ANY,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        does="what begins with `Prefix`: namespaces, paths of variables",
    ),
    Endpoint(
        path="/v1/search/fuzzy",
        methods=("PUT", "POST"),
        made_of=SearchEndpoint,
        handler=SearchEndpoint.fuzzy,
        capability=Capability.NAMESPACE_ANY,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        does="what has `Text` in its name: namespaces",
    ),
)

_AGENT: Final = (
    Endpoint(
        path="/v1/agent/schedulers",
        methods=_GET,
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.get_schedulers,
        capability=Capability.AGENT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="no workers: nothing is scheduled here",
    ),
    Endpoint(
        path="/v1/agent/schedulers/config",
        methods=_GET,
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.get_schedulers_config,
        capability=Capability.AGENT_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="settings of no workers",
    ),
    Endpoint(
        path="/v1/agent/schedulers/config",
        methods=("PUT", "POST"),
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.refuse,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="501: there are no workers",
        listed=False,
    ),
    Endpoint(
        path="/v1/agent/pprof/",
        methods=ANY,
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.no_profiles,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="404 `Invalid method`",
        listed=False,
    ),
    Endpoint(
        path="/v1/agent/pprof/<profile>",
        methods=ANY,
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.no_debugging,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="403, as without `enable_debug`",
        listed=False,
    ),
)

_SYSTEM: Final = tuple(
    Endpoint(
        path=path,
        methods=("PUT", "POST"),
        made_of=JoblessEndpoint,
        handler=JoblessEndpoint.nothing_to_do,
        capability=Capability.MANAGEMENT,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="200: there is nothing to do",
    )
    for path in ("/v1/system/gc", "/v1/system/reconcile/summaries")
)

ROWS: Final = (
    *_AGENT,
    *_SYSTEM,
    *(_list(path, capability) for path, capability in _LISTS.items()),
    *(_one(path, capability) for path, capability in _ONES.items()),
    *(_changes(path) for path in (*_LISTS, *_ONES, *_CHANGES_ALONE)),
    *_SEARCH,
    *(_acl(path) for path in _ACL),
    *(_enterprise(path) for path in _ENTERPRISE),
    _KEYS,
)
