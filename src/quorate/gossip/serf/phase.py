"""Where this member stands on its way out of the pool."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """How far this member is from having left."""

    HERE = 0
    ANNOUNCED = 1  # the intent to leave goes round
    DEPARTING = 2  # its own "dead" goes round
    LEFT = 3
