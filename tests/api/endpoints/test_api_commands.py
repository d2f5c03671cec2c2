"""The program's commands about the pool against this API itself: each side's own tests use a fake
of the other, and this holds the two together."""

from __future__ import annotations

import asyncio
import sys

import pytest
from api_running import asynchronous
from api_server import serving
from fake_server import FakeServer, member
from golden_setups import KEYS

from quorate.errors import GossipDisabled

OLD = KEYS[0]


async def run(service: FakeServer, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program, its agent being this service."""
    async with serving(service.application()) as served:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "quorate", *words),
            env={"QUORATE_ADDR": served.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


@asynchronous
async def test_a_rotation_with_one_member_away_and_then_without() -> None:
    service = FakeServer()
    service.ring = [OLD]
    service.silent = ["s2.global"]
    rotate = ("operator", "gossip", "keyring", "rotate")
    code, _, error = await run(service, *rotate, "-timeout=100ms")
    assert (code, error) == (2, "Not finished: s2.global did not answer; the old key is kept\n")
    assert service.ring[0] == OLD
    new = service.ring[1]
    service.silent = []
    code, out, _ = await run(service, *rotate)
    assert code == 0
    assert out.startswith("A rotation was begun before and is resumed.\n")
    assert service.ring == [new]


@asynchronous
async def test_a_failed_member_holds_a_rotation_up_until_it_has_left() -> None:
    service = FakeServer()
    service.ring = [OLD]
    service.pool.append(member("s4", "global", "127.0.0.4", "failed"))
    rotate = ("operator", "gossip", "keyring", "rotate", "-timeout=50ms")
    code, _, error = await run(service, *rotate)
    assert (code, "s4.global did not answer" in error) == (2, True)
    assert service.ring[0] == OLD
    service.pool[-1] = member("s4", "global", "127.0.0.4", "left")
    assert (await run(service, *rotate))[0] == 0
    assert OLD not in service.ring


@asynchronous
async def test_views() -> None:
    service = FakeServer("s2", role="follower")
    service.unasked["s1.global"] = "no answer within 2 s"
    code, out, error = await run(service, "operator", "raft", "views")
    assert (code, error) == (0, "")
    heading, first, _, third = out.splitlines()
    assert heading.split()[:4] == ["Node", "State", "Term", "Leader"]
    assert first.endswith("no answer within 2 s")
    assert third.split()[1:5] == ["leader", "2", "s3.global", "30"]


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (("server", "join", "a", "b"), "Joined 2 servers successfully\n"),
        (("server", "force-leave", "-prune", "s1.global"), ""),
        (
            ("server", "rejoin"),
            (
                "Rejoined as server 13ab2eb1-3900-055b-76fa-4d364900687d\n"
                "Its old data are in /data/server.removed-812\n"
            ),
        ),
        (
            ("operator", "gossip", "keyring", "list"),
            f"Gathering installed encryption keys...\nKey\n{OLD}\n",
        ),
    ],
)
@asynchronous
async def test_what_is_done_with_gossip_and_refused_without(
    words: tuple[str, ...], out: str
) -> None:
    service = FakeServer()
    service.ring = [OLD]
    assert await run(service, *words) == (0, out, "")
    service.pool_error = GossipDisabled()
    code, _, error = await run(service, *words)
    assert (code, "501 (gossip is not enabled on this server)" in error) == (1, True)
