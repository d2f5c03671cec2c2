"""`/v1/operator/keyring/`: the root keys, with which the values of variables are sealed.

See docs/http-api.md#endpoints.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from quorate.acl.capability import Capability
from quorate.api.blocking import Watched
from quorate.api.codec.encode import json_response, text_response
from quorate.api.codec.go_text import parse_bool, quote
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.codec.params import boolean
from quorate.api.endpoint import ANY, Consistency, Context, Endpoint, Forwarding, OfAct
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.shapes import root_keys as shapes
from quorate.state.engine.store import StateStore
from quorate.state.tables import root_keys
from quorate.state.tables.root_keys import ALGORITHM

_TABLE: Final = root_keys.TABLE.name
_OURS: Final = ("RekeyPhase", "Rekeyed", "WrappedBy", "LackedBy")


class RootKeysEndpoint:
    """List, rotate, remove."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._keys = context.parts.root_keys
        self._authority = context.authority
        self._watched = Watched(_TABLE)

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """All root keys, sorted by ID, without the keys themselves."""
        return self._authority.read(call, self._answer_list, self._watched)

    def _answer_list(self, call: Call) -> Response:
        state = self._state.readable()
        return json_response(
            [_json(self._shape(state, key_id)) for key_id in state.rows(root_keys.TABLE)],
            pretty=call.query.pretty,
            headers=read_headers(self._leadership, state.table_index(_TABLE)),
        )

    def rotate(self, call: Call) -> Awaitable[Response]:
        """Make a new key the active one; with `full` older text goes from the disks too."""
        values = call.query.values
        algorithm = call.query.first("algo")
        if algorithm not in {"", ALGORITHM}:
            raise RequestError(f"unknown algorithm {quote(algorithm)}: there is {ALGORITHM} alone")
        full = boolean(call.query, "full")
        if "publish_time" in values:
            raise RequestError(
                "keyring cannot be prepublished and full rotated at the same time"
                if full
                else "keys are not prepublished here, because nothing is signed with them; rotate "
                "without publish_time"
            )

        async def perform() -> Response:
            index, key_id = await self._keys.rotate(full=full)
            key = _json(self._shape(self._state.readable(), key_id))
            return json_response(
                {"Index": index, "Key": key},
                pretty=call.query.pretty,
                headers=write_headers(index),
            )

        return self._authority.write(call, perform)

    def remove(self, call: Call) -> Awaitable[Response]:
        """Remove a key that nothing needs; `force` passes over logs and snapshots."""
        key_id = call.tail
        if not key_id:
            raise RequestError("root key ID is required")
        force = parse_bool(call.query.first("force") or "false")
        if force is None:
            raise RequestError("invalid force parameter", 422)

        async def perform() -> Response:
            index = await self._keys.remove(key_id, force=force)
            return json_response(
                shapes.KeyRemoved(index=index),
                pretty=call.query.pretty,
                headers=write_headers(index),
            )

        return self._authority.write(call, perform)

    def _shape(self, state: StateStore, key_id: str) -> shapes.RootKey:
        row = state.get(root_keys.TABLE, key_id)
        if row is None:
            return shapes.RootKey(key_id=key_id)  # removed as soon as it was there
        return shapes.RootKey(
            algorithm=ALGORITHM,
            create_index=row.create_index,
            create_time=row.create_time,
            key_id=key_id,
            modify_index=row.modify_index,
            state=row.state,
            rekey_phase=row.phase,
            rekeyed=row.resealed if row.phase else 0,
            wrapped_by=row.wrapped_by,
            lacked_by=self._keys.lacked_by(row.wrapped_by) if row.wrapped_by else (),
        )

    def unknown(self, _: Call) -> Response:
        """As captured: the wrong method."""
        return text_response(405, "Invalid method")


def _json(key: shapes.RootKey) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(key)
    return {name: each for name, each in value.items() if each or name not in _OURS}


ROWS: Final = (
    Endpoint(
        path="/v1/operator/keyring/keys",
        methods=("GET",),
        made_of=RootKeysEndpoint,
        handler=RootKeysEndpoint.get_list,
        capability=Capability.KEYRING_READ,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="the root keys, without the keys themselves; blocking",
    ),
    Endpoint(
        path="/v1/operator/keyring/rotate",
        methods=("PUT", "POST"),
        made_of=RootKeysEndpoint,
        handler=RootKeysEndpoint.rotate,
        capability=Capability.KEYRING_ROTATE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="[?full][&algo=aes256-gcm]",
        does="make a new root key, and seal all values again with it",
        act=OfAct("rotate the root key", details=("full",)),
    ),
    Endpoint(
        path="/v1/operator/keyring/key/<id>",
        methods=("DELETE",),
        made_of=RootKeysEndpoint,
        handler=RootKeysEndpoint.remove,
        capability=Capability.KEYRING_DELETE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="[?force=]",
        does="remove a root key that nothing needs",
        act=OfAct("remove a root key"),
    ),
    Endpoint(
        path="/v1/operator/keyring/*",
        methods=ANY,
        made_of=RootKeysEndpoint,
        handler=RootKeysEndpoint.unknown,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="405 `Invalid method`",
        listed=False,
    ),
)
