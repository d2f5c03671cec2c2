"""Greeting the members after a start, or with a new vote, until they answer or count as down.

What an answer says against this start is not for here: who hears it ends the replica.
"""

from __future__ import annotations

from collections.abc import Iterable

from quorate.raft import events
from quorate.raft.node import Node
from quorate.raft.roles.greeting import pause_s
from quorate.runtime.driver import Clock, Driver
from quorate.runtime.ports import Network


class Greeter:
    """See the module; of one start of one replica."""

    def __init__(self, node: Node, clock: Clock, network: Network, driver: Driver) -> None:
        self._node, self._clock, self._network, self._driver = node, clock, network, driver

    def begin(self) -> None:
        """Greet all others; from now on the node waits for their answers."""
        self.greet(self._node.greet())

    def greet(self, server_ids: Iterable[str]) -> None:
        """Greet these members."""
        for server_id in server_ids:
            self._greet(server_id)

    def _greet(self, server_id: str) -> None:
        greeting, member = self._node.greeting, self._node.configuration.get(server_id)
        if greeting is not None and server_id in greeting.waiting and member is not None:
            self._network.greet(member)

    def answered(self, server_id: str) -> None:
        """That member has nothing against this start."""
        self._driver.step(events.Greeted(server_id))

    def failed(self, server_id: str) -> None:
        """That member has not answered: it may be starting, or a connection was lost."""
        self._clock.call_later(pause_s(self._node), self._greet, server_id)
