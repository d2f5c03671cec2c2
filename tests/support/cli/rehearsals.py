"""Drills of `quorate dev` as a program runs them, and the commands of the runbook for them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from patience import PATIENCE_S
from places import DOCS
from server_processes import free_ports, until

PAGE = (DOCS / "outage.md").read_text()
_COMMAND = re.compile(r"^ *((?:quorate|curl|kill|df|rm|cp) .*)$", re.MULTILINE)
_FENCED = re.compile(r"^( *)```\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, list[str]]:
    """The commands of each section of the runbook that has some, by heading, as printed."""
    parts = re.split(r"^#+ (.*)\n", PAGE, flags=re.MULTILINE)[1:]
    found = {}
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        commands = [line for block in _FENCED.findall(text) for line in _COMMAND.findall(block[1])]
        if commands:
            found[heading] = commands
    return found


class Typed(NamedTuple):
    """What a command has printed, both outputs, and its exit code."""

    text: str
    code: int


def with_programs() -> dict[str, str]:
    """The environment of a shell in which `quorate` is on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def typed(command: str, words: Mapping[str, str], folder: Path, **environ: str) -> Typed:
    """Type a command of the page in this folder, with other words; with `&` it goes on."""
    for theirs, ours in words.items():
        command = command.replace(theirs, ours)
    if command.endswith("&"):
        command = f"{command[:-1]} </dev/null >>agents 2>&1 &"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**with_programs(), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Typed(done.stdout + done.stderr, done.returncode)


class Rehearsal:
    """A drill that runs, the events that it has told, and what a person types meanwhile."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.said = folder / "said"
        # Not in `folder`, whose path is longer than that of a socket may be.
        self.scratch = Path(tempfile.mkdtemp(prefix="drill-"))
        (port,) = free_ports(1)
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                ["quorate", "dev", f"-drill={name}", "-json", f"-http-port={port}"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**with_programs(), "TMPDIR": str(self.scratch)},
            )
        self.servers: dict[str, dict[str, Any]] = {}

    def event(self, kind: str) -> dict[str, Any]:
        """Wait for it."""

        def told() -> dict[str, Any] | None:
            lines = self.said.read_text().splitlines(keepends=True)
            whole = [json.loads(line) for line in lines if line[0] == "{" and line[-1] == "\n"]
            for event in whole:
                if event["event"] == kind:
                    found: dict[str, Any] = event
                    return found
            assert self.process.poll() is None, self.said.read_text()
            return None

        event = until(told, lambda: f"{kind}: {self.said.read_text()}", 240)
        assert event is not None
        return event

    def situation(self) -> dict[str, Any]:
        """Wait until the cluster is broken; where its servers are is known from then on."""
        event = self.event("situation")
        self.servers = {server["name"]: server for server in event["servers"]}
        return event

    def named(self, text: str) -> list[dict[str, Any]]:
        """The servers that the text of the situation names, in its order."""
        return [self.servers[name] for name in dict.fromkeys(re.findall(r"server-\d", text))]

    def type(self, command: str, words: Mapping[str, str]) -> Typed:
        """Type a command of the page, with the words of this cluster; with `&` it goes on."""
        return typed(command, words, self.folder, TMPDIR=str(self.scratch))

    def members(self, server: dict[str, Any]) -> dict[str, str]:
        """The IDs that this server knows, by RPC address."""
        url = f"{server['address']}/v1/operator/raft/configuration?stale"
        typed = self.type(f"curl -s '{url}'", {})
        return {row["Address"]: row["ID"] for row in json.loads(typed.text)["Servers"]}

    def nothing_is_left(self) -> None:
        """No folder, and no process that runs on one."""
        assert not list(self.scratch.iterdir())
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            assert str(self.scratch).encode() not in words, words

    def end(self) -> None:
        """Give up what is not mended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE_S)
        shutil.rmtree(self.scratch)


@contextmanager
def rehearsal(folder: Path, name: str) -> Iterator[Rehearsal]:
    """A drill, which is given up at the end if it still runs."""
    drill = Rehearsal(folder, name)
    try:
        yield drill
    finally:
        drill.end()
