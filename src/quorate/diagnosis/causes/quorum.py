"""Voters that are not there, or do not reach each other."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Failure, Finding, Member, Severity, Trouble
from quorate.diagnosis.words import command, counted, lasting, listed, quoted

_WORDS = {
    Trouble.DNS: "its name has no address",
    Trouble.REFUSED: "connections are refused: no server runs there",
    Trouble.SILENT: "no answer: the machine is off or cut off, or the process hangs",
    Trouble.UNREACHABLE: "the network has no way there",
    Trouble.CLOSED: "connections are closed",
    Trouble.TLS: "TLS fails",
    Trouble.EXPIRED: "its certificate has expired",
    Trouble.GARBAGE: "something else listens there",
    Trouble.STRANGER: "another server is there, or one that is not believed",
    Trouble.DENIED: "it does not let itself be asked",
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
        yield Finding(
            cause="voter-missing",
            weight=20,
            severity=Severity.WARNING,
            text=f"{len(present)} of {counted(len(picture.voters), 'voter')} can be reached: "
            f"{_room(picture)}",
            shown_by=lines,
            next=(
                (
                    "start it again with its data folder, or replace it: start a new server, then "
                    f"{picture.ask(f'operator raft remove-peer -peer-id={missing[0].id}')}"
                ),
            ),
        )
    if not picture.leader_address:
        yield from _no_way(picture)


def _room(picture: Picture) -> str:
    spare = len(picture.present) - picture.quorum
    if spare <= 0:
        return "if one more is lost there is no leader"
    return f"{counted(spare, 'more loss')} can be borne" if spare == 1 else f"{spare} more may go"


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
    since = "" if silent_s is None or silent_s < 1 else f"; last heard {lasting(silent_s)} ago"
    return f"{name}: {said}{since}"


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
        f"start {needed} of {names} again, with the data folders that they have: that is all",
        f"if their data is lost for good (docs/outage.md): {recover}",
    )


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
