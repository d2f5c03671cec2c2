"""The variables of a client: `Client.variables` and `AsyncClient.variables`.

Example:
    with Client() as client:
        made = client.variables.put("app/db", {"user": "a"}, cas=0)
        client.variables.put("app/db", {"user": "b"}, cas=made.modify_index)
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TypeVar

from quorate.client.calls.call import Awaiting, Call, Waiting
from quorate.client.calls.variables import LIST, Page, VariableCalls, VariableMetadata
from quorate.client.coordination.watch import MOST, PATIENCE_S, Change, Gap, Watching
from quorate.client.errors import AnswerError
from quorate.client.steps import async_carried_out, carried_out

T = TypeVar("T")


class Variables(VariableCalls, Waiting):
    """The variables of a `Client`; see `VariableCalls`."""

    def __init__(self, client: Waiting) -> None:
        self._client = client

    def perform(self, call: Call[T], /) -> T:
        """Send a call: what it reads from the answer. Raises ClientError."""
        return self._client.perform(call)

    def list(
        self, prefix: str = "", *, namespace: str = "", per_page: int = 1000
    ) -> Iterator[VariableMetadata]:
        """All of them, page by page: what changes meanwhile may be seen or not.

        `per_page` is 1 or more. Raises ValueError.
        """
        token: str | None = _first_page(per_page)
        while token is not None:
            page = self.page(prefix, namespace=namespace, per_page=per_page, next_token=token)
            yield from page.variables
            token = _next_page(page, token)

    def watch(
        self,
        prefix: str = "",
        *,
        namespace: str = "",
        most: int = MOST,
        patience_s: float | None = PATIENCE_S,
    ) -> Iterator[Change | Gap]:
        """The variables whose paths begin with `prefix`, and whenever they change.

        It begins with a `Gap`; its variables and all later changes follow as `Change`, with values.
        A lost leader, connection or server is waited for, and nothing is missed but states that
        lasted only between two looks. Where more may be missing, after the restore of a snapshot,
        another `Gap` tells it. It holds no value, and of each variable some 150 bytes.

        Args:
            prefix: of the paths; empty is all.
            namespace: of the variables, if not the client's; `*` is all.
            most: more variables than so many raise TooMany.
            patience_s: how long no answer may come, in seconds, before the last error is raised;
                None waits for ever. What the server refuses is raised at once.
        """
        watching = Watching(
            prefix=prefix,
            namespace=namespace,
            most=most,
            patience_s=patience_s,
            clock=time.monotonic,
        )
        return carried_out(watching.prefixed(), self, time.sleep)

    def watch_one(
        self, path: str, *, namespace: str = "", patience_s: float | None = PATIENCE_S
    ) -> Iterator[Change]:
        """The variable as it is, and whenever it has changed.

        `variable` of a `Change` is None while there is none. See `watch` for the rest.
        """
        watching = Watching(
            prefix=path, namespace=namespace, patience_s=patience_s, clock=time.monotonic
        )
        return carried_out(watching.one(), self, time.sleep)


class AsyncVariables(VariableCalls, Awaiting):
    """The variables of an `AsyncClient`; see `VariableCalls`."""

    def __init__(self, client: Awaiting) -> None:
        self._client = client

    async def perform(self, call: Call[T], /) -> T:
        """Send a call: what it reads from the answer. Raises ClientError."""
        return await self._client.perform(call)

    async def list(
        self, prefix: str = "", *, namespace: str = "", per_page: int = 1000
    ) -> AsyncIterator[VariableMetadata]:
        """All of them, page by page: what changes meanwhile may be seen or not.

        `per_page` is 1 or more. Raises ValueError.
        """
        token: str | None = _first_page(per_page)
        while token is not None:
            page = await self.page(prefix, namespace=namespace, per_page=per_page, next_token=token)
            for row in page.variables:
                yield row
            token = _next_page(page, token)

    def watch(
        self,
        prefix: str = "",
        *,
        namespace: str = "",
        most: int = MOST,
        patience_s: float | None = PATIENCE_S,
    ) -> AsyncGenerator[Change | Gap, None]:
        """The variables whose paths begin with `prefix`, and whenever they change.

        It begins with a `Gap`; its variables and all later changes follow as `Change`, with values.
        A lost leader, connection or server is waited for, and nothing is missed but states that
        lasted only between two looks. Where more may be missing, after the restore of a snapshot,
        another `Gap` tells it. It holds no value, and of each variable some 150 bytes.

        Args:
            prefix: of the paths; empty is all.
            namespace: of the variables, if not the client's; `*` is all.
            most: more variables than so many raise TooMany.
            patience_s: how long no answer may come, in seconds, before the last error is raised;
                None waits for ever. What the server refuses is raised at once.
        """
        import asyncio

        watching = Watching(
            prefix=prefix,
            namespace=namespace,
            most=most,
            patience_s=patience_s,
            clock=time.monotonic,
        )
        return async_carried_out(watching.prefixed(), self, asyncio.sleep)

    def watch_one(
        self, path: str, *, namespace: str = "", patience_s: float | None = PATIENCE_S
    ) -> AsyncGenerator[Change, None]:
        """The variable as it is, and whenever it has changed.

        `variable` of a `Change` is None while there is none. See `watch` for the rest.
        """
        import asyncio

        watching = Watching(
            prefix=path, namespace=namespace, patience_s=patience_s, clock=time.monotonic
        )
        return async_carried_out(watching.one(), self, asyncio.sleep)


def _first_page(per_page: int) -> str:
    if per_page < 1:
        raise ValueError(f"per_page is 1 or more, not {per_page}")
    return ""


def _next_page(page: Page, token: str) -> str | None:
    """The token of the page after `page`, which `token` asked for; None after the last one."""
    if page.next_token and page.next_token == token:
        raise AnswerError(LIST, "the next page is the same one again")
    return page.next_token or None
