"""The data folder of an agent: its layout and whose it is.

    <data_dir>/server/                  see `server_folder`
    <data_dir>/server/node-id           the server's id, UUID text, 0600
    <data_dir>/server/raft/log/         log, term and vote (`log.store`)
    <data_dir>/server/raft/snapshots/   snapshots (`snapshots.store`)
    <data_dir>/server/raft/state-damaged.json   there while the state is wrong (`damage_mark`)

Names and places are Nomad's where Nomad has the same thing (docs/wire.md#data-folder), so that the
same backup rules and the same `ls` serve. Invariant: a folder of a real Nomad server is never
written to: its `raft/raft.db` holds a vote that we would not know of.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from quorate.errors import WrongDataFolder
from quorate.storage.atomic import make_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.folder.identity import (
    Identity,
    check_value,
    identity_of_node_id,
    read_identity,
    read_node_id,
    write_node_id,
)
from quorate.storage.folder.server_folder import LOCK_FILE, Layout, ServerFolder
from quorate.storage.folder.standing import NEVER_STARTED
from quorate.storage.log.store import has_log

_NOMAD_LOGS: Final = ("raft.db", "wal")


class DataFolder(ServerFolder):
    """An open data folder: locked, with an identity and a start. Made by `open`.

    `server` is the folder that holds everything, `raft_path` the one below it that goes when the
    server has to start over.
    """

    def __init__(self, server: Path, lock: FolderLock, run: bytes) -> None:
        raft = server / "raft"
        super().__init__(Layout(server, raft / "log", raft / "snapshots", (raft,)), lock, run)
        self.server: Final = server
        self.raft_path: Final = raft

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        region: str,
        version: str,
        make_id: Callable[[], str],
        run: bytes,
    ) -> DataFolder:
        """Open `data_dir`, or make it.

        `make_id` gives a fresh UUID as text, `version` is the running version of Quorate, `run` are
        `RUN_BITS` random bytes of this process. Raises DataFolderInUse, WrongDataFolder (a Nomad
        server's, another region's, or one that contradicts itself; nothing is changed by it),
        LogDamaged, StorageFull, QuorateError.
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
            folder = cls(server, lock, run)
            folder._settle(region, version, make_id)
        except BaseException:
            lock.release()
            raise
        return folder

    def _settle(self, region: str, version: str, make_id: Callable[[], str]) -> None:
        with clear_errors(f"look at {self.root}"):
            log_exists = has_log(self.log_path)
        standing, identity = self._twin.read() or NEVER_STARTED, read_identity(self.root)
        node_id = identity_of_node_id(self.root, identity, log_exists=log_exists)
        if identity is None:
            identity = Identity(
                region=region,
                node_id=node_id or standing.server_id or make_id(),
                created_version=version,
                has_log=log_exists,
            )
        check_value(self.root, "region", identity.region, region)
        found = self._look(identity, standing, log_exists=log_exists)
        identity = found.identity
        if found.retired:
            identity = self._replace(found, make_id())
            with clear_errors(f"make {self.raft_path}"):
                make_dir(self.raft_path)
        self._begin(identity, standing)
        if identity.node_id != read_node_id(self.root):
            write_node_id(self.root, identity.node_id)
