"""The texts of `quorate dev`. Pure: facts in, text out."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from quorate.cli.dev.plan import ServerPlan, by_region
from quorate.cli.dev.ports import PortPlan, PortSet


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
    regions = by_region(servers)
    many = "1 server" if len(servers) == 1 else f"{len(servers)} servers"
    if len(regions) > 1:
        many += f" of {len(regions)} regions ({', '.join(regions)})"
    verb = "Starting again" if again else "Starting"
    return f"==> {verb}: {many} on 127.0.0.1\n==> Data and logs: {folder}"


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
    """A server that another process started again."""
    return (
        f"==> {server.name} runs in another terminal ({server.http_address}): "
        "stop it there with Ctrl-C."
    )
