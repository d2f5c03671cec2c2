"""`/v1/operator/snapshot`: the replicated state as an archive (docs/snapshots.md)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable
from typing import Final

from quorate.api.codec.encode import empty_response, json_response
from quorate.api.codec.params import boolean
from quorate.api.consistency import ForwardError
from quorate.api.endpoint import Context
from quorate.api.endpoints.operator.restored import shown
from quorate.api.http.messages import Call, Request, Response, StreamResponse
from quorate.api.status import error_response
from quorate.errors import (
    LeadershipLost,
    NotReady,
    Overloaded,
    RestoreRefused,
    RestoreUnknown,
)

_TYPE: Final = (b"Content-Type", b"application/x-gzip")
_READY_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.05
_BUSY: Final = 503


class SnapshotEndpoint:
    """GET, PUT and POST."""

    def __init__(self, context: Context) -> None:
        self._archives = context.parts.archives
        self._restores = context.parts.restores
        self._authority = context.authority
        self._leadership = context.parts.leadership

    def get(self, call: Call) -> Awaitable[Response]:
        """The leader's state; with `stale` that of the server asked."""
        if call.query.stale:
            return self._authority.any_server(call, lambda: self._saved(call))
        return self._authority.write(call, lambda: self._current(call))

    def put(self, call: Call) -> Awaitable[Response]:
        """Restore an archive, on the leader. Success is an empty answer, as of today's servers.

        Ours: `force` for an archive of another cluster, `dry-run` to change nothing; with that, or
        `details`, the answer says what changes in each table; `keep-acl` leaves tokens, policies
        and roles as they are.
        """
        force = boolean(call.query, "force")
        dry_run = boolean(call.query, "dry-run")
        keep_acl = boolean(call.query, "keep-acl")
        details = dry_run or boolean(call.query, "details")

        async def perform() -> Response:
            try:
                report = await self._restores.restore(
                    _body(call.request), force=force, dry_run=dry_run, keep_acl=keep_acl
                )
            except Overloaded as error:
                return error_response(error, status=_BUSY)
            if not details:
                return empty_response()
            return json_response(shown(report), pretty=call.query.pretty)

        writing = self._authority.write(call, perform)
        return writing if dry_run else _known(call, writing)

    async def _current(self, call: Call) -> Response:
        """Raises NotLeader: then the next leader is asked."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _READY_S
        while True:
            try:
                await self._leadership.read_barrier()
                return await self._saved(call)
            except (NotReady, LeadershipLost):
                if loop.time() > until:
                    raise
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _saved(self, call: Call) -> Response:
        if call.request.stream is not None:
            async for _ in call.request.stream:
                pass  # a body is not looked at, and bounded
        try:
            saved = await self._archives.save()
        except Overloaded as error:
            return error_response(error, status=_BUSY)
        headers = (_TYPE, (b"Digest", b"sha-256=" + b64encode(saved.sha256)))
        return StreamResponse(200, saved.body, headers, length=saved.size)


async def _known(call: Call, answering: Awaitable[Response]) -> Response:
    """The answer. Where none came back: RestoreUnknown, or RestoreRefused if it is known."""
    try:
        return await answering
    except (ForwardError, LeadershipLost) as error:
        stream = call.request.stream
        if stream is None or not stream.size:
            raise
        if not stream.complete:
            raise RestoreRefused(
                f"{error.text}: the leader was lost before all of the archive had come; nothing "
                "was changed",
                "send the archive again",
            ) from error
        raise RestoreUnknown(error.text) from error


async def _body(request: Request) -> AsyncIterator[bytes]:
    if request.stream is None:
        yield request.body
        return
    async for piece in request.stream:
        yield piece
