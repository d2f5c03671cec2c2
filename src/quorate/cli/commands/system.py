"""`quorate status`, `monitor`, `system ...` and `config validate` (docs/cli.md#commands)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block, word
from quorate.client import Member


def collect(context: Context) -> int:
    """Have a cluster collect what is no longer needed. Nothing is printed."""
    with context.client() as client, doing("Error running system garbage-collection: "):
        client.collect_garbage()
    return 0


def reconcile(context: Context) -> int:
    """Have a cluster count its jobs again. Nothing is printed."""
    with context.client() as client, doing("Error running system summary reconciliation: "):
        client.reconcile_summaries()
    return 0


def monitor(context: Context) -> int:
    """Print the log of a server until it stops, or this command is ended."""
    flags = context.flags
    with context.client() as client, doing("Error starting monitor: "):
        lines = client.monitor(
            log_level=flags.text("log-level"),
            server_id=flags.text("server-id"),
            as_json=flags.on("json"),
        )
        for piece in lines:
            context.out.stdout.write(piece)
            context.out.stdout.flush()
    return 0


def status(context: Context) -> int:
    """Show one server: where it is, whether it lives, whether it leads and votes."""
    with context.client() as client:
        with doing("Error querying servers: "):
            answer = client.agent_members()
        own = f"{answer.server_name}.{answer.server_region}"
        wanted = context.flags.args[0] if context.flags.args else own
        member = _member(answer.members, wanted)
        with doing("Failed to retrieve raft configuration: "):
            peers = client.raft_configuration(stale=True).servers
    peer = next((each for each in peers if each.id == member.tags.get("id")), None)
    pairs = (
        ("Name", member.name),
        ("ID", member.tags.get("id", "")),
        ("Address", member.rpc_address),
        ("Region", member.tags.get("region", "")),
        ("Datacenter", member.tags.get("dc", "")),
        ("Status", member.status),
        ("Leader", word(peer.leader) if peer is not None else ""),
        ("Voter", word(peer.voter) if peer is not None else ""),
        ("Build", member.tags.get("build", "")),
    )
    context.out.line(format_block(pairs))
    return 0


def _member(members: Sequence[Member], wanted: str) -> Member:
    """The one of that name or ID; a name may lack its region where only one server has it."""
    found = [each for each in members if wanted in {each.name, each.tags.get("id")}]
    found = found or [each for each in members if each.name.rpartition(".")[0] == wanted]
    if len(found) != 1:
        many = "no server has" if not found else f"{len(found)} servers have"
        raise Failure(f"{many} the name or ID {wanted!r}", "see them by: quorate server members")
    return found[0]


def validate(context: Context) -> int:
    """Read configuration files as an agent does, and say what is wrong with them."""
    from quorate.config.load import load
    from quorate.config.read.hcl_apart import read_hcl_apart
    from quorate.errors import QuorateError

    paths = [Path(path) for path in context.flags.args]
    try:
        _, notes = load(paths, read_hcl=read_hcl_apart)
    except QuorateError as error:
        raise Failure(f"1 error occurred:\n\t* {error.text}\n", error.next_step) from error
    for line in notes.error_lines():
        context.out.error(line)
    context.out.line("Configuration is valid!")
    return 0
