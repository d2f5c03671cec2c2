"""Captured cases of a real server (1.6.3) with ACL on: its policies, what its tokens might do."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import msgspec
from places import GOLDEN

from quorate.acl.policies.parsing import parse_policy
from quorate.acl.values import PolicyRights

FOLDER = GOLDEN / "acl-1.6"

# By the time of the matrix this one was a management token.
MANAGEMENT = "role"


class AclCase(msgspec.Struct, frozen=True):
    """One captured case. `by` is the policy of the token that was used, "" for none."""

    name: str
    method: str
    path: str
    body: dict[str, Any]
    status: int
    text: str
    answer: Any
    by: str


def cases(prefix: str) -> list[AclCase]:
    """All cases whose name goes on with this after `v16acl-`."""
    return [_case(path.stem) for path in sorted(FOLDER.glob(f"v16acl-{prefix}*.json"))]


def _case(name: str) -> AclCase:
    case = json.loads((FOLDER / f"{name}.json").read_text())
    request, response = case["request"], case["response"]
    given = request["body"] or ""
    return AclCase(
        name=name,
        method=request["method"],
        path=request["path"],
        body=json.loads(given) if given.endswith("}") else {},
        status=response["status"],
        text=response["body"],
        answer=response.get("body_json"),
        by=_policy_of(name),
    )


def _policy_of(name: str) -> str:
    found = re.search(r"-(op|agent|node|ns|vars)-(read|write|deny|ro|rw|wo|list)(?=-|$)", name)
    return found[0][1:] if found else MANAGEMENT if name.endswith("-role") else ""


@cache
def policies() -> dict[str, PolicyRights]:
    """The policies of the captured server, from their texts."""
    found = {
        case.body["Name"]: parse_policy(case.body["Rules"])
        for case in cases("policy-put-")
        if case.status == 200
    }
    # Written to that server as well: its text is in the captured events.
    listing = 'namespace "default" { variables { path "*" { capabilities = ["list"] } } }'
    return found | {"vars-list": parse_policy(listing)}
