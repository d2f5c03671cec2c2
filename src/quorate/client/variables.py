"""The typed calls of variables: `Client.variables` (docs/variables.md#python).

Example:
    with Client() as client:
        made = client.variables.put("app/db", {"user": "a"}, cas=0)
        client.variables.put("app/db", {"user": "b"}, cas=made.modify_index)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from quorate.client.errors import AnswerError, StatusError
from quorate.client.models import RAW, from_json
from quorate.client.transport import Answer
from quorate.shapes import variables as shapes

T = TypeVar("T")

_LIST = "/v1/vars"
_WRITE = "/v1/vars/write"
_CONFLICT = 409
_OURS = "x-quorate-error"  # on errors of the cluster, whatever their status
_WHY = "x-quorate-conflict"


class Variable(shapes.Variable, frozen=True, kw_only=True, rename="pascal"):
    """`var/<path>`. Of one that is not there all is zero but namespace and path."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class VariableMetadata(shapes.VariableMetadata, frozen=True, kw_only=True, rename="pascal"):
    """A row of `vars`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of `vars`. `next_token` is empty on the last one; `index` is for blocking queries."""

    variables: tuple[VariableMetadata, ...]
    next_token: str
    index: int


class Operation(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One operation of `write`: `op` is `set`, `delete` or `check`; `lock` an ID."""

    op: str
    path: str
    namespace: str = ""
    items: dict[str, str] | None = None
    cas: int | None = msgspec.field(name="CAS", default=None)
    lock: str = ""


class VariableConflict(StatusError):
    """Nothing was written; `current` is the variable as it is now.

    Of several operations `operation` is the first whose condition did not hold. `why` is what the
    server says of it: `cas`, `locked`, `delay`; empty from servers that do not say it. The text
    names path and index, never a value: errors end in logs and traces.
    """

    def __init__(self, current: Variable, operation: int = 0, why: str = "") -> None:
        locked = " and locked" if why == "locked" and current.lock else ""
        found = f"variable {current.path} is at modify index {current.modify_index}{locked}"
        super().__init__(_CONFLICT, found, _cure(current, why))
        self.current = current
        self.operation = operation
        self.why = why


def _cure(current: Variable, why: str) -> str:
    lock = current.lock
    if why == "locked":
        if not lock:
            return "no ID holds the lock now: acquire it, or write without a lock ID"
        return (
            "only a write that names the ID of the lock is taken: wait until the holder releases "
            f"it, or {lock.ttl or 'its TTL'} after the last renewal"
        )
    if why == "delay":
        return "the lock has expired, and its delay runs: try again when the delay is over"
    return "read it, and write with its modify index as cas"


class _Asking(Protocol):
    """What is needed of a client."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send a request; `timeout_s` is for this one."""

    def refusal(self, answer: Answer) -> StatusError:
        """The error that an answer tells of."""


class Variables:
    """The variables of a client's namespace; each call may name another one.

    Every call raises ClientError.
    """

    def __init__(self, client: _Asking) -> None:
        self._client = client

    def get(self, path: str, *, namespace: str = "", stale: bool = False) -> Variable | None:
        """The variable, None if there is none. `stale` asks this agent alone."""
        query = _of(namespace) + ([("stale", "")] if stale else [])
        answer = self._client.request("GET", _path(path), query=query)
        if answer.status == 404 and answer.text == "variable not found":
            return None
        return _decoded(path, self._checked(answer).body, Variable)

    def put(
        self, path: str, items: Mapping[str, str], *, cas: int | None = None, namespace: str = ""
    ) -> Variable:
        """Write the variable whole; with `cas` only if its modify index is just that.

        0 is the index of no variable. Raises VariableConflict.
        """
        body = msgspec.json.encode({"Items": dict(items)})
        query = _of(namespace) + _cas(cas)
        answer = self._client.request("PUT", _path(path), query=query, body=body)
        return _decoded(path, self._checked(answer).body, Variable)

    def delete(self, path: str, *, cas: int | None = None, namespace: str = "") -> None:
        """Delete the variable; one that is not there is no error. Raises VariableConflict."""
        answer = self._client.request("DELETE", _path(path), query=_of(namespace) + _cas(cas))
        if answer.status != 204:
            self._checked(answer)

    def page(
        self,
        prefix: str = "",
        *,
        namespace: str = "",
        filter: str = "",  # noqa: A002 - the API's name
        per_page: int = 0,
        next_token: str = "",
        stale: bool = False,
    ) -> Page:
        """One page of those whose paths begin with `prefix`; `namespace` may be `*`."""
        given = {
            "prefix": prefix,
            "filter": filter,
            "per_page": str(per_page) if per_page else "",
            "next_token": next_token,
        }
        query = [(name, value) for name, value in given.items() if value]
        query += _of(namespace) + ([("stale", "")] if stale else [])
        answer = self._checked(self._client.request("GET", _LIST, query=query))
        index = answer.headers.get("x-nomad-index", "")
        return Page(
            variables=tuple(
                _converted(_LIST, row, VariableMetadata) for row in _json(_LIST, answer.body) or ()
            ),
            next_token=answer.headers.get("x-nomad-nexttoken", ""),
            index=int(index) if index.isdigit() else 0,
        )

    def list(
        self, prefix: str = "", *, namespace: str = "", per_page: int = 1000
    ) -> Iterator[VariableMetadata]:
        """All of them, page by page: what changes meanwhile may be seen or not.

        `per_page` is 1 or more. Raises ValueError.
        """
        if per_page < 1:
            raise ValueError(f"per_page is 1 or more, not {per_page}")
        token = ""
        while True:
            page = self.page(prefix, namespace=namespace, per_page=per_page, next_token=token)
            yield from page.variables
            if not page.next_token:
                return
            if page.next_token == token:
                raise AnswerError(_LIST, "the next page is the same one again")
            token = page.next_token

    def write(self, *operations: Operation, namespace: str = "") -> int:
        """Do all operations, or none: the index of the write. Servers of Quorate only.

        Raises VariableConflict.
        """
        body = msgspec.json.encode({"Operations": operations})
        answer = self._client.request("PUT", _WRITE, query=_of(namespace), body=body)
        if answer.status == 404:
            raise StatusError(404, answer.text, "only Quorate's servers do this: ask one of them")
        done = _decoded(_WRITE, self._checked(answer).body, shapes.VariablesWritten)
        return done.index

    # -- locks ---------------------------------------------------------------------------------

    def acquire(
        self,
        path: str,
        lock_id: str = "",
        *,
        ttl_s: float = 15.0,
        delay_s: float = 15.0,
        items: Mapping[str, str] | None = None,
        namespace: str = "",
    ) -> Variable:
        """Acquire the variable's lock once; `quorate.client.Lock` waits, and renews.

        Raises VariableConflict if another ID holds it.
        """
        lock = {"ID": lock_id, "TTL": _duration(ttl_s), "LockDelay": _duration(delay_s)}
        body: dict[str, Any] = {"Lock": lock} | ({"Items": dict(items)} if items else {})
        return _decoded(path, self._lock("acquire", path, body, namespace).body, Variable)

    def renew(
        self, path: str, lock_id: str, *, namespace: str = "", timeout_s: float | None = None
    ) -> None:
        """Hold the lock for another TTL. Raises StatusError (404, 409) if it is lost."""
        self._lock("renew", path, {"Lock": {"ID": lock_id}}, namespace, timeout_s)

    def release(self, path: str, lock_id: str, *, namespace: str = "") -> None:
        """Give the lock up. Raises StatusError (404, 409) if it is lost."""
        self._lock("release", path, {"Lock": {"ID": lock_id}}, namespace)

    def await_change(self, path: str, index: int, *, wait_s: float, namespace: str = "") -> None:
        """Return when the variable has changed after `index`, or after `wait_s` and some."""
        query = [*_of(namespace), ("index", str(index)), ("wait", f"{int(wait_s * 1000)}ms")]
        self._client.request("GET", _path(path), query=query, timeout_s=wait_s * 2 + 10)

    def _lock(
        self,
        what: str,
        path: str,
        body: dict[str, Any],
        namespace: str,
        timeout_s: float | None = None,
    ) -> Answer:
        query = [*_of(namespace), (f"lock-{what}", "")]
        sent = msgspec.json.encode(body)
        return self._checked(
            self._client.request("PUT", _path(path), query=query, body=sent, timeout_s=timeout_s)
        )

    def _checked(self, answer: Answer) -> Answer:
        is_json = answer.body.startswith(b"{")
        if answer.status == _CONFLICT and is_json and _OURS not in answer.headers:
            data = _json(_LIST, answer.body)
            if isinstance(data, dict):
                current = _converted(_LIST, data.get("Variable") or data, Variable)
                why = answer.headers.get(_WHY, "")
                raise VariableConflict(current, data.get("Operation") or 0, why)
        if answer.status != 200:
            raise self._client.refusal(answer)
        return answer


def _path(path: str) -> str:
    from urllib.parse import quote

    return "/v1/var/" + quote(path, errors="surrogateescape")


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _of(namespace: str) -> list[tuple[str, str]]:
    return [("namespace", namespace)] if namespace else []


def _cas(cas: int | None) -> list[tuple[str, str]]:
    return [] if cas is None else [("cas", str(cas))]


def _json(path: str, body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise AnswerError(path, f"no JSON: {error}") from error


def _converted(path: str, data: Any, model: type[T]) -> T:
    try:
        return from_json(data, model)
    except msgspec.ValidationError as error:
        raise AnswerError(path, str(error)) from error


def _decoded(path: str, body: bytes, model: type[T]) -> T:
    return _converted(path, _json(path, body), model)
