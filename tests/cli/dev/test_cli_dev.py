"""`quorate dev`: the parts that plan and speak; no server is started here."""

import json
import os
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_run import run
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.context import Failure
from quorate.cli.dev import texts
from quorate.cli.dev.guide import Running, what_next
from quorate.cli.dev.plan import (
    Choice,
    Cluster,
    Wish,
    choose,
    configuration,
    lay_out,
    read_back,
    write_configurations,
)
from quorate.cli.dev.ports import PortPlan, PortSet, plan_ports, port_is_free
from quorate.cli.dev.processes import how_it_ended
from quorate.cli.dev.secured import prepare
from quorate.cli.dev.standing import Standing, Standings
from quorate.client import RaftConfiguration, RaftServer
from quorate.config.load import load

FOUR = tuple(PortSet.starting_at(4646 + 10 * n) for n in range(4))
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
    # Below the range from which the kernel hands out ports, so that nobody gets it meanwhile.
    port = next(n for n in range(19_000 + os.getpid() % 1_000, 21_000) if port_is_free(n))
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        assert not port_is_free(port)
    assert port_is_free(port)


# -- the folder and the configurations ----------------------------------------------------------


def test_configuration_of_a_server(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, THREE)
    assert configuration(servers[1], servers) == {
        "name": "server-2",
        "region": "global",
        "data_dir": str(tmp_path / "server-2"),
        "bind_addr": "127.0.0.1",
        "ports": {"http": 4656, "rpc": 4657, "serf": 4658},
        "advertise": {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"},
        "server": {
            "enabled": True,
            "bootstrap_expect": 3,
            "server_join": {"retry_join": ["127.0.0.1:4648", "127.0.0.1:4668"]},
        },
    }


def test_regions_are_clusters_of_their_own_that_look_for_each_other(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, FOUR, 2)
    assert [(s.name, s.region) for s in servers] == [
        ("server-1", "global"),
        ("server-2", "global"),
        ("server-3", "west"),
        ("server-4", "west"),
    ]
    found = configuration(servers[2], servers)
    assert found["region"] == "west"
    assert found["server"]["bootstrap_expect"] == 2
    looked_for = found["server"]["server_join"]["retry_join"]
    assert looked_for == ["127.0.0.1:4648", "127.0.0.1:4658", "127.0.0.1:4678"]


@pytest.mark.parametrize(("ports", "regions"), [(THREE, 1), (THREE, 3), (FOUR, 2)])
def test_what_is_written_is_a_configuration_of_an_agent(
    ports: tuple[PortSet, ...], regions: int, tmp_path: Path
) -> None:
    servers = lay_out(tmp_path, ports, regions)
    write_configurations(servers)
    for server in servers:
        read = load([server.config])[0]
        assert (read.name, read.region) == (server.name, server.region)
        assert read.server.gossips


def test_a_cluster_that_was_written_is_read_back_and_kept(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, THREE)
    write_configurations(servers)
    assert read_back(tmp_path) == Cluster(THREE, 1)
    assert all(server.data_dir.is_dir() for server in servers)
    changed = {**json.loads(servers[0].config.read_text()), "log_level": "DEBUG"}
    servers[0].config.write_text(json.dumps(changed))
    write_configurations(servers)
    assert json.loads(servers[0].config.read_text()) == changed


def test_a_folder_of_the_time_before_regions_is_read_back(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, THREE)
    write_configurations(servers)
    for server in servers:
        config = json.loads(server.config.read_text())
        del config["region"]
        server.config.write_text(json.dumps(config))
    assert read_back(tmp_path) == Cluster(THREE, 1)


def test_regions_that_were_edited_are_refused(tmp_path: Path) -> None:
    servers = lay_out(tmp_path, FOUR, 2)
    write_configurations(servers)
    assert read_back(tmp_path) == Cluster(FOUR, 2)
    config = {**json.loads(servers[3].config.read_text()), "region": "global"}
    servers[3].config.write_text(json.dumps(config))
    with pytest.raises(Failure, match="3 of 'global', 1 of 'west'"):
        read_back(tmp_path)


def wish(folder: Path | None, **given: int) -> Wish:
    return Wish(
        folder,
        given.get("servers", 3),
        given.get("http_port", 4646),
        given.get("regions", 1),
        servers_given="servers" in given,
        http_port_given="http_port" in given,
        regions_given="regions" in given,
    )


def test_a_new_cluster_goes_where_it_is_wanted(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "new", tmp_path):
        choice = choose(wish(folder, servers=1, http_port=5000), lambda _: True)
        assert (choice.ports.chosen, choice.again) == ((PortSet(5000, 5001, 5002),), False)


def test_a_cluster_that_comes_back_has_its_old_ports(tmp_path: Path) -> None:
    five = tuple(PortSet.starting_at(7000 + 10 * n) for n in range(5))
    write_configurations(lay_out(tmp_path, five))
    for asked in (wish(tmp_path), wish(tmp_path, servers=5, http_port=7000)):
        choice = choose(asked, lambda _: True)
        assert choice == Choice(PortPlan(five, ()), 1, again=True)


def test_a_secured_cluster_stays_so_and_none_becomes_one(tmp_path: Path) -> None:
    """Its servers' files have the certificates: a folder is of one kind."""
    secured, plain = tmp_path / "secured", tmp_path / "plain"
    plans = lay_out(secured, FOUR, secured=True)
    write_configurations(plans, lambda _: {"tls": {"http": True}, "server": {"encrypt": "k"}})
    written = json.loads(plans[0].config.read_text())
    assert written["server"]["encrypt"] == "k"
    assert written["server"]["enabled"]
    assert plans[0].config.stat().st_mode & 0o777 == 0o600
    for tls in (True, False):
        choice = choose(wish(secured)._replace(tls=tls), lambda _: True)
        assert (choice.again, choice.secured) == (True, True)
    assert plans[0].http_address == f"https://127.0.0.1:{FOUR[0].http}"
    assert plans[0].asked_at == f"unix://{secured}/server-1/control.sock"
    write_configurations(lay_out(plain, FOUR))
    with pytest.raises(Failure, match="was made without -tls"):
        choose(wish(plain)._replace(tls=True), lambda _: True)
    assert choose(wish(None)._replace(tls=True), lambda _: True).secured


def test_a_socket_has_no_longer_path_than_it_may(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    with pytest.raises(Failure, match="is too long for a socket"):
        prepare(folder, lay_out(folder, FOUR, secured=True))


def test_regions_that_come_back(tmp_path: Path) -> None:
    write_configurations(lay_out(tmp_path, FOUR, 2))
    for asked in ({}, {"regions": 2}, {"servers": 2}, {"servers": 2, "regions": 2}):
        choice = choose(wish(tmp_path, **asked), lambda _: True)
        assert choice == Choice(PortPlan(FOUR, ()), 2, again=True)
    for asked, text in (
        ({"servers": 4}, "holds a cluster of 2 regions of 2, not of 2 regions of 4"),
        ({"regions": 1}, "holds a cluster of 2 regions of 2, not of 2"),
        ({"servers": 1, "regions": 4}, "holds a cluster of 2 regions of 2, not of 4 regions of 1"),
    ):
        with pytest.raises(Failure, match=text):
            choose(wish(tmp_path, **asked), lambda _: True)


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
        choose(wish(tmp_path, **given), lambda port: port not in taken)
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
        (("-regions=0",), "Error: -regions must be between 1 and 5, got 0"),
        (("-regions=6",), "Error: -regions must be between 1 and 5, got 6"),
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


def test_regions_are_ready_when_each_is_and_all_know_each_other() -> None:
    ready, young = Standing((answer(0, ALL),) * 3), Standing((answer(None, ALL),) * 3)
    both = Standings({"global": ready, "west": ready})
    assert both.is_ready()
    assert both.are_led()
    assert both.progress() == "all regions are ready"
    apart = both._replace(federated=False)
    assert not apart.is_ready()
    assert apart.progress() == "all regions are ready, not all federated yet"
    half = Standings({"global": ready, "west": young})
    assert not half.is_ready()
    assert not half.are_led()
    missing = "west: 3 of 3 servers answer, no leader yet"
    assert half.progress() == f"1 of 2 regions are ready; {missing}"
    assert Standings({"global": young}).progress() == "3 of 3 servers answer, no leader yet"


# -- what it says -------------------------------------------------------------------------------


def running(ports: Sequence[PortSet], regions: int = 1) -> list[Running]:
    servers = lay_out(Path("/data"), ports, regions)
    return [Running(s, 11 * n) for n, s in enumerate(servers, start=1)]


def guide(count: int, leader: int) -> str:
    voters = (True,) * count
    return what_next("quorate", running(THREE[:count]), {"global": answer(leader, voters)})


def commands(text: str) -> list[str]:
    """The lines to copy."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines[1:-1] if line and not line.startswith("#")]


def test_what_to_try_next() -> None:
    first, third = "-address=http://127.0.0.1:4646", "-address=http://127.0.0.1:4666"
    assert commands(guide(3, 2)) == [
        f"quorate operator raft list-peers {first}",
        f"quorate server members {first}",
        "kill -9 33",
        f"quorate operator raft list-peers {first}",
        f"quorate server members {first}",
        f"quorate operator raft remove-peer -peer-id=id-2 {first}",
        "quorate agent -config /data/server-3.json",
        "curl 'http://127.0.0.1:4666/v1/agent/health'",
        f"quorate server rejoin {third}",
        f"quorate operator raft views {first}",
        "curl 'http://127.0.0.1:4646/v1/operator/raft/configuration?pretty'",
    ]


def test_what_to_try_with_two_regions() -> None:
    four = running(FOUR, 2)
    ask = "-address=http://127.0.0.1:4646"
    assert commands(what_next("quorate", four, {})) == [
        f"quorate server members {ask}",
        "curl 'http://127.0.0.1:4646/v1/regions'",
        f"quorate operator raft list-peers -region=west {ask}",
        "curl 'http://127.0.0.1:4646/v1/status/leader?region=west'",
        "kill -9 33 44",
        f"quorate server members {ask}",
        f"quorate operator raft list-peers -region=west {ask}",
        "quorate agent -config /data/server-3.json",
        "quorate agent -config /data/server-4.json",
    ]


@pytest.mark.parametrize(
    "text", [guide(1, 0), guide(2, 1), guide(3, 0), what_next("quorate", running(FOUR, 4), {})]
)
def test_the_commands_it_gives_are_commands(text: str, tmp_path: Path) -> None:
    from quorate.cli.flags import parse
    from quorate.cli.registry.index import BY_PATH

    farewell = texts.farewell("quorate", tmp_path / "a b")
    ours = [shlex.split(line) for line in commands(text) if line.startswith("quorate ")]
    ours.append(shlex.split(farewell[farewell.index("quorate dev") :]))
    assert len(ours) >= 2
    for words in ours:
        path = next(p for p in BY_PATH if tuple(words[1 : 1 + len(p)]) == p)
        if path != ("agent",):  # it reads its options itself
            parse(BY_PATH[path].all_flags(), words[1 + len(path) :])


def test_nothing_is_removed_where_no_majority_is_left() -> None:
    assert "kill" not in guide(1, 0)
    assert "kill -9 22" in guide(2, 1)
    assert "remove" not in guide(2, 1)


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
    text = texts.exited(running(THREE)[0].plan, 7, "exited with code 1", ["one", "two"], left=left)
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
