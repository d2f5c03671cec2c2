"""The effects of one step of a node, gathered in the order in which it must begin.

Invariants: all that a step writes is one `Persist`, which comes first; what was released by
`when_durable` leaves after it and after every earlier write; the numbers of writes rise by one.
"""

from __future__ import annotations

from quorate.raft.effects import Effect, Persist
from quorate.raft.log import RaftLog
from quorate.raft.values.messages import Entry, HardState


class Outbox:
    """See the module. Times are the node's `now`."""

    def __init__(self) -> None:
        self.hard_state: HardState | None = None
        self.reset_to: tuple[int, int] | None = None
        self.truncate_from: int | None = None
        self.compact_to: int | None = None
        self.entries: tuple[Entry, ...] = ()
        self._effects: list[Effect] = []
        self._then: list[Effect] = []
        self._of_term: list[Effect] = []
        self._sequence = 0
        self._writes: dict[int, float] = {}  # sequence -> since when the disk has it
        self._hard_state_sequence = 0
        self._ahead = 0  # up to this write term and vote are durable, whatever became of entries

    def emit(self, effect: Effect) -> None:
        """To be done at once."""
        self._effects.append(effect)

    def when_durable(self, effect: Effect, *, of_term: bool = False) -> None:
        """To be done when everything decided so far is durable; `of_term`: when term and vote are.

        Only what would be right if this server had no entry beyond the durable ones is `of_term`.
        """
        self._then.append(effect)
        if of_term:
            self._of_term.append(effect)

    def hard_state_pending(self) -> bool:
        """True while term or vote are not durable as they stand."""
        newest = self._hard_state_sequence
        return self.hard_state is not None or (newest in self._writes and newest > self._ahead)

    def oldest_write_at(self) -> float | None:
        """Since when the disk has had its oldest unfinished write."""
        return next(iter(self._writes.values())) if self._writes else None

    def restart_clocks(self, now: float) -> None:
        """The disk could not write until now: what waits for it does not count as late."""
        self._writes = dict.fromkeys(self._writes, now)

    def term_persisted(self, sequence: int) -> None:
        """Term and vote up to this write are durable."""
        self._ahead = max(self._ahead, sequence)

    def persisted(self, sequence: int) -> None:
        """The writes up to `sequence` are durable."""
        writes = self._writes
        while writes and (oldest := next(iter(writes))) <= sequence:
            del writes[oldest]

    def finish(self, log: RaftLog, now: float) -> list[Effect]:
        """The effects of the step that ends at `now`."""
        effects, self._effects = self._effects, []
        then = self._then
        writes_log = self.entries or self.reset_to or self.truncate_from
        if writes_log or self.hard_state or self.compact_to or (then and self._writes):
            effects.insert(0, self._persist(log, now))
        elif then:
            effects += then
        if then:
            self._then, self._of_term = [], []
        return effects

    def _persist(self, log: RaftLog, now: float) -> Persist:
        self._sequence += 1
        self._writes[self._sequence] = now
        if self.hard_state is not None:
            self._hard_state_sequence = self._sequence
        log.writing(self._sequence)
        persist = Persist(
            self._sequence,
            self.hard_state,
            self.reset_to,
            self.truncate_from,
            self.entries,
            self.compact_to,
            tuple(self._then),
            tuple(self._of_term),
        )
        self.hard_state = self.reset_to = self.truncate_from = self.compact_to = None
        self.entries = ()
        return persist
