"""The lines to copy that `quorate dev` prints: what to try with this very cluster. Pure.

Every step is true as printed, and in the printed order, for the servers that were started.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quorate.cli.dev.plan import ServerPlan, by_region
from quorate.client import RaftConfiguration

Step = tuple[str, str]


class Running(NamedTuple):
    """One server that was started."""

    plan: ServerPlan
    pid: int


def what_next(
    call: str, running: Sequence[Running], configurations: Mapping[str, RaftConfiguration]
) -> str:
    """Commands to copy. `call` is how the program is called; configurations are by region."""
    if len(by_region([each.plan for each in running])) > 1:
        return _steps(_regions(call, running))
    (configuration,) = configurations.values()
    victim = _leader_number(running, configuration)
    if len(running) == 1:
        return _steps(_alone(call, running[0]))
    other = running[(victim + 1) % len(running)]
    if len(running) == 2:
        return _steps(_pair(call, running[victim], other))
    return _steps(_several(call, running[victim], other, configuration))


def _several(
    call: str, victim: Running, other: Running, configuration: RaftConfiguration
) -> list[Step]:
    """Kill one, see, remove it, start it: it stays out, and comes back when it is told to."""
    ask = f"-address={other.plan.http_address}"
    name = victim.plan.name
    rpc_address = victim.plan.rpc_address
    node_id = next((s.id for s in configuration.servers if s.address == rpc_address), "<id>")
    return [
        ("Ask another server for the voters", f"{call} operator raft list-peers {ask}"),
        ("... and for live members", f"{call} server members {ask}"),
        (f"Kill {name}, the leader", f"kill -9 {victim.pid}"),
        ("See the new leader", f"{call} operator raft list-peers {ask}"),
        (f"... and, after some seconds, that {name} failed", f"{call} server members {ask}"),
        (
            "If it were lost for good: remove it",
            f"{call} operator raft remove-peer -peer-id={node_id} {ask}",
        ),
        (
            "Start it again (in another terminal); it was removed, so it stays out",
            _start(call, victim),
        ),
        ("... and its health says so", _fetched(call, victim, "agent/health")),
        ("Bring it back", f"{call} server rejoin -address={victim.plan.http_address}"),
        ("What each server believes", f"{call} operator raft views {ask}"),
        _without_client(call, other),
    ]


def _pair(call: str, victim: Running, other: Running) -> list[Step]:
    """Of two servers both are needed."""
    ask = f"-address={other.plan.http_address}"
    return [
        ("Ask another server for the voters", f"{call} operator raft list-peers {ask}"),
        (f"Kill {victim.plan.name}, the leader", f"kill -9 {victim.pid}"),
        (
            "Of two voters both are needed: the other one has no leader now",
            f"{call} operator raft views {ask}",
        ),
        ("Start it again (in another terminal)", _start(call, victim)),
        _without_client(call, other),
    ]


def _alone(call: str, server: Running) -> list[Step]:
    ask = f"-address={server.plan.http_address}"
    return [
        ("List it", f"{call} operator raft list-peers {ask}"),
        _without_client(call, server),
    ]


def _regions(call: str, running: Sequence[Running]) -> list[Step]:
    """Ask one region for another, lose the whole other one, bring it back."""
    asked = running[0]
    ask = f"-address={asked.plan.http_address}"
    home, far = asked.plan.region, running[-1].plan.region
    there = [each for each in running if each.plan.region == far]
    return [
        ("See all servers of all regions", f"{call} server members {ask}"),
        ("Which regions there are", _fetched(call, asked, "regions")),
        (
            f"Ask {home} for the voters of {far}",
            f"{call} operator raft list-peers -region={far} {ask}",
        ),
        (
            "... and for its leader, without a client",
            _fetched(call, asked, f"status/leader?region={far}"),
        ),
        (
            f"Kill the whole region {far}",
            "kill -9 " + " ".join(str(each.pid) for each in there),
        ),
        (
            f"{home} goes on, and after some seconds lists {far} as failed",
            f"{call} server members {ask}",
        ),
        (
            "... and knows no path to it any more",
            f"{call} operator raft list-peers -region={far} {ask}",
        ),
        *(
            (
                f"Bring {far} back (each line in a terminal of its own)" if not n else "...",
                _start(call, each),
            )
            for n, each in enumerate(there)
        ),
    ]


def _start(call: str, server: Running) -> str:
    return f"{call} agent -config {shlex.quote(str(server.plan.config))}"


def _without_client(call: str, server: Running) -> Step:
    path = "operator/raft/configuration?pretty"
    shown = "The same as JSON" if server.plan.secured else "The same API without a client"
    return (shown, _fetched(call, server, path))


def _fetched(call: str, server: Running, path: str) -> str:
    """A GET of the plain API; certificates and a token are the command line's."""
    address = server.plan.http_address
    if server.plan.secured:
        return f"{call} operator api -address={address} '/v1/{path}'"
    return f"curl '{address}/v1/{path}'"


def _steps(steps: Sequence[Step]) -> str:
    shown = "\n".join(f"  # {does}\n  {line}\n" for does, line in steps)
    return f"Try next:\n\n{shown}\nCtrl-C stops all servers."


def _leader_number(running: Sequence[Running], configuration: RaftConfiguration) -> int:
    leading = {server.address for server in configuration.servers if server.leader}
    return next((n for n, each in enumerate(running) if each.plan.rpc_address in leading), 0)
