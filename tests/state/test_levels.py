"""The cluster's level gates commands, tables, digest and snapshots; an unknown command holds.

The version to come is a registry with a level 5: a table, a command that fills it, and other forms.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import ClassVar

import msgspec
import pytest

from quorate.levels import FIRST_VERSIONS, LEVEL, describe, form_in_force
from quorate.state.engine import level
from quorate.state.engine.commands import UnknownCommand, decode, encode
from quorate.state.engine.digest import digest_of
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.registry import DIGEST_FORMS, Registry
from quorate.state.engine.snapshot import SnapshotError, decode_snapshot
from quorate.state.engine.store import Held, StateStore
from quorate.state.engine.table import (
    IGNORABLE,
    SINGLETON,
    Command,
    OnRestore,
    Record,
    Table,
    Tables,
)
from quorate.state.registry import LOOSE_COMMANDS, TABLES, TODAY
from quorate.state.tables import scheduler
from quorate.state.tables.checks import CheckState
from quorate.state.tables.defaults import InitialiseDefaults


class Volume(Record, frozen=True, kw_only=True):
    size: int = 0


class MakeVolume(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 100
    LEVEL: ClassVar[int] = 5

    name: str

    def apply(self, tables: Tables, index: int) -> bool:
        tables.put(VOLUMES, self.name, Volume(size=1), index)
        return True


class Remark(Command, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = 101 | IGNORABLE
    LEVEL: ClassVar[int] = 5

    def apply(self, tables: Tables, index: int) -> None:
        pass


VOLUMES = Table(
    name="volumes", record=Volume, on_restore=OnRestore.REPLACED, commands=(MakeVolume,), level=5
)

LATER = Registry(
    level=5,
    tables=(*TABLES, VOLUMES),
    commands=(*LOOSE_COMMANDS, Remark),
    snapshot_formats={0: 1, 5: 2},
    digest_forms={**DIGEST_FORMS, 5: 3},
    versions={**FIRST_VERSIONS, 5: "0.2.0"},
)

RAISE_TO_5 = RaiseLevel(level=5, version="0.2.0")


def collect(writer: Callable[[Callable[[bytes], object]], None]) -> bytes:
    chunks: list[bytes] = []
    writer(chunks.append)
    return b"".join(chunks)


def apply_all(store: StateStore, *commands: Command) -> StateStore:
    for command in commands:
        store.apply(store.applied_index + 1, encode(command))
    return store


def test_a_state_without_a_level_is_of_level_0_and_its_digest_is_that_of_old_servers() -> None:
    store = apply_all(StateStore(TODAY), InitialiseDefaults())
    assert store.level == store.image().level == 0
    image = store.image()
    del image.tables.held[level.TABLE.name]  # a table that 586a0ee does not have
    assert digest_of(image, TODAY) == store.digest()


def test_the_level_only_rises_and_the_result_is_the_level_in_force() -> None:
    store = StateStore(LATER)
    results = [
        store.apply(index, encode(RaiseLevel(level=wanted)))
        for index, wanted in enumerate((1, 1, 2, 1, 0), start=1)
    ]
    assert results == [1, 1, 2, 2, 2]
    assert store.table_index("cluster_level") == 3


def test_a_level_survives_a_snapshot() -> None:
    store = apply_all(StateStore(TODAY), RaiseLevel(level=1, version="0.1.0"))
    image = decode_snapshot(io.BytesIO(collect(store.snapshot())).read, TODAY)
    assert image.level == 1
    restored = StateStore(TODAY)
    restored.restore(image)
    assert (restored.level, restored.digest()) == (1, store.digest())


def test_an_unknown_command_stops_the_store_and_changes_nothing() -> None:
    old, data = apply_all(StateStore(TODAY), InitialiseDefaults()), encode(MakeVolume(name="a"))
    before = old.digest()
    for _ in range(2):  # a later try comes to the same
        with pytest.raises(Held) as held:
            old.apply(2, data)
        assert (held.value.index, held.value.command.type) == (2, 100)
    assert (old.applied_index, old.digest(), old.unknown_commands) == (1, before, ())
    assert "at index 2: a command of type 100 cannot be read" in held.value.text
    assert f"knows level {LEVEL}" in held.value.text
    assert "the version of the present leader" in held.value.next_step

    new = apply_all(StateStore(LATER), InitialiseDefaults())
    assert new.apply(2, data) is True


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x02" + msgspec.msgpack.encode({"shiny": 1}), id="later field"),
        pytest.param(encode(CheckState()) + b"\x00", id="damaged"),
        pytest.param(b"\x7f\x80", id="later type"),
    ],
)
def test_what_cannot_be_read_holds(data: bytes) -> None:
    with pytest.raises(Held):
        StateStore(TODAY).apply(1, data)


def test_an_ignorable_command_is_passed_over_and_counted() -> None:
    old, new = StateStore(TODAY), StateStore(LATER)
    assert isinstance(old.apply(1, encode(Remark())), UnknownCommand)
    assert new.apply(1, encode(Remark())) is None
    assert old.digest() == new.digest()
    assert [(tally.type, tally.count) for tally in old.unknown_commands] == [(Remark.TYPE, 1)]
    assert new.unknown_commands == ()


def test_a_level_above_its_own_holds_a_server_and_names_the_version() -> None:
    with pytest.raises(Held) as held:
        StateStore(TODAY).apply(1, encode(RAISE_TO_5))
    assert "raises the cluster to feature level 5" in held.value.text
    assert held.value.next_step == "upgrade this server to level 5 (Quorate 0.2.0) or later"


def test_the_version_of_a_forged_raise_cannot_forge_a_log_line() -> None:
    forged = decode(encode(RaiseLevel(level=2**63, version="x\nforged " + "y" * 999)), TODAY)
    assert isinstance(forged, UnknownCommand)
    assert "\n" not in str(forged)
    assert len(str(forged)) < 300


def test_every_form_is_that_of_the_level_in_force() -> None:
    """A newer server of a cluster of a lower level writes what older servers read."""
    store = apply_all(StateStore(LATER), InitialiseDefaults(), RaiseLevel(level=1))
    old = decode_snapshot(io.BytesIO(collect(store.snapshot())).read, TODAY)
    assert digest_of(old, TODAY) == store.digest()

    apply_all(store, RAISE_TO_5, MakeVolume(name="a"))
    data = collect(store.snapshot())
    assert data[8:12] == b"\x00\x00\x00\x02"
    with pytest.raises(SnapshotError, match="version 2, this server reads 1") as refused:
        decode_snapshot(io.BytesIO(data).read, TODAY)
    assert "upgrade" in refused.value.next_step
    image = decode_snapshot(io.BytesIO(data).read, LATER)
    assert (image.level, digest_of(image, LATER)) == (5, store.digest())
    # The same tables at level 0 have another digest, so the form is by the level.
    image.rows[level.TABLE.name].pop(SINGLETON)
    assert digest_of(image, LATER) != store.digest()


def test_a_snapshot_of_a_later_level_is_refused_by_name() -> None:
    same_forms = Registry(level=5, tables=TABLES, commands=LOOSE_COMMANDS)
    store = apply_all(StateStore(same_forms), RAISE_TO_5)
    with pytest.raises(SnapshotError, match=r"level 5 \(Quorate 0\.2\.0\)") as refused:
        decode_snapshot(io.BytesIO(collect(store.snapshot())).read, TODAY)
    assert "upgrade this server" in refused.value.next_step


def test_each_command_says_from_which_level_on_it_may_be_written() -> None:
    assert LATER.levels[encode(MakeVolume(name="a"))[0]] == 5
    # All that 586a0ee knows, and the command that comes before the first level.
    assert {TODAY.levels[CheckState.TYPE], TODAY.levels[RaiseLevel.TYPE]} == {0}


def made(*commands: type[Command], **table: object) -> Registry:
    given: dict[str, object] = {
        "name": "t",
        "record": Volume,
        "on_restore": OnRestore.KEPT,
        "commands": commands,
        **table,
    }
    return Registry(level=5, tables=(Table(**given),))  # type: ignore[arg-type]


def test_a_registry_that_breaks_the_rules_is_refused() -> None:
    with pytest.raises(ValueError, match="share a type byte"):
        made(MakeVolume, MakeVolume)
    with pytest.raises(ValueError, match="cannot be passed over"):
        made(Remark)
    with pytest.raises(ValueError, match="written below its level"):
        made(CheckState, level=1)
    with pytest.raises(ValueError, match="a level that this version lacks"):
        Registry(level=1, tables=(VOLUMES,))


def test_the_registry_of_today_is_of_the_level_of_this_version() -> None:
    assert TODAY.level == LEVEL == max(FIRST_VERSIONS)
    assert max(TODAY.levels.values()) <= LEVEL
    assert scheduler.TABLE in TODAY.tables


def test_a_form_holds_from_its_level_to_the_next() -> None:
    forms = {0: "a", 2: "b", 5: "c"}
    assert [form_in_force(forms, at) for at in range(7)] == ["a", "a", "b", "b", "b", "c", "c"]
    assert describe(7) == "level 7"
