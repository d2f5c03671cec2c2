"""What the commands do to namespaces; their hash is that of captured ones (docs/namespaces.md)."""

from __future__ import annotations

from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import namespaces
from quorate.state.tables.namespaces import (
    NAMESPACES_LEVEL,
    NAMESPACES_MAX,
    TABLE,
    Capabilities,
    DeleteNamespace,
    Namespace,
    UpsertNamespace,
)


def upsert(name: str, **fields: str) -> bytes:
    return encode(UpsertNamespace(namespace=Namespace(name=name, **fields)))  # type: ignore[arg-type]


def test_both_commands_are_written_from_level_three_on() -> None:
    levels = {TODAY.levels[command.TYPE] for command in (UpsertNamespace, DeleteNamespace)}
    assert levels == {NAMESPACES_LEVEL} == {3}


def test_a_write_replaces_and_keeps_the_create_index() -> None:
    store = StateStore(TODAY)
    assert store.apply(5, upsert("team", description="d", quota="q")) == ""
    assert store.apply(7, upsert("team", description="e")) == ""
    assert namespaces.by_name(store, "team") == Namespace(
        name="team", description="e", create_index=5, modify_index=7
    )
    assert store.table_index("namespaces") == 7


def test_a_deletion_of_what_is_not_there_changes_nothing() -> None:
    store = StateStore(TODAY)
    store.apply(5, upsert("team"))
    assert store.apply(6, encode(DeleteNamespace(name="nosuch"))) == ""
    assert store.table_index("namespaces") == 5
    assert store.apply(7, encode(DeleteNamespace(name="team"))) == ""
    assert namespaces.by_name(store, "team") is None
    assert store.table_index("namespaces") == 7


def test_the_default_namespace_is_never_deleted() -> None:
    store = StateStore(TODAY)
    assert "default" in store.apply(5, encode(DeleteNamespace(name="default")))
    assert namespaces.by_name(store, "default") == namespaces.BUILT_IN


def test_no_more_than_the_bound() -> None:
    store = StateStore(TODAY)
    for number in range(1, NAMESPACES_MAX):
        assert store.apply(number, upsert(f"n{number}")) == ""
    assert str(NAMESPACES_MAX) in store.apply(NAMESPACES_MAX, upsert("one-more"))
    assert store.apply(NAMESPACES_MAX + 1, upsert("n1", description="known")) == ""
    assert len(store.rows(TABLE)) == NAMESPACES_MAX


def test_every_field_but_the_indexes_is_in_the_hash() -> None:
    plain = Namespace(name="team")
    others = [
        Namespace(name="other"),
        Namespace(name="team", description="d"),
        Namespace(name="team", quota="q"),
        Namespace(name="team", meta=(("a", "b"),)),
        Namespace(name="team", capabilities=Capabilities(enabled_task_drivers=("exec",))),
    ]
    assert len({each.content_hash() for each in (plain, *others)}) == 6
    assert Namespace(name="team", create_index=9).content_hash() == plain.content_hash()
