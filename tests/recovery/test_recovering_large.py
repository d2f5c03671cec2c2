"""A recovery of a million records, plan and all, takes less than half a minute of a processor.

On the wall it may take longer where other programs use the machine.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cli_run import run
from lengths import cases, huge
from recovery_folders import golden_servers
from test_peers_json import A0, S0, lines, row

from quorate.raft.values.messages import Entry, EntryKind
from quorate.recovery.at_start import before_start
from quorate.recovery.looking.inspect import inspect
from quorate.state.engine.commands import encode
from quorate.state.tables.variables import PutVariable
from quorate.storage.log.store import LogStore
from quorate.storage.log.write_batch import WriteBatch

SECONDS_MAX = 30.0
MILLION = 1_000_000
_BATCH = 1000


def put(number: int) -> bytes:
    return encode(
        PutVariable(
            namespace="default", path=f"app/{number}", time_ns=1, data=bytes(100), key_id="k"
        )
    )


def lengthened(folder: Path, records: int, last: int = 0) -> int:
    """Append so many variables behind entry `last` (0: the last), which comes first; that index."""
    log = LogStore.open(folder / "server" / "raft" / "log")
    last = last or log.last_index()
    if last < log.last_index():
        log.write(WriteBatch(truncate_from=last + 1))
    for first in range(1, records + 1, _BATCH):
        numbers = range(first, min(first + _BATCH, records + 1))
        entries = [Entry(last + n, 3, EntryKind.COMMAND, put(n)) for n in numbers]
        log.write(WriteBatch(entries=entries))
    log.close()
    return last


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("records", [*cases([2_000], [100_000]), huge(MILLION)])
def test_all_of_a_long_log_is_recovered(tmp_path: Path, records: int) -> None:
    folder = golden_servers(tmp_path)["s0"]
    last = lengthened(folder, records)
    (folder / "server" / "raft" / "peers.json").write_bytes(lines(row(S0, A0)))
    began, worked = time.monotonic(), time.process_time()
    (recovered,) = before_start(folder, own_address=A0)
    took = time.monotonic() - began
    worked = time.process_time() - worked
    print(f"recovery of {records} records: {took:.1f} s, {worked:.1f} s of work")
    assert recovered.index == last + records
    found = inspect(folder)
    assert found.snapshot is not None
    assert found.snapshot.size > 100 * records
    if records == MILLION:
        assert worked < SECONDS_MAX


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("records", [*cases([], [100_000]), huge(MILLION)])
def test_three_survivors_are_recovered_by_a_plan(tmp_path: Path, records: int) -> None:
    """The plan reads three logs; it is applied on each machine by itself, here one by one."""
    folders, plan = golden_servers(tmp_path), tmp_path / "plan.json"
    ends = [lengthened(folder, records) for folder in folders.values()]
    times = []
    words = ["plan", f"-out={plan}", *map(str, folders.values())]
    for command in (words, *(["apply", str(plan), str(folder)] for folder in folders.values())):
        began, worked = time.monotonic(), time.process_time()
        ran = run("operator", "recover", *command)
        times.append((time.monotonic() - began, time.process_time() - worked))
        assert ran.code == 0, ran
    shown = ", ".join(f"{took:.1f} ({work:.1f})" for took, work in times)
    print(f"three with {records} records: plan and three times apply: {shown} s (of work)")
    reach = [inspect(folder).reach[1] for folder in folders.values()]
    assert max(reach) >= max(ends) + records
    if records == MILLION:  # each survivor is recovered on its own machine
        plan_work, *each_work = (work for _, work in times)
        assert plan_work + max(each_work) < SECONDS_MAX
