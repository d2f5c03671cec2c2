"""Who was taken in, and who was sent away: kept where no restart forgets it."""

from __future__ import annotations

from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import servers
from quorate.state.tables.servers import RECORDS_MAX, RecordRemoval, RecordServer, ServerRecord


def recorded(server_id: str, name: str = "s1.global") -> bytes:
    return encode(RecordServer(server_id=server_id, name=name, address="10.0.0.1:4647"))


def removal(server_id: str) -> bytes:
    return encode(RecordRemoval(server_id=server_id, name="s1.global", address="10.0.0.1:4647"))


def test_a_removal_is_remembered_until_the_server_is_taken_in_again() -> None:
    store = StateStore(TODAY)
    store.apply(5, recorded("a"))
    assert servers.removed_at(store, "a") == 0
    store.apply(9, removal("a"))
    assert servers.removed_at(store, "a") == 9
    record = servers.by_id(store, "a")
    assert record is not None
    assert (record.name, record.create_index) == ("s1.global", 5)
    store.apply(12, recorded("a", "s2.global"))
    assert servers.removed_at(store, "a") == 0
    record = servers.by_id(store, "a")
    assert record is not None
    assert record.name == "s2.global"


def test_nobody_is_removed_who_was_never_heard_of() -> None:
    assert servers.removed_at(StateStore(TODAY), "a") == 0
    assert servers.by_id(StateStore(TODAY), "a") is None


def test_the_record_left_alone_for_longest_goes_when_there_are_too_many() -> None:
    store = StateStore(TODAY)
    for number in range(RECORDS_MAX):
        store.apply(number + 1, recorded(f"id-{number}"))
    store.apply(RECORDS_MAX + 1, recorded("id-0"))
    store.apply(RECORDS_MAX + 2, recorded("one more"))
    rows = store.rows(servers.TABLE)
    assert len(rows) == RECORDS_MAX
    assert "id-0" in rows
    assert "id-1" not in rows


def test_records_survive_a_snapshot() -> None:
    store = StateStore(TODAY)
    store.apply(3, removal("a"))
    again = StateStore(TODAY)
    again.restore(store.image())
    assert servers.by_id(again, "a") == ServerRecord(
        name="s1.global", address="10.0.0.1:4647", removed=True, create_index=3, modify_index=3
    )
