"""Completion, tried in the shells themselves where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cli_run import run

from quorate.cli.completion.words import places, written
from quorate.cli.registry.index import BY_PATH, GROUP_BY_PATH

SHELLS = ("bash", "zsh", "fish")
ASK_BASH = """
set -u
source "$1"
COMP_WORDS=("${@:2}")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_quorate
printf '%s\\n' "${COMPREPLY[@]-}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    made = {}
    for shell in SHELLS:
        made[shell] = folder / f"quorate.{shell}"
        made[shell].write_text(run("completion", shell).stdout)
    return made


def offered(script: Path, *words: str, cwd: Path | None = None) -> list[str]:
    """What bash offers when the words are typed and the tab key is hit after the last."""
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK_BASH, "bash", str(script), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        cwd=cwd,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("quorate", ""), [*places()[0].words]),
        (("quorate", "op"), ["operator"]),
        (("quorate", "operator", "ra"), ["raft"]),
        (
            ("quorate", "operator", "raft", ""),
            [
                "compact",
                "info",
                "list-peers",
                "logs",
                "remove-peer",
                "salvage",
                "state",
                "transfer-leadership",
                "views",
            ],
        ),
        (("quorate", "operator", "raft", "list-peers", "-st"), ["-stale"]),
        (("quorate", "operator", "raft", "list-peers", "-stale", "-js"), ["-json"]),
        (("quorate", "operator", "raft", "remove-peer", "-peer"), ["-peer-id=", "-peer-address="]),
        (("quorate", "completion", ""), ["bash", "zsh", "fish"]),
        (("quorate", "completion", "z"), ["zsh"]),
        (("quorate", "nosuch", "x"), []),
        (
            ("quorate", "operator", "scheduler", "set-config", "-scheduler-algorithm", "="),
            ["binpack", "spread"],
        ),
        (
            ("quorate", "operator", "scheduler", "set-config", "-scheduler-algorithm", "=", "s"),
            ["spread"],
        ),
        (("quorate", "operator", "raft", "list-peers", "-address", "=", "h"), []),
    ],
)
def test_bash_offers(words: tuple[str, ...], expected: list[str], scripts: dict[str, Path]) -> None:
    assert sorted(offered(scripts["bash"], *words)) == sorted(expected)


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_offers_files_for_files(scripts: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "authority.pem").touch()
    words = ("quorate", "operator", "raft", "list-peers", "-ca-cert", "=", "auth")
    assert offered(scripts["bash"], *words, cwd=tmp_path) == ["authority.pem"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_word_and_option_is_in_every_script(shell: str, scripts: dict[str, Path]) -> None:
    text = scripts[shell].read_text()
    for path in (*BY_PATH, *GROUP_BY_PATH):
        assert "/" + "/".join(path) in text
    for place in places():
        for flag in place.flags:
            assert (f"-o {flag.name} " if shell == "fish" else written(flag)) in text


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_reads_the_script(shell: str, scripts: dict[str, Path]) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed: its script is not tried")
    done = subprocess.run(
        [program, "-n", str(scripts[shell])], capture_output=True, check=False, timeout=20
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_fish_offers(scripts: dict[str, Path]) -> None:
    program = shutil.which("fish")
    if program is None:
        pytest.skip("fish is not installed: its script is not tried")
    code = f"source {scripts['fish']}; complete -C 'quorate operator raft '"
    done = subprocess.run(
        [program, "--no-config", "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert words == [
        "compact",
        "info",
        "list-peers",
        "logs",
        "remove-peer",
        "salvage",
        "state",
        "transfer-leadership",
        "views",
    ]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ((), "This command takes one argument: bash, zsh or fish"),
        (("tcsh",), 'unknown shell "tcsh"; there are scripts for bash, zsh, fish'),
    ],
)
def test_mistakes(argv: tuple[str, ...], text: str) -> None:
    ran = run("completion", *argv)
    assert ran.code == 1
    assert ran.stderr.startswith(text)
