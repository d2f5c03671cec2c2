"""Every decoder of bytes that come from peers, disks or users, and what it may raise.

A target takes any bytes. What it does not catch itself must be one of its `errors`: anything else
is a bug, and so is more memory or time than `fuzz_bounds` allows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple
from zlib import crc32

from bolt_builder import resealed
from fuzz_corpus import KEY_OWNER
from fuzz_server_targets import http_answer, http_request, replica_call, server_call

from quorate.acl.invalid import PolicyInvalid
from quorate.acl.policies.parsing import parse_policy
from quorate.acl.rights import Rights
from quorate.api.codec.body import BodyError, first_value
from quorate.api.codec.params import decode_path, parse_cas, parse_query
from quorate.api.request_error import RequestError
from quorate.config.load import assemble
from quorate.config.read.parse import parse_bytes
from quorate.errors import (
    BadFrame,
    ConfigError,
    LogDamaged,
    QuorateError,
    WrongDataFolder,
    WrongServers,
)
from quorate.net.key_pair import KeyPair
from quorate.nomad.bolt.meta import BoltError
from quorate.nomad.log_entry import NomadEntry, body_of
from quorate.nomad.raft_db import RaftDb
from quorate.raft.values.identity import IdentityRecord
from quorate.raft.values.messages import HardState
from quorate.recovery.peers_json import parse as parse_peers
from quorate.recovery.plan import decode as decode_plan
from quorate.state.engine.commands import decode as decode_command
from quorate.state.engine.snapshot import SnapshotError, decode_snapshot
from quorate.state.engine.store import Held, StateStore
from quorate.state.registry import TODAY
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.folder.identity import Identity, read_identity, read_node_id
from quorate.storage.folder.key_file import KEY_FILE, load_or_make_key
from quorate.storage.folder.standing import STANDING_FILE, Standing
from quorate.storage.folder.twin_file import HALF_BYTES, TwinFile
from quorate.storage.log.frames import FRAME, frame_record
from quorate.storage.log.records import LAYOUT, Head, head_item
from quorate.storage.log.store import LogStore, WriteBatch
from quorate.storage.sealed import ending
from quorate.storage.snapshots.meta import META_FILE, read_meta
from quorate.testing.sim.machines.disk import SmallFiles
from quorate.testing.sim.machines.sectors import SectorDisk
from quorate.wire.go.duration import format_duration, parse_duration
from quorate.wire.go.msgpack import unpack
from quorate.wire.go.time import read_time
from quorate.wire.handshake import NONCE_BYTES, DialerHandshake, ListenerHandshake, Speaker
from quorate.wire.raft.entries import decode_entry
from quorate.wire.raft.identity import read_record
from quorate.wire.raft.membership import decode_configuration, decode_peers
from quorate.wire.raft.messages import RequestKind
from quorate.wire.raft.stream import RequestReader, ResponseReader

LIMIT = 1 << 20
_RECORDS_MAX = 64


class Target(NamedTuple):
    """`decode` gets any bytes, and may raise `errors` and nothing else.

    `memory_factor` bounds the bytes of memory for each byte of input: a Python object is up to 80
    times as large as the byte that declares it.
    """

    name: str
    decode: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    memory_factor: int = 200


def _fed(reader: RequestReader | ResponseReader, data: bytes) -> None:
    """The first byte says how the others are cut."""
    size = 1 + data[0] if data else 1
    for start in range(1, len(data), size):
        reader.feed(data[start : start + size])


def requests(data: bytes) -> None:
    _fed(RequestReader(LIMIT), data)


def responses(data: bytes) -> None:
    reader = ResponseReader(LIMIT)
    for _ in range(20):
        for kind in RequestKind:
            reader.expect(kind)
    _fed(reader, data)


_KEY = KeyPair(bytes(32))
_SPEAKER = Speaker(
    record=IdentityRecord(server_id="a"), region="global", address="127.0.0.1:1", key=_KEY.public
)


def handshake_of_a_dialer(data: bytes) -> None:
    DialerHandshake(_SPEAKER, _KEY, bytes(NONCE_BYTES), lambda _: "").feed(data)


def handshake_of_a_listener(data: bytes) -> None:
    ListenerHandshake(_SPEAKER, _KEY, bytes(NONCE_BYTES), lambda _: "").feed(data)


def query(data: bytes) -> None:
    decode_path(data)
    parse_query(data, read=False)
    parse_cas(parse_query(data, read=True))


def configuration(data: bytes) -> None:
    assemble([parse_bytes(data, "a.hcl")], {}, dev=False)


def policy(data: bytes) -> None:
    """Read, and its rights made. A text of bytes that are no UTF-8 does not come so far."""
    Rights([parse_policy(data.decode("utf-8", "replace"))])


def duration(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


def command(data: bytes) -> None:
    """Applied, passed over, or held: then nothing has changed."""
    store = StateStore(TODAY)
    before = store.digest()
    decode_command(data, TODAY)
    try:
        store.apply(1, data)
    except Held:
        assert store.digest() == before
        raise
    store.digest()


def snapshot(data: bytes) -> None:
    """With a digest that fits, so that what stands before it is looked at."""
    sealed = data + hashlib.sha256(data).digest()
    StateStore(TODAY).restore(decode_snapshot(BytesIO(sealed).read, TODAY))


def snapshot_as_it_is(data: bytes) -> None:
    decode_snapshot(BytesIO(data).read, TODAY)


def log_segment(data: bytes) -> None:
    """A log with this file: opened and read. What can be read can be gone on with, too."""
    sectors = SectorDisk()
    files = SmallFiles(Path("log"), sectors)
    descriptor = sectors.open(Path("log/0000000001.segment"), os.O_RDWR | os.O_CREAT)
    sectors.posix_fallocate(descriptor, 0, -(-len(data) // files.piece) * files.piece)
    sectors.pwrite(descriptor, data, 0)
    store = LogStore.open_files(files)
    held = store.entries(store.first_index(), store.last_index() + 1, 1 << 30)
    store.write(WriteBatch(hard_state=HardState(9, "a", 8)))
    again = LogStore.open_files(files)
    assert again.base() == store.base()
    assert again.entries(again.first_index(), again.last_index() + 1, 1 << 30) == held


def log_frames(data: bytes) -> None:
    """Frames that say this; their checksums fit."""
    size = FRAME - 4
    rests = [data[at : at + size].ljust(size, b"\0") for at in range(0, len(data), size)]
    log_segment(b"".join(crc32(rest).to_bytes(4, "little") + rest for rest in rests))


def log_records(data: bytes) -> None:
    """Records with these items, each behind its length; the frames are as they should be."""
    frames = [frame_record(1, head_item(Head(LAYOUT, 0, 0, 0, 0)))]
    while data and len(frames) < _RECORDS_MAX:
        end = 2 + int.from_bytes(data[:2], "little")
        frames.append(frame_record(len(frames) + 1, data[2:end]))
        data = data[end:]
    log_segment(b"".join(frames))


_FOLDER = Path(mkdtemp(prefix="quorate-fuzz-")) / "2-33-1795533755911"


def snapshot_meta(data: bytes) -> None:
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / META_FILE).write_bytes(data + ending(data))
    read_meta(_FOLDER)


def identity(data: bytes) -> None:
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / "quorate.json").write_bytes(data + ending(data))
    found = read_identity(_FOLDER)
    assert found is None or isinstance(found, Identity)


def node_id(data: bytes) -> None:
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / "node-id").write_bytes(data)
    read_node_id(_FOLDER)


def _in_a_half(half: bytes) -> bytes:
    """A generation and a content; the checksum fits, the half has its size."""
    sealed = half + ending(half)
    return sealed[:HALF_BYTES].ljust(HALF_BYTES, b" ")


def standing(data: bytes) -> None:
    """The halves of the file: cut at the first null byte; with one part both are the same.

    What can be read can be written, too.
    """
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / STANDING_FILE
    one, _, other = data.partition(b"\0")
    path.write_bytes(_in_a_half(one) + _in_a_half(other or one))
    found = TwinFile(path, Standing)
    value = found.read()
    assert isinstance(value, Standing)
    found.write(value)
    assert TwinFile(path, Standing).read() == value


def standing_as_it_is(data: bytes) -> None:
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / STANDING_FILE
    path.write_bytes(data.ljust(2 * HALF_BYTES, b" ") if len(data) % 2 else data)
    assert TwinFile(path, Standing).read() is not None


@cache
def _server_folder() -> DataFolder:
    """Of a server that has a key."""
    folder = DataFolder.open(
        Path(mkdtemp(prefix="quorate-fuzz-")),
        region="global",
        version="0",
        make_id=lambda: KEY_OWNER,
        run=bytes(8),
    )
    load_or_make_key(folder)
    return folder


def key(data: bytes) -> None:
    """The checksum fits; the key is never that by which the server is known."""
    folder = _server_folder()
    (folder.root / KEY_FILE).write_bytes(data + ending(data))
    load_or_make_key(folder)


def raft_db_as_it_is(data: bytes) -> None:
    """A raft.db of a Nomad server; all bodies in it, too."""
    db = RaftDb(lambda at, size: data[at : at + size], len(data))
    for entry in db.entries():
        if isinstance(entry, NomadEntry):
            with suppress(BadFrame):
                body_of(entry)


def raft_db(data: bytes) -> None:
    """With checksums of the metas that fit, for pages of 1,024 bytes."""
    raft_db_as_it_is(resealed(data))


TARGETS = {
    target.name: target
    for target in (
        Target("raft-requests", requests, (BadFrame,)),
        Target("raft-responses", responses, (BadFrame,)),
        Target("identity-record", lambda data: read_record(data, "it"), (BadFrame,)),
        Target("handshake-dialer", handshake_of_a_dialer, (BadFrame,)),
        Target("handshake-listener", handshake_of_a_listener, (BadFrame,)),
        Target("log-entry", decode_entry, (BadFrame,)),
        Target("membership", decode_configuration, (BadFrame,)),
        Target("peers", decode_peers, (BadFrame,)),
        Target("msgpack", unpack, (BadFrame,)),
        Target("time", lambda data: read_time(data, "AppendedAt"), (BadFrame,)),
        Target("duration", duration, (ValueError,)),
        # A token of HCL and its place in the tree are some 450 bytes; files are an operator's own.
        Target("configuration", configuration, (ConfigError,), 600),
        Target("policy", policy, (PolicyInvalid,)),
        Target("query", query, (RequestError,)),
        Target("body", first_value, (BodyError,)),
        Target("http-request", http_request, ()),
        Target("http-answer", http_answer, (QuorateError,)),
        Target("server-call", server_call, (QuorateError,)),
        Target("replica-call", replica_call, (QuorateError,)),
        Target("state-command", command, (Held,)),
        Target("state-snapshot", snapshot, (SnapshotError,)),
        Target("state-snapshot-as-it-is", snapshot_as_it_is, (SnapshotError,)),
        Target("log-segment", log_segment, (LogDamaged, WrongDataFolder)),
        Target("log-frames", log_frames, (LogDamaged, WrongDataFolder)),
        Target("log-records", log_records, (LogDamaged, WrongDataFolder)),
        Target("snapshot-meta", snapshot_meta, (LogDamaged,)),
        Target("identity", identity, (LogDamaged,)),
        Target("standing", standing, (LogDamaged,)),
        Target("standing-as-it-is", standing_as_it_is, (LogDamaged,)),
        Target("key", key, (LogDamaged,)),
        Target("node-id", node_id, (LogDamaged,)),
        Target("raft-db", raft_db, (BoltError,)),
        Target("peers-json", lambda data: parse_peers(data, "peers.json"), (WrongServers,)),
        Target("recovery-plan", lambda data: decode_plan(data, "plan"), (QuorateError,)),
        Target("raft-db-as-it-is", raft_db_as_it_is, (BoltError,)),
    )
}
