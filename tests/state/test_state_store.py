"""What the commands do to the tables, and who hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.state.engine.changes import Change
from quorate.state.engine.commands import UnknownCommand, encode
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import SINGLETON, Command, Table
from quorate.state.registry import TODAY
from quorate.state.tables import autopilot, cluster, namespaces, scheduler
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.tables.cluster import ClusterMetadata, SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults, needed
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration

QUIET = AutopilotConfiguration(cleanup_dead_servers=False)
SPREAD = SchedulerConfiguration(scheduler_algorithm="spread")


def store_after(*commands: Command) -> StateStore:
    store = StateStore(TODAY)
    for index, command in enumerate(commands, start=1):
        store.apply(index, encode(command))
    return store


def test_a_fresh_store_knows_the_default_namespace_and_nothing_else() -> None:
    store = StateStore(TODAY)
    assert autopilot.current(store) is None
    assert scheduler.current(store) is None
    assert cluster.current(store) is None
    assert [namespace.name for namespace in namespaces.with_prefix(store, "")] == ["default"]
    assert store.table_index("namespaces") == 1
    assert store.table_index("autopilot_configuration") == 0
    assert store.applied_index == 0


def test_the_default_namespace_has_the_hash_of_real_servers() -> None:
    assert namespaces.BUILT_IN.content_hash().hex() == (
        "0bb51b8c3c012b474af3042aec8ce0ed2248cda57e948a365fbc11b73637a52c"
    )


@pytest.mark.parametrize(
    ("prefix", "found"), [("", 1), ("def", 1), ("default", 1), ("defaults", 0), ("D", 0)]
)
def test_namespaces_by_prefix(prefix: str, found: int) -> None:
    assert len(namespaces.with_prefix(StateStore(TODAY), prefix)) == found


def test_namespace_by_name() -> None:
    assert namespaces.by_name(StateStore(TODAY), "default") == namespaces.BUILT_IN
    assert namespaces.by_name(StateStore(TODAY), "nosuch") is None


def test_defaults_fill_only_what_is_absent() -> None:
    store = store_after(SetAutopilotConfiguration(configuration=QUIET))
    result = store.apply(2, encode(InitialiseDefaults(scheduler=SPREAD)))
    assert result == ("scheduler_configuration",)
    kept = autopilot.current(store)
    written = scheduler.current(store)
    assert kept is not None
    assert not kept.cleanup_dead_servers
    assert written is not None
    assert (written.scheduler_algorithm, written.create_index) == ("spread", 2)
    assert store.apply(3, encode(InitialiseDefaults())) == ()
    assert store.table_index("scheduler_configuration") == 2


def test_defaults_are_needed_until_both_are_written() -> None:
    tables = TODAY.fresh_tables()
    assert needed(tables)
    SetAutopilotConfiguration(configuration=QUIET).apply(tables, 1)
    assert needed(tables)
    InitialiseDefaults().apply(tables, 2)
    assert not needed(tables)


@pytest.mark.parametrize(
    ("table", "make"),
    [
        (autopilot.TABLE, lambda cas: SetAutopilotConfiguration(configuration=QUIET, cas=cas)),
        (scheduler.TABLE, lambda cas: SetSchedulerConfiguration(configuration=SPREAD, cas=cas)),
    ],
    ids=["autopilot", "scheduler"],
)
@pytest.mark.parametrize(
    ("cas", "written"), [(None, True), (5, True), (0, False), (4, False), (2**64 - 1, False)]
)
def test_cas_writes_only_at_that_modify_index(
    table: Table[Any], make: Any, cas: int | None, written: bool
) -> None:
    store = StateStore(TODAY)
    store.apply(5, encode(InitialiseDefaults()))
    assert store.apply(9, encode(make(cas))) is written
    record = store.get(table, SINGLETON)
    assert record is not None
    assert record.create_index == 5
    assert record.modify_index == (9 if written else 5)
    assert store.table_index(table.name) == (9 if written else 5)


def test_cas_zero_writes_what_is_absent() -> None:
    store = StateStore(TODAY)
    assert store.apply(1, encode(SetAutopilotConfiguration(configuration=QUIET, cas=0)))


def test_indexes_inside_a_command_do_not_count() -> None:
    forged = AutopilotConfiguration(create_index=77, modify_index=99)
    record = autopilot.current(store_after(SetAutopilotConfiguration(configuration=forged)))
    assert record is not None
    assert (record.create_index, record.modify_index) == (1, 1)


def test_the_first_cluster_id_wins() -> None:
    store = StateStore(TODAY)
    assert store.apply(1, encode(SetClusterMetadata(cluster_id="first"))) == "first"
    assert store.apply(2, encode(SetClusterMetadata(cluster_id="second"))) == "first"
    assert cluster.current(store) == ClusterMetadata(
        cluster_id="first", create_index=1, modify_index=1
    )
    assert store.table_index("cluster_metadata") == 1


def test_an_ignorable_command_changes_nothing_and_is_counted() -> None:
    store = store_after(InitialiseDefaults())
    before = store.digest()
    for index in (2, 3):
        result = store.apply(index, b"\xc8later")
        assert isinstance(result, UnknownCommand)
    assert store.digest() == before
    assert [
        (tally.type, tally.count, tally.first_index, tally.last_index)
        for tally in store.unknown_commands
    ] == [(200, 2, 2, 3)]
    assert store.applied_index == 3
    assert store.apply(5, encode(SetAutopilotConfiguration(configuration=QUIET))) is True


def test_an_index_never_goes_back() -> None:
    store = store_after(InitialiseDefaults())
    with pytest.raises(AssertionError):
        store.apply(1, encode(InitialiseDefaults()))


def test_watchers_hear_of_their_table_only_and_until_they_cancel() -> None:
    store = StateStore(TODAY)
    heard: list[str] = []
    cancel = store.watch("autopilot_configuration", lambda: heard.append("autopilot"))
    store.watch("scheduler_configuration", lambda: heard.append("scheduler"))
    store.apply(1, encode(SetAutopilotConfiguration(configuration=QUIET)))
    assert heard == ["autopilot"]
    store.apply(2, encode(SetAutopilotConfiguration(configuration=QUIET, cas=99)))
    assert heard == ["autopilot"]
    store.apply(3, encode(SetSchedulerConfiguration(configuration=SPREAD)))
    assert heard == ["autopilot", "scheduler"]
    cancel()
    cancel()
    store.apply(4, encode(SetAutopilotConfiguration(configuration=QUIET)))
    assert heard == ["autopilot", "scheduler"]


def test_a_watcher_sees_the_change_and_may_cancel_itself_and_others() -> None:
    store = StateStore(TODAY)
    seen: list[int] = []
    cancels: list[Any] = []

    def once() -> None:
        seen.append(store.table_index("autopilot_configuration"))
        for cancel in cancels:
            cancel()

    cancels += [store.watch("autopilot_configuration", once) for _ in range(2)]
    store.apply(1, encode(SetAutopilotConfiguration(configuration=QUIET)))
    assert seen == [1]
    store.apply(2, encode(SetAutopilotConfiguration(configuration=QUIET)))
    assert seen == [1]


def test_there_is_no_watching_or_index_of_no_table() -> None:
    store = StateStore(TODAY)
    with pytest.raises(KeyError):
        store.watch("nosuch", lambda: None)
    with pytest.raises(KeyError):
        store.table_index("nosuch")


def test_deleting_raises_the_index_of_the_table() -> None:
    tables = TODAY.fresh_tables()
    assert not tables.delete(namespaces.TABLE, "nosuch", 8)
    assert tables.index_of("namespaces") == 1
    assert tables.delete(namespaces.TABLE, "default", 9)
    assert tables.index_of("namespaces") == 9
    assert tables.changes == [Change("namespaces", "default", namespaces.BUILT_IN, None, 9)]


def test_records_cannot_be_changed() -> None:
    name = "modify_index"
    with pytest.raises(AttributeError):
        setattr(QUIET, name, 3)
