"""`/v1/event/stream`: the captured form, topics, resuming, gaps, and who reads too slowly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from api_running import asynchronous, until
from api_server import RawClient, connected, get, serving
from fake_server import FakeServer, answered
from golden_setups import load
from places import GOLDEN

from quorate.api.endpoints import events as endpoint
from quorate.api.http.messages import Request, Response
from quorate.errors import QuorateError
from quorate.server.events import hub
from quorate.server.events.changes import Event
from quorate.state.engine.commands import encode
from quorate.state.engine.restore.commands import BeginRestore, CommitRestore
from quorate.state.engine.snapshot import SnapshotImage
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.journal import (
    ELECTION,
    REFUSAL,
    RESTORE,
    EnterRecords,
    Entry,
    Note,
    Noted,
    WriteJournal,
)
from quorate.state.tables.namespaces import DeleteNamespace, Namespace, UpsertNamespace
from quorate.state.tables.servers import RecordServer
from quorate.state.tables.variables import DeleteVariable, PutVariable

STREAM = "/v1/event/stream"


def upsert(name: str, description: str = "") -> Command:
    return UpsertNamespace(namespace=Namespace(name=name, description=description))


def variable(path: str, namespace: str = "default") -> Command:
    return PutVariable(namespace=namespace, path=path, time_ns=7, data=b"secret-items")


ELECTED = WriteJournal(
    time_ms=1_795_899_629_773,
    by="id-1",
    notes=(
        Note(
            kind=ELECTION,
            what="elected",
            subject="id-1",
            cause="timeout",
            details=(("term", "3"),),
        ),
    ),
)


class Stream:
    """A client that reads the stream line by line."""

    def __init__(self, client: RawClient) -> None:
        self.client = client
        self.head = b""
        self._text = b""

    async def line(self) -> dict[str, Any]:
        """The next line; heartbeats too."""
        while b"\n" not in self._text:
            size = int(await self.client.reader.readuntil(b"\r\n"), 16)
            piece = await self.client.reader.readexactly(size + 2)
            if not size:
                raise EOFError
            self._text += piece[:-2]
        first, _, self._text = self._text.partition(b"\n")
        decoded: dict[str, Any] = json.loads(first)
        return decoded

    async def silent(self) -> bool:
        """Whether the server has nothing more to say now."""
        try:
            async with asyncio.timeout(0.1):
                await self.client.reader.read(1)
        except TimeoutError:
            return True
        return False

    async def event(self) -> dict[str, Any]:
        """The next line that is no heartbeat, with its only event."""
        while not (found := await self.line()):
            pass
        (event,) = found["Events"]
        assert found["Index"] == event["Index"]
        whole: dict[str, Any] = event
        return whole


@asynccontextmanager
async def reading(server: FakeServer, query: str = "") -> AsyncGenerator[Stream, None]:
    """A client that reads the events; its head and the first heartbeat are read."""
    async with serving(server.application()) as served, connected(served.port) as client:
        client.send(get(STREAM + query))
        stream = Stream(client)
        stream.head = await client.reader.readuntil(b"\r\n\r\n")
        assert await stream.line() == {}
        yield stream
    await until(lambda: not len(server.events))


def leader() -> FakeServer:
    return FakeServer().write_defaults()


# -- the form --------------------------------------------------------------------------------------


def captured() -> tuple[bytes, list[dict[str, Any]]]:
    """Head and lines of the captured stream; its heartbeats are empty."""
    whole = (GOLDEN / "events" / "v16acl-events.stream.txt").read_bytes()
    head, _, rest = whole.replace(b"\r", b"").partition(b"\n\n")
    lines = [line for line in rest.splitlines() if line.startswith(b"{")]
    return head, [json.loads(line) for line in lines]


@asynchronous
async def test_head_and_lines_have_the_captured_form() -> None:
    head, lines = captured()
    assert lines[0] == {}, "one comes at once"
    server = leader()
    server.commit(encode(upsert("team")))
    async with reading(server) as stream:
        event = await stream.event()
    got = stream.head.lower()
    for name in (b"cache-control: no-cache", b"content-type: application/json", b"chunked"):
        assert name in got
        assert name in head.lower()
    for line in lines[1:]:
        assert list(line) == ["Events", "Index"]
        assert all(list(each) == list(event) for each in line["Events"])
    theirs = lines[1]["Events"][0]
    assert (theirs["Key"], theirs["Topic"], theirs["Type"]) == (
        "op-read",
        "ACLPolicy",
        "ACLPolicyUpserted",
    )
    assert list(theirs["Payload"]) == ["ACLPolicy"]
    assert (event["Key"], event["Topic"], event["Type"]) == (
        "team",
        "Namespace",
        "NamespaceUpserted",
    )
    assert list(event["Payload"]) == ["Namespace"]
    assert event["FilterKeys"] is theirs["FilterKeys"] is None


def test_the_captured_stream_of_a_cluster_without_changes_is_one_heartbeat() -> None:
    text = (GOLDEN / "events" / "v16-events-all.stream.txt").read_bytes()
    assert [line for line in text.splitlines() if line.startswith(b"{")] == [b"{}"]


@asynchronous
async def test_a_captured_topic_that_there_is_not_has_no_events() -> None:
    """Those who may not read events get 500 there; here nobody asks for a token yet."""
    case = load("v16acl-m-GET-v1-event-stream-topic-Nope-role")
    server = leader()
    server.commit(encode(upsert("team")))
    async with reading(server, case.path.removeprefix(STREAM)) as stream:
        got = stream.head.decode().lower()
        assert f" {case.status} " in got
        for name, value in case.headers.items():
            assert f"{name}: {value}\r\n".lower() in got
        assert await stream.silent()


@asynchronous
async def test_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "HEARTBEAT_S", 0.02)
    async with reading(leader()) as stream:
        for _ in range(3):
            assert await stream.line() == {}


# -- what is told ----------------------------------------------------------------------------------


@asynchronous
async def test_namespaces_variables_and_the_journal() -> None:
    server = leader()
    async with reading(server) as stream:
        server.commit(encode(upsert("team", "d")))
        made = await stream.event()
        assert made["Payload"]["Namespace"]["Description"] == "d"
        assert made["Payload"]["Namespace"]["ModifyIndex"] == made["Index"] == server.log_index
        server.commit(encode(DeleteNamespace(name="team")))
        gone = await stream.event()
        assert (gone["Type"], gone["Index"]) == ("NamespaceDeleted", made["Index"] + 1)
        assert gone["Payload"]["Namespace"]["ModifyIndex"] == made["Index"]
        server.commit(encode(variable("app/db")))
        put = await stream.event()
        assert (put["Topic"], put["Type"], put["Key"], put["Namespace"]) == (
            "Variable",
            "VariableUpserted",
            "app/db",
            "default",
        )
        assert put["Payload"]["Variable"] == {
            "CreateIndex": put["Index"],
            "CreateTime": 7,
            "ModifyIndex": put["Index"],
            "ModifyTime": 7,
            "Namespace": "default",
            "Path": "app/db",
        }
        server.commit(encode(DeleteVariable(namespace="default", path="app/db")))
        assert (await stream.event())["Type"] == "VariableDeleted"
        server.commit(encode(RecordServer(server_id="id-1", name="s1.global", address="a:1")))
        refusal = Entry(note=Note(kind=REFUSAL, what="GET", subject="/v1/var/secret"), time_ms=1)
        server.commit(encode(EnterRecords(entries=(refusal,))))  # told to no reader of events
        server.commit(encode(ELECTED))
        told = await stream.event()
        assert (told["Topic"], told["Type"], told["Key"]) == ("Operator", "LeaderElected", "id-1")
        assert told["Payload"]["Operator"] == {
            "By": "id-1",
            "ByName": "s1.global",
            "Cause": "timeout",
            "Details": {"term": "3"},
            "Force": False,
            "Kind": "election",
            "Name": "s1.global",
            "Subject": "id-1",
            "Time": "2026-11-28T21:00:29.773Z",
            "What": "elected",
        }


@asynchronous
async def test_no_value_of_a_variable_is_told() -> None:
    server = leader()
    server.commit(encode(variable("app/db")))
    server.commit(encode(DeleteVariable(namespace="default", path="app/db")))
    reader = server.events.open(hub.Topics(frozenset({("*", "*")}), "*"), 0)
    assert b"secret" not in reader.take()[1]
    server.events.close(reader)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", "a b x/1 id-1"),
        ("?topic=*", "a b x/1 id-1"),
        ("?topic=*:*&namespace=*", "a b x/1 y/1 id-1"),
        ("?topic=Namespace", "a b"),
        ("?topic=Namespace:*", "a b"),
        ("?topic=Namespace:b", "b"),
        ("?topic=Namespace:b&topic=Operator", "b id-1"),
        ("?topic=*:x/1", "x/1"),
        ("?topic=Variable", "x/1"),
        ("?topic=Variable&namespace=team", "y/1"),
        ("?topic=Variable&namespace=*", "x/1 y/1"),
        ("?topic=Operator&namespace=team", "id-1"),
        ("?topic=Nope&topic=Operator", "id-1"),
    ],
)
@asynchronous
async def test_topics_keys_and_namespaces(query: str, keys: str) -> None:
    def change(server: FakeServer) -> None:
        for command in (
            *(upsert("a"), upsert("b"), variable("x/1"), variable("y/1", "team"), ELECTED),
        ):
            server.commit(encode(command))

    before, after = leader(), leader()
    change(before)
    async with reading(before, query) as stream:
        assert [(await stream.event())["Key"] for _ in keys.split()] == keys.split()
    async with reading(after, query) as stream:
        change(after)
        assert [(await stream.event())["Key"] for _ in keys.split()] == keys.split()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("topic=a:b:c", "Invalid key value pair for topic, topic: a:b:c"),
        ("topic=:b", "Invalid key value pair"),
        ("topic=a:", "Invalid key value pair"),
        ("topic=" + "x" * 5000 + ":a:b", "Invalid key value pair"),
        ("&".join(f"topic=t{number}" for number in range(65)), "more than 64 topics"),
        ("index=x", "Invalid index"),
        ("index=-1", "Invalid index"),
    ],
)
@asynchronous
async def test_a_bad_query_is_400_in_one_line(query: str, text: str) -> None:
    server = leader()
    result = await ask(server, f"{STREAM}?{query}")
    assert result.status == 400
    assert text in result.body.decode()
    assert b"\n" not in result.body
    assert len(result.body) < 200
    assert not len(server.events)


async def ask(server: FakeServer, target: str) -> Response:
    try:
        return await answered(server.application(), Request("GET", target.encode()))
    except QuorateError as error:  # pragma: no cover  the application answers these
        raise AssertionError(target) from error


# -- resuming, gaps ------------------------------------------------------------------------------


@asynchronous
async def test_a_reader_resumes_by_index_and_misses_nothing() -> None:
    server = leader()
    for number in range(10):
        server.commit(encode(upsert(f"n{number}")))
    async with reading(server) as stream:
        first = [await stream.event() for _ in range(4)]
    async with reading(server, f"?index={first[-1]['Index'] + 1}") as stream:
        rest = [await stream.event() for _ in range(6)]
    assert [each["Key"] for each in (*first, *rest)] == [f"n{number}" for number in range(10)]
    async with reading(server, f"?index={server.log_index}") as stream:
        assert (await stream.event())["Key"] == "n9", "an index is the first that is wanted"
        server.commit(encode(upsert("later")))
        assert (await stream.event())["Key"] == "later"


@asynchronous
async def test_a_gap_is_said_to_readers_of_every_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "EVENTS_MAX", 3)
    server = leader()
    begin = server.log_index + 1
    for number in range(10):
        server.commit(encode(upsert(f"n{number}")))
    async with reading(server, f"?topic=Namespace&index={begin}") as stream:
        gap = await stream.event()
        assert gap["Type"] == "EventsMissed"
        assert gap["Payload"]["Missed"] == {
            "First": begin,
            "Last": begin + 6,
            "Reason": "this server remembers no events that are so old",
        }
        assert [(await stream.event())["Key"] for _ in range(3)] == ["n7", "n8", "n9"]
    async with reading(server, f"?index={begin + 7}") as stream:
        assert (await stream.event())["Key"] == "n7", "no gap: all of it is there"
    async with reading(server) as stream:
        assert (await stream.event())["Key"] == "n7", "nothing older was asked for"


@asynchronous
async def test_memory_is_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "BYTES_MAX", 5000)
    server = leader()
    for number in range(100):
        server.commit(encode(upsert(f"n{number}", "x" * 200)))
    reader = server.events.open(hub.Topics(frozenset({("*", "*")}), "*"), 1)
    gap, lines = reader.take()
    assert gap is not None
    assert gap.last == server.events.floor
    assert 0 < len(lines.splitlines()) < 10
    server.events.close(reader)


@asynchronous
async def test_a_snapshot_in_place_of_the_log_is_a_gap() -> None:
    server = leader()
    other = StateStore(TODAY)
    for index in range(50, 60):
        other.apply(index, encode(upsert(f"n{index}")))
    image: SnapshotImage = other.image()
    async with reading(server, "?topic=Namespace") as stream:
        server.store.restore(image)
        gap = await stream.event()
        assert gap["Payload"]["Missed"]["Last"] == 59
        assert gap["Payload"]["Missed"]["Reason"] == "this server took its state from a snapshot"
        server.log_index = 59
        server.commit(encode(upsert("later")))
        assert (await stream.event())["Key"] == "later"


def restore(server: FakeServer, index: int) -> None:
    """As an operator's restore: the state has `index` after it."""
    tables = ("variables", "namespaces")
    assert server.commit(encode(BeginRestore(id="r", index=index, tables=tables)))
    commit = encode(CommitRestore(id="r", pieces=0, tables=tables))
    note = Note(kind=RESTORE, what="restored", subject="archive")
    assert server.commit(encode(Noted(command=commit, note=note, time_ms=1))) == index


@asynchronous
@pytest.mark.parametrize("query", ["?topic=Variable", "?topic=Namespace:x&namespace=other", "?"])
async def test_each_restore_is_a_gap_for_readers_of_every_topic(query: str) -> None:
    server = leader()
    server.commit(encode(upsert("before")))
    async with reading(server, f"{query}&index={server.log_index + 1}") as stream:
        after = server.log_index
        for index in (5_000, 9_000):
            restore(server, index)
            gap = await stream.event()
            assert (gap["Type"], gap["Index"]) == ("EventsMissed", index)
            assert gap["Payload"]["Missed"] == {
                "First": after + 1,
                "Last": index,
                "Reason": "this server took its state from a snapshot",
            }
            if query == "?":
                act = await stream.event()
                assert (act["Type"], act["Key"], act["Index"]) == ("OperatorAct", "archive", index)
                assert act["Payload"]["Operator"]["Kind"] == "restore"
            assert await stream.silent(), "what is remembered begins new"
            after = index
    async with reading(server) as stream:
        assert (await stream.event())["Type"] == "OperatorAct", "all that is remembered"
    async with reading(server, "?index=9000") as stream:
        gap = await stream.event()
        assert gap["Payload"]["Missed"]["Last"] == 9000, "the rows restored have no events"
    async with reading(server, "?index=9001") as stream:
        server.commit(encode(upsert("later")))
        later = await stream.event()
        assert (later["Key"], later["Index"]) == ("later", server.store.index)


@asynchronous
async def test_a_reader_that_is_too_slow_is_told_and_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub, "EVENTS_MAX", 8)
    monkeypatch.setattr(hub, "BATCH_BYTES", 1)
    server = leader()
    async with reading(server) as stream:
        for number in range(40):  # in one turn of the loop: it has no chance to read
            server.commit(encode(upsert(f"n{number}")))
        last = await stream.event()
        assert last["Type"] == "EventsMissed"
        reason = last["Payload"]["Missed"]["Reason"]
        assert reason == f"the reader was too slow; read again from index {last['Index'] + 1}"
        with pytest.raises(EOFError):
            await stream.line()


@asynchronous
async def test_a_reader_of_rare_events_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others come and are forgotten while it waits: none of them was for it."""
    monkeypatch.setattr(hub, "EVENTS_MAX", 8)
    server = leader()
    async with reading(server, "?topic=Operator") as stream:
        for number in range(40):
            server.commit(encode(variable(f"p{number}")))
        server.commit(encode(ELECTED))
        assert (await stream.event())["Type"] == "LeaderElected"


# -- many, and none --------------------------------------------------------------------------------


@asynchronous
async def test_an_event_is_encoded_once_for_many_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    server = leader()
    count = 0
    whole = Event.encoded

    def encoded(event: Event) -> bytes:
        nonlocal count
        count += 1
        return whole(event)

    monkeypatch.setattr(Event, "encoded", encoded)
    topics = [hub.Topics(frozenset({pair}), "*") for pair in (("*", "*"), ("Namespace", "a"))]
    readers = [server.events.open(topics[number % 2], 0) for number in range(1000)]
    for reader in readers:
        assert reader.take() == (None, b"")
    waits = [asyncio.ensure_future(reader.wait(5)) for reader in readers]
    await asyncio.sleep(0)
    server.commit(encode(upsert("a")))
    assert all(await asyncio.gather(*waits))
    lines = {reader.take()[1] for reader in readers}
    assert len(lines) == count == 1
    for reader in readers:
        server.events.close(reader)


@asynchronous
async def test_readers_of_other_events_are_not_woken() -> None:
    server = leader()
    topics = hub.Topics(frozenset({("Namespace", "other"), ("Operator", "*")}), "*")
    reader = server.events.open(topics, 0)
    assert reader.take() == (None, b"")
    wait = asyncio.ensure_future(reader.wait(0.05))
    await asyncio.sleep(0)
    for number in range(100):
        server.commit(encode(upsert(f"n{number}")))
    assert not await wait
    assert reader.take() == (None, b"")
    server.events.close(reader)


@asynchronous
async def test_an_event_that_comes_with_the_heartbeat_is_not_passed_over() -> None:
    """The heartbeat is due after the event came, and before its readers are woken."""
    server = leader()
    reader = server.events.open(hub.Topics(frozenset({("*", "*")}), "*"), 0)
    assert reader.take() == (None, b"")
    wait = asyncio.ensure_future(reader.wait(0.001))
    await asyncio.sleep(0)
    server.commit(encode(upsert("team")))
    await wait
    assert b'"team"' in reader.take()[1]
    server.events.close(reader)


@asynchronous
async def test_one_reader_too_many_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "READERS_MAX", 1)
    server = leader()
    async with reading(server):
        answer = await ask(server, STREAM)
        assert answer.status == 503
        assert b"1 clients read" in answer.body


@asynchronous
async def test_a_follower_tells_its_own_events_without_a_leader() -> None:
    server = FakeServer("s2", role="lost").write_defaults()
    async with reading(server) as stream:
        server.commit(encode(upsert("team")))
        assert (await stream.event())["Key"] == "team"
    assert not server.forwarded


@asynchronous
async def test_a_server_whose_state_is_damaged_ends_the_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = leader()

    def damaged() -> StateStore:
        raise QuorateError("the state is damaged")

    async with reading(server) as stream:
        monkeypatch.setattr(server, "readable", damaged)
        server.commit(encode(upsert("team")))
        last = await stream.event()
        assert (last["Type"], last["Payload"]["Missed"]["Reason"]) == (
            "StreamEnded",
            "the state is damaged",
        )
        with pytest.raises(EOFError):
            await stream.line()
