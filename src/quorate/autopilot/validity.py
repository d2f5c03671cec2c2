"""Which IDs, names and addresses can be those of a server.

They come from joiners and from gossip, and end in the log, in lines for people and in calls that
open connections: what cannot be right is refused where it enters. A log that has an impossible
address stops every leader that dials it.
"""

from __future__ import annotations

from typing import Final

ID_MAX: Final = 128
"""Characters; our own have 36, hashicorp/raft's are often the address."""

NAME_MAX: Final = 256
"""Characters; a member's name in the pool has at most 128, its region as much."""

HOST_MAX: Final = 253
"""Characters of a DNS name (RFC 1035)."""


def objection_to(server_id: str, name: str, address: str) -> str:
    """Why no server can have these, or empty."""
    if not _is_word(server_id, ID_MAX):
        return f"the ID {_shown(server_id)} is not 1 to {ID_MAX} printable characters without space"
    if not (1 <= len(name) <= NAME_MAX and name.isprintable()):
        return f"the name {_shown(name)} is not 1 to {NAME_MAX} printable characters"
    return address_objection(address)


def address_objection(address: str) -> str:
    """Why this is no address of a server, or empty. IPv6 hosts stand in brackets."""
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_port = port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 1 << 16
    is_host = _is_word(bare, HOST_MAX) and not set("[]/@,") & set(bare)
    if colon and is_host and is_port and (":" in bare) == (bare != host):
        return ""
    return f"the address {_shown(address)} is not host:port"


def _is_word(text: str, longest: int) -> bool:
    return 1 <= len(text) <= longest and text.isascii() and text.isprintable() and " " not in text


def _shown(text: str) -> str:
    return ascii(text if len(text) <= ID_MAX else text[:ID_MAX] + "...")
