"""The log to the system's syslog: one datagram a line, in the form that `syslog(3)` sends.

A line has its priority (facility and severity), the local time, and who says it. The socket
is that of the machine, /dev/log. It is written to by the thread of an outlet alone, so a daemon
that does not read costs lines, which are counted, and nothing else. A daemon that is not there,
or that was restarted, is tried again with the next line.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Final

from quorate.config.checks.check import SYSLOG_FACILITIES

PATH: Final = "/dev/log"

LINE_BYTES_MAX: Final = 8192
"""What common daemons take of one line; more is cut."""

SEND_TIMEOUT_S: Final = 1.0
"""For a daemon that does not read. Then the line is lost."""

_TAG: Final = "quorate"
_DEBUG: Final = 7
_SEVERITIES: Final = (
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (0, _DEBUG),
)
_TOO_LONG: Final = frozenset({errno.EMSGSIZE})


class SyslogFormatter(logging.Formatter):
    """A record as the lines of another formatter, each with its priority in front."""

    def __init__(self, facility: str, inner: logging.Formatter) -> None:
        super().__init__()
        self._facility = SYSLOG_FACILITIES[facility.upper()]
        self._inner = inner
        self._who = f"{_TAG}[{os.getpid()}]: "

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several with a traceback."""
        severity = next(code for level, code in _SEVERITIES if record.levelno >= level)
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(record.created))
        front = f"<{self._facility * 8 + severity}>{stamp} {self._who}"
        lines = self._inner.format(record).splitlines()
        return "\n".join(front + line.strip() for line in lines if line.strip())


class Syslog:
    """A sink (`quorate.agent.outlet`). `trouble` is told once why nothing can be sent."""

    def __init__(self, trouble: Callable[[str], None], path: str = "") -> None:
        self._path = path or PATH
        self._trouble = trouble
        self._told = False
        self._link: socket.socket | None = None
        self._stream = False

    def write(self, text: str) -> None:
        """Send these lines. Raises OSError for the first that cannot be sent: the rest is lost."""
        for line in text.splitlines():
            data = line.encode(errors="backslashreplace")[:LINE_BYTES_MAX]
            try:
                self._send(data)
            except OSError as error:
                if not self._told:
                    self._told = True
                    self._trouble(_why(self._path, error))
                raise
            self._told = False

    def close(self) -> None:
        """Let go of the socket; the next line opens it again."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _send(self, data: bytes) -> None:
        fresh = self._link is None
        try:
            self._send_once(data)
        except OSError as error:
            self.close()
            # A daemon that was restarted has a new socket.
            if fresh or isinstance(error, TimeoutError) or error.errno in _TOO_LONG:
                raise
            self._send_once(data)

    def _send_once(self, data: bytes) -> None:
        if self._link is None:
            self._link, self._stream = _connect(self._path)
        try:
            self._link.sendall(data + b"\0" if self._stream else data)
        except OSError:
            self.close()
            raise


def _connect(path: str) -> tuple[socket.socket, bool]:
    """A connection to the socket, of datagrams or else a stream; whether it is a stream."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        link = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
        link.settimeout(SEND_TIMEOUT_S)
        try:
            link.connect(path)
        except OSError as error:
            link.close()
            if error.errno != errno.EPROTOTYPE or kind == socket.SOCK_STREAM:
                raise
        else:
            return link, kind == socket.SOCK_STREAM
    raise AssertionError(path)


def _why(path: str, error: OSError) -> str:
    return (
        f"enable_syslog: cannot send to {path}: {error.strerror or error}; lines are lost there "
        "until a syslog daemon reads it; start one, or set enable_syslog = false"
    )
