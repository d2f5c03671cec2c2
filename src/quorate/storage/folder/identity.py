"""Whose data folder it is: `server/node-id` and `server/quorate.json`.

`node-id` is Nomad's file (files, section 1): the server's id as UUID text. `quorate.json` is
ours: one sealed line that binds the id to a region and a cluster, and remembers whether the folder
ever had a log.

Invariant: one id never gets two logs. A server that lost its log has forgotten its votes, and could
vote twice in a term if it went on under its id (Raft 5.2); so it gets a new one, and the old one is
kept under `former_ids`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from quorate.errors import LogDamaged, WrongDataFolder
from quorate.storage.atomic import write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.sealed import read_sealed, seal

NODE_ID_FILE: Final = "node-id"
IDENTITY_FILE: Final = "quorate.json"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `quorate.json`.

    `cluster_id` is empty until a cluster is known; `created_version` is the version of Quorate
    that made the folder; `has_log` is true once a log was made in it.
    """

    region: str
    node_id: str
    cluster_id: str = ""
    created_version: str = ""
    has_log: bool = False
    former_ids: tuple[str, ...] = ()


def read_node_id(server: Path) -> str | None:
    """The id in folder `server`, None if the file does not exist. Raises LogDamaged."""
    path = server / NODE_ID_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
        text = path.read_bytes().decode("ascii", errors="replace").strip()
    try:
        return str(UUID(text))
    except ValueError as error:
        raise LogDamaged(f"{path} holds no UUID: {text[:80]!r}", path=str(path)) from error


def read_identity(server: Path) -> Identity | None:
    """The identity in folder `server`, None if the file does not exist. Raises LogDamaged."""
    path = server / IDENTITY_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            return None
    return read_sealed(path, Identity)


def write_identity(server: Path, identity: Identity) -> None:
    """Write `quorate.json`, atomically. Raises StorageFull, QuorateError."""
    write_atomic(server / IDENTITY_FILE, seal(identity))


def write_node_id(server: Path, node_id: str) -> None:
    """Write `node-id`, atomically, without a newline. Raises StorageFull, QuorateError."""
    write_atomic(server / NODE_ID_FILE, node_id.encode())


def settle_identity(
    server: Path, *, region: str, version: str, log_exists: bool, make_id: Callable[[], str]
) -> tuple[Identity, bool]:
    """Read the identity in `server`, or make it; and whether the log it had is lost.

    Raises WrongDataFolder when the files contradict each other or the region, LogDamaged.
    """
    node_id, identity = read_node_id(server), read_identity(server)
    if identity is None:
        if node_id is None and log_exists:
            raise WrongDataFolder(
                f"{server} holds a Raft log but neither {NODE_ID_FILE} nor {IDENTITY_FILE}",
                f"write this server's id into {server / NODE_ID_FILE}, or move the folder away",
            )
        if node_id is None:
            node_id = make_id()
        identity = Identity(
            region=region, node_id=node_id, created_version=version, has_log=log_exists
        )
    elif node_id not in (None, identity.node_id, *identity.former_ids):
        raise WrongDataFolder(
            f"{server / NODE_ID_FILE} says {node_id}, {IDENTITY_FILE} says {identity.node_id}",
            "put the id back; to begin as a new server, take an empty data folder",
        )
    check_value(server, "region", identity.region, region)
    lost = identity.has_log and not log_exists
    if lost:
        former_ids = (*identity.former_ids, identity.node_id)
        identity = msgspec.structs.replace(
            identity, node_id=make_id(), has_log=False, former_ids=former_ids
        )
    if identity != read_identity(server):
        write_identity(server, identity)
    if identity.node_id != read_node_id(server):
        write_node_id(server, identity.node_id)
    return identity, lost


def check_value(server: Path, what: str, found: str, expected: str) -> None:
    """Raise WrongDataFolder, naming both, if `found` is not `expected`."""
    if found != expected:
        raise WrongDataFolder(
            f"{server} belongs to {what} {found!r}, not to {expected!r}",
            f"correct the {what}, or give this server a data folder of its own",
        )
