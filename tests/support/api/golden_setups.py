"""The captured cases of real servers, and fakes whose data is that of a case's setup."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from fake_server import FakeServer, member
from places import GOLDEN

from quorate.api.http.messages import Request
from quorate.server.views.records import Member, Versions
from quorate.shapes.operator import OperatorHealth, RaftConfiguration, RaftServer

FOLDER = GOLDEN / "http"
LATER = GOLDEN / "http-1.6"
"""Cases of a later server. They have other names than those in `FOLDER`."""


class Golden(msgspec.Struct, frozen=True):
    """One captured case."""

    name: str
    method: str
    path: str
    request_headers: dict[str, str]
    request_body: bytes
    status: int | None
    headers: dict[str, str]
    body: str
    json: Any

    def request(self, path: str = "") -> Request:
        """The request of the case, or the same to another path."""
        headers = [
            (name.lower().encode(), value.encode()) for name, value in self.request_headers.items()
        ]
        return Request(self.method, (path or self.path).encode(), headers, self.request_body)


def load(name: str) -> Golden:
    """The case of this name."""
    folder = LATER if name.startswith("v16") else FOLDER
    case = json.loads((folder / f"{name}.json").read_text())
    request, response = case["request"], case["response"]
    return Golden(
        name=name,
        method=request["method"],
        path=request["path"],
        request_headers=request["headers"],
        request_body=body.encode() if isinstance(body := request["body"], str) else b"",
        status=response["status"],
        headers=response["headers"],
        body=response.get("body") or "",
        json=response.get("body_json") or _json_of_text(response.get("body") or ""),
    )


def _json_of_text(body: str) -> Any:
    """The JSON of an answer whose type does not say that it is JSON (429), or None."""
    return json.loads(body) if body.startswith('{"FailureTolerance"') else None


def all_names() -> list[str]:
    """The names of all cases."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


# -- the data of a case --------------------------------------------------------------------------


def view_of(servers: list[dict[str, Any]]) -> RaftConfiguration:
    """The Raft configuration that a captured answer shows."""
    return RaftConfiguration(
        index=22,
        servers=tuple(
            RaftServer(
                id=server["ID"],
                node=server["Node"],
                address=server["Address"],
                leader=server["Leader"],
                voter=server["Voter"],
                raft_protocol=server["RaftProtocol"],
            )
            for server in servers
        ),
    )


def pool_of(members: list[dict[str, Any]]) -> list[Member]:
    """The pool that a captured answer shows."""
    return [
        Member(
            name=entry["Name"],
            addr=entry["Addr"],
            port=entry["Port"],
            status=entry["Status"],
            tags=entry["Tags"],
            protocol=_versions(entry, "Protocol"),
            delegate=_versions(entry, "Delegate"),
        )
        for entry in members
    ]


def _versions(entry: dict[str, Any], which: str) -> Versions:
    return Versions(entry[f"{which}Min"], entry[f"{which}Max"], entry[f"{which}Cur"])


def adopt(service: FakeServer, case: Golden) -> None:
    """Give the fake what the captured answer shows of the cluster."""
    if isinstance(case.json, dict) and "FailureTolerance" in case.json:
        service.condition = msgspec.convert(case.json, OperatorHealth)
    elif isinstance(case.json, dict) and "Servers" in case.json:
        service.view = view_of(case.json["Servers"])
    if isinstance(case.json, dict) and "Members" in case.json:
        service.pool = pool_of(case.json["Members"])
        service.options.name = case.json["ServerName"]
        service.options.datacenter = case.json["ServerDC"]
    if isinstance(case.json, dict) and "member" in case.json:
        service.pool = pool_of([case.json["member"]])


# -- the setups ----------------------------------------------------------------------------------


def leader(case: Golden) -> FakeServer:
    """Three servers, asked of the leader."""
    service = FakeServer("s3").write_defaults()
    adopt(service, case)
    return service


def follower(case: Golden) -> FakeServer:
    """Three servers, asked of a follower; another one leads."""
    service = FakeServer("s2", role="follower").write_defaults()
    service.leader_application = leader(case).application()
    adopt(service, case)
    return service


def lost(case: Golden) -> FakeServer:
    """Three servers of which one is left: nobody leads."""
    service = FakeServer("s1", role="lost").write_defaults()
    service.contact_ms = 105_001
    adopt(service, case)
    return service


def just_killed(case: Golden) -> FakeServer:
    """A follower that still names the leader that was killed a moment ago."""
    return follower(case)


def survivor(case: Golden) -> FakeServer:
    """The leader after the old one was killed."""
    service = FakeServer("s2").write_defaults()
    adopt(service, case)
    return service


def protocol_two(case: Golden) -> FakeServer:
    """Three servers whose IDs are their addresses."""
    service = FakeServer("s1").write_defaults()
    service.view = view_of(load("r2-raft-config").json["Servers"])
    adopt(service, case)
    return service


def east(case: Golden) -> FakeServer:
    """Two federated regions, asked in east."""
    west_service = west(case)
    service = FakeServer("e5", region="east").write_defaults()
    service.known_regions = ["east", "west"]
    service.region_applications["west"] = west_service.application()
    service.pool = [member("e1", "east", "127.0.0.5"), member("w1", "west", "127.0.0.6")]
    adopt(service, case)
    return service


def west(case: Golden) -> FakeServer:
    """Two federated regions, asked in west."""
    service = FakeServer("w6", region="west").write_defaults()
    service.view = view_of(load("fed-raft-config-west").json["Servers"])
    adopt(service, case)
    return service


def west_of_east(case: Golden) -> FakeServer:
    """Two federated regions, asked in west; what all regions share is written in east."""
    east_service = FakeServer("e5", region="east").write_defaults()
    east_service.options.authoritative_region = "east"
    service = west(case)
    service.options.authoritative_region = "east"
    service.region_applications["east"] = east_service.application()
    return service


def east_alone(case: Golden) -> FakeServer:
    """East after the only server of west was seen failed."""
    service = east(case)
    service.known_regions = ["east"]
    service.region_applications.clear()
    return service


def single(case: Golden) -> FakeServer:
    """One server with configured response headers and Prometheus."""
    service = FakeServer("s7").write_defaults()
    service.options.http_headers = {"Access-Control-Allow-Origin": "*", "X-Test": "yes"}
    service.options.prometheus = True
    adopt(service, case)
    return service


KEYS = ("cg8StVXbQJ0gPvMd9o7yrg==", "pUqJrVyVRj5jsiYEkM/tFQ==")


def _encrypted(*keys: str) -> Callable[[Golden], FakeServer]:
    def setup(case: Golden) -> FakeServer:
        service = single(case)
        service.pool = [member("k1", "global", "127.0.0.7")]
        service.ring = list(keys)
        return service

    return setup


one_key = _encrypted(KEYS[0])
"""One server that encrypts gossip, with the key it began with."""
two_keys = _encrypted(*KEYS)
"""The same with a second key installed."""
second_key = _encrypted(KEYS[1], KEYS[0])
"""The same after the second key was made primary."""
last_key = _encrypted(KEYS[1])
"""The same after the first key was removed."""


def out_of_reach(case: Golden) -> FakeServer:
    """Three servers, and an address at which nobody listens."""
    service = leader(case)
    text: str = case.json["error"]
    service.unreachable[case.path.partition("=")[2]] = text.split("\n\t* ")[1].rstrip("\n")
    return service


Setup = Callable[[Golden], FakeServer]
