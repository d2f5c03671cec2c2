"""The plan of a seed: a cluster, how bad its weather is, and a schedule of faults, all as data.

A plan can be played in part: without some of its actions, clients or kinds of bad weather. That is
how a failure is made short. What an action does in detail it draws from a generator of its own, so
that it stays what it was when others are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from random import Random

from msgspec.structs import replace as replace_settings

from quorate.raft import Configuration, Server, Settings, Suffrage
from quorate.testing.sim.machines.hosts import Weather

NAMES = "abcdefg"
_FLIPS_AN_INSTALL = 0.15  # of the lives
_FLIPS_ONE_OF_MANY = 0.6  # of those in which snapshots are what happens
_BOUNDS_THE_LOG = 0.75  # of the lives in which snapshots or crashes are what happens
_ORPHANS_CHANGES = 0.25  # of the lives whose theme says nothing against it


@dataclass(frozen=True)
class Action:
    """One thing done to the cluster `at` a time of the world, in seconds."""

    number: int
    at: float
    kind: str


@dataclass(frozen=True)
class ClientPlan:
    """One client: it waits up to `pause_s` between operations, and `patience_s` for an answer."""

    number: int
    pause_s: float
    patience_s: float


@dataclass(frozen=True)
class Clocks:
    """`drift` is the highest rate, `jump_s` the furthest jump; `lawful` if leases may rely on it.

    The lease of 0.4 s is safe while a promise of 0.5 s, shortened by both, is longer.
    """

    name: str
    drift: float
    jump_s: float
    lawful: bool


CLOCKS = (
    Clocks("steady", 1.0, 0.0, lawful=True),
    Clocks("drifting", 1.2, 0.0, lawful=True),
    Clocks("nudged", 1.1, 0.04, lawful=True),
    Clocks("wild", 3.0, 30.0, lawful=False),
)


@dataclass(frozen=True)
class Topology:
    """A cluster that is not drawn but given: its servers, and the delay of messages in seconds.

    The delay (lower and upper bound) is that of the healed network; faults come on top. What is
    zero or None is drawn.
    """

    voters: int = 0
    nonvoters: int = 0
    delay: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if (
            not 0 <= self.voters + self.nonvoters <= len(NAMES)
            or min(self.voters, self.nonvoters) < 0
        ):
            raise ValueError(f"a cluster has one to {len(NAMES)} servers here")
        if self.nonvoters and not self.voters:
            raise ValueError("non-voters need voters")

    def members(self) -> Configuration:
        """The servers."""
        return _cluster(self.voters, self.nonvoters)

    def words(self) -> list[str]:
        """The words of a command line that stand for it."""
        words = ["--voters", str(self.voters)] if self.voters else []
        words += ["--nonvoters", str(self.nonvoters)] if self.nonvoters else []
        if self.delay is not None:
            words += ["--delay-ms", ",".join(f"{bound * 1000:g}" for bound in self.delay)]
        return words


@dataclass(frozen=True)
class Plan:
    """See the module. `left_out` and `calm` only say what is missing from the seed's full plan."""

    seed: int
    members: Configuration
    names: str
    founding: str
    settings: Settings
    weather: Weather
    clocks: Clocks
    wire: bool
    duration: float
    actions: tuple[Action, ...]
    clients: tuple[ClientPlan, ...]
    quiet: str  # which test of quiet follows the recovery
    uneven: bool = False  # every host has settings of its own
    topology: Topology = Topology()
    variant: int = 0
    calm: tuple[str, ...] = ()
    total: int = field(default=0)

    def with_actions(self, actions: tuple[Action, ...]) -> Plan:
        """The same with these actions only."""
        return replace(self, actions=actions)

    def without(self, what: str) -> Plan:
        """The same without a kind of bad weather, or a client (`client3`)."""
        calm = (*self.calm, what)
        if what.startswith("client"):
            clients = tuple(c for c in self.clients if f"client{c.number}" != what)
            return replace(self, clients=clients, calm=calm)
        if what == "clocks":
            return replace(self, clocks=CLOCKS[0], calm=calm)
        fair = {what: getattr(Weather(), what)}
        return replace(self, weather=replace(self.weather, **fair), calm=calm)

    def disturbances(self) -> list[str]:
        """The disturbances that `without` can take away."""
        found = [f"client{client.number}" for client in self.clients]
        if self.clocks != CLOCKS[0]:
            found.append("clocks")
        names = [each.name for each in fields(Weather)]
        return found + [n for n in names if getattr(self.weather, n) != getattr(Weather(), n)]

    def command(self, program: str = "quorate.testing.sim") -> str:
        """The command that plays this plan."""
        words = [f"python -m {program} --seed", str(self.seed), *self.topology.words()]
        if len(self.actions) != self.total:
            words += ["--only", ",".join(str(a.number) for a in self.actions) or "none"]
        if self.calm:
            words += ["--calm", ",".join(self.calm)]
        if self.variant:
            words += ["--variant", str(self.variant)]
        return " ".join(words)


def draw(seed: int, topology: Topology | None = None) -> Plan:
    """The plan of a seed. One in three draws few kinds of faults, so that they can unfold."""
    plan = _draw_everything(seed, Random(f"plan {seed}"))
    rng = Random(f"theme {seed}")
    theme = rng.choice(["everything"] * 6 + ["leases", "snapshots", "damage", "damage", "crashes"])
    if plan.quiet == "none":
        half = Random(f"quiet {seed}").random() < 0.5
        plan = replace(plan, quiet="full" if half else "asleep")
    if theme != "everything":
        plan = _THEMES[theme](plan, rng)
    elif rng.random() < 0.4:  # drawn apart, so that the other faults of a seed stay what they were
        plan = _with_reductions(plan, rng)
    elif (hosts := Random(f"hosts {seed}")).random() < 0.75:
        plan = _with_faults_of_hosts(plan, hosts)
    share = _FLIPS_ONE_OF_MANY if theme == "snapshots" else _FLIPS_AN_INSTALL
    if (rng := Random(f"install {seed}")).random() < share:
        action = Action(plan.total, rng.uniform(0, plan.duration), "flip_install")
        plan = replace(plan, actions=(*plan.actions, action), total=plan.total + 1)
    if theme in {"crashes", "snapshots"}:
        plan = _with_bound(plan, Random(f"bound {seed}"))
    if theme in {"everything", "snapshots"}:
        plan = _with_orphans(plan, Random(f"orphans {seed}"))
    return plan if topology is None else _on(plan, topology)


def _on(plan: Plan, topology: Topology) -> Plan:
    """The plan for a cluster that is given."""
    plan = replace(plan, topology=topology)
    if topology.delay is not None:
        low, high = topology.delay
        weather = replace(plan.weather, delay=(low, max(high, plan.weather.delay[1])))
        plan = replace(plan, weather=weather)
    if not topology.voters:
        return plan
    members = topology.members()
    spare = len(plan.names) - len(plan.members.servers)
    names = NAMES[: len(members.servers) + spare]
    return replace(plan, members=members, names=names)


def _draw_everything(seed: int, rng: Random) -> Plan:
    members = _members(rng)
    spare = rng.choice([0, 1, 2])
    clocks = rng.choice([CLOCKS[0], CLOCKS[0], *CLOCKS[1:]])
    duration = rng.choice([4.0, 8.0, 12.0])
    actions = _schedule(rng, duration, clocks)
    clients = tuple(
        ClientPlan(number, rng.choice([0.01, 0.05, 0.2]), rng.choice([0.5, 2.0]))
        for number in range(rng.choice([1, 2, 4, 6]))
    )
    return Plan(
        seed=seed,
        members=members,
        names=NAMES[: min(len(members.servers) + spare, len(NAMES))],
        founding=rng.choice(["disks", "disks", "servers", "one"]),
        settings=_settings(rng),
        weather=_bad_weather(rng),
        clocks=clocks,
        wire=rng.random() < 0.25,
        duration=duration,
        actions=actions,
        clients=clients,
        quiet=rng.choice(["none", "return", "deaf", "removed", "alone"]),
        total=len(actions),
    )


def _members(rng: Random) -> Configuration:
    return _cluster(rng.choice([1, 2, 3, 3, 3, 3, 4, 5, 5]), rng.choice([0, 0, 0, 1]))


def _cluster(voters: int, nonvoters: int) -> Configuration:
    return Configuration(
        tuple(
            Server(n, f"{n}:1", Suffrage.VOTER if i < voters else Suffrage.NONVOTER)
            for i, n in enumerate(NAMES[: voters + nonvoters])
        )
    )


def _settings(rng: Random) -> Settings:
    return Settings(
        append_entries_max=rng.choice([1, 3, 8, 512]),
        heartbeats_in_flight_max=rng.choice([4, 64]),
        appends_in_flight_max=rng.choice([1, 2, 4]),
        apply_entries_max=rng.choice([1, 3, 512]),
        trailing_logs=rng.choice([0, 3, 20, 10240]),
    )


def _bad_weather(rng: Random) -> Weather:
    return Weather(
        delay=(0.0005, rng.choice([0.002, 0.01, 0.06])),
        slow=rng.choice([0, 0, 0.01, 0.05]),
        slow_delay=rng.choice([0.3, 1.5]),
        loss=rng.choice([0, 0, 0.01, 0.1]),
        double=rng.choice([0, 0, 0.05]),
        timeout=rng.choice([(0.05, 0.2), (0.3, 1.0)]),
        disk=(0.0002, rng.choice([0.001, 0.01, 0.08])),
        stall=rng.choice([0, 0, 0.02]),
        turn=(0, rng.choice([0, 0.005, 0.1])),
        broken_snapshot=rng.choice([0, 0.3]),
        crash_after_install=rng.choice([0, 0.3]),
    )


def _schedule(rng: Random, duration: float, clocks: Clocks) -> tuple[Action, ...]:
    """Each kind of fault at a rate (a second) that the seed draws, often zero."""
    rates = {
        "change": rng.choice([0, 0.5, 2, 8]),
        "transfer": rng.choice([0, 0.3, 2]),
        "crash": rng.choice([0, 0.3, 1.5]),
        "blackout": rng.choice([0, 0, 0.2]),
        "cut": rng.choice([0, 0.5, 2]),
        "strand": rng.choice([0, 0.5, 2]),
        "fill": rng.choice([0, 0, 0.3]),
        "stick": rng.choice([0, 0, 0.3]),
        "flip": rng.choice([0, 0, 0.3]),
        "pause": rng.choice([0, 0, 0.5]),
        "slow": rng.choice([0, 0, 0.3]),
        "jump": 0.7 if clocks.jump_s else 0,
        "snapshot": rng.choice([0, 1, 5]),
    }
    return _drawn(rng, duration, rates)


def _drawn(rng: Random, duration: float, rates: dict[str, float]) -> tuple[Action, ...]:
    drawn: list[tuple[float, str]] = []
    for kind, rate in rates.items():
        at = rng.expovariate(rate) if rate else duration
        while at < duration:
            drawn.append((at, kind))
            at += rng.expovariate(rate)
    return tuple(Action(n, at, kind) for n, (at, kind) in enumerate(sorted(drawn)))


def _few(plan: Plan, rng: Random, rates: dict[str, float]) -> Plan:
    """The plan with these kinds of actions only, in fair weather, for three or five voters."""
    names = NAMES[: rng.choice([3, 3, 5])]
    actions = _drawn(rng, 12.0, rates)
    return replace(
        plan,
        members=Configuration(tuple(Server(n, f"{n}:1") for n in names)),
        names=names,
        founding="disks",
        weather=Weather(disk=(0.0002, 0.001)),
        duration=12.0,
        actions=actions,
        total=len(actions),
    )


def _with_reductions(plan: Plan, rng: Random) -> Plan:
    times = sorted(rng.uniform(0, plan.duration) for _ in range(rng.choice([2, 5])))
    more = tuple(Action(plan.total + n, at, "reduce") for n, at in enumerate(times))
    return replace(plan, actions=(*plan.actions, *more), total=plan.total + len(more))


def _with_orphans(plan: Plan, rng: Random) -> Plan:
    """In some lives, changes that their leader never commits (`MemberActions._orphan`)."""
    if rng.random() >= _ORPHANS_CHANGES:
        return plan
    times = sorted(rng.uniform(1.0, plan.duration) for _ in range(2))
    more = tuple(Action(plan.total + n, at, "orphan") for n, at in enumerate(times))
    return replace(plan, actions=(*plan.actions, *more), total=plan.total + len(more))


def _with_bound(plan: Plan, rng: Random) -> Plan:
    """In some lives, a log that may not grow, and more writes than it takes at once."""
    if rng.random() >= _BOUNDS_THE_LOG:
        return plan
    bound = rng.choice([96 << 10, 128 << 10])
    settings = replace_settings(plan.settings, log_bytes_max=bound, trailing_logs=10240)
    rates = {"bulk": rng.choice([1.0, 3.0]), "fill": rng.choice([0, 0.2])}
    drawn = _drawn(rng, plan.duration, rates)
    more = tuple(replace(a, number=plan.total + a.number) for a in drawn)
    actions = (*plan.actions, *more)
    return replace(plan, settings=settings, actions=actions, total=len(actions))


def _with_faults_of_hosts(plan: Plan, rng: Random) -> Plan:
    """Half of them beside all the other faults, half of them almost alone."""
    rates = {
        "retune": rng.choice([0, 0.5, 2]),
        "halt": rng.choice([0, 0.2, 0.5]),
        "rollback": rng.choice([0, 0.3, 0.6]),
        "copy": rng.choice([0, 0.3, 0.6]),
        "spoil": rng.choice([0, 0.3, 0.6]),
    }
    uneven = rng.random() < 0.5
    if rng.random() < 0.5:
        rates |= {"snapshot": 0.5, "crash": 0.2, "cut": 0.2, "transfer": 0.2}
        return replace(_few(plan, rng, rates), uneven=uneven)
    more = _drawn(rng, plan.duration, rates)
    actions = (*plan.actions, *(replace(a, number=plan.total + a.number) for a in more))
    return replace(plan, actions=actions, uneven=uneven, total=len(actions))


def _leases(plan: Plan, rng: Random) -> Plan:
    few = _few(plan, rng, {"strand": 1.5, "tune": 0.5, "stretch": 0.5})
    settings = Settings(heartbeats_in_flight_max=64, trailing_logs=20)
    clocks = rng.choice(CLOCKS[:3])
    # With slow disks heartbeats are answered long before the first entry of a new leader.
    weather = replace(few.weather, disk=(0.0002, rng.choice([0.001, 0.06])))
    return replace(few, settings=settings, clocks=clocks, weather=weather)


def _snapshots(plan: Plan, rng: Random) -> Plan:
    few = _few(plan, rng, {"snapshot": 8.0, "cut": 1.0, "crash": 0.5, "change": 1.0})
    weather = replace(few.weather, slow=0.05, slow_delay=0.5, double=0.1, disk=(0.0002, 0.05))
    weather = replace(weather, turn=(0, 0.02))
    settings = Settings(
        append_entries_max=3,
        trailing_logs=rng.choice([0, 3]),
        apply_entries_max=rng.choice([1, 3, 512]),
    )
    return replace(few, settings=settings, weather=weather)


def _damage(plan: Plan, rng: Random) -> Plan:
    few = _few(plan, rng, {"flip": 1.0, "crash": 0.5, "snapshot": 3.0, "cut": 0.3})
    return replace(few, settings=Settings(trailing_logs=rng.choice([0, 20])))


def _crashes(plan: Plan, rng: Random) -> Plan:
    """One crash follows the other, so that what the first leaves is still there at the next."""
    few = _few(plan, rng, {"crash": 3.0, "snapshot": rng.choice([0, 1.0]), "transfer": 0.3})
    weather = replace(few.weather, disk=(0.0002, 0.01))
    return replace(few, settings=Settings(trailing_logs=rng.choice([0, 20])), weather=weather)


_THEMES = {"leases": _leases, "snapshots": _snapshots, "damage": _damage, "crashes": _crashes}


def parse_only(text: str, plan: Plan) -> Plan:
    """The plan with the actions named in `text`, as `command` writes them. Raises ValueError."""
    numbers = set() if text == "none" else {int(word) for word in re.split(r"[, ]+", text)}
    unknown = numbers - {action.number for action in plan.actions}
    if unknown:
        raise ValueError(f"seed {plan.seed} has no action {min(unknown)}")
    return plan.with_actions(tuple(a for a in plan.actions if a.number in numbers))
