"""The golden bytes of hashicorp/raft, and small helpers to compare with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from places import VECTORS

from quorate.raft.values.messages import Entry
from quorate.wire.raft.stream import RequestEvent, RequestReader, SnapshotChunk

LIMIT = 1 << 20


@cache
def load(name: str) -> Any:
    """One vector file."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def value_of(vector: Any) -> Any:
    """A byte string of a vector as bytes, all else as it is."""
    return bytes.fromhex(vector["bytes_hex"]) if isinstance(vector, dict) else vector


def as_bytes(vector: Any) -> bytes:
    """A byte string that is given as text, as hex, or as null."""
    value = value_of(vector)
    if value is None:
        return b""
    return value if isinstance(value, bytes) else str(value).encode()


def appended_at(log: Any) -> int | None:
    """What AppendedAt of a vector's log entry means to us."""
    given = log.get("AppendedAt")
    if given is not None and "bytes_hex" in given:
        binary = value_of(given)
        seconds, ns = int.from_bytes(binary[1:9]), int.from_bytes(binary[9:13])
        return (seconds - 62_135_596_800) * 10**9 + ns if seconds or ns else None
    return None if given is None or given["is_zero"] else int(given["time_unix_ns"])


def entry_of(log: Any) -> Entry:
    """The entry that a vector describes."""
    data, extensions = as_bytes(log["Data"]), as_bytes(log["Extensions"])
    return Entry(log["Index"], log["Term"], log["Type"], data, extensions, appended_at(log))


# A twin of the table in quorate.wire.raft.messages, written on its own from docs/wire.md#messages.
NAMES = {
    "ProtocolVersion": "protocol_version",
    "ID": "sender_id",
    "Addr": "sender_address",
    "Term": "term",
    "Leader": "leader",
    "PrevLogEntry": "prev_log_index",
    "PrevLogTerm": "prev_log_term",
    "LeaderCommitIndex": "leader_commit",
    "LastLog": "last_log",
    "Success": "success",
    "NoRetryBackoff": "no_retry_backoff",
    "Candidate": "candidate",
    "LastLogIndex": "last_log_index",
    "LastLogTerm": "last_log_term",
    "LeadershipTransfer": "leadership_transfer",
    "Granted": "granted",
    "SnapshotVersion": "snapshot_version",
    "ConfigurationIndex": "configuration_index",
    "Size": "size",
}
TEXTS = {"ID", "Addr", "Leader", "Candidate"}


def assert_means(message: Any, fields: dict[str, Any]) -> None:
    """Assert that a message has the values of a vector's fields, and covers all of them."""
    for key, vector in fields.items():
        if key == "Entries":
            assert message.entries == tuple(entry_of(log) for log in vector or ())
            assert [e.appended_at for e in message.entries] == [
                appended_at(log) for log in vector or ()
            ]
        elif key == "Peers":
            assert message.peers == (None if vector is None else as_bytes(vector))
        elif key == "Configuration":
            assert message.configuration == as_bytes(vector)
        elif key in TEXTS:
            assert getattr(message, NAMES[key]) == as_bytes(vector).decode()
        else:
            assert getattr(message, NAMES[key]) == vector, key


def snapshot_bytes(vector: dict[str, Any]) -> bytes:
    """The snapshot that follows a vector's request; empty for other requests."""
    if "snapshot_data_note" in vector:
        assert vector["snapshot_data_note"].startswith("70000 bytes of 0x5a")
        return b"\x5a" * 70000
    return bytes.fromhex(vector.get("snapshot_data_hex", ""))


def pieces(data: bytes, size: int) -> list[bytes]:
    """The data cut into pieces of `size` bytes."""
    return [data[i : i + size] for i in range(0, len(data), size)]


def join_chunks(events: list[RequestEvent]) -> list[RequestEvent]:
    """The events with neighbouring snapshot chunks made one: what does not depend on cuts."""
    joined: list[RequestEvent] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, SnapshotChunk) and isinstance(last, SnapshotChunk):
            joined[-1] = SnapshotChunk(last.data + event.data)
        else:
            joined.append(event)
    return joined


def read_requests(*cut: bytes) -> list[RequestEvent]:
    """What a fresh reader makes of these pieces, cuts in snapshots not showing."""
    reader = RequestReader(LIMIT)
    return join_chunks([event for piece in cut for event in reader.feed(piece)])


def captured_connections() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every recorded connection: a name, and its exchanges in order."""
    for name in ("old", "new", "old-protocol2", "election", "mixed"):
        for story, connections in load(f"capture-raft-{name}").items():
            if isinstance(connections, list):
                for number, connection in enumerate(connections):
                    yield f"{name}-{story}-{number}", connection["exchanges"]
