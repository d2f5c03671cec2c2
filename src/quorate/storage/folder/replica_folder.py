"""The data folder of a replica in a Python service, whose author chose the server ID.

    <data_dir>/              see `server_folder`
    <data_dir>/log/          log, term and vote (`log.store`)
    <data_dir>/snapshots/    snapshots (`snapshots.store`)

Invariant: the folder has one server ID at a time, and one that it has given up never comes back.
"""

from __future__ import annotations

from pathlib import Path

from quorate.errors import WrongDataFolder
from quorate.storage.atomic import make_dir
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.folder_lock import FolderLock
from quorate.storage.folder.identity import IDENTITY_FILE, Identity, read_identity
from quorate.storage.folder.server_folder import LOCK_FILE, Layout, Opening, ServerFolder
from quorate.storage.folder.standing import NEVER_STARTED
from quorate.storage.log.store import has_log

_JOIN = "start it with a new server ID and let it join the cluster"


class ReplicaFolder(ServerFolder):
    """An open data folder: locked, bound to a server ID, with a start. Made by `open`."""

    def __init__(self, root: Path, lock: FolderLock, run: bytes) -> None:
        log, snapshots = root / "log", root / "snapshots"
        super().__init__(Layout(root, log, snapshots, (log, snapshots)), lock, run)

    @classmethod
    def open(
        cls, data_dir: Path, *, server_id: str, run: bytes, version: str = ""
    ) -> ReplicaFolder:
        """Open `data_dir` for this server, or make it.

        `run` are `RUN_BITS` random bytes of this process, `version` is kept for people. A folder
        without an identity, as versions before levels made it, becomes that of `server_id`. One
        that lost its log or was found to be rolled back is refused to its old ID, and starts over
        under another one, its data moved aside.

        Raises DataFolderInUse, WrongDataFolder (another server's, or an ID that was given up;
        nothing is changed by it), LogDamaged, StorageFull, QuorateError.
        """
        assert server_id, "a server has an ID"
        if (data_dir / "server" / IDENTITY_FILE).exists():
            raise WrongDataFolder(
                f"{data_dir} is the data folder of a Quorate agent; it was left untouched",
                "give the replica a data folder of its own",
            )
        with clear_errors(f"open data folder {data_dir}"):
            make_dir(data_dir)
        lock = FolderLock(data_dir / LOCK_FILE)
        try:
            folder = cls(data_dir, lock, run)
            folder._settle(server_id, version)
        except BaseException:
            lock.release()
            raise
        return folder

    def _settle(self, server_id: str, version: str) -> None:
        with clear_errors(f"look at {self.root}"):
            log_exists = has_log(self.log_path)
        standing = self._twin.read() or NEVER_STARTED
        identity = read_identity(self.root) or Identity(
            region="",
            node_id=standing.server_id or server_id,
            created_version=version,
            has_log=log_exists,
        )
        found = self._look(identity, standing, log_exists=log_exists)
        self._check_id(found, server_id)
        identity = found.identity
        if found.retired:
            identity = self._replace(found, server_id)
        self._begin(identity, standing)

    def _check_id(self, found: Opening, server_id: str) -> None:
        """Raise WrongDataFolder unless the folder may be opened for this ID."""
        ours = found.identity.node_id
        if server_id in found.identity.former_ids:
            raise WrongDataFolder(
                f"server {server_id!r} has given up its ID; {self.root} belongs to {ours!r} now",
                f"start it as {ours!r}",
            )
        if found.retired and server_id == ours:
            raise WrongDataFolder(
                f"server {server_id!r} cannot go on with {self.root}: {found.retired}", _JOIN
            )
        if not found.retired and server_id != ours:
            raise WrongDataFolder(
                f"{self.root} belongs to server {ours!r}, not to {server_id!r}",
                "correct the server ID, or give this server a data folder of its own",
            )
