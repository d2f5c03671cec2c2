"""`quorate dev` with its real servers: up, explained, stopped; only the data folder stays."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from patience import PATIENCE_S
from server_processes import free_ports, until

pytestmark = pytest.mark.process


def alive(pid: int) -> bool:
    """A process that is neither gone nor a zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class Dev:
    """A running `quorate dev` with real servers, its words in `output`."""

    def __init__(self, folder: Path, output: Path, *arguments: str, **environment: str) -> None:
        (port,) = free_ports(1)
        self.output = output
        self.children: list[int] = []
        with output.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quorate", "dev", f"-http-port={port}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=folder,
                env={**os.environ, **environment},
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def up(self) -> None:
        """Wait until it has explained."""
        until(lambda: "Ctrl-C stops all servers." in self.said, "the explanation", 60)
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.children = [int(pid) for pid in listed.split()]

    def step(self, does: str) -> list[str]:
        """The words of the line to copy under the step that says this."""
        found = re.search(
            rf"^  # [^\n]*{re.escape(does)}[^\n]*\n  ([^\n]*)$", self.said, re.MULTILINE
        )
        assert found, self.said
        return shlex.split(found[1])

    def stop(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        assert self.process.wait(PATIENCE_S) == 0
        until(lambda: not any(map(alive, self.children)), "the servers to be gone")

    def end(self) -> None:
        for pid in (self.process.pid, *self.children):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)


def ran(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_three_servers_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    passing = tmp_path / "tmp"
    passing.mkdir()
    dev = Dev(tmp_path, tmp_path / "said", "-servers=3", TMPDIR=str(passing))
    try:
        dev.up()
        assert len(dev.children) == 3
        rows = re.findall(r"^server-\d\.global .*$", dev.said, re.MULTILINE)
        assert len(rows) == 3
        assert sum("leader" in row for row in rows) == 1
        dev.stop(number)
    finally:
        dev.end()
    (folder,) = passing.iterdir()
    kinds = ("", ".json", ".log")
    assert {path.name for path in folder.iterdir()} == {
        f"server-{number}{kind}" for number in (1, 2, 3) for kind in kinds
    }
    assert str(folder) in dev.said
    assert "Traceback" not in dev.said
    assert {path.name for path in tmp_path.iterdir()} == {"tmp", "said"}


def test_the_guide_is_true(tmp_path: Path) -> None:
    """Every line it prints, in its order: what is said above it happens."""
    dev = Dev(tmp_path, tmp_path / "said", f"-data-dir={tmp_path / 'data'}")
    by_hand = None
    try:
        dev.up()
        assert ran(dev.step("Ask another server")).stdout.count("follower") == 2
        members = dev.step("live members")
        assert ran(members).stdout.count(" alive ") == 3
        assert ran(dev.step("the leader")).returncode == 0
        until(lambda: ran(dev.step("the new leader")).stdout.count(" leader ") == 1, "a new leader")
        until(lambda: ran(members).stdout.count(" failed ") == 1, "the dead one to be failed")
        assert ran(dev.step("remove it")).stdout.startswith("Removed peer with id")
        by_hand = subprocess.Popen(
            dev.step("Start it again"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        health = dev.step("its health says so")
        until(lambda: "run: quorate server rejoin" in ran(health).stdout, "its health to tell")
        assert ran(dev.step("the new leader")).stdout.count("\n") == 3  # heading and two servers
        back = ran(dev.step("Bring it back"))
        assert back.stdout.startswith("Rejoined as server"), back
        until(lambda: '"ok":true' in ran(health).stdout, "its health to be good")
        assert ran(dev.step("each server believes")).stdout.count("\n") == 4
        assert ran(dev.step("without a client")).stdout.count('"Address"') == 3
        dev.stop(signal.SIGINT)
        assert "runs in another terminal" in dev.said
    finally:
        dev.end()
        if by_hand:
            by_hand.kill()
            by_hand.wait(PATIENCE_S)


def test_the_guide_of_two_regions_is_true(tmp_path: Path) -> None:
    arguments = ("-regions=2", "-servers=1", f"-data-dir={tmp_path / 'data'}")
    dev = Dev(tmp_path, tmp_path / "said", *arguments)
    by_hand = None
    try:
        dev.up()
        assert re.findall(r"^server-\d\.\w+ ", dev.said, re.MULTILINE) == [
            "server-1.global ",
            "server-2.west ",
        ]
        members, voters = dev.step("all servers of all regions"), dev.step("the voters of west")
        assert ran(members).stdout.count(" true ") == 2
        assert ran(dev.step("Which regions")).stdout == '["global","west"]'
        assert "server-2.west" in ran(voters).stdout
        assert ran(dev.step("without a client")).stdout.startswith('"127.0.0.1:')
        assert ran(dev.step("Kill the whole region")).returncode == 0
        until(lambda: ran(members).stdout.count(" failed ") == 1, "west to be failed")
        assert 'Region "west"' in ran(members).stderr
        assert "No path to region" in ran(voters).stderr
        by_hand = subprocess.Popen(
            dev.step("Bring west back"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: ran(members).returncode == 0, "west to be back")
        dev.stop(signal.SIGTERM)
    finally:
        dev.end()
        if by_hand:
            by_hand.kill()
            by_hand.wait(PATIENCE_S)


@pytest.mark.long
def test_a_cluster_that_asks_for_certificates_and_tokens(tmp_path: Path) -> None:
    """`-tls`: one command; the variables that it prints are all that its own commands need.

    And python-nomad, a client that none of us wrote, with tokens over mutual TLS.
    """
    data = Path(tempfile.mkdtemp(prefix="q"))  # sockets have short paths
    dev = Dev(tmp_path, tmp_path / "said", f"-data-dir={data}", "-tls")
    try:
        dev.up()
        given = dict(re.findall(r"^    export (\w+)=(.*)$", dev.said, re.MULTILINE))
        assert len(given) == 5
        peers = dev.step("Ask another server")
        plain = {name: value for name, value in os.environ.items() if "QUORATE" not in name}

        def said(*without: str) -> str:
            some = {name: value for name, value in given.items() if name not in without}
            asked = subprocess.run(
                peers, capture_output=True, text=True, timeout=30, check=False, env=plain | some
            )
            return asked.stdout + asked.stderr

        assert said().count("follower") == 2
        assert "Permission denied" in said("QUORATE_TOKEN_FILE")
        assert "Failed to retrieve" in said("QUORATE_CLIENT_CERT", "QUORATE_CLIENT_KEY")
        _ask_as_python_nomad(given)
        assert stat.S_IMODE((data / "token").stat().st_mode) == 0o600
        dev.stop(signal.SIGINT)
        secret = (data / "token").read_text().strip()
        for log in data.glob("*.log"):
            assert secret not in log.read_text()
    finally:
        dev.end()
        shutil.rmtree(data)


def _ask_as_python_nomad(given: dict[str, str]) -> None:
    nomad = pytest.importorskip("nomad", reason="needs python-nomad")
    refused = nomad.api.exceptions.URLNotAuthorizedNomadException
    address = urlsplit(given["QUORATE_ADDR"])

    def client(token: str) -> Any:
        return nomad.Nomad(
            host=address.hostname,
            port=address.port,
            secure=True,
            verify=given["QUORATE_CACERT"],
            cert=(given["QUORATE_CLIENT_CERT"], given["QUORATE_CLIENT_KEY"]),
            token=token,
            timeout=10,
        )

    boss = client(Path(given["QUORATE_TOKEN_FILE"]).read_text().strip())
    assert len(boss.operator.get_configuration()["Servers"]) == 3
    rules = """operator { policy = "read" }
        namespace "default" { variables { path "app/*" { capabilities = ["read", "write"] } } }"""
    boss.acl.create_policy("reader", {"Name": "reader", "Rules": rules})
    made = boss.acl.create_token({"Name": "r", "Type": "client", "Policies": ["reader"]})
    assert {each["Name"] for each in boss.acl.get_tokens()} == {"Bootstrap Token", "r"}
    reader = client(made["SecretID"])
    assert reader.acl.get_self_token()["Name"] == "r"
    reader.variable.create_variable("app/x", {"Items": {"k": "v"}})
    assert reader.variable.get_variable("app/x")["Items"] == {"k": "v"}
    for call, *arguments in (
        (reader.operator.get_configuration,),
        (reader.agent.get_members,),
        (reader.acl.get_tokens,),
        (reader.variable.get_variable, "other/x"),
        (client("").agent.get_members,),
    ):
        with pytest.raises(refused):
            call(*arguments)
    boss.acl.delete_token(made["AccessorID"])
    with pytest.raises(refused):
        reader.variable.get_variable("app/x")
