"""`/v1/vars/write`: several variables in one entry of the log, all or nothing (ours).

See docs/http-api.md#variables.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any, Final, Literal

import msgspec

from quorate.acl.capability import Capability
from quorate.acl.rights import Rights
from quorate.api.codec.body import BodyError, check_texts
from quorate.api.codec.encode import json_response
from quorate.api.codec.meta import write_headers
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.endpoints.variables.rights import may, may_read
from quorate.api.endpoints.variables.rules import (
    ITEMS_MAX,
    check_items,
    check_target,
    namespace_of,
)
from quorate.api.endpoints.variables.shown import current_of, metadata_of
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.api.status import error_response
from quorate.shapes.variables import VariablesConflict, VariablesWritten
from quorate.state.engine.commands import encode
from quorate.state.tables.limits import Full
from quorate.state.tables.variables import OPERATIONS_MAX, Conflict, Operation, WriteVariables

COMMAND_BYTES_MAX: Final = 512 * 1024
"""Of one write, as it stands in the log."""


_TEXTS_MAX: Final = 2 * ITEMS_MAX + OPERATIONS_MAX * 16


class _Asked(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    op: Literal["set", "delete", "check"]
    path: str
    namespace: str = ""
    items: dict[str, str] | None = None
    cas: int | None = msgspec.field(name="CAS", default=None)
    lock: str = ""


class _Body(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    operations: list[_Asked]


_decode: Final = msgspec.json.Decoder(_Body).decode


class VariablesWriteEndpoint:
    """PUT and POST of several operations."""

    def __init__(self, context: Context) -> None:
        self._sealer = context.parts.sealer
        self._usage = context.parts.usage
        self._authority = context.authority
        self._clock = context.clock

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Do all operations, or none if a condition of one does not hold."""
        asked = _read(call)
        for each in asked:
            call.need(partial(_may, each))

        def command() -> bytes:
            operations = tuple([self._operation(each) for each in asked])
            written = WriteVariables(time_ns=int(self._clock() * 1e9), operations=operations)
            encoded = encode(written)
            if len(encoded) > COMMAND_BYTES_MAX:
                raise RequestError(
                    f"the operations take {len(encoded)} bytes in the log, and {COMMAND_BYTES_MAX} "
                    "are allowed: write them in several requests"
                )
            self._usage.check(written)
            return encoded

        def answer(index: int, done: Any) -> Response:
            pretty = call.query.pretty
            if isinstance(done, Conflict):
                failed = asked[done.position]
                readable = may_read(call, failed.namespace, failed.path)
                sealer = self._sealer if readable else None
                current = current_of(done.current, failed.namespace, failed.path, sealer)
                value = VariablesConflict(operation=done.position, variable=current)
                why = (b"X-Quorate-Conflict", done.why.value.encode())
                headers = (why, *write_headers(index))
                return json_response(value, pretty=pretty, headers=headers, status=409)
            if isinstance(done, Full):
                return error_response(self._usage.refusal(done))
            shown = [None if record is None else metadata_of(record) for record in done]
            written = VariablesWritten(index=index, variables=shown)
            return json_response(written, pretty=pretty, headers=write_headers(index))

        return self._authority.replicate(call, command, answer)

    def _operation(self, asked: _Asked) -> Operation:
        sealed = None
        if asked.items is not None:
            sealed = self._sealer.seal(asked.namespace, asked.path, asked.items)
        return Operation(
            namespace=asked.namespace,
            path=asked.path,
            items=sealed,
            cas=asked.cas,
            only_check=asked.op == "check",
            lock_id=asked.lock,
        )


def _may(each: _Asked, rights: Rights) -> bool:
    """Whether the operation is allowed. A check tells as much as a write with CAS does."""
    needed = _NEEDED[each.op]
    return any(may(capability, each.namespace, each.path, rights) for capability in needed)


_NEEDED: Final = {
    "set": (Capability.VARIABLES_WRITE,),
    "delete": (Capability.VARIABLES_DESTROY,),
    "check": (Capability.VARIABLES_READ, Capability.VARIABLES_WRITE),
}


def _read(call: Call) -> list[_Asked]:
    """The operations, each with its namespace. Raises RequestError with the place."""
    try:
        check_texts(call.request.body, _TEXTS_MAX)
        body = _decode(call.request.body)
    except (BodyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not what is expected: {error}") from None
    if not 1 <= len(body.operations) <= OPERATIONS_MAX:
        raise RequestError(
            f"give 1 to {OPERATIONS_MAX} operations, not {len(body.operations)}: write more of "
            "them in several requests"
        )
    namespace = namespace_of(call)
    asked = [
        msgspec.structs.replace(each, namespace=each.namespace or namespace)
        for each in body.operations
    ]
    seen: set[tuple[str, str]] = set()
    for number, each in enumerate(asked):
        try:
            _check(each, (each.namespace, each.path) in seen)
        except RequestError as error:
            raise RequestError(f"operation {number}: {error.text}") from error
        seen.add((each.namespace, each.path))
    return asked


def _check(each: _Asked, twice: bool) -> None:
    check_target(each.namespace, each.path)
    if twice:
        raise RequestError("its variable is named by an earlier operation too")
    if each.cas is not None and not 0 <= each.cas < 2**64:
        raise RequestError("CAS is no index: it is 0 to 2^64-1")
    if each.op == "set":
        check_items(each.items or {})
    elif each.items is not None:
        raise RequestError(f"{each.op} takes no Items")
    if each.op == "check" and each.cas is None and not each.lock:
        raise RequestError("check needs CAS, or Lock")
    if each.op == "delete" and each.lock:
        raise RequestError("delete takes no Lock: release it first")
