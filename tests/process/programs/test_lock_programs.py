"""Programs that use variables: `quorate var lock`, the example of a job that one machine runs, and
that of a configuration which changes while its program runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from patience import PATIENCE_S
from places import ROOT
from server_processes import Servers, until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    found = Servers(tmp_path_factory.mktemp("servers"))
    found.start()
    try:
        leader = found.leader()
        made = {"Items": {"k": "v"}}
        until(lambda: found.ask(leader, "/v1/var/a", "PUT", made).status == 200, "a first write")
        yield found
    finally:
        found.stop_all()


def address(servers: Servers, number: int) -> str:
    return f"http://127.0.0.1:{servers.http[number]}"


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=60)


def test_a_program_runs_while_the_lock_is_held(servers: Servers) -> None:
    command = [sys.executable, "-m", "quorate", "var", "lock", "-verbose", "job"]
    script = 'import os, sys; print(os.environ["QUORATE_LOCK_FENCE"]); sys.exit(7)'
    env = {**os.environ, "NOMAD_ADDR": address(servers, 0)}
    program = [*command, sys.executable, "-c", script]
    fences = []
    for _ in range(2):
        done = run(program, env)
        assert done.returncode == 7, done.stderr
        assert 'Released the lock of "job"' in done.stderr
        fences.append(int(done.stdout))
    assert fences[0] < fences[1]
    missing = run([*command, "no-such-program"], env)
    assert missing.returncode == 1
    assert "Failed to start 'no-such-program'" in missing.stderr
    assert "Lock" not in servers.ask(1, "/v1/var/job").json


def test_a_program_that_is_told_to_end_leaves_no_lock_and_no_child(
    servers: Servers, tmp_path: Path
) -> None:
    """`var lock` and the example: SIGTERM, and the lock is free at once."""
    script = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()) + '.');"
    job = [sys.executable, "-c", script + "time.sleep(600)"]
    env = {**os.environ, "NOMAD_ADDR": address(servers, 0)}
    cron = [sys.executable, str(ROOT / "examples" / "cron.py"), env["NOMAD_ADDR"], "x", "0.1", *job]
    lock = [sys.executable, "-m", "quorate", "var", "lock", "ended", *job]
    for command, path in ((lock, "ended"), (cron, "examples/cron")):
        told = tmp_path / "pid"
        told.unlink(missing_ok=True)
        process = subprocess.Popen(command, env=env)
        try:
            until(told.exists, "the job to run")
            until(partial(_ends_in_dot, told), "its ID")
            assert "Lock" in servers.ask(1, f"/v1/var/{path}").json
            process.terminate()
            assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        finally:
            process.kill()
            process.wait(PATIENCE_S)
        assert "Lock" not in servers.ask(1, f"/v1/var/{path}").json
        child = Path(f"/proc/{told.read_text()[:-1]}")
        until(partial(_is_gone, child), "the end of its job")


def _ends_in_dot(path: Path) -> bool:
    return path.read_text().endswith(".")


def _is_gone(path: Path) -> bool:
    return not path.exists()


CRON = "Usage: python cron.py ADDRESS NAME SECONDS PROGRAM [ARGUMENT ...]\n"
RELOAD = "Usage: python reload.py ADDRESS [PREFIX]\n"


@pytest.mark.parametrize(
    ("example", "words", "usage"),
    [
        ("cron.py", [], CRON),
        ("cron.py", ["--help"], CRON),
        ("cron.py", ["a", "b", "soon", "c"], CRON),
        ("cron.py", ["a", "b", "nan", "c"], CRON),
        ("reload.py", [], RELOAD),
        ("reload.py", ["--help"], RELOAD),
        ("reload.py", ["a", "b", "c"], RELOAD),
    ],
)
def test_the_examples_show_their_usage(example: str, words: list[str], usage: str) -> None:
    command = [sys.executable, str(ROOT / "examples" / example), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == usage


def test_the_job_goes_on_elsewhere_when_its_machine_dies(servers: Servers, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = f"import os; open({str(ran)!r}, 'a').write(os.environ['FENCE'] + '\\n')"
    example = str(ROOT / "examples" / "cron.py")

    def start(name: str, number: int) -> subprocess.Popen[bytes]:
        job = [sys.executable, "-c", script]
        where = address(servers, number)
        return subprocess.Popen([sys.executable, example, where, name, "0.1", *job])

    def fences() -> list[int]:
        return [int(line) for line in ran.read_text().split()]

    first = start("one", 0)
    second = None
    try:
        until(lambda: len(fences()) >= 2, "the job to run")
        second = start("two", 1)
        first.kill()
        first.wait(PATIENCE_S)
        until(lambda: len(set(fences())) == 2, "the other to take over", timeout_s=40)
        assert fences() == sorted(fences())
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait(PATIENCE_S)


def test_a_configuration_is_loaded_as_it_changes_and_a_bad_one_is_not(
    servers: Servers, tmp_path: Path
) -> None:
    def put(path: str, **items: str) -> None:
        answer = servers.ask(1, f"/v1/var/app/greeter/{path}", "PUT", {"Items": items})
        assert answer.status == 200, answer.text

    said = tmp_path / "said"
    put("text", hello="Hello", name="world")
    put("pace", seconds="3000")
    example = [sys.executable, str(ROOT / "examples" / "reload.py"), address(servers, 0)]
    with said.open("w") as file:
        process = subprocess.Popen(example, stdout=file)

    def line(text: str) -> None:
        until(lambda: text in said.read_text().splitlines(), lambda: f"{text}: {said.read_text()}")

    try:
        line("Hello, world!")
        put("text", hello="Good morning", name="world")
        line("Good morning, world!")
        put("pace", seconds="soon")
        kept = "Configuration(hello='Good morning', name='world', seconds=3000.0)"
        line(f"keeps {kept}: seconds is no number")
        put("text", hello="Good evening", name="world")  # together they are still bad
        put("pace", seconds="2000")
        line("Good evening, world!")
        assert servers.ask(2, "/v1/var/app/greeter/text", "DELETE").status == 204
        line("Hello, nobody!")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait(PATIENCE_S)
    assert "Good evening, world!" not in said.read_text().split("keeps")[0]
