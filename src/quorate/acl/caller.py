"""The caller of a request, as the gate and the handlers know it. Never its secret."""

from __future__ import annotations

from typing import Final

import msgspec

from quorate.acl.rights import EVERYTHING, Rights


class Caller(msgspec.Struct, frozen=True):
    """A resolved token, or what stands in its place.

    `accessor` is "" if ACL is off, `anonymous` without a token, `control` on the control socket.
    `expires_ms` is in Unix milliseconds, 0 for never.
    """

    accessor: str
    name: str
    rights: Rights
    expires_ms: int = 0


ANONYMOUS_ACCESSOR: Final = "anonymous"
"""Of a caller without a token."""

EVERYONE: Final = Caller("", "", EVERYTHING)
"""Every caller while ACL is off."""

CONTROL: Final = Caller("control", "control socket", EVERYTHING)
"""The caller at the control socket of a server, which only its operator can open."""
