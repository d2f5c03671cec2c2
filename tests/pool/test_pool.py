"""Real pools on loopback: they see each other join, change, leave and fail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pool_cluster import (
    KEY,
    OTHER_KEY,
    QUICK,
    Pools,
    living,
    refused,
    scenario,
    status,
    tag,
    until,
    where,
)
from stopwatch import Stopwatch

from quorate.errors import QuorateError
from quorate.gossip.effects import Change, KeyAction, MemberChanged, QueryArrived
from quorate.gossip.messages import Address, NodeFilter
from quorate.gossip.settings import LAN
from quorate.pool.options import PoolOptions
from quorate.pool.pool import Pool
from quorate.wire.memberlist.keyring import key_text

WAYS: dict[str, dict[str, Any]] = {
    "plain": {"compress": False},
    "compressed": {},
    "sealed": {"key": KEY},
    "sealed and labelled": {"key": KEY, "label": b"blue"},
}


@pytest.mark.parametrize("way", WAYS)
def test_two_see_each_other_join_change_and_leave(way: str) -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a", tags={"role": "nomad", "region": "global"})
        b = await pools.start("b", tags={"role": "nomad", "region": "europe"})
        assert a.encrypted == way.startswith("sealed")
        result = await b.join([where(a)])
        assert (result.count, result.error) == (1, "")
        await until(lambda: living(a) == living(b) == {"a", "b"})
        assert tag(a, "b", "region") == "europe"
        b.set_tags({"role": "nomad", "region": "asia"})
        await until(lambda: (Change.UPDATED, "b") in pools.seen["a"])
        assert tag(a, "b", "region") == "asia"
        assert await b.leave()
        await until(lambda: status(a, "b") == "left")
        assert (Change.LEFT, "b") in pools.seen["a"]
        assert (Change.FAILED, "b") not in pools.seen["a"]
        assert refused(a, "all") == refused(b, "all") == 0
        with pytest.raises(QuorateError, match="has left"):
            await b.join([where(a)])

    scenario(story, **WAYS[way])


def all_see_failed(members: list[Pool], name: str) -> bool:
    return all(status(member, name) == "failed" for member in members)


def test_convergence_of_five_at_lan_defaults() -> None:
    """The promise: joins under 1 s, a killed member seen as failed by all within 5 s.

    On virtual time it is kept with every seed (tests/gossip); here a busy machine gets three tries.
    """

    async def story(pools: Pools) -> None:
        members = [await pools.start(f"m{n}") for n in range(5)]
        for member in members[1:]:
            await member.join([where(members[0])])
        joining = Stopwatch()
        await until(lambda: all(len(living(m)) == 5 for m in members))
        assert joining.seconds() < 1.0
        tries: list[float] = []
        while min(tries, default=5.0) >= 5.0 and len(tries) < 3:
            gone = members.pop()
            await pools.stop(gone.options.name)
            noticing = Stopwatch()
            await until(partial(all_see_failed, members, gone.options.name))
            tries.append(noticing.seconds())
        assert min(tries) < 5.0, f"noticing took {tries} s"
        # It comes back at another port: alive again, without anybody's help.
        back = await pools.start(gone.options.name)
        await back.join([where(members[0])])
        members.append(back)
        await until(lambda: all(len(living(m)) == len(members) for m in members))

    scenario(story, settings=LAN, key=KEY)


def test_the_loop_that_servers_run_on() -> None:
    async def story(pools: Pools) -> None:
        a, b = await pools.together("a", "b")
        assert await b.leave()
        await until(lambda: status(a, "b") == "left")

    scenario(story, loop_factory=uvloop.new_event_loop, key=KEY)


def test_ipv6() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        b = await pools.start("b")
        assert where(a).startswith("[::1]:")
        assert (await b.join([where(a)])).count == 1
        await until(lambda: living(a) == living(b) == {"a", "b"})

    scenario(story, bind_host="::1", key=KEY)


def test_all_addresses_of_both_families(caplog: pytest.LogCaptureFixture) -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a", bind_host="::", advertise=Address("127.0.0.1", 0))
        b = await pools.start("b")
        assert (await b.join([f"localhost:{a.address.port}"])).count >= 1
        await until(lambda: living(a) == living(b) == {"a", "b"})
        # Packets go both ways between the families, and each source has its usual form.
        a.set_tags({"from": "a"})
        b.set_tags({"from": "b"})
        await until(lambda: tag(a, "b", "from") == "b" and tag(b, "a", "from") == "a", 8)
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"\x63", ("127.0.0.1", a.address.port))
        await until(lambda: refused(a, "packet") == 1)
        assert "refused gossip from 127.0.0.1: " in caplog.text
        with pytest.raises(QuorateError, match="cannot reach"):
            await pools.start("c", bind_host="0.0.0.0")

    scenario(story)


def test_joins_that_fail_say_why_in_known_words() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        b = await pools.start("b")
        gone = where(b)
        await pools.stop("b")
        port = gone.rpartition(":")[2]
        result = await a.join([gone])
        assert result.count == 0
        assert result.error == (
            "1 error occurred:\n\t* Failed to join 127.0.0.1: "
            f"dial tcp 127.0.0.1:{port}: connect: connection refused\n\n"
        )
        result = await a.join([gone, "no.such.host.invalid", "127.0.0.1:x"])
        assert result.error.startswith("3 errors occurred:\n\t* Failed to resolve no.such.host.inv")
        assert 'Failed to resolve 127.0.0.1:x: "127.0.0.1:x" has no port' in result.error
        c = await pools.start("c")
        result = await a.join([gone, f"c/{where(c)}"])
        assert (result.count, result.error) == (1, "")
        assert len(result.failures) == 1

    scenario(story)


def test_another_key_another_label_and_no_key_are_refused_on_both_sides() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a", key=KEY)
        other = await pools.start("other", key=OTHER_KEY)
        bare = await pools.start("bare")
        labelled = await pools.start("labelled", key=KEY, label=b"blue")
        for stranger in (other, bare, labelled):
            result = await stranger.join([where(a)])
            assert result.count == 0, stranger.options.name
            assert result.error
        assert refused(a, "stream") == 3
        assert "encryption is not configured" in (await bare.join([where(a)])).error
        assert "not encrypted" in (await a.join([where(bare)])).error
        assert living(a) == {"a"}

    scenario(story)


def test_members_that_are_not_wanted_stay_outside() -> None:
    def only_servers(name: str, _address: Address, tags: Mapping[str, str]) -> str:
        return "" if tags.get("role") == "nomad" else f"member '{name}' is not a server"

    async def story(pools: Pools) -> None:
        tags = {"role": "nomad"}
        a = await pools.start("a", admit=only_servers, tags=tags)
        b = await pools.start("b", admit=only_servers, tags=tags)
        plain = await pools.start("plain")
        # It gets the answer before anybody looks at it (docs/wire.md#push-pull).
        assert (await plain.join([where(a)])).count == 1
        assert (await b.join([where(a)])).count == 1
        await until(lambda: living(a) == living(b) == {"a", "b"})
        assert refused(a, "admission") >= 1
        result = await a.join([where(plain)])
        assert "member 'plain' is not a server" in result.error

    scenario(story)


def test_force_leave_and_prune() -> None:
    async def story(pools: Pools) -> None:
        a, b, _, _ = await pools.together("a", "b", "c", "d")
        await pools.stop("c", "d")
        await until(lambda: {status(p, n) for p in (a, b) for n in "cd"} == {"failed"})
        a.force_leave("c")
        a.force_leave("d", prune=True)
        await until(lambda: status(b, "c") == status(a, "c") == "left")
        await until(lambda: status(b, "d") == status(a, "d") == "unknown")
        a.force_leave("nobody")
        a.force_leave("b")
        await asyncio.sleep(0.5)
        assert status(a, "b") == "alive"
        with pytest.raises(ValueError, match=r"itself|own"):
            a.force_leave("a")

    scenario(story)


def test_events_and_queries() -> None:
    async def story(pools: Pools) -> None:
        a, b, c = await pools.together("a", "b", "c")
        heard: list[tuple[str, bytes | None]] = []
        c.on_event.append(lambda e: heard.append((e.name, e.payload)))

        async def uptime(query: QueryArrived) -> bytes:
            return b"since " + (query.payload or b"")

        b.on_query = c.on_query = uptime
        a.send_event("deploy", b"v1")
        await until(lambda: heard == [("deploy", b"v1")])
        result = await a.query("uptime", b"monday", timeout_s=1.0)
        assert result.answers == {"b": b"since monday", "c": b"since monday"}
        assert set(result.acked) == {"a", "b", "c"}
        only = (NodeFilter(("c",)),)
        assert (await a.query("uptime", filters=only, timeout_s=0.6)).answers == {"c": b"since "}
        with pytest.raises(ValueError, match="bytes"):
            a.send_event("big", bytes(600))

    scenario(story)


# -- keys ----------------------------------------------------------------------------------------


def test_a_key_is_rotated_in_all_members(tmp_path: Path) -> None:
    async def story(pools: Pools) -> None:
        a, b = [await pools.start(n, keyring_path=tmp_path / f"{n}.keyring") for n in "ab"]
        await b.join([where(a)])
        await until(lambda: living(a) == living(b) == {"a", "b"})
        old, new = key_text(KEY), key_text(OTHER_KEY)
        result = await a.change_keys(KeyAction.LIST)
        assert (result.keys, result.primary_keys) == ({old: 2}, {old: 2})
        refusal = await a.change_keys(KeyAction.USE, OTHER_KEY)
        assert refusal.error == "2/2 nodes reported failure"
        assert set(refusal.messages) == {"a", "b"}
        for action, key in (
            (KeyAction.INSTALL, OTHER_KEY),
            (KeyAction.USE, OTHER_KEY),
            (KeyAction.REMOVE, KEY),
        ):
            result = await b.change_keys(action, key)
            assert result.error == ""
            assert set(result.answers) == {"a", "b"}
        result = await a.change_keys(KeyAction.LIST)
        assert (result.keys, result.primary_keys) == ({new: 2}, {new: 2})
        assert (tmp_path / "a.keyring").read_text() == f'["{new}"]'
        await asyncio.sleep(0.3)
        assert living(a) == living(b) == {"a", "b"}
        assert refused(a, "packet") == refused(b, "packet") == 0

    scenario(story, key=KEY)


def test_a_member_that_does_not_answer_is_named() -> None:
    async def story(pools: Pools) -> None:
        a, _, _ = await pools.together("a", "b", "c")
        await pools.stop("c")
        result = await a.change_keys(KeyAction.INSTALL, OTHER_KEY, timeout_s=0.7)
        assert result.silent == ("c",)
        assert set(result.answers) == {"a", "b"}
        assert "2/3" in result.error

    scenario(story, key=KEY)


def test_without_encryption_there_are_no_keys_to_change() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        result = await a.change_keys(KeyAction.INSTALL, KEY)
        assert result.error == "1/1 nodes reported failure"
        assert "encryption not enabled" in result.messages["a"]
        assert (await a.change_keys(KeyAction.LIST)).error == "1/1 nodes reported failure"

    scenario(story)


def test_a_ring_that_cannot_be_written_stays_as_it_was(tmp_path: Path) -> None:
    async def story(pools: Pools) -> None:
        path = tmp_path / "ring" / "serf.keyring"
        a = await pools.start("a", keyring_path=path)
        path.unlink()
        path.mkdir()
        result = await a.change_keys(KeyAction.INSTALL, OTHER_KEY)
        assert "cannot write" in result.messages["a"]
        assert (await a.change_keys(KeyAction.LIST)).keys == {key_text(KEY): 1}

    scenario(story, key=KEY)


def test_the_keys_of_the_file_are_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story(pools: Pools) -> None:
        path = tmp_path / "serf.keyring"
        a = await pools.start("a", keyring_path=path, key=KEY)
        await pools.stop("a")
        assert path.stat().st_mode & 0o777 == 0o600
        a = await pools.start("a", keyring_path=path, key=OTHER_KEY)
        assert (await a.change_keys(KeyAction.LIST)).keys == {key_text(KEY): 1}
        assert "is not in" in caplog.text
        await pools.stop("a")
        path.write_text("[")
        with pytest.raises(QuorateError, match=r"serf\.keyring cannot be used"):
            await pools.start("a", keyring_path=path)

    scenario(story)


# -- memory --------------------------------------------------------------------------------------


def test_after_a_restart_the_pool_is_found_again(tmp_path: Path) -> None:
    async def story(pools: Pools) -> None:
        path = tmp_path / "serf" / "snapshot"
        a = await pools.start("a")
        b = await pools.start("b", snapshot_path=path)
        await b.join([where(a)])
        await until(lambda: living(a) == living(b) == {"a", "b"})
        for _ in range(3):
            b.send_event("deploy")
        port, clocks = b.address.port, b.node.clocks()
        assert clocks[1] >= 3
        await pools.stop("b")
        assert f"alive: a {where(a)}\n" in path.read_text()
        b = await pools.start("b", snapshot_path=path, bind_port=port)
        assert b.node.clocks() >= clocks
        await until(lambda: living(a) == living(b) == {"a", "b"})
        await b.leave()
        await pools.stop("b")
        assert path.read_text().endswith("leave\n")
        b = await pools.start("b", snapshot_path=path)
        assert b._memory is not None
        assert b._memory.previous == ()

    scenario(story)


def test_who_fails_is_not_remembered_and_names_write_no_lines(tmp_path: Path) -> None:
    async def story(pools: Pools) -> None:
        path = tmp_path / "snapshot"
        a = await pools.start("a", snapshot_path=path)
        b = await pools.start("b")
        await pools.start("c\nleave")
        for name in ("b", "c\nleave"):
            assert (await a.join([where(pools.running[name])])).count == 1
        await until(lambda: len(living(a)) == 3)
        await b.leave()
        await until(lambda: status(a, "b") == "left")
        await pools.stop("a")
        lines = path.read_text().splitlines()
        assert "not-alive: b" in lines
        assert "leave" not in lines
        assert not any("c" in line for line in lines if line.startswith("alive"))

    scenario(story)


def test_packets_keep_to_their_size_with_all_that_is_around_them() -> None:
    async def story(pools: Pools) -> None:
        a, b = await pools.together("a", "b", key=KEY, label=b"l" * 100, compress=False)
        sizes: list[int] = []
        send = a._sockets.send

        def record(data: bytes, to: Address) -> str:
            sizes.append(len(data))
            return send(data, to)

        a._sockets.send = record  # type: ignore[method-assign]  # to see the sizes
        heard: list[str] = []
        b.on_event.append(lambda e: heard.append(e.name))
        for number in range(60):
            a.send_event(f"event {number}", bytes(number * 7))
        # They may come by a full exchange as well, so the packets are waited for themselves.
        await until(lambda: len(heard) == 60 and max(sizes, default=0) > 1200)
        assert max(sizes) <= 1400

    scenario(story)


def test_rejoin_after_a_leave_if_told_so(tmp_path: Path) -> None:
    async def story(pools: Pools) -> None:
        path = tmp_path / "snapshot"
        a = await pools.start("a")
        b = await pools.start("b", snapshot_path=path)
        await b.join([where(a)])
        await until(lambda: living(a) == {"a", "b"})
        await b.leave()
        await pools.stop("b")
        await pools.start("b", snapshot_path=path, rejoin_after_leave=True)
        await until(lambda: living(a) == {"a", "b"})

    scenario(story)


def test_what_a_callback_asks_wrongly_does_not_hurt_the_pool(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        a.on_member.append(lambda change: a.send_event("big", bytes(600)))
        b = await pools.start("b")
        assert (await b.join([where(a)])).count == 1
        await until(lambda: living(a) == living(b) == {"a", "b"})
        assert "refused" in caplog.text
        assert a.stats()["members"] == "2"
        assert a.stats()["encrypted"] == "false"

    scenario(story)


# -- starting ------------------------------------------------------------------------------------


def test_a_taken_port_and_tags_that_are_too_long(tmp_path: Path) -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        with pytest.raises(QuorateError, match=r"cannot listen for gossip on 127\.0\.0\.1"):
            await pools.start("b", bind_port=a.address.port, snapshot_path=tmp_path / "snapshot")
        with pytest.raises(ValueError, match="512 is the most"):
            await pools.start("c", tags={"x": "y" * 600})
        with pytest.raises(QuorateError, match="cannot bind to") as error:
            await pools.start("d", bind_host="localhost")
        assert error.value.next_step == "give an IP address of this machine"
        with pytest.raises(ValueError, match="512 is the most"):
            a.set_tags({"x": "y" * 600})

    scenario(story)


def test_stopping_ends_what_waits() -> None:
    async def run() -> None:
        pool = Pool(PoolOptions(name="a", bind_host="127.0.0.1", bind_port=0, settings=QUICK))
        await pool.start()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            join = asyncio.ensure_future(pool.join([f"127.0.0.1:{silent.getsockname()[1]}"]))
            question = asyncio.ensure_future(pool.query("x", timeout_s=60))
            await asyncio.sleep(0.05)
            await pool.stop()
            await pool.stop()
        for waiting in (join, question):
            with pytest.raises(QuorateError, match="was stopped"):
                await waiting

    asyncio.run(run())


def test_what_cannot_be_carried_out_ends_the_member() -> None:
    async def story(pools: Pools) -> None:
        a = await pools.start("a")
        heard: list[BaseException] = []
        a.on_failure.append(heard.append)

        def fail(_: MemberChanged) -> None:
            raise RuntimeError("no room for it")

        a.on_member.append(fail)
        b = await pools.start("b")
        with pytest.raises(QuorateError, match="no room for it"):
            await a.join([where(b)])
        assert [str(error) for error in heard] == ["no room for it"]
        with pytest.raises(QuorateError, match="stopped"):
            await a.leave()

    scenario(story)
