"""Records of acts that no entry of their own carries: noted here, and entered by the leader.

An act without a command (a snapshot that is saved, a recovery, a change of gossip keys), and one
that is done while there is no leader or no space, is first noted in the local file
(`storage.folder.audit_file`), durably. Then it is sent to the leader, which enters it. The state
says up to where each file was entered, so a record that is sent twice is entered once, and one that
was not entered is sent again, after a restart too.

Refusals are counted in memory and sent at a bounded rate, like ones as one record. No act is ever
refused because its record cannot be kept: that is logged and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from quorate.errors import QuorateError
from quorate.metrics import Metrics
from quorate.net.peer import Peer
from quorate.net.threads import in_thread
from quorate.server.audit.acting import Act
from quorate.server.audit.refusals import RefusalCounts
from quorate.server.rpc.calls import Callers
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.tables import journal
from quorate.state.tables.journal import (
    ACT,
    AUDIT_LEVEL,
    ENTRIES_MAX,
    REFUSAL,
    EnterRecords,
    Entry,
    Note,
    Who,
)
from quorate.storage.folder.audit_file import AuditFile, LocalRecord

log = logging.getLogger("quorate.server")

RECORDS_CALL: Final = "audit-records"
BEGUN: Final = "begun"

SERIES_CHARACTERS_MAX: Final = 40
"""Of the name of a series: each server's state keeps some."""

_NUMBER_MAX: Final = 2**53
_LOOK_S: Final = 2.0
_CALL_TIMEOUT_S: Final = 5.0


class SentRecords(msgspec.Struct, frozen=True):
    """The argument of the call: records that the leader is to enter."""

    entries: tuple[Entry, ...] = ()


class TakenRecords(msgspec.Struct, frozen=True):
    """The answer: how many were entered; the others were before."""

    entered: int = 0


class Recorder:
    """Of one server. `leader` gives ID and address of the leader that is known, or empty ones.

    `file` is None where it could not be opened: then a record counts once it is entered.
    """

    def __init__(
        self,
        *,
        state: StateStore,
        file: AuditFile | None,
        server_id: Callable[[], str],
        unix_ms: Callable[[], int],
        leads: Callable[[], bool],
        leader: Callable[[], tuple[str, str]],
        apply: Callable[[bytes], Awaitable[tuple[int, Any]]],
        callers: Callers,
        metrics: Metrics,
    ) -> None:
        self._state = state
        self._file = file
        self._server_id = server_id
        self._unix_ms = unix_ms
        self._leads = leads
        self._leader = leader
        self._apply = apply
        self._callers = callers
        self._noted = metrics.counter("quorate.audit.noted")
        self._refused = metrics.counter("quorate.audit.refused")
        self._lost = metrics.counter("quorate.audit.lost")
        self._counts = RefusalCounts()
        self._loose: list[Entry] = []  # of acts that the local file did not take
        self._wake = asyncio.Event()
        self._wake.set()  # there may be some of a start before

    @property
    def server_id(self) -> str:
        """The ID of this server."""
        return self._server_id()

    def standing(self) -> tuple[int, tuple[str, ...]]:
        """How many records wait for a leader, and what is wrong with the local file."""
        if self._file is None:
            return len(self._loose), ("the local file is not open",)
        entered = dict(journal.state(self._state).entered)
        return len(self._file.pending(entered)) + len(self._loose), self._file.damaged

    # -- what is told ----------------------------------------------------------------------------

    async def note(self, act: Act, outcome: str, cause: str = "") -> None:
        """Note an act that no entry carries. Durable when this returns, or logged as lost."""
        if self._state.level < AUDIT_LEVEL:
            return
        who = act.who()
        record = LocalRecord(
            number=0,
            series="",
            time_ms=self._unix_ms(),
            what=act.what,
            by=self._server_id(),
            accessor=who.accessor,
            name=who.name,
            address=who.address,
            subject=act.subject,
            cause=cause,
            force=act.force,
            outcome=outcome,
            details=act.details,
        )
        self._noted.count += 1
        if self._file is None:
            self._without_file(record, "the local file of audit records is not open")
        else:
            try:
                await in_thread(self._file.append, record)
            except QuorateError as error:
                self._without_file(record, error.line())
        self._wake.set()

    def _without_file(self, record: LocalRecord, why: str) -> None:
        """Keep it in memory until it is entered."""
        log.error(
            "an act is noted in memory alone: %s %s by %r: %s",
            *(record.what, record.subject, record.accessor or record.name, why),
        )
        if len(self._loose) >= ENTRIES_MAX:
            self._lost.count += 1
            self._loose.pop(0)
        self._loose.append(_entry(record))

    def refuse(self, who: Who, what: str, subject: str, why: str) -> None:
        """Count a refusal of a caller that is known."""
        self._refused.count += 1
        if self._counts.add(who, what, subject, why, self._unix_ms()):
            self._wake.set()

    def often(self, who: Who, what: str, outcome: str) -> None:
        """Count an act that needs no right, of a caller where callers are asked for rights."""
        self._counts.add(who, what, "", outcome, self._unix_ms(), act=True)

    def refuse_unknown(self) -> None:
        """Count one of a caller that is not: it leaves no record in the log."""
        self._refused.count += 1

    # -- entering --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Have noted records entered; for ever."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_S)
            self._wake.clear()
            try:
                while await self._send_some():
                    pass
            except QuorateError as error:
                log.debug("audit records wait: %s", error)

    async def _send_some(self) -> bool:
        """Send what waits, as much as one entry holds; whether more waits. Raises QuorateError."""
        if self._state.level < AUDIT_LEVEL:
            return False
        noted = self._pending()
        loose = self._loose[: ENTRIES_MAX - len(noted)]
        due = self._counts.due(self._unix_ms(), ENTRIES_MAX - len(noted) - len(loose))
        entries = (*noted, *loose, *(each.entry(self._server_id()) for each in due))
        if not entries:
            return False
        await self._enter(entries)
        del self._loose[: len(loose)]
        self._counts.sent(due, self._unix_ms())
        return len(entries) == ENTRIES_MAX

    def _pending(self) -> list[Entry]:
        if self._file is None:
            return []
        waiting = self._file.pending(dict(journal.state(self._state).entered))
        return [_entry(record) for record in waiting[:ENTRIES_MAX]]

    async def _enter(self, entries: Sequence[Entry]) -> None:
        if self._leads():
            await self._apply(encode(EnterRecords(entries=tuple(entries))))
            return
        server_id, address = self._leader()
        if not address or server_id == self._server_id():
            raise QuorateError("no leader is known")
        sent = SentRecords(tuple(entries))
        taken = await self._callers.call(
            *(address, RECORDS_CALL, sent, TakenRecords, _CALL_TIMEOUT_S), server_id=server_id
        )
        log.debug("the leader has entered %d audit records", taken.entered)
        await self._until_entered(entries)

    async def _until_entered(self, entries: Sequence[Entry]) -> None:
        """Wait a moment until the state here says so: else they would be sent once more."""
        wanted = {each.series: each.number for each in entries if each.series}
        for _ in range(50):
            known = dict(journal.state(self._state).entered)
            if all(known.get(series, -1) >= number for series, number in wanted.items()):
                return
            await asyncio.sleep(0.02)

    async def take(self, sent: SentRecords, peer: Peer | None) -> TakenRecords:
        """Enter records of another server; for the leader. Raises QuorateError."""
        if peer is None or len(sent.entries) > ENTRIES_MAX:
            raise QuorateError("a member of the cluster sends a bounded number of records")
        if any(each.note.kind not in {ACT, REFUSAL} for each in sent.entries):
            raise QuorateError("records of acts and of refusals are entered, no others")
        if any(_out_of_bounds(each) for each in sent.entries):
            raise QuorateError("a record has a series or a number that none has")
        entries = tuple(msgspec.structs.replace(each, by=peer.server_id) for each in sent.entries)
        _, entered = await self._apply(encode(EnterRecords(entries=entries)))
        return TakenRecords(entered)


def _out_of_bounds(entry: Entry) -> bool:
    numbers = (entry.number, entry.count, entry.time_ms)
    return len(entry.series) > SERIES_CHARACTERS_MAX or any(
        not 0 <= each <= _NUMBER_MAX for each in numbers
    )


def _entry(record: LocalRecord) -> Entry:
    return Entry(
        note=Note(
            kind=ACT,
            what=record.what,
            subject=record.subject,
            cause=record.cause,
            force=record.force,
            details=record.details,
        ),
        time_ms=record.time_ms,
        who=Who(accessor=record.accessor, name=record.name, address=record.address),
        by=record.by,
        outcome=record.outcome,
        series=record.series,
        number=record.number,
    )
