"""How the introduction of access control stands at one server (ours)."""

from __future__ import annotations

import msgspec


class Transition(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`GET acl/transition`. `in_force`: the server lets pass what it would refuse.

    So it is configured there, and not `ended` by the cluster. `callers` counts the requests that
    have passed so since the server started, by the accessor of their token.
    """

    callers: dict[str, int] = {}
    configured: bool = False
    ended: bool = False
    in_force: bool = False
    requests: int = 0
