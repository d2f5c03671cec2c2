"""The rules of namespaces, paths and sizes of variables (docs/variables.md#limits)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from quorate.api.codec.go_text import quote
from quorate.api.http.messages import Call
from quorate.api.request_error import RequestError
from quorate.state.tables.namespaces import DEFAULT

WILDCARD: Final = "*"
ITEMS_BYTES_MAX: Final = 64 * 1024
"""Bytes of the keys and values of one variable, together."""


ITEMS_MAX: Final = 8192
"""Items of one variable, or of one write of several: some 3 ms to read."""

_PATH: Final = re.compile(r"[a-zA-Z0-9\-_~/]{1,128}\Z")
_NAMESPACE: Final = re.compile(r"[a-zA-Z0-9-]{1,128}\Z")
_RESERVED: Final = "nomad"
_OPEN: Final = ("nomad/jobs", "nomad/job-templates")


def namespace_of(call: Call) -> str:
    """The namespace that the request names; `default` if it names none."""
    return call.query.first("namespace") or DEFAULT


def check_target(namespace: str, path: str) -> None:
    """Raise RequestError where no variable may be written."""
    if not path:
        raise RequestError("missing variable path")
    if not _PATH.match(path):
        raise RequestError(f"invalid path {quote(path)}")
    if path == _RESERVED:
        raise RequestError(
            '"nomad" is a reserved top-level directory path, but you may write variables to '
            '"nomad/jobs", "nomad/job-templates", or below'
        )
    if path.startswith(_RESERVED + "/") and not _is_open(path):
        raise RequestError(
            'only paths at "nomad/jobs" or "nomad/job-templates" and below are valid paths '
            'under the top-level "nomad" directory'
        )
    check_namespace(namespace)


def check_namespace(namespace: str) -> None:
    """Raise RequestError for what names no single namespace: no write may."""
    if namespace == WILDCARD:
        raise RequestError('can not target wildcard ("*")namespace')
    if not is_namespace(namespace):
        raise RequestError(f"invalid namespace {quote(namespace)}")


def is_namespace(name: str) -> bool:
    """Whether a namespace can have this name."""
    return _NAMESPACE.match(name) is not None


def check_items(items: Mapping[str, str]) -> None:
    """Raise RequestError for no items, or for more than a variable may hold."""
    if not items:
        raise RequestError("variable missing required Items object")
    if len(items) > ITEMS_MAX:
        raise RequestError(f"variables are limited to {ITEMS_MAX} items")
    if sum(len(key.encode()) + len(value.encode()) for key, value in items.items()) > (
        ITEMS_BYTES_MAX
    ):
        raise RequestError("variables are limited to 64KiB in total size")


def _is_open(path: str) -> bool:
    return any(path == each or path.startswith(each + "/") for each in _OPEN)
