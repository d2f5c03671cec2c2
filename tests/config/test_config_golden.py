"""The golden cases agent-*: what real agents print and do with the same files and flags.

Where Quorate says more than they did (the line, the key), their text must still be its beginning;
where it says less or something else on purpose, the reason stands beside the case.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_hosts import HOST
from places import GOLDEN

from quorate.config import AgentConfig, Notes, load, reload
from quorate.config.read.flags import FLAGS
from quorate.errors import ConfigError

BOOLEAN = {flag.name for flag in FLAGS if flag.kind == "bool"}
INTEGER = {flag.name for flag in FLAGS if flag.kind == "int"}


class Case:
    """A golden case, its files written to `folder` and its flags split."""

    def __init__(self, name: str, folder: Path) -> None:
        text = (GOLDEN / "cli" / f"agent-{name}.json").read_text()
        case: dict[str, Any] = json.loads(text.replace("<cwd>", str(folder)))
        if name == "empty-config-dir":  # it uses a file that another case names
            Case("no-bootstrap-server", folder)
        for file, content in case["files"].items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(content)
        self.stdout: str = case["stdout"]
        self.stderr: list[str] = case["stderr"].splitlines()
        self.paths: list[str] = []
        self.flags: dict[str, object] = {}
        for word in case["argv"][2:]:
            name, _, value = word.lstrip("-").partition("=")
            if name == "config":
                self.paths.append(value)
            elif name in BOOLEAN:
                self.flags[name] = True
            else:
                self.flags[name] = int(value) if name in INTEGER else value

    def load(self) -> tuple[AgentConfig, Notes]:
        return load(self.paths, self.flags, "dev" in self.flags, host=HOST)

    def refusal(self) -> str:
        with pytest.raises(ConfigError) as caught:
            self.load()
        assert "\n" not in caught.value.text + caught.value.next_step
        return f"==> {caught.value.text}"


@pytest.mark.parametrize(
    "name",
    [
        "bootstrap-without-server",
        "loopback-without-advertise",
        "missing-config",
        "no-datadir",
        "no-mode",
        "relative-datadir",
    ],
)
def test_refused_with_the_same_text(name: str, tmp_path: Path) -> None:
    case = Case(name, tmp_path)
    assert [case.refusal()] == case.stderr


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("bad-encrypt", " ({cwd}/en.hcl:8)"),
        ("unknown-key", " (line 9)"),
        ("unknown-top-key", " (line 6)"),
    ],
)
def test_refused_with_the_same_text_and_the_place(name: str, where: str, tmp_path: Path) -> None:
    case = Case(name, tmp_path)
    assert case.refusal() == case.stderr[0] + where.format(cwd=tmp_path)


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        # Our parser is another; it names the place where the value is missing.
        ("bad-hcl", "At 2:2: object expected closing RBRACE got: EOF", "At 1:20: unexpected end"),
        # Theirs does not say which key it is.
        (
            "bad-type",
            'decodeBool: Unknown value for boolean: "maybe"',
            'server.enabled must be true or false, got "maybe" (line 3)',
        ),
        # Protocols 0 and 1 are older than anything we speak to.
        ("bad-raft-protocol", "must be >= 1 and <= 3", "must be 3"),
    ],
)
def test_refused_with_a_text_of_our_own(name: str, theirs: str, ours: str, tmp_path: Path) -> None:
    case = Case(name, tmp_path)
    expected = case.stderr[-1]
    assert theirs in expected
    assert case.refusal().startswith(expected.replace(theirs, ours))


@pytest.mark.parametrize(
    "name",
    ["empty-config-dir", "merge", "no-bootstrap-server", "sighup", "sighup-broken", "sigterm"],
)
def test_loaded_as_golden(name: str, tmp_path: Path) -> None:
    case = Case(name, tmp_path)
    config, notes = case.load()
    assert notes.loaded_line() == case.stdout.splitlines()[0]
    shown = {line.strip() for line in case.stdout.splitlines()}
    advertise = config.advertise
    addresses = f"HTTP: {advertise.http}; RPC: {advertise.rpc}; Serf: {advertise.serf}"
    assert f"Advertise Addrs: {addresses}" in shown
    assert f"Region: {config.region} (DC: {config.datacenter})" in shown
    assert f"Log Level: {config.log_level}" in shown
    theirs = list(dict.fromkeys(case.stderr))  # SIGHUP printed the warning once more
    assert list(notes.error_lines()) == [
        line for line in theirs if "Error" not in line and "Failed" not in line
    ]


def test_merge_of_folder_file_and_flags(tmp_path: Path) -> None:
    config, _ = Case("merge", tmp_path).load()
    assert config.name == "from-b"
    assert (config.region, config.datacenter, config.log_level) == ("rover", "flagdc", "WARN")
    assert (config.server.bootstrap_expect, config.server.raft_protocol) == (1, 3)
    assert config.telemetry.prometheus_metrics


def test_an_even_number_of_servers_is_accepted_and_warned_about(tmp_path: Path) -> None:
    config, notes = Case("bootstrap-even", tmp_path).load()
    assert config.server.bootstrap_expect == 2
    assert "2 servers survives no more failures than one of 1" in notes.warnings[0]


def test_dev_and_bootstrap_expect(tmp_path: Path) -> None:
    case = Case("dev-and-bootstrap", tmp_path)
    config, notes = case.load()
    assert notes.loaded_line() == case.stdout.splitlines()[0]
    assert config.advertise.rpc == "127.0.0.1:4647"
    assert config.log_level == "DEBUG"
    assert config.server.bootstrap_expect == 1
    assert notes.warnings == ("WARNING: Not used in dev mode: server.bootstrap_expect",)


def test_sigterm_case_leaves(tmp_path: Path) -> None:
    config, notes = Case("sigterm", tmp_path).load()
    assert config.leave_on_terminate
    assert not config.leave_on_interrupt
    assert not any("leaves" in warning for warning in notes.warnings)  # it gossips, so it leaves


def test_a_broken_file_at_reload_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    case = Case("sighup-broken", tmp_path)
    config, _ = case.load()
    (tmp_path / "hup.hcl").write_text("server { \n")
    with pytest.raises(ConfigError) as caught:
        reload(config, case.paths, case.flags, host=HOST)
    start, _, _ = case.stderr[1].partition("At ")
    assert f"==> {caught.value.text}".startswith(f"{start}At ")
