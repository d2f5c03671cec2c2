"""The links to all peers: made when first needed, and anew where a peer has moved.

Invariant: an answer counts only as that of the server it was asked of. Addresses are reused, and a
vote of whoever now answers at a member's address would not be the member's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from quorate.raft import events
from quorate.raft.messages import AnyRequest, AnyResponse
from quorate.replica.outgoing import PeerLink, Refused

ANOTHER: Final = "another server answers at this address"

_APPEND_TIMEOUT_S: Final = 10.0


class PeerLinks:
    """See the module. `step` takes the events of what comes back, `refused` what makes no sense."""

    def __init__(self, prefix: bytes, step: Callable[[Any], None], refused: Refused) -> None:
        self._prefix = prefix
        self._step = step
        self._refused = refused
        self._links: dict[str, PeerLink] = {}

    def send(self, peer_id: str, address: str, rpc_id: int, request: AnyRequest) -> None:
        """Send a request to the peer, which is at `address` now."""
        link = self._links.get(peer_id)
        if link is None or link.address != address:
            if link is not None:
                link.close()
            link = self._links[peer_id] = self._make(peer_id, address)
        link.send(rpc_id, request)

    def _make(self, peer_id: str, address: str) -> PeerLink:
        def answered(rpc_id: int, response: AnyResponse) -> None:
            if is_of(peer_id, response):
                self._step(events.ResponseReceived(peer_id, rpc_id, response))
            else:
                failed(rpc_id, ANOTHER)

        def failed(rpc_id: int, reason: str) -> None:
            self._step(events.RequestFailed(peer_id, rpc_id, reason))

        return PeerLink(
            address, self._prefix, answered=answered, failed=failed, refused=self._refused
        )

    def besides(self, members: Collection[str]) -> list[str]:
        """The peers that are linked and not among `members`."""
        return [peer_id for peer_id in self._links if peer_id not in members]

    def drop(self, peer_id: str) -> None:
        """End the link to this peer, if there is one."""
        if peer_id in self._links:
            self._links.pop(peer_id).close()

    def check(self, control_limit_s: float) -> None:
        """Give up on answers that are overdue; only an append may take longer than this."""
        for link in list(self._links.values()):
            link.check(_APPEND_TIMEOUT_S, control_limit_s)

    def close(self) -> None:
        """End all links."""
        for link in self._links.values():
            link.close()


def is_of(peer_id: str, response: AnyResponse) -> bool:
    """False if another server answers at the peer's address.

    Old peers send no ID; where addresses are IDs (before protocol 3) the address is the name.
    """
    return response.sender_id in {"", peer_id} or response.sender_address == peer_id
