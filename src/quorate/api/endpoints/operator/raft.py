"""`/v1/operator/raft/`: who is in the cluster, who leads, and changing both.

See docs/http-api.md#endpoints.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.go_text import quote
from quorate.api.codec.params import Query, boolean
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.api.status import error_response
from quorate.errors import PeerNotFound
from quorate.server.views.records import Transfer
from quorate.shapes import operator as shapes

_PEER_NEITHER: Final = (
    "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove"
)
_PEER_BOTH: Final = "Must specify only one of ?id or ?address"

_OURS: Final = ("LastContact", "LastName", "Status")

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class RaftEndpoint:
    """Paths below `/v1/operator/raft/` at which there is nothing."""

    def __init__(self, _: Context) -> None:
        pass

    def unknown(self, _: Call) -> Response:
        """As captured: not found, with the text of a wrong method."""
        return text_response(404, "Invalid method")


class RaftConfiguration:
    """GET `configuration`. Encoded again only when the configuration or the leader changed."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._authority = context.authority
        self._view: shapes.RaftConfiguration | None = None
        self._answers: dict[bool, Response] = {}

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The newest configuration, from the leader or with `stale` as this server knows it."""
        return self._authority.read(call, self._answer)

    def _answer(self, call: Call) -> Response:
        view = self._cluster.raft_configuration()
        if view is self._view and (known := self._answers.get(call.query.pretty)) is not None:
            return known
        if view != self._view:
            self._answers.clear()
        self._view = view
        pretty = call.query.pretty
        response = self._answers.get(pretty)
        if response is None:
            response = json_response(_configuration_json(view), pretty=pretty)
            self._answers[pretty] = response
        return response


def _configuration_json(configuration: shapes.RaftConfiguration) -> dict[str, Any]:
    """As JSON, where our own fields stand behind the others, and only if they say something."""
    value: dict[str, Any] = msgspec.to_builtins(configuration)
    for server in value["Servers"]:
        for name in _OURS:
            if not server[name]:
                del server[name]
    return value


class RaftPeer:
    """DELETE `peer`: remove a server, by its ID or its address, whatever the protocol."""

    def __init__(self, context: Context) -> None:
        self._membership = context.parts.membership
        self._authority = context.authority

    def delete(self, call: Call) -> Awaitable[Response]:
        """Success is an empty answer. An empty value is looked for, and not found.

        `force` (ours) removes a server even if that ends the quorum.
        """
        values = call.query.values
        by_id, by_address = "id" in values, "address" in values
        if by_id and by_address:
            raise RequestError(_PEER_BOTH)
        if not by_id and not by_address:
            raise RequestError(_PEER_NEITHER)
        server_id = call.query.first("id") if by_id else None
        address = call.query.first("address") if by_address else None
        force = boolean(call.query, "force")

        async def perform() -> Response:
            try:
                await self._membership.remove(server_id=server_id, address=address, force=force)
            except PeerNotFound as error:
                return error_response(_on_one_line(error))
            return empty_response()

        return self._authority.write(call, perform)


def _on_one_line(error: PeerNotFound) -> PeerNotFound:
    """The same error with what the caller sent escaped."""
    escaped = PeerNotFound(error.by, quote(error.value)[1:-1])
    escaped.next_step = error.next_step
    return escaped


class TransferLeadership:
    """PUT or POST `transfer-leadership`: let another voter lead."""

    def __init__(self, context: Context) -> None:
        self._cluster = context.parts.cluster
        self._membership = context.parts.membership
        self._authority = context.authority

    def put(self, call: Call) -> Awaitable[Response]:
        """The leader before and after, and whether leadership changed."""
        server_id, address = self._target(call.query)

        async def perform() -> Response:
            try:
                transfer = await self._membership.transfer(server_id=server_id, address=address)
            except PeerNotFound as error:
                return error_response(_on_one_line(error), status=400)
            return json_response(_transfer_json(transfer), pretty=call.query.pretty)

        return self._authority.write(call, perform)

    def _target(self, query: Query) -> tuple[str | None, str | None]:
        ids, addresses = query.values.get("id", ()), query.values.get("address", ())
        if not ids and not addresses:
            raise RequestError("must specify id or address")
        if ids and addresses:
            raise RequestError("must specify either id or address")
        if ids:
            return self._checked_id(ids), None
        return None, self._checked_address(addresses)

    def _checked_id(self, ids: tuple[str, ...]) -> str:
        server_id = _only_one(ids, "id")
        peers = self._cluster.raft_configuration().servers
        known = any(peer.id == server_id for peer in peers)
        # Where IDs are addresses (raft_protocol 2) membership decides, not the shape.
        ids_are_uuids = all(_UUID.fullmatch(peer.id) for peer in peers)
        if not known and ids_are_uuids and not _UUID.fullmatch(server_id):
            raise RequestError(f"id must be a uuid: {quote(server_id)} has not the form of one")
        return server_id

    def _checked_address(self, addresses: tuple[str, ...]) -> str:
        address = _only_one(addresses, "address")
        peers = self._cluster.raft_configuration().servers
        if not any(peer.address == address for peer in peers) and not _is_ip_port(address):
            raise RequestError(f"address must be in IP:port format: got {quote(address)}")
        return address


def _only_one(values: tuple[str, ...], name: str) -> str:
    if len(values) > 1:
        raise RequestError(f"must specify only one {name}")
    if not values[0]:
        raise RequestError(f"{name} must be non-empty")
    return values[0]


def _is_ip_port(text: str) -> bool:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 2**16):
        return False
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _transfer_json(transfer: Transfer) -> shapes.Transfer:
    return shapes.Transfer(
        from_=shapes.TransferEnd(address=transfer.from_address, id=transfer.from_id),
        noop=transfer.noop,
        to=shapes.TransferEnd(address=transfer.to_address, id=transfer.to_id),
    )
