"""A signal with leave_on_*: leave within five seconds, or stop without; a second one forces."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest
from agent_console import KeptConsole
from patience import PATIENCE_S

import quorate.agent.run
from quorate.agent.notify import Notifier
from quorate.agent.run import Agent
from quorate.agent.signals import Signals
from quorate.config import AgentConfig
from quorate.config.build import with_value
from quorate.errors import ChangeRefused
from quorate.server.server import Server


class Leaving:
    """The only thing of a server that is asked for here."""

    def __init__(self, leave: Callable[[], Awaitable[None]]) -> None:
        self.leave = leave


async def never() -> None:
    await asyncio.Event().wait()


async def done() -> None:
    await asyncio.sleep(0)


async def refused() -> None:
    raise ChangeRefused("leaving would end the quorum", "start another server first")


def ended(
    leave: Callable[[], Awaitable[None]],
    *signals: signal.Signals,
    key: str = "leave_on_terminate",
) -> tuple[int, KeptConsole]:
    """The exit code of an agent that gets these signals, and what it printed."""
    config = with_value(AgentConfig(), key, True)

    console, kept = KeptConsole(), Signals()

    async def run() -> int:
        kept.attach()
        agent = Agent(
            config, Path("/nowhere"), {}, console=console, signals=kept, notifier=Notifier({})
        )
        first, *more = signals
        for number in more:
            kept.put(number)
        async with asyncio.timeout(PATIENCE_S):
            return await agent.end(cast("Server", Leaving(leave)), first)

    return asyncio.run(run()), console


@pytest.mark.parametrize(
    ("key", "number", "code"),
    [
        ("leave_on_terminate", signal.SIGTERM, 0),
        ("leave_on_interrupt", signal.SIGINT, 0),
        ("leave_on_terminate", signal.SIGINT, 1),
        ("leave_on_interrupt", signal.SIGTERM, 1),
    ],
)
def test_it_leaves_on_the_signal_that_was_named(
    key: str, number: signal.Signals, code: int
) -> None:
    said = ["==> Gracefully shutting down agent..."]
    result, console = ended(done, number, key=key)
    assert result == code
    assert console.said == (said if code == 0 else [])


def test_a_second_signal_stops_it_at_once() -> None:
    code, console = ended(never, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    assert code == 1
    assert console.complained == ["==> Stopped without having left"]


def test_leaving_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorate.agent.run, "LEAVE_TIMEOUT_S", 0.05)
    code, console = ended(never, signal.SIGTERM, signal.SIGHUP)
    assert code == 1
    assert console.complained == ["==> Stopped without having left"]


def test_leaving_that_is_refused_is_no_reason_to_stay() -> None:
    code, console = ended(refused, signal.SIGTERM)
    assert code == 1
    text = "==> leaving would end the quorum; start another server first"
    assert console.complained == [text]
