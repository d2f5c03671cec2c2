"""The program as a whole: exit codes, help, misspelt words, hints, colours, quiet ends."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, Reply, closed_port, golden_http, json_reply

import quorate.cli.main as main_module
from quorate.cli.command import Command, Group
from quorate.cli.registry.index import COMMANDS, GROUPS, words_below
from quorate.cli.text.output import Output

RAFT = "GET /v1/operator/raft/configuration"
LIST = ("operator", "raft", "list-peers")


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_command_explains_itself(command: Command, word: str) -> None:
    ran = run(*command.path, word)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"Usage: {command.name}")
    assert "Examples:" in ran.stdout
    assert command.examples
    shown = re.sub(r" \\\n +", " ", ran.stdout)
    assert all(example.line in shown for example in command.examples)
    for flag in command.all_flags():
        assert (f"  -{flag.name}" in ran.stdout) is not flag.hidden
    assert max(map(len, ran.stdout.splitlines())) < 120


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_examples_are_lines_of_the_command_and_parse(command: Command) -> None:
    import shlex

    from quorate.cli.flags import parse

    for example in command.examples:
        words = shlex.split(example.line.replace("<(", "").replace(")", ""))
        start = words.index("quorate") + 1
        end = next((i for i in range(start, len(words)) if words[i] in {"|", ";"}), len(words))
        assert tuple(words[start : start + len(command.path)]) == command.path
        parse(command.all_flags(), words[start + len(command.path) : end])


@pytest.mark.parametrize("group", GROUPS, ids=lambda g: " ".join(g.path))
def test_every_group_lists_what_is_below_it(group: Group) -> None:
    alone, helped = run(*group.path), run(*group.path, "-help")
    assert (alone.code, helped.code) == (1, 0)
    assert alone.stdout == helped.stdout
    below = words_below(group.path)
    assert below
    assert all(f"  {word} " in alone.stdout for word in below)


@pytest.mark.parametrize(
    ("argv", "code"),
    [((), 127), (("nosuch",), 127), (("-nope",), 127), (("-help",), 0), (("help",), 0)],
)
def test_the_root(argv: tuple[str, ...], code: int) -> None:
    ran = run(*argv)
    assert ran.code == code
    assert ran.stdout.startswith("Usage: quorate")


@pytest.mark.parametrize(
    ("argv", "code", "meant"),
    [
        (("operatr",), 127, "quorate operator"),
        (("operator", "rfat", "list-peers"), 1, "quorate operator raft"),
        (("operator", "raft", "list-peer"), 1, "quorate operator raft list-peers"),
    ],
)
def test_a_misspelt_word_gets_a_suggestion(argv: tuple[str, ...], code: int, meant: str) -> None:
    ran = run(*argv)
    assert ran.code == code
    assert ran.stderr.endswith(f"Did you mean '{meant}'?\n")


def test_a_word_like_no_other_is_named() -> None:
    """At the top on standard output, where today's program has nothing on standard error."""
    top = run("nosuch")
    assert (top.code, top.stderr) == (127, "")
    assert top.stdout.endswith("There is no command 'nosuch'\n")
    below = run("operator", "raft", "nosuch")
    assert below.code == 1
    assert below.stderr == (
        "There is no 'nosuch' in 'quorate operator raft'; its words are listed above\n"
    )


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_color(value: str, coloured: bool) -> None:
    """no-color.org: set and not empty."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Output(Terminal(), Terminal(), {"NO_COLOR": value})
    out.table("Heading\nrow")
    assert isinstance(out.stdout, Terminal)
    assert ("\x1b[" in out.stdout.getvalue()) is coloured


@pytest.mark.parametrize("word", ["version", "-v", "-version", "--version"])
def test_version(word: str) -> None:
    assert run(word).stdout.startswith("Quorate v")


def test_wrong_option_outside_operator_has_no_second_line() -> None:
    assert run("server", "members", "-nope").stderr == "flag provided but not defined: -nope\n"


def test_json_and_template_exclude_each_other() -> None:
    ran = run(*LIST, "-json", "-t={{.}}")
    assert ran.code == 1
    assert ran.stderr.startswith("Give either -json or -t, not both\n")


# -- where the settings come from ---------------------------------------------------------------


def test_flag_before_quorate_before_nomad() -> None:
    with FakeAgent({RAFT: golden_http("r3-raft-config-leader")}) as agent:
        dead = f"http://127.0.0.1:{closed_port()}"
        assert run(*LIST, env={"NOMAD_ADDR": agent.address}).code == 0
        assert run(*LIST, env={"QUORATE_ADDR": agent.address, "NOMAD_ADDR": dead}).code == 0
        assert run(*LIST, f"-address={agent.address}", env={"QUORATE_ADDR": dead}).code == 0
        assert run(*LIST, env={"QUORATE_ADDR": dead, "NOMAD_ADDR": agent.address}).code == 1


def test_variables_reach_the_request() -> None:
    env = {
        "NOMAD_TOKEN": "old",
        "QUORATE_TOKEN": "new",
        "NOMAD_REGION": "west",
        "NOMAD_NAMESPACE": "team",
        "NOMAD_HTTP_AUTH": "u:p",
    }
    with FakeAgent({}) as agent:
        run(*LIST, "-region=east", env={**env, "NOMAD_ADDR": agent.address})
    (seen,) = agent.requests
    assert seen.target == "/v1/operator/raft/configuration?namespace=team&region=east"
    assert seen.headers["x-nomad-token"] == "new"
    assert seen.headers["authorization"] == "Basic dTpw"


def test_a_variable_that_is_no_boolean() -> None:
    ran = run(*LIST, env={"NOMAD_SKIP_VERIFY": "maybe"})
    assert ran.code == 1
    assert ran.stderr.startswith("Error initializing client: could not parse NOMAD_SKIP_VERIFY:")


@pytest.mark.parametrize("flag", ["-insecure", "-tls-skip-verify"])
def test_both_words_for_skip_verify(flag: str) -> None:
    from client_fake_agent import TLS, server_context

    files = (f"-client-cert={TLS / 'client.pem'}", f"-client-key={TLS / 'client.key'}")
    reply = golden_http("r3-raft-config-leader")
    with FakeAgent({RAFT: reply}, tls=server_context()) as agent:
        assert run(*LIST, flag, *files, env={"NOMAD_ADDR": agent.address}).code == 0


# -- hints and colours --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "terminal", "hinted"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"NOMAD_CLI_SHOW_HINTS": "true"}, False, True),
        ({"NOMAD_CLI_SHOW_HINTS": "false"}, True, False),
        ({"QUORATE_CLI_SHOW_HINTS": "0", "NOMAD_CLI_SHOW_HINTS": "1"}, True, False),
    ],
)
def test_hints(env: dict[str, str], terminal: bool, hinted: bool) -> None:
    ran = run(*LIST, "-address=:bad:", env=env, terminal=terminal)
    assert ("\nHint: write it as http://" in ran.stderr) is hinted


@pytest.mark.parametrize(
    ("flags", "env", "terminal", "coloured"),
    [
        ((), {}, False, False),
        ((), {}, True, True),
        (("-no-color",), {}, True, False),
        (("-force-color",), {}, False, True),
        (("-no-color", "-force-color"), {}, True, False),
        ((), {"NOMAD_CLI_NO_COLOR": "1"}, True, False),
        ((), {"QUORATE_CLI_FORCE_COLOR": "1"}, False, True),
        (("-force-color",), {"NOMAD_CLI_NO_COLOR": "1"}, False, True),
    ],
)
def test_colours(
    flags: tuple[str, ...], env: dict[str, str], terminal: bool, coloured: bool
) -> None:
    with FakeAgent({RAFT: golden_http("r3-raft-config-leader")}) as agent:
        good = run(*LIST, *flags, env={**env, "NOMAD_ADDR": agent.address}, terminal=terminal)
    bad = run(*LIST, *flags, "-address=:bad:", env=env, terminal=terminal)
    assert good.stdout.startswith("\x1b[1mNode " if coloured else "Node ")
    assert bad.stderr.startswith("\x1b[31mError" if coloured else "Error")


# -- quiet ends ---------------------------------------------------------------------------------


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_dispatch", interrupted)
    assert run("version") == Ran(130, "", "")


def start(*argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "quorate", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )


def test_ctrl_c_in_a_real_process_is_quiet() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start(*LIST, f"-address={address}") as process:
            connection, _ = silent.accept()  # it waits for an answer now
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "quorate", "operator", "-help"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_said() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "quorate", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"Error: cannot write the output: No space left on device\n"


def test_a_poor_terminal_shows_escapes_and_no_traceback() -> None:
    with FakeAgent({"GET /v1/agent/self": json_reply({"stats": {"a": {"b": "1µs"}}})}) as agent:
        done = subprocess.run(
            [sys.executable, "-m", "quorate", "agent-info", f"-address={agent.address}"],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            timeout=20,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, b"a\n  b = 1\\xb5s\n")


@pytest.mark.parametrize("argv", [("version",), ("-help",), (*LIST, "-help")])
def test_heavy_modules_are_not_loaded_for_version_and_help(argv: tuple[str, ...]) -> None:
    """The measure of a fast start that does not depend on the machine."""
    code = (
        "import sys; from quorate.cli.main import main; main(sys.argv[1:]); "
        "sys.exit(any(m in sys.modules for m in ('httpx', 'msgspec', 'asyncio', 'ssl')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_streams_that_are_replaced_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stdout", replaced)
    assert main_module.main(["version"]) == 0
    assert replaced.getvalue().startswith("Quorate v")


@pytest.mark.parametrize(
    ("route", "argv", "has_stale"),
    [
        (RAFT, LIST, True),
        ("PUT /v1/var/a?cas=0", ("var", "put", "a", "k=v"), False),
        ("GET /v1/var/a", ("var", "get", "a"), False),
    ],
)
def test_without_a_leader_only_options_that_there_are_are_advised(
    route: str, argv: tuple[str, ...], *, has_stale: bool
) -> None:
    told = (("X-Quorate-Next", "wait for an election, or ask with ?stale"),)
    why = json_reply({"stats": {"quorate": {"waiting": "no leader: missing: s2.global"}}})
    routes = {route: Reply(500, b"No cluster leader", told), "GET /v1/agent/self": why}
    with FakeAgent(routes) as agent:
        ran = run(*argv, env={"NOMAD_ADDR": agent.address, "NOMAD_CLI_SHOW_HINTS": "1"})
    assert ran.code == 1
    assert "Hint: no leader: missing: s2.global; wait for an election" in ran.stderr
    assert "?stale" not in ran.stderr
    assert ("-stale" in ran.stderr) is has_stale
    assert "quorate operator diagnose" in ran.stderr
