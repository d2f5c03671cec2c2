"""Strangers do not write the log."""

from __future__ import annotations

import pytest

from quorate.server.refusals import LINES_MAX, REASONS_MAX, RefusalLog


def test_refusals_in_the_log_have_a_total_rate(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    refusals = RefusalLog(lambda: now)
    for number in range(5000):
        refusals.tell(f"10.0.0.{number % 250}:1", f"word {number}\x1b[2J\nforged line {'x' * 9999}")
    assert len(caplog.records) == LINES_MAX
    assert all(len(record.getMessage()) < 1000 for record in caplog.records)
    assert all(record.getMessage().isprintable() for record in caplog.records)
    now += 3.0
    refusals.tell("10.0.1.1:1", "another word")
    assert len(caplog.records) == LINES_MAX + 1


def test_one_origin_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog(lambda: 100.0)
    for number in range(5000):
        refusals.tell("10.0.0.1:1", f"it names 'evil{number}', which is no member")
    assert len(caplog.records) == REASONS_MAX
    refusals.tell("10.0.0.2:1", "another key than the one on record")
    assert len(caplog.records) == REASONS_MAX + 1
