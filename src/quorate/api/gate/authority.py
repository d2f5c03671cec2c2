"""`Authority` behind the gate: it admits a request at the moment, and where, it is answered.

Invariant: a read that is not stale is admitted by the state from which it is answered, with no
await between the two; a write is admitted on the leader, once that has applied all that earlier
leaders wrote. So after the answer to the deletion of a token nothing more is done with it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from random import Random

from quorate.acl.rights import Rights
from quorate.api.blocking import Watched
from quorate.api.consistency import Answer, Applied, Authority, Make, Perform, Replicating
from quorate.api.gate.admission import Admission
from quorate.api.gate.gate import Gate
from quorate.api.http.messages import Call, Response
from quorate.api.parts import Parts
from quorate.errors import NotCaughtUp, NotReady, NotWritten, PermissionDenied, QuorateError
from quorate.state.engine.store import StateStore


class GuardedAuthority(Authority):
    """See the module. Calls come from `Gate.guard`, so each has an admission."""

    def __init__(self, parts: Parts, random: Random, gate: Gate) -> None:
        super().__init__(parts, random)
        self._gate = gate

    def read(
        self, call: Call, answer: Answer, watched: Watched | None = None
    ) -> Response | Awaitable[Response]:
        """See the base class. A query that waits watches no more than its caller may know."""
        admission = _asked(call)
        query = call.query
        if not (query.stale or query.index or query.region) and self._leadership.lease_valid():
            # The short way of nearly all reads: no await is between this and the answer.
            admission.admit(proven=True)
            try:
                return answer(call)
            except (NotWritten, NotCaughtUp):
                pass
        if query.index > 0 and watched is not None:
            watched = watched.by(call, _rights(admission))
        proven = not query.stale

        def admitted(call: Call) -> Response:
            admission.admit(proven=proven)
            return answer(call)

        try:
            return super().read(call, admitted, watched)
        except PermissionDenied:
            if proven or self._leadership.has_begun():
                raise
            return self._read_soon(call, admission, answer, watched)

    async def _until_newer(
        self, state: StateStore, watched: Watched, call: Call, restores: int
    ) -> None:
        """See the base class. The wait ends with the right to it."""
        waiting = super()._until_newer(state, watched, call, restores)
        await self._gate.ends.while_admitted(_asked(call), waiting)

    async def _read_soon(
        self, call: Call, admission: Admission, answer: Answer, watched: Watched | None
    ) -> Response:
        await self._gate.soon_admitted(admission)
        result = self.read(call, answer, watched)
        return result if isinstance(result, Response) else await result

    def write(self, call: Call, perform: Perform) -> Awaitable[Response]:
        """See the base class."""
        return super().write(call, partial(self._admitted, _asked(call), perform))

    async def _admitted(self, admission: Admission, perform: Perform) -> Response:
        self._admit(admission)
        return await perform()

    def _admit(self, admission: Admission) -> None:
        """Raises NotReady on a leader that may lack what earlier ones wrote of tokens."""
        if not self._leadership.has_begun():
            raise NotReady
        admission.admit(proven=True)

    def replicate(
        self, call: Call, command: bytes | Make, answer: Applied
    ) -> Replicating | Awaitable[Response]:
        """See the base class."""
        admission = _asked(call)

        def made() -> bytes:
            self._admit(admission)
            return command if isinstance(command, bytes) else command()

        return super().replicate(call, made, answer)

    def any_server(self, call: Call, perform: Perform) -> Awaitable[Response]:
        """See the base class."""
        admission = _asked(call)

        async def admitted() -> Response:
            try:
                admission.admit(proven=False)
            except PermissionDenied:
                if self._leadership.has_begun():
                    raise
                await self._gate.soon_admitted(admission)
            return await perform()

        return super().any_server(call, admitted)


def _rights(admission: Admission) -> Rights | None:
    """Those of the caller, by the state here; None if it is not known."""
    try:
        return admission.caller.rights
    except QuorateError:
        return None


def _asked(call: Call) -> Admission:
    admission = call.admission
    assert admission is not None, "the gate gives one to each call"
    admission.asked = True
    return admission
