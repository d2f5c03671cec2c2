"""Requests that are acts of an operator: their caller is told in the entry, or noted.

A row of the table of endpoints with an `act` is one. While its handler runs, the act stands in a
context variable (`quorate.server.audit.acting`), from which whatever writes the entry takes the
caller. What no entry tells of is noted when it is over, or before it begins. What was passed on is
told by the server that does it. What was certainly not begun, because nobody leads, is no act.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from quorate.acl.caller import ANONYMOUS_ACCESSOR
from quorate.acl.capability import Capability
from quorate.api.consistency import CALLER, Replicating
from quorate.api.endpoint import Endpoint, Handler, OfAct
from quorate.api.gate.admission import NEAR_CONTROL, VOUCHED, secret_of
from quorate.api.http.messages import Call, Request, Response
from quorate.api.parts import Parts, Recorder
from quorate.errors import (
    ApplyTimeout,
    LeadershipLost,
    NoLeader,
    NoPathToRegion,
    NotLeader,
    NotReached,
    NotReady,
    PermissionDenied,
    QuorateError,
    RestoreUnknown,
    StorageFull,
)
from quorate.server.audit.acting import ACTING, Act
from quorate.server.audit.recorder import BEGUN
from quorate.state.tables.journal import DONE, Who

_CONTROL: Final = Who(accessor="control", name="control socket")

_NOT_BEGUN: Final = (NoLeader, NotLeader, NotReady, NotReached, NoPathToRegion)
_UNKNOWN: Final = (ApplyTimeout, LeadershipLost, RestoreUnknown, StorageFull)
"""Errors after which the act may stand."""

_OK: Final = 400
_ADDRESS_MAX: Final = 100
_NOT_KNOWN: Final = "(unknown)"
_DENIED: Final = "Permission denied"

UNKNOWN: Final = "unknown"
"""The outcome of an act that may stand."""


class Acts:
    """What makes acts of requests, for one application.

    `inner`: it serves members of the cluster, whose word on a request's origin counts.
    """

    def __init__(self, recorder: Recorder, *, inner: bool) -> None:
        self._recorder = recorder
        self._inner = inner

    def told(self, row: Endpoint, handler: Handler) -> Handler:
        """The handler of a row, which makes acts of its requests if they are some."""
        of_act = row.act
        if of_act is None:
            return handler

        def acted(call: Call) -> Response | Replicating | Awaitable[Response]:
            act = self._act_of(of_act, call)
            act.needs_right = row.capability is not Capability.NONE or _has_all_rights(call)
            if of_act.before:
                return self._noted_before(act, handler, call)
            token = ACTING.set(act)
            try:
                result = handler(call)
            except QuorateError as error:
                self._refused(act, error)
                raise
            finally:
                ACTING.reset(token)
            if isinstance(result, Replicating):  # it has the act
                return result
            if isinstance(result, Response):
                return self._ended(act, result)
            return self.carried_out(act, result)

        return acted

    def _act_of(self, of_act: OfAct, call: Call) -> Act:
        query = call.query
        who = partial(who_of, call, inner=self._inner)
        act = Act(of_act.what, who, subject=call.tail, carried=of_act.carried)
        if query.values:  # of most writes there are none
            act.subject = _subject(of_act, call)
            act.force = "force" in query.values
            given = [name for name in of_act.details if name in query.values]
            act.details = tuple((name, query.first(name) or "true") for name in given)
        return act

    async def _noted_before(self, act: Act, handler: Handler, call: Call) -> Response:
        """Of what may end this server: it is noted first that it begins."""
        await self._recorder.note(act, BEGUN)
        token = ACTING.set(act)
        try:
            result = handler(call)
        except QuorateError as error:
            return await self.failed(act, error)
        finally:
            ACTING.reset(token)
        assert not isinstance(result, Replicating), "what is noted before has no entry"
        if isinstance(result, Response):
            return await self._ended(act, result)
        return await self.carried_out(act, result)

    async def carried_out(self, act: Act, result: Awaitable[Response]) -> Response:
        """The response, with the act around what makes it."""
        token = ACTING.set(act)
        try:
            response = await result
        except QuorateError as error:
            return await self.failed(act, error)
        finally:
            ACTING.reset(token)
        return await self._ended(act, response)

    async def _ended(self, act: Act, response: Response) -> Response:
        if act.passed_on:
            return response
        if response.status >= _OK:
            text = response.body[:200].decode("utf-8", "replace")
            self._refuse(act, f"{response.status} {text}")
        elif not act.entered:
            await self._note(act, DONE)
        return response

    async def _note(self, act: Act, outcome: str, cause: str = "") -> None:
        """Note an act; count it where anybody may do it."""
        if act.needs_right:
            await self._recorder.note(act, outcome, cause)
        else:
            self._recorder.often(act.who(), act.what, outcome)

    async def failed(self, act: Act, error: QuorateError) -> Response:
        """Note what a failed act leaves: that it may stand, or that it was refused. Raises it."""
        if isinstance(error, _UNKNOWN) and not act.passed_on:
            await self._note(act, UNKNOWN, error.text)
        else:
            self._refused(act, error)
        raise error

    def _refused(self, act: Act, error: QuorateError) -> None:
        # A caller that may not is counted where all of them are (`quorate.api.app`).
        if not (act.passed_on or isinstance(error, (*_NOT_BEGUN, PermissionDenied))):
            self._refuse(act, error.text)

    def _refuse(self, act: Act, why: str) -> None:
        who = act.who()
        if who.name == _NOT_KNOWN or who.accessor == ANONYMOUS_ACCESSOR:
            self._recorder.refuse_unknown()
        else:
            self._recorder.refuse(who, act.what, act.subject, why)


def _has_all_rights(call: Call) -> bool:
    try:
        return call.caller.rights.everything
    except QuorateError:
        return False


def _subject(of_act: OfAct, call: Call) -> str:
    if call.tail:
        return call.tail
    return next((text for name in of_act.subject if (text := call.query.first(name))), "")


def who_of(call: Call, *, inner: bool) -> Who:
    """The caller of a request. Of one that was passed on, where it came from."""
    request = call.request
    address = _address(request, inner=inner)
    if inner and request.header(VOUCHED) == NEAR_CONTROL:
        return replace(_CONTROL, address=address)
    try:
        caller = call.caller
    except QuorateError:  # of a row that needs no right, or before it was admitted
        return Who(name=_NOT_KNOWN, address=address)
    return Who(accessor=caller.accessor, name=caller.name, address=address)


def _address(request: Request, *, inner: bool) -> str:
    passed = request.header(CALLER)[:_ADDRESS_MAX].decode("latin-1") if inner else ""
    return passed or request.remote


class Refusals:
    """Counts the requests that the gate of one application refuses, by caller."""

    def __init__(self, parts: Parts, clock: Callable[[], float], *, inner: bool) -> None:
        self._access = parts.access
        self._recorder = parts.recorder
        self._clock = clock
        self._inner = inner

    def count(self, request: Request) -> None:
        """One more. Of a caller without a valid token it leaves no record."""
        try:
            caller = self._access.caller(secret_of(request.headers), self._clock())
        except QuorateError:
            caller = None
        if caller is None or caller.accessor in {"", ANONYMOUS_ACCESSOR}:
            self._recorder.refuse_unknown()
            return
        path = request.target.partition(b"?")[0].decode("latin-1")
        address = _address(request, inner=self._inner)
        who = Who(accessor=caller.accessor, name=caller.name, address=address)
        self._recorder.refuse(who, request.method, path, _DENIED)
