"""The files of real Nomad 1.6.3 servers, and what is in them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

from places import VECTORS

from quorate.nomad.raft_db import RaftDb

SERVERS = VECTORS / "nomad" / "servers"
DOCUMENT: dict[str, Any] = json.loads((SERVERS / "expected.json").read_text())
FILES: dict[str, Any] = DOCUMENT["files"]


def raft_db(name: str) -> bytes:
    """The content of a server's raft.db, unpacked."""
    return gzip.decompress((SERVERS / FILES[name]["file"]).read_bytes())


def opened(data: bytes) -> RaftDb:
    """A raft.db in memory."""
    return RaftDb(lambda at, size: data[at : at + size], len(data))


def damaged(case: dict[str, Any], base: bytes) -> bytes:
    """The file of `base` with the edits of a damage case."""
    data = bytearray(base)
    for at, text in case["edits"]:
        zeros = text.startswith("zeros:")
        new = bytes(int(text[6:])) if zeros else bytes.fromhex(text)
        data[at : at + len(new)] = new
    return bytes(data[: case.get("cut_to")])


def server_folder(name: str, data_dir: Path) -> Path:
    """The data folder of that server, unpacked into `data_dir`; returns it."""
    raft = data_dir / "server" / "raft"
    raft.mkdir(parents=True)
    (raft / "raft.db").write_bytes(raft_db(name))
    source = SERVERS / Path(FILES[name]["file"]).parent
    snapshots = raft / "snapshots"
    if (source / "snapshots").exists():
        shutil.copytree(source / "snapshots", snapshots)
    else:
        snapshots.mkdir()
    if (source / "node-id").exists():
        shutil.copyfile(source / "node-id", data_dir / "server" / "node-id")
    return data_dir
