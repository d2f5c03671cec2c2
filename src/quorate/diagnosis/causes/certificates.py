"""Certificates that count no more, or soon will not."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import command, counted, quoted

WARNED_DAYS = 30

_PLACE = "put it in the place of the old one, the key first (docs/tls.md#renewal)"


def certificates(picture: Picture) -> Iterator[Finding]:
    """Of each server that tells of its own; of others that which it has shown at its address."""
    for server in picture.servers:
        tls = server.told.tls
        if tls.problem:
            yield _expired(server, tls.problem)
        elif tls.enabled and tls.days_left < WARNED_DAYS:
            yield _expiring(f"the certificate of {server.node}", tls.days_left, _make(server))
        for worry in tls.others:
            yield Finding(
                cause="tls-warning",
                weight=19,
                severity=Severity.WARNING,
                text=f"the TLS of {server.node} is to be seen to",
                shown_by=(worry,),
                next=(f"see all that it says: {picture.health(server)}",),
            )
    tellers = {server.http for server in picture.servers if server.told.tls.enabled}
    for asked in picture.world.asked:
        days = asked.certificate_days
        if asked.address not in tellers and days is not None and days < WARNED_DAYS:
            yield _expiring(
                f"the certificate at {asked.address}",
                days,
                f"make a new one, and put it in the place of the old one: {_tool('global')}",
            )


def _expired(server: Server, problem: str) -> Finding:
    return Finding(
        cause="certificate-expired",
        weight=94,
        severity=Severity.CAUSE,
        text=f"the certificate of {server.node} does not count: the other servers refuse it",
        shown_by=(problem,),
        next=(_make(server),),
    )


def _expiring(what: str, days: float, step: str) -> Finding:
    left = f"in {counted(int(days), 'day')}" if days >= 1 else "within a day"
    return Finding(
        cause="certificate-expires",
        weight=29,
        severity=Severity.WARNING,
        text=f"{what} expires {left}; after that it is refused",
        shown_by=(f"{days * 24:.0f} h are left",),
        next=(step,),
    )


def _make(server: Server) -> str:
    tool = _tool(server.told.region or "global")
    if server.told.tls.of_authority:
        return "its authority ends first: see docs/tls.md#renewal for the way to a new one"
    return f"make a new one, where the authority's key is: {tool}; {_PLACE}"


def _tool(region: str) -> str:
    return command(f"quorate tls cert create -server -region={quoted(region)}")
