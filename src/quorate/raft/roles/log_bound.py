"""How long the log may become, in bytes of its files, and what is done to keep it so.

The bound (`Settings.log_bytes_max`) is shared out in eighths:

- behind a snapshot at most one eighth stays for followers that lag, and at most `trailing_logs`
  entries; while a snapshot travels to a peer, what follows on it stays up to four eighths;
- from four eighths on a snapshot is due, if it frees a sixteenth;
- from six eighths on the leader takes no writes, and a follower stores no entries that a snapshot
  would make room for. A turn of the event loop proposes at most a sixteenth, and a message carries
  no more, so that what is taken just before then finds its place. At most an eighth waits to be
  committed, so that most of what there is can be compacted.

So the bound holds but for entries that nobody has committed, of leaders that followed one another
without committing anything.

A server that applies nothing (its state is damaged, or its version too old) can compact nothing
either. It goes on to store the log, because the others may need it for their quorum; what stops it
then is the reserve of its disk.

hashicorp/raft counts entries alone, of any size, and holds no write up.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.raft.settings import Settings
    from quorate.raft.state import NodeState


def uncommitted_bytes_max(settings: Settings) -> int:
    """How many bytes of writes may wait to be committed."""
    bound = settings.log_bytes_max
    return (
        min(settings.uncommitted_bytes_max, bound // 8)
        if bound
        else (settings.uncommitted_bytes_max)
    )


def turn_bytes_max(settings: Settings) -> int:
    """How many bytes of writes one turn of the event loop proposes, and then one more write."""
    bound = settings.log_bytes_max
    return bound // 16 if bound else settings.uncommitted_bytes_max


def append_bytes_max(settings: Settings) -> int:
    """How many bytes of entries one message to a peer carries."""
    bound = settings.log_bytes_max
    return min(settings.append_bytes_max, bound // 16) if bound else settings.append_bytes_max


def refused_from(settings: Settings) -> int:
    """From how many bytes of the log on no write is taken; 0: there is no bound."""
    return settings.log_bytes_max * 6 // 8


def is_reached(node: NodeState) -> bool:
    """True if no write may be taken."""
    most = refused_from(node.settings)
    return bool(most) and node.log.size_bytes() >= most


def refuses_entries(node: NodeState) -> bool:
    """True if a follower is to store no entries until there is more room.

    Room comes when the disk has written what waits and removed what is compacted, and by a snapshot
    of what is applied. If it comes by none of these, what would make it come may be in the entries.
    """
    if not is_reached(node) or node.machine_trouble is not None:
        return False
    log = node.log
    if log.waiting_bytes() >= node.settings.log_bytes_max // 16:
        return True
    index = _applied_goes(node)
    if index < log.first_index and node.outbox.oldest_write_at() is None:
        return False  # files that are left over go with the next compaction, which is not this one
    return _is_worth_it(node, max(index, log.first_index - 1))


def half_of_bound(settings: Settings) -> float:
    """Bytes of the log from where on a snapshot may be due."""
    return settings.log_bytes_max // 2 if settings.log_bytes_max else inf


def snapshot_due(node: NodeState) -> bool:
    """True if a snapshot of what is applied now is worth its while."""
    if node.log.size_bytes() < half_of_bound(node.settings) or node.prepared:
        return False
    index = _applied_goes(node)
    return index >= node.log.first_index and _is_worth_it(node, index)


def _applied_goes(node: NodeState) -> int:
    return compaction_index(node, node.applied_index, whole=False)


def _is_worth_it(node: NodeState, index: int) -> bool:
    return node.log.freed_by(index) >= node.settings.log_bytes_max // 16


def compaction_index(node: NodeState, snapshot_index: int, *, whole: bool) -> int:
    """Up to where the log goes when there is a snapshot at this index.

    `whole`: all of it that no peer's install waits for.
    """
    settings, log = node.settings, node.log
    install = node.leader.lowest_install() if node.leader else None
    index = (
        snapshot_index if whole else min(snapshot_index, log.last_index - settings.trailing_logs)
    )
    bound = settings.log_bytes_max
    if bound and not whole:
        index = max(index, min(snapshot_index, log.excess(bound // 8)))
    if install is not None and install < index:
        # What follows on that snapshot is still needed, but not at any price.
        index = max(install, min(index, log.excess(bound // 2))) if bound else install
    return index
