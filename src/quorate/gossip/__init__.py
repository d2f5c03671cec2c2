"""Finding each other: SWIM as memberlist does it, and Serf on top; events in, effects out.

Give `Node.step` an event and the time; do what the returned effects say; report back by events.
It does no I/O, has no clock and no randomness of its own, and knows the byte formats only as the
`Codec` that it is given.
"""

from quorate.gossip.codec import Codec
from quorate.gossip.effects import Change, KeyAction, Member, Refusal
from quorate.gossip.node import Node
from quorate.gossip.settings import LAN, LOCAL, WAN, Settings

__all__ = [
    "LAN",
    "LOCAL",
    "WAN",
    "Change",
    "Codec",
    "KeyAction",
    "Member",
    "Node",
    "Refusal",
    "Settings",
]
