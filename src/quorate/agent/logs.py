"""The agent's log: one line an event, to standard output, a file or syslog, as text or JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from quorate.agent.console import Console
from quorate.agent.log_file import LogFile
from quorate.agent.outlet import Outlet
from quorate.agent.sinks.syslog import Syslog, SyslogFormatter
from quorate.config.model import AgentConfig
from quorate.config.read.parse import reason
from quorate.errors import ConfigError
from quorate.loglines.formats import LEVELS, BareFormatter, JsonFormatter, TextFormatter
from quorate.loglines.taps import TAPS

log = logging.getLogger("quorate.agent")


class _Outgoing(logging.Handler):
    """Gives each line to an outlet, whose thread writes it."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self._outlet = outlet

    def emit(self, record: logging.LogRecord) -> None:
        """Never waits, never raises."""
        self._outlet.put(self.format(record) + "\n")


class Logs:
    """Where the log goes: to standard output, and to a file and to syslog if they are configured.

    Raises ConfigError for a file that cannot be opened, RuntimeError when there is no thread.
    """

    def __init__(self, config: AgentConfig, console: Console) -> None:
        located = config.log_include_location
        formatter = (JsonFormatter if config.log_json else TextFormatter)(located=located)
        self._console = console
        self._file: LogFile | None = None
        self._syslog: Syslog | None = None
        self._outlets = [console.out]
        if config.log_file:
            self._file = _open_file(config)
            self._outlets.append(Outlet(self._file, "log-file", _about(formatter)))
        console.out.on_dropped = _about(formatter)
        root = logging.getLogger()
        formatters: list[logging.Formatter] = [formatter] * len(self._outlets)
        if config.enable_syslog:
            lines = SyslogFormatter(config.syslog_facility, BareFormatter(located=located))
            self._syslog = Syslog(log.warning)
            self._outlets.append(Outlet(self._syslog, "syslog", _about(lines)))
            formatters.append(lines)
        for outlet, form in zip(self._outlets, formatters, strict=True):
            handler = _Outgoing(outlet)
            handler.setFormatter(form)
            handler.addFilter(TAPS.is_own)
            root.addHandler(handler)
        root.setLevel(logging.WARNING)  # what libraries say belongs into the log, too
        set_level(config)

    def reopen(self) -> None:
        """Open the file again under its name, behind what was logged up to now."""
        if self._file is not None:
            self._outlets[1].do(self._file.reopen)

    @property
    def dropped(self) -> int:
        """Lines that were lost, because a reader did not read or a disk was full."""
        return sum({id(each): each.dropped for each in self._outlets}.values())

    def close(self) -> None:
        """Write what is left, within a second; nothing is logged from now on."""
        logging.getLogger().handlers.clear()
        if self._syslog is not None:
            self._outlets[-1].do(self._syslog.close)
        for outlet in self._outlets[1:]:
            outlet.close(1.0)


def _open_file(config: AgentConfig) -> LogFile:
    path = Path(config.log_file)
    try:
        if config.log_file.endswith("/") or path.is_dir():
            path = path / "quorate.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return LogFile(
            path,
            seconds=max(config.log_rotate_duration_ns / 1e9, 1.0),
            bytes_max=config.log_rotate_bytes,
            files_max=max(config.log_rotate_max_files, 0),
            trouble=log.warning,
        )
    except OSError as error:
        raise ConfigError(
            f"log_file: cannot write to {path}: {reason(error)}",
            "name a file in a folder where the agent's user may write",
        ) from None


def _about(formatter: logging.Formatter) -> Callable[[str], str]:
    def line(text: str) -> str:
        record = log.makeRecord(log.name, logging.WARNING, "", 0, text, (), None)
        return formatter.format(record) + "\n"

    return line


def set_level(config: AgentConfig) -> None:
    """How much is logged from now on."""
    TAPS.set_level(LEVELS[config.log_level.upper()])
