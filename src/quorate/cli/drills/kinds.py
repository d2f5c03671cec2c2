"""The drills: how each breaks the cluster, what a person on call is told, when it is mended.

`tells` is the situation as it would be met, never the cure. `faster` is the shortest way, in
commands that can be copied; it is told once the cluster is mended.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from quorate.cli.dev.plan import ServerPlan
from quorate.cli.drills.cluster import DrillCluster, fill
from quorate.recovery.looking.inspect import inspect

Wrong = Callable[[DrillCluster], str]


class Broken(NamedTuple):
    """A cluster that was broken. `wrong` tells what is still wrong, empty once it is mended."""

    tells: str
    wrong: Wrong
    faster: Sequence[str]


class Drill(NamedTuple):
    """One drill. `summary` gives nothing away."""

    name: str
    summary: str
    breaks: Callable[[DrillCluster], Broken]


def _agent(server: ServerPlan) -> str:
    return f"quorate agent -config={shlex.quote(str(server.config))}"


def _ask(server: ServerPlan) -> str:
    return f"-address={server.http_address}"


def _id(server: ServerPlan) -> str:
    return inspect(server.data_dir).server_id


def _others(cluster: DrillCluster, leader: ServerPlan) -> list[ServerPlan]:
    return [server for server in cluster.servers if server is not leader]


def _all_well(cluster: DrillCluster) -> str:
    return cluster.what_is_wrong(cluster.servers)


def _dead_peer(cluster: DrillCluster) -> Broken:
    leader = cluster.leader()
    lost = _others(cluster, leader)[0]
    cluster.kill(lost)
    cluster.lose_disk(lost)
    lost.data_dir.mkdir()
    return Broken(
        f"The machine of {lost.name} has burnt, with its disk. A new machine stands in its place, "
        f"under the same addresses, with the same configuration ({lost.config}) and an empty disk. "
        "Nothing runs on it yet. The cluster has to have three healthy voters again, and no "
        "other member.",
        _all_well,
        (
            f"{_agent(lost)} &",
            f"quorate operator raft list-peers {_ask(leader)}",
        ),
    )


def _lose_two(cluster: DrillCluster) -> tuple[ServerPlan, list[ServerPlan]]:
    """Two are lost with their disks; the third one is left."""
    left = cluster.leader()
    lost = _others(cluster, left)
    cluster.kill(*lost)
    cluster.lose_disk(*lost)
    return left, lost


def _lost_quorum(cluster: DrillCluster) -> Broken:
    ids = {server.name: _id(server) for server in cluster.servers}
    left, lost = _lose_two(cluster)
    cluster.wait(lambda: cluster.has_no_leader(left), "the last server to notice")
    plan = shlex.quote(str(cluster.folder / "plan.json"))
    data = shlex.quote(str(left.data_dir))
    names = ",".join(ids[server.name] for server in lost)
    return Broken(
        f"{lost[0].name} and {lost[1].name} are gone, with their disks, and will not come back. "
        f"{left.name} runs ({left.http_address}), and every write fails. The cluster has to take "
        "writes again, and to have everything that is left.",
        lambda cluster: cluster.what_is_wrong([left], exactly=False),
        (
            f"quorate operator recover plan -out={plan} {_ask(left)}",
            f"quorate operator recover live prepare -data-may-be-lost -lost={names} {plan} {data}",
            f"quorate operator recover live commit {data}",
        ),
    )


def _wrong_peers_json(cluster: DrillCluster) -> Broken:
    left, lost = _lose_two(cluster)
    server_id = _id(left)
    cluster.kill(left)
    path = left.data_dir / "server" / "raft" / "peers.json"
    path.write_text(
        f'[\n  {{"id": "{server_id}", "address": "{left.http_address.removeprefix("http://")}"}}\n]\n'
    )
    cluster.start(left)
    cluster.processes[left.name].wait(30.0)
    data = shlex.quote(str(left.data_dir))
    return Broken(
        f"{lost[0].name} and {lost[1].name} are gone, with their disks. A colleague has tried to "
        f"bring {left.name} back alone, by a file that a guide told of, and has gone home. "
        f"{left.name} does not stay up. Its log is {left.log}, its data {left.data_dir}. The "
        "cluster has to take writes again, and to have everything that is left.",
        lambda cluster: cluster.what_is_wrong([left], exactly=False),
        (
            f"tail {shlex.quote(str(left.log))}",
            f"quorate operator recover peers-json -out={shlex.quote(str(path))} {data}",
            f"{_agent(left)} &",
        ),
    )


def _split(cluster: DrillCluster) -> Broken:
    leader = cluster.leader()
    asleep = _others(cluster, leader)
    cluster.pause(*asleep)
    cluster.wait(lambda: cluster.has_no_leader(leader), "the last server to notice")
    pids = " ".join(str(cluster.pid(server)) for server in asleep)
    return Broken(
        f"{leader.name} ({leader.http_address}) has lost its leadership: it reaches neither "
        f"{asleep[0].name} nor {asleep[1].name}. Nobody knows of a machine that is down. The "
        "cluster has to be whole again, with all three servers as they were.",
        _all_well,
        (f"quorate operator raft views {_ask(leader)}", f"kill -CONT {pids}"),
    )


def _full_disk(cluster: DrillCluster) -> Broken:
    former = cluster.leader()
    leader = _others(cluster, former)[0]
    cluster.kill(leader)
    cluster.mount_small_disk(leader)
    cluster.start(leader)
    cluster.wait(lambda: not _all_well(cluster), "the server to be back on its small disk")
    with cluster.client(cluster.leader()) as client:
        client.transfer_leadership(address=leader.rpc_address)
    cluster.wait(lambda: cluster.leads(leader), "the server with the small disk to lead")
    ballast = leader.data_dir / "core.4711"
    fill(ballast)
    cluster.wait(lambda: cluster.refuses_writes(leader), "the full disk to be noticed")
    return Broken(
        f"Writes are refused since a minute ago; reads are answered. {leader.name} is at "
        f"{leader.http_address}. The cluster has to take writes again, and all three servers have "
        "to be healthy, with everything that was written.",
        _all_well,
        (
            f"curl {leader.http_address}/v1/agent/health",
            f"df {shlex.quote(str(leader.data_dir))}",
            f"rm {shlex.quote(str(ballast))}",
        ),
    )


def _cloned_server(cluster: DrillCluster) -> Broken:
    leader = cluster.leader()
    original = _others(cluster, leader)[0]
    server_id = _id(original)
    cluster.kill(original)
    clone = cluster.one_more()
    shutil.rmtree(clone.data_dir)
    no_sockets = shutil.ignore_patterns("*.sock")
    shutil.copytree(original.data_dir, clone.data_dir, ignore=no_sockets)
    cluster.start(clone)
    cluster.wait(lambda: cluster.is_known_at(leader, clone), "the clone to be the member", 120.0)
    cluster.start(original)
    cluster.processes[original.name].wait(30.0)

    def wrong(cluster: DrillCluster) -> str:
        if cluster.pid(clone) is not None:
            return f"{clone.name} runs"
        return cluster.what_is_wrong(cluster.servers)

    return Broken(
        f"For a test, the virtual machine of {original.name} was cloned last night, and the clone, "
        f"{clone.name}, was started. {original.name} was started this morning after its "
        f"maintenance, and does not stay up: its log is {original.log}. The cluster has to consist "
        f"of {', '.join(server.name for server in cluster.servers)} again, all of them healthy, "
        "without the clone.",
        wrong,
        (
            f"quorate operator raft list-peers {_ask(leader)}",
            f"kill {cluster.pid(clone)}",
            f"{_agent(original)} &",
            f"quorate operator raft remove-peer -peer-id={server_id} {_ask(leader)}",
        ),
    )


def _rolled_back_disk(cluster: DrillCluster) -> Broken:
    leader = cluster.leader()
    victim = _others(cluster, leader)[0]
    cluster.kill(victim)
    saved = cluster.folder / "saved"
    no_sockets = shutil.ignore_patterns("*.sock")
    shutil.copytree(victim.data_dir, saved, ignore=no_sockets)
    cluster.start(victim)
    cluster.wait(lambda: not _all_well(cluster), "the server to be back")
    cluster.kill(victim)
    shutil.rmtree(victim.data_dir)
    saved.rename(victim.data_dir)
    cluster.start(victim)
    cluster.processes[victim.name].wait(30.0)
    return Broken(
        f"The storage of {victim.name} has failed, and the people of the storage have put its "
        f"snapshot of last night back. Since then {victim.name} does not stay up: its log is "
        f"{victim.log}. The cluster has to have three healthy voters again, and no other member.",
        _all_well,
        (
            f"{_agent(victim)} &",
            f"quorate operator raft list-peers {_ask(leader)}",
        ),
    )


DRILLS: Final = (
    Drill("dead-peer", "One of three servers is gone for good.", _dead_peer),
    Drill("lost-quorum", "Two of three servers are gone for good.", _lost_quorum),
    Drill("split", "A server does not reach the others.", _split),
    Drill("full-disk", "Writes are refused. Needs root, for a small disk.", _full_disk),
    Drill("wrong-peers-json", "A recovery was tried, and failed.", _wrong_peers_json),
    Drill("cloned-server", "A machine was cloned.", _cloned_server),
    Drill("rolled-back-disk", "The disk of a server is of last night.", _rolled_back_disk),
)
