"""Notifications of the agent to systemd (sd_notify(3), `Type=notify` or `notify-reload`).

One datagram a message to the socket that NOTIFY_SOCKET names; without it nothing is done. A
manager that does not read is no reason to wait: such a message is left out.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Coroutine, MutableMapping
from contextlib import suppress
from typing import Any, Final

from quorate.server.server import Server

_STATUS_CHARACTERS_MAX: Final = 200
_STATUS_INTERVAL_S: Final = 1.0


class Notifier:
    """Takes its variables out of `environ`, so that no child speaks in our name."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        watchdog = environ.pop("WATCHDOG_USEC", "")
        process = environ.pop("WATCHDOG_PID", "")
        self._socket: socket.socket | None = None
        self._status = ""
        self.watchdog_s = 0.0
        """How often `alive` is to be called: half of what the manager allows; 0: never."""
        if address[:1] not in {"/", "@"}:
            return
        with suppress(OSError):
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            link = socket.socket(socket.AF_UNIX, kind)
            link.connect("\0" + address[1:] if address[0] == "@" else address)
            self._socket = link
        if watchdog.isascii() and watchdog.isdigit() and process in {"", str(os.getpid())}:
            self.watchdog_s = int(watchdog) / 2e6

    def ready(self) -> None:
        """It serves, or goes on after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """It reads its configuration again; `ready` ends that."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """It ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Its loop turns."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """The state of the server in one line; sent when it has changed."""
        line = " ".join(text.split())[:_STATUS_CHARACTERS_MAX]
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send(text.encode())


def telling(notifier: Notifier, server: Server) -> list[Coroutine[Any, Any, None]]:
    """The tasks that run beside a server: they tell its state, and that its loop turns."""
    return [_tell_status(notifier, server), _tell_alive(notifier)]


async def _tell_status(notifier: Notifier, server: Server) -> None:
    while True:
        notifier.status(_status(server))
        await asyncio.sleep(_STATUS_INTERVAL_S)


async def _tell_alive(notifier: Notifier) -> None:
    while notifier.watchdog_s:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_s)


def _status(server: Server) -> str:
    problem = server.agent.health_problem()
    if problem:
        return problem
    if server.leadership.is_leader():
        return f"leads {len(server.cluster.peers())} servers"
    if leader := server.leadership.leader_address():
        return f"follows the leader {leader}"
    return server.agent.waiting() or "knows no leader"
