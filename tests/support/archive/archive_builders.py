"""Archives as tests want them: whole, and broken in each way there is."""

from __future__ import annotations

import gzip
import io
import tarfile
from hashlib import sha256
from typing import Any

import msgspec

from quorate.archive.meta import META, STATE, SUMS, ArchiveMeta, encode_meta
from quorate.archive.writing import ArchiveWriter
from quorate.state.engine.commands import encode
from quorate.state.engine.snapshot import encode_snapshot, snapshot_bytes
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.cluster import SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults

MADE_S = 1_795_444_800


def some_state(cluster_id: str = "cluster-1", index: int = 4) -> StateStore:
    """A small state: settings, and a cluster's name."""
    store = StateStore(TODAY)
    store.apply(index - 1, encode(SetClusterMetadata(cluster_id=cluster_id)))
    store.apply(index, encode(InitialiseDefaults()))
    return store


def meta_of(size: int, **fields: Any) -> ArchiveMeta:
    """The meta of an archive of a state of so many bytes."""
    values = {"id": f"2-4-{MADE_S}000", "index": 4, "term": 2, "size": size, **fields}
    values.setdefault("quorate_state_index", values["index"])
    values = {"quorate_version": "0.1.0", "quorate_cluster": "cluster-1", **values}
    return ArchiveMeta(**values)


def archive_of(state: bytes, **fields: Any) -> bytes:
    """An archive of these bytes."""
    out = io.BytesIO()
    writer = ArchiveWriter(meta_of(len(state), **fields), MADE_S, out.write)
    for start in range(0, len(state), 1000):
        writer.state(state[start : start + 1000])
    writer.finish()
    return out.getvalue()


def state_bytes(store: StateStore | None = None) -> bytes:
    """A state as a snapshot holds it."""
    out, image = io.BytesIO(), (store or some_state()).image()
    encode_snapshot(image, out.write, TODAY)
    assert len(out.getvalue()) == snapshot_bytes(image, TODAY)
    return out.getvalue()


def members_of(archive: bytes) -> dict[str, bytes]:
    """What is in an archive, in its order, by the standard library's reader."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
        return found


def packed(members: list[tuple[str, bytes]], *, form: int = tarfile.USTAR_FORMAT) -> bytes:
    """An archive of these members, by the standard library's writer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


def sums_of(**members: bytes) -> bytes:
    """The lines of SHA256SUMS for members named without their dots."""
    names = {"meta": META, "state": STATE}
    lines = [f"{sha256(data).hexdigest()}  {names[name]}\n" for name, data in members.items()]
    return "".join(lines).encode()


def parts(state: bytes, **changes: Any) -> list[tuple[str, bytes]]:
    """The three members, the meta with these changes; the sums are right."""
    meta = encode_meta(msgspec.structs.replace(meta_of(len(state)), **changes))
    return [(META, meta), (STATE, state), (SUMS, sums_of(meta=meta, state=state))]
