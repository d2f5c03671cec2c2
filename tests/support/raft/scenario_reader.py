"""Runs scenario files: commands, a line of dashes, and what happened (see `scenarios/`).

A file opens with the reason why it exists. Blocks are separated by empty lines; a block without
`----` is set-up and prints nothing. Commands stand one to a line or are separated by `;`:

    settings NAME=VALUE ...        before `cluster`: other settings
    log NAME TERM ...              before `cluster`: a log with entries of these terms
    term NAME TERM                 before `cluster`: the term that its disk holds
    cluster NAME ... [nonvoter NAME ...] [spare NAME ...]
    elect NAME                     let it win the next election
    write NAME [COUNT [BYTES]] | read NAME | transfer NAME [TARGET]
    change NAME KIND SERVER [INDEX] [force]
    cut NAME [NAME] | cut NAME -> NAME | heal | lag NAME -> NAME SECONDS
    crash NAME | start NAME | wipe NAME
    image NAME | rollback NAME [ASLEEP]  keep its disk; start it on what was kept, asleep so long
    disk NAME slow SECONDS | ok | full | room
    tune NAME MULTIPLIER           its times become this many times as long while it runs
    suspend NAME SECONDS           its machine sleeps, and its clock runs on
    freeze NAME SECONDS            it is stopped with its clock; reads may be stale from now on
    epoch NAME COUNTER BITS        its process belongs to this recovery of the cluster
    newcomer NAME                  its process belongs to no cluster as yet
    member NAME [OTHER]            it belongs to the cluster, with OTHER in the epoch of that one
    prepared NAME yes | no         a recovery of its cluster is prepared there, or given up
    machine NAME damaged | sound   its state machine is found to be wrong, or right again
    snapshot NAME                  take one; it is stored a little later
    refused NAME: ...              the same as `ask`, of what must be refused as no message
    ask NAME: vote|pre-vote|timeout-now|append FIELD=VALUE ...     a message from nowhere;
                                   terms=[1,2] are commands of these terms, after prev_log_index
    hint NAME                      it answers refusals like other makes: with its last index
    run SECONDS | until NAME INDEX (it stores the entry) | until_snapshot NAME (it stores one)
    trace KIND ...                 roles clients configuration messages heartbeats disk apply
    show                           one line for every server
    files                          what the files of each log take
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from quorate.errors import StateDamaged
from quorate.raft import Change, ChangeKind, Configuration, Entry, EntryKind, Server, Settings
from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.values import messages as msg
from quorate.raft.values.configuration import Suffrage
from quorate.raft.values.identity import EPOCH_BITS, Epoch
from quorate.testing.sim.machines.disk import SimDisk
from quorate.testing.sim.machines.hosts import Host, Weather
from quorate.testing.sim.machines.network import Call
from quorate.testing.sim.plans.meetings import CLUSTER
from quorate.testing.sim.verdicts.printers import (
    configuration_text,
    effect_text,
    request_text,
    response_text,
)
from quorate.testing.sim.verdicts.violations import ViolationError
from quorate.testing.sim.world import World
from quorate.wire.raft import membership as codec

_ASKED = {
    "vote": msg.RequestVoteRequest,
    "pre-vote": msg.PreVoteRequest,
    "timeout-now": msg.TimeoutNowRequest,
    "append": msg.AppendEntriesRequest,
}
_KINDS = {
    "roles": (fx.RoleChanged,),
    "clients": (fx.Rejected, fx.ReadReady, fx.Done),
    "configuration": (fx.ConfigurationChanged,),
    "messages": (fx.Send, fx.SendSnapshot, fx.ReceiveSnapshot, fx.RestoreSnapshot),
    "heartbeats": (),
    "disk": (fx.Persist,),
    "apply": (fx.Apply,),
}


class Scenario:
    """One file being played."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.logs: dict[str, list[int]] = {}
        self.terms: dict[str, int] = {}
        self.kinds = ["roles", "clients", "configuration"]
        self.lines: list[str] = []
        self.world: World
        self.images: dict[str, SimDisk] = {}
        self._told: set[str] = set()
        self._asked_asleep: set[str] = set()  # reads that come when the machine wakes up
        self._beats: set[tuple[str, int, int]] = set()

    def play(self, commands: list[str]) -> list[str]:
        """Do the commands; what is to be seen of it."""
        self.lines = []
        for line in commands:
            for command in line.split(";"):
                name, *words = command.split()
                action: Callable[..., None] = getattr(self, f"do_{name}")
                action(*words)
        return self.lines

    # -- watching ---------------------------------------------------------------------------

    def _watch(self, host: Host, event: Any, effects: list[Any]) -> None:
        self._tell_handles()
        self._tell_event(host, event)
        for effect in effects:
            if isinstance(effect, fx.Send) and _is_heartbeat(effect):
                self._beats.add((host.name, host.incarnation, effect.rpc_id))
            if not isinstance(effect, tuple(t for k in self.kinds for t in _KINDS[k])):
                continue
            if "heartbeats" in self.kinds or not _is_heartbeat(effect):
                self.lines.append(f"{host.name}  {effect_text(effect)}")

    def _tell_event(self, host: Host, event: Any) -> None:
        if "messages" not in self.kinds:
            return
        if isinstance(event, ev.RequestFailed):
            self.lines.append(f"{host.name}  #{event.rpc_id} to {event.peer_id} failed")
        if isinstance(event, ev.ResponseReceived | ev.SnapshotDelivered):
            beat = (host.name, host.incarnation, event.rpc_id) in self._beats
            if not beat or "heartbeats" in self.kinds:
                text = response_text(event.response)
                self.lines.append(f"{host.name}  {event.peer_id} answers #{event.rpc_id}: {text}")

    def _tell_handles(self) -> None:
        for handle in self.world.handles:
            if handle.answer == "done" and handle.name not in self._told:
                self._told.add(handle.name)
                told = handle.kind in {"write", "change"} or handle.name in self._asked_asleep
                if "clients" in self.kinds and told:
                    self.lines.append(f"{handle.host}  {handle.name} done")

    # -- set-up -----------------------------------------------------------------------------

    def do_settings(self, *words: str) -> None:
        pairs = (word.split("=") for word in words)
        changed: dict[str, Any] = {name: msgspec.json.decode(text) for name, text in pairs}
        self.settings = msgspec.structs.replace(self.settings, **changed)

    def do_log(self, name: str, *terms: str) -> None:
        self.logs[name] = [int(term) for term in terms]

    def do_term(self, name: str, term: str) -> None:
        self.terms[name] = int(term)

    def do_cluster(self, *words: str) -> None:
        servers, names, how = [], [], "voter"
        for word in words:
            if word in {"nonvoter", "spare"}:
                how = word
                continue
            names.append(word)
            if how != "spare":
                suffrage = Suffrage.VOTER if how == "voter" else Suffrage.NONVOTER
                servers.append(Server(word, f"{word}:1", suffrage))
        members = Configuration(tuple(servers))
        rng = Random("quorate scenario")
        self.world = World("scenario", names, self.settings, members, rng=rng)
        self.world.weather = Weather(delay=(0.001, 0.001), disk=(0.0005, 0.0005), reset=0)
        self.world.watch = self._watch
        newest = max((terms[-1] for terms in self.logs.values()), default=1)
        for name, terms in self.logs.items():
            _fill(self.world.hosts[name].disk, members, terms, newest)
        for name, term in self.terms.items():
            _fill(self.world.hosts[name].disk, members, [1], term)
        for name in names:
            self.world.start(name)

    def do_elect(self, name: str) -> None:
        world, chosen = self.world, self.host(name)
        world.run_until(world.now + self.settings.election_timeout_s)
        chosen.live.election_deadline = world.now
        world.step(chosen, ev.Tick())
        for _ in range(4000):
            if chosen.live.leader:
                break
            for host in world.running():
                if host is not chosen:
                    host.live.election_deadline = host.live.now + 1
            world.run_until(world.now + 0.001)
        assert chosen.live.leader, f"{name} was not elected"
        for host in world.running():
            if not host.live.leader:
                host.live.touch_election_timer()

    def do_trace(self, *kinds: str) -> None:
        assert set(kinds) <= set(_KINDS), kinds
        self.kinds = list(kinds)

    # -- clients ----------------------------------------------------------------------------

    def host(self, name: str) -> Host:
        return self.world.hosts[name]

    def do_write(self, name: str, count: str = "1", size: str = "0") -> None:
        self.world.propose(self.host(name), int(count), int(size))
        self.world.run_until(self.world.now)  # the turn ends, and with it the batch

    def do_read(self, name: str) -> None:
        host = self.host(name)
        asleep = host.paused_until > self.world.now
        under_lease = host.driver.lease_valid() and not asleep
        handle = self.world.read(host)
        if asleep:
            self._asked_asleep.add(handle.name)
        if under_lease and "clients" in self.kinds:  # the core is not asked
            self.lines.append(f"{name}  {effect_text(fx.ReadReady((handle,)))}")

    def do_change(self, name: str, kind: str, server: str, *more: str) -> None:
        index = int(more[0]) if more and more[0] != "force" else 0
        change = Change(ChangeKind[kind.upper()], server, f"{server}:1", index)
        self.world.change(self.host(name), change, force="force" in more)

    def do_transfer(self, name: str, target: str = "") -> None:
        self.world.transfer(self.host(name), target)

    # -- faults -----------------------------------------------------------------------------

    def do_cut(self, first: str, *more: str) -> None:
        if more and more[0] == "->":
            pairs = [(first, more[1])]
        else:
            others = more or tuple(n for n in self.world.hosts if n != first)
            pairs = [p for n in others for p in ((first, n), (n, first))]
        for pair in pairs:
            self.world.network.blocked[pair] = True

    def do_lag(self, first: str, _: str, second: str, seconds: str) -> None:
        self.world.network.lag[first, second] = float(seconds)

    def do_suspend(self, name: str, seconds: str) -> None:
        self.world.suspend(name, float(seconds))

    def do_freeze(self, name: str, seconds: str) -> None:
        self.world.checker.leases_hold = False
        self.world.freeze(name, float(seconds))

    def do_heal(self) -> None:
        self.world.network.blocked.clear()

    def do_hint(self, name: str) -> None:
        self.world.network.last_index_hints = name

    def do_crash(self, name: str) -> None:
        self.world.crash(name, lucky=False)

    def do_start(self, name: str) -> None:
        self.world.start(name)

    def do_wipe(self, name: str) -> None:
        self.world.wipe(name)

    def do_image(self, name: str) -> None:
        self.images[name] = self.host(name).disk.image()

    def do_rollback(self, name: str, asleep: str = "0") -> None:
        self.world.roll_back(self.host(name), self.images.pop(name), 0.03)
        self.world.pause(name, float(asleep))

    def do_disk(self, name: str, how: str, seconds: str = "0") -> None:
        if how in {"full", "room"}:
            self.world.storage.set_full(name, full=how == "full")
        else:
            delay = (float(seconds), float(seconds))
            self.host(name).disk_delay = delay if how == "slow" else None

    def do_tune(self, name: str, multiplier: str) -> None:
        self.world.tune(self.host(name), self.settings.scaled(float(multiplier)))

    def do_prepared(self, name: str, state: str) -> None:
        why = f"{name} is prepared for a recovery" if state == "yes" else ""
        self.world.step(self.world.host(name), ev.Prepared(why))

    def do_epoch(self, name: str, counter: str, bits: str) -> None:
        host = self.host(name)
        epoch = Epoch(int(counter), bits.encode() * EPOCH_BITS)
        host.live.identity = msgspec.structs.replace(host.record, epoch=epoch)

    def do_newcomer(self, name: str) -> None:
        host = self.host(name)
        host.live.identity = msgspec.structs.replace(host.record, cluster_id="")

    def do_member(self, name: str, other: str = "") -> None:
        host, of = self.host(name), self.host(other or name)
        host.live.identity = msgspec.structs.replace(
            host.record, cluster_id=CLUSTER, epoch=of.record.epoch
        )

    def do_machine(self, name: str, how: str) -> None:
        damage = StateDamaged("the state here is damaged") if how == "damaged" else None
        self.host(name).driver.quarantine(damage)

    def do_snapshot(self, name: str) -> None:
        assert self.world.storage.take_snapshot(name), "nothing to take"

    def do_ask(self, name: str, kind: str, *words: str) -> None:
        host = self.host(name.rstrip(":"))
        fields = {
            k: v if k.startswith("sender") else msgspec.json.decode(v) for k, v in map(_pair, words)
        }
        if terms := fields.pop("terms", None):
            first = int(fields.get("prev_log_index", 0)) + 1
            fields["entries"] = tuple(
                Entry(index, term, EntryKind.COMMAND, b"%d.%d" % (index, term))
                for index, term in enumerate(terms, first)
            )
        request = _ASKED[kind](**fields)
        call = Call("?", 0, 0, host.name, host.name, request)
        self.lines.append(f"?  -> {host.name}: {request_text(request)}")
        call.on_answer = lambda response: self.lines.append(
            f"{host.name}  answers: {response_text(response)}"
        )
        self.world.step(host, ev.RequestReceived(call, request))

    def do_refused(self, name: str, kind: str, *words: str) -> None:
        before = self.host(name.rstrip(":")).live.hard_state
        try:
            self.do_ask(name, kind, *words)
        except ViolationError as error:
            _, _, why = str(error).partition("BadFrame('")
            self.lines.append(f"{name[:-1]}  refuses: {why.removesuffix(chr(39) + ')')}")
        assert self.host(name.rstrip(":")).live.hard_state == before

    # -- time -------------------------------------------------------------------------------

    def do_run(self, seconds: str) -> None:
        self.world.run_until(self.world.now + float(seconds))
        self._tell_handles()

    def do_until(self, name: str, index: str) -> None:
        for _ in range(100_000):
            if self.host(name).disk.last_index() >= int(index):
                return
            self.world.run_until(self.world.now + 0.0001)
        raise AssertionError(f"{name} never stored {index}")

    def do_until_snapshot(self, name: str) -> None:
        for _ in range(100_000):
            if self.host(name).disk.snapshot:
                return
            self.world.run_until(self.world.now + 0.0001)
        raise AssertionError(f"{name} never stored a snapshot")

    def do_files(self) -> None:
        for host in self.world.running():
            log = host.live.log
            size = host.disk.store.size_bytes()
            self.lines.append(f"{host.name}  {size} bytes from {log.first_index} on")

    def do_show(self) -> None:
        for host in self.world.hosts.values():
            if not host.node:
                self.lines.append(f"{host.name}  down{host.damage and ': '}{host.damage}")
                continue
            node = host.live
            self.lines.append(
                f"{host.name}  {node.role.value} term {node.term} "
                f"log {node.log.last_index}/{node.log.last_term} commit {node.commit_index} "
                f"applied {node.applied_index} "
                f"members {node.configuration_index}: {configuration_text(node.configuration)}"
            )


def _pair(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key, value


def _is_heartbeat(effect: Any) -> bool:
    request = getattr(effect, "request", None)
    return isinstance(request, msg.AppendEntriesRequest) and request.is_heartbeat


def _fill(disk: SimDisk, members: Configuration, terms: list[int], newest: int) -> None:
    data = codec.encode_configuration(members)
    entries = [Entry(1, terms[0], EntryKind.CONFIGURATION, data)]
    for index, term in enumerate(terms[1:], 2):
        entries.append(Entry(index, term, EntryKind.COMMAND, b"%d.%d" % (index, term)))
    disk.fill(entries, msg.HardState(newest))


def replay(path: Path) -> str:
    """The file as it reads with what happens now."""
    scenario = Scenario()
    out = []
    for block in path.read_text().strip("\n").split("\n\n"):
        lines = block.splitlines()
        told = "----" in lines
        at = lines.index("----") if told else len(lines)
        commands = [line for line in lines[:at] if not line.startswith("#")]
        seen = scenario.play(commands)
        out.append("\n".join(lines[:at] + (["----", *seen] if told else [])))
    return "\n\n".join(out) + "\n"
