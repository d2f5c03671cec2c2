"""Events that are made when a reader asks for them are those that are made at once."""

from __future__ import annotations

import asyncio

import pytest
from api_running import asynchronous
from fake_server import FakeServer
from hypothesis import given
from hypothesis import strategies as st

from quorate.server.events import hub
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.table import Command
from quorate.state.tables.journal import ELECTION, Note, WriteJournal
from quorate.state.tables.namespaces import Namespace, UpsertNamespace
from quorate.state.tables.variables import (
    DeleteVariable,
    Operation,
    PutVariable,
    Sealed,
    WriteVariables,
)

ELECTED = WriteJournal(
    time_ms=1_795_899_629_773, by="id-1", notes=(Note(kind=ELECTION, what="elected"),)
)


def put(path: str, namespace: str = "default") -> Command:
    return PutVariable(namespace=namespace, path=path, time_ns=7, data=b"items")


_NAMES = st.sampled_from(["a", "b/c", "d"])
_CHANGES = st.one_of(
    _NAMES.map(put),
    _NAMES.map(lambda path: put(path, "team")),
    _NAMES.map(lambda path: DeleteVariable(namespace="default", path=path)),
    st.lists(_NAMES, min_size=1, max_size=3, unique=True).map(
        lambda paths: WriteVariables(
            time_ns=9,
            operations=tuple(
                [Operation(namespace="team", path=path, items=Sealed(b"i")) for path in paths]
            ),
        )
    ),
    st.just(UpsertNamespace(namespace=Namespace(name="team"))),
    st.just(ELECTED),
)


@given(st.lists(_CHANGES, max_size=12), st.integers(2, 12))
def test_events_made_when_asked_for_are_those_made_at_once(
    commands: list[Command], events_max: int
) -> None:
    """While a reader waits an event is made at once, else when it is asked for."""

    @asynchronous
    async def test() -> None:
        server = FakeServer().write_defaults()
        server.commit(encode(RaiseLevel(level=3)))
        idle, waited_for = hub.Hub(server.store), hub.Hub(server.store)
        reader = waited_for.open(hub.Topics(frozenset({("Operator", "none")}), "*"), 0)
        assert reader.take()[1] == b""
        wait = asyncio.ensure_future(reader.wait(60))
        await asyncio.sleep(0)
        for command in commands:
            server.commit(encode(command))
        everything = hub.Topics(frozenset({("*", "*")}), "*")
        some = hub.Topics(frozenset({("Variable", "a"), ("Operator", "*")}), "team")
        for topics in (everything, some, everything):
            assert idle.open(topics, 0).take() == waited_for.open(topics, 0).take()
        assert (idle.floor, idle.newest) == (waited_for.floor, waited_for.newest)
        wait.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "EVENTS_MAX", events_max)
        test()
