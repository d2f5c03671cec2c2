"""`/v1/agent/keyring/`: the keys of gossip on all members of the pool (docs/http-api.md#the-pool).

A key is checked before any member is asked. `details` (ours) gives what each member answered
also where some failed; without it a failure of any member is an error that only counts them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.acl.capability import Capability
from quorate.api.codec import body
from quorate.api.codec.body import BodyError, Field, Shape
from quorate.api.codec.encode import json_response
from quorate.api.codec.params import boolean
from quorate.api.endpoint import ANY, Consistency, Context, Endpoint, Forwarding, OfAct
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import QuorateError
from quorate.server.views.records import KeyringOperation, KeyringResult
from quorate.shapes.agent import Keyring, KeyringDetails
from quorate.shapes.shape import made
from quorate.wire.gossip_key import key_fault

_WRITE: Final = ("PUT", "POST")
_BODY: Final = Shape(Field("Key", "key", body.a_string))

# As captured: what is wrong with a key or its body is a 500 here, not a 400.
_BAD_KEY_STATUS: Final = 500


class KeyringFailed(QuorateError):
    """Some members did not do it, or did not answer."""


class KeyringEndpoint:
    """`list` by any method; `install`, `use` and `remove`."""

    def __init__(self, context: Context) -> None:
        self._pool = context.parts.pool

    def list(self, call: Call) -> Awaitable[Response]:
        """The keys of all members."""
        return self._handle(call, KeyringOperation.LIST)

    def install(self, call: Call) -> Awaitable[Response]:
        """Add a key."""
        return self._handle(call, KeyringOperation.INSTALL)

    def use(self, call: Call) -> Awaitable[Response]:
        """Encrypt with a key."""
        return self._handle(call, KeyringOperation.USE)

    def remove(self, call: Call) -> Awaitable[Response]:
        """Take a key away."""
        return self._handle(call, KeyringOperation.REMOVE)

    def unknown(self, _: Call) -> Response:
        """Any other operation."""
        raise RequestError("resource not found", 404)

    def _handle(self, call: Call, operation: KeyringOperation) -> Awaitable[Response]:
        details = boolean(call.query, "details")
        key = "" if operation is KeyringOperation.LIST else _key(call.request.body)
        return self._perform(call, operation, key, details=details)

    async def _perform(
        self, call: Call, operation: KeyringOperation, key: str, *, details: bool
    ) -> Response:
        result = await self._pool.keyring(operation, key)
        if details:
            return json_response(_details(result), pretty=call.query.pretty)
        if result.num_err:
            raise KeyringFailed(
                f"{result.num_err}/{result.num_nodes} nodes reported failure",
                "; ".join(f"{name}: {why}" for name, why in sorted(result.messages.items())),
            )
        if result.num_resp < result.num_nodes:
            raise KeyringFailed(
                f"{result.num_resp}/{result.num_nodes} nodes reported success",
                "; ".join(f"{name} did not answer" for name in sorted(result.unanswered)),
            )
        return json_response(made(Keyring, result), pretty=call.query.pretty)


def _details(result: KeyringResult) -> KeyringDetails:
    return made(KeyringDetails, result, unanswered=tuple(sorted(result.unanswered)))


def _key(raw: bytes) -> str:
    """The key of a body, known to be one. Raises RequestError."""
    try:
        key: str = _BODY.read(raw).get("key", "")
    except BodyError as error:
        raise RequestError(str(error), _BAD_KEY_STATUS) from error
    fault = key_fault(key)
    if fault:
        raise RequestError(fault, _BAD_KEY_STATUS)
    return key


ROWS: Final = (
    Endpoint(
        path="/v1/agent/keyring/list",
        methods=ANY,
        made_of=KeyringEndpoint,
        handler=KeyringEndpoint.list,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="[?details]",
        does="the keys of gossip on all members",
    ),
    Endpoint(
        path="/v1/agent/keyring/install",
        methods=_WRITE,
        made_of=KeyringEndpoint,
        handler=KeyringEndpoint.install,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="[?details]",
        does="add a key of gossip on all members",
        act=OfAct("install a gossip key"),
    ),
    Endpoint(
        path="/v1/agent/keyring/use",
        methods=_WRITE,
        made_of=KeyringEndpoint,
        handler=KeyringEndpoint.use,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="[?details]",
        does="encrypt gossip with a key that all members have",
        act=OfAct("use a gossip key"),
    ),
    Endpoint(
        path="/v1/agent/keyring/remove",
        methods=_WRITE,
        made_of=KeyringEndpoint,
        handler=KeyringEndpoint.remove,
        capability=Capability.AGENT_WRITE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        parameters="[?details]",
        does="take a key of gossip away on all members",
        act=OfAct("remove a gossip key"),
    ),
    Endpoint(
        path="/v1/agent/keyring/*",
        methods=ANY,
        made_of=KeyringEndpoint,
        handler=KeyringEndpoint.unknown,
        capability=Capability.NONE,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        does="404 `resource not found`",
        listed=False,
    ),
)
