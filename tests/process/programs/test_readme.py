"""The README is run: its console blocks are typed in, and what they show is what is seen.

Ports, IDs, process numbers and the data folder are others than the page's, and which of the
living servers leads is chance; all else is compared.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.report import short_table
from lengths import cases
from patience import PATIENCE_S
from places import DOCS, ROOT
from server_processes import free_ports, until

pytestmark = pytest.mark.process

PAGE = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FOLDER = "/tmp/quorate-demo"
LEADS = re.compile(r"\b(?:leader|follower|alive (?:true|false))\b")
INDEX = re.compile(r"at index \d+")
ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def typed(block: str) -> list[tuple[str, str]]:
    """The commands of a block, each with what it shows."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


class Reader:
    """Somebody who types what the page says; keeps what stands for the page's words here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (port,) = free_ports(1)
        self.http = port
        self.said = folder / "said"
        self.words = {FOLDER: str(folder / "data")}
        self.started: list[subprocess.Popen[bytes]] = []
        beside = str(Path(sys.executable).parent)
        own = {k: v for k, v in os.environ.items() if not k.startswith(("NOMAD_", "QUORATE_"))}
        path = f"{beside}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**own, "PATH": path, "NOMAD_ADDR": f"http://127.0.0.1:{port}"}

    def here(self, text: str) -> str:
        """The page's words in the words of this run."""
        for theirs, ours in self.words.items():
            text = text.replace(theirs, ours)
        port = r"(?<![-\w])46(\d\d)(?![-\w])"  # not inside an ID
        return re.sub(port, lambda m: str(self.http + int(m[1]) - 46), text)

    def start(self, command: str, said: Path) -> subprocess.Popen[bytes]:
        with said.open("wb") as out:
            process = subprocess.Popen(
                shlex.split(command), stdout=out, stderr=out, env=self.environ
            )
        self.started.append(process)
        return process

    def run(self, command: str) -> str:
        return subprocess.run(
            shlex.split(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=30,
            check=False,
            env=self.environ,
        ).stdout

    def makes_leader(self, address: str) -> None:
        """Have that server lead, and wait until it does."""
        command = f"quorate operator raft transfer-leadership -peer-address={address}"

        def leads() -> bool:
            listed = self.run("quorate operator raft list-peers").splitlines()
            there = any(self.here(address) in line and " leader " in line for line in listed)
            if not there:
                self.run(self.here(command))
            return there

        until(leads, f"{address} to lead")

    def sees(self, command: str, shown: str) -> None:
        """Type it until it shows what the page shows: gossip and elections take their time.

        A write may be refused while leadership changes once more, on a machine with other work.
        """
        wanted = plain(self.here(shown))
        until(lambda: plain(self.run(self.here(command))) == wanted, f"{command}:\n{wanted}")


def plain(text: str) -> list[str]:
    """Without widths and indexes, and without who leads: how many do so comes after the lines."""
    flat = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    leads = sum(" leader " in line or " alive true " in line for line in flat)
    return [*(LEADS.sub("*", INDEX.sub("at index N", line)) for line in flat), str(leads)]


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    reader = Reader(folder)
    try:
        yield reader
    finally:
        for process in reversed(reader.started):
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)


TRANSFER = "quorate operator raft transfer-leadership -peer-address=127.0.0.1:4667"


@pytest.mark.parametrize("leads", cases(["127.0.0.1:4647"], ["127.0.0.1:4667"]))
def test_what_the_readme_shows(tmp_path: Path, leads: str) -> None:
    first, *others = BLOCKS
    dev, shown = typed(first)[-1]
    with reading(tmp_path) as reader:
        reader.start(f"{reader.here(dev)} -http-port={reader.http}", reader.said)
        until(lambda: "Ctrl-C stops all" in reader.said.read_text(), "the explanation", 40)
        said = reader.said.read_text()
        table = ID.findall(said[: said.index("Try next")])
        reader.words |= dict(zip(ID.findall(shown), table, strict=True))
        peers = said[said.index("Node") : said.index("Try next")]
        assert plain(peers) == plain(reader.here(shown[shown.index("Node") :]))
        reader.makes_leader(leads)
        listed = Path(f"/proc/{reader.started[0].pid}/task/{reader.started[0].pid}/children")
        pids = [int(pid) for pid in listed.read_text().split()]
        for block in others:
            for command, output in typed(block):
                if command.startswith("kill"):
                    os.kill(pids[2], signal.SIGKILL)
                elif command == TRANSFER:
                    assert reader.run(reader.here(command)) in {"", reader.here(output)}
                    reader.makes_leader("127.0.0.1:4667")
                elif command.endswith(" &"):
                    reader.start(reader.here(command[:-2]), tmp_path / "agent")
                elif "remove-peer" in command:
                    assert reader.run(reader.here(command)) == reader.here(output)
                else:
                    reader.sees(command, output)


def test_two_commands_install_and_start() -> None:
    commands = [command for command, _ in typed(BLOCKS[0])]
    assert commands == ["pipx install .", f"quorate dev -data-dir={FOLDER}"]
    assert "\n[project.scripts]\nquorate = " in (ROOT / "pyproject.toml").read_text()
    for target in re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        if target != "demo":  # what a reader without pipx starts with
            assert f"make {target}" not in PAGE, "targets are for CONTRIBUTING.md"


def test_the_figures_are_those_of_the_benchmarks() -> None:
    found = json.loads((DOCS / "benchmarks.json").read_text())
    assert f"<!-- figures -->\n\n{short_table(found)}\n\n<!-- end" in PAGE


def test_the_tutorial_makes_the_server_lead_that_it_kills() -> None:
    tutorial = (DOCS / "tutorial.md").read_text()
    assert tutorial.index(TRANSFER) < tutorial.index("kill -9 28018")
    assert PAGE.index(TRANSFER) < PAGE.index("kill -9 28018")
