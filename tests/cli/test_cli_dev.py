"""`quorate dev`: the parts that plan and speak; no server is started here."""

import json
import shlex
import socket
from pathlib import Path

import pytest
from cli_run import run
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.context import Failure
from quorate.cli.dev import texts
from quorate.cli.dev.plan import (
    ServerPlan,
    Wish,
    choose_ports,
    configuration,
    lay_out,
    read_back,
    write_configurations,
)
from quorate.cli.dev.ports import PortSet, plan_ports, port_is_free
from quorate.cli.dev.processes import agent_argv, how_it_ended
from quorate.cli.dev.standing import Standing
from quorate.client import RaftConfiguration, RaftServer

THREE = (PortSet(4646, 4647, 4648), PortSet(4656, 4657, 4658), PortSet(4666, 4667, 4668))


# -- ports --------------------------------------------------------------------------------------


def test_the_usual_ports_come_first() -> None:
    assert plan_ports(3, 4646, lambda _: True) == (THREE, ())


def test_a_taken_port_moves_to_the_next_set_and_is_said() -> None:
    plan = plan_ports(3, 4646, lambda port: port not in {4647, 4666})
    assert [ports.http for ports in plan.chosen] == [4656, 4676, 4686]
    assert texts.skipped_ports(plan) == [
        "==> Port 4647 is in use: skipping 4646 to 4648",
        "==> Port 4666 is in use: skipping 4666 to 4668",
    ]


def test_ports_run_out() -> None:
    with pytest.raises(Failure, match="not enough free ports from 65520 on for 3 servers"):
        plan_ports(3, 65520, lambda _: True)


@given(
    st.integers(1, 7),
    st.integers(1024, 60000),
    st.sets(st.integers(1024, 60100), max_size=30),
)
def test_chosen_ports_are_free_and_distinct(count: int, first: int, taken: set[int]) -> None:
    plan = plan_ports(count, first, lambda port: port not in taken)
    ports = [port for chosen in plan.chosen for port in chosen]
    assert len(ports) == len(set(ports)) == 3 * count
    assert not taken & set(ports)
    assert all(port >= first for port in ports)
    assert all(port in taken for _, port in plan.skipped)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_noticed(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)


# -- the folder and the configurations ----------------------------------------------------------


def test_configuration_of_a_server(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, THREE)
    assert configuration(servers[1], servers) == {
        "name": "server-2",
        "data_dir": str(tmp_path / "server-2"),
        "bind_addr": "127.0.0.1",
        "ports": {"http": 4656, "rpc": 4657, "serf": 4658},
        "advertise": {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"},
        "server": {
            "enabled": True,
            "initial_servers": ["127.0.0.1:4647", "127.0.0.1:4657", "127.0.0.1:4667"],
        },
    }


def test_a_cluster_that_was_written_is_read_back_and_kept(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, THREE)
    write_configurations(servers)
    assert read_back(tmp_path) == THREE
    assert all(server.data_dir.is_dir() for server in servers)
    changed = {**json.loads(servers[0].config.read_text()), "log_level": "DEBUG"}
    servers[0].config.write_text(json.dumps(changed))
    write_configurations(servers)
    assert json.loads(servers[0].config.read_text()) == changed


def wish(folder: Path | None, **given: int) -> Wish:
    return Wish(
        folder,
        given.get("servers", 3),
        given.get("http_port", 4646),
        servers_given="servers" in given,
        http_port_given="http_port" in given,
    )


def test_a_new_cluster_goes_where_it_is_wanted(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "new", tmp_path):
        plan, again = choose_ports(wish(folder, servers=1, http_port=5000), lambda _: True)
        assert (plan.chosen, again) == ((PortSet(5000, 5001, 5002),), False)


def test_a_cluster_that_comes_back_has_its_old_ports(tmp_path: Path) -> None:
    five = tuple(PortSet.starting_at(7000 + 10 * n) for n in range(5))
    write_configurations(lay_out(tmp_path, five))
    for asked in (wish(tmp_path), wish(tmp_path, servers=5, http_port=7000)):
        plan, again = choose_ports(asked, lambda _: True)
        assert (plan.chosen, plan.skipped, again) == (five, (), True)


@pytest.mark.parametrize(
    ("given", "taken", "text"),
    [
        ({"servers": 5}, (), "holds a cluster of 3, not of 5"),
        ({"http_port": 9000}, (), "uses HTTP port 4646 and keeps it"),
        ({}, (4657,), "port 4657 of server-2 in <dir> is in use"),
    ],
)
def test_a_cluster_that_cannot_come_back(
    given: dict[str, int], taken: tuple[int, ...], text: str, tmp_path: Path
) -> None:
    write_configurations(lay_out(tmp_path, THREE))
    with pytest.raises(Failure) as caught:
        choose_ports(wish(tmp_path, **given), lambda port: port not in taken)
    assert text in caught.value.text.replace(str(tmp_path), "<dir>")
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("other.txt", "", "is not empty and holds no cluster of quorate dev"),
        ("server-1.json", "{", "is not a configuration of quorate dev"),
        ("server-1.json", "[]", "is not a configuration of quorate dev"),
        ("server-1.json", '{"ports":{"http":1,"rpc":"x","serf":3}}', "is not a configuration"),
    ],
)
def test_folders_that_are_none_of_ours(name: str, content: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(Failure, match=text):
        read_back(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="is not a folder"):
        read_back(tmp_path / "file")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("-servers=0",), "Error: -servers must be between 1 and 7, got 0"),
        (("-servers=8",), "Error: -servers must be between 1 and 7, got 8"),
        (("-servers=x",), 'invalid value "x" for flag -servers'),
        (("-http-port=70000",), "Error: -http-port must be between 1 and 65533, got 70000"),
        (("extra",), "This command takes no arguments"),
        (("-data-dir=/dev/null",), "Error: -data-dir /dev/null is not a folder"),
        (("-data-dir=/dev/null/x",), "Error: cannot use /dev/null/x: Not a directory"),
    ],
)
def test_mistakes(argv: tuple[str, ...], text: str) -> None:
    ran = run("dev", *argv)
    assert ran.code == 1
    assert ran.stderr.startswith(text)


# -- waiting ------------------------------------------------------------------------------------


def answer(leader: int | None, voters: tuple[bool, ...], index: int = 1) -> RaftConfiguration:
    servers = tuple(
        RaftServer(id=f"id-{n}", address=f"127.0.0.1:{4647 + 10 * n}", leader=n == leader, voter=v)
        for n, v in enumerate(voters)
    )
    return RaftConfiguration(index=index, servers=servers)


ALL = (True, True, True)


@pytest.mark.parametrize(
    ("answers", "ready", "progress"),
    [
        ((None, None, None), False, "0 of 3 servers answer"),
        ((answer(0, ALL), None, None), False, "1 of 3 servers answer"),
        ((answer(None, ALL),) * 3, False, "3 of 3 servers answer, no leader yet"),
        ((answer(0, ALL), answer(0, ALL), answer(None, ALL)), False, "there is a leader, 3 of 3"),
        ((answer(0, ALL), answer(0, ALL), answer(1, ALL)), False, "there is a leader, 3 of 3"),
        ((answer(0, (True, True, False)),) * 3, False, "there is a leader, 2 of 3 are voters"),
        ((answer(0, (True,)),) * 3, False, "there is a leader, 1 of 3 are voters"),
        ((answer(2, ALL),) * 3, True, "there is a leader, 3 of 3 are voters"),
    ],
)
def test_standing(
    answers: tuple[RaftConfiguration | None, ...], ready: bool, progress: str
) -> None:
    standing = Standing(answers)
    assert standing.is_ready() is ready
    assert standing.progress().startswith(progress)


def test_the_newest_answer_that_knows_a_leader_counts() -> None:
    newer = answer(1, ALL, index=9)
    standing = Standing((answer(0, ALL), newer, answer(None, ALL, index=12), None))
    assert standing.newest is newer


# -- what it says -------------------------------------------------------------------------------


def plans(count: int) -> tuple[ServerPlan, ...]:
    return lay_out(Path("/data"), THREE[:count])


def test_what_to_try_next() -> None:
    servers = plans(3)
    agents = [agent_argv(server) for server in servers]
    text = texts.what_next("quorate", servers, [11, 22, 33], answer(2, ALL), agents)
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
    assert [line for line in lines if line] == [
        "Try next:",
        "quorate operator raft list-peers -address=http://127.0.0.1:4646",
        "kill -9 33",
        "quorate operator raft list-peers -address=http://127.0.0.1:4646",
        "quorate operator raft remove-peer -peer-id=id-2 -address=http://127.0.0.1:4646",
        shlex.join(agents[2]),
        "curl 'http://127.0.0.1:4646/v1/operator/raft/configuration?pretty'",
        "Ctrl-C stops all servers.",
    ]
    assert agents[2][1:] == ["-m", "quorate", "agent", "-config", "/data/server-3.json"]


def test_the_commands_it_gives_are_commands(tmp_path: Path) -> None:
    from quorate.cli.flags import parse
    from quorate.cli.registry import BY_PATH

    servers = plans(3)
    agents = [agent_argv(server) for server in servers]
    text = texts.what_next("quorate", servers, [1, 2, 3], answer(0, ALL), agents)
    text += texts.farewell("quorate", tmp_path / "a b")
    lines = [line[line.index("quorate ") :] for line in text.splitlines() if "quorate " in line]
    ours = [shlex.split(line) for line in lines if "-m quorate" not in text or "agent" not in line]
    assert len(ours) == 4
    for words in ours:
        path = next(p for p in BY_PATH if tuple(words[1 : 1 + len(p)]) == p)
        parse(BY_PATH[path].all_flags(), words[1 + len(path) :])


def test_a_single_server_is_not_to_be_killed() -> None:
    text = texts.what_next("quorate", plans(1), [1], answer(0, (True,)), [["agent"]])
    assert "list-peers" in text
    assert "kill" not in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with code 0"),
        (1, "exited with code 1"),
        (-9, "was ended by SIGKILL"),
        (-123, "was ended by signal 123"),
    ],
)
def test_how_a_server_ended(code: int, words: str) -> None:
    assert how_it_ended(code) == words


@pytest.mark.parametrize(("left", "others"), [(2, "the others stay up"), (0, "none is left")])
def test_a_server_that_exits_is_reported_with_its_last_words(left: int, others: str) -> None:
    text = texts.exited(plans(1)[0], 7, "exited with code 1", ["one", "two"], left=left)
    assert text == (
        f"==> server-1 (pid 7) exited with code 1; {others}.\n"
        "    Last lines of /data/server-1.log:\n"
        "    | one\n"
        "    | two"
    )


def test_the_farewell_names_the_folder() -> None:
    text = texts.farewell("quorate", Path("/tmp/a b"))
    assert "stay in /tmp/a b\n" in text
    assert text.endswith("quorate dev -data-dir='/tmp/a b'")


def test_the_program_is_called_by_a_name_that_works() -> None:
    words = shlex.split(texts.program())
    assert words[0] == "quorate" or Path(words[0]).exists()
