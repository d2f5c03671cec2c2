"""The agent's log: one line an event, to standard output or a file, as text or JSON."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from pathlib import Path

from quorate.config.model import AgentConfig

TRACE = 5
logging.addLevelName(TRACE, "TRACE")
logging.addLevelName(logging.WARNING, "WARN")

_LEVELS = {
    "TRACE": TRACE,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
}


def _moment(record: logging.LogRecord) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


class TextFormatter(logging.Formatter):
    """Time, level, where, what."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback follows it if there is one."""
        level = f"[{record.levelname}]"
        line = f"    {_moment(record)} {level:<7} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """The same as an object, with the keys that log collectors know from other agents."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields = {
            "@level": record.levelname.lower(),
            "@message": record.getMessage(),
            "@module": record.name,
            "@timestamp": _moment(record),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class _RotatingFile(logging.handlers.TimedRotatingFileHandler):
    """Begins a new file after a time, and also when it grows too large (0: never)."""

    def __init__(self, path: Path, seconds: int, bytes_max: int, files_max: int) -> None:
        super().__init__(path, when="S", interval=seconds, backupCount=files_max, encoding="utf-8")
        self._bytes_max = bytes_max

    def shouldRollover(self, record: logging.LogRecord) -> int:  # noqa: N802  the library's name
        """Whether to begin a new file before this line."""
        if self._bytes_max and self.stream is not None and self.stream.tell() > self._bytes_max:
            return 1
        return int(super().shouldRollover(record))


def set_up(config: AgentConfig) -> None:
    """Send all of our log where the configuration says. Raises OSError for a bad file."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if config.log_file:
        path = Path(config.log_file)
        if config.log_file.endswith("/") or path.is_dir():
            path = path / "quorate.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            _RotatingFile(
                path,
                max(int(config.log_rotate_duration_ns // 1_000_000_000), 1),
                config.log_rotate_bytes,
                max(config.log_rotate_max_files, 0),
            )
        )
    formatter = JsonFormatter() if config.log_json else TextFormatter()
    root = logging.getLogger("quorate")
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    root.propagate = False
    set_level(config)


def set_level(config: AgentConfig) -> None:
    """How much is logged from now on."""
    logging.getLogger("quorate").setLevel(_LEVELS[config.log_level.upper()])
