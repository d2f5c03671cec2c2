"""`quorate operator raft ...` (docs/cli.md#commands)."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table, word
from quorate.client import RaftConfiguration, RaftServer

HEADING = ("Node", "ID", "Address", "State", "Voter", "RaftProtocol")
KNOWN = ("Status", "Last Contact", "Last Name", "Verdict")


def list_peers(context: Context) -> int:
    """List the servers of the Raft configuration, sorted by name."""
    with context.client() as client, doing("Failed to retrieve raft configuration: "):
        configuration = client.raft_configuration(stale=context.flags.on("stale"))
    verbose = context.flags.on("verbose")
    context.show(
        configuration.raw,
        lambda: context.out.table(peers_table(configuration, verbose=verbose)),
    )
    if context.out.hints and not any(server.leader for server in configuration.servers):
        context.out.hint(context.why_no_leader() or "this agent knows no leader")
    return 0


def peers_table(configuration: RaftConfiguration, *, verbose: bool = False) -> str:
    """The servers as a table, sorted by name; `verbose` with what is known of the absent."""
    servers = sorted(configuration.servers, key=lambda server: (server.node, server.id))
    rows = [
        (s.node, s.id, s.address, s.state, word(s.voter), s.raft_protocol or "unknown")
        for s in servers
    ]
    if not verbose:
        return format_table([HEADING, *rows])
    known = [(s.status, s.last_contact, s.last_name, verdict(s, servers)) for s in servers]
    wide = [(*row, *more) for row, more in zip(rows, known, strict=True)]
    return format_table([(*HEADING, *KNOWN), *wide])


def verdict(server: RaftServer, servers: Sequence[RaftServer]) -> str:
    """The word on a server, and on the quorum if it is taken out; empty: no word."""
    if not server.status:
        return ""
    if server.status == "alive":
        return "ok" if server.voter else "no vote yet"
    if server.status in {"leaving", "left"}:
        return "is leaving"
    rest = [one for one in servers if one.voter and one.id != server.id]
    live = sum(one.status == "alive" for one in rest)
    seen = "not seen since the servers started" if server.status == "unknown" else "not answering"
    if not server.voter:
        return f"{seen}; can be removed: it has no vote"
    if 2 * live > len(rest):
        return f"{seen}; can be removed: {live} of {len(rest)} other voters live"
    return f"{seen}; do not remove: only {live} of {len(rest)} other voters live"


def remove_peer(context: Context) -> int:
    """Remove a server from the Raft configuration."""
    prefix = "Error removing peer: "
    server_id, address = _peer(
        context, prefix, "an address or id is required for the peer to remove"
    )
    with context.client() as client, doing(prefix):
        client.remove_raft_peer(
            server_id=server_id, address=address, force=context.flags.on("force")
        )
    context.out.line(f"Removed peer with {_named(server_id, address)}")
    return 0


def transfer_leadership(context: Context) -> int:
    """Hand leadership over."""
    prefix = "Error transferring leadership to peer: "
    server_id, address = _peer(
        context, prefix, "an address or id is required for the destination peer"
    )
    with context.client() as client, doing(prefix):
        client.transfer_leadership(server_id=server_id, address=address)
    context.out.line(f"Transferred leadership to peer with {_named(server_id, address)}")
    return 0


def _peer(context: Context, prefix: str, missing: str) -> tuple[str, str]:
    server_id, address = context.flags.text("peer-id"), context.flags.text("peer-address")
    if not server_id and not address:
        raise Failure(prefix + missing, "see 'quorate operator raft list-peers' for both")
    if server_id and address:
        raise Failure(prefix + "cannot give both an address and id", "give one of them")
    return server_id, address


def _named(server_id: str, address: str) -> str:
    return f'id "{server_id}"' if server_id else f'address "{address}"'
