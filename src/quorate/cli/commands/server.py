"""`quorate server ...` and `quorate agent-info` (docs/cli.md#commands)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table, word
from quorate.client import Client, ClientError, Member, Members

LEFT_S = 3.0
LOOK_S = 0.2
"""For how long, and how often, a member is looked at after force-leave."""

Column = tuple[str, Callable[[Member], str]]


def members(context: Context) -> int:
    """List the pool; exit code 1 if a region does not say who leads it."""
    flags = context.flags
    with context.client() as client:
        with doing("Error querying servers: "):
            answer = client.agent_members()
        found = sorted(answer.members, key=lambda member: member.name)
        if flags.on("json") or "t" in flags.values:
            return context.show(_raw_members(answer), lambda: None)
        if flags.on("detailed"):
            context.out.table(_table(DETAILED, found))
            return 0
        leaders, errors = _leaders(client, found)
    columns = _columns(leaders, verbose=flags.on("verbose"))
    context.out.table(_table(columns, found))
    if errors:
        context.out.line("")
        context.out.error("Error determining leaders: " + _several(errors) + "\n")
        if context.out.hints and (why := context.why_no_leader()):
            context.out.hint(why)
        return 1
    return 0


def _raw_members(answer: Members) -> list[object]:
    listed = answer.raw.get("Members") or []
    return sorted(listed, key=lambda member: str(member.get("Name", "")))


def _leaders(client: Client, found: Sequence[Member]) -> tuple[set[str], list[str]]:
    """RPC addresses of the regions' leaders, and one line for each region that gave none."""
    leaders: set[str] = set()
    errors: list[str] = []
    for region in sorted({member.tags.get("region", "") for member in found}):
        try:
            leaders.add(client.leader(region=region))
        except ClientError as error:
            errors.append(f'Region "{region}": {error.text}')
    return leaders, errors


def _several(errors: Sequence[str]) -> str:
    """Several errors in the form of the Go programs."""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {error}\n" for error in errors)


def _tag(name: str) -> Callable[[Member], str]:
    return lambda member: member.tags.get(name, "")


def _tags(member: Member) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(member.tags.items()))


PLACE: tuple[Column, ...] = (
    ("Name", lambda member: member.name),
    ("Address", lambda member: member.addr),
    ("Port", lambda member: str(member.port)),
)
DETAILED: tuple[Column, ...] = (*PLACE, ("Tags", _tags))


def _columns(leaders: set[str], *, verbose: bool) -> tuple[Column, ...]:
    return (
        *PLACE,
        ("Status", lambda member: member.status),
        ("Leader", lambda member: word(member.rpc_address in leaders)),
        *([("Protocol", lambda member: str(member.protocol_cur))] if verbose else []),
        ("Raft Version", _tag("raft_vsn")),
        ("Build", _tag("build")),
        ("Datacenter", _tag("dc")),
        ("Region", _tag("region")),
        *([("Tags", _tags)] if verbose else []),
    )


def _table(columns: Sequence[Column], found: Sequence[Member]) -> str:
    heading = [title for title, _ in columns]
    return format_table([heading, *([cell(member) for _, cell in columns] for member in found)])


def join(context: Context) -> int:
    """Have the agent join other servers; one that is reached is enough."""
    with context.client() as client, doing("Error joining: "):
        answer = client.join(context.flags.args)
    if not answer.num_joined:
        raise Failure(
            f"Error joining: failed joining: {answer.error}",
            "give the gossip address (port 4648 if none is given) of a server that runs",
        )
    context.out.line(f"Joined {answer.num_joined} servers successfully")
    if answer.warning:
        context.out.error(f"Not joined: {answer.warning.rstrip()}")
    return 0


def force_leave(context: Context) -> int:
    """Declare a failed server left. As ever it prints nothing; what came of it is a hint."""
    (node,) = context.flags.args
    prune = context.flags.on("prune")
    with context.client() as client:
        unknown = _unknown(client, node) if context.out.hints else ""
        with doing(f"Error force-leaving server {node}: "):
            client.force_leave(node, prune=prune)
        if context.out.hints:
            context.out.hint(unknown or _left(client, node, prune=prune))
    return 0


def _left(client: Client, node: str, *, prune: bool) -> str:
    """What has become of the member: the news takes a moment to spread, and a live one objects."""
    until = time.monotonic() + LEFT_S
    status = ""
    while time.monotonic() < until:
        try:
            found = {member.name: member.status for member in client.agent_members().members}
        except ClientError:
            break
        status = found.get(node, "pruned")
        if status in {"left", "pruned"}:
            break
        time.sleep(LOOK_S)
    if status in {"left", "pruned"}:
        gone = "is out of the pool" if prune else "has left the pool"
        return (
            f"{node} {gone}, and the leader takes it out of the Raft configuration if it does not "
            "answer. When it runs again it comes back by itself; to keep it out: "
            "quorate operator raft remove-peer"
        )
    return (
        f"{node} is {status or 'not known'} and stays in the pool and in the Raft configuration: "
        "this makes no server leave that runs. Stop it, or: quorate operator raft remove-peer"
    )


def _unknown(client: Client, node: str) -> str:
    """That no member has this name, and which one it may have been; else empty."""
    from difflib import get_close_matches

    try:
        names = [member.name for member in client.agent_members().members]
    except ClientError:
        return ""
    if node in names:
        return ""
    near = get_close_matches(node, names, n=1) or [n for n in names if n.startswith(f"{node}.")]
    meant = f"; did you mean {near[0]}?" if near else "; see quorate server members"
    return f"no member of the pool is named {node}, so nothing has changed{meant}"


def rejoin(context: Context) -> int:
    """Bring the agent that is asked back into the cluster that removed it."""
    with context.client() as client, doing("Error rejoining: "):
        answer = client.rejoin()

    def show_text() -> None:
        context.out.line(f"Rejoined as server {answer.id}")
        if answer.moved_aside:
            context.out.line(f"Its old data are in {answer.moved_aside}")

    return context.show(answer.raw, show_text)


def agent_info(context: Context) -> int:
    """Show the agent's statistics, section by section."""
    prefix = "Error querying agent info: failed querying self endpoint: "
    with context.client() as client, doing(prefix):
        found = client.agent_self()
    return context.show(found.raw, lambda: context.out.line(_sections(found.stats)))


def _sections(stats: dict[str, dict[str, object]]) -> str:
    lines: list[str] = []
    for section, figures in sorted(stats.items()):
        lines.append(section)
        lines += [f"  {key} = {value}" for key, value in sorted(figures.items())]
    return "\n".join(lines)
