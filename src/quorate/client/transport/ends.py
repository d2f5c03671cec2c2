"""The addresses of a client: which one is asked, and which one next when it does not answer.

A request that certainly was not sent, and a read, are tried at each address once. A write that may
have been done is not: its error is the caller's. In each case the next request begins at the
address after the one that failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, TypeVar

from quorate.client.errors import RequestError
from quorate.client.transport.address import parse_address
from quorate.client.transport.wire import Reaching

E = TypeVar("E")

NO_LEADER: Final = (500, b"No cluster leader")
"""Status and text of a server without a leader."""


class Ends(Generic[E]):
    """The transports to several addresses, each made when it is needed first.

    Raises what `make` raises, for the first address at once, and AddressError for any.
    """

    def __init__(self, reaching: Sequence[Reaching], make: Callable[[Reaching], E]) -> None:
        for each in reaching:
            parse_address(each.address)
        self._reaching = tuple(reaching)
        self._make = make
        self._made: dict[int, E] = {0: make(reaching[0])}
        self._current = 0

    @property
    def current(self) -> E:
        """The one that is asked next."""
        return self.at(self._current)

    def at(self, place: int) -> E:
        """The transport to that address, counted round and round."""
        place %= len(self._reaching)
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = self._make(self._reaching[place])
        return found

    def made(self) -> list[E]:
        """All that there are, to be closed."""
        return list(self._made.values())

    def attempts(self, path: str = "/") -> Attempts[E]:
        """Those of one request. A path that is a whole URL has one place."""
        return Attempts(self, self._current, len(self._reaching) if path.startswith("/") else 1)

    def move_on(self, place: int) -> None:
        """The one at `place` has failed. Others may have seen that before."""
        if self._current == place % len(self._reaching):
            self._current = (place + 1) % len(self._reaching)


class Attempts(Generic[E]):
    """The ends to be tried for one request, in turn."""

    def __init__(self, ends: Ends[E], first: int, count: int) -> None:
        self._ends = ends
        self._places = [first + number for number in range(count)]
        self._at = 0

    def __iter__(self) -> Iterator[E]:
        while True:
            yield self._ends.at(self._places[self._at])
            self._at += 1

    def lost(self) -> None:
        """The last one ended in the middle, or has no leader: the next request goes elsewhere."""
        self._ends.move_on(self._places[self._at])

    def failed(self, error: RequestError, *, is_read: bool) -> None:
        """The last one has failed. Raises the error if no other is to be tried."""
        self.lost()
        if self._at + 1 == len(self._places) or (error.was_sent and not is_read):
            raise error
