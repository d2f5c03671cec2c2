"""Both clients behind one face, so that a test of calls is one of either."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Iterator
from types import ModuleType
from typing import Any, Self

import pytest

from quorate.client import AsyncClient, Client

BOTH = ("waits", "awaits")


class _Calls(type):
    def __getattr__(cls, name: str) -> Any:
        return getattr(Client, name)  # `Client.leader` takes either client


class Looped(metaclass=_Calls):
    """An `AsyncClient`, or a part of one, whose calls are waited for on a loop of its own."""

    def __init__(
        self, *args: Any, of: Any = None, runner: asyncio.Runner | None = None, **named: Any
    ) -> None:
        self._inner = of or AsyncClient(*args, **named)
        self._runner = runner or asyncio.Runner()

    @classmethod
    def from_settings(cls, *args: Any, **named: Any) -> Self:
        return cls(of=AsyncClient.from_settings(*args, **named))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._inner.close())
        self._runner.close()

    def perform(self, call: Any) -> Any:
        return self._runner.run(self._inner.perform(call))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "variables":
            return Looped(of=found, runner=self._runner)
        return self._waiting(found) if callable(found) else found

    def _waiting(self, method: Any) -> Any:
        def called(*args: Any, **named: Any) -> Any:
            result = method(*args, **named)
            if isinstance(result, AsyncGenerator):
                return self._each(result)
            return self._runner.run(result) if inspect.iscoroutine(result) else result

        return called

    def _each(self, found: AsyncGenerator[Any, None]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(found, None)

        try:
            while (each := self._runner.run(following())) is not None:
                yield each
        finally:
            self._runner.run(found.aclose())


def use(monkeypatch: pytest.MonkeyPatch, module: ModuleType, kind: str) -> None:
    """Have the name `Client` of a module of tests mean the client of that kind."""
    monkeypatch.setattr(module, "Client", Client if kind == "waits" else Looped)
