"""Locks and elections of an event loop (docs/client.md#locks-and-elections).

Example:
    async with AsyncClient() as client, AsyncLock(client.variables, "app/job") as lock:
        await work(fence=lock.fence)  # cancelled at once when the lock is lost
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from quorate.client.coordination.lock_steps import Held, LockLost, leader_of, machine_time
from quorate.client.steps import async_carried_out
from quorate.client.variables import AsyncVariables

_RELEASE_S: Final = 5.0


class AsyncLock:
    """Holds the lock of a variable from `__aenter__` to `__aexit__`; a task renews it.

    When it is lost `lost` is set, `on_lost` is called, and with `cancel` the task that entered it
    is cancelled: the block ends with LockLost. A loop that is held up renews nothing and tells
    nothing; `check` looks at the clock.

    Args:
        variables: those of an `AsyncClient`.
        path: of the variable; it is made if it is not there.
        ttl_s: how long the lock lives without a renewal, in seconds; 10 to 86,400.
        delay_s: how long nobody can acquire it after it has expired, in seconds.
        wait_s: how long to wait for it, in seconds; None waits for ever.
        items: what the variable holds meanwhile; None leaves what it has.
        namespace: of the variable, if not the client's.
        on_lost: called once when it is lost, with why.
        cancel: whether a loss cancels the task.
    """

    def __init__(
        self,
        variables: AsyncVariables,
        path: str,
        *,
        ttl_s: float = 15.0,
        delay_s: float = 15.0,
        wait_s: float | None = None,
        items: Mapping[str, str] | None = None,
        namespace: str = "",
        on_lost: Callable[[LockLost], object] = lambda _: None,
        cancel: bool = True,
    ) -> None:
        self.lost = asyncio.Event()
        self._held = Held(
            path,
            machine_time,
            ttl_s=ttl_s,
            delay_s=delay_s,
            wait_s=wait_s,
            items=items,
            namespace=namespace,
        )
        self._variables = variables
        self._on_lost = on_lost
        self._cancels = cancel
        self._holder: asyncio.Task[Any] | None = None
        self._renewals: asyncio.Task[None] | None = None
        self._has_cancelled = False

    @property
    def path(self) -> str:
        """The path of the variable."""
        return self._held.path

    @property
    def id(self) -> str:
        """The ID that holds it, another one each time."""
        return self._held.id

    @property
    def fence(self) -> int:
        """The fencing number; 0 while the lock was never held."""
        return self._held.fence

    async def __aenter__(self) -> Self:
        """Wait for the lock. Raises TimeoutError after `wait_s`, and ClientError."""
        self.lost.clear()
        self._has_cancelled = False
        self._holder = asyncio.current_task()
        try:
            async for _ in async_carried_out(
                self._held.acquiring(), self._variables, asyncio.sleep
            ):
                pass
        except asyncio.CancelledError:
            await self._release()  # an acquisition may be on its way
            raise
        self._renewals = asyncio.create_task(self._renew(), name=f"lock {self.path}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it; one that cannot be released ends with its TTL."""
        cancelled = kind is asyncio.CancelledError
        if self._renewals is not None:
            self._renewals.cancel()
            try:
                await asyncio.wait([self._renewals])
            except asyncio.CancelledError:
                cancelled = True
                if not self._has_cancelled:
                    await self._release()
                    raise
        if not self.lost.is_set():
            why = await self._release()
            if why is not None and error is None:
                self._tell(why)
        elif self._has_cancelled and self._holder is not None:
            self._has_cancelled = False
            if self._holder.uncancel() == 0 and cancelled:
                assert self._held.why is not None
                raise self._held.why from error

    def check(self) -> None:
        """Raise LockLost if it is."""
        if self._held.why is None and self._held.late():
            self._tell(self._held.lose("no renewal was answered in time"))
        if self._held.why is not None:
            raise self._held.why

    async def _renew(self) -> None:
        async for why in async_carried_out(self._held.renewing(), self._variables, asyncio.sleep):
            if self._tell(why) and self._cancels and self._holder is not None:
                self._has_cancelled = True
                self._holder.cancel()

    async def _release(self) -> LockLost | None:
        """Release it, for some seconds at most; why it is lost if that failed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_S):
                async for why in async_carried_out(
                    self._held.releasing(), self._variables, asyncio.sleep
                ):
                    return why
                return None
        return self._held.lose("the lock could not be released in time")

    def _tell(self, why: LockLost) -> bool:
        """Tell it, once; whether this was the time."""
        if self.lost.is_set():
            return False
        self.lost.set()
        self._on_lost(why)
        return True


class AsyncElection(AsyncLock):
    """A lock whose variable says which candidate holds it: item `leader`."""

    def __init__(
        self, variables: AsyncVariables, path: str, candidate: str, **options: Any
    ) -> None:
        """`options` are those of AsyncLock."""
        super().__init__(variables, path, items={"leader": candidate}, **options)

    @staticmethod
    async def leader(variables: AsyncVariables, path: str, *, namespace: str = "") -> str:
        """The candidate that holds it now; empty if none does."""
        return leader_of(await variables.get(path, namespace=namespace))
