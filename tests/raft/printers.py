"""One line for every event and effect, for timelines of the simulator and for scenarios."""

from __future__ import annotations

from typing import Any

from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft import messages as msg
from quorate.raft.configuration import Configuration, Suffrage
from quorate.raft.messages import Entry, EntryKind

_SUFFRAGE = {Suffrage.VOTER: "", Suffrage.NONVOTER: "(nonvoter)", Suffrage.STAGING: "(staging)"}


def configuration_text(configuration: Configuration) -> str:
    """`a b c(nonvoter)`."""
    return " ".join(s.id + _SUFFRAGE[s.suffrage] for s in configuration.servers) or "nobody"


def entry_text(entry: Entry) -> str:
    """`7/2 command w1`: index, term, what."""
    kind = EntryKind(entry.kind).name.lower()
    data = f" {entry.data.decode()}" if entry.kind == EntryKind.COMMAND else ""
    return f"{entry.index}/{entry.term} {kind}{data}"


def entries_text(entries: tuple[Entry, ...]) -> str:
    """The first and the last of some entries."""
    if not entries:
        return "nothing"
    if len(entries) == 1:
        return entry_text(entries[0])
    return f"{entry_text(entries[0])} .. {entry_text(entries[-1])}"


def request_text(request: msg.AnyRequest) -> str:
    """A request of a peer."""
    match request:
        case msg.AppendEntriesRequest():
            if request.is_heartbeat:
                return f"heartbeat term {request.term}"
            return (
                f"append term {request.term} after {request.prev_log_index}/"
                f"{request.prev_log_term}: {entries_text(request.entries)}, "
                f"commit {request.leader_commit}"
            )
        case msg.RequestVoteRequest():
            transfer = ", transfer" if request.leadership_transfer else ""
            log = f"{request.last_log_index}/{request.last_log_term}"
            return f"vote? term {request.term} log {log}{transfer}"
        case msg.PreVoteRequest():
            log = f"{request.last_log_index}/{request.last_log_term}"
            return f"pre-vote? term {request.term} log {log}"
        case msg.InstallSnapshotRequest():
            return f"snapshot {request.last_log_index}/{request.last_log_term} term {request.term}"
        case msg.TimeoutNowRequest():
            return f"timeout-now term {request.term}"


def response_text(response: msg.AnyResponse) -> str:
    """A peer's answer."""
    match response:
        case msg.AppendEntriesResponse(success=True):
            return f"yes, term {response.term}"
        case msg.AppendEntriesResponse():
            return f"no, term {response.term}, try after {response.last_log}"
        case msg.RequestVoteResponse() | msg.PreVoteResponse():
            return f"{'granted' if response.granted else 'refused'}, term {response.term}"
        case msg.InstallSnapshotResponse():
            return f"{'installed' if response.success else 'not installed'}, term {response.term}"
        case msg.TimeoutNowResponse():
            return "heard"


def event_text(event: Any) -> str:
    """What happened to a node."""
    match event:
        case ev.RequestReceived():
            return f"{event.reply_to} asks: {request_text(event.request)}"
        case ev.ResponseReceived():
            return f"{event.peer_id} answers #{event.rpc_id}: {response_text(event.response)}"
        case ev.SnapshotDelivered():
            return f"{event.peer_id} answers #{event.rpc_id}: {response_text(event.response)}"
        case ev.RequestFailed():
            return f"#{event.rpc_id} to {event.peer_id} failed"
        case ev.SnapshotReceived():
            return f"body of {request_text(event.request)} {'stored' if event.ok else 'lost'}"
        case ev.Propose():
            return f"propose {len(event.proposals)}: {event.proposals[0][1].decode()}"
        case ev.ChangeRequested():
            change = event.change
            return f"change {change.kind.name.lower()} {change.server_id}"
    fields = (str(getattr(event, name)) for name in type(event).__struct_fields__)
    return " ".join([type(event).__name__, *fields])


def _persist_text(effect: fx.Persist) -> str:
    parts = [f"persist {effect.sequence}:"]
    if effect.reset_to:
        parts.append("reset to {}/{}".format(*effect.reset_to))
    if effect.truncate_from:
        parts.append(f"truncate from {effect.truncate_from}")
    if effect.entries:
        parts.append(entries_text(effect.entries))
    if effect.hard_state:
        state = effect.hard_state
        vote = f" vote {state.voted_for} in {state.vote_term}" if state.voted_for else ""
        parts.append(f"term {state.term}{vote}")
    if effect.compact_to:
        parts.append(f"compact to {effect.compact_to}")
    if effect.then:
        parts.append("then [" + "; ".join(effect_text(e) for e in effect.then) + "]")
    return " ".join(parts)


def effect_text(effect: Any) -> str:
    """What a node wants done."""
    match effect:
        case fx.Send():
            return f"#{effect.rpc_id} -> {effect.to.id}: {request_text(effect.request)}"
        case fx.SendSnapshot():
            return f"#{effect.rpc_id} -> {effect.to.id}: send snapshot {effect.index}"
        case fx.Reply():
            return f"answer {effect.reply_to}: {response_text(effect.response)}"
        case fx.ReceiveSnapshot():
            return f"receive {request_text(effect.request)}"
        case fx.RestoreSnapshot():
            return f"restore snapshot {effect.index}/{effect.term}"
        case fx.Persist():
            return _persist_text(effect)
        case fx.Apply():
            return f"apply {entries_text(effect.entries)}"
        case fx.ReadReady():
            return "read " + " ".join(str(h) for h in effect.handles)
        case fx.Done():
            return f"done {effect.handle}: {effect.leader_id} leads"
        case fx.Rejected():
            names = " ".join(str(h) for h in effect.handles)
            detail = f" ({effect.detail})" if effect.detail else ""
            return f"rejected {names}: {effect.reason.value}{detail}"
        case fx.RoleChanged():
            leader = f" leader {effect.leader_id}" if effect.leader_id else ""
            return f"{effect.role.value} term {effect.term}{leader}: {effect.cause}"
        case fx.ConfigurationChanged():
            state = "committed" if effect.committed else "uncommitted"
            return (
                f"configuration {effect.index} {state}: {configuration_text(effect.configuration)}"
            )
    return str(effect)
