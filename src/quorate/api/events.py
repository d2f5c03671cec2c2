"""Events of requests for the audit sink: one before a request is carried out, one after it.

The events of a request stand at the server that its client asked; a request that another server
passes on has its events there. See docs/audit.md#the-file-of-a-sink.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from quorate.acl.caller import ANONYMOUS_ACCESSOR
from quorate.api.endpoint import Endpoint
from quorate.api.gate.admission import secret_of
from quorate.api.http.messages import Request, Response
from quorate.api.parts import Access, Parts
from quorate.api.status import error_response
from quorate.errors import AuditUnwritable, QuorateError
from quorate.server.audit.sink import Answered, Asked, Auth, RequestMeta, Sink

_PATH_MAX: Final = 512
_TEXT_MAX: Final = 200
_ERROR: Final = 400


class RequestEvents:
    """Of one application. `make_id` gives the ID of a request."""

    def __init__(
        self,
        sink: Sink,
        parts: Parts,
        clock: Callable[[], float],
        make_id: Callable[[], str],
        *,
        control: bool,
    ) -> None:
        self._sink = sink
        self._access: Access = parts.access
        self._node = {"ip": parts.options.name}
        self._clock = clock
        self._make_id = make_id
        self._control = control

    def wanted(self, request: Request) -> bool:
        """Whether an event of this request is written."""
        return self._sink.wants(_path(request), request.method)

    async def around(
        self, request: Request, row: Endpoint | None, answer: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The response of `answer`, with the events around it.

        Where delivery is enforced the request is refused if its first event cannot be written,
        unless its row is always carried out. What was done is answered, whatever becomes of the
        second one.
        """
        asked, auth = self._asked(request), self._auth(request)
        try:
            await self._sink.received(asked, auth)
        except AuditUnwritable as error:
            if row is None or row.act is None or not row.act.always:
                return error_response(error)
        response = await answer()
        status, error_text = response.status, ""
        if status >= _ERROR:
            error_text = response.body[:_TEXT_MAX].decode("utf-8", "replace")
        with suppress(AuditUnwritable):  # it was counted and logged there
            await self._sink.completed(asked, auth, Answered(status, error_text))
        return response

    def _asked(self, request: Request) -> Asked:
        agent = request.header(b"user-agent")[:_TEXT_MAX].decode("latin-1")
        return Asked(
            id=self._make_id(),
            operation=request.method,
            endpoint=_path(request),
            namespace={"id": _namespace(request)},
            request_meta=RequestMeta(request.remote, agent),
            node_meta=self._node,
        )

    def _auth(self, request: Request) -> Auth:
        if self._control:
            return Auth("control", "control socket")
        if not self._access.enabled:
            return Auth()
        try:
            caller = self._access.caller(secret_of(request.headers), self._clock())
        except QuorateError:
            return Auth()
        accessor = "" if caller.accessor == ANONYMOUS_ACCESSOR else caller.accessor
        return Auth(accessor, caller.name)


def _path(request: Request) -> str:
    return request.target.partition(b"?")[0][:_PATH_MAX].decode("latin-1")


def _namespace(request: Request) -> str:
    """By the parameter, as it was sent: it is bounded, and looked at no further."""
    for part in request.target.partition(b"?")[2].split(b"&"):
        name, _, value = part.partition(b"=")
        if name == b"namespace":
            return value[:_TEXT_MAX].decode("latin-1")
    return "default"
