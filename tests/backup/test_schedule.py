"""When backups are due, and schedules that cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from quorate.backup.schedule import parse_schedule
from quorate.errors import QuorateError

NOON = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC).timestamp()
DAY = 86400


@pytest.mark.parametrize(
    ("text", "before_s", "every_s"),
    [
        ("30s", 0, 30),
        ("@every 2h", 0, 7200),
        ("90m", 5400 - (5400 - NOON % 5400), 5400),
        ("0 3 * * *", 9 * 3600, DAY),
        ("0 12 * * *", 0, DAY),
        ("1 12 * * *", DAY - 60, DAY),
        ("@daily", 12 * 3600, DAY),
        ("@hourly", 0, 3600),
        ("@weekly", 12 * 3600, 7 * DAY),  # it is a Sunday
        ("*/5 * * * *", 0, 300),
    ],
)
def test_the_newest_due_time(text: str, before_s: float, every_s: int) -> None:
    schedule = parse_schedule(text)
    assert schedule.due(NOON) == (NOON - before_s, every_s)
    assert schedule.due(NOON + 0.9) == (NOON - before_s, every_s)
    assert schedule.due(NOON - before_s - 1)[0] < NOON - before_s


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "0s", "500ms", "1.5s", "-5s", "@every", "@every x", "@noon", "99999h"),
        *("* * * *", "60 * * * *", "* * * * * *", "0 0 31 2 *", "a b c d e", "1 " * 200),
    ],
)
def test_what_cannot_be_read_is_one_line_with_a_cure(text: str) -> None:
    with pytest.raises(QuorateError) as caught:
        parse_schedule(text)
    assert "\n" not in caught.value.line()
    assert caught.value.text.startswith("the schedule cannot be read: ")
    assert "@daily" in caught.value.next_step
