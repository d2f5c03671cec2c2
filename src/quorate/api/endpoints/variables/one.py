"""`/v1/var/<path>`: one variable. See docs/http-api.md#variables."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from quorate.acl.capability import Capability
from quorate.acl.rights import Rights
from quorate.api.blocking import Watched
from quorate.api.codec.body import (
    BodyError,
    Field,
    Shape,
    a_duration,
    a_string,
    a_uint64,
    an_int64,
    check_texts,
    string_map,
)
from quorate.api.codec.encode import TEXT_TYPE, empty_response, json_response, text_response
from quorate.api.codec.meta import read_headers, restored_header, write_headers
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.endpoints.variables.locking import (
    LockOperation,
    asked_lock,
    lock_command,
    lock_operation,
    lock_refusal,
)
from quorate.api.endpoints.variables.rights import may, may_read, need
from quorate.api.endpoints.variables.rules import (
    ITEMS_MAX,
    check_items,
    check_namespace,
    check_target,
    namespace_of,
)
from quorate.api.endpoints.variables.shown import current_of, metadata_of, variable_of
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.api.status import error_response
from quorate.state.engine.commands import encode
from quorate.state.tables import variables
from quorate.state.tables.limits import Full
from quorate.state.tables.locks import AcquireLock
from quorate.state.tables.namespaces import DEFAULT
from quorate.state.tables.variables import Conflict, DeleteVariable, PutVariable, key_of

_TABLE: Final = variables.TABLE.name

_TEXTS_MAX: Final = 2 * ITEMS_MAX + 64

_BODY: Final = Shape(
    Field("Namespace", "namespace", a_string),
    Field("Items", "items", string_map),
    Field(
        "Lock",
        "lock",
        Shape(
            Field("ID", "lock_id", a_string),
            Field("TTL", "ttl_ns", a_duration),
            Field("LockDelay", "delay_ns", a_duration),
            Field("Fence", "fence", a_uint64),  # ours to say
        ),
    ),
    # Clients write back what they have read. The path is that of the URL, the rest is ours.
    Field("Path", "path", a_string),
    Field("CreateIndex", "create_index", a_uint64),
    Field("ModifyIndex", "modify_index", a_uint64),
    Field("CreateTime", "create_time", an_int64),
    Field("ModifyTime", "modify_time", an_int64),
)


_USUAL_BYTES_MAX: Final = 32 * 1024
"""So short a body is within the bounds of texts, items and their bytes, whatever it holds."""


class _Usual(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Nearly all bodies: those of clients that only put items."""

    items: dict[str, str] = msgspec.field(name="Items")
    namespace: str = msgspec.field(name="Namespace", default="")
    path: str = msgspec.field(name="Path", default="")


_decode_usual = msgspec.json.Decoder(_Usual).decode


def _usual(body: bytes) -> _Usual | None:
    """The fields of a body, as `_BODY` reads them, if there are items and no others than these."""
    if len(body) > _USUAL_BYTES_MAX:
        return None
    try:
        found = _decode_usual(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.items else None


class VariableEndpoint:
    """GET, PUT, POST and DELETE of one variable."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._sealer = context.parts.sealer
        self._usage = context.parts.usage
        self._authority = context.authority
        self._clock = context.clock
        self._watched = Watched(_TABLE, key=_key, told=_may_be_told)

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The variable with its items."""
        if not call.tail:
            raise RequestError("missing variable path")
        if call.admission is not None:
            need(call, Capability.VARIABLES_READ, namespace_of(call), call.tail)
        return self._authority.read(call, self._answer, self._watched)

    def _answer(self, call: Call) -> Response:
        state = self._state.readable()
        record = variables.by_path(state, namespace_of(call), call.tail)
        if record is None:
            headers = read_headers(self._leadership, state.table_index(_TABLE))
            headers = (*headers, *restored_header(state))
            return text_response(404, "variable not found", headers=headers)
        headers = (
            *read_headers(self._leadership, record.modify_index),
            *restored_header(state),
        )
        return json_response(
            variable_of(record, self._sealer.open(record)),
            pretty=call.query.pretty,
            headers=headers,
        )

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Write the variable whole; with `cas` only if its modify index is just that."""
        if not call.query.values and call.tail and (body := _usual(call.request.body)) is not None:
            namespace = body.namespace or DEFAULT
            check_target(namespace, call.tail)
            return self._put(call, namespace, body.items, None, "")
        fields = self._body(call)
        namespace, items = fields["namespace"], fields.get("items", {})
        operation = lock_operation(call)
        if operation is not None:
            return self._lock(call, operation, fields)
        check_items(items)
        check_target(namespace, call.tail)
        return self._put(call, namespace, items, _cas(call), fields.get("lock_id", ""))

    def _put(
        self, call: Call, namespace: str, items: dict[str, str], cas: int | None, lock_id: str
    ) -> Replicating | Awaitable[Response]:
        """Write it; namespace, path and items have been looked at."""
        path = call.tail
        if call.admission is not None:
            need(call, Capability.VARIABLES_WRITE, namespace, path)

        def command() -> bytes:
            sealed = self._sealer.seal(namespace, path, items)
            put = PutVariable(
                namespace=namespace,
                path=path,
                time_ns=int(self._clock() * 1e9),
                data=sealed.data,
                key_id=sealed.key_id,
                nonce=sealed.nonce,
                cas=cas,
                lock_id=lock_id,
            )
            self._usage.check(put)
            return encode(put)

        def answer(index: int, done: Any) -> Response:
            if isinstance(done, Conflict):
                return self._refused(call, done, namespace)
            if isinstance(done, Full):
                return error_response(self._usage.refusal(done))
            headers = write_headers(index)
            value = variable_of(done, items)
            return json_response(value, pretty=call.query.pretty, headers=headers)

        return self._authority.replicate(call, command, answer)

    def delete(self, call: Call) -> Replicating | Awaitable[Response]:
        """Delete the variable; one that is not there is no error."""
        if not call.tail:
            raise RequestError("missing variable path")
        namespace, cas = namespace_of(call), _cas(call)
        check_namespace(namespace)
        need(call, Capability.VARIABLES_DESTROY, namespace, call.tail)
        command = encode(DeleteVariable(namespace=namespace, path=call.tail, cas=cas))

        def answer(index: int, done: Any) -> Response:
            if isinstance(done, Conflict):
                return self._refused(call, done, namespace)
            return empty_response(status=204, headers=write_headers(index))

        return self._authority.replicate(call, command, answer)

    def _lock(
        self, call: Call, operation: LockOperation, fields: dict[str, Any]
    ) -> Replicating | Awaitable[Response]:
        """Acquire, renew or release the lock."""
        namespace, path, items = fields["namespace"], call.tail, fields.get("items", {})
        check_target(namespace, path)
        if items:
            check_items(items)
        asked = asked_lock(operation, fields)
        need(call, Capability.VARIABLES_WRITE, namespace, path)

        def command() -> bytes:
            sealed = self._sealer.seal(namespace, path, items)
            time_ns = int(self._clock() * 1e9)
            wanted = lock_command(asked, namespace, path, time_ns, sealed, keep=not items)
            if isinstance(wanted, AcquireLock):
                self._usage.check(wanted)
            return encode(wanted)

        def answer(index: int, done: Any) -> Response:
            pretty, headers = call.query.pretty, write_headers(index)
            if isinstance(done, Conflict):
                return lock_refusal(operation, done) or self._refused(call, done, namespace)
            if isinstance(done, Full):
                return error_response(self._usage.refusal(done))
            if operation is LockOperation.ACQUIRE and may_read(call, namespace, path):
                shown: Any = variable_of(done, self._sealer.open(done))
            else:
                shown = metadata_of(done)
            return json_response(shown, pretty=pretty, headers=headers)

        return self._authority.replicate(call, command, answer)

    def _body(self, call: Call) -> dict[str, Any]:
        """The fields of the body, with a namespace."""
        if not call.tail:
            raise RequestError("missing variable path")
        try:
            check_texts(call.request.body, _TEXTS_MAX)
            fields = _BODY.read(call.request.body)
        except BodyError as error:
            raise RequestError(str(error)) from error
        return {**fields, "namespace": fields.get("namespace") or namespace_of(call)}

    def _refused(self, call: Call, conflict: Conflict, namespace: str) -> Response:
        """The variable as it is now: JSON that says to be plain text, as clients know it."""
        readable = may_read(call, namespace, call.tail)
        current = current_of(
            conflict.current, namespace, call.tail, self._sealer if readable else None
        )
        answer = json_response(current, pretty=call.query.pretty)
        why = (b"X-Quorate-Conflict", conflict.why.value.encode())
        return Response(409, answer.body, (TEXT_TYPE, why, *write_headers(current.modify_index)))


def _key(call: Call) -> str:
    return key_of(namespace_of(call), call.tail)


def _may_be_told(call: Call, rights: Rights) -> bool:
    return may(Capability.VARIABLES_READ, namespace_of(call), call.tail, rights)


def _cas(call: Call) -> int | None:
    return parse_cas(call.query, "can not parse cas: ", empty_is_none=True)
