"""`operator recover live` asks the control socket of a data_dir, and says what comes next."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, json_reply, text_reply
from recovery_folders import golden_servers

from quorate.recovery.plan import BYTES_MAX

PATH = "/v1/operator/recovery"
PREPARED = {
    "ServerID": "b",
    "Epoch": "0",
    "Plan": "12ab",
    "PlanEpoch": "1 (00010203)",
    "Leads": "a",
    "Prepared": True,
    "UntilMs": 1_800_000_000_000,
    "BecomesCommitted": "entries 4 to 5 of a",
    "MayBeLost": "writes that a does not have",
}
DONE = {**PREPARED, "Epoch": "1 (00010203)", "Prepared": False, "Index": 5, "Kept": "/d/recovered"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data_dir with a short path: that of a socket is bounded."""
    with tempfile.TemporaryDirectory(prefix="q") as name:
        yield Path(name)


def live(folder: Path, answer: Any, *words: str) -> tuple[Ran, list[str]]:
    """What the command says when the agent of the folder answers so, and what it has asked."""
    step = words[0]
    flags = {
        "prepare": "/prepare?data-may-be-lost=true&lost=x%2Cy&timeout=5m",
        "abort": "/abort?force=true",
        "status": "",
    }.get(step, f"/{step}")
    route = f"{'GET' if step == 'status' else 'PUT'} {PATH}{flags}"
    folder.joinpath("control.sock").unlink(missing_ok=True)
    with FakeAgent({route: answer}, unix=folder / "control.sock") as agent:
        return run("operator", "recover", "live", *words), agent.asked


def test_each_step_asks_the_socket_and_says_what_comes_next(folder: Path) -> None:
    plan = folder / "plan.json"
    plan.write_text("{}")
    flags = ("-data-may-be-lost", "-lost=x,y", "-timeout=5m")
    ran, asked = live(folder, json_reply(PREPARED), "prepare", *flags, str(plan), str(folder))
    assert (ran.code, len(asked)) == (0, 1), ran
    assert ran.stdout.splitlines() == [
        "server:    b, in epoch 0",
        "prepared:  for epoch 1 (00010203); given up after 2027-01-15T08:00:00Z",
        "decides:   a",
        "committed: entries 4 to 5 of a",
        "lost:      writes that a does not have, if there are any",
        "",
        "When all survivors are prepared, on the machine of a:",
        "quorate operator recover live commit DATA_DIR",
    ]
    ran, _ = live(folder, json_reply(PREPARED), "status", str(folder))
    assert "decides:   a" in ran.stdout
    ran, _ = live(folder, json_reply({**PREPARED, "Prepared": False}), "status", str(folder))
    assert ran.stdout.splitlines()[1] == "prepared:  for no recovery"
    ran, _ = live(folder, json_reply({**DONE, "ServerID": "a"}), "commit", str(folder))
    assert ran.code == 0
    assert "committed: entries 4 to 5 of a\n" in ran.stdout
    assert "lost:      writes that a does not have, if there were any\n" in ran.stdout
    ran, _ = live(folder, json_reply(DONE), "commit", str(folder))
    assert "It is filled by a." in ran.stdout
    assert "committed" not in ran.stdout
    ran, _ = live(folder, json_reply(PREPARED), "abort", "-force", str(folder))
    assert ran.stdout == "Given up: b goes on in epoch 0.\n"


@pytest.mark.parametrize("step", ["status", "commit"])
def test_the_answer_as_json(folder: Path, step: str) -> None:
    ran, _ = live(folder, json_reply(DONE), step, "-json", str(folder))
    assert json.loads(ran.stdout) == DONE


def test_a_refusal_is_one_line(folder: Path) -> None:
    ran, _ = live(folder, text_reply(409, "not prepared for this plan: b"), "commit", str(folder))
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("Unexpected response code: 409 (not prepared for this plan: b)")
    assert ran.stderr.count("\n") <= 2


def test_without_a_server_and_without_a_plan(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    ran = run("operator", "recover", "live", "commit", str(folder))
    assert (ran.code, ran.stdout) == (1, "")
    assert f"no server answers on {folder}/control.sock" in ran.stderr
    ran = run("operator", "recover", "live", "prepare", str(tmp_path / "none"), str(folder))
    assert ran.stderr.startswith("cannot read ")
    large = tmp_path / "large"
    large.write_bytes(b" " * (BYTES_MAX + 1))
    ran = run("operator", "recover", "live", "prepare", str(large), str(folder))
    assert "is no plan of a recovery" in ran.stderr
    assert run("operator", "recover", "live", "status", "").code == 1
