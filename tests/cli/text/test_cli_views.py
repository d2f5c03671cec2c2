"""`operator raft views`: agreement, both sides of a cut, and servers that do not answer."""

import json
from typing import Any

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, closed_port, json_reply, text_reply

VIEWS = "GET /v1/operator/raft/views"
IDS = "abcde"
CONFIGURATION = {
    "Index": 7,
    "Servers": [{"ID": i, "Address": f"{i}:4647", "Voter": True} for i in IDS],
}


def view(server: str, term: int = 3, leader: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "Address": f"{server}:4647",
        "CommitIndex": 9,
        "Configuration": CONFIGURATION,
        "Error": "",
        "ID": server,
        "Leader": f"{leader}:4647" if leader else "",
        "LeaderID": leader,
        "Node": f"{server}.global",
        "Role": "leader" if server == leader else "follower",
        "Term": term,
        **more,
    }


def silent(server: str, why: str = "no answer within 2 s") -> dict[str, Any]:
    blank: dict[str, Any] = {"Configuration": None, "Role": "", "CommitIndex": 0}
    return view(server, 0, "", Error=why, **blank)


def shown(*views: dict[str, Any], flags: tuple[str, ...] = ()) -> Ran:
    with FakeAgent({VIEWS: json_reply({"Servers": list(views)})}) as agent:
        return run("operator", "raft", "views", *flags, env={"NOMAD_ADDR": agent.address})


def notes(ran: Ran) -> dict[str, str]:
    """By server's name, what its line ends in."""
    heading, *lines = ran.stdout.splitlines()
    at = heading.index("Note")
    return {line.split()[0]: line[at:] for line in lines}


def test_the_table_fits_80_columns() -> None:
    """Names as long as people give them; the whole is behind -verbose."""
    names = {letter: f"nomad-server-{letter}.eu-west-1" for letter in "abc"}
    found = [
        view(letter, Node=name, Term=1234, CommitIndex=123456) for letter, name in names.items()
    ]
    ran = shown(*found)
    assert ran.code == 0
    assert ran.stdout.splitlines()[1].split() == [
        *(names["a"], "leader", "1234", names["a"], "123456", "7:", "5", "-"),
    ]
    short = shown(view("a"), view("b"), silent("c"))
    assert max(map(len, short.stdout.splitlines())) <= 80


def test_servers_that_agree() -> None:
    ran = shown(view("b"), view("a"), flags=("-verbose",))
    assert (ran.code, ran.stderr) == (0, "")
    names = "a.global,b.global,c:4647,d:4647,e:4647"
    assert ran.stdout == (
        "Node      Address  State     Term  Leader    Commit  Configuration"
        f"{' ' * (len(names) - 10 + 2)}Note\n"
        f"a.global  a:4647   leader    3     a.global  9       7: {names}  -\n"
        f"b.global  b:4647   follower  3     a.global  9       7: {names}  -\n"
    )


def test_a_server_that_does_not_answer_is_one_line_and_no_disagreement() -> None:
    ran = shown(view("a"), view("b"), silent("c"), flags=("-verbose",))
    assert (ran.code, ran.stderr) == (0, "")
    assert notes(ran)["c.global"] == "no answer within 2 s"
    assert ran.stdout.splitlines()[3].split()[:7] == ["c.global", "c:4647", "no", "answer", *"---"]


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (view("b", 2, "b"), "stale leader: the newest term is 3"),
        (view("b", 2, "c"), "stale: the newest term is 3"),
        (view("b", 3, ""), "knows no leader"),
        (view("b", 3, "c"), "follows another leader"),
        (view("b", State="damaged"), "its replicated state is damaged"),
        (view("b", State="disagree"), "state digests disagree, no majority"),
        (view("b", 2, State="damaged"), "stale: the newest term is 3"),
        (view("b", Configuration={**CONFIGURATION, "Index": 6}), "has another configuration"),
        (
            view("b", Configuration={"Index": 7, "Servers": CONFIGURATION["Servers"][:4]}),  # type: ignore[index]
            "has another configuration",
        ),
    ],
)
def test_a_difference_is_named_and_is_exit_code_2(other: dict[str, Any], note: str) -> None:
    ran = shown(view("a"), other)
    assert (ran.code, ran.stderr) == (2, "The servers do not agree\n")
    assert notes(ran) == {"a.global": "-", "b.global": note}


def test_a_server_that_campaigns_ahead_of_the_others() -> None:
    ran = shown(view("a"), view("b", 4, "", Role="candidate"))
    assert ran.code == 2
    assert notes(ran)["a.global"] == "stale leader: the newest term is 4"


def test_both_sides_of_a_cut_network() -> None:
    """Two of five on one side with the old leader, three on the other: each side told by one."""
    old = [view("a", 3), view("b", 3), *(silent(i) for i in "cde")]
    new = [silent("a"), silent("b"), *(view(i, 4, "c") for i in "cde")]
    with (
        FakeAgent({VIEWS: json_reply({"Servers": old})}) as here,
        FakeAgent({VIEWS: json_reply({"Servers": new})}) as there,
    ):
        argv = ("operator", "raft", "views", there.address)
        ran = run(*argv, env={"NOMAD_ADDR": here.address})
    assert ran.code == 2
    assert notes(ran) == {
        "a.global": "stale leader: the newest term is 4",
        "b.global": "stale: the newest term is 4",
        **dict.fromkeys(("c.global", "d.global", "e.global"), "-"),
    }


def test_nobody_leads() -> None:
    ran = shown(view("a", leader=""), view("b", leader=""))
    assert (ran.code, ran.stderr) == (1, "No server knows a leader\n")


def test_an_agent_that_is_not_there_is_a_line_unless_it_is_the_only_one() -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    with FakeAgent({VIEWS: json_reply({"Servers": [view("a")]})}) as agent:
        ran = run("operator", "raft", "views", dead, env={"NOMAD_ADDR": agent.address})
        assert ran.code == 0
        assert "connection refused" in notes(ran)["(unknown)"]
        swapped = run("operator", "raft", "views", agent.address, env={"NOMAD_ADDR": dead})
        assert (swapped.code, notes(swapped)) == (0, {"a.global": "-"})
    alone = run("operator", "raft", "views", env={"NOMAD_ADDR": dead})
    assert (alone.code, alone.stdout) == (1, "")
    assert alone.stderr.startswith("Error gathering views: Get ")


def test_a_server_without_this_call() -> None:
    with FakeAgent({VIEWS: text_reply(404, "Invalid method")}) as agent:
        ran = run("operator", "raft", "views", env={"NOMAD_ADDR": agent.address})
    assert ran.stderr == "Error gathering views: Unexpected response code: 404 (Invalid method)\n"


def test_json_has_what_came_and_the_verdict() -> None:
    ran = shown(view("a"), view("b", 2), silent("c"), flags=("-json",))
    assert ran.code == 2
    got = json.loads(ran.stdout)
    assert got["Agreed"] is False
    assert [one["Note"] for one in got["Servers"]] == [
        "",
        "stale: the newest term is 3",
        "no answer within 2 s",
    ]
    assert got["Servers"][0] == {**view("a"), "Note": ""}


def test_a_server_that_follows_but_is_no_member_is_exit_code_2() -> None:
    """A wiped server with another gossip key hears the leader, and nobody has taken it in."""
    alone = view("z", Configuration={"Index": 0, "Servers": []})
    ran = shown(alone)
    assert (ran.code, ran.stderr) == (2, "The servers do not agree\n")
    assert notes(ran) == {"z.global": "in no cluster: see /v1/agent/health there"}


def test_a_server_that_was_removed_is_no_disagreement() -> None:
    """It runs on, and knows nothing newer than what it heard last."""
    rest = {"Index": 9, "Servers": CONFIGURATION["Servers"][:2]}  # type: ignore[index]  # a list
    members = [view(server, Configuration=rest) for server in "ab"]
    ran = shown(*members, view("c", 2, ""))
    assert (ran.code, ran.stderr) == (0, "")
    assert notes(ran) == {"a.global": "-", "b.global": "-"} | {
        "c.global": "not a member: removed, or not taken in as yet"
    }
