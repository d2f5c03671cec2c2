"""The disk of a simulated server: the bytes that a real one would hold, in memory.

Log, term and vote lie in the real log store, whose files lie on a disk of sectors (`sectors`);
snapshots in the forms of `quorate.storage` (meta) and `quorate.state` (the state). All is read back
from these bytes at every start. A crash keeps some first part of the queue of writes, tears the one
under way, and forgets the rest.

Invariants:
- What was durable is there at the next start, and the write under way wholly or not at all. Beside
  the store stands the truth, which shares no code with it.
- A byte that was flipped is noticed before what it stands for is used (`flipped` is what a start
  must stumble over).
- A log that was cut short (`cut`), wherever it was, is noticed if anything durable is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from fastcrc.crc64 import xz

from quorate.errors import LogDamaged, QuorateError
from quorate.raft.effects import Persist
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import NO_EPOCH, Epoch, Start
from quorate.raft.values.messages import Entry, HardState
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot, encode_snapshot
from quorate.state.registry import TODAY
from quorate.storage.log.files import LogFiles
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.storage.sealed import crc_bytes
from quorate.storage.snapshots.meta import SnapshotMeta, meta_line, meta_of_line, snapshot_id
from quorate.testing.sim.machines.sectors import SECTOR, CutError, SectorDisk
from quorate.testing.sim.verdicts.spots import Spot, spots_of
from quorate.testing.sim.verdicts.violations import expect

_POWER_LOSS = 0.75  # of crashes; in the others only the process goes
_FLUSH_FAILS = 0.2  # of crashes in a write: it is what ends the process, and the machine goes on
_CUT_AT_START = 0.1


def _nobody_looks(what: object) -> None:
    """Of a disk that no world counts for, and no recorder watches."""


class SmallFiles(LogFiles):
    """So small that they follow one another, and are removed, within a life."""

    segment_bytes = 8 << 10
    piece = 2 << 10


@dataclass(frozen=True)
class Snapshot:
    """A stored state as the two files that it is, with what the node knows of it in memory."""

    index: int
    term: int
    configuration: Configuration
    configuration_index: int
    meta: bytes = b""
    body: bytes = b""

    @property
    def id(self) -> str:
        """The name of its folder."""
        return snapshot_id(self.term, self.index, 0)

    @classmethod
    def of(cls, point: tuple[int, int, Configuration, int], image: SnapshotImage) -> Snapshot:
        """The snapshot of a state at `point` (see `NodeState.snapshot_point`)."""
        parts: list[bytes] = []
        encode_snapshot(image, parts.append, TODAY)
        return cls.of_body(point, b"".join(parts))

    @classmethod
    def of_body(cls, point: tuple[int, int, Configuration, int], body: bytes) -> Snapshot:
        """The same from what the state machine has written out."""
        index, term, configuration, configuration_index = point
        meta = SnapshotMeta(
            id=snapshot_id(term, index, 0),
            index=index,
            term=term,
            configuration=configuration,
            configuration_index=configuration_index,
            size=len(body),
            crc=crc_bytes(xz(body)),
        )
        return cls(index, term, configuration, configuration_index, meta_line(meta), body)

    def opened(self, folder: str) -> Snapshot:
        """The contents of the bytes, all checksums tested. Raises LogDamaged."""
        path = f"{folder}/{self.id}"
        meta = meta_of_line(self.meta, self.id, f"{path}/meta.json")
        if len(self.body) != meta.size or crc_bytes(xz(self.body)) != meta.crc:
            text = f"{path}/state.bin is damaged: its checksum does not match"
            raise LogDamaged(text, path=path)
        return Snapshot(
            meta.index,
            meta.term,
            meta.configuration,
            meta.configuration_index,
            self.meta,
            self.body,
        )

    def image(self) -> SnapshotImage:
        """The state in it. Raises SnapshotError."""
        body, at = self.body, 0

        def read(size: int) -> bytes:
            nonlocal at
            at += size
            return body[at - size : at]

        return decode_snapshot(read, TODAY)


@dataclass
class SimDisk:
    """See the module. `log`, `base` and `hard_state` are the truth: what was made durable."""

    name: str = "disk"
    hard_state: HardState = field(default_factory=HardState)
    log: list[Entry] = field(default_factory=list)
    base: tuple[int, int] = (0, 0)  # index and term of the entry before the log
    snapshot: Snapshot | None = None  # the newest
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    queue: list[Persist] = field(default_factory=list)
    generation: int = 0  # counts wipes
    busy: bool = False
    full: bool = False
    room_since: float = 0.0
    waiting: bool = False  # for room
    start: int = 0  # the number of its newest start
    epoch: Epoch = NO_EPOCH  # of the cluster to which its data belongs
    prepared: str = ""  # why nothing of that epoch counts: a recovery is prepared
    seen: dict[str, Start] = field(default_factory=dict)  # the newest of other servers
    newer: SimDisk | None = None  # the one that should be here: this is an old copy of it
    met: Callable[[str], object] = _nobody_looks  # a situation has come about
    on_durable: Callable[[Persist], object] = _nobody_looks  # also of what nobody was told of

    def __post_init__(self) -> None:
        self._torn: Persist | None = None  # perhaps durable: the next start tells
        self._flips: list[tuple[Spot, bytes]] = []
        self._bad_snapshots: set[int] = set()
        self.fill(self.log, self.hard_state)

    def fill(self, entries: list[Entry], hard_state: HardState) -> None:
        """Put this log on the disk in place of what is there."""
        self._sectors = SectorDisk()
        self.log, self.base, self.hard_state = [], (0, 0), HardState()
        self.store = LogStore.open_files(self._files())
        first = entries[0].index if entries else 1
        reset_to = (first - 1, entries[0].term) if first > 1 else None
        if entries or hard_state.term:
            everything = Persist(
                0, hard_state=hard_state, reset_to=reset_to, entries=tuple(entries)
            )
            self._do(everything)

    def _files(self) -> SmallFiles:
        return SmallFiles(Path(self.name, "raft"), self._sectors)

    def image(self) -> SimDisk:
        """A copy of all that lies on it now."""
        assert not self.flipped, f"{self.name} is damaged"
        copy = SimDisk(self.name, generation=self.generation, met=self.met)
        copy.hard_state, copy.log, copy.base = self.hard_state, self.log.copy(), self.base
        copy.snapshot, copy.snapshots = self.snapshot, self.snapshots.copy()
        copy.start, copy.seen, copy.epoch = self.start, self.seen.copy(), self.epoch
        copy.prepared = self.prepared
        copy._sectors, copy._torn = deepcopy(self._sectors), self._torn
        return copy

    # -- what is durable --------------------------------------------------------------------

    def first_index(self) -> int:
        """Index of the oldest durable entry, 0 if there is none."""
        return self.log[0].index if self.log else 0

    def last_index(self) -> int:
        """Index of the newest durable entry, 0 if there is none."""
        return self.log[-1].index if self.log else 0

    @property
    def end(self) -> tuple[int, int]:
        """Term and index of the newest entry that is durable, as votes compare them."""
        return (self.log[-1].term, self.log[-1].index) if self.log else self.base[::-1]

    def term(self, index: int) -> int | None:
        """Term of a durable entry, or None."""
        entry = self.entry(index)
        return entry.term if entry else None

    def entry(self, index: int) -> Entry | None:
        """The durable entry at `index`, or None."""
        position = index - self.first_index()
        return self.log[position] if self.log and 0 <= position < len(self.log) else None

    def holds(self, index: int, term: int) -> bool:
        """True if the entry is durable here, as entry or inside the snapshot.

        An old copy counts as the disk that it has replaced as well, on whose word others relied:
        the rest is seen to by the rule that a server on an old copy does not vote.
        """
        if self.newer is not None and self.newer.holds(index, term):
            return True
        if self.snapshot and index <= self.snapshot.index:
            return True
        return self.term(index) == term

    # -- starting ---------------------------------------------------------------------------

    def load(self) -> Snapshot | None:
        """Read everything back from its bytes, as at a start; the newest snapshot.

        Raises LogDamaged, naming what is damaged, and ViolationError if something else comes back
        than what was durable.
        """
        self.queue = []
        self.busy = self.waiting = False
        self._sectors.restart()
        self.store = LogStore.open_files(self._files())
        if len(self._sectors.files) > 1:
            self.met("a log of several files was opened")
        self._compare()
        if self.snapshot is not None:
            self.snapshot = self.snapshot.opened(f"{self.name}/snapshots")
            if not self.log and self.base[0] < self.snapshot.index:
                # As `Replica` does: a log without entries must know where they go on. What a log
                # with entries must do is left to the node (`RaftLog.superseded`).
                self._do(Persist(0, reset_to=(self.snapshot.index, self.snapshot.term)))
        return self.snapshot

    def _compare(self) -> None:
        """All that was durable is there, and the write under way wholly or not at all."""
        store = self.store
        log = store.entries(store.first_index(), store.last_index() + 1, 1 << 40)
        found = (store.hard_state(), store.base(), log)
        torn, self._torn = self._torn, None
        if found != (self.hard_state, self.base, self.log) and torn is not None:
            self._enter(torn)
            self.on_durable(torn)
            self.met("a write that nobody was told of was durable")
        expect(
            found == (self.hard_state, self.base, self.log),
            f"{self.name} came back with {_told(*found)}; "
            f"durable was {_told(self.hard_state, self.base, self.log)}",
        )

    # -- writing ----------------------------------------------------------------------------

    def write(self, persist: Persist) -> None:
        """Make one write durable. Raises AssertionError if it leaves a hole in the log."""
        self._do(persist)
        self.on_durable(persist)

    def write_ahead(self) -> int:
        """Make term and vote of the queue durable without its entries; its last sequence."""
        states = [persist.hard_state for persist in self.queue if persist.hard_state]
        if states and states[-1] != self.hard_state:
            self.write(Persist(0, hard_state=states[-1]))
            self.met("term and vote passed entries that had no room")
        return self.queue[-1].sequence

    def _do(self, persist: Persist) -> None:
        files = len(self._sectors.files)
        self.store.write(_batch(persist))
        if len(self._sectors.files) < files:
            self.met("a file of the log was removed")
        self._enter(persist)

    def _enter(self, persist: Persist) -> None:
        """What a write that is durable makes of the truth."""
        if persist.reset_to:
            self.log = []
            self.base = persist.reset_to
        if persist.truncate_from:
            del self.log[max(persist.truncate_from - self.base[0] - 1, 0) :]
        self.log += persist.entries
        state, known = persist.hard_state, self.hard_state
        if state and (state.term, state.vote_term) >= (known.term, known.vote_term):
            self.hard_state = state
        if persist.compact_to and self.log:
            count = min(max(persist.compact_to - self.base[0], 0), len(self.log))
            if count:
                self.base = (self.log[count - 1].index, self.log[count - 1].term)
            del self.log[:count]

    def kind_of_write(self) -> str:
        """Of what waits: "compacting", the "first" of a file, "large" (over a sector), "small"."""
        if any(persist.compact_to for persist in self.queue):
            return "compacting"
        entries = [entry for persist in self.queue for entry in persist.entries]
        newest = self._sectors.files[max(self._sectors.files)]
        if entries and len(newest.content.rstrip(b"\0")) > SmallFiles.segment_bytes - SECTOR:
            return "first"
        return "large" if sum(len(entry.data) for entry in entries) > SECTOR else "small"

    def store_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.snapshots[snapshot.index] = snapshot
        if self.snapshot is None or snapshot.index >= self.snapshot.index:
            self.snapshot = snapshot
            self._bad_snapshots.clear()

    # -- faults -----------------------------------------------------------------------------

    def crash(self, kept: int, rng: Random | None = None) -> None:
        """Lose the queue but for its first `kept` writes.

        With `rng`, the write under way behind them is torn, and the power may have gone.
        """
        for persist in self.queue[:kept]:
            self.write(persist)
        if rng is not None:
            power_stays = False
            if self.busy and not self.full and kept < len(self.queue):
                power_stays = self._tear(self.queue[kept], rng)
            if rng.random() < _POWER_LOSS and not power_stays:
                self._lose_power(rng)
            if rng.random() < _CUT_AT_START:
                self._cut_at_start(rng)
        self.queue = []
        self.busy = self.waiting = False

    def _tear(self, persist: Persist, rng: Random) -> bool:
        """End the process within a write; True if a flush that failed has ended it."""
        self._torn = persist
        flush = rng.randrange(1 + (self.kind_of_write() == "first"))
        failing = rng.random() < _FLUSH_FAILS
        if failing:
            self._sectors.fail_after(flush)
            self.met("a flush failed, and what it had not written was still seen")
        else:
            self._sectors.cut_after(flush)
            self.met("a crash tore a write")
        with suppress(CutError, QuorateError):
            self.store.write(_batch(persist))
        return failing

    def _lose_power(self, rng: Random) -> None:
        loss = self._sectors.lose_power(rng)
        if 0 < loss.kept < loss.changed:
            self.met("a torn write left some of its sectors")
        if loss.shrunk:
            self.met("a crash undid the growth of a file")
        if loss.unnamed:
            self.met("a crash lost a new file of the log")
        if loss.unfilled:
            self.met("a new file of the log lacked some of its first record")
        if loss.back:
            self.met("a removed file of the log was back after a crash")

    def _cut_at_start(self, rng: Random) -> None:
        """Begin to start, and come no further than one of the flushes."""
        self._sectors.restart()
        self._sectors.cut_after(rng.randrange(2))
        try:
            LogStore.open_files(self._files())
        except CutError:
            self.met("a start was cut off")
        except LogDamaged:
            pass  # the start that counts finds it too
        if rng.random() < _POWER_LOSS:
            self._lose_power(rng)

    @property
    def flipped(self) -> set[str]:
        """The kinds of damage here now: a start must stumble over them."""
        files = self._sectors.files
        found = {
            spot.kind
            for spot, bad in self._flips
            if spot.file in files and files[spot.file].sector(spot.sector) == bad
        }
        return found | ({"snapshot"} if self._bad_snapshots else set())

    def snapshot_is_whole(self, index: int) -> bool:
        """False if a bit was flipped in the snapshot at `index`."""
        return index not in self._bad_snapshots

    def flip(self, rng: Random) -> str:
        """Change one bit somewhere; what was hit."""
        spots = spots_of(self._sectors, self.term)
        kinds = sorted({spot.kind for spot in spots})
        if self.snapshot:
            kinds += ["meta", "state"] * 2
        kind = rng.choice(kinds)
        if kind in {"meta", "state"}:
            return self.flip_snapshot(kind, rng)
        spot = rng.choice([spot for spot in spots if spot.kind == kind])
        at = spot.sector * SECTOR + rng.randrange(SECTOR)
        self._sectors.flip(spot.file, at, 1 << rng.randrange(8))
        self._flips.append((spot, self._sectors.files[spot.file].sector(spot.sector)))
        return f"{kind} in {spot.file} at {at}"

    def cut(self, rng: Random) -> str:
        """Remove newest files of the log, or the end of one, to a size that it may have; what.

        The first sector stays: without it there is no log, which the folder sees (`ServerFolder`).
        """
        files, piece = self._sectors.files, SmallFiles.piece
        names = sorted(files)
        kept = rng.randint(1, len(names)) if rng.random() < 0.5 else len(names)
        for name in names[kept:]:
            self._sectors.cut(name, 0)
        last = names[kept - 1]
        size = len(files[last].content)
        if kept == len(names) or rng.random() < 0.5:
            size = rng.randrange(piece, size + 1, rng.choice((piece, piece, SECTOR)))
            self._sectors.cut(last, size)
        return f"{len(names) - kept} files, and all behind byte {size} of {last}"

    def flip_snapshot(self, kind: str, rng: Random) -> str:
        """Change one bit of the newest snapshot's "meta" or "state"; what was hit."""
        one = self.snapshot
        assert one is not None
        changed = (
            replace(one, meta=_flipped(one.meta, rng, among=b"0123456789"))
            if kind == "meta"
            else replace(one, body=_flipped(one.body, rng))
        )
        self.snapshot = self.snapshots[one.index] = changed
        self._bad_snapshots.add(one.index)
        return f"{kind} of snapshot {one.index}"


def _batch(persist: Persist) -> WriteBatch:
    return WriteBatch(
        reset_to=persist.reset_to,
        truncate_from=persist.truncate_from,
        entries=persist.entries,
        hard_state=persist.hard_state,
        compact_to=persist.compact_to,
    )


def _told(hard_state: HardState, base: tuple[int, int], log: list[Entry]) -> str:
    entries = f"{log[0].index}..{log[-1].index}/{log[-1].term}" if log else "no entries"
    vote = f", vote for {hard_state.voted_for} in {hard_state.vote_term}"
    return f"term {hard_state.term}{vote if hard_state.vote_term else ''}, {entries} behind {base}"


def _flipped(data: bytes, rng: Random, among: bytes = b"") -> bytes:
    """One bit is another one; half of the time in such a byte, so that it still looks right."""
    at, bit = rng.randrange(len(data)), rng.randrange(8)
    if among and rng.random() < 0.5:
        at, bit = rng.choice([n for n, byte in enumerate(data) if byte in among]), 0
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
