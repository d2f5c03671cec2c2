"""What a dev cluster consists of, before anything is started.

A folder that holds a cluster keeps its plan: the configuration files in it say how many servers
there are and on which ports, because the servers know each other by these addresses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from quorate.cli.context import Failure
from quorate.cli.dev.ports import HOST, PortPlan, PortSet, first_taken, plan_ports

DEFAULT_SERVERS = 3
MOST_SERVERS = 7
DEFAULT_HTTP_PORT = 4646


class Wish(NamedTuple):
    """What was asked for. `folder` is None for a new one in the temporary folder."""

    folder: Path | None
    servers: int
    http_port: int
    servers_given: bool = False
    http_port_given: bool = False


class ServerPlan(NamedTuple):
    """One server: its name, ports and places."""

    name: str
    ports: PortSet
    data_dir: Path
    config: Path
    log: Path

    @property
    def http_address(self) -> str:
        """Where its API answers."""
        return f"http://{HOST}:{self.ports.http}"

    @property
    def rpc_address(self) -> str:
        """How the servers know it."""
        return f"{HOST}:{self.ports.rpc}"


def choose_ports(wish: Wish, is_free: Callable[[int], bool]) -> tuple[PortPlan, bool]:
    """The ports to use, and True if they are those of a cluster that comes back.

    Raises Failure when the folder does not fit the wish, or its ports are in use.
    """
    before = read_back(wish.folder) if wish.folder else ()
    if not before:
        return plan_ports(wish.servers, wish.http_port, is_free), False
    if wish.servers_given and wish.servers != len(before):
        raise Failure(
            f"Error: {wish.folder} holds a cluster of {len(before)}, not of {wish.servers}",
            "leave out -servers, or give another -data-dir",
        )
    if wish.http_port_given and wish.http_port != before[0].http:
        raise Failure(
            f"Error: the cluster in {wish.folder} uses HTTP port {before[0].http} and keeps it",
            "leave out -http-port, or give another -data-dir",
        )
    for number, ports in enumerate(before, start=1):
        taken = first_taken(ports, is_free)
        if taken is not None:
            raise Failure(
                f"Error: port {taken} of server-{number} in {wish.folder} is in use",
                "stop what uses it; perhaps this cluster is running already",
            )
    return PortPlan(before, ()), True


def read_back(folder: Path) -> tuple[PortSet, ...]:
    """The ports of the cluster that lives in `folder`; empty if there is none.

    Raises Failure for a folder with other things in it, or a damaged configuration.
    """
    if not folder.exists():
        return ()
    if not folder.is_dir():
        raise Failure(f"Error: -data-dir {folder} is not a folder")
    found: list[PortSet] = []
    while (path := folder / f"server-{len(found) + 1}.json").exists():
        try:
            ports = json.loads(path.read_text())["ports"]
            found.append(PortSet(int(ports["http"]), int(ports["rpc"]), int(ports["serf"])))
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"Error: {path} is not a configuration of quorate dev: {error!r}",
                "repair it, or give another -data-dir",
            ) from error
    if not found and any(folder.iterdir()):
        raise Failure(
            f"Error: {folder} is not empty and holds no cluster of quorate dev",
            "give a new or an empty folder to -data-dir",
        )
    return tuple(found)


def lay_out(folder: Path, ports: tuple[PortSet, ...]) -> tuple[ServerPlan, ...]:
    """Names and places of the servers in `folder` (absolute)."""
    return tuple(
        ServerPlan(
            name=f"server-{number}",
            ports=one,
            data_dir=folder / f"server-{number}",
            config=folder / f"server-{number}.json",
            log=folder / f"server-{number}.log",
        )
        for number, one in enumerate(ports, start=1)
    )


def configuration(server: ServerPlan, servers: tuple[ServerPlan, ...]) -> dict[str, Any]:
    """The agent configuration of one server."""
    return {
        "name": server.name,
        "data_dir": str(server.data_dir),
        "bind_addr": HOST,
        "ports": server.ports._asdict(),
        # A loopback address must be advertised on purpose (agent-config, section 2).
        "advertise": {"http": HOST, "rpc": HOST, "serf": HOST},
        "server": {
            "enabled": True,
            "initial_servers": [each.rpc_address for each in servers],
        },
    }


def write_configurations(servers: tuple[ServerPlan, ...]) -> None:
    """Write the configuration files that are not there yet; those that are stay as they are."""
    for server in servers:
        server.data_dir.mkdir(parents=True, exist_ok=True)
        if not server.config.exists():
            text = json.dumps(configuration(server, servers), indent=2)
            server.config.write_text(text + "\n")
