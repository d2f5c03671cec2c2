"""Requests that the rows of the table of endpoints answer."""

from __future__ import annotations

import re

from quorate.api.endpoint import ANY, Endpoint
from quorate.api.http.messages import Request
from quorate.raft.values.identity import EPOCH_BITS
from quorate.recovery import plan as plans
from quorate.recovery.looking.summary import FolderSummary, Member, Members
from quorate.recovery.survivors import Survivors

PLAN = plans.make(
    Survivors(
        (
            FolderSummary(
                kind="Quorate",
                path="/mnt/s1",
                server_id="a",
                members=Members(1, (Member("a", "10.0.0.1:4647", True),)),
            ),
        ),
        (),
    ),
    bytes(EPOCH_BITS),
)

BODIES = {
    "/v1/acl/bootstrap": b'{"BootstrapSecret":"none"}',
    "/v1/acl/policy/default": b'{"Name":"default"}',
    "/v1/acl/role/default": b'{"ID":"default"}',
    "/v1/acl/token/default": b'{"AccessorID":"default"}',
    "/v1/operator/recovery/prepare": plans.encode(PLAN),
    "/v1/search": b'{"Context":"all"}',
    "/v1/search/fuzzy": b'{"Text":"de","Context":"all"}',
    "/v1/namespace": b'{"Name":"team"}',
    "/v1/namespace/default": b'{"Name":"default"}',
    "/v1/var/default": b'{"Items":{"k":"v"}}',
    "/v1/operator/state/limit": b'{"BytesMax":0}',
    "/v1/acl/transition": b'{"Ended":true}',
    "/v1/vars/write": b'{"Operations":[{"Op":"set","Path":"a","Items":{"k":"v"}}]}',
}

QUERIES = {
    "/v1/event/stream": "topic=:",
    "/v1/agent/monitor": "server_id=nosuch",
    "/v1/agent/join": "address=10.0.0.1",
    "/v1/agent/force-leave": "node=s9.global",
    "/v1/operator/raft/peer": "id=13ab2eb1-3900-055b-76fa-4d364900687d",
    "/v1/operator/raft/transfer-leadership": "id=13ab2eb1-3900-055b-76fa-4d364900687d",
}


def request(row: Endpoint, *parameters: str) -> Request:
    """A request that the row answers, of its first method."""
    name = "team" if row.methods == ("DELETE",) else "default"
    path = re.sub("<.*>", name, row.shown_path)
    query = "&".join(filter(None, (QUERIES.get(row.shown_path, ""), *parameters)))
    method = "PUT" if row.methods == ANY else row.methods[0]
    body = BODIES.get(path, b"{}")
    return Request(method, f"{path}?{query}".encode(), (), body)
