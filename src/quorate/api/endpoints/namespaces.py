"""`/v1/namespaces` and `/v1/namespace/<name>`: reading, with blocking queries, and writing.

See docs/namespaces.md. Writes go to the authoritative region if one is configured.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from quorate.api.blocking import Watched
from quorate.api.codec.body import BodyError, Field, Shape, a_string, string_map, strings
from quorate.api.codec.encode import empty_response, json_response, text_response
from quorate.api.codec.go_text import quote
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.gate.admission import shown_what_it_sees
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.server.views.namespaces import shown
from quorate.state.engine.commands import encode
from quorate.state.tables import namespaces
from quorate.state.tables.namespaces import (
    Capabilities,
    DeleteNamespace,
    Namespace,
    UpsertNamespace,
)

NAME: Final = re.compile(r"[a-zA-Z0-9-]{1,128}", re.ASCII)
DESCRIPTION_MAX: Final = 256
QUOTA_MAX: Final = 128
META_MAX: Final = 64
META_KEY_MAX: Final = 128
META_VALUE_MAX: Final = 512
DRIVERS_MAX: Final = 64
DRIVER_MAX: Final = 128
"""All bounds of texts are in bytes of UTF-8."""

_TABLE: Final = namespaces.TABLE.name
_SHOWN_MAX: Final = 128


def _capabilities(value: Any) -> Capabilities:
    return Capabilities(**_CAPABILITIES.of(value))


def _no_node_pools(_: Any) -> None:
    raise BodyError("there are no node pools here: leave it out")


_CAPABILITIES: Final = Shape(
    Field("EnabledTaskDrivers", "enabled_task_drivers", strings),
    Field("DisabledTaskDrivers", "disabled_task_drivers", strings),
)
_BODY: Final = Shape(
    Field("Name", "name", a_string),
    Field("Description", "description", a_string),
    Field("Quota", "quota", a_string),
    Field("Meta", "meta", string_map),
    Field("Capabilities", "capabilities", _capabilities),
    Field("NodePoolConfiguration", "node_pools", _no_node_pools),
)


class NamespacesEndpoint:
    """The list, and one namespace."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority
        self._authoritative = context.parts.options.authoritative_region
        self._list = Watched(_TABLE, prefix=_prefix)
        self._one = Watched(
            _TABLE,
            key=lambda call: call.tail,
            told=lambda call, rights: rights.sees_namespace(call.tail),
        )

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """All namespaces, or those whose name begins with `prefix`, sorted by name."""
        call.need(shown_what_it_sees)
        return self._authority.read(call, self._answer_list, self._list)

    def get_one(self, call: Call) -> Response | Awaitable[Response]:
        """The namespace named in the path."""
        name = _named(call)
        call.need(lambda rights: rights.sees_namespace(name))
        return self._authority.read(call, self._answer_one, self._one)

    def put_one(self, call: Call) -> Replicating | Awaitable[Response]:
        """Write the namespace named in the path and in the body."""
        _named(call)
        return self.put(call)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Write the namespace named in the body: all of it, what the body leaves out is empty."""
        namespace = _read(call)
        answer = partial(self._written, f"Cannot write namespace {_shown(namespace.name)}: ")
        command = encode(UpsertNamespace(namespace=namespace))
        return self._authority.replicate(self._at_home(call), command, answer)

    def delete(self, call: Call) -> Replicating | Awaitable[Response]:
        """Delete the namespace named in the path; one that is not there is no error."""
        name = _named(call)
        if name == namespaces.DEFAULT:
            raise RequestError("can not delete default namespace")
        command = encode(DeleteNamespace(name=_checked_name(name)))
        answer = partial(self._written, f"Cannot delete namespace {_shown(name)}: ")
        return self._authority.replicate(self._at_home(call), command, answer)

    def _at_home(self, call: Call) -> Call:
        """The call, meant for the authoritative region whatever region it names."""
        if not self._authoritative:
            return call
        return replace(call, query=replace(call.query, region=self._authoritative))

    def _written(self, prefix: str, index: int, refusal: str) -> Response:
        if refusal:
            return text_response(409, prefix + refusal)
        return empty_response(headers=write_headers(index))

    def _answer_list(self, call: Call) -> Response:
        found = namespaces.with_prefix(self._state.readable(), _prefix(call))
        rights = call.caller.rights
        return json_response(
            [shown(namespace) for namespace in found if rights.sees_namespace(namespace.name)],
            pretty=call.query.pretty,
            headers=read_headers(self._leadership, self._index_of_list(call)),
        )

    def _answer_one(self, call: Call) -> Response:
        namespace = namespaces.by_name(self._state.readable(), call.tail)
        headers = read_headers(self._leadership, self._index_of_one(call))
        if namespace is None:
            return text_response(404, "Namespace not found", headers=headers)
        return json_response(shown(namespace), pretty=call.query.pretty, headers=headers)

    def _index_of_list(self, _: Call) -> int:
        return self._state.readable().table_index(_TABLE)

    def _index_of_one(self, call: Call) -> int:
        namespace = namespaces.by_name(self._state.readable(), call.tail)
        return self._index_of_list(call) if namespace is None else namespace.modify_index


def _prefix(call: Call) -> str:
    return call.query.first("prefix")


def _named(call: Call) -> str:
    if not call.tail:
        raise RequestError("Missing Namespace Name")
    return call.tail


def _read(call: Call) -> Namespace:
    try:
        fields = _BODY.read(call.request.body)
    except BodyError as error:
        raise RequestError(str(error)) from error
    name = fields.get("name", "")
    if call.tail and name != call.tail:
        raise RequestError("Namespace name does not match request path")
    meta = tuple(sorted(fields.pop("meta", {}).items()))
    namespace = Namespace(**{**fields, "name": _checked_name(name), "meta": meta})
    problem = _problem(namespace)
    if problem:
        raise RequestError(f"Invalid namespace {quote(name)}: {problem}")
    return namespace


def _checked_name(name: str) -> str:
    if NAME.fullmatch(name) is None:
        given = _shown(name)
        rule = f"Must match regex ^{NAME.pattern}$"
        raise RequestError(f"Invalid namespace {given}: invalid name {given}. {rule}")
    return name


def _problem(namespace: Namespace) -> str:
    """What is too long or too much, or empty."""
    if _bytes(namespace.description) > DESCRIPTION_MAX:
        return f"description longer than {DESCRIPTION_MAX}"
    if _bytes(namespace.quota) > QUOTA_MAX:
        return f"quota longer than {QUOTA_MAX}"
    given = namespace.capabilities or Capabilities()
    for drivers in (given.enabled_task_drivers or (), given.disabled_task_drivers or ()):
        if len(drivers) > DRIVERS_MAX or any(_bytes(each) > DRIVER_MAX for each in drivers):
            return f"more than {DRIVERS_MAX} task drivers, or one longer than {DRIVER_MAX}"
    return _problem_of_meta(namespace)


def _problem_of_meta(namespace: Namespace) -> str:
    if len(namespace.meta) > META_MAX:
        return f"more than {META_MAX} keys in meta"
    for key, value in namespace.meta:
        if not 0 < _bytes(key) <= META_KEY_MAX:
            return f"a key in meta is empty or longer than {META_KEY_MAX}"
        if _bytes(value) > META_VALUE_MAX:
            return f"a value in meta is longer than {META_VALUE_MAX}"
    return ""


def _bytes(text: str) -> int:
    return len(text.encode())


def _shown(name: str) -> str:
    return quote(name[:_SHOWN_MAX])
