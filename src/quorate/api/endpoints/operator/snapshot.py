"""`/v1/operator/snapshot`: the replicated state as an archive (docs/snapshots.md)."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable
from typing import Final

from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response, StreamResponse
from quorate.api.status import error_response
from quorate.errors import LeadershipLost, NotReady, Overloaded

_TYPE: Final = (b"Content-Type", b"application/x-gzip")
_READY_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.05
_BUSY: Final = 503


class SnapshotEndpoint:
    """GET."""

    def __init__(self, context: Context) -> None:
        self._archives = context.parts.archives
        self._authority = context.authority
        self._leadership = context.parts.leadership

    def get(self, call: Call) -> Awaitable[Response]:
        """The leader's state; with `stale` that of the server asked."""
        if call.query.stale:
            return self._authority.any_server(call, lambda: self._saved(call))
        return self._authority.write(call, lambda: self._current(call))

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
