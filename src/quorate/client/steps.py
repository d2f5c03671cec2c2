"""Work of several calls, written once: a generator of steps, which either client carries out.

Example:
    def both(calls: Calls) -> Steps[str]:
        leader = yield calls.leader()  # sent; an error of the call is raised here
        yield Pause(1.0)
        yield Tell(leader)

    for leader in carried_out(both(calls), client, time.sleep): ...
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from quorate.client.calls.call import Awaiting, Call, Waiting
from quorate.client.errors import ClientError

T = TypeVar("T")


class Pause(NamedTuple):
    """Do nothing for so long."""

    seconds: float


class Tell(Generic[T]):
    """Give `value` to the caller."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


Steps = Generator[Call[Any] | Pause | Tell[T], Any, None]


class _Course(Generic[T]):
    """Where the steps are."""

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps
        self.result: Any = None
        self.error: ClientError | None = None

    def following(self) -> Call[Any] | Pause | Tell[T] | None:
        """The next step after what the last one came to; None when there is none."""
        result, error = self.result, self.error
        self.result = self.error = None
        try:
            return self._steps.send(result) if error is None else self._steps.throw(error)
        except StopIteration:
            return None


def carried_out(steps: Steps[T], client: Waiting, pause: Callable[[float], object]) -> Iterator[T]:
    """What the steps tell. Raises what they raise."""
    course = _Course(steps)
    while (step := course.following()) is not None:
        if isinstance(step, Tell):
            yield step.value
        elif isinstance(step, Pause):
            pause(step.seconds)
        else:
            try:
                course.result = client.perform(step)
            except ClientError as error:
                course.error = error


async def async_carried_out(
    steps: Steps[T], client: Awaiting, pause: Callable[[float], Awaitable[object]]
) -> AsyncGenerator[T, None]:
    """The same on an event loop."""
    course = _Course(steps)
    while (step := course.following()) is not None:
        if isinstance(step, Tell):
            yield step.value
        elif isinstance(step, Pause):
            await pause(step.seconds)
        else:
            try:
                course.result = await client.perform(step)
            except ClientError as error:
                course.error = error
