"""How much one client may take up: connections, header bytes, time.

See docs/http-api.md#limits-of-a-client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec


class ListenerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the connections of one listener. Times are seconds.

    The idle time is longer than the 90 seconds for which Go's clients keep an idle connection,
    so that it is the client who closes and no request meets a closed connection.
    """

    max_conns_per_client: int = 100  # of one IP address; 0: no limit
    max_conns: int = 0  # of all; 0: no limit
    head_bytes_max: int = 64 * 1024
    head_timeout_s: float = 10.0  # from its first byte to its last
    body_timeout_s: float = 60.0  # the same
    idle_timeout_s: float = 120.0
    write_timeout_s: float = 30.0  # for a client that does not read
    linger_s: float = 2.0  # for reading on after a refusal, so that it arrives


TOO_MANY: Final = (
    b"HTTP/1.1 429 Too Many Requests\r\n"
    b"Content-Type: text/plain\r\n"
    b"Connection: close\r\n"
    b"\r\n"
    b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
)

NO_ROOM: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Type: text/plain\r\n"
    b"Connection: close\r\n"
    b"\r\n"
    b"This server has no room for more connections; close idle ones, or raise its limit of open "
    b"files\n"
)

_TOLD_PER_SECOND: Final = 10


class ConnectionLimiter:
    """Counts the connections of each IP address, and of all. `clock` gives monotonic seconds."""

    def __init__(self, per_client: int, clock: Callable[[], float], total: int = 0) -> None:
        self._per_client = per_client
        self._total = total
        self._open = 0
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._told_second = -1
        self._told = 0

    def admit(self, ip: str) -> bool:
        """Count one more, if it may be; then `release` must follow."""
        count = self._counts.get(ip, 0)
        if self.full or (self._per_client and count >= self._per_client):
            return False
        self._counts[ip] = count + 1
        self._open += 1
        return True

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be of all clients together."""
        return bool(self._total) and self._open >= self._total

    def release(self, ip: str) -> None:
        """One less. An address without connections takes no room."""
        count = self._counts[ip] - 1
        self._open -= 1
        if count:
            self._counts[ip] = count
        else:
            del self._counts[ip]

    def may_tell(self) -> bool:
        """Whether a refused client is told why: ten in a second are, the rest is just closed."""
        second = int(self._clock())
        if second != self._told_second:
            self._told_second, self._told = second, 0
        self._told += 1
        return self._told <= _TOLD_PER_SECOND
