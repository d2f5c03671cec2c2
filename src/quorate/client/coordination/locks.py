"""Locks and elections as context managers (docs/client.md#locks-and-elections).

Example:
    with Client() as client, Lock(client.variables, "app/job") as lock:
        for row in rows:
            lock.check()  # raises LockLost
            work(row, fence=lock.fence)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from quorate.client.coordination.lock_steps import Held, LockLost, leader_of, machine_time
from quorate.client.steps import carried_out
from quorate.client.variables import Variables


class _Stopped(Exception):
    """The renewals are to end."""


class Lock:
    """Holds the lock of a variable from `__enter__` to `__exit__`; a thread renews it.

    It is lost at the moment when a renewal is refused, or when a TTL has passed since the last
    one that was answered was sent; then `on_lost` is called, in the thread, and `lost` is set.

    Args:
        variables: those of a client.
        path: of the variable; it is made if it is not there.
        ttl_s: how long the lock lives without a renewal, in seconds; 10 to 86,400.
        delay_s: how long nobody can acquire it after it has expired, in seconds.
        wait_s: how long to wait for it, in seconds; None waits for ever.
        items: what the variable holds meanwhile; None leaves what it has.
        namespace: of the variable, if not the client's.
        on_lost: called once when it is lost, with why.
    """

    def __init__(
        self,
        variables: Variables,
        path: str,
        *,
        ttl_s: float = 15.0,
        delay_s: float = 15.0,
        wait_s: float | None = None,
        items: Mapping[str, str] | None = None,
        namespace: str = "",
        on_lost: Callable[[LockLost], object] = lambda _: None,
    ) -> None:
        self.lost = threading.Event()
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
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

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

    def __enter__(self) -> Self:
        """Wait for the lock. Raises TimeoutError after `wait_s`, and ClientError."""
        self.lost.clear()
        self._stop.clear()
        for _ in carried_out(self._held.acquiring(), self._variables, time.sleep):
            pass
        self._thread = threading.Thread(target=self._renew, name=f"lock {self.path}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it; one that cannot be released ends with its TTL."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if not self.lost.is_set():
            for why in carried_out(self._held.releasing(), self._variables, time.sleep):
                if error is None:
                    self._tell(why)

    def check(self) -> None:
        """Raise LockLost if it is."""
        if self._held.why is None and self._held.late():
            self._tell(self._held.lose("no renewal was answered in time"))
        if self._held.why is not None:
            raise self._held.why

    def _renew(self) -> None:
        try:
            for why in carried_out(self._held.renewing(), self._variables, self._pause):
                self._tell(why)
        except _Stopped:
            pass

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Stopped

    def _tell(self, why: LockLost) -> None:
        if not self.lost.is_set():
            self.lost.set()
            self._on_lost(why)


class Election(Lock):
    """A lock whose variable says which candidate holds it: item `leader`."""

    def __init__(self, variables: Variables, path: str, candidate: str, **options: Any) -> None:
        """`options` are those of Lock."""
        super().__init__(variables, path, items={"leader": candidate}, **options)

    @staticmethod
    def leader(variables: Variables, path: str, *, namespace: str = "") -> str:
        """The candidate that holds it now; empty if none does."""
        return leader_of(variables.get(path, namespace=namespace))
