"""Counts of refusals, so that a caller who is refused in a loop leaves few records.

Like refusals are one record with a count. At most `RECORDS_MAX` records are sent every `WINDOW_MS`;
with more kinds at once the rest is one record without a name. Acts that need no right are counted
in the same way: else any caller could push all others out of the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from quorate.state.tables.journal import ACT, DONE, REFUSAL, Entry, Note, Who

WINDOW_MS: Final = 10_000
RECORDS_MAX: Final = 8
ACTS_MAX: Final = 2
"""The same of acts that need no right, which take no room from refusals."""

OTHERS: Final = "(others)"

Kind = tuple[str, str, str, str, str, str]


class Counted(msgspec.Struct):
    """Refusals of one kind. `time_ms` is that of the first, `who` has the address of the last.

    `act`: they are acts, and `why` is what came of them.
    """

    who: Who
    what: str
    subject: str
    why: str
    time_ms: int
    count: int = 0
    act: bool = False

    def entry(self, server_id: str) -> Entry:
        """As it is entered; the server with this ID has counted it."""
        return Entry(
            note=Note(kind=ACT if self.act else REFUSAL, what=self.what, subject=self.subject),
            time_ms=self.time_ms,
            who=self.who,
            by=server_id,
            outcome=self.why,
            count=self.count,
        )


class RefusalCounts:
    """Of one server. Times are Unix milliseconds."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, Counted] = {}
        self._sent_ms = 0

    def add(
        self, who: Who, what: str, subject: str, why: str, now_ms: int, *, act: bool = False
    ) -> bool:
        """One more; whether there were none."""
        first = not self._kinds
        kind = _kind(who, what, subject, why, act=act)
        like = sum(each.act is act for each in self._kinds.values())
        if kind not in self._kinds and like >= (ACTS_MAX if act else RECORDS_MAX) - 1:
            who, what, subject = Who(name=OTHERS), OTHERS, ""
            why = DONE if act else "refused"
            kind = _kind(who, what, subject, why, act=act)
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = Counted(who, what, subject, why, now_ms, act=act)
        known.who = who
        known.count += 1
        return first

    def due(self, now_ms: int, most: int) -> Sequence[Counted]:
        """Those that may be sent now; a clock that was set back holds nothing up for long."""
        if not self._kinds or 0 <= now_ms - self._sent_ms < WINDOW_MS:
            return ()
        taken = list(self._kinds.values())[: max(most, 0)]
        return tuple(msgspec.structs.replace(each) for each in taken)

    def sent(self, counted: Sequence[Counted], now_ms: int) -> None:
        """These were entered; what came meanwhile stays."""
        for each in counted:
            kind = _kind(each.who, each.what, each.subject, each.why, act=each.act)
            known = self._kinds.get(kind)
            if known is not None:
                known.count -= each.count
                if known.count <= 0:
                    del self._kinds[kind]
        if counted:
            self._sent_ms = now_ms


def _kind(who: Who, what: str, subject: str, why: str, *, act: bool) -> Kind:
    return who.accessor, who.name, what, subject, why, "act" if act else ""
