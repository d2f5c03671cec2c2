"""A peers.json: both forms, and each way to get it wrong, named by line and with its cure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from places import VECTORS
from recovery_folders import IDS, content_of, golden_servers

from quorate.errors import QuorateError, WrongServers
from quorate.recovery.at_start import before_start
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.peers_json import parse, text_of
from quorate.recovery.recovering import PROGRESS_FILE

S0, S1, S2 = (IDS[name] for name in ("s0", "s1", "s2"))
A0, A1, A2 = "127.0.0.1:29325", "127.0.0.1:22297", "127.0.0.1:30946"
CASES = json.loads((VECTORS / "peers-json.json").read_text())["cases"]


def row(server_id: str, address: str, **more: object) -> dict[str, object]:
    return {"id": server_id, "address": address, **more}


def lines(*rows: object) -> bytes:
    """A list with a row in each line: the first one is line 2."""
    return ("[\n" + ",\n".join(json.dumps(each) for each in rows) + "\n]\n").encode()


ME = row(S0, A0)
BROKEN = {
    "empty": (b"", 1, "the file is empty"),
    "no json": (b"[\n{id: 1}]", 2, "it is no JSON"),
    "cut off": (b'[\n{"id": "a", "addr', 2, "it is no JSON"),
    "a byte order mark": ("\ufeff[]".encode(), 1, "a byte order mark"),
    "not utf-8": (b'[\n"\xff:1"]', 2, "no UTF-8"),
    "an object": (b'{"id": "a", "address": "a:1"}', 1, "a list is expected"),
    "null": (b"null", 1, "a list is expected"),
    "an empty list": (b"[\n\n]", 3, "the list is empty"),
    "a number in the list": (b"[\n1]", 2, "a server is an object or an address"),
    "text behind it": (lines(ME) + b"\n  and more", 5, "follows the list"),
    "a comma is missing": (b'[\n"a:1"\n"b:1"]', 3, "a comma or the end"),
    "no id": (lines(ME, {"address": A1}), 3, "id is missing"),
    "an empty id": (lines(ME, row("", A1)), 3, "id is missing or empty"),
    "no address": (lines({"id": S0}), 2, "address is missing"),
    "an id that is none": (lines(ME, row("a b", A1)), 3, "the ID 'a b' is not"),
    "no port": (lines(row(S0, "127.0.0.1")), 2, "is not host:port"),
    "an address alone without port": (lines("127.0.0.1"), 2, "is not host:port"),
    "an id twice": (lines(ME, row(S0, A1)), 3, f"the ID {S0} is in line 2 too"),
    "an address twice": (lines(ME, row(S1, A0)), 3, f"the address {A0} is in line 2 too"),
    "no voter": (lines({**ME, "non_voter": True}), 2, "no server of the list has a vote"),
    "non_voter is a text": (lines({**ME, "non_voter": "true"}), 2, "neither true nor false"),
    "an unknown key": (lines({**ME, "nonvoter": True}), 2, "the key 'nonvoter' is not known"),
    "a key twice": (b'[\n{"id": "a", "ID": "b", "address": "a:1"}]', 2, "id is given twice"),
    "both forms": (lines(ME, A1), 3, "some servers have an ID, and others"),
    "an unknown id": (lines(ME, row("x" * 36, A1)), 3, "no server with the ID xxx"),
    "an unknown address": (lines(A0, "127.0.0.1:1"), 3, "no server with the address 127.0.0.1:1"),
    "self is missing": (lines(row(S1, A1), row(S2, A2)), 3, f"this server, {S0}, is not in"),
    "another port of its own": (lines(row(S0, "127.0.0.1:4648")), 2, f"listens at {A0}"),
    "another port of another": (lines(ME, row(S1, "127.0.0.1:4648")), 3, f"of {S1} is {A1}"),
    "too large": (lines(ME) + b" " * (256 << 10), 1, "has more than 262144 bytes"),
    "too deep": (b"[\n" + b"[" * 50_000, 2, "it is no JSON"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_stops_the_start_and_changes_nothing(tmp_path: Path, case: str) -> None:
    data, line, text = BROKEN[case]
    folder = golden_servers(tmp_path)["s0"]
    path = folder / "server" / "raft" / "peers.json"
    path.write_bytes(data)
    before = content_of(folder)
    with pytest.raises(WrongServers) as raised:
        before_start(folder, own_address=A0)
    after = content_of(folder)
    after.pop("server/quorate.lock", None)
    before.pop("server/quorate.lock", None)
    assert after == before
    assert raised.value.text.startswith(f"{path}, line {line}: ")
    assert text in raised.value.text
    assert raised.value.text.endswith("; nothing was changed")
    assert raised.value.next_step


def test_there_are_more_than_fifteen_of_them() -> None:
    assert len(BROKEN) >= 15


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_texts_that_programs_of_go_refuse_are_refused(case: dict[str, object]) -> None:
    """And, of those that they take, the ones that leave a doubt."""
    doubtful = {"v2_trailing_garbage", "v2_no_port", "v3_unknown_fields"}
    # Here the form need not be told beforehand.
    other_form = {"v2_given_v3_text", "v3_given_v2_text"}
    text = str(case["text"]).encode()
    if case["name"] in other_form or ("error" not in case and case["name"] not in doubtful):
        peers = parse(text, "peers.json")
        servers = case.get("servers", [])
        assert isinstance(servers, list)
        for peer, server in zip(peers, servers, strict=case["name"] not in other_form):
            assert peer.address == server["address"]
            assert peer.id in (None, server["id"])
            assert peer.voter is (server["suffrage"] == "Voter")
        return
    with pytest.raises(WrongServers):
        parse(text, "peers.json")


@pytest.mark.parametrize(
    ("data", "voters", "nonvoters"),
    [
        (lines(A0), {S0}, set()),
        (lines(A0, A1), {S0, S1}, set()),
        (lines(ME), {S0}, set()),
        (lines(row(S1, A1, non_voter=True), ME), {S0}, {S1}),
        (
            b'[{"ID":"%s","Address":"%s","Non_Voter":false}]' % (S0.encode(), A0.encode()),
            {S0},
            set(),
        ),
    ],
)
def test_both_forms_recover(
    tmp_path: Path, data: bytes, voters: set[str], nonvoters: set[str]
) -> None:
    folder = golden_servers(tmp_path)["s0"]
    (folder / "server" / "raft" / "peers.json").write_bytes(data)
    before = inspect(folder)
    (recovered,) = before_start(folder, own_address=A0)
    found = inspect(folder)
    assert {s.id for s in found.members.servers if s.voter} == voters
    assert {s.id for s in found.members.servers if not s.voter} == nonvoters
    assert all(len(server.key) == 32 for server in found.members.servers)
    assert found.epoch.counter == before.epoch.counter + 1
    assert (found.term, found.voted_for) == (before.term, before.voted_for)
    assert found.reach == before.reach
    assert found.snapshot is not None
    assert (found.snapshot.index, found.entries, found.base_index) == (53, 0, 53)
    assert not found.damage
    assert not (folder / "server" / "raft" / "peers.json").exists()
    assert not (folder / "server" / PROGRESS_FILE).exists()
    assert (recovered.kept / "raft" / "peers.json").read_bytes() == data
    # Once: the next start has nothing to do.
    assert before_start(folder, own_address=A0) == ()


def test_a_server_may_have_moved_to_another_host(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    moved = lines(row(S0, "10.0.0.9:4647"), row(S1, "10.0.0.8:4647"))
    (folder / "server" / "raft" / "peers.json").write_bytes(moved)
    before_start(folder, own_address="10.0.0.9:4647")
    assert {s.address for s in inspect(folder).members.servers} == {
        "10.0.0.8:4647",
        "10.0.0.9:4647",
    }


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    folder = golden_servers(tmp_path)["s0"]
    path = folder / "server" / "raft" / "peers.json"
    path.write_bytes(lines(ME, row(S1, A1, non_voter=True)))
    before_start(folder, own_address=A0)
    configuration = inspect(folder).members
    assert len(configuration.servers) == 2
    from quorate.raft.values.configuration import Configuration, Server, Suffrage

    made = Configuration((Server("a", "a:1"), Server("b", "b:1", Suffrage.NONVOTER)))
    peers = parse(text_of(made).encode(), "peers.json")
    assert [(peer.id, peer.address, peer.voter) for peer in peers] == [
        ("a", "a:1", True),
        ("b", "b:1", False),
    ]


def test_a_folder_without_a_log_is_told(tmp_path: Path) -> None:
    raft = tmp_path / "server" / "raft"
    raft.mkdir(parents=True)
    (raft / "peers.json").write_bytes(lines(ME))
    with pytest.raises(QuorateError, match="there is nothing to recover"):
        before_start(tmp_path)
    assert (raft / "peers.json").exists()
