"""`python -m bench`: it says what it knows, and its shortest measurement works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from bench import run_quorate
from bench.load import Request, measure
from bench.processes import ask
from bench.rival import KEYS, LISTED_BYTES, LISTED_KEYS, VARIABLE_BYTES, VARIABLES
from bench.sealing import __main__ as sealing
from places import DOCS, ROOT

pytestmark = pytest.mark.process


def bench(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *argv]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=80, check=False
    )


def test_unknown_work_is_refused_with_what_there_is() -> None:
    done = bench("--only", "nosuch")
    assert done.returncode == 2
    assert "write, 32 clients" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_partial_run_prints_its_table_and_changes_no_page() -> None:
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk")
    pages = sorted(DOCS.glob("benchmarks.*"))
    before = [page.read_bytes() for page in pages]
    done = bench("--only", "write, 1 client", "--rounds", "1", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    (row,) = re.findall(r"^\| write, 1 client \| ([\d,]+) \(", done.stdout, re.MULTILINE)
    assert int(row.replace(",", "")) > 0
    assert [page.read_bytes() for page in pages] == before


@pytest.mark.long
def test_variables_and_locks_are_measured() -> None:
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk")
    with tempfile.TemporaryDirectory() as folder:
        cluster = run_quorate.start(Path(folder))
        try:
            leader = cluster.await_leader()
            assert cluster.fill(leader, KEYS, VARIABLES, VARIABLE_BYTES)
            for work in cluster.variables(leader).values():
                assert measure(work, 2, 1).per_second > 0
            assert cluster.fill(leader, LISTED_KEYS, 200, LISTED_BYTES)
            lists = cluster.lists(leader, 200)
            assert isinstance(lists, Request)
            for number in (0, 1):
                found = ask(lists._replace(url=lists.url % number))
                assert found is not None
                assert len(json.loads(found)) == 100
            assert measure(lists, 1, 1).per_second > 0
            took_ms = cluster.handover_ms(leader)
            assert took_ms is not None
            assert took_ms > 0
        finally:
            cluster.stop()


@pytest.mark.long
def test_sealed_puts_are_compared_with_puts_in_the_clear() -> None:
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk")
    found = sealing.measured(2, 1, 1)
    assert min(found.sealed_per_s, found.clear_per_s, found.sealed_us, found.clear_us) > 0
