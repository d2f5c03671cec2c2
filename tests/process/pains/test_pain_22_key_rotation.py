"""Pain 22: a key rotation that is half done locks members out.

One command does all steps. While a member does not answer the old key stays and that member is
named; run again it goes on. A server with another key is told so, and so are those it knocks at.
"""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from gossiping_servers import GossipingServers, cluster
from server_processes import until

pytestmark = pytest.mark.process

ROTATE = ("operator", "gossip", "keyring", "rotate", "-json")
UNFINISHED = 2


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def ring(servers: GossipingServers, number: int) -> list[str]:
    """The keys in that server's file, the one in use first."""
    keys: list[str] = json.loads((servers.data_dir(number) / "server" / "serf.keyring").read_text())
    return keys


def rotate(servers: GossipingServers, asked: int, timeout: str, code: int) -> dict[str, Any]:
    done = servers.run(asked, *ROTATE, f"-timeout={timeout}")
    assert done.code == code, done
    said: dict[str, Any] = json.loads(done.out)
    return {**said, "Errors": done.err}


def alive(servers: GossipingServers, *numbers: int) -> None:
    until(
        lambda: all(set(servers.members(n).values()) == {"alive"} for n in numbers),
        "every member to be alive for every other",
    )


def test_a_rotation_waits_for_who_is_away_and_a_wrong_key_is_named(tmp_path: Path) -> None:
    old = new_key()
    with cluster(tmp_path, server={"encrypt": old}) as servers:
        alive(servers, 0, 1, 2)
        leader = servers.leader()
        away, asked = (leader + 1) % 3, (leader + 2) % 3

        # Cut off, before anybody has noticed: the old key is kept, and the member is named.
        servers.signal(away, signal.SIGSTOP)
        begun = rotate(servers, asked, "1s", UNFINISHED)
        assert begun["Absent"] == [servers.node(away)]
        assert f"{servers.node(away)} did not answer; the old key is kept" in begun["Errors"]
        new = begun["Key"]
        assert ring(servers, asked) == [old, new]
        assert ring(servers, away) == [old]

        # Stopped altogether: the same.
        servers.signal(away, signal.SIGCONT)
        servers.kill(away)
        again = rotate(servers, asked, "1s", UNFINISHED)
        assert (again["Absent"], again["Key"]) == ([servers.node(away)], new)

        # On its return it joins with the old key, and running it again ends the rotation.
        servers.start(away)
        alive(servers, 0, 1, 2)
        ended = rotate(servers, leader, "30s", 0)
        assert (ended["Finished"], ended["Key"], ended["Removed"]) == (True, new, [old])
        assert [ring(servers, n) for n in range(3)] == [[new]] * 3

        # The ring outlives a restart, although the configuration still has the old key.
        servers.kill(0, 1, 2)
        servers.start()
        servers.leader()
        alive(servers, 0, 1, 2)
        assert [ring(servers, n) for n in range(3)] == [[new]] * 3

        # A server with another key cannot join, and is told why; so are the others.
        stranger = servers.add("stranger", server={"encrypt": new_key()})
        servers.start(stranger)
        servers.log_says(
            stranger, "no server to join yet", "No installed keys could decrypt the message"
        )
        for number in range(3):
            servers.log_says(
                number, "refused gossip from 127.", ": No installed keys could decrypt the message"
            )
        assert all(servers.node(stranger) not in servers.members(n) for n in range(3))
        assert set(servers.members(stranger)) == {servers.node(stranger)}
