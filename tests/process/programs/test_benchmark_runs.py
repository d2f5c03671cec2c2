"""`python -m bench`: it says what it knows, and its shortest measurement works."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
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
