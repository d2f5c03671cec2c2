"""The digests of this server's own state, and what it makes of a verdict over them.

Invariants: a digest is of the state at exactly one index, and is forgotten when another state is
put in the place of this one; a verdict counts only if it is about a digest that this server
itself has taken. Damage, once found, lasts until a later check finds this server's state right:
the state is compared as a whole, so then it is the state of the majority, every record of it.

The rows are hashed again from memory at every check, in slices of the loop's time. From level 2 on
the result is compared with the digest that was kept at every change as well: where they differ, a
row has changed in this server's memory, and it needs no other server to know. What was derived
from that row (secondary indexes, the sums themselves) is then not trusted either, so such damage
lasts until the state is built again, by a restart or an installed snapshot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import msgspec

from quorate.errors import QuorateError, StateDamaged
from quorate.server.integrity.slices import in_slices
from quorate.server.integrity.verdict import Digest, Index, Name, Verdict, Why
from quorate.state.engine.digest import again, kept, passed_over
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.registry import TODAY
from quorate.storage.folder.damage_mark import DamageMark, keep_mark, read_mark

log = logging.getLogger("quorate.server")

_KEPT: Final = 8
"""Digests that are remembered. A verdict comes within seconds, long before the next check."""

_WAITING_MAX: Final = 4  # a restarted server applies old checks by the hundred: only the last count


class DigestRequest(msgspec.Struct, frozen=True):
    """The argument of the call `state-digest`: at which log index."""

    index: Index


class DigestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` is hexadecimal. Where it is empty `why` says so, and `later` that it will be there.

    `id` is that of the server that answers. `hashing`: it is being computed.
    """

    id: Name
    digest: Digest = ""
    why: Why = ""
    later: bool = False
    hashing: bool = False


class Heard(msgspec.Struct, frozen=True):
    """The answer to the call `state-verdict`."""


class StateChecks:
    """See the module. `open` comes before the first command is applied.

    `spawn` runs a coroutine, `quarantine` is told of damage and of its end.
    """

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        quarantine: Callable[[StateDamaged | None], None],
    ) -> None:
        self._spawn = spawn
        self._quarantine = quarantine
        self._digests: dict[int, DigestAnswer] = {}
        self._waiting: dict[int, SnapshotImage] = {}
        self._hashed: SnapshotImage | None = None  # the one that is being hashed
        self._epoch = 0  # counts restored states
        self._memory_changed = False  # in the state that is in place now
        self._mark: DamageMark | None = None
        self._marking = asyncio.Lock()
        self.stopped = False
        """True while the log cannot be applied here: no digest will come."""
        self.checked_at = 0.0
        self.verdict = Verdict()
        self.right_at = 0
        self.damage: StateDamaged | None = None
        self.disagreement = ""

    def open(self, server_id: str, folder: Path) -> None:
        """Begin, with what is known of earlier lives; `folder` holds log and snapshots.

        Raises LogDamaged, QuorateError.
        """
        self._id = server_id
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self.checked_at = self._loop.time()
        self._mark = read_mark(folder)
        if self._mark is not None:
            self.damage = self._described(self._mark)
            log.error("%s: %s", self.damage.text, self.damage.next_step)

    # -- digests -----------------------------------------------------------------------------------

    def applied(self, index: int, image: SnapshotImage) -> None:
        """A check was applied at `index`; `image` is the state there."""
        self.checked_at = self._loop.time()
        if lacking := passed_over(image, TODAY):
            why = f"{sum(tally.count for tally in lacking)} commands could not be read here"
            self._keep(index, DigestAnswer(id=self._id, why=why))
            return
        self._waiting[index] = image
        if len(self._waiting) > _WAITING_MAX:
            self._drop(next(iter(self._waiting)))
        if self._hashed is None:
            self._hashed = image
            self._spawn(self._hash_all())

    async def _hash_all(self) -> None:
        try:
            while self._waiting:
                index, epoch = next(iter(self._waiting)), self._epoch
                image = self._hashed = self._waiting[index]
                by_changes = kept(image, TODAY)
                digest = await in_slices(again(image, TODAY))
                if epoch == self._epoch:
                    self._waiting.pop(index, None)
                    self._keep(index, DigestAnswer(id=self._id, digest=digest.hex()))
                    if by_changes not in {None, digest}:
                        self._memory_is_wrong(index, digest.hex(), by_changes.hex())
                await in_slices(image.tables.drain())
        finally:
            self._hashed = None

    def _drop(self, index: int) -> None:
        """Its digest is not wanted any more. Freed at once, a large image would stop the loop."""
        image = self._waiting.pop(index)
        if image is not self._hashed:
            self._spawn(in_slices(image.tables.drain()))

    def _memory_is_wrong(self, index: int, digest: str, right: str) -> None:
        self._memory_changed = True
        self._find(DamageMark(index=index, digest=digest, right=right, by="", memory=True))

    def _keep(self, index: int, answer: DigestAnswer) -> None:
        self._digests[index] = answer
        if len(self._digests) > _KEPT:
            del self._digests[min(self._digests)]

    def restored(self) -> None:
        """Another state was put in place: nothing that was hashed before says anything of it."""
        self._epoch += 1
        self._memory_changed = False
        self._digests.clear()
        for index in list(self._waiting):
            self._drop(index)
        self.right_at = 0

    def digest_at(self, index: int, applied_index: int) -> DigestAnswer:
        """The digest of this server for `index`; it has applied all up to `applied_index`."""
        known = self._digests.get(index)
        if known is not None:
            return known
        if self.stopped and index not in self._waiting:
            return DigestAnswer(id=self._id, why="it has stopped applying the log")
        if index in self._waiting:
            return DigestAnswer(id=self._id, why="not hashed yet", later=True, hashing=True)
        if applied_index < index:
            return DigestAnswer(id=self._id, why="not applied yet", later=True)
        return DigestAnswer(id=self._id, why="its state at that index was not seen here")

    def standing(self) -> str:
        """In a word: right, damaged, disagree, or unchecked."""
        if self.damage is not None:
            return "damaged"
        if self.disagreement:
            return "disagree"
        return "right" if self.right_at else "unchecked"

    # -- verdicts ----------------------------------------------------------------------------------

    def has_digest(self, index: int) -> bool:
        """True if this server took a digest of its state at that index, and remembers it."""
        own = self._digests.get(index)
        return own is not None and bool(own.digest)

    def confirms(self, verdict: Verdict) -> bool:
        """True if the verdict says only what this server knows of itself: all are well."""
        own = self._digests.get(verdict.index)
        well = not (verdict.wrong or verdict.disagree or self.damage or self.disagreement)
        return well and own is not None and own.digest == verdict.right

    def hear(self, verdict: Verdict) -> None:
        """The digests of all members were compared, by this server itself or as `confirms` says."""
        if verdict.index <= self.verdict.index:
            return
        self.verdict = verdict
        own = self._digests.get(verdict.index)
        if own is None or not own.digest:
            return
        if not verdict.right:
            if verdict.disagree:
                self._disagree(verdict)
            return
        if self.disagreement:
            log.warning("the state digests agree again, at index %d", verdict.index)
            self.disagreement = ""
        if self._memory_changed:
            return
        if own.digest == verdict.right:
            self.right_at = verdict.index
            self._find(None)
        else:
            self._find(
                DamageMark(
                    index=verdict.index, digest=own.digest, right=verdict.right, by=verdict.by
                )
            )

    def _disagree(self, verdict: Verdict) -> None:
        text = (
            f"state digests disagree, no majority: at index {verdict.index} servers of this region "
            f"hold different states, and no digest is that of a majority of the voters (found by "
            f"{verdict.by}); start the voters that are down, and the next check will tell"
        )
        if not self.disagreement:
            log.error("%s", text)
        self.disagreement = text

    def _find(self, mark: DamageMark | None) -> None:
        before = self.damage
        if mark is None and before is None:
            return
        self._mark = mark
        if mark is None:
            log.warning(
                "the state of this server is that of the majority again, at index %d: it serves "
                "again; find out what had changed it",
                self.verdict.index,
            )
            self.damage = None
        else:
            self.damage = self._described(mark)
            if before is None:
                log.error("%s: %s", self.damage.text, self.damage.next_step)
        self._quarantine(self.damage)
        self._spawn(self._keep_mark())

    async def _keep_mark(self) -> None:
        async with self._marking:
            try:
                await self._loop.run_in_executor(None, keep_mark, self._folder, self._mark)
            except QuorateError as error:
                log.warning("a restart will not know of the damage to the state: %s", error)

    def _described(self, mark: DamageMark) -> StateDamaged:
        if mark.memory:
            return StateDamaged(
                f"the state of this server is damaged, it answers nothing from it: a row has "
                f"changed in memory; at index {mark.index} the digest of the rows is "
                f"{mark.digest[:12]}, and the commands made {mark.right[:12]}",
                "restart this server: it builds its state again from snapshot and log; if it "
                "happens again, test the machine's memory",
            )
        return StateDamaged(
            f"the state of this server is damaged, and it answers no reads from it: at index "
            f"{mark.index} its digest is {mark.digest[:12]}, and a majority of the voters has "
            f"{mark.right[:12]} (found by {mark.by})",
            f"stop this server, move {self._folder} away, start it: the leader fills it again",
        )
