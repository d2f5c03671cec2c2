"""Writers that never repeat a command, and remember where the acknowledged ones stand."""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Self

from mixed_cluster import Cluster, Line, Refused
from patience import PATIENCE_S


class Load:
    """`count` threads that write until the block ends; what is acknowledged goes to the cluster."""

    def __init__(self, cluster: Cluster, count: int = 3, name: str = "w") -> None:
        self._cluster = cluster
        self._name = name
        self._stop = threading.Event()
        self._progress = threading.Condition()
        self.written = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(count)
        ]

    def _run(self, number: int) -> None:
        turn, serial = number, 0
        peers = list(self._cluster.peers.values())
        while not self._stop.is_set():
            peer = peers[turn % len(peers)]
            turn += 1
            with contextlib.suppress(OSError, ValueError, Refused), contextlib.ExitStack() as stack:
                line = Line(peer.control, timeout_s=3)
                stack.callback(line.close)
                while not self._stop.is_set():
                    serial += 1
                    data = f"{self._name}{number}-{serial};"
                    index = line.ask("apply", data=data)["index"]
                    with self._progress:
                        self._cluster.acknowledged[data] = index
                        self.written += 1
                        self._progress.notify_all()
            self._stop.wait(0.02)

    def more(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        """Return when `count` more writes have been acknowledged from now on."""
        with self._progress:
            goal = self.written + count
            reached = self._progress.wait_for(lambda: self.written >= goal, timeout_s)
        assert reached, f"{count} more writes were not acknowledged within {timeout_s:g} s"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
