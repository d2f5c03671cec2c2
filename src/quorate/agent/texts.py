"""Texts that an agent prints between the list of its files and its log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from quorate.config.model import AgentConfig
from quorate.given_files import content
from quorate.version import __version__
from quorate.wire.gossip_key import without_line_ends

STARTED: Final = "==> Quorate agent started! Log data will stream in below:\n"
"""Said when all ports are taken; what is logged before stands above it."""


def banner(config: AgentConfig) -> str:
    """The configuration that matters, as a block."""
    advertise, addresses, ports = config.advertise, config.addresses, config.ports
    http = addresses.http or config.bind_addr
    rpc = addresses.rpc or config.bind_addr
    rows = {
        "Advertise Addrs": f"HTTP: {advertise.http}; RPC: {advertise.rpc}; Serf: {advertise.serf}",
        "Bind Addrs": f"HTTP: {http}:{ports.http}; RPC: {rpc}:{ports.rpc}",
        "Data Dir": config.data_dir or "(in memory of a passing folder)",
        "Gossip": _gossip(config),
        "Log Level": config.log_level,
        "Region": f"{config.region} (DC: {config.datacenter})",
        "Server": "true",
        "Version": __version__,
    }
    block = "\n".join(f"{name:>22}: {value}" for name, value in rows.items())
    return f"==> Starting Quorate agent...\n==> Quorate agent configuration:\n\n{block}\n"


_KEYRING_BYTES_MAX = 1 << 20


def keyring_warning(config: AgentConfig, keyring: Path) -> str:
    """Lines if the key that was configured is not used, because there is a ring already."""
    if not (config.server.encrypt and keyring.exists()):
        return ""
    text = "==> WARNING: keyring exists but -encrypt given, using keyring"
    if _holds(keyring, config.server.encrypt):
        return text
    return (
        f"{text}\n==> The key of server.encrypt is not in {keyring}. If that file was written with "
        "a wrong key: stop this server, remove the file, and start it again"
    )


def _holds(keyring: Path, key: str) -> bool:
    """Whether the key is in the ring, or the ring cannot be read: that is told elsewhere."""
    try:
        return without_line_ends(key) in content(keyring, _KEYRING_BYTES_MAX).decode()
    except (OSError, ValueError):
        return True


def data_dir_problem(data_dir: str) -> str:
    """The fault of a data folder that can be seen before it is used, or empty."""
    path = Path(data_dir)
    for each in (path, *path.parents):
        if each.exists() and not each.is_dir():
            return f"data_dir: {each} is a file, not a folder; name another place for the data"
    return ""


def _gossip(config: AgentConfig) -> str:
    if not config.server.gossips:
        return "off (the servers are a fixed list)"
    address = config.addresses.serf or config.bind_addr
    encrypted = ", encrypted" if config.server.encrypt else ""
    return f"{address}:{config.ports.serf} ({config.server.gossip_profile}{encrypted})"
