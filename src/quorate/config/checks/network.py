"""Where a configured agent listens, and which servers it asks for membership."""

from __future__ import annotations

from quorate.config.checks.endpoint import Endpoint, parse_endpoint
from quorate.config.model import AgentConfig


def http_binds(config: AgentConfig) -> tuple[Endpoint, ...]:
    """The addresses of the HTTP API, at least one."""
    return tuple(Endpoint(host, config.ports.http) for host in config.addresses.http.split())


def rpc_bind(config: AgentConfig) -> Endpoint:
    """The address of the RPC port."""
    return Endpoint(config.addresses.rpc, config.ports.rpc)


def serf_bind(config: AgentConfig) -> Endpoint:
    """The address of gossip, TCP and UDP."""
    return Endpoint(config.addresses.serf, config.ports.serf)


def gossip_addresses(config: AgentConfig, written: tuple[str, ...]) -> tuple[str, ...]:
    """These gossip addresses as "host:port"; without a port this agent's own is meant."""
    found = (str(parse_endpoint(text, config.ports.serf)) for text in written)
    return tuple(dict.fromkeys(found))


def join_addresses(config: AgentConfig) -> tuple[str, ...]:
    """RPC addresses ("host:port") of the servers in `retry_join` or `start_join`.

    Without gossip they are asked over RPC. Lists written for gossip still work: an address
    without a port, or with this agent's own gossip port, means that host's RPC port.
    """
    join = config.server.join
    ports = config.ports
    found: list[str] = []
    for text in join.retry_join or join.start_join:
        host, port = parse_endpoint(text, ports.rpc)
        found.append(str(Endpoint(host, ports.rpc if port == ports.serf else port)))
    return tuple(dict.fromkeys(found))
