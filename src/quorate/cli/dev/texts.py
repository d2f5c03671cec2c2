"""What `quorate dev` says. Pure: facts in, text out."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from quorate.cli.dev.plan import ServerPlan
from quorate.cli.dev.ports import PortPlan, PortSet
from quorate.client import RaftConfiguration


def program() -> str:
    """How the user can call us: `quorate` if it is on the PATH, else by a path that works."""
    beside = Path(sys.executable).with_name("quorate")
    found = shutil.which("quorate")
    if not beside.exists():
        return "quorate" if found else shlex.join([sys.executable, "-m", "quorate"])
    if found and Path(found).samefile(beside):
        return "quorate"
    return shlex.quote(str(beside))


def skipped_ports(plan: PortPlan) -> list[str]:
    """One line for each set of ports that could not be used."""
    return [
        f"==> Port {taken} is in use: skipping {_range(ports)}" for ports, taken in plan.skipped
    ]


def _range(ports: PortSet) -> str:
    return f"{ports.http} to {ports.serf}"


def starting(servers: Sequence[ServerPlan], folder: Path, *, again: bool) -> str:
    """The first lines."""
    many = "1 server" if len(servers) == 1 else f"{len(servers)} servers"
    verb = "Starting again" if again else "Starting"
    return f"==> {verb}: {many} on 127.0.0.1\n==> Data and logs: {folder}"


def what_next(
    call: str,
    servers: Sequence[ServerPlan],
    pids: Sequence[int],
    configuration: RaftConfiguration,
    agent: Sequence[Sequence[str]],
) -> str:
    """Commands to copy: list, kill, list, remove, bring back, curl.

    `pids` and `agent` (the command of each server) are in the order of `servers`.
    """
    if len(servers) == 1:
        return _alone(call, servers[0])
    victim = _leader_number(servers, configuration)
    other = servers[(victim + 1) % len(servers)]
    ask = f"-address={other.http_address}"
    node_id = next(
        (s.id for s in configuration.servers if s.address == servers[victim].rpc_address), "<id>"
    )
    steps = (
        ("Ask another server", f"{call} operator raft list-peers {ask}"),
        (f"Kill {servers[victim].name}, the leader", f"kill -9 {pids[victim]}"),
        ("See who leads now", f"{call} operator raft list-peers {ask}"),
        (
            "If it were lost for good: remove it",
            f"{call} operator raft remove-peer -peer-id={node_id} {ask}",
        ),
        ("Bring it back (in another terminal)", shlex.join(agent[victim])),
        (
            "The same API without a client",
            f"curl '{other.http_address}/v1/operator/raft/configuration?pretty'",
        ),
    )
    return _steps(steps)


def _alone(call: str, server: ServerPlan) -> str:
    steps = (
        ("List it", f"{call} operator raft list-peers -address={server.http_address}"),
        (
            "The same API without a client",
            f"curl '{server.http_address}/v1/operator/raft/configuration?pretty'",
        ),
    )
    return _steps(steps)


def _steps(steps: Sequence[tuple[str, str]]) -> str:
    shown = "\n".join(f"  # {does}\n  {line}\n" for does, line in steps)
    return f"Try next:\n\n{shown}\nCtrl-C stops all servers."


def _leader_number(servers: Sequence[ServerPlan], configuration: RaftConfiguration) -> int:
    leading = {server.address for server in configuration.servers if server.leader}
    return next((n for n, s in enumerate(servers) if s.rpc_address in leading), 0)


def exited(server: ServerPlan, pid: int, how: str, last_lines: Sequence[str], *, left: int) -> str:
    """A server ended by itself, or was killed; `left` others go on."""
    others = "the others stay up" if left else "none is left"
    lines = [f"==> {server.name} (pid {pid}) {how}; {others}."]
    if last_lines:
        lines.append(f"    Last lines of {server.log}:")
        lines += [f"    | {line}" for line in last_lines]
    return "\n".join(lines)


def farewell(call: str, folder: Path) -> str:
    """The last line: where everything is, and how to go on."""
    return (
        f"==> All servers stopped. Data and logs stay in {folder}\n"
        f"==> The same cluster again: {call} dev -data-dir={shlex.quote(str(folder))}"
    )


def still_running(server: ServerPlan) -> str:
    """A server that somebody else started again."""
    return (
        f"==> {server.name} runs in another terminal ({server.http_address}): "
        "stop it there with Ctrl-C."
    )
