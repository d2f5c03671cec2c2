"""`/v1/namespaces` and `/v1/namespace/<name>`: reading, with blocking queries.

See docs/http-api.md#endpoints.

Every cluster has the namespace `default`; making others is not built yet.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable
from typing import Final

import msgspec

from quorate.api.blocking import Watched
from quorate.api.codec.encode import json_response, text_response
from quorate.api.codec.meta import read_headers
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.state.tables import namespaces
from quorate.state.tables.namespaces import Namespace

_TABLE: Final = namespaces.TABLE.name


class _NamespaceJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    create_index: int
    description: str
    hash: str
    modify_index: int
    name: str
    quota: str


class NamespacesEndpoint:
    """GET of the list and of one namespace."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority
        self._list = Watched(_TABLE, prefix=_prefix)
        self._one = Watched(_TABLE, key=lambda call: call.tail)

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """All namespaces, or those whose name begins with `prefix`, sorted by name."""
        return self._authority.read(call, self._answer_list, self._list)

    def get_one(self, call: Call) -> Response | Awaitable[Response]:
        """The namespace named in the path."""
        if not call.tail:
            raise RequestError("Missing Namespace Name")
        return self._authority.read(call, self._answer_one, self._one)

    def without_name(self, _: Call) -> Response:
        """No namespace is made here yet."""
        return text_response(405, "Invalid method")

    def _answer_list(self, call: Call) -> Response:
        found = namespaces.with_prefix(self._state.readable(), _prefix(call))
        return json_response(
            [_json(namespace) for namespace in found],
            pretty=call.query.pretty,
            headers=read_headers(self._leadership, self._index_of_list(call)),
        )

    def _answer_one(self, call: Call) -> Response:
        namespace = namespaces.by_name(self._state.readable(), call.tail)
        headers = read_headers(self._leadership, self._index_of_one(call))
        if namespace is None:
            return text_response(404, "Namespace not found", headers=headers)
        return json_response(_json(namespace), pretty=call.query.pretty, headers=headers)

    def _index_of_list(self, _: Call) -> int:
        return self._state.readable().table_index(_TABLE)

    def _index_of_one(self, call: Call) -> int:
        namespace = namespaces.by_name(self._state.readable(), call.tail)
        return self._index_of_list(call) if namespace is None else namespace.modify_index


def _prefix(call: Call) -> str:
    return call.query.first("prefix")


def _json(namespace: Namespace) -> _NamespaceJson:
    return _NamespaceJson(
        create_index=namespace.create_index,
        description=namespace.description,
        hash=b64encode(namespace.content_hash()).decode(),
        modify_index=namespace.modify_index,
        name=namespace.name,
        quota=namespace.quota,
    )
