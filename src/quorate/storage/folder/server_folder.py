"""The data folder of one server, whatever it belongs to: its lock, its identity and its start.

    <folder>/quorate.lock        held while a server runs (`folder_lock`)
    <folder>/quorate.json        server ID, cluster, epoch (`identity`)
    <folder>/quorate.standing    start number, starts of the others, level (`standing`)
    <folder>/quorate.key         the key that proves the server ID (`key_file`)
    <folder>/rolled-back-.../    data that was moved aside (`set_aside`)

`DataFolder` is that of an agent, `ReplicaFolder` that of the library; they say where the log lies.

Invariants:
- One process has the folder open.
- Opening it raises the start number and makes that durable, before a log of it can be opened. A
  copy of the folder, or an older state of it, shows by its start (`raft.values.identity`).
- What was read when the folder was opened has been written again and flushed by then: what an
  earlier process wrote may never have reached the disk.
- A folder that was found to be rolled back never opens its log again under the same server ID.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from quorate.errors import QuorateError, WrongDataFolder
from quorate.levels import LEVEL
from quorate.raft.values.identity import RUN_BITS, Epoch, IdentityRecord, Start
from quorate.storage.atomic import settle_names
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.folder.identity import (
    Identity,
    check_value,
    read_identity,
    settle_identity,
    write_identity,
)
from quorate.storage.folder.set_aside import set_aside
from quorate.storage.folder.standing import NEVER_STARTED, STANDING_FILE, RolledBack, Standing
from quorate.storage.folder.twin_file import TwinFile
from quorate.storage.log.store import LogStore

LOCK_FILE: Final = "quorate.lock"


class Layout(NamedTuple):
    """The paths. `parts` is what is moved aside when the server starts over under another ID."""

    root: Path
    log: Path
    snapshots: Path
    parts: Sequence[Path]


class Opening(NamedTuple):
    """The result of opening a folder. `retired` says why its ID is given up, or is empty.

    `mark` is set if the folder was found to be rolled back.
    """

    identity: Identity
    standing: Standing
    retired: str
    mark: RolledBack | None


class ServerFolder:
    """An open folder. See the module; made by `open` of `DataFolder` or `ReplicaFolder`.

    `why_new_id` is empty, or says why the folder has got another server ID at this opening: it once
    had a log that is gone or may not be used. The cluster has to be told to remove the old one
    (`identity.former_ids`) and to take the new one in.
    """

    def __init__(self, layout: Layout, lock: FolderLock, run: bytes) -> None:
        assert len(run) == RUN_BITS, run
        self._lock = lock
        self._changing = Lock()
        self._twin = TwinFile(layout.root / STANDING_FILE, Standing)
        self._run: Final = run
        self._identity = Identity(region="", node_id="")
        self._standing = NEVER_STARTED
        self._record = IdentityRecord(server_id="")
        self._layout = layout
        self.why_new_id = ""
        self.root: Final = layout.root
        self.log_path: Final = layout.log
        self.snapshots_path: Final = layout.snapshots

    # -- opening ----------------------------------------------------------------------------------

    def _look(self, identity: Identity, standing: Standing, *, log_exists: bool) -> Opening:
        """What lies in the folder, and whether it may be used."""
        if standing.server_id not in ("", identity.node_id, *identity.former_ids):
            # The standing is written last, so this identity is an older one: it was put back, or
            # the disk has forgotten that it was replaced.
            identity = identity.under(standing.server_id)
            identity = msgspec.structs.replace(identity, has_log=True)
        mark = standing.rolled_back if standing.server_id == identity.node_id else None
        retired = ""
        if mark is not None:
            retired = f"its data was found to be an old copy ({mark.reason})"
        elif identity.has_log and not log_exists:
            retired = "its log is gone, and with it the votes that it gave"
        return Opening(identity, standing, retired, mark)

    def _replace(self, found: Opening, node_id: str) -> Identity:
        """The identity under which the folder starts over, its data moved aside if it is there."""
        self.why_new_id = found.retired
        if found.mark is not None:
            aside, gone = set_aside(self.root, self._layout.parts, found.mark)
            self.why_new_id += f"; it is kept in {aside}"
            if gone:
                names = ", ".join(path.name for path in gone)
                self.why_new_id += f"; the oldest that was kept is removed: {names}"
        return found.identity.under(node_id)

    def _begin(self, identity: Identity, standing: Standing) -> None:
        """Make the identity durable, and then a start of it. Raises StorageFull, QuorateError."""
        settle_identity(self.root, identity)
        mine = standing.server_id == identity.node_id
        standing = msgspec.structs.replace(
            standing,
            server_id=identity.node_id,
            start=standing.start + 1,
            rolled_back=standing.rolled_back if mine else None,
        )
        self._twin.write(standing)
        settle_names(self.root.parent)
        self._identity, self._standing = identity, standing
        self._renew_record()

    @property
    def state_lost(self) -> bool:
        """True if this opening started over under another ID."""
        return bool(self.why_new_id)

    # -- what it is -------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """The contents of `quorate.json`."""
        return self._identity

    @property
    def node_id(self) -> str:
        """The ID of this server."""
        return self._identity.node_id

    @property
    def level(self) -> int:
        """The highest feature level that the cluster is known to have reached; 0 at first."""
        return self._standing.level

    @property
    def start(self) -> Start:
        """This start of the server: the number is durable, the bits are those of the caller."""
        return Start(self._standing.start, self._run)

    @property
    def record(self) -> IdentityRecord:
        """This server's record of itself in its messages."""
        return self._record

    @property
    def seen(self) -> Mapping[str, Start]:
        """The newest durable starts of other servers, by server ID. Not to be changed."""
        return self._standing.seen

    def check(
        self,
        *,
        region: str | None = None,
        node_id: str | None = None,
        cluster_id: str | None = None,
    ) -> None:
        """Raise WrongDataFolder, naming both values, if one that is given is not the folder's.

        A folder that knows no cluster yet fits every cluster.
        """
        if region is not None:
            check_value(self.root, "region", self._identity.region, region)
        if node_id is not None:
            check_value(self.root, "node id", self._identity.node_id, node_id)
        if cluster_id is not None and self._identity.cluster_id:
            check_value(self.root, "cluster", self._identity.cluster_id, cluster_id)

    # -- what becomes of it: each of these waits for the disk -------------------------------------

    def set_cluster_id(self, cluster_id: str) -> None:
        """Bind the folder to a cluster, durably.

        Raises WrongDataFolder if it has another one, StorageFull, QuorateError.
        """
        self.check(cluster_id=cluster_id)
        self._update(msgspec.structs.replace(self._identity, cluster_id=cluster_id))

    def set_epoch(self, epoch: Epoch) -> None:
        """Go on in this epoch of the cluster, durably.

        Raises WrongDataFolder if the folder is of a later one or of another recovery with the same
        counter, StorageFull, QuorateError.
        """
        ours = self._identity.epoch
        if epoch.counter < ours.counter or (epoch.counter == ours.counter and epoch != ours):
            raise WrongDataFolder(
                f"{self.root} belongs to epoch {ours}, not to {epoch}",
                "the cluster was recovered by force: ask which recovery is the right one",
            )
        self._update(msgspec.structs.replace(self._identity, epoch=epoch))

    def set_public_key(self, public_key: bytes) -> None:
        """Remember which key proves this server's ID (`key_file`). Raises StorageFull."""
        self._update(msgspec.structs.replace(self._identity, public_key=public_key))

    def set_level(self, level: int) -> None:
        """The cluster has reached this feature level; a lower one than known changes nothing.

        Works on a full disk. Raises QuorateError.
        """
        with self._changing:
            if level > self._standing.level:
                self._stand(msgspec.structs.replace(self._standing, level=level))

    @property
    def promise_s(self) -> float:
        """For how many seconds a process on this folder may have promised to refuse votes."""
        return self._standing.promise_s

    def set_promise(self, seconds: float) -> None:
        """The longest promise of this server is this one. Works on a full disk. QuorateError."""
        with self._changing:
            if seconds != self._standing.promise_s:
                self._stand(msgspec.structs.replace(self._standing, promise_s=seconds))

    def note_starts(self, starts: Mapping[str, Start]) -> None:
        """Remember these starts of other servers, by server ID, durably, before anything counts.

        What is older than a start that is known changes nothing: compare first
        (`raft.values.identity.start_objection`). Works on a full disk. Costs two flushes. Raises
        QuorateError, also when there are too many servers (some 400; see `forget_starts`).
        """
        with self._changing:
            known = self._standing.seen
            newer = {
                server_id: start
                for server_id, start in starts.items()
                if server_id not in known or start.number > known[server_id].number
            }
            if newer:
                self._stand(msgspec.structs.replace(self._standing, seen={**known, **newer}))

    def forget_starts(self, keep: Collection[str]) -> None:
        """Keep the starts of these servers alone: the others are in no configuration any more."""
        with self._changing:
            seen = {each: start for each, start in self._standing.seen.items() if each in keep}
            if len(seen) < len(self._standing.seen):
                self._stand(msgspec.structs.replace(self._standing, seen=seen))

    def mark_rolled_back(self, reason: str, at: int) -> None:
        """A proven member has seen a later start of this server: its data is an old copy.

        The caller stops voting at once. The next opening moves the data aside and gives the ID up.
        `at` is Unix time in seconds. Works on a full disk. Raises QuorateError.
        """
        with self._changing:
            if self._standing.rolled_back is None:
                mark = RolledBack(reason[:500], at)
                self._stand(msgspec.structs.replace(self._standing, rolled_back=mark))

    def open_log(self) -> LogStore:
        """Open the log store, and remember that there is one before anything is voted in it.

        Raises what `LogStore.open` raises; QuorateError once the folder is marked.
        """
        if self._standing.rolled_back is not None:
            raise QuorateError(
                f"the log in {self.root} may not be used: {self._standing.rolled_back.reason}",
                "restart this server: it starts over under another ID",
            )
        log = LogStore.open(self.log_path)
        try:
            self._update(msgspec.structs.replace(self._identity, has_log=True))
        except BaseException:
            log.close()
            raise
        return log

    def changed_by(self, work: Callable[[], object]) -> None:
        """Let this work change the folder, its identity too. Raises what that raises."""
        with self._changing:
            work()
            identity = read_identity(self.root)
            assert identity is not None, f"{self.root} has an identity"
            self._identity = identity
            self._renew_record()

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.release()

    def _stand(self, standing: Standing) -> None:
        self._twin.write(standing)
        self._standing = standing

    def _update(self, identity: Identity) -> None:
        with self._changing:
            if identity != self._identity:
                write_identity(self.root, identity)
                self._identity = identity
                self._renew_record()

    def _renew_record(self) -> None:
        """One object as long as nothing changes: what is made of it is found again by that."""
        self._record = IdentityRecord(
            server_id=self._identity.node_id,
            cluster_id=self._identity.cluster_id,
            epoch=self._identity.epoch,
            level=LEVEL,
            start=self.start,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
