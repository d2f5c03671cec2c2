"""The benchmark of the state at a tenth of its size. Times are not judged: others run beside it."""

from __future__ import annotations

import pytest
from bench.state.operations import memory, operations
from bench.state.restart import restart
from bench.state.stops import stops
from bench.state.table import AT_ONCE

RECORDS = 100_000


@pytest.mark.long
def test_the_collector_does_not_walk_the_rows_and_every_phase_is_watched() -> None:
    found = stops(RECORDS)
    assert found.rows == RECORDS * 3 // 2
    # Each chunk of some hundred rows may count; a row, its key or its value may not.
    assert found.tracked < RECORDS // 20
    assert {name.partition(":")[0] for name in found.stops} == {
        *("growing", "full collection", "snapshot", "check", "install"),
    }
    assert all(stop.work_ms > 0 for stop in found.stops.values())
    # In processor time: between two turns of the loop no thread works for long.
    assert all(stop.beside_ms < 10 for stop in found.stops.values()), found.stops


@pytest.mark.long
def test_a_record_takes_little_more_than_in_a_dict() -> None:
    found = memory(RECORDS)
    assert found.rows < found.plain + 20
    assert found.encoded > 100, "the value alone has 100 bytes"
    assert found.total < 3 * found.encoded


@pytest.mark.long
def test_an_image_and_a_page_do_not_grow_with_the_state_as_those_of_a_dict() -> None:
    """By factors of ten and more, so that no other load decides."""
    found = operations(RECORDS)
    for name in ("image", "first 100 keys of a prefix"):
        assert found[name].rows_us < found[name].plain_us / 3


@pytest.mark.long
def test_a_restart_reads_the_snapshot_and_the_entries_behind_it_alone() -> None:
    found = restart(RECORDS)
    assert found.rows == RECORDS
    assert RECORDS // 10 // AT_ONCE <= found.entries < RECORDS // 5 // AT_ONCE
