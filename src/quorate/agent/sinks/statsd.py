"""The numbers of an agent to a statsd server: UDP, once an interval.

Counters are sent as what was counted since the last time, gauges as they are, and what was timed
as its mean with the rate that makes a statsd count it as often as it was. Names are those of
`/v1/metrics`, so what Nomad names is named as Nomad's servers do (`nomad.raft.appliedIndex`); the
host is the last part of a name, unless `disable_hostname` is set.

Nothing here waits: a packet that the system does not take is lost, as any packet may be. The name
of the server is looked up in a thread, and again from time to time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from quorate.config.checks.check import STATSD_PORT
from quorate.config.checks.endpoint import as_ip, parse_endpoint
from quorate.config.model import Telemetry
from quorate.metrics import Metrics, Totals
from quorate.net.threads import in_thread

log = logging.getLogger("quorate.agent")

PACKET_BYTES_MAX: Final = 1400
"""Fits into a frame of Ethernet."""

PACKETS_MAX: Final = 64
"""Packets of one interval; what is over that is left out of it."""

LOOK_UP_S: Final = 60.0
"""How long an address of a name is used."""

SILENCE_S: Final = 3600.0
"""Between two lines of the log that say the same."""

_SEPARATORS: Final = str.maketrans(dict.fromkeys(":| @#\n", "_"))


class Statsd:
    """Sends the numbers of `metrics` to `host` at `port`, every `interval_s` seconds."""

    def __init__(self, host: str, port: int, metrics: Metrics, interval_s: float) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._interval_s = interval_s
        self._trouble = ""
        self._told_at = 0.0

    @classmethod
    def of(cls, telemetry: Telemetry, metrics: Metrics) -> list[Statsd]:
        """The sinks that the configuration asks for: one or none."""
        if not telemetry.statsd_address:
            return []
        place = parse_endpoint(telemetry.statsd_address, STATSD_PORT)
        return [cls(place.host, place.port, metrics, telemetry.collection_interval_ns / 1e9)]

    async def run(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        news = News(self._metrics.labels)
        news.lines(self._metrics.totals())  # what was before nobody is told of
        link: socket.socket | None = None
        looked_up = float("-inf")
        try:
            while True:
                await asyncio.sleep(self._interval_s)
                if loop.time() - looked_up >= LOOK_UP_S:
                    looked_up = loop.time()
                    found = await self._link()
                    if found is not None and link is not None:
                        link.close()
                    link = found or link
                if link is None:
                    continue
                self._send(link, packets(news.lines(self._metrics.totals())))
        finally:
            if link is not None:
                link.close()

    async def _link(self) -> socket.socket | None:
        """A socket to where the name is now; None if that is not known."""
        try:
            if as_ip(self._host) is not None:
                return _connected(self._host, self._port)
            return await in_thread(lambda: _connected(self._host, self._port))
        except OSError as error:
            self._tell(
                f"telemetry.statsd_address: {self._host}:{self._port} is not reached: "
                f"{error.strerror or error}; numbers are sent when it is; correct the address"
            )
            return None

    def _send(self, link: socket.socket, data: Iterator[bytes]) -> None:
        trouble = ""
        for number, packet in enumerate(data):
            if number >= PACKETS_MAX:
                break
            try:
                link.send(packet)
            except BlockingIOError:
                continue
            except OSError as error:
                trouble = (
                    f"telemetry.statsd_address: {self._host}:{self._port} takes no packets: "
                    f"{error.strerror or error}; start a statsd server there, or correct it"
                )
        if trouble:
            self._tell(trouble)

    def _tell(self, trouble: str) -> None:
        """Once an hour: of a server that is not there every second packet brings news."""
        now = asyncio.get_running_loop().time()
        if trouble != self._trouble or now - self._told_at >= SILENCE_S:
            log.warning("%s", trouble)
            self._trouble, self._told_at = trouble, now


class News:
    """The events since the last call, as the lines that tell them."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._end = "".join(f".{value}" for value in labels.values())
        self._told: dict[tuple[str, str], tuple[int, float]] = {}  # by kind and name: count, sum

    def lines(self, totals: Totals) -> list[bytes]:
        """Lines of counters, gauges and times."""
        found: list[bytes] = []
        for name, counted in totals.counters.items():
            _, total = self._since("counter", name, counted)
            if total:
                found.append(self._line(name, total, "c"))
        for name, value in totals.gauges.items():
            found += self._gauge(name, value)
        for (name, peer), value in totals.peers.items():
            found += self._gauge(f"{name}.{peer}", value)
        for name, counted in totals.samples.items():
            found += self._timed(name, *self._since("sample", name, counted))
        for name, histogram in totals.histograms.items():
            in_ms = name.removesuffix("_seconds") + "_ms"
            if in_ms not in totals.samples:
                counted = sum(histogram.counts), histogram.sum
                count, seconds = self._since("histogram", name, counted)
                found += self._timed(in_ms, count, seconds * 1000)
        return found

    def _since(self, kind: str, name: str, counted: tuple[int, float]) -> tuple[int, float]:
        count, total = self._told.get((kind, name), (0, 0.0))
        self._told[kind, name] = counted
        return counted[0] - count, counted[1] - total

    def _gauge(self, name: str, value: float) -> list[bytes]:
        if not math.isfinite(value):
            return []
        line = self._line(name, value, "g")
        # A sign means a change: a number below zero is written from zero on.
        return [self._line(name, 0, "g"), line] if value < 0 else [line]

    def _timed(self, name: str, count: int, total: float) -> list[bytes]:
        if count <= 0:
            return []
        kind = "ms" if count == 1 else f"ms|@{_number(1 / count)}"
        return [self._line(name, total / count, kind)]

    def _line(self, name: str, value: float, kind: str) -> bytes:
        path = (name + self._end).translate(_SEPARATORS)
        return f"{path}:{_number(value)}|{kind}".encode()


def packets(rows: Iterable[bytes]) -> Iterator[bytes]:
    """Lines put together to packets."""
    packet = b""
    for row in rows:
        if packet and len(packet) + 1 + len(row) > PACKET_BYTES_MAX:
            yield packet
            packet = b""
        packet = packet + b"\n" + row if packet else row
    if packet:
        yield packet


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _connected(host: str, port: int) -> socket.socket:
    """A socket that never waits. Raises OSError, for a name that does not resolve too."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, place = found[0]
    link = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    try:
        link.connect(place)
    except OSError:
        link.close()
        raise
    return link
