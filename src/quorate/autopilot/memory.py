"""The memory of deciders from one round to the next, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from quorate.autopilot.actions import Say
from quorate.autopilot.facts import Claim, Heard, Waiting

FRESH_S: Final = 2.0
"""So long what was heard at an address may be acted on. A call that asks ends after 1 s."""

PAUSE_S: Final = 5.0
"""So long a server that could not be taken in, or let go, is not tried again."""

HEARD_MAX: Final = 1024
"""Addresses: more are asked in no PAUSE_S."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """`fit_since`: since when each non-voter has been fit to vote. `asked_to_lead`: when.

    `heard`: what answered at each address while the configuration of index `heard_in` was in force.
    `put_off`: until when nothing is tried about a server, and why (by ID, with the address it was
    tried at). `said`: what people were told last.
    `level_waits`: what holds the feature level back. All maps are by ID, but `heard` is by address.
    """

    fit_since: Mapping[str, float] = {}
    asked_to_lead: Mapping[str, float] = {}
    heard: Mapping[str, Heard] = {}
    heard_in: int = 0
    put_off: Mapping[str, PutOff] = {}
    said: frozenset[Say] = frozenset()
    level_waits: tuple[Waiting, ...] = ()

    def in_configuration(self, index: int) -> Memory:
        """Without what was heard before this configuration.

        A server that asked to leave is out of it: what it said before then speaks for nothing.
        """
        if self.heard_in == index:
            return self
        return msgspec.structs.replace(self, heard={}, heard_in=index)

    def hear(self, answers: Mapping[str, Heard]) -> Memory:
        """With these answers; the oldest are forgotten."""
        heard = {**self.heard, **answers}
        if len(heard) > HEARD_MAX:
            newest = sorted(heard.items(), key=lambda pair: pair[1].at)[-HEARD_MAX:]
            heard = dict(newest)
        return msgspec.structs.replace(self, heard=heard)

    def put(self, claim: Claim, why: str, until: float, index: int) -> Memory:
        """Nothing is tried about that server, at that address, before `until`.

        Nor before the configuration changes: `index` is that of the one it was decided on.
        """
        kept = {i: off for i, off in self.put_off.items() if off.until > until - 2 * PAUSE_S}
        off = PutOff(claim.address, claim.status, why, until, index)
        return msgspec.structs.replace(self, put_off={**kept, claim.id: off})

    def holds_off(self, claim: Claim, now: float, index: int) -> str:
        """Why nothing is tried about that server now, or empty."""
        off = self.put_off.get(claim.id)
        if off is None or now >= off.until or index != off.index:
            return ""
        return off.why if (off.address, off.status) == (claim.address, claim.status) else ""


class PutOff(msgspec.Struct, frozen=True):
    """A claim that was tried in vain, why, until when it is left alone, in which configuration."""

    address: str
    status: str
    why: str
    until: float
    index: int


def lately(heard: Mapping[str, Heard], address: str, now: float) -> Heard | None:
    """The answer from that address a moment ago; None: it has to be asked."""
    found = heard.get(address)
    return found if found is not None and now - found.at <= FRESH_S else None
