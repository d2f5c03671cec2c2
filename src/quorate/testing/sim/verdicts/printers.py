"""One line for every event and effect, for timelines of the simulator and for scenarios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.raft import effects as fx
from quorate.raft import events as ev
from quorate.raft.values import messages as msg
from quorate.raft.values.configuration import Configuration, Suffrage
from quorate.raft.values.messages import Entry, EntryKind
from quorate.testing.sim.machines.machine import command_text

_SUFFRAGE = {Suffrage.VOTER: "", Suffrage.NONVOTER: "(nonvoter)", Suffrage.STAGING: "(staging)"}


def configuration_text(configuration: Configuration) -> str:
    """`a b c(nonvoter)`."""
    return " ".join(s.id + _SUFFRAGE[s.suffrage] for s in configuration.servers) or "nobody"


def entry_text(entry: Entry) -> str:
    """`7/2 command w1`: index, term, what."""
    kind = EntryKind(entry.kind).name.lower()
    data = f" {command_text(entry.data)}" if entry.kind == EntryKind.COMMAND else ""
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


_Texts = dict[type, Callable[[Any], str]]
_EVENTS: _Texts = {
    ev.RequestReceived: lambda e: f"{e.reply_to} asks: {request_text(e.request)}",
    ev.ResponseReceived: lambda e: f"{e.peer_id} answers #{e.rpc_id}: {response_text(e.response)}",
    ev.SnapshotDelivered: lambda e: f"{e.peer_id} answers #{e.rpc_id}: {response_text(e.response)}",
    ev.RequestFailed: lambda e: f"#{e.rpc_id} to {e.peer_id} failed",
    ev.SnapshotReceived: lambda e: (
        f"body of {request_text(e.request)} {'stored' if e.ok else 'lost'}"
    ),
    ev.Propose: lambda e: f"propose {len(e.proposals)}: {command_text(e.proposals[0][1])}",
    ev.ChangeRequested: lambda e: f"change {e.change.kind.name.lower()} {e.change.server_id}",
}


def event_text(event: Any) -> str:
    """An event of a node, as text."""
    text = _EVENTS.get(type(event))
    if text:
        return text(event)
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


def _rejected_text(effect: fx.Rejected) -> str:
    names = " ".join(str(h) for h in effect.handles)
    detail = f" ({effect.detail})" if effect.detail else ""
    return f"rejected {names}: {effect.reason.value}{detail}"


def _role_text(effect: fx.RoleChanged) -> str:
    leader = f" leader {effect.leader_id}" if effect.leader_id else ""
    return f"{effect.role.value} term {effect.term}{leader}: {effect.cause}"


def _members_text(effect: fx.ConfigurationChanged) -> str:
    state = "committed" if effect.committed else "uncommitted"
    return f"configuration {effect.index} {state}: {configuration_text(effect.configuration)}"


_EFFECTS: _Texts = {
    fx.Send: lambda e: f"#{e.rpc_id} -> {e.to.id}: {request_text(e.request)}",
    fx.SendSnapshot: lambda e: f"#{e.rpc_id} -> {e.to.id}: send snapshot {e.index}",
    fx.Reply: lambda e: f"answer {e.reply_to}: {response_text(e.response)}",
    fx.ReceiveSnapshot: lambda e: f"receive {request_text(e.request)}",
    fx.RestoreSnapshot: lambda e: f"restore snapshot {e.index}/{e.term}",
    fx.Persist: _persist_text,
    fx.Apply: lambda e: f"apply {entries_text(e.entries)}",
    fx.ReadReady: lambda e: "read " + " ".join(str(h) for h in e.handles),
    fx.Done: lambda e: f"done {e.handle}: {e.leader_id} leads",
    fx.Rejected: _rejected_text,
    fx.RoleChanged: _role_text,
    fx.Greet: lambda e: f"greet {', '.join(e.server_ids)}",
    fx.ConfigurationChanged: _members_text,
}


def effect_text(effect: Any) -> str:
    """An effect that a node wants done, as text."""
    return _EFFECTS[type(effect)](effect)
