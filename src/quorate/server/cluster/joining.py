"""The answer to a server that asks the leader to be taken in.

The decider is `quorate.autopilot.deciders.taking_in`.
"""

from __future__ import annotations

import msgspec


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`leader` is set when another server leads: ask there. `why` is a refusal in words.

    `removed_at` is the index at which an operator removed the joiner, if that is the reason.
    """

    leader: str = ""
    why: str = ""
    member: bool = False
    removed_at: int = 0
