"""The JSON of agents as facts: of any make and version, and of what only looks like one.

Nothing is believed to have its type or size: texts are cut and made printable, lists are cut, and
what is missing or of another type is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from quorate.diagnosis.asking.network import Answer, Unanswered, plain
from quorate.diagnosis.values import Failure, Member, PoolEntry, Report, Server, Trouble
from quorate.errors import TokensNotCurrent
from quorate.shapes.diagnosis import NAMED_MAX, Details, GossipDetails

TEXT_MAX: Final = 1200
SERVERS_MAX: Final = 512
_DEPTH_MAX: Final = 12
_NUMBER_MAX: Final = 2**64
_CONFIGURED = re.compile(r"\{Suffrage:(\w+) ID:(\S+) Address:(\S+)\}")
_WORDS: Final = (
    (("connection refused",), Trouble.REFUSED),
    (("no dns server answers", "temporary failure in name"), Trouble.DNS_SILENT),
    (("no such host", "name resolution", "name or service", "has no address"), Trouble.DNS),
    (("no route to host", "network is unreachable"), Trouble.UNREACHABLE),
    (("i/o timeout", "no answer"), Trouble.SILENT),
    (("certificate has expired", "certificate is not yet valid"), Trouble.EXPIRED),
    (("tls:", "x509:", "tls handshake", "certificate"), Trouble.TLS),
    ((" is refused: ",), Trouble.DENIED),
    (("another server", "is not believed", "belongs to cluster", "old copy"), Trouble.STRANGER),
    (("copies of one data folder", "recovery", "another process uses"), Trouble.STRANGER),
)


def read_json(answer: Answer) -> Any:
    """The body of an answer, cut. Raises Unanswered if it is none, or not of success."""
    if answer.status in {401, 403}:
        raise Unanswered(Trouble.DENIED, plain(answer.body.decode("utf-8", "replace")))
    if answer.status not in {200, 429}:
        text = plain(answer.body[:300].decode("utf-8", "replace"))
        if TokensNotCurrent.words in text:
            raise Unanswered(Trouble.UNCHECKED, text)
        if text.startswith("Client sent an HTTP request to an HTTPS"):
            raise Unanswered(Trouble.TLS, "it speaks TLS there: use https://")
        raise Unanswered(Trouble.GARBAGE, f"{answer.status} {text}")
    try:
        return _cut(msgspec.json.decode(answer.body), _DEPTH_MAX)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unanswered(Trouble.GARBAGE, f"the answer is not JSON: {error}") from None


def _cut(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return plain(value, TEXT_MAX)
    if isinstance(value, dict):
        if depth == 0:
            return {}
        some = list(value.items())[:SERVERS_MAX]
        return {plain(key): _cut(each, depth - 1) for key, each in some}
    if isinstance(value, list):
        return [_cut(each, depth - 1) for each in value[:SERVERS_MAX]] if depth else []
    if isinstance(value, int | float) and not -_NUMBER_MAX < value < _NUMBER_MAX:
        return 0
    return value


def part(value: Any, *names: str) -> dict[str, Any]:
    """The object at this path; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def text(value: Any, name: str) -> str:
    """A text of an object, or empty."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def number(value: Any, name: str) -> int:
    """A number of an object, also if it is written as a text; else 0."""
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        return int(found)
    return int(found) if isinstance(found, int | float) else 0


def objects(value: Any, name: str) -> list[dict[str, Any]]:
    """The objects of a list of an object."""
    found = value.get(name) if isinstance(value, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def failure_of(why: str) -> Failure:
    """What a server says of another one that it could not reach, by its kind."""
    lower = why.lower()
    for words, kind in _WORDS:
        if any(word in lower for word in words):
            return Failure(kind, why)
    return Failure(Trouble.CLOSED, why)


# -- our views ------------------------------------------------------------------------------------


def servers_of(views: Any, http: str) -> tuple[str, list[Server], list[Report]]:
    """Of `raft/views?details`: who gathered them, who answered, and who did not.

    `http` is where the gathering one was asked.
    """
    asked = text(views, "Asked")
    servers: list[Server] = []
    reports: list[Report] = []
    for view in objects(views, "Servers"):
        server_id, address = text(view, "ID"), text(view, "Address")
        if why := text(view, "Error"):
            reports.append(Report(by=asked, of=server_id, address=address, failure=failure_of(why)))
            continue
        own = bool(asked) and server_id == asked and not any(s.http for s in servers)
        servers.append(_server(view, http if own else ""))
    return asked, servers, reports


def _server(view: dict[str, Any], http: str) -> Server:
    configuration = part(view, "Configuration")
    return Server(
        id=text(view, "ID"),
        node=text(view, "Node"),
        address=text(view, "Address"),
        http=http,
        role=text(view, "Role"),
        term=number(view, "Term"),
        leader=text(view, "Leader"),
        last_contact_ms=number(view, "LastContactMs"),
        last_index=number(view, "LastIndex"),
        commit_index=number(view, "CommitIndex"),
        configuration_index=number(configuration, "Index"),
        members=tuple(_members(configuration)),
        state=text(view, "State"),
        held=text(view, "Held"),
        prepared=text(view, "Prepared"),
        version=text(view, "Version"),
        facts=_facts(view.get("Details")),
    )


def _members(configuration: dict[str, Any]) -> Iterator[Member]:
    for each in objects(configuration, "Servers"):
        voter = each.get("Voter") is True
        yield Member(id=text(each, "ID"), address=text(each, "Address"), voter=voter)


def _facts(value: Any) -> Details | None:
    if value is None:
        return None
    try:
        return msgspec.convert(value, Details, strict=False)
    except msgspec.ValidationError:
        return None


# -- what all agents tell -------------------------------------------------------------------------


def pool_of(members: Any, by: str) -> list[PoolEntry]:
    """Of `agent/members`: the pool as the server `by` sees it."""
    return [_entry(each, by) for each in objects(members, "Members")]


def _entry(member: dict[str, Any], by: str) -> PoolEntry:
    tags = part(member, "Tags")
    host = text(tags, "rpc_addr") or text(member, "Addr")
    host = f"[{host}]" if ":" in host else host
    return PoolEntry(
        by=by,
        id=text(tags, "id"),
        name=text(member, "Name"),
        address=f"{host}:{text(tags, 'port')}",
        status=text(member, "Status"),
        region=text(tags, "region"),
        expect=1 if "bootstrap" in tags else number(tags, "expect"),
        cluster_id=text(tags, "quorate_cluster"),
    )


class Told(msgspec.Struct, kw_only=True):
    """The answers of an agent that tells no facts of ours, by endpoint; None: not answered."""

    self: Any = None
    configuration: Any = None
    peers: Any = None
    members: Any = None
    autopilot: Any = None
    health: Any = None


def server_from(told: Told, http: str) -> Server | None:
    """The server that has answered these; None if it does not say who it is."""
    member, stats = part(told.self, "member"), part(told.self, "stats")
    if not member:
        region = text(told.members, "ServerRegion")
        name = f"{text(told.members, 'ServerName')}.{region}"
        listed_ones = objects(told.members, "Members")
        member = next((each for each in listed_ones if text(each, "Name") == name), {})
    tags = part(member, "Tags")
    name, server_id = text(member, "Name"), text(tags, "id")
    if not server_id:
        return _nameless(told, http)
    raft = part(stats, "raft")
    config = part(told.self, "config")
    listed = tuple(_members({"Servers": objects(told.configuration, "Servers")}))
    shown = tuple(
        Member(id=found[2], address=found[3], voter=found[1] == "Voter")
        for found in _CONFIGURED.finditer(text(raft, "latest_configuration"))
    )
    health = part(told.health, "server")
    contact = text(raft, "last_contact")
    return Server(
        id=server_id,
        node=name,
        address=_entry(member, "").address,
        http=http,
        make="Quorate" if "quorate" in tags else "Nomad",
        role=text(raft, "state").lower(),
        term=number(raft, "term"),
        leader=text(part(stats, "nomad"), "leader_addr"),
        last_contact_ms=_milliseconds(contact),
        last_index=number(raft, "last_log_index"),
        commit_index=number(raft, "commit_index"),
        configuration_index=number(raft, "latest_configuration_index"),
        members=listed or shown,
        version=text(tags, "quorate") or text(tags, "build"),
        health="" if health.get("ok", True) else text(health, "message"),
        facts=_nomads_facts(config, tags, stats, initialised=bool(listed or shown)),
    )


def _nameless(told: Told, http: str) -> Server | None:
    """A server of which only its health is told, as without a token."""
    health = part(told.health, "server")
    if not health:
        return None
    message = "" if health.get("ok") is True else text(health, "message")
    return Server(id=http, node=http, address="", http=http, make="", health=message)


def _nomads_facts(
    config: dict[str, Any], tags: dict[str, Any], stats: dict[str, Any], *, initialised: bool
) -> Details:
    server = part(config, "Server")
    join = [*_texts(server, "RetryJoin"), *_texts(server, "StartJoin")]
    for name in ("RetryJoin", "StartJoin"):
        join += _texts(part(server, "ServerJoin"), name)
    encrypted = text(part(stats, "serf"), "encrypted") == "true"
    return Details(
        region=text(tags, "region") or text(config, "Region"),
        datacenter=text(tags, "dc"),
        cluster_id=text(part(stats, "nomad"), "cluster_id"),
        initialised=initialised,
        expect=1 if "bootstrap" in tags else number(tags, "expect"),
        version=text(tags, "quorate") or text(tags, "build"),
        gossip=GossipDetails(
            enabled=bool(part(stats, "serf")),
            encrypted=encrypted,
            join=tuple(dict.fromkeys(join))[:NAMED_MAX],
        ),
        waiting=text(part(stats, "quorate"), "waiting"),
    )


def _texts(value: dict[str, Any], name: str) -> list[str]:
    found = value.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


_UNITS: Final = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0, "µs": 1e-3, "ns": 1e-6}


def _milliseconds(duration: str) -> int:
    """Of a duration as Go writes it; of "never" very many."""
    if duration == "never":
        return 2**31
    found = re.findall(r"(\d+\.?\d*)(h|ms|m|µs|ns|s)", duration[:40])
    return min(int(sum(float(number) * _UNITS[unit] for number, unit in found)), 2**31)


def clock_of(answer: Answer) -> float | None:
    """The time in the header `Date`, Unix seconds, to within a second."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).replace(tzinfo=UTC).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
