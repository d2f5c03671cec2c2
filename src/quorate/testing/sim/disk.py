"""The disk of a simulated server: the bytes that a real one would hold, in memory.

What is durable is kept in the forms of `quorate.storage` (log records, settings, snapshot meta) and
`quorate.state` (the state), checksums and all, and is read back from these bytes at every start. A
crash keeps some first part of the queue of writes, as a real disk might, and forgets the rest.
`SimDisk` reads as a `LogReader`.

Invariant: a byte that was flipped is noticed before what it stands for is used (`flipped` is what a
start must stumble over).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from fastcrc.crc64 import xz

from quorate.errors import LogDamaged
from quorate.raft.configuration import Configuration
from quorate.raft.effects import Persist
from quorate.raft.messages import Entry, HardState
from quorate.state.snapshot import SnapshotImage, decode_snapshot, encode_snapshot
from quorate.storage.log_format import (
    entry_record,
    hard_state_of,
    hard_state_settings,
    read_entry,
    read_setting,
    setting_value,
)
from quorate.storage.sealed import crc_bytes
from quorate.storage.snapshot_meta import SnapshotMeta, meta_line, meta_of_line, snapshot_id


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
        encode_snapshot(image, parts.append)
        body = b"".join(parts)
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
        """What the bytes say, all checksums tested. Raises LogDamaged."""
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

        return decode_snapshot(read)


@dataclass
class SimDisk:
    """See the module."""

    name: str = "disk"
    hard_state: HardState = field(default_factory=HardState)
    log: list[Entry] = field(default_factory=list)
    records: dict[int, bytes] = field(default_factory=dict)
    settings: dict[bytes, bytes] = field(default_factory=dict)
    snapshot: Snapshot | None = None  # the newest
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    queue: list[Persist] = field(default_factory=list)
    flipped: set[tuple[str, int]] = field(default_factory=set)
    generation: int = 0  # counts wipes
    busy: bool = False
    full: bool = False
    room_since: float = 0.0
    waiting: bool = False  # for room

    def __post_init__(self) -> None:
        self.fill(self.log, self.hard_state)

    def fill(self, entries: list[Entry], hard_state: HardState) -> None:
        """Put this log on the disk in place of what is there."""
        self.log = list(entries)
        self.records = {entry.index: entry_record(entry)[1] for entry in entries}
        self._keep(hard_state)

    def _keep(self, hard_state: HardState) -> None:
        self.hard_state = hard_state
        for key, payload in hard_state_settings(hard_state).items():
            self.settings[key] = setting_value(key, payload)
        self.flipped.discard(("setting", 0))

    @property
    def path(self) -> str:
        """Where the log lies, for error texts."""
        return f"{self.name}/raft"

    def load(self) -> Snapshot | None:
        """Read everything back from its bytes, as at a start; the newest snapshot.

        Raises LogDamaged, naming what is damaged.
        """
        self.queue = []
        self.busy = self.waiting = False
        path = self.path
        payloads = {key: read_setting(key, v, path) for key, v in self.settings.items()}
        self.hard_state = hard_state_of(payloads, path)
        indexes = [entry.index for entry in self.log]
        self.log = [read_entry(index, self.records[index], path) for index in indexes]
        if self.snapshot is not None:
            self.snapshot = self.snapshot.opened(f"{self.name}/snapshots")
        return self.snapshot

    # -- quorate.raft.log.LogReader --

    def first_index(self) -> int:
        """See LogReader."""
        return self.log[0].index if self.log else 0

    def last_index(self) -> int:
        """See LogReader."""
        return self.log[-1].index if self.log else 0

    def term(self, index: int) -> int | None:
        """See LogReader."""
        entry = self.entry(index)
        return entry.term if entry else None

    def entries(self, low: int, high: int, max_bytes: int) -> list[Entry]:
        """See LogReader. Raises LogDamaged."""
        first = self.first_index()
        assert self.log, f"asked for {low} of an empty log"
        assert first <= low < high <= self.last_index() + 1, f"{low}..{high} is not stored"
        found: list[Entry] = []
        for index in range(low, high):
            entry = read_entry(index, self.records[index], self.path)
            if found and max_bytes < len(entry.data):
                break
            max_bytes -= len(entry.data)
            found.append(entry)
        return found

    # -- the writing side --

    def entry(self, index: int) -> Entry | None:
        """The durable entry at `index`, or None."""
        position = index - self.first_index()
        return self.log[position] if self.log and 0 <= position < len(self.log) else None

    def holds(self, index: int, term: int) -> bool:
        """True if the entry is durable here, as entry or inside the snapshot."""
        if self.snapshot and index <= self.snapshot.index:
            return True
        return self.term(index) == term

    def write(self, persist: Persist) -> None:
        """Make one write durable."""
        if persist.reset_to:
            self._drop(self.log)
            self.log = []
        if persist.truncate_from:
            position = max(persist.truncate_from - self.first_index(), 0)
            self._drop(self.log[position:])
            del self.log[position:]
        if persist.entries:
            if self.log:
                assert persist.entries[0].index == self.last_index() + 1, "a hole in the log"
            self.log += persist.entries
            for entry in persist.entries:
                self.records[entry.index] = entry_record(entry)[1]
        if persist.hard_state:
            self._keep(persist.hard_state)
        if persist.compact_to:
            count = max(persist.compact_to - self.first_index() + 1, 0) if self.log else 0
            self._drop(self.log[:count])
            del self.log[:count]

    def _drop(self, entries: list[Entry]) -> None:
        for entry in entries:
            del self.records[entry.index]
            self.flipped.discard(("entry", entry.index))

    def store_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.snapshots[snapshot.index] = snapshot
        if self.snapshot is None or snapshot.index > self.snapshot.index:
            self.snapshot = snapshot
            self.flipped = {what for what in self.flipped if what[0] != "snapshot"}

    # -- faults --

    def crash(self, kept: int) -> None:
        """Lose the queue but for its first `kept` writes."""
        for persist in self.queue[:kept]:
            self.write(persist)
        self.queue = []
        self.busy = self.waiting = False

    def flip(self, rng: Random) -> str:
        """Change one bit somewhere; what was hit, or empty if there is nothing."""
        kinds = ["entry"] * bool(self.log) + ["setting"] * bool(self.settings)
        kinds += ["meta", "state"] * bool(self.snapshot)
        kind = rng.choice(kinds) if kinds else ""
        if kind == "entry":
            index = rng.choice(self.log).index
            self.records[index] = _flipped(self.records[index], rng)
            self.flipped.add(("entry", index))
            return f"entry {index}"
        if kind == "setting":
            key = rng.choice(sorted(self.settings))
            self.settings[key] = _flipped(self.settings[key], rng)
            self.flipped.add(("setting", 0))
            return f"setting {key.decode()}"
        if kind and self.snapshot:
            one = self.snapshot
            changed = (
                replace(one, meta=_flipped(one.meta, rng))
                if kind == "meta"
                else replace(one, body=_flipped(one.body, rng))
            )
            self.snapshot = self.snapshots[one.index] = changed
            self.flipped.add(("snapshot", one.index))
            return f"{kind} of snapshot {one.index}"
        return ""


def _flipped(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
