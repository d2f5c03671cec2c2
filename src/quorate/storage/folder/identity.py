"""The identity of a data folder: `quorate.json`, and in an agent's folder `node-id`.

`node-id` is Nomad's file (docs/wire.md#data-folder): the server's ID as UUID text. `quorate.json`
is ours: one sealed line that binds the ID to a region and a cluster, and remembers whether the
folder ever had a log.

Invariant: one ID never gets two logs. A server that lost its log, or whose folder was rolled back,
has forgotten its votes, and could vote twice in a term if it went on under its ID (Raft 5.2); so it
gets a new one, and the old one is kept under `former_ids`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from quorate.errors import LogDamaged, StorageFull, WrongDataFolder
from quorate.given_files import beginning
from quorate.raft.values.identity import NO_EPOCH, Epoch
from quorate.storage.atomic import settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import read_sealed, seal

_NODE_ID_BYTES_MAX: Final = 4096

NODE_ID_FILE: Final = "node-id"
IDENTITY_FILE: Final = "quorate.json"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `quorate.json`.

    `region` is empty in a folder of the library. `cluster_id` is empty until a cluster is known;
    `created_version` is the version of Quorate that made the folder; `has_log` is true once a log
    was made in it. `public_key` (32 bytes) is empty until there is a key (`key_file`).
    """

    region: str
    node_id: str
    cluster_id: str = ""
    created_version: str = ""
    has_log: bool = False
    former_ids: tuple[str, ...] = ()
    epoch: Epoch = NO_EPOCH
    public_key: bytes = b""

    def under(self, node_id: str) -> Identity:
        """The identity of the server that follows this one in its folder."""
        return msgspec.structs.replace(
            self,
            node_id=node_id,
            has_log=False,
            former_ids=(*self.former_ids, self.node_id),
            public_key=b"",
        )


def read_node_id(server: Path, *, next_step: str = "write this server's ID into it") -> str | None:
    """The id in folder `server`, None if the file does not exist. Raises LogDamaged.

    `next_step` is what to do about a file without an ID.
    """
    path = server / NODE_ID_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
        # Of more bytes than an ID can have the beginning is enough to see that they are none.
        text = beginning(path, _NODE_ID_BYTES_MAX).decode("ascii", errors="replace").strip()
    try:
        return str(UUID(text))
    except ValueError as error:
        what = f"no UUID: {text[:80]!r}" if text else "no ID: it is empty"
        raise LogDamaged(f"{path} holds {what}", path=str(path), next_step=next_step) from error


def read_identity(folder: Path) -> Identity | None:
    """The identity in a folder, None if the file does not exist. Raises LogDamaged."""
    path = folder / IDENTITY_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
    return read_sealed(path, Identity)


def write_identity(folder: Path, identity: Identity) -> None:
    """Write `quorate.json`, atomically. Raises StorageFull, QuorateError."""
    write_atomic(folder / IDENTITY_FILE, seal(identity))


def write_node_id(server: Path, node_id: str) -> None:
    """Write `node-id`, atomically, without a newline. Raises StorageFull, QuorateError."""
    write_atomic(server / NODE_ID_FILE, node_id.encode())


def settle_identity(folder: Path, identity: Identity) -> None:
    """Make the identity that was read or made durable, whatever became of it before.

    Written again although it is there: the flush of the folder may have failed when it was
    written, and the name that is seen may be in the kernel's memory only. Without room for a second
    file the flush is all that can be done. Raises StorageFull, QuorateError.
    """
    try:
        write_identity(folder, identity)
    except StorageFull:
        if identity != read_identity(folder):
            raise
        settle_names(folder)


def identity_of_node_id(server: Path, identity: Identity | None, *, log_exists: bool) -> str | None:
    """The ID in `node-id`, None without the file, compared with what else lies in the folder.

    Raises WrongDataFolder when the two contradict each other, LogDamaged.
    """
    if identity is not None:
        cure = f"write {identity.node_id} into it, the ID in {IDENTITY_FILE} beside it"
    elif log_exists:
        cure = "write this server's ID into it: `quorate operator raft list-peers` at another one"
    else:
        cure = "remove it: the folder holds no log, and the server takes a new ID"
    node_id = read_node_id(server, next_step=cure)
    if identity is None:
        if node_id is None and log_exists:
            raise WrongDataFolder(
                f"{server} holds a Raft log but neither {NODE_ID_FILE} nor {IDENTITY_FILE}",
                f"write this server's id into {server / NODE_ID_FILE}, or move the folder away",
            )
    elif node_id not in (None, identity.node_id, *identity.former_ids):
        raise WrongDataFolder(
            f"{server / NODE_ID_FILE} says {node_id}, {IDENTITY_FILE} says {identity.node_id}",
            "put the id back; to begin as a new server, take an empty data folder",
        )
    return node_id


def check_value(folder: Path, what: str, found: str, expected: str) -> None:
    """Raise WrongDataFolder, naming both, if `found` is not `expected`."""
    if found != expected:
        raise WrongDataFolder(
            f"{folder} belongs to {what} {found!r}, not to {expected!r}",
            f"correct the {what}, or give this server a data folder of its own",
        )
