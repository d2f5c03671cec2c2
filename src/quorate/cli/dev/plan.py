"""The plan of a dev cluster, before any server is started.

A folder that holds a cluster keeps its plan: the configuration files in it say how many servers
there are, of which regions and on which ports, because the servers know each other by these
addresses. Servers are numbered through all regions, so that a number names one of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quorate.cli.context import Failure
from quorate.cli.dev.ports import HOST, PortPlan, PortSet, first_taken, plan_ports
from quorate.given_files import content

DEFAULT_SERVERS = 3
MOST_SERVERS = 7
REGIONS = ("global", "west", "east", "north", "south")
DEFAULT_HTTP_PORT = 4646
_CONFIG_BYTES_MAX = 1 << 20


class Wish(NamedTuple):
    """The options given. `folder` is None for a new one; `servers` is the number per region."""

    folder: Path | None
    servers: int
    http_port: int
    regions: int = 1
    servers_given: bool = False
    http_port_given: bool = False
    regions_given: bool = False
    tls: bool = False


class Cluster(NamedTuple):
    """The cluster in a folder: the ports of all servers, and how many regions they make."""

    ports: tuple[PortSet, ...]
    regions: int
    secured: bool = False

    @property
    def size(self) -> str:
        """In words."""
        each = len(self.ports) // self.regions
        return str(each) if self.regions == 1 else f"{self.regions} regions of {each}"


class Choice(NamedTuple):
    """The ports to use, the number of regions; `again` if a cluster comes back."""

    ports: PortPlan
    regions: int
    again: bool
    secured: bool = False


class ServerPlan(NamedTuple):
    """One server: its name, region, ports and places."""

    name: str
    region: str
    ports: PortSet
    data_dir: Path
    config: Path
    log: Path
    secured: bool = False

    @property
    def http_address(self) -> str:
        """Where its API answers."""
        scheme = "https" if self.secured else "http"
        return f"{scheme}://{HOST}:{self.ports.http}"

    @property
    def control_socket(self) -> Path:
        """Where its owner asks it without a token."""
        return self.data_dir / "control.sock"

    @property
    def asked_at(self) -> str:
        """Where `quorate dev` itself asks it."""
        return f"unix://{self.control_socket}" if self.secured else self.http_address

    @property
    def rpc_address(self) -> str:
        """How its region knows it."""
        return f"{HOST}:{self.ports.rpc}"

    @property
    def gossip_address(self) -> str:
        """Where the others look for it."""
        return f"{HOST}:{self.ports.serf}"


def choose(wish: Wish, is_free: Callable[[int], bool]) -> Choice:
    """The cluster to start: the one that the folder holds, or a new one.

    Raises Failure when the folder does not fit the wish, or its ports are in use.
    """
    before = read_back(wish.folder) if wish.folder else None
    if before is None:
        ports = plan_ports(wish.servers * wish.regions, wish.http_port, is_free)
        return Choice(ports, wish.regions, again=False, secured=wish.tls)
    _refuse_another_shape(wish, before)
    for number, one in enumerate(before.ports, start=1):
        taken = first_taken(one, is_free)
        if taken is not None:
            raise Failure(
                f"Error: port {taken} of server-{number} in {wish.folder} is in use",
                "stop what uses it; perhaps this cluster is running already",
            )
    return Choice(PortPlan(before.ports, ()), before.regions, again=True, secured=before.secured)


def _refuse_another_shape(wish: Wish, before: Cluster) -> None:
    regions = wish.regions if wish.regions_given else before.regions
    servers = wish.servers if wish.servers_given else len(before.ports) // before.regions
    if (regions, servers * regions) != (before.regions, len(before.ports)):
        wanted = str(servers) if regions == 1 else f"{regions} regions of {servers}"
        raise Failure(
            f"Error: {wish.folder} holds a cluster of {before.size}, not of {wanted}",
            "leave out -servers and -regions, or give another -data-dir",
        )
    if wish.tls and not before.secured:
        raise Failure(
            f"Error: the cluster in {wish.folder} was made without -tls",
            "leave out -tls, or give another -data-dir",
        )
    if wish.http_port_given and wish.http_port != before.ports[0].http:
        raise Failure(
            f"Error: the cluster in {wish.folder} uses HTTP port {before.ports[0].http} "
            "and keeps it",
            "leave out -http-port, or give another -data-dir",
        )


def read_back(folder: Path) -> Cluster | None:
    """The cluster that lives in `folder`; None if there is none.

    Raises Failure for a folder with other things in it, or a damaged configuration.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise Failure(f"Error: -data-dir {folder} is not a folder")
    found: list[PortSet] = []
    secured = False
    regions: Counter[str] = Counter()
    while (path := folder / f"server-{len(found) + 1}.json").exists():
        try:
            config = json.loads(content(path, _CONFIG_BYTES_MAX))
            ports = config["ports"]
            found.append(PortSet(int(ports["http"]), int(ports["rpc"]), int(ports["serf"])))
            regions[config.get("region", REGIONS[0])] += 1
            secured = secured or "tls" in config
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failure(
                f"Error: {path} is not a configuration of quorate dev: {error!r}",
                "repair it, or give another -data-dir",
            ) from error
    if not found and any(folder.iterdir()):
        raise Failure(
            f"Error: {folder} is not empty and holds no cluster of quorate dev",
            "give a new or an empty folder to -data-dir",
        )
    if tuple(regions) != REGIONS[: len(regions)] or len(set(regions.values())) > 1:
        raise Failure(
            f"Error: the regions in {folder} are not as quorate dev lays them out: "
            + ", ".join(f"{many} of {name!r}" for name, many in regions.items()),
            "repair the configurations, or give another -data-dir",
        )
    return Cluster(tuple(found), len(regions), secured) if found else None


def lay_out(
    folder: Path, ports: Sequence[PortSet], regions: int = 1, *, secured: bool = False
) -> tuple[ServerPlan, ...]:
    """Names, regions and places of the servers in `folder` (absolute), region by region."""
    each = len(ports) // regions
    return tuple(
        ServerPlan(
            name=f"server-{number}",
            region=REGIONS[(number - 1) // each],
            ports=one,
            data_dir=folder / f"server-{number}",
            config=folder / f"server-{number}.json",
            log=folder / f"server-{number}.log",
            secured=secured,
        )
        for number, one in enumerate(ports, start=1)
    )


def by_region(servers: Sequence[ServerPlan]) -> dict[str, list[ServerPlan]]:
    """The servers of each region, in order."""
    found: dict[str, list[ServerPlan]] = {}
    for server in servers:
        found.setdefault(server.region, []).append(server)
    return found


def configuration(server: ServerPlan, servers: Sequence[ServerPlan]) -> dict[str, Any]:
    """The agent configuration of one server: it looks for all others, of all regions."""
    return {
        "name": server.name,
        "region": server.region,
        "data_dir": str(server.data_dir),
        "bind_addr": HOST,
        "ports": server.ports._asdict(),
        # A loopback address must be advertised on purpose (docs/configuration.md#top-level).
        "advertise": {"http": HOST, "rpc": HOST, "serf": HOST},
        "server": {
            "enabled": True,
            "bootstrap_expect": len(by_region(servers)[server.region]),
            "server_join": {
                "retry_join": [each.gossip_address for each in servers if each is not server]
            },
        },
    }


def write_configurations(
    servers: Sequence[ServerPlan], more: Callable[[ServerPlan], dict[str, Any]] | None = None
) -> None:
    """Write the configuration files that are not there yet; those that are stay as they are.

    `more` gives further blocks, and keys of blocks, which may be secret.
    """
    for server in servers:
        server.data_dir.mkdir(parents=True, exist_ok=True)
        if server.config.exists():
            continue
        settings = configuration(server, servers)
        for block, keys in (more(server) if more is not None else {}).items():
            settings[block] = {**settings.get(block, {}), **keys}
        if more is not None:
            server.config.touch(mode=0o600)
        server.config.write_text(json.dumps(settings, indent=2) + "\n")
