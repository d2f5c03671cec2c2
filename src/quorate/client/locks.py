"""Locks and elections as context managers (docs/variables.md#locks-in-python).

Example:
    with Client() as client, Lock(client.variables, "app/job") as lock:
        for row in rows:
            lock.check()  # raises LockLost
            work(row, fence=lock.fence)
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from quorate.client.errors import ClientError, StatusError
from quorate.client.variable_calls import Variable, VariableConflict
from quorate.client.variables import Variables

_LOOK_AGAIN_S = 1.0  # the end of a delay changes no variable, so nothing wakes us
_LEAST_S = 0.05
_FAILED = 500
_GONE = frozenset({404, 409})


class LockLost(ClientError):
    """The lock is not held any more, or nothing proves that it is."""


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
        self.path = path
        self.fence = 0
        """The fencing number; 0 while the lock was never held."""
        self.lost = threading.Event()
        self.id = ""
        self._variables = variables
        self._ttl_s, self._delay_s, self._wait_s = ttl_s, delay_s, wait_s
        self._items = items
        self._namespace = namespace
        self._on_lost = on_lost
        self._why: LockLost | None = None
        self._stop = threading.Event()
        self._proven_until = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Wait for the lock. Raises TimeoutError after `wait_s`, and ClientError."""
        self.id = str(uuid.uuid4())
        self.lost.clear()
        self._stop.clear()
        self._why = None
        held = self._acquired()
        self.fence = held.lock.fence if held.lock else 0
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
            try:
                self._variables.release(self.path, self.id, namespace=self._namespace)
            except ClientError:
                if error is None:
                    self._lose("the lock could not be released in time")

    def check(self) -> None:
        """Raise LockLost if it is."""
        if self._why is not None:
            raise self._why
        if time.monotonic() >= self._proven_until:
            self._lose("no renewal was answered in time")
            assert self._why is not None
            raise self._why

    def _acquired(self) -> Variable:
        until = None if self._wait_s is None else time.monotonic() + self._wait_s
        while True:
            sent = time.monotonic()
            index = 0
            try:
                held = self._variables.acquire(
                    self.path,
                    self.id,
                    ttl_s=self._ttl_s,
                    delay_s=self._delay_s,
                    items=self._items,
                    namespace=self._namespace,
                )
            except VariableConflict as conflict:
                index = conflict.current.modify_index
            except StatusError as error:
                if error.status < _FAILED:
                    raise
            else:
                self._proven_until = sent + self._ttl_s
                return held
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"the lock of {self.path} was not free within {self._wait_s} s")
            self._await_change(index)

    def _await_change(self, index: int) -> None:
        """Return when the variable has changed, or after a second."""
        try:
            self._variables.await_change(
                self.path, index, wait_s=_LOOK_AGAIN_S, namespace=self._namespace
            )
        except ClientError:
            time.sleep(_LOOK_AGAIN_S / 4)

    def _renew(self) -> None:
        pause_s = self._ttl_s / 3
        while not self._stop.wait(pause_s):
            sent = time.monotonic()
            left_s = self._proven_until - sent
            if left_s <= 0:
                self._lose("no renewal was answered in time")
                return
            pause_s = min(self._ttl_s / 6, max(left_s / 2, _LEAST_S))  # if this one fails
            patience_s = min(self._ttl_s / 3, max(left_s, _LEAST_S))
            try:
                self._variables.renew(
                    self.path, self.id, namespace=self._namespace, timeout_s=patience_s
                )
            except StatusError as error:
                if error.status in _GONE:
                    self._lose(error.body)
                    return
            except ClientError:
                continue  # no answer: try again until the TTL is over
            else:
                self._proven_until = sent + self._ttl_s
                pause_s = self._ttl_s / 3

    def _lose(self, why: str) -> None:
        if self._why is None:
            self._why = LockLost(
                f"the lock of {self.path} is lost: {why}", "stop, and acquire it again"
            )
            self.lost.set()
            self._on_lost(self._why)


class Election(Lock):
    """A lock whose variable says which candidate holds it: item `leader`."""

    def __init__(self, variables: Variables, path: str, candidate: str, **options: Any) -> None:
        """`options` are those of Lock."""
        super().__init__(variables, path, items={"leader": candidate}, **options)

    @staticmethod
    def leader(variables: Variables, path: str, *, namespace: str = "") -> str:
        """The candidate that holds it now; empty if none does."""
        found = variables.get(path, namespace=namespace)
        return (found.items or {}).get("leader", "") if found is not None and found.lock else ""
