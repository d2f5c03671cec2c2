"""From the core's reasons to the errors a caller meets."""

from __future__ import annotations

from quorate.errors import (
    ChangeOvertaken,
    ChangeRefused,
    LeadershipLost,
    MachineHeld,
    NotLeader,
    NotReady,
    Overloaded,
    QuorateError,
    ReplicaStopped,
    StateDamaged,
    StorageFull,
)
from quorate.raft.effects import Reason

_NEXT_STEPS = {
    Reason.QUORUM_AT_RISK: "bring a voter back, or remove a dead one first",
    Reason.CHANGE_PENDING: "try again in a moment",
    Reason.CHANGE_STALE: "read the configuration again, then decide again",
    Reason.TRANSFERRING: "try again in a moment",
    Reason.NOT_CAUGHT_UP: "add it as a non-voter, and wait until it has caught up",
    Reason.NO_TARGET: "see which servers are healthy voters, and name one",
    Reason.TRANSFER_TIMED_OUT: "see whether the target is reachable and caught up, then try again",
    Reason.TRANSFER_LOST: "ask again if it still matters which server leads",
}

_NO_ROOM = (
    "free room on that disk, or, on a server: quorate operator raft compact; reads go on, and "
    "writes resume by themselves"
)

_PLAIN = {Reason.LEADERSHIP_LOST: LeadershipLost, Reason.NOT_READY: NotReady}
_TOO_MUCH = {
    Reason.OVERLOADED: "try again more slowly",
    Reason.LOG_AT_BOUND: "try again in a moment; if it lasts, see the leader's log and health",
}
_MACHINE: dict[Reason, type[QuorateError]] = {
    Reason.MACHINE_DAMAGED: StateDamaged,
    Reason.MACHINE_HELD: MachineHeld,
}


def error_for(
    reason: Reason, detail: str = "", leader_id: str = "", leader_address: str = ""
) -> QuorateError:
    """The error that says `reason`."""
    if reason is Reason.NOT_LEADER:
        return NotLeader(leader_id, leader_address)
    if reason in _PLAIN:
        return _PLAIN[reason]()
    text = f"{reason.value}: {detail}" if detail else reason.value
    if reason in _MACHINE:
        return _MACHINE[reason](text, "ask another server")
    if reason is Reason.STORAGE_FULL:
        return StorageFull(text, _NO_ROOM)
    if reason in _TOO_MUCH:
        return Overloaded(text, _TOO_MUCH[reason])
    if reason is Reason.QUORUM_AT_RISK:
        text = f"{detail}; force=true removes it all the same"
    overtaken = reason in {Reason.CHANGE_STALE, Reason.CHANGE_PENDING}
    kind = ChangeOvertaken if overtaken else ChangeRefused
    return kind(text, _NEXT_STEPS.get(reason, ""))


def _named(error: BaseException) -> str:
    """An error of ours speaks for itself; another one needs its class to be understood."""
    if isinstance(error, QuorateError):
        return error.text
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def ended_by(error: BaseException) -> ReplicaStopped:
    """The error of callers that meet a replica which has ended because of `error`."""
    stopped = ReplicaStopped(
        f"this replica has ended: {_named(error)}",
        "see its log for the cause, then start it again",
    )
    stopped.__cause__ = error
    return stopped
