"""A snapshot holds the state of one moment, and is taken whole or refused with the reason."""

from __future__ import annotations

import gc
import hashlib
import io
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import StateDamaged
from quorate.state.engine import level
from quorate.state.engine.commands import NO_SUCH_TYPE, encode
from quorate.state.engine.digest import passed_over
from quorate.state.engine.snapshot import (
    SnapshotError,
    SnapshotImage,
    UnknownTally,
    check_snapshot,
    decode_snapshot,
    encode_snapshot,
)
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables import autopilot, namespaces, scheduler
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.tables.checks import CheckState
from quorate.state.tables.cluster import SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.namespaces import Namespace
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration
from quorate.version import __version__

QUIET = AutopilotConfiguration(cleanup_dead_servers=False)


def filled() -> StateStore:
    store = StateStore(TODAY)
    store.apply(3, encode(InitialiseDefaults()))
    store.apply(4, encode(SetClusterMetadata(cluster_id="c-1")))
    store.apply(9, encode(SetAutopilotConfiguration(configuration=QUIET)))
    store.apply(12, b"\xc8from a later version")
    return store


def collect(writer: Callable[[Callable[[bytes], object]], None]) -> bytes:
    chunks: list[bytes] = []
    writer(chunks.append)
    return b"".join(chunks)


def read_back(data: bytes) -> SnapshotImage:
    return decode_snapshot(io.BytesIO(data).read, TODAY)


def check_only(data: bytes) -> None:
    check_snapshot(io.BytesIO(data).read, TODAY)


def test_a_snapshot_brings_back_everything() -> None:
    store = filled()
    restored = StateStore(TODAY)
    restored.restore(read_back(collect(store.snapshot())))
    assert restored.digest() == store.digest()
    assert restored.applied_index == 12
    assert restored.unknown_commands == store.unknown_commands
    assert autopilot.current(restored) == autopilot.current(store)
    assert restored.table_index("autopilot_configuration") == 9
    assert restored.apply(13, encode(SetAutopilotConfiguration(configuration=QUIET, cas=9)))


def test_a_snapshot_is_of_the_moment_it_was_taken() -> None:
    store = filled()
    digest, later = store.digest(), store.snapshot()
    store.apply(20, encode(SetAutopilotConfiguration(configuration=AutopilotConfiguration())))
    restored = StateStore(TODAY)
    restored.restore(read_back(collect(later)))
    assert restored.digest() == digest != store.digest()


def test_a_snapshot_is_written_in_another_thread_while_commands_are_applied() -> None:
    store = StateStore(TODAY)
    store.restore(big_image(2_000))
    digest, later = store.digest(), store.snapshot()
    result: list[bytes] = []
    thread = threading.Thread(target=lambda: result.append(collect(later)))
    thread.start()
    for index in range(100, 600):
        store.apply(
            index, encode(SetSchedulerConfiguration(configuration=SchedulerConfiguration()))
        )
    thread.join()
    assert store.digest() != digest
    store.restore(read_back(result[0]))
    assert store.digest() == digest


def test_restore_wakes_the_watchers_even_when_indexes_go_back() -> None:
    store, old = filled(), filled()
    store.apply(50, encode(SetAutopilotConfiguration(configuration=QUIET)))
    heard: list[int] = []
    store.watch(
        "autopilot_configuration",
        lambda: heard.append(store.table_index("autopilot_configuration")),
    )
    before = store.restores
    store.restore(old.image())
    assert heard == [9]
    assert store.restores == before + 1


def big_image(count: int) -> SnapshotImage:
    image = filled().image()
    for number in range(count):
        name = f"team-{number}"
        image.tables.put(namespaces.TABLE, name, Namespace(name=name, description="x" * 100), 1)
    image.tables.delete(namespaces.TABLE, "default", 1)
    return image


def test_a_large_state_is_written_and_read_in_small_pieces() -> None:
    """Between two of them the thread lets the event loop run: 0.7 ms at most."""
    chunks, asked = list[bytes](), list[int]()
    encode_snapshot(big_image(10_000), chunks.append, TODAY)
    assert len(chunks) > 5
    assert max(map(len, chunks)) < 33 * 1024
    source = io.BytesIO(b"".join(chunks))

    def read(size: int) -> bytes:
        asked.append(size)
        return source.read(size)

    assert len(decode_snapshot(read, TODAY).rows["namespaces"]) == 10_000
    assert max(asked) <= 32 * 1024


def test_no_list_of_all_rows_is_made_while_a_snapshot_is_read() -> None:
    """The collector would visit it in each of its turns, 40 ms for a million rows."""
    data = collect(partial(encode_snapshot, big_image(20_000), registry=TODAY))
    source, longest = io.BytesIO(data), 0

    def read(size: int) -> bytes:
        nonlocal longest
        for each in gc.get_objects():
            if type(each) is list and each and isinstance(each[-1], (str, Namespace)):
                name = each[-1] if isinstance(each[-1], str) else each[-1].name
                longest = max(longest, len(each) if name.startswith("team-") else 0)
        return source.read(min(size, 500_000))

    assert len(decode_snapshot(read, TODAY).rows["namespaces"]) == 20_000
    assert longest < 1_000


def test_a_source_may_give_less_than_asked_for() -> None:
    data = collect(filled().snapshot())
    source = io.BytesIO(data)
    image = decode_snapshot(lambda size: source.read(min(size, 3)), TODAY)
    assert image.applied_index == 12


def test_digest_does_not_depend_on_the_order_of_rows() -> None:
    """Versions of level 1 and below wrote snapshots in the order in which rows were created."""
    rows = [[f"team-{number}", {"name": f"team-{number}"}] for number in range(200)]
    store, turned = StateStore(TODAY), StateStore(TODAY)
    store.restore(read_back(snapshot_of(namespaces_header(200), rows)))
    turned.restore(read_back(snapshot_of(namespaces_header(200), rows[::-1])))
    assert store.digest() == turned.digest()
    assert list(turned.rows(namespaces.TABLE)) == sorted(turned.rows(namespaces.TABLE))


def test_digest_is_stable_from_version_to_version() -> None:
    """It is compared between servers of different versions: a change must be deliberate."""
    assert filled().digest().hex() == (
        "9dd7f6d8c90082e3f8e3ed714ce002d739df902c3156a00c138a73d4ce8051b2"
    )


COMMANDS = st.sampled_from(
    [
        InitialiseDefaults(),
        InitialiseDefaults(scheduler=SchedulerConfiguration(batch_scheduler_enabled=True)),
        SetClusterMetadata(cluster_id="a"),
        SetAutopilotConfiguration(configuration=QUIET),
        SetAutopilotConfiguration(configuration=AutopilotConfiguration(), cas=1),
        SetSchedulerConfiguration(configuration=SchedulerConfiguration(), cas=2),
    ]
)


@given(st.lists(COMMANDS, max_size=12), st.integers(0, 12))
def test_log_alone_and_snapshot_plus_rest_of_log_lead_to_one_state(
    commands: list[Command], cut: int
) -> None:
    straight, first, second = StateStore(TODAY), StateStore(TODAY), StateStore(TODAY)
    for index, command in enumerate(commands, start=1):
        straight.apply(index, encode(command))
        if index <= cut:
            first.apply(index, encode(command))
    second.restore(read_back(collect(first.snapshot())))
    for index, command in enumerate(commands[cut:], start=cut + 1):
        second.apply(index, encode(command))
    assert second.digest() == straight.digest()
    assert second.image().rows == straight.image().rows


@given(st.lists(COMMANDS, max_size=12), st.lists(st.integers(0, 12), min_size=2, max_size=5))
def test_servers_with_any_history_of_restarts_have_one_digest_at_every_check(
    commands: list[Command], restarts: list[int]
) -> None:
    """Each server is restored from its own snapshot at another place; a check changes nothing."""
    seen: dict[int, set[bytes]] = {}
    for restart in restarts:
        store = StateStore(TODAY)
        for index, command in enumerate(commands, start=1):
            store.apply(2 * index, encode(command))
            before = store.digest()
            assert isinstance(store.apply(2 * index + 1, encode(CheckState())), CheckState)
            assert store.digest() == before
            seen.setdefault(index, set()).add(before)
            if index == restart:
                collected = read_back(collect(store.snapshot()))
                store = StateStore(TODAY)
                store.restore(collected)
                assert store.digest() == before
    assert all(len(digests) == 1 for digests in seen.values())


@pytest.mark.parametrize(
    ("kind", "reason", "comparable"),
    [
        pytest.param(0x7E, NO_SUCH_TYPE, False, id="a type of a later version"),
        pytest.param(2, "unknown field", False, id="a later field"),
        pytest.param(-1, "it is empty", False, id="nothing"),
        pytest.param(0xFE, NO_SUCH_TYPE, True, id="what may be passed over"),
    ],
)
def test_a_state_that_may_lack_something_compares_with_none(
    kind: int, reason: str, comparable: bool
) -> None:
    """Servers before levels passed over what they could not read, and say so in a snapshot."""
    image = StateStore(TODAY).image()
    image.unknown = (UnknownTally(type=kind, reason=reason, count=1, first_index=1, last_index=1),)
    assert (
        not passed_over(read_back(collect(partial(encode_snapshot, image, registry=TODAY))), TODAY)
    ) == comparable


def test_what_an_older_version_passed_over_and_this_one_knows_is_compared_again() -> None:
    image = StateStore(TODAY).image()
    image.unknown = (
        UnknownTally(
            type=CheckState.TYPE, reason=NO_SUCH_TYPE, count=3, first_index=1, last_index=9
        ),
    )
    assert not passed_over(
        read_back(collect(partial(encode_snapshot, image, registry=TODAY))), TODAY
    )


# -- refusals ----------------------------------------------------------------------------------


def sealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def snapshot_of(tables: list[dict[str, Any]], records: list[Any], version: int = 1) -> bytes:
    header = {"written_by": "9.9.9", "applied_index": 7, "tables": tables, "later": True}
    content = b"QRMSTATE" + version.to_bytes(4, "big") + framed(msgspec.msgpack.encode(header))
    return sealed(content + b"".join(framed(msgspec.msgpack.encode(item)) for item in records))


def namespaces_header(count: int) -> list[dict[str, Any]]:
    return [{"name": "namespaces", "index": 5, "count": count}]


GOOD = {"name": "a"}

REFUSED: list[tuple[str, bytes, str]] = [
    ("not a snapshot", b"PK\x03\x04" + bytes(100), "no snapshot"),
    ("later format", snapshot_of([], [], version=2), "version 2, this server reads 1"),
    (
        "unknown table",
        snapshot_of([{"name": "volumes", "index": 4, "count": 0}], []),
        "Quorate 9.9.9 wrote it with a table 'volumes'",
    ),
    (
        "unknown field",
        snapshot_of(namespaces_header(1), [["a", {**GOOD, "shiny": 1}]]),
        "Quorate 9.9.9 wrote a record of 'namespaces'",
    ),
    ("key twice", snapshot_of(namespaces_header(2), [["a", GOOD], ["a", GOOD]]), "key twice"),
    ("fewer records", snapshot_of(namespaces_header(1), []), "over the limit|cut short"),
    ("more records", snapshot_of(namespaces_header(1), [["a", GOOD]] * 2), "cut short|SHA-256"),
    ("giant record", sealed(b"QRMSTATE\x00\x00\x00\x01\xff\xff\xff\xff"), "over the limit"),
    ("bad header", sealed(b"QRMSTATE\x00\x00\x00\x01" + framed(b"\x90")), "header is damaged"),
    ("something follows", snapshot_of([], []) + b"x", "bytes follow"),
]


@pytest.mark.parametrize(
    ("data", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_cannot_be_read_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    for read in (read_back, check_only):
        with pytest.raises(SnapshotError, match=reason) as refused:
            read(data)
        assert refused.value.next_step
        assert "\n" not in refused.value.text


def test_a_check_alone_reads_as_the_decoder_does() -> None:
    check_only(collect(filled().snapshot()))
    records = [["b", {"name": "b"}], ["a", GOOD]]
    data = snapshot_of(namespaces_header(2), records)
    assert len(read_back(data).rows["namespaces"]) == 2
    with pytest.raises(SnapshotError, match="its keys are in no order"):
        check_only(data)  # no server writes them so


def test_a_check_alone_refuses_the_state_of_a_later_level() -> None:
    header = [{"name": level.TABLE.name, "index": 5, "count": 1}]
    data = snapshot_of(header, [["", {"level": TODAY.level + 1}]])
    for read in (read_back, check_only):
        with pytest.raises(SnapshotError, match=f"knows level {TODAY.level}"):
            read(data)


def test_an_unknown_table_that_was_never_written_does_no_harm() -> None:
    """A newer server's snapshot is readable until a new table is used."""
    image = read_back(snapshot_of([{"name": "volumes", "index": 0, "count": 0}], []))
    assert image.applied_index == 7


def test_a_table_that_an_older_version_did_not_know_starts_fresh() -> None:
    store = StateStore(TODAY)
    store.restore(read_back(snapshot_of([], [])))
    assert store.table_index("namespaces") == 1
    assert scheduler.current(store) is None


def test_a_cut_at_any_byte_is_found() -> None:
    data = collect(filled().snapshot())
    for size in range(len(data)):
        for read in (read_back, check_only):
            with pytest.raises(SnapshotError):
                read(data[:size])


def test_a_flip_of_any_byte_is_found() -> None:
    data = collect(filled().snapshot())
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x41
        for read in (read_back, check_only):
            with pytest.raises(SnapshotError):
                read(bytes(damaged))


def test_no_snapshot_is_written_of_rows_that_changed_in_memory() -> None:
    store = filled()
    image = store.image()
    row = image.rows["scheduler_configuration"][""]
    image.rows["scheduler_configuration"].put("", msgspec.structs.replace(row, create_index=77))
    with pytest.raises(StateDamaged, match="'scheduler_configuration' has changed") as refused:
        encode_snapshot(image, lambda _: None, TODAY)
    assert "restart this server" in refused.value.next_step
    assert collect(store.snapshot())  # the store itself is well


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_a_refusal(noise: bytes) -> None:
    for data in (noise, b"QRMSTATE\x00\x00\x00\x01" + noise):
        with pytest.raises(SnapshotError):
            read_back(data)


def test_the_writer_is_named_in_the_header() -> None:
    assert __version__.encode() in collect(filled().snapshot())
