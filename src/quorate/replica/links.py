"""The links to all peers: made when first needed, and made again where a peer has moved.

They are the `Network` of a `quorate.runtime.raft.RaftDriver`, which says which answers count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Final

from quorate.net.trust import Trust
from quorate.raft.values.configuration import Server
from quorate.raft.values.messages import AnyRequest, AnyResponse
from quorate.replica.incoming import Slot
from quorate.replica.outgoing import PeerLink
from quorate.runtime.raft import RaftDriver
from quorate.wire.raft.messages import encode_request

_APPEND_TIMEOUT_S: Final = 10.0
_LOCATED_S: Final = 0.05  # below a heartbeat's interval, by which a peer that has moved is found
_DROP_AFTER_S: Final = 5.0  # from when a member has left: it may still be told so


class PeerLinks:
    """See the module. `locate` says where a peer is now, `refused` is told what makes no sense."""

    def __init__(
        self,
        prefix: bytes,
        locate: Callable[[Server], str],
        refused: Callable[[str, str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.greeter: Callable[[Server], Awaitable[bool]] | None = None
        """Asks a member what it has against this start; False if it does not answer."""
        self._spawn = spawn
        self.driver: RaftDriver  # set before the first message
        self.trust: Trust | None = None
        self._prefix = prefix
        self._locate = locate
        self._refused = refused
        self._links: dict[str, PeerLink] = {}
        self._encoded: tuple[AnyRequest | None, bytes] = (None, b"")  # the newest request
        self._members: Collection[str] = ()
        self._loop = asyncio.get_running_loop()

    def send(self, to: Server, rpc_id: int, request: AnyRequest) -> None:
        """Send a request to the peer, where it is now."""
        link = self._links.get(to.id)
        if link is None or link.located is not to or self._loop.time() > link.look_again_at:
            link = self._located(to, link)
        link.send(rpc_id, request)

    def _located(self, to: Server, link: PeerLink | None) -> PeerLink:
        """The link to where the peer is, which is believed for a moment."""
        address = self._locate(to)
        if link is None or link.address != address:
            if link is not None:
                link.close()
            link = self._links[to.id] = self._make(to.id, address)
        link.located, link.look_again_at = to, self._loop.time() + _LOCATED_S
        return link

    def _make(self, peer_id: str, address: str) -> PeerLink:
        def answered(rpc_id: int, response: AnyResponse) -> None:
            self.driver.response_received(peer_id, rpc_id, response)

        def failed(rpc_id: int, reason: str) -> None:
            self.driver.request_failed(peer_id, rpc_id, reason)

        return PeerLink(
            address,
            self._prefix,
            answered=answered,
            failed=failed,
            refused=self._refused,
            trust=self.trust,
            peer_id=peer_id,
            encode=self._encode,
        )

    def _encode(self, request: AnyRequest) -> bytes:
        """The bytes of a request; one that goes to several peers in turn is encoded once."""
        if request is not self._encoded[0]:
            self._encoded = (request, encode_request(request))
        return self._encoded[1]

    def reply(self, reply_to: Slot, response: AnyResponse) -> None:
        """Answer a request that came over a connection of the peer."""
        reply_to.answer(response)

    def greet(self, to: Server) -> None:
        """Ask the member what it has against this start of ours."""
        self._spawn(self._greet(to))

    async def _greet(self, to: Server) -> None:
        assert self.greeter is not None
        self.driver.greeted(to.id, answered=await self.greeter(to))

    def members(self, server_ids: Collection[str]) -> None:
        """End the links to all others, a little later."""
        self._members = server_ids
        for peer_id in self._links:
            if peer_id not in server_ids:
                self._loop.call_later(_DROP_AFTER_S, self._drop, peer_id)

    def _drop(self, peer_id: str) -> None:
        if peer_id not in self._members and peer_id in self._links:
            self._links.pop(peer_id).close()

    def check(self, control_limit_s: float) -> None:
        """Give up on answers that are overdue; only an append may take longer than this."""
        for link in list(self._links.values()):
            link.check(_APPEND_TIMEOUT_S, control_limit_s)

    def close(self) -> None:
        """End all links."""
        for link in self._links.values():
            link.close()
