"""A start: no vote and no campaign before the other members could say what is against it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from one_node import OneNode, append, sends, vote

from quorate.raft import Configuration, EntryKind, Role, Server, Settings
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.roles.greeting import TICKS
from quorate.raft.values import messages as msg
from quorate.raft.values.configuration import Suffrage
from quorate.testing.sim.world import World
from quorate.wire.raft import membership as codec

ELECTION_S = Settings().election_timeout_s
PAUSE_S = ELECTION_S / (TICKS + 1)


def pre_vote(candidate: str, term: int, log: tuple[int, int]) -> msg.PreVoteRequest:
    return msg.PreVoteRequest(
        term=term,
        sender_id=candidate,
        sender_address=f"{candidate}:1",
        last_log_index=log[0],
        last_log_term=log[1],
    )


def just_started() -> OneNode:
    """Node a, which greets b and c."""
    a = OneNode(1)
    a.now = 0.0
    assert a.node.greet() == ["b", "c"]
    return a


def gives_no_vote(a: OneNode, log: tuple[int, int] = (1, 1)) -> bool:
    refused = not a.ask(pre_vote("b", 2, log)).granted
    handed_over = vote("b", 2, log, leadership_transfer=True)
    return refused and not a.ask(handed_over).granted and not a.ask(vote("b", 2, log)).granted


def test_no_vote_before_every_member_has_answered() -> None:
    a = just_started()
    a.now = ELECTION_S + 0.01
    assert gives_no_vote(a)
    a.step(ev.Greeted("b"))
    assert gives_no_vote(a)
    a.step(ev.Greeted("c"))
    assert a.ask(vote("b", 2, (1, 1))).granted


def test_no_campaign_before_every_member_has_answered() -> None:
    a = just_started()
    a.now = a.node.election_deadline + 60  # it stood still for so long
    assert not sends(a.step(ev.Tick()), msg.PreVoteRequest)
    a.step(ev.Greeted("b"))
    a.step(ev.Greeted("c"))
    assert a.node.role is Role.FOLLOWER
    assert a.node.deadline() <= a.now  # the next tick is due
    assert sends(a.step(ev.Tick()), msg.PreVoteRequest)


def test_a_process_that_stood_still_has_not_waited() -> None:
    a = just_started()
    for _ in range(TICKS - 1):
        a.now += 60.0
        a.step(ev.Tick())
        assert gives_no_vote(a)
        a.step(ev.Tick())  # at once again: not due, so it does not count
    a.now += PAUSE_S
    a.step(ev.Tick())
    assert a.ask(vote("b", 2, (1, 1))).granted


def test_members_that_do_not_answer_delay_no_election() -> None:
    a = just_started()
    while a.node.greeting is not None:
        a.now = a.node.deadline()
        a.step(ev.Tick())
    assert a.now < a.node.promised_until
    assert a.node.deadline() == a.node.election_deadline


def test_what_is_counted_from_a_start_counts_from_where_it_takes_part() -> None:
    """It was made long before, as with a large log that is looked through in between."""
    a = OneNode(1)
    a.node.begin(100.0)
    assert a.node.greet() == ["b", "c"]
    a.now = 100.0
    a.step(ev.Tick())
    assert a.node.greeting is not None
    assert a.node.greeting.ticks == TICKS
    assert a.node.election_deadline > 100 + ELECTION_S
    for name in ("b", "c"):
        a.step(ev.Greeted(name))
    a.now = 100 + ELECTION_S - 0.01
    assert not a.ask(vote("b", 2, (1, 1))).granted
    a.now = 100 + ELECTION_S + 0.01
    assert a.ask(vote("b", 2, (1, 1))).granted


def test_who_is_alone_or_no_member_greets_nobody() -> None:
    alone = OneNode(1, members=Configuration((Server("a", "a:1"),)))
    assert alone.node.greet() == []
    stranger = OneNode(1, members=Configuration((Server("b", "b:1"), Server("c", "c:1"))))
    assert stranger.node.greet() == []


def with_vote(*names: str) -> Configuration:
    """All of these are members; a has a vote only if it is named."""
    voters = [Server(name, f"{name}:1") for name in "abc" if name in names]
    rest = [Server(name, f"{name}:1", Suffrage.NONVOTER) for name in "abc" if name not in names]
    return Configuration((*voters, *rest))


def promoted(*, greets: bool = True) -> tuple[OneNode, list[Any]]:
    """Node a, a non-voter until now, and what follows when the leader b gives it a vote."""
    a = OneNode(1, members=with_vote("b", "c"))
    if greets:
        for name in a.node.greet():
            a.step(ev.Greeted(name))
    request = append(1, (1, 1), 1)
    data = codec.encode_configuration(with_vote("a", "b", "c"))
    entry = msgspec.structs.replace(request.entries[0], kind=EntryKind.CONFIGURATION, data=data)
    request = msgspec.structs.replace(request, entries=(entry,))
    return a, a.step(ev.RequestReceived("r", request))


def test_who_gets_a_vote_greets_the_others_before_it_uses_it() -> None:
    a, effects = promoted()
    assert [e.server_ids for e in effects if isinstance(e, fx.Greet)] == [("b", "c")]
    a.now = a.node.promised_until + 0.001
    assert gives_no_vote(a, (2, 1))
    a.step(ev.Greeted("b"))
    a.step(ev.Greeted("c"))
    assert a.ask(vote("b", 2, (2, 1))).granted


def test_others_that_do_not_answer_delay_no_election_after_a_promotion() -> None:
    a, _ = promoted()
    while a.node.greeting is not None:
        a.now = a.node.deadline()
        a.step(ev.Tick())
    assert a.now < a.node.promised_until


def test_a_server_that_cannot_greet_and_a_founder_wait_for_nobody() -> None:
    a, effects = promoted(greets=False)
    assert a.node.greeting is None
    assert not [e for e in effects if isinstance(e, fx.Greet)]
    world = world_of(0, "a", "b", "c")  # each has the first entry already
    led(world)
    assert not world.coverage.counts["a server that had just got its vote greeted the others"]


def world_of(seed: int, *names: str) -> World:
    members = Configuration(tuple(Server(name, f"{name}:1") for name in names))
    world = World(f"greeting {seed}", names, Settings(), members)
    for name in names:
        world.start(name)
    return world


def led(world: World) -> str:
    """The leader, as soon as there is one that is not asleep."""
    end = world.now + 20
    while world.now < end:
        world.run_until(world.now + 0.01)
        leader = world.leader()
        if leader is not None and leader.paused_until <= world.now:
            return leader.name
    raise AssertionError("no leader")


@pytest.mark.parametrize("seed", range(12))
def test_a_restart_with_one_member_dead_elects_as_soon_as_before(seed: int) -> None:
    world = world_of(seed, "a", "b", "c")
    dead = led(world)
    for name in ("a", "b", "c"):
        world.crash(name, lucky=False)
    began = world.now
    for name in sorted({*"abc"} - {dead}):
        world.start(name)
    led(world)
    assert world.now - began <= 2 * ELECTION_S + 0.1


@pytest.mark.parametrize("seed", range(12))
def test_an_old_copy_that_stands_still_at_its_start_gives_no_vote(seed: int) -> None:
    """The checker of the simulator sees a vote; the others elect a leader without it."""
    world = world_of(seed, "a", "b", "c", "d", "e")
    leader = led(world)
    names = sorted({*"abcde"} - {leader})
    old, downs = names[0], names[1:2]
    image = world.hosts[old].disk.image()
    world.crash(old, lucky=False)
    world.start(old)  # the start that the others have seen
    world.run_until(world.now + 1.0)
    world.crash(old, lucky=False)
    world.roll_back(world.hosts[old], image, 0.03)
    world.pause(old, 1.4)
    # Meanwhile the leader and another one are lost: without its vote there is no majority of five.
    for name in (leader, *downs):
        world.crash(name, lucky=False)
    world.run_until(world.now + 3.0)
    assert world.hosts[old].damage
    for name in (leader, *downs):
        world.start(name)
    led(world)
