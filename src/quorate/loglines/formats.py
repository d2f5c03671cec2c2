"""A line of the log, as text or JSON, and the levels of lines."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

TRACE: Final = 5
logging.addLevelName(TRACE, "TRACE")
logging.addLevelName(logging.WARNING, "WARN")

LEVELS: Final = {
    "TRACE": TRACE,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}


def _moment(record: logging.LogRecord) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def _place(record: logging.LogRecord) -> str:
    """Folder, file and line, as "agent/run.py:167"."""
    return f"{'/'.join(record.pathname.rsplit('/', 2)[-2:])}:{record.lineno}"


class BareFormatter(logging.Formatter):
    """Level, where, what: for those who note the time themselves.

    With `located` also the line of the source that logged it.
    """

    def __init__(self, *, located: bool = False) -> None:
        super().__init__()
        self._located = located

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows it if there is one."""
        level = f"[{record.levelname}]"
        place = f"{_place(record)}: " if self._located else ""
        line = f"{level:<7} {place}{record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class TextFormatter(BareFormatter):
    """The same behind the time."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows it if there is one."""
        return f"    {_moment(record)} {super().format(record)}"


class JsonFormatter(logging.Formatter):
    """The same as an object, with the keys that log collectors know from other agents."""

    def __init__(self, *, located: bool = False) -> None:
        super().__init__()
        self._located = located

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields = {
            "@level": record.levelname.lower(),
            "@message": record.getMessage(),
            "@module": record.name,
            "@timestamp": _moment(record),
        }
        if self._located:
            fields["@caller"] = _place(record)
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields)
