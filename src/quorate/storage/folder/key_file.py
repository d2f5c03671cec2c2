"""The key that proves a server's ID: an Ed25519 private key in `quorate.key`, mode 0600.

One sealed line of JSON; the key belongs to the server ID in it. Its public half is kept in
`quorate.json` too, so that a key that is gone is never replaced in silence: the cluster knows this
server by the old one. A server that starts over under another ID gets another key.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quorate.errors import LogDamaged, QuorateError
from quorate.storage.atomic import settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.server_folder import ServerFolder
from quorate.storage.sealed import read_sealed, seal

KEY_FILE: Final = "quorate.key"
FORMER_KEY_FILE: Final = "quorate.key.former"
"""The key of the newest ID that the folder has given up."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PRIVATE_BYTES: Final = 32


class _KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    server_id: str
    kind: str
    private_key: bytes


class ServerKey:
    """The key of a server. `public` is its public half, 32 bytes."""

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public: Final = private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes."""
        return self._private.sign(message)


def load_or_make_key(folder: ServerFolder) -> ServerKey:
    """The key of the server that has this folder, made if it never had one.

    Raises LogDamaged when the file is damaged, missing or of another server, QuorateError when
    others may read it, StorageFull.
    """
    path = folder.root / KEY_FILE
    key = _load(folder, path)
    if key is None:
        if folder.identity.public_key:
            raise _damaged(path, "is missing, and this server is known by it")
        key = _make(folder, path)
    if folder.identity.public_key not in (b"", key.public):
        raise _damaged(path, "holds another key than the one by which this server is known")
    folder.set_public_key(key.public)
    return key


def _load(folder: ServerFolder, path: Path) -> ServerKey | None:
    """The key in the file, None if this server has no file yet."""
    with clear_errors(f"read {path}"):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return None
    settle_names(path.parent)
    if mode & _OTHERS:
        raise QuorateError(
            f"{path} has mode {stat.S_IMODE(mode):04o}: others may read the key of this server",
            f"run `chmod 600 {path}`; if another user may have read it, remove this server from "
            "its cluster and give it an empty data folder",
        )
    try:
        found = read_sealed(path, _KeyFile)
    except LogDamaged as damage:
        raise _damaged(path, damage.text.removeprefix(f"{path} ")) from damage
    if found.server_id in folder.identity.former_ids:
        with clear_errors(f"rename {path}"):
            path.rename(path.with_name(FORMER_KEY_FILE))
        return None
    if found.server_id != folder.node_id:
        raise _damaged(path, f"is the key of {found.server_id}, this server is {folder.node_id}")
    if found.kind != "ed25519" or len(found.private_key) != _PRIVATE_BYTES:
        raise _damaged(path, f"holds no Ed25519 key: kind {found.kind!r}")
    return ServerKey(Ed25519PrivateKey.from_private_bytes(found.private_key))


def _make(folder: ServerFolder, path: Path) -> ServerKey:
    private = Ed25519PrivateKey.generate()
    content = _KeyFile(
        server_id=folder.node_id, kind="ed25519", private_key=private.private_bytes_raw()
    )
    write_atomic(path, seal(content))
    return ServerKey(private)


def _damaged(path: Path, what: str) -> LogDamaged:
    return LogDamaged(
        f"{path} {what}",
        path=str(path),
        next_step="put the file back from a backup of this folder; without one, remove this server "
        "from its cluster and start it with an empty data folder",
    )
