"""Voters that are not there, or do not reach each other."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.diagnosis.causes.processes import elsewhere, of_process
from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Failure, Finding, Member, Severity, Trouble
from quorate.diagnosis.words import NAMED_MAX, command, counted, lasting, listed, quoted

_WORDS = {
    Trouble.DNS: "its name has no address",
    Trouble.DNS_SILENT: "its name could not be looked up: the DNS does not answer",
    Trouble.REFUSED: "connections are refused: no server runs there",
    Trouble.SILENT: "no answer: the machine is off or cut off, or the process hangs",
    Trouble.HANGS: "its machine takes connections, and its process does not answer: it hangs, or "
    "was stopped",
    Trouble.UNREACHABLE: "the network has no way there",
    Trouble.CLOSED: "connections are closed",
    Trouble.TLS: "TLS fails",
    Trouble.EXPIRED: "its certificate has expired",
    Trouble.GARBAGE: "something else listens there",
    Trouble.STRANGER: "another server is there, or one that is not believed",
    Trouble.DENIED: "it does not let itself be asked",
    Trouble.UNCHECKED: "it cannot check the token that it was asked with",
}


def quorum(picture: Picture) -> Iterator[Finding]:
    """Too few voters, fewer than all, or enough of them that do not reach each other."""
    if not picture.voters or not picture.servers:
        return
    missing, present = picture.missing, picture.present
    lines = tuple(_missing_line(picture, voter) for voter in missing)
    if len(present) < picture.quorum:
        if picture.leader_address:
            yield _unseen(picture, lines)
            return
        yield Finding(
            cause="quorum-unreachable",
            weight=60,
            severity=Severity.CAUSE,
            text=f"{len(present)} of {counted(len(picture.voters), 'voter')} can be reached, and "
            f"{picture.quorum} are needed",
            shown_by=lines,
            next=_bring_back(picture),
        )
        return
    if missing:
        spare = len(present) - picture.quorum
        of_all = f"{len(present)} of {counted(len(picture.voters), 'voter')} can be reached"
        more = f"{counted(spare, 'more loss')} can be borne" if spare == 1 else f"{spare} more can"
        yield Finding(
            cause="voter-missing" if spare else "no-spare-voter",
            weight=20 if spare else 27,
            severity=Severity.WARNING,
            text=f"{of_all}: {more}"
            if spare
            else f"no spare voter is left: {of_all}, and {picture.quorum} are needed; one more "
            "loss ends the quorum",
            shown_by=lines,
            next=(
                *standing_still(picture),
                _replace(picture),
            ),
        )
    if not picture.leader_address:
        yield from _no_way(picture)


def _replace(picture: Picture) -> str:
    """A newcomer at the address of a lost server takes its place; elsewhere both are members."""
    removals = [
        picture.ask(f"operator raft remove-peer -peer-id={voter.id}")
        for voter in picture.missing[:NAMED_MAX]
    ]
    return (
        "start it again with its data folder; or, if that is lost, start a new server with an "
        "empty data folder at its address: it takes its place by itself; at another address, take "
        f"the lost one out besides: {'; '.join(removals)}"
    )


def _unseen(picture: Picture, lines: tuple[str, ...]) -> Finding:
    return Finding(
        cause="voters-not-asked",
        weight=15,
        severity=Severity.WARNING,
        text=f"there is a leader, {picture.leader_name}, but {len(picture.missing)} of "
        f"{counted(len(picture.voters), 'voter')} could not be asked from here",
        shown_by=lines,
        next=("give the HTTP addresses of the other servers with -address",),
    )


def _missing_line(picture: Picture, voter: Member) -> str:
    name = picture.name(voter.id, voter.address)
    name = name if voter.address in name else f"{name} ({voter.id} at {voter.address})"
    said = _why(picture.failures_of(voter))
    silent_s = picture.silent_s(voter.id)
    if silent_s is None:
        since = "; not heard since the servers that answer were started"
    else:
        since = "" if silent_s < 1 else f"; last heard {lasting(silent_s)} ago"
    return f"{name}: {said}{since if _tells(picture, voter.id) else ''}"


def _tells(picture: Picture, server_id: str) -> bool:
    """True if a server that answers tells when it heard of this one; Nomad's do not."""
    return any(peer.id == server_id for s in picture.main for peer in s.told.peers)


def _why(failures: list[tuple[str, Failure]]) -> str:
    if not failures:
        return "nobody has had an answer from it"
    kinds = dict.fromkeys(failure.kind for _, failure in failures)
    parts = []
    for kind in kinds:
        askers = listed(who for who, failure in failures if failure.kind is kind)
        text = next(failure.text for _, failure in failures if failure.kind is kind)
        special = kind in {Trouble.STRANGER, Trouble.TLS, Trouble.GARBAGE}
        parts.append(f"{_WORDS[kind]} (tried by {askers})" + (f": {text}" if special else ""))
    return "; ".join(parts)


def _bring_back(picture: Picture) -> tuple[str, ...]:
    if any(server.prepared for server in picture.servers):
        return ("carry the recovery out that is prepared, or give it up: see above",)
    needed = picture.quorum - len(picture.present)
    names = listed(picture.name(voter.id) for voter in picture.missing)
    is_nomad = any(server.make != "Quorate" for server in picture.main)
    verb = "recover peers-json" if is_nomad else "recover plan -out=plan.json"
    http = [f"-address={quoted(server.http)}" for server in picture.main if server.http]
    words = (
        "quorate operator",
        verb,
        *(http or ("DIR...",)),
        *(picture.world.options if http else ()),
    )
    recover = command(" ".join(words))
    return (
        *standing_still(picture),
        f"start {needed} of {names} again, with the data folders that they have: that is all",
        f"if their data is lost for good (docs/outage.md): {recover}",
    )


def standing_still(picture: Picture) -> Iterator[str]:
    """For missing voters that may still have their process: look at it before it is started again.

    That a machine takes connections while its server is silent shows that the process is there.
    """
    silent = {Trouble.SILENT, Trouble.HANGS}
    for voter in picture.missing:
        name, failures = picture.name(voter.id, voter.address), picture.failures_of(voter)
        if not any(failure.kind in silent for _, failure in failures):
            continue
        if (process := picture.process_of(voter)) is not None:
            yield of_process(name, process)
    names = [
        picture.name(voter.id, voter.address)
        for voter in picture.missing
        if picture.process_of(voter) is None
        and any(failure.kind in silent for _, failure in picture.failures_of(voter))
    ]
    if names:
        yield elsewhere(f"first look at the process, on the machine of {listed(names)}")


def _no_way(picture: Picture) -> Iterator[Finding]:
    """A majority answers, and none leads: do its members reach each other?"""
    askers = [s for s in picture.main if s.http and any(v.id == s.id for v in picture.voters)]
    best = max((len(picture.reaches(server)) for server in askers), default=0)
    cuts = [
        f"{picture.name(each.by)} does not reach {picture.name(each.of, each.address)} at "
        f"{each.address}: {each.failure.text}"
        for each in picture.world.reports
        if any(voter.id == each.of for voter in picture.present)
    ]
    if cuts and best < picture.quorum:
        yield Finding(
            cause="voters-apart",
            weight=61,
            severity=Severity.CAUSE,
            text=f"a majority answers, but none of them reaches the {picture.quorum} voters that "
            "are needed",
            shown_by=tuple(cuts),
            next=(
                (
                    "open the RPC ports between the servers, both ways; see that each one "
                    "advertises an address that the others can dial (advertise.rpc)"
                ),
            ),
        )
