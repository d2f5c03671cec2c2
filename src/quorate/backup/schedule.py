"""When backups are due: every so often, or by a cron expression. All times are UTC.

Due times are absolute, so all servers of a cluster compute the same ones.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from quorate.errors import QuorateError
from quorate.wire.go.duration import SECOND, parse_duration

_EVERY: Final = "@every "
_NAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_INTERVAL_MAX_S: Final = 366 * 24 * 3600
_LENGTH_MAX: Final = 200


class Schedule:
    """See the module. `text` is what was configured."""

    def __init__(self, text: str, interval_s: int = 0, cron: str = "") -> None:
        self.text = text
        self._interval_s = interval_s
        self._cron = cron

    def due(self, now: float) -> tuple[int, float]:
        """The newest due time up to `now`, and how long after it the next one is; Unix seconds."""
        if self._interval_s:
            return int(now) // self._interval_s * self._interval_s, float(self._interval_s)
        from cronsim import CronSim

        at = datetime.fromtimestamp(int(now) + 1, UTC)
        last = next(CronSim(self._cron, at, reverse=True))
        following = next(CronSim(self._cron, last))
        return int(last.timestamp()), (following - last).total_seconds()


def parse_schedule(text: str) -> Schedule:
    """Read "30s", "@every 2h", "@daily", or a cron expression of five fields.

    Raises QuorateError.
    """
    given = text.strip()
    if len(given) > _LENGTH_MAX or not given.isprintable():
        raise _bad("it is longer than 200 characters, or holds control characters")
    if given.startswith(_EVERY) or (given[:1].isdigit() and " " not in given):
        return Schedule(text, interval_s=_interval(given.removeprefix(_EVERY).strip()))
    if given.startswith("@") and given not in _NAMES:
        raise _bad(f"{given} is none of {', '.join(sorted(_NAMES))}")
    return Schedule(text, cron=_checked(_NAMES.get(given, given)))


def _interval(text: str) -> int:
    try:
        length_ns = parse_duration(text)
    except ValueError as error:
        raise _bad(str(error)) from error
    if length_ns % SECOND or not SECOND <= length_ns <= _INTERVAL_MAX_S * SECOND:
        raise _bad(f"{text} is not a whole number of seconds, from 1s to a year")
    return length_ns // SECOND


def _checked(expression: str) -> str:
    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        raise _bad(f"{expression!r} has not five fields")
    try:
        next(CronSim(expression, datetime.fromtimestamp(0, UTC)))
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it is never due"
        raise _bad(f"{expression!r}: {why}") from error
    return expression


def _bad(why: str) -> QuorateError:
    return QuorateError(
        f"the schedule cannot be read: {why}",
        'write an interval ("6h"), a cron expression in UTC ("0 3 * * *"), or "@daily"',
    )
