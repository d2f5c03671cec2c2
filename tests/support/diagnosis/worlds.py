"""Small clusters as `operator diagnose` finds them: s1, s2 and s3 of region global."""

from __future__ import annotations

from typing import Any

from quorate.diagnosis.values import (
    Dialed,
    Failure,
    Folder,
    Member,
    PoolEntry,
    Report,
    Server,
    Trouble,
    World,
)
from quorate.shapes.diagnosis import Details, DiskDetails, GossipDetails, Refused

IDS = {1: "id-1", 2: "id-2", 3: "id-3"}
REFUSED = Failure(Trouble.REFUSED, "connect: connection refused")
SILENT = Failure(Trouble.SILENT, "i/o timeout")


def at(number: int) -> str:
    """The RPC address of a server."""
    return f"10.0.0.{number}:4647"


MEMBERS = tuple(Member(id=IDS[number], address=at(number)) for number in IDS)


def facts(**given: Any) -> Details:
    """Those of a member of cluster c."""
    values: dict[str, Any] = {
        "region": "global",
        "cluster_id": "c",
        "initialised": True,
        "expect": 3,
        "version": "0.2.0",
        "level": 4,
        "cluster_level": 4,
        "epoch": "0",
        "disk": DiskDetails(free_bytes=1 << 30, needed_bytes=1 << 24),
    }
    return Details(**{**values, **given})


def new_facts(**given: Any) -> Details:
    """Those of a server that belongs to no cluster as yet."""
    blank: dict[str, Any] = {"cluster_id": "", "epoch": "", "initialised": False}
    return facts(**{**blank, "cluster_level": 0, **given})


def server(number: int, **given: Any) -> Server:
    """A follower without a leader, in term 5; the keywords of `Server` and of `Details`."""
    own = {name: given.pop(name) for name in list(given) if name in Details.__struct_fields__}
    is_new = own.get("initialised") is False
    values: dict[str, Any] = {
        "id": IDS.get(number, f"id-{number}"),
        "node": f"s{number}.global",
        "address": at(number),
        "http": f"http://10.0.0.{number}:4646",
        "role": "follower",
        "term": 5,
        "last_index": 0 if is_new else 10,
        "configuration_index": 0 if is_new else 1,
        "members": () if is_new else MEMBERS,
        "version": own.get("version", "0.2.0"),
        "facts": new_facts(**own) if is_new else facts(**own),
    }
    return Server(**{**values, **given})


def new(number: int, **given: Any) -> Server:
    """A server that waits to found a cluster."""
    return server(number, **{"initialised": False, **given})


def led(*numbers: int, **given: Any) -> tuple[Server, ...]:
    """Servers that follow the first of them."""
    leader = at(numbers[0])
    return tuple(
        server(number, leader=leader, role="leader" if at(number) == leader else "follower")
        for number in numbers
    )


def report(by: int, of: int, failure: Failure = REFUSED) -> Report:
    """A server that could not reach another one."""
    return Report(by=f"id-{by}", of=f"id-{of}", address=at(of), failure=failure)


def refusal(why: str, where: str = "10.0.0.3") -> tuple[Refused, ...]:
    """What a server tells of one that it has refused."""
    return (Refused(where=where, why=why, count=4, ago_s=1.0),)


def gossip(*keys: str, **given: Any) -> GossipDetails:
    """How a server gossips, with keys of these digests."""
    return GossipDetails(enabled=True, encrypted=bool(keys), keys=keys, **given)


def listed(by: int, number: int, **given: Any) -> PoolEntry:
    """A member of the pool."""
    values: dict[str, Any] = {
        "by": IDS[by],
        "id": f"id-{number}",
        "name": f"s{number}.global",
        "address": at(number),
        "status": "alive",
        "region": "global",
    }
    return PoolEntry(**{**values, **given})


def unnamed(address: str, what: str = "rpc") -> Dialed:
    """An address whose name does not resolve."""
    return Dialed(
        address=address, what=what, failure=Failure(Trouble.DNS, f"lookup {address}: no such host")
    )


def folder(number: int, **given: Any) -> Folder:
    """The data folder of a stopped server of cluster c."""
    values: dict[str, Any] = {
        "path": f"/mnt/s{number}",
        "id": IDS[number],
        "region": "global",
        "cluster_id": "c",
        "epoch": "0",
        "start": 3,
        "reach": (5, 10 + number),
        "configuration_index": 1,
        "members": MEMBERS,
    }
    return Folder(**{**values, **given})


def world(*servers: Server, **given: Any) -> World:
    """What was found."""
    return World(servers=servers, **given)
