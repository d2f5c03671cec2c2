"""Consistency and forwarding: answers of this server, of the leader, or of another one.

See docs/http-api.md#parameters-of-every-read and #consistency-and-forwarding.

Invariant: a read that is not stale is answered from applied state at a moment when this server
had proof of leading (its lease, or a read barrier just passed) with no await between proof and
answer; so it is linearizable, never merely what a server says that believes to lead.

Order: what is wrong with the request itself was found before; another region comes first, then
the leader. While nobody leads, a request is held for up to five seconds. A forwarded request
carries a header, so that it is never forwarded a second time by the same rule: to a region at
most once, to a leader or a server that is named at most once. A write is repeated only if it
certainly was not begun: a connection that could not be made begins nothing. A read is asked again
whatever happened to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from random import Random
from time import monotonic
from typing import Any, Final

import msgspec

from quorate.api import blocking
from quorate.api.blocking import Watched
from quorate.api.codec.params import Query
from quorate.api.gate.admission import AUTHORIZATION, TOKEN, VOUCHED, secret_of
from quorate.api.http.messages import Call, Header, Request, Response, StreamResponse
from quorate.api.parts import Parts
from quorate.api.status import ERROR_HEADER, kind_of
from quorate.errors import (
    LeadershipLost,
    MachineHeld,
    NoLeader,
    NoPathToRegion,
    NotBegun,
    NotCaughtUp,
    NotLeader,
    NotReached,
    NotReady,
    NotWritten,
    QuorateError,
    StateDamaged,
)
from quorate.server.audit.acting import ACTING, Act
from quorate.server.rpc.forwarding import ForwardRequest, ForwardResponse, OnItsWay
from quorate.state.engine.store import StateStore

Answer = Callable[[Call], Response]
Applied = Callable[[int, Any], Response]
Perform = Callable[[], Awaitable[Response]]
Make = Callable[[], bytes]

HOLD_S: Final = 5.0
"""How long a request waits for a leader."""

CALLER: Final = b"x-quorate-caller"
"""The header by which a server says where the client is whose request it passes on."""

FORWARDED_HEADER: Final = b"x-quorate-forwarded"
TO_LEADER: Final = b"leader"
TO_REGION: Final = b"region"
TO_SERVER: Final = b"server"

_ANSWER_S: Final = 20.0  # what the other side may take: its own hold, and a write's timeout of 10 s
_LONG_ANSWER_S: Final = 900.0  # of a row that streams: before it begins, a large file may be made
_SILENT_S: Final = 10.0  # of a server that is named: before its answer, and between pieces of it
_RPC_PREFIX: Final = "rpc error: "
_ERROR_BYTES_MAX: Final = 64 * 1024

_PASSED_ON: Final = frozenset({b"accept", b"content-type", b"user-agent"})
_SECRETS: Final = frozenset({TOKEN, AUTHORIZATION})
"""Of them the token is passed on, to a server that has proven which one it is: a member, and with
TLS one of another region, whose certificate says so. Without TLS that one is known by gossip alone.
Cookies and passwords are passed to nobody."""

_PASSED_BACK: Final = (b"content-type", b"digest", b"x-nomad-", b"x-quorate-")
_TYPES_PASSED_BACK: Final = frozenset(
    {b"", b"application/json", b"text/plain", b"application/octet-stream", b"application/x-gzip"}
)
"""Nothing that a browser would run; no redirect is passed back either."""

_NOT_LEADER: Final = (ERROR_HEADER.lower(), kind_of(NotLeader).encode())


class Replicating(msgspec.Struct, frozen=True):
    """A write that this leader has in hand: no task waits for it, its future's callback answers.

    `answer` makes the response of index and result. `began` is when, by `time.monotonic`. What
    was refused before it was begun, because leadership had just ended or is about to, is tried
    `Authority.again`.
    """

    future: asyncio.Future[tuple[int, Any]]
    answer: Applied
    call: Call
    command: bytes | Make
    act: Act | None = None
    began: float = msgspec.field(default_factory=monotonic)


class Passing(msgspec.Struct, frozen=True):
    """A read that is on its way to the leader: no task waits for it, its future's callback answers.

    `Authority.passed` makes the response when the future of `sent` is done, or asks once more. To
    await it is the same in one. `began` is when, by `time.monotonic`.
    """

    sent: OnItsWay
    call: Call
    answer: Answer
    watched: Watched | None
    passed: Callable[[Passing], Response | Awaitable[Response]]
    began: float = msgspec.field(default_factory=monotonic)

    def __await__(self) -> Generator[Any, Any, Response]:
        """The response. Raises QuorateError."""
        return self._response().__await__()

    async def _response(self) -> Response:
        future = self.sent.answer
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError:
            future.cancel()
            self.sent.abandon(future)
            raise
        result = self.passed(self)
        return result if isinstance(result, Response) else await result


REFUSED_UNBEGUN: Final = (NotLeader, NotBegun, NotReady)
"""Errors of a leader that has not begun a write: it is safe to try again, with the next leader.

A leader whose state is damaged hands over within a second; until then its clients wait. A write
that it had begun before the damage was found fails with StateDamaged itself, and may stand.
"""


class ForwardError(QuorateError):
    """The other server could not be asked, or went away before it answered.

    `begun`: what was asked of it may have been carried out.
    """

    def __init__(self, text: str, next_step: str = "", *, begun: bool = False) -> None:
        super().__init__(text, next_step)
        self.begun = begun


class Hold:
    """The time a request may wait for a leader, less what it has `spent`, in seconds."""

    def __init__(self, random: Random, spent: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + HOLD_S - spent
        self._random = random

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._until - self._loop.time())

    async def pause(self, error: QuorateError) -> None:
        """Wait a random moment before the next try; raises `error` when the time is over."""
        remaining = self.remaining()
        if not remaining:
            raise error
        await asyncio.sleep(min(remaining, self._random.uniform(0.01, HOLD_S / 16)))


class Authority:
    """Decides for one server who answers a request, and gets the answer."""

    def __init__(self, parts: Parts, random: Random) -> None:
        self._region = parts.options.region
        self._leadership = parts.leadership
        self._forwarder = parts.forwarder
        self._state = parts.state
        self._writes = parts.writes
        self._random = random
        self._regions_prove = parts.options.regions_prove

    def read(
        self, call: Call, answer: Answer, watched: Watched | None = None
    ) -> Response | Awaitable[Response]:
        """Answer a read of replicated state; `watched` makes it a blocking query.

        Without an await if this server may answer now. Raises QuorateError.
        """
        query = call.query
        try:
            if query.stale and not (query.region or query.index):  # nothing to look at: soon done
                return answer(call)
            return self._read(call, answer, watched)
        except NotCaughtUp:
            return self._once_caught_up(call, answer, watched)

    async def _once_caught_up(
        self, call: Call, answer: Answer, watched: Watched | None
    ) -> Response:
        hold = Hold(self._random)
        while True:
            try:
                result = self._read(call, answer, watched)
                return result if isinstance(result, Response) else await result
            except NotCaughtUp as error:
                await hold.pause(error)

    def _read(
        self, call: Call, answer: Answer, watched: Watched | None
    ) -> Response | Awaitable[Response]:
        query = call.query
        if query.region and query.region != self._region:
            return self._ask_region(call)
        if query.index > 0 and watched is not None:
            state = self._state.readable()
            if watched.must_wait(state, call):
                return (
                    self._stale(call, answer, watched, state.restores)
                    if query.stale
                    else self._consistent(call, answer, watched)
                )
        if query.stale:
            return answer(call)
        if self._leadership.lease_valid():
            try:
                return answer(call)
            except NotWritten:  # a leader that has just founded its cluster
                pass
        elif (passing := self._passing(call, answer, watched)) is not None:
            return passing
        return self._consistent(call, answer, watched)

    def write(self, call: Call, perform: Perform) -> Awaitable[Response]:
        """Have the leader perform a write: here, or where the leader is. Raises QuorateError."""
        region = call.query.region
        if region and region != self._region:
            return self._ask_region(call)
        return self._write(call, perform)

    def replicate(
        self, call: Call, command: bytes | Make, answer: Applied
    ) -> Replicating | Awaitable[Response]:
        """`write` for one command of the state machine. Raises QuorateError.

        A command that is made of what only a leader has (its clock, a data key) is given as what
        makes it, which is called on the leader alone, and again for another try.
        """
        region = call.query.region
        if (region and region != self._region) or not self._leadership.is_leader():
            return self.write(call, partial(self._replicated, command, answer))
        try:
            future = self._writes.apply(command if isinstance(command, bytes) else command())
        except NotReady:  # to seal values, or to know who may write
            return self._write(call, partial(self._replicated, command, answer))
        return Replicating(future, answer, call, command, ACTING.get())

    async def _replicated(self, command: bytes | Make, answer: Applied) -> Response:
        made = command if isinstance(command, bytes) else command()
        index, result = await self._writes.apply(made)
        return answer(index + self._writes.shift, result)

    def confirmed(self, write: Replicating) -> Response:
        """The response to a write whose future is done. Raises its error."""
        index, result = write.future.result()
        return write.answer(index + self._writes.shift, result)

    def again(self, write: Replicating) -> Awaitable[Response]:
        """Have the leader perform a write that was refused before it was begun."""
        return self._write(write.call, partial(self._replicated, write.command, write.answer))

    def any_server(self, call: Call, perform: Perform) -> Awaitable[Response]:
        """Have the server asked answer, leader or not; another region's is asked there."""
        region = call.query.region
        if region and region != self._region:
            return self._ask_region(call)
        return perform()

    # -- here ----------------------------------------------------------------------------------

    async def _stale(self, call: Call, answer: Answer, watched: Watched, restores: int) -> Response:
        state = self._state.readable()
        await self._until_newer(state, watched, call, restores)
        return answer(call)

    async def _until_newer(
        self, state: StateStore, watched: Watched, call: Call, restores: int
    ) -> None:
        """Wait here for what is newer than the client has."""
        await blocking.until_newer(state, watched, call, self._random, restores)

    async def _consistent(
        self, call: Call, answer: Answer, watched: Watched | None, hold: Hold | None = None
    ) -> Response:
        hold = hold or Hold(self._random)
        while True:
            if not self._leadership.is_leader():
                try:
                    forwarded = await self._ask_leader(call, hold)
                except LeadershipLost:  # another leads now, and a read may be asked again
                    hold = Hold(self._random)
                    continue
                except ForwardError as error:  # the leader may just have died
                    await hold.pause(error)
                    continue
                if forwarded is not None:
                    return forwarded
                continue
            try:
                await self._leadership.read_barrier()
            except (NotLeader, NotReady, LeadershipLost, StateDamaged, MachineHeld) as error:
                await hold.pause(error)
                continue
            state = None if watched is None else self._state.readable()
            if watched is None or state is None or not watched.must_wait(state, call):
                try:
                    return answer(call)
                except NotWritten as error:
                    await hold.pause(error)
                    continue
            await self._until_newer(state, watched, call, state.restores)
            watched, hold = None, Hold(self._random)  # waited enough; prove the lead once more

    async def _write(self, call: Call, perform: Perform) -> Response:
        hold: Hold | None = None
        while True:
            if self._leadership.is_leader():
                try:
                    return await perform()
                except REFUSED_UNBEGUN as error:
                    _not_begun()
                    hold = hold or Hold(self._random)
                    await hold.pause(error)
                    continue
            hold = hold or Hold(self._random)
            forwarded = await self._ask_leader(call, hold)
            if forwarded is not None:
                return forwarded

    # -- elsewhere -----------------------------------------------------------------------------

    def _passing(self, call: Call, answer: Answer, watched: Watched | None) -> Passing | None:
        """The read on its way to the leader, if it can be sent now; else None."""
        request = call.request
        if self._leadership.is_leader() or request.stream is not None:
            return None
        if not request.passed:
            if request.header(FORWARDED_HEADER) == TO_LEADER:
                return None
            request.passed.append(forward_request(call, TO_LEADER))
        sent = self._forwarder.at_once(request.passed[0])
        return None if sent is None else Passing(sent, call, answer, watched, self.passed)

    def passed(self, passing: Passing) -> Response | Awaitable[Response]:
        """The response to a read whose future is done, or what gives it after another try.

        Like `_consistent`, which goes on where the answer is none.
        """
        error = passing.sent.answer.exception()
        if error is None:
            forwarded = passing.sent.answer.result()
            if not _was_not_leader(forwarded):
                try:
                    return passed_back(forwarded)
                except ForwardError as refused:
                    error = refused
            else:
                error = NoLeader()
        return self._once_more(passing, error)

    async def _once_more(self, passing: Passing, error: BaseException) -> Response:
        if not isinstance(error, QuorateError):
            raise error
        if isinstance(error, LeadershipLost):  # another leads now, and a read may be asked again
            hold = Hold(self._random)
        else:
            hold = Hold(self._random, monotonic() - passing.began)
            known = isinstance(error, NoLeader | ForwardError)
            await hold.pause(error if known else _failed(error))
        return await self._consistent(passing.call, passing.answer, passing.watched, hold)

    async def _ask_leader(self, call: Call, hold: Hold) -> Response | None:
        """The leader's answer, or None when it is time to look again who leads."""
        if call.request.header(FORWARDED_HEADER) == TO_LEADER:
            raise NotLeader(leader_address=self._leadership.leader_address())
        if not self._leadership.leader_address():
            if not await self._leadership.wait_for_leader(hold.remaining()):
                raise NoLeader
            if not self._leadership.leader_address() and not self._leadership.is_leader():
                await hold.pause(NoLeader())
            return None
        return await self._passed_on(call, hold)

    async def _passed_on(self, call: Call, hold: Hold) -> Response | None:
        """What the leader answers, or None when it certainly has begun nothing."""
        request = forward_request(call, TO_LEADER)
        try:
            response = await _without_stream_of_error(await self._forwarder.to_leader(request))
        except NoLeader as error:
            await hold.pause(error)
            return None
        except LeadershipLost:
            raise
        except NotReached as error:  # not begun: the leader may just have died
            await hold.pause(_failed(error))
            return None
        except QuorateError as error:
            _told_elsewhere()  # if it was begun
            raise _failed(error, request.method) from error
        if _was_not_leader(response):
            await hold.pause(NoLeader())
            return None
        _told_elsewhere()
        return passed_back(response)

    async def ask_server(
        self, call: Call, server_id: str, region: str, *, streams: bool = False
    ) -> Response:
        """Have that server answer, of this region or of another one. Raises QuorateError.

        What `streams` has to say something at least every `_SILENT_S`. No body is passed on.
        """
        if region != self._region:
            return await self._ask_region(call, region)
        if call.request.header(FORWARDED_HEADER) == TO_SERVER:
            raise ForwardError("this server is not the one that is asked for now", "try again")
        request = msgspec.structs.replace(
            forward_request(call, TO_SERVER),
            body=b"",
            stream=_no_body() if streams else None,
            timeout_s=_SILENT_S,
            to_member=True,
        )
        try:
            response = await self._forwarder.to_member(server_id, request)
            response = await _without_stream_of_error(response)
        except QuorateError as error:
            raise _failed(error, request.method) from error
        return passed_back(response)

    async def _ask_region(self, call: Call, region: str = "") -> Response:
        if call.request.header(FORWARDED_HEADER):
            raise NoPathToRegion
        request = forward_request(call, TO_REGION, proves=self._regions_prove)
        try:
            response = await self._forwarder.to_region(region or call.query.region, request)
            response = await _without_stream_of_error(response)
            _told_elsewhere()
        except NoPathToRegion:
            raise
        except QuorateError as error:
            raise _failed(error, request.method) from error
        return passed_back(response)


def _told_elsewhere() -> None:
    """The act under way is carried out, and told, by another server."""
    if (act := ACTING.get()) is not None:
        act.passed_on = True


def _not_begun() -> None:
    """What was to be written for the act under way was not: another try has to tell of it."""
    if (act := ACTING.get()) is not None:
        act.entered = False


def forward_request(call: Call, mark: bytes, *, proves: bool = False) -> ForwardRequest:
    """The request as it is passed on, marked as forwarded. `proves`: a server of another region."""
    request: Request = call.request
    headers = [header for header in request.headers if header[0] in _PASSED_ON]
    to_member = mark != TO_REGION
    if (proves or to_member) and any(name in _SECRETS for name, _ in request.headers):
        headers.append((TOKEN, secret_of(request.headers).encode("latin-1")))
    if to_member and call.admission is not None and call.admission.near:
        headers.append((VOUCHED, call.admission.near))
    if request.remote and (request.method != "GET" or request.stream is not None):
        headers.append((CALLER, request.remote.encode("latin-1", "replace")))
    headers.append((FORWARDED_HEADER, mark))
    return ForwardRequest(
        method=request.method,
        target=request.target.decode("latin-1"),
        headers=tuple(headers),
        body=request.body,
        stream=request.stream,
        timeout_s=(_ANSWER_S if request.stream is None else _LONG_ANSWER_S)
        + _longest_wait_s(call.query),
    )


async def _no_body() -> AsyncGenerator[bytes, None]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


def _longest_wait_s(query: Query) -> float:
    return query.wait_s * 17 / 16 if query.index else 0.0


def passed_back(response: ForwardResponse) -> Response:
    """The other server's answer as ours. An error of status 500 gets a prefix for the hop.

    Raises ForwardError for a redirect, and for a type of content that no server answers with. An
    answer that comes again gives the same response, which is rendered already.
    """
    if response.made:
        known: Response = response.made[0]
        return known
    kind = dict(response.headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if 300 <= response.status < 400 or kind not in _TYPES_PASSED_BACK:
        shown = kind[:64].decode("ascii", "replace")
        raise ForwardError(
            f"{_RPC_PREFIX}the other server answered with status {response.status} and {shown!a}",
            "check which program answers at its RPC address",
        )
    headers: list[Header] = [
        (name.title(), value) for name, value in response.headers if name.startswith(_PASSED_BACK)
    ]
    if response.stream is not None:
        length = dict(response.headers).get(b"content-length")
        size = None if length is None else int(length)
        return StreamResponse(response.status, response.stream, headers, length=size)
    body = response.body
    if response.status == 500:
        body = _RPC_PREFIX.encode() + body
    made = Response(response.status, body, headers)
    response.made.append(made)
    return made


async def _without_stream_of_error(response: ForwardResponse) -> ForwardResponse:
    """The answer; an error that came as a stream has its text in the body, as any other."""
    if response.stream is None or response.status < 400:
        return response
    text = bytearray()
    try:
        async for piece in response.stream:
            text += piece
            if len(text) > _ERROR_BYTES_MAX:
                break
    finally:
        await response.stream.aclose()
    return msgspec.structs.replace(response, body=bytes(text[:_ERROR_BYTES_MAX]), stream=None)


def _was_not_leader(response: ForwardResponse) -> bool:
    return _NOT_LEADER in response.headers


def _failed(error: QuorateError, method: str = "GET") -> ForwardError:
    """A write that was sent may have been carried out, unless the other server was not reached."""
    begun = method != "GET" and not isinstance(error, NotReached)
    if begun:
        next_step = "the write may have been carried out: read before you repeat it"
    else:
        next_step = error.next_step or "the leader may have changed: try again"
    return ForwardError(_RPC_PREFIX + error.text, next_step, begun=begun)
