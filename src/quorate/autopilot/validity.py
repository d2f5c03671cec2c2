"""Which IDs, names and addresses can be those of a server.

They come from joiners and from gossip, and end in the log, in lines for people and in calls that
open connections: what cannot be right is refused where it enters. A log that has an impossible
address stops every leader that dials it.
"""

from __future__ import annotations

from typing import Final

from quorate.raft.values.validity import ID_MAX, address_objection, id_objection, shown

NAME_MAX: Final = 256
"""Characters; a member's name in the pool has at most 128, its region as much."""

__all__ = ["ID_MAX", "NAME_MAX", "address_objection", "objection_to"]


def objection_to(server_id: str, name: str, address: str) -> str:
    """Why no server can have these, or empty."""
    if why := id_objection(server_id):
        return why
    if not (1 <= len(name) <= NAME_MAX and name.isprintable()):
        return f"the name {shown(name)} is not 1 to {NAME_MAX} printable characters"
    return address_objection(address)
