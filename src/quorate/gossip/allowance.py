"""The rate at which strangers may make a member work: so many at once, and so many a second."""

from __future__ import annotations


class Allowance:
    """Fills up with time to `most`; what is over that is refused. Times in seconds."""

    __slots__ = ("_at", "_left", "most", "per_s")

    def __init__(self, most: float, per_s: float, now: float) -> None:
        self.most = most
        self.per_s = per_s
        self._left = most
        self._at = now

    def left(self, now: float) -> float:
        """How much may be taken at this time."""
        self._left = min(self.most, self._left + max(0.0, now - self._at) * self.per_s)
        self._at = now
        return self._left

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take so much; False, and nothing taken, if there is not so much left."""
        if self.left(now) < amount:
            return False
        self._left -= amount
        return True

    def spend(self, amount: float) -> None:
        """So much was used, as was found out afterwards; never below nothing."""
        self._left = max(0.0, self._left - amount)

    def owe(self, amount: float) -> None:
        """So much was used, more than there was perhaps: nothing is left until that is made up."""
        self._left -= amount
