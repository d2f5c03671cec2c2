"""Real Serf agents and we in one pool, sealed and compressed: each sees what the other does."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pool_cluster import KEY, OTHER_KEY, Pools, living, refused, scenario, status, until, where

from quorate.gossip.effects import KeyAction, QueryArrived
from quorate.gossip.messages import NodeFilter, TagFilter
from quorate.gossip.settings import LAN
from quorate.pool.pool import Pool
from quorate.wire.memberlist.keyring import key_text

SERF = shutil.which("serf")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(SERF is None, reason="serf is not installed (Debian: apt install serf)"),
]


def free_port() -> int:
    """A port that is free for TCP and UDP now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Agent:
    """One real agent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.address = f"127.0.0.1:{free_port()}"
        self.rpc = f"127.0.0.1:{free_port()}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, folder: Path, *arguments: str) -> None:
        """Run it, and wait until it answers."""
        assert SERF is not None
        log = (folder / f"{self.name}.log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            SERF,
            "agent",
            f"-node={self.name}",
            f"-bind={self.address}",
            f"-rpc-addr={self.rpc}",
            *arguments,
            stdout=log,
            stderr=log,
        )
        log.close()
        for _ in range(200):
            if (await self.ask("info"))[0] == 0:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.name} did not start")

    async def ask(self, command: str, *arguments: str) -> tuple[int, str]:
        """Run a command of serf's against it: exit code and all its output."""
        assert SERF is not None
        process = await asyncio.create_subprocess_exec(
            SERF,
            command,
            f"-rpc-addr={self.rpc}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(errors="replace")

    async def must(self, command: str, *arguments: str) -> str:
        """The same, and it must succeed."""
        code, out = await self.ask(command, *arguments)
        assert code == 0, out
        return out

    async def members(self) -> dict[str, dict[str, Any]]:
        """What it knows, by name."""
        out = await self.must("members", "-format=json")
        return {member["name"]: member for member in json.loads(out)["members"]}

    async def sees(self, wanted: dict[str, str]) -> None:
        """Wait until it believes these states."""
        seen: dict[str, str] = {}
        for _ in range(300):
            seen = {name: m["status"] for name, m in (await self.members()).items()}
            if wanted.items() <= seen.items():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.name} sees {seen}, not {wanted}")

    async def kill(self) -> None:
        """End it without a word."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def agents(folder: Path, names: str, join: Pool, *more: str) -> AsyncIterator[list[Agent]]:
    """Agents of these letters, joined to a pool, ended at the end."""
    running = [Agent(f"serf-{letter}") for letter in names]
    key = base64.b64encode(KEY).decode()
    try:
        for agent in running:
            tags = ("-tag=role=nomad", f"-tag=letter={agent.name[-1]}")
            await agent.start(folder, f"-encrypt={key}", f"-join={where(join)}", *tags, *more)
        yield running
    finally:
        for agent in running:
            await agent.kill()


def mixed(work: Callable[[Pools, Pool, Pool, list[Agent]], Awaitable[None]], folder: Path) -> None:
    """Two of ours and two agents in one pool; a story with them."""

    async def story(pools: Pools) -> None:
        a = await pools.start("our-a", tags={"role": "nomad", "region": "global"})
        b = await pools.start("our-b", tags={"role": "nomad", "region": "europe"})
        heard = folder / "heard"
        handlers = (
            f"-event-handler=user:deploy=cat > {heard}",
            "-event-handler=query:name=echo $SERF_SELF_NAME",
        )
        async with agents(folder, "xy", a, *handlers) as (x, y):
            assert (await b.join([f"{x.name}/{x.address}"])).count == 1
            everyone = {"our-a", "our-b", x.name, y.name}
            await until(lambda: living(a) == living(b) == everyone)
            for agent in (x, y):
                await agent.sees(dict.fromkeys(everyone, "alive"))
            await work(pools, a, b, [x, y])
            for pool in (a, b):
                assert refused(pool, "packet") == refused(pool, "stream") == 0

    scenario(story, key=KEY, settings=LAN)


def test_tags_events_and_queries_cross(tmp_path: Path) -> None:
    async def work(_pools: Pools, a: Pool, b: Pool, serf: list[Agent]) -> None:
        x, y = serf
        ours = (await x.members())["our-b"]
        assert ours["tags"] == {"role": "nomad", "region": "europe"}
        assert ours["addr"] == where(b)
        theirs = {m.name: m for m in a.members()}["serf-y"]
        assert theirs.tags == {"role": "nomad", "letter": "y"}
        a.set_tags({"role": "nomad", "region": "asia"})
        await y.must("tags", "-set=more=1")
        await until(lambda: {m.name: m for m in b.members()}["serf-y"].tags.get("more") == "1")
        for _ in range(100):
            if (await y.members())["our-a"]["tags"]["region"] == "asia":
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the new tags did not arrive")

        events: list[tuple[str, bytes | None]] = []
        b.on_event.append(lambda e: events.append((e.name, e.payload)))
        await x.must("event", "build", "done")
        await until(lambda: events == [("build", b"done")])
        a.send_event("deploy", b"v7")
        await until((tmp_path / "heard").exists)
        await until(lambda: (tmp_path / "heard").read_bytes().strip() == b"v7")

        async def answer(query: QueryArrived) -> bytes:
            return b"ours says " + (query.payload or b"nothing")

        a.on_query = answer
        out = json.loads(await x.must("query", "-format=json", "-timeout=2s", "hello", "you"))
        assert set(out["Acks"]) == {"our-a", "our-b", "serf-x", "serf-y"}
        assert out["Responses"] == {"our-a": "ours says you"}
        only = ("-no-ack", "-timeout=1s", "-tag=region=eur.*", "-format=json")
        out = json.loads(await x.must("query", *only, "hello"))
        assert out["Responses"] in ({}, None)
        result = await b.query("name", timeout_s=2.0)
        names = {name: (text or b"").strip() for name, text in result.answers.items()}
        assert names == {
            "our-a": b"ours says nothing",
            "serf-x": b"serf-x",
            "serf-y": b"serf-y",
        }
        assert set(result.acked) == {"our-a", "our-b", "serf-x", "serf-y"}
        wanted = (NodeFilter(("serf-x", "serf-y")), TagFilter("letter", "^y$"))
        result = await b.query("name", filters=wanted, timeout_s=1.5)
        assert set(result.answers) == {"serf-y"}

    mixed(work, tmp_path)


def test_keys_are_rotated_from_either_side(tmp_path: Path) -> None:
    async def work(_pools: Pools, a: Pool, b: Pool, serf: list[Agent]) -> None:
        x, _ = serf
        old, new = key_text(KEY), key_text(OTHER_KEY)
        for flag, key in (("install", new), ("use", new), ("remove", old)):
            out = await x.must("keys", f"-{flag}={key}")
            assert "Successfully" in out or "Done" in out, out
        out = await x.must("keys", "-list")
        assert f"{new}  [4/4]" in out
        assert (await a.change_keys(KeyAction.LIST)).keys == {new: 4}
        code, out = await x.ask("keys", f"-remove={new}")
        assert code != 0
        assert "our-a" in out, out
        # And back, from our side.
        for action, raw in (
            (KeyAction.INSTALL, KEY),
            (KeyAction.USE, KEY),
            (KeyAction.REMOVE, OTHER_KEY),
        ):
            result = await b.change_keys(action, raw)
            assert result.error == "", result.messages
            assert len(result.answers) == 4
        listed = await b.change_keys(KeyAction.LIST)
        assert listed.keys == {old: 4}
        assert await x.must("keys", "-list") is not None
        await asyncio.sleep(1.0)
        assert len(living(a)) == len(living(b)) == 4

    mixed(work, tmp_path)


def test_failing_and_leaving_is_seen_by_the_other_side(tmp_path: Path) -> None:
    async def work(pools: Pools, a: Pool, b: Pool, serf: list[Agent]) -> None:
        x, y = serf
        await y.kill()
        await pools.stop("our-b")
        await until(lambda: status(a, "serf-y") == status(a, "our-b") == "failed", 40)
        await x.sees({"serf-y": "failed", "our-b": "failed"})
        a.force_leave("serf-y")
        await x.must("force-leave", "our-b")
        await until(lambda: status(a, "serf-y") == status(a, "our-b") == "left")
        await x.sees({"serf-y": "left", "our-b": "left"})
        # One of ours comes back and leaves in order; then the agent does.
        # (At its old port: Serf of that age takes no new one for a member that is dead.)
        again = await pools.start("our-b", bind_port=b.address.port)
        assert (await again.join([x.address])).count == 1
        await x.sees({"our-b": "alive"})
        assert await again.leave()
        await x.sees({"our-b": "left"})
        await x.must("leave")
        await until(lambda: status(a, "serf-x") == "left")
        assert living(a) == {"our-a"}

    mixed(work, tmp_path)
