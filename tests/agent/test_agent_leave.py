"""A signal with leave_on_*: leave within five seconds, or stop without; a second one forces."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

import quorate.agent.run
from quorate.agent.run import Agent
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
) -> int:
    """The exit code of an agent that gets these signals."""
    config = with_value(AgentConfig(), key, True)

    async def run() -> int:
        agent = Agent(config, Path("/nowhere"), {})
        first, *more = signals
        for number in more:
            agent.signals.put_nowait(number)
        async with asyncio.timeout(10):
            return await agent.end(cast("Server", Leaving(leave)), first)

    return asyncio.run(run())


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
    key: str, number: signal.Signals, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(done, number, key=key) == code
    said = "==> Gracefully shutting down agent...\n"
    assert capsys.readouterr().out == (said if code == 0 else "")


def test_a_second_signal_stops_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(never, signal.SIGTERM, signal.SIGHUP, signal.SIGINT) == 1
    assert capsys.readouterr().err == "==> Stopped without having left\n"


def test_leaving_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quorate.agent.run, "LEAVE_TIMEOUT_S", 0.05)
    assert ended(never, signal.SIGTERM, signal.SIGHUP) == 1
    assert capsys.readouterr().err == "==> Stopped without having left\n"


def test_leaving_that_is_refused_is_no_reason_to_stay(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(refused, signal.SIGTERM) == 1
    text = "==> leaving would end the quorum; start another server first\n"
    assert capsys.readouterr().err == text
