"""The columns of the table of endpoints (`quorate.api.endpoints.table`).

Invariant: a row that says less than it must does not come into being, so no server starts with it:
each endpoint has a capability, a consistency, a rule of forwarding and a bound of its body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from quorate.acl.capability import Capability
from quorate.api.consistency import Authority, Replicating
from quorate.api.http.messages import BODY_BYTES_MAX, STREAM_BYTES_MAX, Call, Response
from quorate.api.parts import Parts
from quorate.metrics import Metrics

Handler = Callable[[Call], Response | Replicating | Awaitable[Response]]
"""Answers one method of one path, at once or later. Raises RequestError and QuorateError."""

ANY: Final = ("*",)
"""The methods of a row that answers every method."""

KIB: Final = 1024
SMALL: Final = 16 * KIB
"""The bound of a body that is not read, or holds one short field."""

_METHODS: Final = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS"})


class Consistency(StrEnum):
    """How current an answer is."""

    LINEARIZABLE = "linearizable"  # the leader's, always
    STALE_ALLOWED = "stale allowed"  # the leader's; any server's if the request says `stale`
    LOCAL = "local"  # what the server that answers knows


class Forwarding(StrEnum):
    """Where a request may be passed on to."""

    NONE = "none"
    LEADER = "leader"  # to the region that is asked for, and to the leader there
    REGION = "region"  # to the region that is asked for
    SERVER = "server"  # to the region that is asked for, and to the server there


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint is made with it and keeps what it needs. `clock` gives Unix seconds."""

    parts: Parts
    authority: Authority
    metrics: Metrics
    clock: Callable[[], float]
    table: tuple[Endpoint, ...]


class Wrong(msgspec.Struct, frozen=True):
    """The answer to a method that no row of the path has."""

    status: int = 405
    text: str = "Invalid method"


class OfAct(msgspec.Struct, frozen=True):
    """What makes requests of a row acts of an operator (docs/audit.md).

    `what` says in words what they do. The object is the rest of the path, or the first of the
    parameters `subject`; the parameters `details` are told as well. `carried`: the one command
    that the handler writes carries the record. `before`: it is noted before it begins, too.
    `always`: it is never refused because an audit sink cannot be written.
    """

    what: str
    subject: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    carried: bool = False
    before: bool = False
    always: bool = False


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row: some methods of one path.

    `path` is matched exactly, unless it ends in `<name>`: then it has all paths that begin so, and
    the rest is `Call.tail`; or in `*`: then it has all paths that begin so, without a tail. Of
    several the longest counts. `handler` is a method of `made_of`, of which each server makes one
    object for all rows. `body_max` is in bytes. With `streams` the handler reads the body from
    `Request.stream`, and may answer with a `StreamResponse`. `does` and `parameters` are for
    people. With `control_only` it is there on the control socket alone. All rows of one path have
    the same `wrong`. `listed` is False where there is nothing to ask for. Answers of a row with
    `cors` may be read by pages of any site (`http.cors`). With `act` its requests are acts.
    """

    path: str
    methods: tuple[str, ...]
    made_of: Callable[[Context], Any]
    handler: Callable[[Any, Call], Response | Replicating | Awaitable[Response]]
    capability: Capability
    consistency: Consistency
    forwarding: Forwarding
    does: str
    body_max: int = SMALL
    streams: bool = False
    control_only: bool = False
    parameters: str = ""
    wrong: Wrong = Wrong()
    listed: bool = True
    cors: bool = False
    act: OfAct | None = None

    def __post_init__(self) -> None:
        """Raises TypeError for a row that says too little, ValueError for what cannot be."""
        for field, kind in _KINDS.items():
            if not isinstance(getattr(self, field), kind):
                raise TypeError(f"{self.path}: {field} is not one of {kind.__name__}")
        if self.methods != ANY and (not self.methods or not _METHODS.issuperset(self.methods)):
            raise ValueError(f"{self.path}: methods that are not known: {self.methods}")
        if not self.path.startswith("/") or not self.does:
            raise ValueError(f"{self.path}: no path, or no word of what it does")
        bound = STREAM_BYTES_MAX if self.streams else BODY_BYTES_MAX
        if not 0 < self.body_max <= bound:
            raise ValueError(f"{self.path}: the bound of the body is not 1 to {bound}")
        if self.control_only and self.forwarding is not Forwarding.NONE:
            raise ValueError(f"{self.path}: what no network reaches is not forwarded")
        if (self.forwarding is Forwarding.LEADER) is (self.consistency is Consistency.LOCAL):
            raise ValueError(f"{self.path}: what only the leader answers is forwarded to it")

    @property
    def start(self) -> str | None:
        """The beginning of the paths of this row; None if there is only one."""
        if self.path.endswith("*"):
            return self.path[:-1]
        return self.path.partition("<")[0] if self.path.endswith(">") else None

    @property
    def has_tail(self) -> bool:
        """Whether the rest of the path belongs to the call."""
        return self.path.endswith(">")

    @property
    def shown_path(self) -> str:
        """The path as people write it."""
        return self.path.removesuffix("*")


_KINDS: Final[dict[str, type]] = {
    "capability": Capability,
    "consistency": Consistency,
    "forwarding": Forwarding,
}
