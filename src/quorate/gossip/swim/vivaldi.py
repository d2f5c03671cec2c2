"""Where this member stands in a space whose distances are round trips.

Rules: Vivaldi; docs/wire.md#tags-and-coordinates.

Differences of coordinates estimate the round trip between members that never measured it. The
figures are those of Serf. Bad numbers from outside are refused before they touch ours.
"""

from __future__ import annotations

import math
from collections import deque
from random import Random
from typing import Final

from quorate.gossip.messages import Coordinate

DIMENSIONS: Final = 8
ERROR_MAX: Final = 1.5
HEIGHT_MIN: Final = 1.0e-5
ROUND_TRIP_MAX_S: Final = 10.0
NUMBER_MAX: Final = 1.0e6
"""No place is so many seconds away; with larger numbers the arithmetic could overflow."""
_CE: Final = 0.25
_CC: Final = 0.25
_WINDOW: Final = 20
_GRAVITY: Final = 150.0
_FILTER: Final = 3
_ZERO: Final = 1.0e-6

ORIGIN: Final = Coordinate(
    vector=(0.0,) * DIMENSIONS, error=ERROR_MAX, height=HEIGHT_MIN, adjustment=0.0
)


def is_sane(coordinate: Coordinate) -> bool:
    """Eight numbers that can be, and three more."""
    numbers = (*coordinate.vector, coordinate.error, coordinate.height, coordinate.adjustment)
    return len(coordinate.vector) == DIMENSIONS and all(
        -NUMBER_MAX <= n <= NUMBER_MAX for n in numbers
    )


def _raw_distance(a: Coordinate, b: Coordinate) -> float:
    return math.dist(a.vector, b.vector) + a.height + b.height


def distance_s(a: Coordinate, b: Coordinate) -> float:
    """The estimated round trip in seconds."""
    raw = _raw_distance(a, b)
    adjusted = raw + a.adjustment + b.adjustment
    return adjusted if adjusted > 0.0 else raw


class Vivaldi:
    """This member's coordinate, moved by each measured round trip."""

    def __init__(self, rng: Random) -> None:
        self.coordinate = ORIGIN
        self._rng = rng
        self._samples: deque[float] = deque([0.0] * _WINDOW, _WINDOW)
        self._round_trips: dict[str, deque[float]] = {}

    def forget(self, name: str) -> None:
        """This peer is gone."""
        self._round_trips.pop(name, None)

    def update(self, name: str, other: Coordinate, round_trip: float) -> bool:
        """A round trip to `name`, which stands at `other`. False if the figures cannot be."""
        if not is_sane(other) or not 0.0 <= round_trip <= ROUND_TRIP_MAX_S:
            return False
        recent = self._round_trips.setdefault(name, deque(maxlen=_FILTER))
        recent.append(round_trip)
        rtt = max(sorted(recent)[len(recent) // 2], _ZERO)
        moved = self._pulled(other, rtt)
        moved = self._adjusted(moved, other, rtt)
        moved = self._towards_origin(moved)
        # A coordinate that was driven beyond all bounds is reset instead of spreading.
        self.coordinate = moved if is_sane(moved) else ORIGIN
        return True

    def _pulled(self, other: Coordinate, rtt: float) -> Coordinate:
        ours = self.coordinate
        wrongness = abs(_raw_distance(ours, other) - rtt) / rtt
        total = max(ours.error + other.error, _ZERO)
        weight = ours.error / total
        error = min(_CE * weight * wrongness + ours.error * (1.0 - _CE * weight), ERROR_MAX)
        force = _CC * weight * (rtt - _raw_distance(ours, other))
        return self._push(ours, other, force, error)

    def _push(self, ours: Coordinate, other: Coordinate, force: float, error: float) -> Coordinate:
        """`ours`, moved by `force` seconds away from `other`."""
        unit, magnitude = self._direction(ours, other)
        vector = tuple(v + u * force for v, u in zip(ours.vector, unit, strict=True))
        height = ours.height
        if magnitude > _ZERO:
            height = max((height + other.height) * force / magnitude + height, HEIGHT_MIN)
        return Coordinate(vector, error, height, ours.adjustment)

    def _direction(self, ours: Coordinate, other: Coordinate) -> tuple[list[float], float]:
        apart = [a - b for a, b in zip(ours.vector, other.vector, strict=True)]
        magnitude = math.hypot(*apart)
        if magnitude > _ZERO:
            return [a / magnitude for a in apart], magnitude
        # Both stand in one place: any direction will do, but a direction it must be.
        draw = [self._rng.random() - 0.5 for _ in range(DIMENSIONS)]
        length = math.hypot(*draw)
        if length > _ZERO:
            return [a / length for a in draw], 0.0
        return [1.0, *([0.0] * (DIMENSIONS - 1))], 0.0

    def _adjusted(self, ours: Coordinate, other: Coordinate, rtt: float) -> Coordinate:
        self._samples.append(rtt - _raw_distance(ours, other))
        return Coordinate(
            ours.vector, ours.error, ours.height, math.fsum(self._samples) / (2.0 * _WINDOW)
        )

    def _towards_origin(self, ours: Coordinate) -> Coordinate:
        """Keep the whole pool from drifting away."""
        far = distance_s(ORIGIN, ours)
        force = -1.0 * (far / _GRAVITY) ** 2
        return self._push(ours, ORIGIN, force, ours.error)
