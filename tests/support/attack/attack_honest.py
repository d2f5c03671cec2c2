"""Clients that mean well: they ask every server, and write, while others attack."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from typing import Any

from attack_aim import Target, tls_of

SOURCE = "127.77.0.1"
_PAUSE_S = 0.02
_TIMEOUT_S = 15.0
_SCHEDULER = "/v1/operator/scheduler/configuration"
_ASKED: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/status/leader", None),
    ("GET", _SCHEDULER, None),
    ("GET", "/v1/operator/raft/configuration?stale", None),
    ("PUT", _SCHEDULER, {"SchedulerAlgorithm": "spread"}),
)


class Honest:
    """One thread for each server, until `end`. Times are seconds."""

    def __init__(self, targets: list[Target]) -> None:
        self.longest = 0.0
        self.answers: Counter[str] = Counter()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(each,)) for each in targets]
        for thread in self._threads:
            thread.start()

    @property
    def failed(self) -> dict[str, int]:
        """What was answered that should not have been."""
        return {said: times for said, times in self.answers.items() if said != "200"}

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, target: Target) -> None:
        connection = _connection(target)
        number = 0
        while not self._ended.wait(_PAUSE_S):
            method, path, body = _ASKED[number % len(_ASKED)]
            number += 1
            began = time.monotonic()
            try:
                data = None if body is None else json.dumps(body)
                connection.request(method, path, data)
                answer = connection.getresponse()
                text = answer.read()
                said = str(answer.status)
                if said != "200":
                    said += f" {method} {path}: {text[:200].decode(errors='replace')}"
            except (OSError, http.client.HTTPException) as error:
                said = f"{method} {path}: {error!r}"
                connection.close()
                connection = _connection(target)
            self.longest = max(self.longest, time.monotonic() - began)
            self.answers[said] += 1
        connection.close()


def _connection(target: Target) -> http.client.HTTPConnection:
    where = (target.host, target.http)
    if target.certificates:
        context = tls_of(target.certificates, "client")
        return http.client.HTTPSConnection(
            *where, timeout=_TIMEOUT_S, source_address=(SOURCE, 0), context=context
        )
    return http.client.HTTPConnection(*where, timeout=_TIMEOUT_S, source_address=(SOURCE, 0))


def is_reached(target: Target) -> bool:
    """True if its HTTP port takes a connection from an honest client."""
    try:
        socket.create_connection((target.host, target.http), 1.0, (SOURCE, 0)).close()
    except OSError:
        return False
    return True
