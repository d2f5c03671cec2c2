"""Addresses that cannot be dialed although something could be done about it."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.diagnosis.causes.processes import elsewhere, of_process
from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Asked, Finding, Severity, Trouble
from quorate.diagnosis.words import command, quoted


def addresses(picture: Picture) -> Iterator[Finding]:
    """Names without an address, loopback addresses, TLS, strangers at an address."""
    yield from _names(picture)
    yield from _loopback(picture)
    yield from _one_way(picture)
    for asked in picture.world.asked:
        if asked.failure is not None and not asked.guessed:
            yield from _asked(picture, asked)


def _names(picture: Picture) -> Iterator[Finding]:
    bad = {
        each.address: each.failure.text
        for each in picture.world.dialed
        if each.failure is not None and each.failure.kind in _OF_NAMES
    }
    silent = {
        each.address
        for each in picture.world.dialed
        if each.failure is not None and each.failure.kind is Trouble.DNS_SILENT
    }
    for report in picture.world.reports:
        if report.failure.kind in _OF_NAMES and report.address not in bad:
            bad[report.address] = f"{picture.name(report.by)}: {report.failure.text}"
            silent |= {report.address} if report.failure.kind is Trouble.DNS_SILENT else set()
    used = {member.address: member for member in picture.members}
    for voter in picture.present:  # it answers the others: only this machine knows no address
        bad.pop(voter.address, None)
    for server in picture.servers:
        trouble = server.told.gossip.trouble
        for address in server.told.gossip.join:
            host = address.rpartition(":")[0] or address
            if "no such host" in trouble and host in trouble:
                bad.setdefault(address, f"{server.node}: {trouble}")
    for address, text in sorted(bad.items()):
        member = used.get(address)
        what = (
            f"the address of {picture.name(member.id)} in the Raft configuration"
            if member is not None
            else "an address to join"
        )
        why = (
            "the DNS does not answer for its name"
            if address in silent
            else "its name has no address"
        )
        reached = bool(picture.leader_address) or (
            member is None and len(picture.present) >= picture.quorum
        )
        yield Finding(
            cause="address-dns",
            weight=72,
            severity=Severity.WARNING if reached else Severity.CAUSE,
            text=f"{address} cannot be dialed: {why} ({what})",
            shown_by=(text,),
            next=(_look_up(address, silent=address in silent),),
        )


def _look_up(address: str, *, silent: bool) -> str:
    host = (address.rpartition(":")[0] or address).strip("[]")
    cure = (
        "see whether the DNS servers in /etc/resolv.conf answer, or give IP addresses"
        if silent
        else "correct the name, or the DNS"
    )
    return f"{cure}; what a machine sees of it: {command(f'getent hosts {quoted(host)}')}"


def _loopback(picture: Picture) -> Iterator[Finding]:
    hosts = {member.id: member.address.rpartition(":")[0].strip("[]") for member in picture.members}
    local = {server_id for server_id, host in hosts.items() if _is_loopback(host)}
    if not local or len(local) == len(hosts):
        return
    for member in picture.members:
        if member.id in local:
            name = picture.name(member.id, member.address)
            yield Finding(
                cause="address-loopback",
                weight=73,
                severity=Severity.CAUSE,
                text=f"{name} advertises {member.address}, which the other machines cannot dial",
                shown_by=tuple(f"{m.id}: {m.address}" for m in picture.members),
                next=("set advertise.rpc to an address of that machine's network, and restart it",),
            )


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _one_way(picture: Picture) -> Iterator[Finding]:
    """A server that answers here, and is not reached by the others at its RPC address."""
    for server in picture.servers:
        reports = [
            each
            for each in picture.world.reports
            if (each.of, each.address) == (server.id, server.address)
            and each.failure.kind is not Trouble.DENIED
        ]
        askers = {each.by for each in reports} - {server.id}
        able = {s.id for s in picture.servers if s.http} - {server.id}
        if not server.http or not askers or askers != able:
            continue
        yield Finding(
            cause="address-not-reached",
            weight=71,
            severity=Severity.WARNING if picture.leader_address else Severity.CAUSE,
            text=f"{server.node} runs, but no other server reaches its RPC address "
            f"{server.address}",
            shown_by=tuple(f"{picture.name(each.by)}: {each.failure.text}" for each in reports),
            next=(
                (
                    "open that port between the servers, or correct advertise.rpc and restart the "
                    "server"
                ),
            ),
        )


_BY_SOCKET = command("quorate operator diagnose -address=unix://DATA_DIR/control.sock")
_OF_NAMES = {Trouble.DNS, Trouble.DNS_SILENT}
_WORDS = {
    Trouble.TLS: ("tls-refused", 72, "TLS fails at {}"),
    Trouble.EXPIRED: ("certificate-expired", 94, "the certificate at {} has expired"),
    Trouble.GARBAGE: ("not-an-agent", 14, "what answers at {} is no agent"),
    Trouble.DENIED: ("denied", 13, "{} tells no details without a token that allows it"),
    Trouble.UNCHECKED: (
        "denied",
        13,
        "{} tells no details by network: without a leader it cannot check the token",
    ),
    Trouble.DNS: ("agent-not-reached", 11, "{} cannot be asked: its name has no address"),
    Trouble.DNS_SILENT: (
        "agent-not-reached",
        11,
        "{} cannot be asked: the DNS does not answer for its name",
    ),
    Trouble.REFUSED: ("agent-not-reached", 11, "{} cannot be asked: connections are refused"),
    Trouble.SILENT: ("agent-not-reached", 11, "{} does not answer"),
    Trouble.HANGS: ("agent-not-reached", 11, "{} takes connections, and does not answer"),
    Trouble.UNREACHABLE: ("agent-not-reached", 11, "{} cannot be asked: there is no way there"),
    Trouble.CLOSED: ("agent-not-reached", 11, "{} closes connections"),
}
_NEXT = {
    Trouble.TLS: "see -ca-cert, -client-cert and -tls-server-name; openssl s_client shows the "
    "certificate",
    Trouble.EXPIRED: "renew it, and reload the server (SIGHUP)",
    Trouble.GARBAGE: "give the address of the HTTP API",
    Trouble.DENIED: "give a token with the capability raft-read (-token-file); or, on its machine, "
    f"{_BY_SOCKET}",
    Trouble.UNCHECKED: "on its machine, and on that of each other server that runs, ask over the "
    f"control socket, which needs no token: {_BY_SOCKET}",
    Trouble.CLOSED: "see the log of what listens there, or correct the address",
    Trouble.REFUSED: "start the server there, or give the address of its HTTP API",
    Trouble.SILENT: elsewhere("see whether the machine is on, and look at the process there"),
    Trouble.HANGS: elsewhere("look at the process there"),
    Trouble.DNS_SILENT: "see whether the DNS servers in /etc/resolv.conf answer, or give its IP "
    "address",
}


def _asked(picture: Picture, asked: Asked) -> Iterator[Finding]:
    """An address that a person gave, and that does not answer."""
    failure = asked.failure
    if failure is None or failure.kind not in _WORDS:
        return
    cause, weight, text = _WORDS[failure.kind]
    hard = failure.kind in {Trouble.TLS, Trouble.EXPIRED} and not picture.leader_address
    yield Finding(
        cause=cause,
        weight=weight,
        severity=Severity.CAUSE if hard else Severity.WARNING,
        text=text.format(asked.address),
        shown_by=(failure.text,),
        next=(
            _NEXT.get(failure.kind, "correct the address")
            if asked.process is None
            else of_process(f"the agent at {asked.address}", asked.process),
        ),
    )
