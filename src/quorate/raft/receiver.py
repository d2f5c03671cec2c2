"""Handling of a leader's appends and snapshots by a server.

Rules: Raft 5.3, 7; docs/wire.md#appends and #snapshots-on-the-stream.

Invariants: success is answered only when everything up to the request's last entry is durable
here; committed entries are never removed; a conflict is answered with a hint from which a leader
finds the meeting point in few steps (the hint travels in LastLog and suits any leader); a refusal
for lack of room says so by leaving NoRetryBackoff out, as hashicorp/raft does.

A request that no correct leader sends raises BadFrame, and leaves the log as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.errors import BadFrame
from quorate.raft.codec import configuration_of, configurations_in
from quorate.raft.effects import ReceiveSnapshot, RestoreSnapshot
from quorate.raft.events import SnapshotReceived
from quorate.raft.roles import greeting, log_bound
from quorate.raft.values.configuration import Configuration, ConfigurationError
from quorate.raft.values.messages import (
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
)

if TYPE_CHECKING:
    from quorate.raft.state import NodeState


def on_append_entries(node: NodeState, reply_to: Any, request: AppendEntriesRequest) -> None:
    """Take over entries, or at least the news that the sender leads."""
    last_log = node.log.last_index
    if request.term < node.term or (node.leader is not None and request.term == node.term):
        _answer(node, reply_to, last_log, success=False)
        return
    _check(node, request)
    if _goes_on(node, request):
        node.hear_leader()
    elif _is_strange(node, request):
        _answer(node, reply_to, _hint(node, request), success=False, no_retry_backoff=True)
        return
    else:
        _follow(node, request)
    if request.is_heartbeat:
        # Waits for the disk only while the term itself is not durable.
        durable = node.outbox.hard_state_pending()
        _answer(node, reply_to, last_log, success=True, durable=durable, of_term=True)
        return
    hint = _conflict(node, request)
    if hint is not None:
        _answer(node, reply_to, hint, success=False, no_retry_backoff=True)
        return
    if _lacks_room(node) and _fresh(node, request.entries):
        # At once, rather than to wait for room with it: the leader tries again later. What is
        # committed before it is applied all the same, and may then be compacted.
        node.commit_to(min(request.leader_commit, request.prev_log_index))
        _answer(node, reply_to, last_log, success=False)
        return
    before = node.configuration
    _store(node, request)
    if node.configuration is not before:
        greeting.vote_gained(node, before)
    node.commit_to(min(request.leader_commit, _end_of(request)))
    _answer(node, reply_to, last_log, success=True)


def _lacks_room(node: NodeState) -> bool:
    return node.storage_full or log_bound.refuses_entries(node)


def _check(node: NodeState, request: AppendEntriesRequest) -> None:
    """Refuse what would break the log, before anything has changed."""
    _check_leader(node, request)
    index, term = request.prev_log_index, request.prev_log_term
    snapshot_index, snapshot_term = node.log.snapshot_index, node.log.snapshot_term
    if not request.is_heartbeat and index == snapshot_index and term != snapshot_term:
        raise _other_history(node, request, term)
    for entry in request.entries:
        index += 1
        if entry.index != index or entry.term < term:
            raise BadFrame(f"{request.sender_id or request.leader} sent entries out of order")
        term = entry.term
        if index == snapshot_index and term != snapshot_term:
            raise _other_history(node, request, term)
    if term > request.term:
        raise BadFrame(f"{request.sender_id or request.leader} sent entries of a later term")
    for _, configuration in configurations_in(request.entries, node.codec):
        _check_configuration(configuration)


def _other_history(node: NodeState, request: AppendEntriesRequest, term: int) -> BadFrame:
    """What is in a snapshot is committed, so every leader has it (Leader Completeness, Raft 5.4).

    Not so after a recovery by force: servers that are recovered apart take what each of them has
    for committed. What this one has beyond the leader's log would stay in its state in silence.
    """
    log = node.log
    return BadFrame(
        f"{request.sender_id or request.leader} has another entry {log.snapshot_index} than this "
        f"server: of term {term}, not {log.snapshot_term}",
        "after a recovery by force: stop this server, move its raft folder away, and start it; "
        "it is filled by the others",
    )


def _check_leader(node: NodeState, request: AppendEntriesRequest | InstallSnapshotRequest) -> None:
    """One leader a term (Raft 5.2): two are a fault of a disk or a server, never to be followed."""
    term, known = node.led_by
    if request.term == term and request.sender_id and request.sender_id != known:
        raise BadFrame(f"{known} and {request.sender_id} both lead in term {term}")


def _is_strange(node: NodeState, request: AppendEntriesRequest) -> bool:
    """True if a member need not follow the sender, which its configuration does not know.

    A member that was away may lack the entry by which its leader joined. So entries that follow on
    its log are taken; a heartbeat or a probe proves nothing, and is answered without being obeyed.
    """
    if node.configuration.get(node.server_id) is None or _is_known(node, request):
        return False
    return not request.entries or _conflict(node, request) is not None


def _is_known(node: NodeState, request: AppendEntriesRequest | InstallSnapshotRequest) -> bool:
    """True if the sender is a member as far as this server knows."""
    return bool(node.address_of(_leader_id(node, request)))


def _leader_id(node: NodeState, request: AppendEntriesRequest | InstallSnapshotRequest) -> str:
    """Its ID; an older peer names only its address."""
    if request.sender_id:
        return request.sender_id
    address = request.sender_address or request.leader
    known = node.configuration.by_address(address)
    return known.id if known else address


def _hint(node: NodeState, request: AppendEntriesRequest) -> int:
    hint = None if request.is_heartbeat else _conflict(node, request)
    return node.log.last_index if hint is None else hint


def _check_configuration(configuration: Configuration) -> None:
    try:
        configuration.check()
    except ConfigurationError as error:
        raise BadFrame(str(error)) from error


def _end_of(request: AppendEntriesRequest) -> int:
    return request.entries[-1].index if request.entries else request.prev_log_index


def _answer(
    node: NodeState,
    reply_to: Any,
    last_log: int,
    *,
    success: bool,
    no_retry_backoff: bool = False,
    durable: bool = True,
    of_term: bool = False,
) -> None:
    response = AppendEntriesResponse(
        term=node.term,
        last_log=last_log,
        success=success,
        no_retry_backoff=no_retry_backoff,
        promise_ms=node.promise_ms() if success else 0,
        sender_id=node.server_id,
        sender_address=node.address,
        identity=node.identity,
    )
    # A refusal acknowledges nothing.
    node.reply(reply_to, response, durable=durable, of_term=of_term or not success)


def _goes_on(node: NodeState, request: AppendEntriesRequest) -> bool:
    """True if the leader that was followed last goes on: what was found of it still holds.

    It depends on what is compared here, and on nothing else.
    """
    known = node.followed
    return (
        known is not None
        and known[0] is node.configuration
        and known[1] is node.committed_configuration
        and known[2] == request.term == node.term
        and known[3] == request.sender_id == node.leader_id
        and known[4] is (request.identity is not None)
        and node.campaign is None
    )


def _follow(node: NodeState, request: AppendEntriesRequest | InstallSnapshotRequest) -> None:
    """The sender leads in `request.term`, which is not behind ours: wait for its next message."""
    leader_id = _leader_id(node, request)
    # Clients are sent on only to where the configuration says that this server is.
    address = node.address_of(leader_id)
    if request.term > node.term or node.campaign is not None or node.leader_id != leader_id:
        node.become_follower(request.term, "a leader was heard", (leader_id, address))
    node.leader_address = address
    node.leader_named = bool(request.sender_id)
    node.leader_identified = request.identity is not None
    node.followed = None
    if request.sender_id:
        node.led_by = (request.term, request.sender_id)
        node.followed = (
            *(node.configuration, node.committed_configuration),
            *(request.term, request.sender_id, node.leader_identified),
        )
    node.hear_leader()


def _conflict(node: NodeState, request: AppendEntriesRequest) -> int | None:
    """None if the logs meet at the previous entry, else the hint for the leader."""
    prev = request.prev_log_index
    if prev <= node.log.snapshot_index and prev <= node.commit_index:
        return None  # inside the snapshot: committed, so it is the same everywhere
    term = node.log.term(prev)
    if term == request.prev_log_term:
        return None
    if prev > node.log.last_index:
        prev = node.log.last_index + 1
    return node.log.last_index_with_term_up_to(prev, request.prev_log_term)


def _store(node: NodeState, request: AppendEntriesRequest) -> None:
    fresh = _fresh(node, request.entries)
    if not fresh:
        return
    if fresh[0].index <= node.commit_index:
        raise BadFrame(f"{node.leader_id} would replace committed entry {fresh[0].index}")
    if fresh[0].index <= node.log.last_index:
        if fresh[0].index <= node.committed_configuration_index:
            raise BadFrame(f"{node.leader_id} would replace configuration {fresh[0].index}")
        node.truncate_from(fresh[0].index)
    node.append(fresh)


def _fresh(node: NodeState, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries that are not here yet, from the first missing or conflicting one on."""
    if entries and entries[0].index == node.log.last_index + 1:
        return entries
    for position, entry in enumerate(entries):
        if entry.index <= node.log.snapshot_index:
            continue
        if entry.index > node.log.last_index or node.log.term(entry.index) != entry.term:
            return entries[position:]
    return ()


def on_install_snapshot(node: NodeState, reply_to: Any, request: InstallSnapshotRequest) -> None:
    """A leader that no longer has the entries we lack sends its state instead."""
    if request.term < node.term or (node.leader is not None and request.term == node.term):
        _answer_install(node, reply_to, success=False)
        return
    _check_leader(node, request)
    _configuration_of(node, request)
    _follow(node, request)
    node.when_durable(ReceiveSnapshot(reply_to, request))


def on_snapshot_received(node: NodeState, event: SnapshotReceived) -> None:
    """The body is stored: let it take the place of log and state, unless it is old news."""
    request = event.request
    if not event.ok or request.term < node.term or node.prepared:
        _answer_install(node, event.reply_to, success=False)
        return
    _follow(node, request)
    index, term = request.last_log_index, request.last_log_term
    if index <= node.commit_index:
        _answer_install(node, event.reply_to, success=True)
        return
    if node.log.term(index) == term:
        # We hold all of it as log, and may have acknowledged what follows (Raft 7): keep it.
        node.commit_to(index)
    else:
        before = node.configuration
        node.reset_log(index, term)
        node.adopt_configuration(_configuration_of(node, request), request.membership_index)
        greeting.vote_gained(node, before)
        node.when_durable(RestoreSnapshot(index, term))
    _answer_install(node, event.reply_to, success=True)


def _configuration_of(node: NodeState, request: InstallSnapshotRequest) -> Configuration:
    configuration = configuration_of(request, node.codec)
    _check_configuration(configuration)
    return configuration


def _answer_install(node: NodeState, reply_to: Any, *, success: bool) -> None:
    response = InstallSnapshotResponse(
        term=node.term,
        success=success,
        sender_id=node.server_id,
        sender_address=node.address,
        identity=node.identity,
    )
    node.reply(reply_to, response)
