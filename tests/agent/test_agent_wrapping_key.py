"""Where wrapping keys come from: a file, the environment, a command. No error shows them."""

from __future__ import annotations

import os
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from quorate.agent.wrapping_key import TEXT_BYTES_MAX, wrapping_again, wrapping_of
from quorate.config.load import load
from quorate.config.model import AgentConfig, Server
from quorate.errors import ConfigError, QuorateError
from quorate.server.secrets.wrapping import NO_WRAPPING, id_of
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY

KEY = bytes(range(32))
OLD = bytes(range(1, 33))
LINE = b64encode(KEY).decode()
TEXT = f"# of the cluster\n\n{LINE}\n{b64encode(OLD).decode()}\n"


def configured(**server: Any) -> AgentConfig:
    return AgentConfig(server=Server(**server))


def file_with(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "wrapping.key"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def printing(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r}, end='')")


def test_none_is_configured() -> None:
    assert wrapping_of(AgentConfig(), {}) is NO_WRAPPING


def test_each_source_gives_the_same_keys(tmp_path: Path) -> None:
    environ = {"WRAP": TEXT, "OTHER": "x"}
    found = [
        wrapping_of(configured(wrapping_key_file=file_with(tmp_path, TEXT)), {}),
        wrapping_of(configured(wrapping_key_env="WRAP"), environ),
        wrapping_of(configured(wrapping_key_command=printing(TEXT)), {}),
    ]
    assert {each.current_id for each in found} == {id_of(KEY)}
    assert {each.ids for each in found} == {frozenset({id_of(KEY), id_of(OLD)})}
    assert environ == {"OTHER": "x"}, "no child process gets it"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = file_with(tmp_path, TEXT, mode)
    with pytest.raises(QuorateError, match=f"others than its owner may use it .mode {mode:04o}"):
        wrapping_of(configured(wrapping_key_file=path), {})


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path / "none", tmp_path, pipe):
        with pytest.raises(QuorateError, match="wrapping_key_file"):
            wrapping_of(configured(wrapping_key_file=str(path)), {})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has 0 keys"),
        ("none\n", "it has 0 keys"),
        (f"{LINE}\n" * 9, "it has 9 keys"),
        (LINE[:-4], "key 1 is not base64 of 32 bytes"),
        (f"{LINE}\nsecret text", "key 2 is not base64 of 32 bytes"),
        ("é" * 40, "other bytes than text"),
        ("x" * (TEXT_BYTES_MAX + 1), "gives more than 65536 bytes"),
    ],
)
def test_a_text_that_holds_no_keys(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(QuorateError) as caught:
        wrapping_of(configured(wrapping_key_file=file_with(tmp_path, text)), {})
    assert why in caught.value.text
    assert caught.value.next_step
    assert "secret" not in caught.value.line()
    assert LINE[:10] not in caught.value.line()


def test_a_variable_that_is_not_there() -> None:
    with pytest.raises(QuorateError, match="there is no such variable"):
        wrapping_of(configured(wrapping_key_env="WRAP"), {})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("/no/such/program",), "it cannot be run: No such file"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "it ended with 3"),
        ((sys.executable, "-c", "import os; os.write(1, b'x' * 10**7)"), "more than 65536 bytes"),
        (("/bin/echo", "$HOME; `id`"), "key 1 is not base64"),
    ],
)
def test_a_command_that_gives_no_key(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(QuorateError, match=why):
        wrapping_of(configured(wrapping_key_command=words), {})


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(60)",
        # It has printed all, and a child of it holds the pipe open.
        "import subprocess, sys; subprocess.Popen(['sleep', '60']); print('x')",
        "import os, time; os.close(1); time.sleep(60)",
    ],
)
def test_a_command_that_does_not_end_is_killed(program: str) -> None:
    began = time.monotonic()
    with pytest.raises(QuorateError, match=r"it has not ended within 0\.5 s"):
        wrapping_of(
            configured(wrapping_key_command=(sys.executable, "-c", program)), {}, timeout_s=0.5
        )
    assert time.monotonic() - began < 30


def test_a_command_that_prints_without_end_is_not_waited_for() -> None:
    program = "import os\nwhile True: os.write(1, b'x' * 65536)"
    began = time.monotonic()
    with pytest.raises(QuorateError, match="more than 65536 bytes"):
        wrapping_of(configured(wrapping_key_command=(sys.executable, "-c", program)), {})
    assert time.monotonic() - began < 15, "far below its deadline"


def configuration(tmp_path: Path, server: str) -> AgentConfig:
    lines = (
        f'data_dir = "{tmp_path}"',
        'bind_addr = "127.0.0.1"',
        'advertise { http = "10.0.0.1" rpc = "10.0.0.1" serf = "10.0.0.1" }',
        f"server {{\n enabled = true\n{server}\n}}",
    )
    path = tmp_path / "agent.hcl"
    path.write_text("\n".join(lines))
    return load([str(path)], {})[0]


def test_the_configuration_names_one_source(tmp_path: Path) -> None:
    config = configuration(tmp_path, 'wrapping_key_command = ["/bin/fetch", "--key", "a"]')
    assert config.server.wrapping_key_command == ("/bin/fetch", "--key", "a")
    for server, why in (
        ('wrapping_key_file = "/a"\nwrapping_key_env = "B"', "both give the wrapping key"),
        ('wrapping_key_file = "a"', "must begin with an absolute path"),
        ('wrapping_key_command = ["fetch"]', "must begin with an absolute path"),
    ):
        with pytest.raises(ConfigError, match=why):
            configuration(tmp_path, server)


def test_keys_of_a_file_are_read_again_and_those_of_the_environment_are_not(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(b64encode(b"1" * 32).decode())
    config = configured(wrapping_key_file=str(file))
    wrapping = wrapping_of(config, {})
    state = StateStore(TODAY)
    file.write_text(f"{b64encode(b'2' * 32).decode()}\n{b64encode(b'1' * 32).decode()}\n")
    again = wrapping_again(config)
    assert again is not None
    assert wrapping.take(again, state)
    assert wrapping.ids == {id_of(b"1" * 32), id_of(b"2" * 32)}
    assert wrapping.current_id == id_of(b"2" * 32)
    assert not wrapping.take(again, state), "nothing is new"
    file.write_text("rubbish")
    with pytest.raises(QuorateError, match="key 1 is not base64"):
        wrapping_again(config)
    assert wrapping_again(configured(wrapping_key_env="KEY")) is None
