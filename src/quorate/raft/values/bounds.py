"""How large a number in a message may be, from any sender.

Terms and indexes rise by one for each election and entry; no cluster comes near 2^62 of them. A
message with more is a mistake or an attack, and nothing of it may be stored or answered: a term
that is taken over can never be lowered again, and the next one must fit into 64 bits on every
wire and disk. Anything below is taken: a server that is a million terms ahead must come back.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from quorate.raft.values.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    PreVoteRequest,
    PreVoteResponse,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNowRequest,
    TimeoutNowResponse,
)

NUMBER_MAX: Final = (1 << 62) - 1
"""The highest term and index."""

SNAPSHOT_BYTES_MAX: Final = 1 << 40
"""The largest snapshot that is taken in: 1 TiB."""

# Entries need no row: their indexes follow on the previous one, their terms are at most the term.
_NUMBERS: Final[dict[type, tuple[str, ...]]] = {
    AppendEntriesRequest: ("term", "prev_log_index", "prev_log_term", "leader_commit"),
    AppendEntriesResponse: ("term", "last_log"),
    InstallSnapshotRequest: ("term", "last_log_index", "last_log_term", "configuration_index"),
    InstallSnapshotResponse: ("term",),
    PreVoteRequest: ("term", "last_log_index", "last_log_term"),
    PreVoteResponse: ("term",),
    RequestVoteRequest: ("term", "last_log_index", "last_log_term"),
    RequestVoteResponse: ("term",),
    TimeoutNowRequest: ("term",),
    TimeoutNowResponse: (),
}


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[int, ...]]:
    """A function from a message to these numbers: one call for all of them."""
    first, *more = names
    return attrgetter(first, *(more or names))  # with one name it would give no tuple


_READ: Final = {kind: _reader(names) for kind, names in _NUMBERS.items() if names}


def objection(message: Any) -> str:
    """Why nothing of this message counts, or empty. It names the sender."""
    kind = type(message)
    read = _READ.get(kind)
    if read is not None and max(read(message)) > NUMBER_MAX:
        name = next(name for name in _NUMBERS[kind] if getattr(message, name) > NUMBER_MAX)
        return f"{_sender(message)} sent a {name} above {NUMBER_MAX}; no server comes so far"
    if kind is InstallSnapshotRequest:
        return _snapshot_objection(message)
    return ""


def _snapshot_objection(message: InstallSnapshotRequest) -> str:
    if message.size > SNAPSHOT_BYTES_MAX:
        return f"{_sender(message)} announced a snapshot above {SNAPSHOT_BYTES_MAX} bytes"
    # It would be believed as committed beyond the end of the log.
    if message.configuration_index > message.last_log_index:
        return f"{_sender(message)} sent a snapshot whose configuration lies behind its end"
    return ""


def _sender(message: Any) -> str:
    return message.sender_id or message.sender_address or "a server without a name"
