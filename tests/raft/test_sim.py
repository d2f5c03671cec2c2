"""Whole clusters on virtual time: nothing may ever be wrong, and after the faults all must recover.

A failure names its seed and the command that plays it again (see `quorate.testing.sim`).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import count
from random import Random, SystemRandom

import pytest
from lengths import cases
from mutant import Mutant, mutated
from mutants import MUTANTS

from quorate.errors import LogDamaged, StateDamaged
from quorate.raft import Configuration, Entry, HardState, Server
from quorate.raft.effects import Apply, Persist, ReadReady, Role, RoleChanged
from quorate.raft.events import TransferRequested
from quorate.runtime.raft import RaftDriver
from quorate.state.engine.snapshot import SnapshotError
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.testing.sim.__main__ import main
from quorate.testing.sim.life import FailedLifeError, Life
from quorate.testing.sim.machines.disk import SimDisk, Snapshot
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.plan import CLOCKS, Topology, draw, parse_only
from quorate.testing.sim.shrink import Shrinker
from quorate.testing.sim.soak import play, soak
from quorate.testing.sim.verdicts.cluster import Handle
from quorate.testing.sim.verdicts.coverage import SITUATIONS, Coverage
from quorate.testing.sim.verdicts.spots import ENTRY, GONE, SETTING, SPACE

FIXED_SEEDS = range(70)
FRESH_SEEDS = 8
# What the fixed seeds need not meet: `make soak` shows how often longer runs do.
RARE = {
    "a pre-candidate voted for another candidate",
    "a damaged snapshot was found before it was sent",
    "a server stood still while it greeted the others",
    "a log was replaced by its snapshot at a start",
    "damaged entry found while it ran",
    "damaged entry that is gone found at a start",
    "damaged entry that is gone found while it ran",
    "damaged setting found while it ran",
    "damaged snapshot found while it ran",
    "leader removed itself while partitioned",
    "log kept because it held all of a snapshot",
    "quorum lost to damage",
    "the body of a snapshot was lost",
    "change refused because too few voters would remain alive",
    "TimeoutNow ignored",
    "transfer won by another server",
}
FORGETS_TO_SYNC = next(m for m in MUTANTS if m.name == "answers before the disk")
VOTES_TWICE = next(m for m in MUTANTS if m.name == "votes twice in a term")


@pytest.mark.long
@pytest.mark.timeout(600)  # half a minute of work, on a machine that may be busy
def test_the_fixed_seeds_meet_what_they_are_meant_to_meet() -> None:
    met: Counter[str] = Counter()
    for seed in FIXED_SEEDS:
        met.update(Life(draw(seed)).run().coverage.counts)
    assert {name for name in SITUATIONS if not met[name]} <= RARE
    assert len(SITUATIONS) - len(RARE) >= 40


def test_fresh_seeds() -> None:
    first = SystemRandom().randrange(1 << 32)
    for seed in range(first, first + FRESH_SEEDS):
        Life(draw(seed)).run()


@pytest.mark.parametrize("seed", cases(range(5), range(5, 20)))
def test_whose_state_is_damaged_never_leads_and_keeps_all_promises(seed: int) -> None:
    """Lives with all their faults, in which state machines are found wrong, and right again."""
    life = Life(draw(seed))
    world, rng = life.world, Random(seed)
    seen = Counter[str]()

    def find_damage() -> None:
        host = rng.choice([None, *world.running()])
        if host is None:
            return
        host.driver.quarantine(StateDamaged("the state here is damaged"))
        seen["damaged"] += 1
        world.later(rng.uniform(0.2, 2.0), lambda: mend(host))

    def mend(host: Host) -> None:
        if host.node:
            host.driver.quarantine(None)

    def watch(host: Host, event: object, effects: Sequence[object]) -> None:
        del event
        if host.live.machine_damaged:
            seen["steps"] += 1
            for effect in effects:
                elected = isinstance(effect, RoleChanged) and effect.role is Role.LEADER
                assert not elected, f"{host.name} was elected"

    world.watch = watch
    for _ in range(12):
        world.later(rng.uniform(0, life.plan.duration - 2.0), find_damage)
    life.run()
    assert seen["damaged"]
    assert seen["steps"]


@pytest.mark.long
@pytest.mark.timeout(600)  # ten seconds of work, on a machine that may be busy
def test_whose_machine_holds_never_leads_and_all_is_well_after_an_upgrade() -> None:
    seen = Counter[str]()
    for seed in range(20):
        live_with_old_versions(seed, seen)
    assert seen["held"] >= 20
    assert seen["restarted"] >= 5, "and held again"
    assert seen["handed over"]


def live_with_old_versions(seed: int, seen: Counter[str]) -> None:
    """A life with all its faults, in which servers meet commands of a newer version."""
    life = Life(draw(seed))
    world, rng = life.world, Random(seed)

    def be_old() -> None:
        host = rng.choice([None, *world.running()])
        if host is None or any(other.holds_at for other in world.hosts.values()):
            return
        host.holds_at = host.machine.holds_at = host.machine.index + 1
        world.later(rng.uniform(0.2, 2.0), lambda: upgrade(host))

    def upgrade(host: Host) -> None:
        host.holds_at = 0
        if host.node:
            seen["held"] += host.driver.held is not None
            seen["restarted"] += host.driver.held is not None and host.incarnation in again
            world.crash(host.name)
            world.start(host.name)

    again: set[int] = set()

    def restart(name: str) -> None:
        host = world.hosts[name]
        if host.node and host.driver.held is not None:
            world.crash(name)
            world.start(name)
            again.add(host.incarnation)

    def watch(host: Host, event: object, effects: Sequence[object]) -> None:
        if host.live.machine_held:
            led = isinstance(event, TransferRequested) and type(event.handle) is not Handle
            seen["handed over"] += led
            for effect in effects:
                elected = isinstance(effect, RoleChanged) and effect.role is Role.LEADER
                assert not elected, f"{host.name} was elected"
                assert not isinstance(effect, Apply | ReadReady), f"{host.name} goes on"

    world.watch = watch
    for _ in range(30):
        at = rng.uniform(0, life.plan.duration - 2.0)
        world.later(at, be_old)
        world.later(at + 0.2, partial(restart, rng.choice(list(world.hosts))))
    life.run()


PASSES_OVER = Mutant(
    "passes an unknown command over",
    RaftDriver._apply,
    "self._hold(done, held, _above(handles, done))",
    "self._driver.step(events.Applied(done + 1))",
    60,
)


def test_a_replica_that_passes_over_what_it_cannot_read_is_found() -> None:
    def lives() -> None:
        for seed in range(PASSES_OVER.seeds):
            live_with_old_versions(seed, Counter())

    # Such a replica takes a snapshot without what was passed over.
    with mutated(PASSES_OVER), pytest.raises(FailedLifeError, match="of the state at"):
        lives()


def test_a_seed_replays_whatever_the_hashes_are() -> None:
    def run(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-m", "quorate.testing.sim", "--seed", "11"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    first = run("1")
    assert re.fullmatch(r"seed 11: \d+ events, trace [0-9a-f]{8}, nothing wrong\n", first)
    assert first == run("2")


def test_a_failure_tells_its_story_and_how_to_replay_it() -> None:
    with mutated(FORGETS_TO_SYNC), pytest.raises(FailedLifeError) as caught:
        Life(draw(0)).run()
    text = str(caught.value)
    assert "seed 0, event " in text
    assert "replay: python -m quorate.testing.sim --seed 0" in text
    assert "persist 1:" in text


def test_a_failure_is_made_short_and_its_command_shows_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with mutated(VOTES_TWICE):
        failure = next(filter(None, map(_failure, range(VOTES_TWICE.seeds))))
        # Its clock counts tries here, so that a busy machine shortens as far as an idle one.
        short = Shrinker(failure, seconds=150, clock=count(0.0).__next__).run()
        assert len(short.plan.actions) < len(failure.plan.actions) / 4
        words = short.plan.command().split()
        assert words[:3] == ["python", "-m", "quorate.testing.sim"]
        assert main([*words[3:], "--no-shrink"]) == 1
    told = capsys.readouterr().out
    assert short.rule in told
    assert all(line in told for line in short.done)
    assert main(words[3:]) == 0  # without the bug nothing is wrong


def _failure(seed: int) -> FailedLifeError | None:
    try:
        Life(draw(seed)).run()
    except FailedLifeError as failure:
        return failure
    return None


def test_a_plan_is_played_in_part() -> None:
    plan = draw(3)
    assert plan.command() == "python -m quorate.testing.sim --seed 3"
    some = parse_only("0,2", plan).without("client0")
    assert [action.number for action in some.actions] == [0, 2]
    assert some.command() == "python -m quorate.testing.sim --seed 3 --only 0,2 --calm client0"
    with pytest.raises(ValueError, match="no action 999"):
        parse_only("999", plan)


def test_leases_rely_only_on_clocks_that_allow_it() -> None:
    lease_s, promise_s = 0.4, 0.5
    for clocks in CLOCKS:
        safe = lease_s * clocks.drift + clocks.jump_s < promise_s
        assert safe is clocks.lawful, clocks.name


def test_a_tally_adds_up() -> None:
    one, two = play(range(2)), play(range(2, 3))
    steps = one.steps + two.steps
    one.add(two)
    assert (one.lives, one.steps) == (3, steps)
    assert not one.failures
    assert all(name in one.text() for name in SITUATIONS)


@pytest.mark.long
def test_a_soak_adds_up() -> None:
    total = soak(0, 0.5, 1, lambda tally: None)
    assert total.lives >= 10
    assert total.steps > 1000
    text = total.text()
    assert "steps per second" in text
    assert "never reached: " in text
    assert all(name in text for name in SITUATIONS)


def test_a_seed_is_the_same_plan_from_the_command_line() -> None:
    for seed in range(20):
        assert draw(seed, Topology()) == draw(seed)


def test_a_cluster_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "2", "--voters", "5", "--delay-ms", "5,20"]) == 0
    # A network slower than the election timeout allows no leader: better known beforehand.
    words = ["--seed", "2", "--voters", "3", "--delay-ms", "600", "--no-shrink"]
    assert main(words) == 1
    told = capsys.readouterr().out
    assert "no recovery within 15.0 s" in told
    assert "--seed 2 --voters 3 --delay-ms 600,600" in told
    with pytest.raises(SystemExit):
        main(["--seed", "2", "--voters", "9"])


def test_only_named_situations_are_counted() -> None:
    with pytest.raises(KeyError):
        Coverage().met("something else")


@pytest.mark.parametrize("seed", range(60))
def test_every_flipped_bit_is_found_and_named(seed: int) -> None:
    rng = Random(seed)
    store = StateStore(TODAY)
    members = Configuration((Server("a", "a:1"),))
    disk = SimDisk("a", HardState(3, "a:1", 2), [Entry(i, 1, 0, b"x" * i) for i in range(1, 9)])
    for index in range(9, 40):
        disk.write(Persist(index, entries=(Entry(index, 1, 0, bytes(rng.randrange(900))),)))
    disk.write(Persist(40, hard_state=HardState(4), truncate_from=35, compact_to=15))
    disk.store_snapshot(Snapshot.of((20, 1, members, 1), store.image()))
    loaded = disk.load()
    assert loaded is not None
    assert loaded.image().rows == store.image().rows
    what = disk.flip(rng)
    assert disk.flipped
    with pytest.raises((LogDamaged, SnapshotError)) as caught:
        disk.load()
    named = "-20-" if what.endswith("of snapshot 20") else f"a/raft/{what.split()[-3]}"
    assert named in str(caught.value)


def test_bits_flip_in_all_that_lies_on_a_disk() -> None:
    hit = set()
    for seed in range(100):
        disk = SimDisk(log=[Entry(i, 1, 0, b"") for i in range(1, 30)])
        for index in range(30, 60):
            disk.write(Persist(index, entries=(Entry(index, 1, 0, b""),)))
        disk.write(Persist(60, compact_to=50))
        disk.flip(Random(seed))
        hit |= disk.flipped
    assert hit == {ENTRY, GONE, SETTING, SPACE}


def test_a_flip_is_gone_with_what_it_was_in() -> None:
    disk = SimDisk()
    while disk.flipped != {SPACE}:
        disk = SimDisk()
        disk.flip(Random())
    for index in range(1, 60):
        disk.write(Persist(index, entries=(Entry(index, 1, 0, b""),), compact_to=index))
    assert not disk.flipped
    disk.load()


@pytest.mark.parametrize("seed", range(150))
def test_a_crash_leaves_a_write_whole_or_undone(seed: int) -> None:
    """`load` compares, and raises if something else comes back; see the mutants too."""
    rng = Random(seed)
    disk = SimDisk()
    for _ in range(rng.randint(1, 6)):
        last, term = disk.base[0] + len(disk.log), disk.hard_state.term + 1
        first = last + 1
        for number in range(rng.randrange(20)):
            last += 1
            one = Entry(last, term, 0, bytes(rng.choice([10, 2000])))
            compact_to = max(last - 3, first - 1) if rng.random() < 0.2 else None
            disk.write(Persist(number, entries=(one,), compact_to=compact_to))
        two = tuple(Entry(last + n, term, 0, bytes(rng.randrange(3000))) for n in (1, 2))
        disk.queue = [Persist(0, hard_state=HardState(term, "a", term), entries=two)]
        disk.busy = True
        disk.crash(0, rng)
        disk.load()
        assert disk.store.hard_state().term in {term - 1, term}
        found = disk.store.entries(disk.store.first_index(), last + 3, 1 << 40)
        assert found == disk.log
        assert disk.base[0] + len(found) == last + 2 * (disk.hard_state.term == term)
