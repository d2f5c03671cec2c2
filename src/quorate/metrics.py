"""Counters, gauges and samples of this process, in windows of ten seconds.

Invariant: recording is a few dictionary and list operations, whatever the number of values, so
it may stand in the hottest path. Values are folded as they come; what is shown is the last
complete window (docs/http-api.md#metrics), what is counted since the start is kept beside it for
Prometheus.

Pure: time is passed in. The owner of the registry calls `advance` about once a second.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

import msgspec

# The folded values of one name: count, sum, sum of squares, smallest, largest.
_Fold = list[float]


class Aggregate(msgspec.Struct, frozen=True, gc=False):
    """The values of one name in one window. `rate` is the sum per second."""

    name: str
    count: int
    sum: float
    min: float
    max: float
    mean: float
    stddev: float
    rate: float


class Window(msgspec.Struct, frozen=True):
    """One complete window; `started` is its beginning in Unix seconds. Lists sorted by name."""

    started: float
    counters: tuple[Aggregate, ...] = ()
    gauges: tuple[tuple[str, float], ...] = ()
    samples: tuple[Aggregate, ...] = ()


BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the buckets of durations, seconds; one more is for all above."""


_SHORTEST_S: Final = BUCKETS_S[0]


class Counter:
    """What is counted by one each, so often that a look-up by name would show."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0  # not folded yet


class Histogram:
    """Durations since the start: how many in each bucket, and their sum in seconds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Record one duration."""
        if seconds <= _SHORTEST_S:  # as nearly all are that are recorded often
            self.counts[0] += 1
        else:
            self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum += seconds

    def with_those_of(self, other: Histogram) -> Histogram:
        """A histogram of the durations of both."""
        both = Histogram()
        both.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        both.sum = self.sum + other.sum
        return both


class Totals(msgspec.Struct, frozen=True):
    """Since the start: gauges as last set; (count, sum) of counters and samples. By name.

    `peers` are gauges about another server each, by name and that server's ID.
    """

    counters: Mapping[str, tuple[int, float]]
    gauges: Mapping[str, float]
    samples: Mapping[str, tuple[int, float]]
    histograms: Mapping[str, Histogram] = MappingProxyType({})
    peers: Mapping[tuple[str, str], float] = MappingProxyType({})


class Metrics:
    """The registry. Names are complete ("nomad.raft.appliedIndex"); `labels` go on all of them."""

    def __init__(
        self, *, labels: Mapping[str, str] = MappingProxyType({}), interval_s: float = 10.0
    ) -> None:
        self.labels = dict(labels)
        self._interval_s = interval_s
        self._started: float | None = None
        self._counters: dict[str, _Fold] = {}
        self._ones: dict[str, int] = {}  # counts by one each, which are most, not folded yet
        self._often: dict[str, Counter] = {}
        self._samples: dict[str, _Fold] = {}
        self._gauges: dict[str, float] = {}
        self._peers: dict[tuple[str, str], float] = {}
        self._histograms: dict[str, Histogram] = {}
        self._held: dict[str, Histogram] = {}  # by the name of the histogram that holds them, too
        self._old_counters: dict[str, tuple[int, float]] = {}
        self._old_samples: dict[str, tuple[int, float]] = {}
        self._complete = Window(0.0)

    # -- recording (the folding is written out twice: a call more would cost a third) ----------

    def incr(self, name: str, value: float = 1.0) -> None:
        """Count `value` more."""
        if value == 1.0:
            ones = self._ones
            ones[name] = ones[name] + 1 if name in ones else 1
            return
        try:
            fold = self._counters[name]
        except KeyError:
            self._counters[name] = [1.0, value, value * value, value, value]
            return
        fold[0] += 1.0
        fold[1] += value
        fold[2] += value * value
        if value < fold[3]:
            fold[3] = value
        elif value > fold[4]:
            fold[4] = value

    def counter(self, name: str) -> Counter:
        """The counter of that name, for what counts often: to raise its `count` is `incr`."""
        return self._often.setdefault(name, Counter())

    def sample(self, name: str, value: float) -> None:
        """Record one measurement; times are milliseconds."""
        try:
            fold = self._samples[name]
        except KeyError:
            self._samples[name] = [1.0, value, value * value, value, value]
            return
        fold[0] += 1.0
        fold[1] += value
        fold[2] += value * value
        if value < fold[3]:
            fold[3] = value
        elif value > fold[4]:
            fold[4] = value

    def gauge(self, name: str, value: float) -> None:
        """Say how it is now. A gauge keeps its value until it is set again."""
        self._gauges[name] = value

    def histogram(self, name: str, *, holds: Histogram | None = None) -> Histogram:
        """The histogram of that name, for what records often: it is shown once it has a value.

        It is shown with the durations of the one that it `holds`, which are recorded only there.
        """
        histogram = self._histograms.get(name)
        if histogram is None:
            histogram = self._histograms[name] = Histogram()
        if holds is not None:
            self._held[name] = holds
        return histogram

    def peers(self, name: str, values: Mapping[str, float]) -> None:
        """Say how it is now with each other server, by ID; those left out are forgotten."""
        kept = {key: value for key, value in self._peers.items() if key[0] != name}
        self._peers = kept | {(name, peer): value for peer, value in values.items()}

    # -- time ----------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Tell the registry the time (Unix seconds); ends the window when it is over.

        A clock that was set back starts a new window.
        """
        start = now - math.fmod(now, self._interval_s)
        if self._started is None:
            self._started = start
        elif start != self._started:
            self._end_window(self._started)
            self._started = start

    def _fold_ones(self) -> None:
        often = {name: counter.count for name, counter in self._often.items() if counter.count}
        for name, count in chain(self._ones.items(), often.items()):
            fold = self._counters.get(name)
            if fold is None:
                self._counters[name] = [float(count), float(count), float(count), 1.0, 1.0]
                continue
            for place in range(3):  # the number, the sum, the sum of squares
                fold[place] += count
            fold[3], fold[4] = min(fold[3], 1.0), max(fold[4], 1.0)
        self._ones.clear()
        for counter in self._often.values():
            counter.count = 0

    def _end_window(self, started: float) -> None:
        self._fold_ones()
        self._complete = Window(
            started=started,
            counters=_aggregates(self._counters, self._interval_s),
            gauges=tuple(sorted(self._gauges.items())),
            samples=_aggregates(self._samples, self._interval_s),
        )
        self._old_counters = _added(self._old_counters, self._counters)
        self._old_samples = _added(self._old_samples, self._samples)
        self._counters = {}
        self._samples = {}

    # -- showing -------------------------------------------------------------------------------

    def _whole_histograms(self) -> Iterator[tuple[str, Histogram]]:
        for name, histogram in self._histograms.items():
            held = self._held.get(name)
            yield name, histogram if held is None else histogram.with_those_of(held)

    def window(self) -> Window:
        """The last complete window; an empty one of time 0 before the first is over."""
        return self._complete

    def totals(self) -> Totals:
        """All since the start, the window under way included."""
        self._fold_ones()
        return Totals(
            counters=_added(self._old_counters, self._counters),
            gauges=dict(self._gauges),
            samples=_added(self._old_samples, self._samples),
            histograms={name: h for name, h in self._whole_histograms() if any(h.counts)},
            peers=self._peers,
        )


def _aggregates(folds: Mapping[str, _Fold], interval_s: float) -> tuple[Aggregate, ...]:
    return tuple(_aggregate(name, folds[name], interval_s) for name in sorted(folds))


def _aggregate(name: str, fold: _Fold, interval_s: float) -> Aggregate:
    count, total, squares, smallest, largest = fold
    # Of the sample (n - 1), as today's servers show it; rounding may push it below zero.
    variance = (squares - total * total / count) / (count - 1) if count > 1 else 0.0
    return Aggregate(
        name=name,
        count=int(count),
        sum=total,
        min=smallest,
        max=largest,
        mean=total / count,
        stddev=math.sqrt(max(variance, 0.0)),
        rate=total / interval_s,
    )


def _added(
    totals: Mapping[str, tuple[int, float]], folds: Mapping[str, _Fold]
) -> dict[str, tuple[int, float]]:
    result = dict(totals)
    for name, fold in folds.items():
        count, total = result.get(name, (0, 0.0))
        result[name] = (count + int(fold[0]), total + fold[1])
    return result
