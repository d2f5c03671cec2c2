"""Calls of the API as values: what is sent, and what is made of the answer, without a connection.

A method with `@call` is written once and returns a `Call`. Of a client that waits it is a method
which returns the result; of an `async` one it returns a coroutine.

Example:
    class Calls:
        @call
        def leader(self) -> Call[str]:
            return get("/v1/status/leader", str)

    class Client(Calls, Waiting): ...  # client.leader() -> str
    class AsyncClient(Calls, Awaiting): ...  # await client.leader() -> str
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Collection, Coroutine
from types import MethodType
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, overload

import msgspec

from quorate.client.calls.models import from_json
from quorate.client.errors import AnswerError, StateFull, StatusError

P = ParamSpec("P")
T = TypeVar("T")
Query = list[tuple[str, str]]

NEXT_STEPS: Final = (
    (
        "No cluster leader",
        "wait for an election; see which voters answer: raft views, agent/health",
    ),
    ("No path to region", "see the regions that answer: quorate operator api /v1/regions"),
    ("nodes reported failure", "see why by -verbose; a pool without server.encrypt has no keys"),
    ("Permission denied", "give a token with that right by -token-file (or NOMAD_TOKEN)"),
    ("ACL token not found", "check the token given by -token-file, -token or NOMAD_TOKEN"),
    ("HTTP request to an HTTPS server", "write the address with https://"),
)
"""What to do about texts of servers."""


class Answer(msgspec.Struct, frozen=True):
    """One response. Header names are lower case; `body` is decompressed."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode(errors="replace")

    @property
    def index(self) -> int:
        """The index of what was read, for blocking queries; 0 if it has none."""
        return self.number("x-nomad-index")

    def number(self, header: str) -> int:
        """The number in a header; 0 if it has none."""
        text = self.headers.get(header, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


class Request(msgspec.Struct, frozen=True):
    """What is sent. Region and namespace of the client are added to `query`.

    `timeout_s` is for this request; None is the client's.
    """

    method: str
    path: str
    query: Query
    body: bytes | None = None
    timeout_s: float | None = None


class Call(Generic[T]):
    """A request, and what its answer is read as. `read` raises ClientError."""

    __slots__ = ("read", "request")

    def __init__(self, request: Request, read: Callable[[Answer], T]) -> None:
        self.request = request
        self.read = read


class Waiting:
    """What sends calls and returns their results."""

    @abstractmethod
    def perform(self, call: Call[T], /) -> T:
        """Send a call: what it reads from the answer. Raises ClientError."""


class Awaiting:
    """What sends calls and returns coroutines."""

    @abstractmethod
    async def perform(self, call: Call[T], /) -> T:
        """Send a call: what it reads from the answer. Raises ClientError."""


class Describing:
    """What returns the calls themselves, for others to send."""

    def perform(self, call: Call[T], /) -> Call[T]:
        """The call."""
        return call


class call(Generic[P, T]):  # noqa: N801 - a decorator
    """See the module."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Waiting]) -> Callable[Concatenate[Any, P], T]: ...
    @overload
    def __get__(
        self, instance: None, owner: type[Awaiting]
    ) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, instance: Describing, owner: type[Describing]) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, instance: Waiting, owner: type[Waiting]) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, instance: Awaiting, owner: type[Awaiting]
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Describing | Waiting | Awaiting | None, owner: type) -> Any:
        build = self._build

        @functools.wraps(build)
        def method(of: Any, *args: P.args, **named: P.kwargs) -> Any:
            return of.perform(build(of, *args, **named))

        returned = str(build.__annotations__.get("return", "")).removeprefix("Call[")[:-1]
        method.__annotations__ = build.__annotations__ | {"return": returned}
        return method if instance is None else MethodType(method, instance)


# -- answers -----------------------------------------------------------------------------------


def refusal(answer: Answer) -> StatusError:
    """The error that an answer without success tells of."""
    told = answer.headers.get("x-quorate-next", "")  # the server knows best what helps
    next_step = told or next((step for text, step in NEXT_STEPS if text in answer.text), "")
    full = answer.headers.get("x-quorate-error") == "state-full"
    return (StateFull if full else StatusError)(answer.status, answer.text, next_step)


def succeeded(answer: Answer) -> Answer:
    """The answer, if it is a success. Raises StatusError."""
    if answer.status != 200:
        raise refusal(answer)
    return answer


def ours(answer: Answer) -> Answer:
    """The answer of an endpoint that a Nomad server has not. Raises StatusError."""
    if answer.status == 404:
        raise StatusError(404, answer.text, "only Quorate's servers answer this: ask one of them")
    return succeeded(answer)


def parse(path: str, body: bytes) -> Any:
    """The JSON of a body. Raises AnswerError."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise AnswerError(path, f"no JSON: {error}") from error


def convert(path: str, data: Any, model: type[T]) -> T:
    """JSON as a value of `model`. Raises AnswerError."""
    try:
        return from_json(data, model)
    except msgspec.ValidationError as error:
        raise AnswerError(path, str(error)) from error


def decode(path: str, body: bytes, model: type[T]) -> T:
    """A body as a value of `model`. Raises AnswerError."""
    return convert(path, parse(path, body), model)


# -- calls -------------------------------------------------------------------------------------


def get(
    path: str,
    model: type[T],
    query: Query | None = None,
    check: Callable[[Answer], Answer] = succeeded,
) -> Call[T]:
    """Read `path` as a value of `model`."""
    return Call(
        Request("GET", path, query or []), lambda answer: decode(path, check(answer).body, model)
    )


def put(
    path: str,
    model: type[T],
    query: Query | None = None,
    body: Any = None,
    check: Callable[[Answer], Answer] = succeeded,
) -> Call[T]:
    """Write `body` as JSON (None sends none), and read the answer as a value of `model`."""
    return Call(
        Request("PUT", path, query or [], None if body is None else msgspec.json.encode(body)),
        lambda answer: decode(path, check(answer).body, model),
    )


def act(method: str, path: str, query: Query | None = None, body: Any = None) -> Call[None]:
    """A request whose answer says nothing but that it was done."""
    return Call(
        Request(method, path, query or [], None if body is None else msgspec.json.encode(body)),
        lambda answer: _nothing(succeeded(answer)),
    )


def _nothing(_: object) -> None:
    pass


def stale_query(stale: bool) -> Query:
    """The parameter that asks one agent alone."""
    return [("stale", "")] if stale else []


def cas_query(cas: int | None) -> Query:
    """The parameter of a compare-and-set."""
    return [] if cas is None else [("cas", str(cas))]


def routed(query: Query, region: str, namespace: str, given: Collection[str] = ()) -> Query:
    """`query` with region and namespace, unless it or `given` has them."""
    taken = {name for name, _ in query}.union(given)
    pairs = (("region", region), ("namespace", namespace))
    return query + [(name, value) for name, value in pairs if value and name not in taken]


def names_in(path: str) -> set[str]:
    """The names of the parameters that a path has already."""
    from urllib.parse import parse_qsl, urlsplit

    return {name for name, _ in parse_qsl(urlsplit(path).query, keep_blank_values=True)}
