"""The one gate of the table of endpoints: which rows check what, where, and when.

See docs/acl.md. While access control is off there is no gate, and handlers are called as they are.

Order of a request: what is wrong with its parameters comes first, then which server answers, then
whether the caller may. A row that only the leader answers is checked there, by state that it has
just proven to be current (`quorate.api.gate.authority`); a server on the way keeps the token and
decides nothing, because what it knows of tokens may be older. A row that the server asked answers
is checked before its handler, by what this server knows, unless it has not heard the leader for
too long. There a refusal waits a moment, as the leader may have confirmed a new token just now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Final

from msgspec.structs import replace

from quorate.acl.caller import ANONYMOUS_ACCESSOR, Caller
from quorate.acl.capability import Capability
from quorate.acl.rights import EVERYTHING, Rights
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Endpoint, Forwarding, Handler
from quorate.api.gate.admission import (
    NEAR_CONTROL,
    NEAR_HOST,
    VOUCHED,
    Admission,
    Head,
    of_control,
    secret_of,
)
from quorate.api.gate.ends import Ends
from quorate.api.http.messages import Call, Request, Response, StreamResponse
from quorate.api.parts import Access, Leadership
from quorate.errors import LevelTooLow, PermissionDenied, TokensNotCurrent
from quorate.state.tables.namespaces import DEFAULT

HEALTH: Final = "/v1/agent/health"
"""What answers even while nothing is known of tokens, because the state here is damaged."""

ANYBODY: Final = Caller(ANONYMOUS_ACCESSOR, "", EVERYTHING)
"""One whose token is not known, while it is let in all the same."""

WILDCARD: Final = "*"

HEADS_MAX: Final = 2048
"""Heads of requests that are kept, of as many connections."""

_NEVER: Final = float("inf")
_OF_ACL: Final = "/v1/acl/"
_OF_THE_WHOLE_STATE: Final = frozenset({Capability.SNAPSHOT_SAVE, Capability.SNAPSHOT_RESTORE})
"""Rows of both are not allowed in passing: a token that a stranger makes, finds in a snapshot, or
puts into the state with one would outlive the passing."""

LATE_S: Final = 0.25
"""For so long a follower may not know what the leader has confirmed: some heartbeats."""

_LOOK_AGAIN_S: Final = 0.02
_PASSED_ON: Final = frozenset({b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip"})
"""Headers of a proxy, which may be asked by everybody."""

Result = Response | Replicating | Awaitable[Response]


class Gate:
    """The gate of one application. `clock` gives Unix seconds.

    `silence_max_s`: how long tokens count here without a word of the leader. `inner`: it serves
    members alone, whose word on the origin of a request counts. `host_is_near`: a request from
    this machine was not passed on by a proxy, because others come from elsewhere.
    """

    def __init__(
        self,
        access: Access,
        leadership: Leadership,
        clock: Callable[[], float],
        *,
        silence_max_s: float,
        inner: bool = False,
        host_is_near: bool = False,
    ) -> None:
        self._access = access
        self._leadership = leadership
        self._clock = clock
        self._silence_max_s = silence_max_s
        self._inner = inner
        self._host_is_near = host_is_near
        self._heads: dict[int, Head] = {}
        self.ends = Ends()

    # -- rows ----------------------------------------------------------------------------------

    def guard(self, row: Endpoint, handler: Handler) -> Handler:
        """The handler behind the gate."""
        if row.capability is Capability.NONE:
            return self._open(row, handler)
        if row.forwarding is Forwarding.NONE:
            return self._checked_before(row, handler)
        return self._checked_by_the_authority(row, handler)

    def _admission(self, row: Endpoint, request: Request, transitory: bool) -> Admission:
        headers = request.headers
        head = self._heads.get(id(headers))
        if head is None or head.headers is not headers:
            head = self._new_head(request)
        if head.near == NEAR_CONTROL:
            return of_control()
        return Admission(self, row.capability, head, transitory)

    def _new_head(self, request: Request) -> Head:
        """That of a request whose headers were not those of another one just now."""
        headers = request.headers
        head = Head(headers, secret_of(headers), self._near(request))
        if not headers:  # those of other connections may be the same object
            return head
        if len(self._heads) >= HEADS_MAX:
            self._heads.clear()
        self._heads[id(headers)] = head  # which holds them, so no others have this number
        return head

    def _near(self, request: Request) -> bytes:
        """How the request proves to come from a server's own machine, or empty."""
        if self._inner:  # only members get so far with the header (`quorate.api.internal`)
            return request.header(VOUCHED)
        near = self._host_is_near and is_loopback(request.remote)
        proxied = near and any(name in _PASSED_ON for name, _ in request.headers)
        return NEAR_HOST if near and not proxied else b""

    def _open(self, row: Endpoint, handler: Handler) -> Handler:
        """Of a row that needs no right."""
        always, transitory = row.path == HEALTH, _is_transitory(row)

        def open_to_all(call: Call) -> Result:
            if not always:
                self._check_state()
            return handler(_of(call, self._admission(row, call.request, transitory)))

        return open_to_all

    def _check_state(self) -> None:
        """Raises StateDamaged where nothing is known of tokens."""
        with suppress(PermissionDenied, LevelTooLow):
            self._access.caller("", self._clock())

    def _checked_before(self, row: Endpoint, handler: Handler) -> Handler:
        """Of a row that the server asked answers."""
        transitory = _is_transitory(row)

        def checked(call: Call) -> Result:
            admission = self._admission(row, call.request, transitory)
            call = _of(call, admission)
            if row.capability is Capability.NAMESPACE_ANY:
                admission.need(partial(_in_namespace, call.query.first("namespace") or DEFAULT))
            admission.asked = True
            try:
                admission.admit(proven=False)
            except PermissionDenied:
                if self._leadership.has_begun():
                    raise
                return self._once_it_may(row, handler, call, admission)
            result = handler(call)
            return self._streamed(admission, result) if row.streams else result

        return checked

    async def _once_it_may(
        self, row: Endpoint, handler: Handler, call: Call, admission: Admission
    ) -> Response:
        await self.soon_admitted(admission)
        result = handler(call)
        if row.streams:
            result = self._streamed(admission, result)
        assert not isinstance(result, Replicating), "only a leader has writes in hand"
        return result if isinstance(result, Response) else await result

    async def soon_admitted(self, admission: Admission) -> None:
        """Return once the request is admitted by what this server knows; soon, or it raises."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LATE_S
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            try:
                admission.admit(proven=False)
            except PermissionDenied:
                if loop.time() >= until:
                    raise
            else:
                return

    def _checked_by_the_authority(self, row: Endpoint, handler: Handler) -> Handler:
        """Of a row that is passed on."""
        transitory = _is_transitory(row)

        def checked(call: Call) -> Result:
            admission = self._admission(row, call.request, transitory)
            result = handler(_of(call, admission))
            if row.streams:
                return self._streamed(admission, result)
            if not admission.asked:
                raise PermissionDenied  # a handler that does not ask lets nobody in
            return result

        return checked

    async def _streamed(self, admission: Admission, result: Result) -> Response:
        assert not isinstance(result, Replicating), "rows that stream have no writes in hand"
        response = result if isinstance(result, Response) else await result
        if not admission.asked:
            raise PermissionDenied
        if isinstance(response, StreamResponse) and admission.granted:
            return self.ends.streamed(admission, response)
        return response

    # -- the judge of admissions ---------------------------------------------------------------

    def caller(self, head: Head, *, proven: bool) -> Caller:
        """See `quorate.api.gate.admission.Judge`."""
        access = self._access
        stamp, now_s = access.stamp, self._clock()
        if not proven:
            silent_s = self._leadership.last_contact_ms() / 1000
            if silent_s > self._silence_max_s:
                raise TokensNotCurrent(silent_s)
        elif head.stamp is stamp and now_s < head.until_s:
            assert head.caller is not None
            return head.caller
        caller = access.caller(head.secret, now_s)
        head.caller, head.stamp = caller, stamp
        head.until_s = caller.expires_ms / 1000 if caller.expires_ms else _NEVER
        return caller

    def refused(self, error: PermissionDenied, caller: Caller | None, *, again: bool) -> Caller:
        """See `quorate.api.gate.admission.Judge`."""
        if not self._access.transition:
            raise error
        if not again:
            self._access.refusals.add(error, caller)
        return replace(ANYBODY if caller is None else caller, rights=EVERYTHING)


def _is_transitory(row: Endpoint) -> bool:
    """Whether its requests are let in while access control is being introduced."""
    return not row.path.startswith(_OF_ACL) and row.capability not in _OF_THE_WHOLE_STATE


def control_handler(handler: Handler) -> Handler:
    """The handler as the control socket asks it."""

    def asked(call: Call) -> Result:
        return handler(_of(call, _CONTROL))

    return asked


_CONTROL: Final = of_control()


def _of(call: Call, admission: Admission) -> Call:
    return Call(call.request, call.query, call.tail, admission)


def _in_namespace(name: str, rights: Rights) -> bool:
    if name == WILDCARD:
        return rights.allows(Capability.NAMESPACE_ANY)
    return rights.sees_namespace(name)


def is_loopback(remote: str) -> bool:
    """Whether the address "IP:port" of a client is one of the loopback."""
    host = remote.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
