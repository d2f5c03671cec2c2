"""A lock that is waited for, held and lost: what both clients do, step by step.

A lock counts as lost when a renewal is refused, or when a TTL has passed since the last renewal
that was answered was sent. All times are those of `clock`, in seconds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from quorate.client.calls.call import Describing
from quorate.client.calls.variables import Variable, VariableCalls, VariableConflict
from quorate.client.errors import ClientError, StatusError
from quorate.client.steps import Pause, Steps, Tell

_LOOK_AGAIN_S: Final = 1.0  # the end of a delay changes no variable, so nothing wakes us
_LOCKED_S: Final = 10.0  # the end of a lock does
_LEAST_S: Final = 0.05
_FAILED: Final = 500
_GONE: Final = frozenset({404, 409})

_RUNS_ON: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def machine_time() -> float:
    """Seconds of a clock that does not stop while the machine is suspended, where there is one.

    The leader goes on counting meanwhile, and gives the lock to another.
    """
    return time.clock_gettime(_RUNS_ON)


class LockLost(ClientError):
    """The lock is not held any more, or nothing proves that it is."""


class _Calls(VariableCalls, Describing):
    pass


_CALLS: Final = _Calls()


class Held:
    """The state of one lock.

    Args:
        path: of the variable; it is made if it is not there.
        clock: the time in seconds.
        ttl_s: how long the lock lives without a renewal, in seconds; 10 to 86,400.
        delay_s: how long nobody can acquire it after it has expired, in seconds.
        wait_s: how long to wait for it, in seconds; None waits for ever.
        items: what the variable holds meanwhile; None leaves what it has.
        namespace: of the variable, if not the client's.
    """

    def __init__(
        self,
        path: str,
        clock: Callable[[], float],
        *,
        ttl_s: float = 15.0,
        delay_s: float = 15.0,
        wait_s: float | None = None,
        items: Mapping[str, str] | None = None,
        namespace: str = "",
    ) -> None:
        self.path = path
        self.id = ""
        self.fence = 0
        self.why: LockLost | None = None
        self._clock = clock
        self._ttl_s, self._delay_s, self._wait_s = ttl_s, delay_s, wait_s
        self._items = items
        self._namespace = namespace
        self._proven_until = 0.0

    def acquiring(self) -> Steps[Variable]:
        """Wait for the lock, and tell the variable. Raises TimeoutError and ClientError.

        Where nothing answers at the beginning the error is raised; later it is waited for.
        """
        self.id, self.why, self._proven_until = str(uuid.uuid4()), None, 0.0
        until = None if self._wait_s is None else self._clock() + self._wait_s
        answered = False
        while True:
            sent = self._clock()
            wait_s, index = _LOOK_AGAIN_S, 0
            try:
                held: Variable = yield _CALLS.acquire(
                    self.path,
                    self.id,
                    ttl_s=self._ttl_s,
                    delay_s=self._delay_s,
                    items=self._items,
                    namespace=self._namespace,
                )
            except VariableConflict as conflict:
                index = conflict.current.modify_index
                wait_s = _LOCKED_S if conflict.why == "locked" else _LOOK_AGAIN_S
            except StatusError as error:
                if error.status < _FAILED:
                    raise
            except ClientError:
                if not answered:
                    raise
            else:
                self._proven_until = sent + self._ttl_s
                self.fence = held.lock.fence if held.lock else 0
                yield Tell(held)
                return
            answered = True
            left_s = wait_s if until is None else until - self._clock()
            if left_s <= 0:
                raise TimeoutError(f"the lock of {self.path} was not free within {self._wait_s} s")
            yield from self._changed(index, min(wait_s, left_s))

    def _changed(self, index: int, wait_s: float) -> Steps[Variable]:
        """Go on when the variable has changed, or after `wait_s`."""
        try:
            if index:
                yield _CALLS.await_change(
                    self.path, index, wait_s=wait_s, namespace=self._namespace
                )
                return
        except ClientError:
            pass
        yield Pause(min(wait_s, _LOOK_AGAIN_S / 4))

    def renewing(self) -> Steps[LockLost]:
        """Renew the lock for as long as these steps are carried out; tell its loss."""
        pause_s = self._ttl_s / 3
        while True:
            yield Pause(pause_s)
            sent = self._clock()
            left_s = self._proven_until - sent
            if left_s <= 0:
                yield Tell(self.lose("no renewal was answered in time"))
                return
            pause_s = min(self._ttl_s / 6, max(left_s / 2, _LEAST_S))  # if this one fails
            # To connect may take so long, and the answer again.
            patience_s = min(self._ttl_s / 3, max(left_s / 2, _LEAST_S))
            try:
                yield _CALLS.renew(
                    self.path, self.id, namespace=self._namespace, timeout_s=patience_s
                )
            except StatusError as error:
                if error.status in _GONE:
                    yield Tell(self.lose(error.body))
                    return
            except ClientError:
                continue  # no answer: try again until the TTL is over
            else:
                self._proven_until = sent + self._ttl_s
                pause_s = self._ttl_s / 3

    def releasing(self) -> Steps[LockLost]:
        """Release the lock; tell if that did not come to the cluster in time."""
        try:
            yield _CALLS.release(self.path, self.id, namespace=self._namespace)
        except ClientError:
            yield Tell(self.lose("the lock could not be released in time"))

    def late(self) -> bool:
        """Whether no renewal was answered in time."""
        return self._clock() >= self._proven_until

    def lose(self, why: str) -> LockLost:
        """It is lost: the reason, that of the first time."""
        if self.why is None:
            self.why = LockLost(
                f"the lock of {self.path} is lost: {why}", "stop, and acquire it again"
            )
        return self.why


def leader_of(found: Variable | None) -> str:
    """The candidate that holds the lock of an election; empty if none does."""
    return (found.items or {}).get("leader", "") if found is not None and found.lock else ""
