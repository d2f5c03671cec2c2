"""The data folder of a server: its layout, its lock and its identity.

    <data_dir>/server/quorate.lock      held while a server runs (`folder_lock`)
    <data_dir>/server/node-id           the server's id, UUID text, 0600
    <data_dir>/server/quorate.json      region, cluster, ... (`identity`)
    <data_dir>/server/raft/log/         log, term and vote (`log_store`)
    <data_dir>/server/raft/snapshots/   snapshots (`snapshot_store`)
    <data_dir>/server/raft/state-damaged.json   there while the state is wrong (`damage_mark`)

Names and places are Nomad's where Nomad has the same thing (files, section 1), so that the same
backup rules and the same `ls` serve. Invariant: a folder of a real Nomad server is never written
to: its `raft/raft.db` holds a vote that we would not know of.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from quorate.errors import WrongDataFolder
from quorate.storage.atomic import make_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.folder.identity import Identity, check_value, settle_identity, write_identity
from quorate.storage.log.store import LogStore, has_log

LOCK_FILE: Final = "quorate.lock"

_NOMAD_LOGS: Final = ("raft.db", "wal")


class DataFolder:
    """An open data folder: locked, and with an identity. Made by `open`.

    `state_lost` is true if the folder once had a log and has none now; `node_id` is a new one
    then, and the cluster has to be told to remove the old one and take the new one in.
    """

    def __init__(
        self, server: Path, lock: FolderLock, identity: Identity, state_lost: bool
    ) -> None:
        self._lock = lock
        self._identity = identity
        self.state_lost: Final = state_lost
        self.server: Final = server
        self.raft_path: Final = server / "raft"
        self.log_path: Final = server / "raft" / "log"
        self.snapshots_path: Final = server / "raft" / "snapshots"

    @classmethod
    def open(
        cls, data_dir: Path, *, region: str, version: str, make_id: Callable[[], str]
    ) -> DataFolder:
        """Open `data_dir`, or make it.

        `make_id` gives a fresh UUID as text, `version` is the running version of Quorate. Raises
        DataFolderInUse, WrongDataFolder (a Nomad server's, another region's, or one that
        contradicts itself; nothing is changed by it), LogDamaged, StorageFull, QuorateError.
        """
        server = data_dir / "server"
        with clear_errors(f"open data folder {data_dir}"):
            for name in _NOMAD_LOGS:
                if (server / "raft" / name).exists():
                    raise WrongDataFolder(
                        f"{server} is a Nomad server's folder (it holds raft/{name}); "
                        "it was left untouched",
                        "give Quorate a data folder of its own",
                    )
            make_dir(server / "raft")
        lock = FolderLock(server / LOCK_FILE)
        try:
            with clear_errors(f"look at {server}"):
                log_exists = has_log(server / "raft" / "log")
            identity, lost = settle_identity(
                server, region=region, version=version, log_exists=log_exists, make_id=make_id
            )
        except BaseException:
            lock.release()
            raise
        return cls(server, lock, identity, lost)

    @property
    def identity(self) -> Identity:
        """What `quorate.json` says."""
        return self._identity

    @property
    def node_id(self) -> str:
        """The id of this server."""
        return self._identity.node_id

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
            check_value(self.server, "region", self._identity.region, region)
        if node_id is not None:
            check_value(self.server, "node id", self._identity.node_id, node_id)
        if cluster_id is not None and self._identity.cluster_id:
            check_value(self.server, "cluster", self._identity.cluster_id, cluster_id)

    def set_cluster_id(self, cluster_id: str) -> None:
        """Bind the folder to a cluster, durably. Raises WrongDataFolder if it has another one."""
        self.check(cluster_id=cluster_id)
        self._update(msgspec.structs.replace(self._identity, cluster_id=cluster_id))

    def open_log(self) -> LogStore:
        """Open the log store, and remember that there is one before anything is voted in it.

        Raises what `LogStore.open` raises.
        """
        log = LogStore.open(self.log_path)
        try:
            self._update(msgspec.structs.replace(self._identity, has_log=True))
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Let other processes use the folder."""
        self._lock.release()

    def _update(self, identity: Identity) -> None:
        if identity != self._identity:
            write_identity(self.server, identity)
            self._identity = identity

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
