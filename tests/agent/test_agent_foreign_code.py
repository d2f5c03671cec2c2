"""An agent runs no code of the folder in which it is started, nor do commands."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S
from server_processes import free_ports, until

NAMES = ("json", "hcl2", "lark", "msgspec", "typing", "re", "sitecustomize")
SCRIPT = (str(Path(sys.executable).parent / "quorate"),)
MODULE = (sys.executable, "-m", "quorate")


def hostile(folder: Path, *names: str) -> Path:
    """A folder with modules that leave a mark when they are imported; the mark."""
    mark = folder / "ran"
    for name in names:
        code = f"open({str(mark)!r}, 'a').write({name!r})\nraise SystemExit(77)\n"
        (folder / f"{name}.py").write_text(code)
    return mark


def configuration(folder: Path) -> Path:
    http, rpc, serf = free_ports(3)
    path = folder / "agent.hcl"
    path.write_text(
        f"""
        name = "one"
        data_dir = "{folder / "data"}"
        bind_addr = "127.0.0.1"
        ports {{
          http = {http}
          rpc = {rpc}
          serf = {serf}
        }}
        advertise {{
          http = "127.0.0.1"
          rpc = "127.0.0.1"
          serf = "127.0.0.1"
        }}
        server {{
          enabled = true
          bootstrap_expect = 1
        }}
        """
    )
    return path


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "names"),
    [
        pytest.param(SCRIPT, (*NAMES, "quorate"), id="script"),
        pytest.param(MODULE, NAMES, id="module"),  # `-m` itself looks for quorate here
    ],
)
def test_an_agent_runs_no_code_of_its_working_folder(
    tmp_path: Path, program: tuple[str, ...], names: tuple[str, ...]
) -> None:
    folder = tmp_path / "working"
    folder.mkdir()
    mark = hostile(folder, *names)
    config = configuration(tmp_path)
    log = tmp_path / "log"
    with log.open("wb") as out:
        agent = subprocess.Popen(
            [*program, "agent", "-config", str(config)],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "serves HTTP" in log.read_text(), log.read_text)
        text = config.read_text()
        config.write_text(f'log_level = "DEBUG"\n{text}')
        agent.send_signal(signal.SIGHUP)
        until(lambda: "reloaded log_level" in log.read_text(), log.read_text)
    finally:
        agent.kill()
        agent.wait(PATIENCE_S)
    assert not mark.exists(), mark.read_text()


@pytest.mark.parametrize("program", [SCRIPT, MODULE], ids=["script", "module"])
def test_a_command_runs_no_code_of_its_working_folder(
    tmp_path: Path, program: tuple[str, ...]
) -> None:
    mark = hostile(tmp_path, *NAMES, "uuid", "ssl")
    done = subprocess.run(
        [*program, "server", "members", "-address=http://127.0.0.1:1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "connection refused" in done.stderr, done.stderr
    assert not mark.exists(), mark.read_text()
