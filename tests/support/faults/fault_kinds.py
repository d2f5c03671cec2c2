"""The faults: how each begins and ends, and what must go on meanwhile.

`begin` gets the cluster, the leader of now and a seeded generator, and returns a line for the
report. Whatever it did is undone by `end`, which also waits for nothing: how soon the cluster is
itself again is what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from fault_cluster import FaultServers

Begin = Callable[[FaultServers, int, Random], str]


class Fault(NamedTuple):
    """`majority_whole`: while it lasts, a majority can work, and so writes must be confirmed.

    `keeps_leader`: no election may follow.
    """

    name: str
    begin: Begin
    majority_whole: bool = True
    keeps_leader: bool = False


def _others(servers: FaultServers, leader: int, rng: Random, count: int) -> list[int]:
    return sorted(rng.sample([n for n in range(servers.count) if n != leader], count))


def _minority(servers: FaultServers) -> int:
    return (servers.count - 1) // 2


def kill_follower(servers: FaultServers, leader: int, rng: Random) -> str:
    (number,) = _others(servers, leader, rng, 1)
    servers.kill(number)
    return f"s{number}"


def kill_leader(servers: FaultServers, leader: int, rng: Random) -> str:
    del rng
    servers.kill(leader)
    return f"s{leader}"


def kill_minority(servers: FaultServers, leader: int, rng: Random) -> str:
    numbers = [leader, *_others(servers, leader, rng, _minority(servers) - 1)]
    servers.kill(*numbers)
    return f"{numbers}"


def kill_all(servers: FaultServers, leader: int, rng: Random) -> str:
    del leader
    servers.kill(*rng.sample(range(servers.count), servers.count))
    return "all"


def freeze_leader(servers: FaultServers, leader: int, rng: Random) -> str:
    del rng
    servers.freeze(leader)
    return f"s{leader}"


def freeze_majority(servers: FaultServers, leader: int, rng: Random) -> str:
    del leader
    numbers = rng.sample(range(servers.count), servers.count - _minority(servers))
    servers.freeze(*numbers)
    return f"{sorted(numbers)}"


def cut_leader_off(servers: FaultServers, leader: int, rng: Random) -> str:
    del rng
    assert servers.network
    rest = set(range(servers.count)) - {leader}
    servers.network.cut(rest, {leader})
    servers.network.cut({leader}, rest)
    return f"s{leader}"


def split(servers: FaultServers, leader: int, rng: Random) -> str:
    """The leader with the minority."""
    assert servers.network
    few = {leader, *_others(servers, leader, rng, _minority(servers) - 1)}
    many = set(range(servers.count)) - few
    servers.network.cut(few, many)
    servers.network.cut(many, few)
    return f"{sorted(few)} from {sorted(many)}"


def mute_leader(servers: FaultServers, leader: int, rng: Random) -> str:
    """The leader hears, and is not heard."""
    del rng
    assert servers.network
    servers.network.cut({leader}, set(range(servers.count)) - {leader})
    return f"s{leader} is not heard"


def deafen_leader(servers: FaultServers, leader: int, rng: Random) -> str:
    """The leader is heard, and does not hear."""
    del rng
    assert servers.network
    servers.network.cut(set(range(servers.count)) - {leader}, {leader})
    return f"s{leader} does not hear"


def lossy_links(servers: FaultServers, leader: int, rng: Random) -> str:
    del leader
    assert servers.network
    numbers = rng.sample(range(servers.count), _minority(servers))
    percent = rng.choice((5, 20, 40))
    for number in numbers:
        servers.network.lose(number, percent)
    return f"{percent}% to {sorted(numbers)}"


def narrow_links(servers: FaultServers, leader: int, rng: Random) -> str:
    assert servers.network
    numbers = _others(servers, leader, rng, _minority(servers) - 1)
    numbers.append(leader)
    for number in numbers:
        servers.network.narrow(number, True)
    return f"of {sorted(numbers)}"


def full_disk(servers: FaultServers, leader: int, rng: Random) -> str:
    del leader, rng
    servers.fill_disk()
    return f"s{servers.small_disk}"


def block_leaders_syncs(servers: FaultServers, leader: int, rng: Random) -> str:
    del rng
    servers.shims[leader].block_syncs(True)
    return f"s{leader}"


def block_followers_syncs(servers: FaultServers, leader: int, rng: Random) -> str:
    numbers = _others(servers, leader, rng, _minority(servers))
    for number in numbers:
        servers.shims[number].block_syncs(True)
    return f"{numbers}"


def jump_clocks(servers: FaultServers, leader: int, rng: Random) -> str:
    del leader
    jumps = {n: rng.choice((-1, 1)) * rng.choice((1, 3600, 86400 * 400)) for n in range(3)}
    for number, seconds in jumps.items():
        servers.shims[number].set_clock(seconds)
    return f"{jumps}"


FAULTS = (
    Fault("kill a follower", kill_follower, keeps_leader=True),
    Fault("kill the leader", kill_leader),
    Fault("kill a minority with the leader", kill_minority),
    Fault("kill all", kill_all, majority_whole=False),
    Fault("freeze the leader", freeze_leader),
    Fault("freeze a majority", freeze_majority, majority_whole=False),
    Fault("cut the leader off", cut_leader_off),
    Fault("split, leader with the minority", split),
    Fault("leader not heard", mute_leader),
    Fault("leader hears nothing", deafen_leader),
    Fault("lossy links", lossy_links),
    Fault("narrow links", narrow_links),
    Fault("full disk", full_disk),
    Fault("syncs of the leader blocked", block_leaders_syncs),
    Fault("syncs of a minority blocked", block_followers_syncs, keeps_leader=True),
    Fault("time of day jumps", jump_clocks, keeps_leader=True),
)


def end(servers: FaultServers) -> None:
    """Undo every fault there is."""
    if servers.network:
        servers.network.heal()
    for shim in servers.shims:
        shim.block_syncs(False)
    if servers.small_disk is not None:
        servers.free_disk()
    servers.thaw()
    missing = [n for n in range(servers.count) if n not in servers.processes]
    if missing:
        servers.start(*missing)
