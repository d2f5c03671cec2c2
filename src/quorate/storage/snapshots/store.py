"""The snapshots of a server, in hashicorp/raft's folder format (docs/wire.md#snapshot-folders).

Invariant: a state is handed out only after its digest was compared, in this call, with the one
taken while it was written. All methods wait for the disk: call them from a worker thread.

Same names, order and retention as hashicorp/raft. Differs in that a damaged newest snapshot is
an error by default, not a reason to take an older one silently: the log may have been compacted
behind the older one, and then the entries between are gone. A caller that knows where the log
begins can allow the step back (`newest_valid`).
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from quorate.errors import LogDamaged, QuorateError, StorageFull
from quorate.raft.values.configuration import Configuration
from quorate.storage.atomic import UNFINISHED, make_dir, settle_names
from quorate.storage.disk_errors import clear_errors
from quorate.storage.free_space import DISK_RESERVE_BYTES, free_bytes, reserve_on
from quorate.storage.snapshots.meta import (
    STATE_FILE,
    SnapshotMeta,
    parse_id,
    read_meta,
    snapshot_id,
)
from quorate.storage.snapshots.reading import checked_meta, names_in
from quorate.storage.snapshots.sink import SnapshotSink

Metas: TypeAlias = list[SnapshotMeta]
Names: TypeAlias = list[str]

SNAPSHOT_BYTES_MAX: Final = 1 << 40
"""No state is larger. A size comes from a peer, and is believed by what reads what follows."""


class NewestSnapshot(NamedTuple):
    """The result of `newest_valid`.

    `meta` is None if there is no snapshot, or none that may be used; `problems` are the damaged
    ones that are newer, newest first.
    """

    meta: SnapshotMeta | None
    problems: tuple[LogDamaged, ...]


class SnapshotStore:
    """The snapshots in one folder, of which `retain` are kept.

    Making it makes the folder, and removes what an interrupted server left unfinished.
    Raises StorageFull, QuorateError.
    """

    def __init__(
        self, folder: Path, retain: int = 2, reserve_bytes: int = DISK_RESERVE_BYTES
    ) -> None:
        assert retain >= 1, retain
        self._folder = folder
        self._retain = retain
        self._reserve_bytes = reserve_bytes
        with clear_errors(f"open the snapshots in {folder}"):
            make_dir(folder)
            for path in folder.iterdir():
                if parse_id(path.name.removesuffix(UNFINISHED)) and path.suffix == UNFINISHED:
                    shutil.rmtree(path)
        # The log is compacted behind what is found here: it must not go with the next power cut.
        settle_names(folder)
        settle_names(folder.parent)

    def check_room(self, size: int) -> None:
        """A state of so many bytes, as a peer announces it, may be received.

        Raises StorageFull when the disk would have less than its reserve left, QuorateError when
        no state has this size.
        """
        if not 0 <= size <= SNAPSHOT_BYTES_MAX:
            raise QuorateError(
                f"a snapshot of {size} bytes was announced, the limit is {SNAPSHOT_BYTES_MAX}",
                "find out which server sent it: none of this cluster has such a state",
            )
        free = free_bytes(self._folder)
        reserve = reserve_on(self._folder, self._reserve_bytes)
        if size + reserve > free:
            raise StorageFull(
                f"no room in {self._folder} for a snapshot of {size} bytes: {free} are free, and "
                f"{reserve} of them stay free",
                "make room on that disk",
            )

    def create(
        self,
        index: int,
        term: int,
        configuration: Configuration,
        configuration_index: int,
        now_ms: int,
        *,
        size: int | None = None,
    ) -> SnapshotSink:
        """Begin a snapshot of the state after entry `index`.

        `now_ms` is Unix time in milliseconds; it is counted up while the id is taken. `size` is
        what a peer has announced: see `check_room`, and not one byte more is taken. Raises
        StorageFull, QuorateError.
        """
        if size is not None:
            self.check_room(size)
        with clear_errors(f"make a snapshot in {self._folder}"):
            while self._is_taken(name := snapshot_id(term, index, now_ms)):
                now_ms += 1
            unfinished = self._folder / (name + UNFINISHED)
            unfinished.mkdir(mode=0o700)
            meta = SnapshotMeta(
                id=name,
                index=index,
                term=term,
                configuration=configuration,
                configuration_index=configuration_index,
                size=0,
                crc=b"",
            )
            try:
                return SnapshotSink(unfinished, meta, self._prune, size)
            except OSError:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise

    def list(self) -> Metas:
        """All snapshots whose meta is readable and whole, newest first. States are not read."""
        found = []
        for name in self._names():
            with suppress(QuorateError):
                found.append(read_meta(self._folder / name))
        return found

    def newest_valid(self, fall_back_to: int | None = None) -> NewestSnapshot:
        """The newest snapshot if it is whole, meta and state.

        If it is damaged the answer has no meta but the problem. With `fall_back_to`, older ones
        are tried as well, down to that index of their last entry: pass the index of the log's
        base, because a snapshot at or above it joins the log without a gap, and an older one
        does not. Raises QuorateError when the folder cannot be listed.
        """
        problems: tuple[LogDamaged, ...] = ()
        for name in self._names():
            try:
                meta = self._checked_meta(name)
            except LogDamaged as damage:
                problems = (*problems, damage)
                if fall_back_to is None:
                    break
                continue
            if problems and fall_back_to is not None and meta.index < fall_back_to:
                break
            return NewestSnapshot(meta, problems)
        return NewestSnapshot(None, problems)

    def newest(self) -> SnapshotMeta | None:
        """The newest snapshot whose meta is readable and whole, or None; see `list`."""
        return next(iter(self.list()), None)

    def find(self, index: int, term: int) -> SnapshotMeta:
        """The newest snapshot of this index and term.

        Raises QuorateError when there is none: it was never stored, or a newer one took its place.
        """
        for meta in self.list():
            if (meta.index, meta.term) == (index, term):
                return meta
        have = ", ".join(f"{meta.index} of term {meta.term}" for meta in self.list()) or "none"
        raise QuorateError(
            f"{self._folder} has no snapshot of index {index} and term {term}; it has {have}",
            "a newer one may have taken its place: try again",
        )

    def open(self, snapshot: str) -> BinaryIO:
        """The state of the snapshot with this id, at its beginning, its digest checked.

        It stays readable when the snapshot is removed meanwhile. Raises LogDamaged, QuorateError.
        """
        meta = self._checked_meta(snapshot)
        with clear_errors(f"read snapshot {meta.id}"):
            return (self._folder / snapshot / STATE_FILE).open("rb")

    def _checked_meta(self, name: str) -> SnapshotMeta:
        """The meta of a snapshot, after reading all of its state."""
        return checked_meta(self._folder / name)

    def _names(self) -> Names:
        """Ids of what looks like a complete snapshot, newest first."""
        return names_in(self._folder)

    def _is_taken(self, name: str) -> bool:
        folder = self._folder / name
        return folder.exists() or folder.with_name(name + UNFINISHED).exists()

    def keep_newest_only(self) -> None:
        """Remove all but the newest snapshot, if that is whole. Raises LogDamaged, QuorateError."""
        newest = self.newest()
        if newest is not None:
            self._checked_meta(newest.id)
            self._prune(keep=(newest.id,), retain=0)

    def _prune(self, keep: Collection[str], retain: int | None = None) -> None:
        """Remove what is beyond `retain`.

        Damaged ones are neither counted nor removed: an operator may want to see them. A removal
        that fails is tried again after the next snapshot, since this one is complete already.
        """
        for meta in self.list()[self._retain if retain is None else retain :]:
            if meta.id not in keep:
                with suppress(OSError):
                    # Renamed first, so that a crash leaves something unfinished, not damaged.
                    doomed = self._folder / (meta.id + UNFINISHED)
                    (self._folder / meta.id).rename(doomed)
                    shutil.rmtree(doomed)
