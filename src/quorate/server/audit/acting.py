"""The act that a request carries out, for whatever writes an entry on its behalf.

An act goes through many hands (the endpoint, membership, restores, root keys) until one of them
writes the entry. None of them decides anything by its caller. So the caller is not handed from one
to the next: it stands in a context variable, which the entry's author reads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from quorate.state.engine.commands import encode
from quorate.state.engine.table import Command, Wrapper
from quorate.state.tables.journal import (
    AUDIT_LEVEL,
    NOBODY,
    OPERATOR,
    Audited,
    Note,
    Noted,
    Who,
)


class Act:
    """One request of an operator while it is carried out.

    `what` says in words what it does, `who` gives its caller once that is admitted, `subject` is
    the object if the request names one. `carried`: its command carries the record.
    """

    __slots__ = (
        *("carried", "details", "entered", "force", "needs_right"),
        *("passed_on", "subject", "what", "who"),
    )

    def __init__(
        self,
        what: str,
        who: Callable[[], Who],
        *,
        subject: str = "",
        force: bool = False,
        details: tuple[tuple[str, str], ...] = (),
        carried: bool = False,
    ) -> None:
        self.what: Final = what
        self.who: Final = who
        self.subject = subject
        self.force = force
        self.details = details
        self.carried: Final = carried
        self.entered = False
        """Whether an entry tells of it: then nothing else has to."""
        self.needs_right = True
        """Whether only a caller with a right can do it; else it may be done again and again."""
        self.passed_on = False
        """Whether another server carries it out, and tells of it."""

    def enter(self) -> Who:
        """The caller, for the entry that tells of the act."""
        self.entered = True
        return self.who()


ACTING: Final[ContextVar[Act | None]] = ContextVar("quorate.acting", default=None)
"""The act that this task, or this turn, is part of."""


def actor() -> Who:
    """The caller of the act under way, for the entry that tells of it; `NOBODY` without one."""
    act = ACTING.get()
    return NOBODY if act is None else act.enter()


def noted(command: Command | bytes, note: Note, time_ms: int, level: int) -> Wrapper:
    """The command as it is written, with the note, in the form of the cluster's level."""
    data = command if isinstance(command, bytes) else encode(command)
    if level >= AUDIT_LEVEL:
        return Audited(command=data, note=note, time_ms=time_ms, who=actor())
    return Noted(command=data, note=note, time_ms=time_ms, by=OPERATOR)
