"""The typed calls of variables, for both clients (docs/http-api.md#variables)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from quorate.client.calls.call import (
    Answer,
    Call,
    Query,
    Request,
    call,
    cas_query,
    convert,
    decode,
    ours,
    parse,
    stale_query,
    succeeded,
)
from quorate.client.calls.models import RAW
from quorate.client.errors import AnswerError, StatusError
from quorate.shapes import variables as shapes

LIST = "/v1/vars"
_WRITE = "/v1/vars/write"
_CONFLICT = 409
_OURS = "x-quorate-error"  # on errors of the cluster, whatever their status
_WHY = "x-quorate-conflict"
_SHIFT = "x-quorate-index-shift"


class Variable(shapes.Variable, frozen=True, kw_only=True, rename="pascal"):
    """`var/<path>`. Of one that is not there all is zero but namespace and path."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class VariableMetadata(shapes.VariableMetadata, frozen=True, kw_only=True, rename="pascal"):
    """A row of `vars`."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of `vars`. `next_token` is empty on the last one; `index` is for blocking queries.

    `shift` is how far restores have raised the indexes; 0: not at all, or the server does not say.
    """

    variables: tuple[VariableMetadata, ...]
    next_token: str
    index: int
    shift: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `look`. `index` is for the next one, `shift` as of a `Page`."""

    variable: Variable | None
    index: int
    shift: int = 0


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


class VariableCalls:
    """The variables of a client's namespace; each call may name another one.

    Every call raises ClientError.
    """

    @call
    def get(self, path: str, *, namespace: str = "", stale: bool = False) -> Call[Variable | None]:
        """The variable, None if there is none. `stale` asks this agent alone."""
        return Call(
            Request("GET", _path(path), _of(namespace) + stale_query(stale)),
            lambda answer: _found(path, answer),
        )

    @call
    def look(
        self, path: str, *, index: int = 0, wait_s: float = 60.0, namespace: str = ""
    ) -> Call[Seen]:
        """The variable and the index at which it was read.

        With the `index` of the look before it waits until the variable has changed, or for `wait_s`
        and some.
        """

        def read(answer: Answer) -> Seen:
            return Seen(
                variable=_found(path, answer),
                index=_index_of(path, answer, index),
                shift=answer.number(_SHIFT),
            )

        query, timeout_s = _blocking(index, wait_s)
        return Call(Request("GET", _path(path), _of(namespace) + query, None, timeout_s), read)

    @call
    def put(
        self, path: str, items: Mapping[str, str], *, cas: int | None = None, namespace: str = ""
    ) -> Call[Variable]:
        """Write the variable whole; with `cas` only if its modify index is just that.

        0 is the index of no variable. Raises VariableConflict.
        """
        body = msgspec.json.encode({"Items": dict(items)})
        return Call(
            Request("PUT", _path(path), _of(namespace) + cas_query(cas), body),
            lambda answer: decode(path, _checked(answer).body, Variable),
        )

    @call
    def delete(self, path: str, *, cas: int | None = None, namespace: str = "") -> Call[None]:
        """Delete the variable; one that is not there is no error. Raises VariableConflict."""

        def read(answer: Answer) -> None:
            if answer.status != 204:
                _checked(answer)

        return Call(Request("DELETE", _path(path), _of(namespace) + cas_query(cas)), read)

    @call
    def page(
        self,
        prefix: str = "",
        *,
        namespace: str = "",
        filter: str = "",  # noqa: A002 - the API's name
        per_page: int = 0,
        next_token: str = "",
        stale: bool = False,
        index: int = 0,
        wait_s: float = 60.0,
    ) -> Call[Page]:
        """One page of those whose paths begin with `prefix`; `namespace` may be `*`.

        With the `index` of an earlier page it waits until one of them has changed since, or for
        `wait_s` and some.
        """
        given = {
            "prefix": prefix,
            "filter": filter,
            "per_page": str(per_page) if per_page else "",
            "next_token": next_token,
        }
        query = [(name, value) for name, value in given.items() if value]
        blocking, timeout_s = _blocking(index, wait_s)
        query += _of(namespace) + stale_query(stale) + blocking
        return Call(
            Request("GET", LIST, query, None, timeout_s), lambda answer: _page(answer, index)
        )

    @call
    def write(self, *operations: Operation, namespace: str = "") -> Call[int]:
        """Do all operations, or none: the index of the write. Servers of Quorate only.

        Raises VariableConflict.
        """

        def read(answer: Answer) -> int:
            return decode(_WRITE, ours(_checked(answer, 404)).body, shapes.VariablesWritten).index

        body = msgspec.json.encode({"Operations": operations})
        return Call(Request("PUT", _WRITE, _of(namespace), body), read)

    # -- locks ---------------------------------------------------------------------------------

    @call
    def acquire(
        self,
        path: str,
        lock_id: str = "",
        *,
        ttl_s: float = 15.0,
        delay_s: float = 15.0,
        items: Mapping[str, str] | None = None,
        namespace: str = "",
    ) -> Call[Variable]:
        """Acquire the variable's lock once; `quorate.client.Lock` waits, and renews.

        Raises VariableConflict if another ID holds it.
        """
        lock = {"ID": lock_id, "TTL": _duration(ttl_s), "LockDelay": _duration(delay_s)}
        body: dict[str, Any] = {"Lock": lock} | ({"Items": dict(items)} if items else {})
        return Call(
            _lock("acquire", path, body, namespace),
            lambda answer: decode(path, _checked(answer).body, Variable),
        )

    @call
    def renew(
        self, path: str, lock_id: str, *, namespace: str = "", timeout_s: float | None = None
    ) -> Call[None]:
        """Hold the lock for another TTL. Raises StatusError (404, 409) if it is lost."""
        return Call(_lock("renew", path, {"Lock": {"ID": lock_id}}, namespace, timeout_s), _done)

    @call
    def release(self, path: str, lock_id: str, *, namespace: str = "") -> Call[None]:
        """Give the lock up. Raises StatusError (404, 409) if it is lost."""
        return Call(_lock("release", path, {"Lock": {"ID": lock_id}}, namespace), _done)

    @call
    def await_change(
        self, path: str, index: int, *, wait_s: float, namespace: str = ""
    ) -> Call[None]:
        """Return when the variable has changed after `index`, or after `wait_s` and some."""
        query, timeout_s = _blocking(max(index, 1), wait_s)
        request = Request("GET", _path(path), _of(namespace) + query, None, timeout_s)
        return Call(request, lambda answer: _nothing(_found(path, answer)))


def _blocking(index: int, wait_s: float) -> tuple[Query, float | None]:
    """The parameters of a read that waits for a change after `index`, and its longest silence."""
    if not index:
        return [], None
    # The server adds a sixteenth to the wait.
    return [("index", str(index)), ("wait", f"{int(wait_s * 1000)}ms")], wait_s * 1.25 + 10


def _index_of(path: str, answer: Answer, asked: int) -> int:
    """The index of a read. Raises AnswerError where one that waits has none."""
    if asked and not answer.index:
        raise AnswerError(path, "it has no X-Nomad-Index, so nothing can be waited for")
    return answer.index


def _lock(
    what: str,
    path: str,
    body: dict[str, Any],
    namespace: str,
    timeout_s: float | None = None,
) -> Request:
    query = [*_of(namespace), (f"lock-{what}", "")]
    return Request("PUT", _path(path), query, msgspec.json.encode(body), timeout_s)


def _found(path: str, answer: Answer) -> Variable | None:
    if answer.status == 404 and answer.text == "variable not found":
        return None
    return decode(path, _checked(answer).body, Variable)


def _page(answer: Answer, asked: int) -> Page:
    rows = parse(LIST, _checked(answer).body) or []
    if not isinstance(rows, list):
        raise AnswerError(LIST, "no list")
    return Page(
        variables=tuple(convert(LIST, row, VariableMetadata) for row in rows),
        next_token=answer.headers.get("x-nomad-nexttoken", ""),
        index=_index_of(LIST, answer, asked),
        shift=answer.number(_SHIFT),
    )


def _done(answer: Answer) -> None:
    _checked(answer)


def _nothing(_: object) -> None:
    pass


def _checked(answer: Answer, *passed: int) -> Answer:
    """The answer, if it is a success or has a status of `passed`."""
    is_json = answer.body.startswith(b"{")
    if answer.status == _CONFLICT and is_json and _OURS not in answer.headers:
        data = parse(LIST, answer.body)
        if isinstance(data, dict):
            current = convert(LIST, data.get("Variable") or data, Variable)
            operation, why = data.get("Operation"), answer.headers.get(_WHY, "")
            raise VariableConflict(current, operation if isinstance(operation, int) else 0, why)
    return answer if answer.status in passed else succeeded(answer)


def _path(path: str) -> str:
    from urllib.parse import quote

    return "/v1/var/" + quote(path, errors="surrogateescape")


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _of(namespace: str) -> Query:
    return [("namespace", namespace)] if namespace else []
