"""Which IDs and addresses can be those of a server.

They come from callers, joiners and gossip, and end in the log, in lines for people and in calls
that open connections: what cannot be right is refused where it enters.
"""

from __future__ import annotations

from typing import Final

ID_MAX: Final = 128
"""Characters; our own have 36, hashicorp/raft's are often the address."""

HOST_MAX: Final = 253
"""Characters of a DNS name (RFC 1035)."""

KEY_BYTES: Final = 32
"""Of a public Ed25519 key."""

LABEL_MAX: Final = 63
"""Characters between two dots of a DNS name (RFC 1035); no resolver takes more, or none."""

PORT_DIGITS_MAX: Final = 5


def id_objection(server_id: str) -> str:
    """Why no server can have this ID, or empty."""
    if is_word(server_id, ID_MAX):
        return ""
    return f"the ID {shown(server_id)} is not 1 to {ID_MAX} printable characters without space"


def address_objection(address: str) -> str:
    """Why this is no address of a server, or empty. IPv6 hosts stand in brackets."""
    if split_address(address) is not None:
        return ""
    return f"the address {shown(address)} is not host:port"


def split_address(address: str) -> tuple[str, int] | None:
    """Host (IPv6 without its brackets) and port, or None if it is no address."""
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not is_word(bare, HOST_MAX) or set("[]/@,") & set(bare):
        return None
    if (":" in bare) != (bare != host):
        return None
    labels = bare.removesuffix(".").split(".")
    if ":" not in bare and not all(1 <= len(label) <= LABEL_MAX for label in labels):
        return None
    if not (port.isascii() and port.isdigit() and len(port) <= PORT_DIGITS_MAX):
        return None
    return (bare, int(port)) if 0 < int(port) < 1 << 16 else None


def is_word(text: str, longest: int) -> bool:
    """True if it is 1 to `longest` printable ASCII characters without space."""
    return 1 <= len(text) <= longest and text.isascii() and text.isprintable() and " " not in text


def shown(text: str) -> str:
    """As it may stand in a message: short, printable, in quotes."""
    return ascii(text if len(text) <= ID_MAX else text[:ID_MAX] + "...")
