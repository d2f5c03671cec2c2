"""The library by TLS: founding, joining, and certificates that are not those of servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from replica_cluster import Pairs, Replicas, until
from tls_files import Certificates, keeper

from quorate.errors import NotReached, QuorateError
from quorate.net.tls.identity import read_identity
from quorate.net.tls.worrying import TOLD_EVERY_S, Worrying
from quorate.replica import Options, serve


def test_three_replicas_found_a_cluster_and_take_in_a_fourth(tmp_path: Path) -> None:
    made = Certificates(tmp_path / "certificates")

    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3)
        tls = made.files(region="library")
        for name in cluster.servers:
            cluster.machines[name] = Pairs()
        started = await asyncio.gather(
            *(
                serve(name, cluster.servers, machine, tmp_path / name, tls=tls)
                for name, machine in cluster.machines.items()
            )
        )
        cluster.running = dict(zip(cluster.machines, started, strict=True))
        spare = Replicas(tmp_path, 1).servers["a"]
        servers = {**cluster.servers, "d": spare}
        try:
            index, _ = await cluster.propose(b"k=v")
            await until(lambda: all(r.node.applied_index >= index for r in started))
            refused: list[tuple[str, str]] = []
            started[0].on_refused.append(lambda where, why: refused.append((where, why)))
            with pytest.raises(NotReached):  # without TLS nobody hears it
                await serve(
                    *("d", servers, Pairs(), tmp_path / "d", Options(join_timeout_s=0.5)),
                    join=True,
                )
            assert any("speaks no TLS" in why for _, why in refused)
            joiner = await serve("d", servers, Pairs(), tmp_path / "d", join=True, tls=tls)
            await until(lambda: joiner.node.applied_index >= index)
            await joiner.stop()
        finally:
            await cluster.stop()

    asyncio.run(scenario())


def test_a_certificate_that_is_not_a_servers_is_refused_at_once(tmp_path: Path) -> None:
    files = Certificates(tmp_path / "certificates").files(region="global")
    with pytest.raises(QuorateError, match=r"needs one for server\.library\.nomad") as caught:
        asyncio.run(serve("a", {"a": "127.0.0.1:7101"}, Pairs(), tmp_path / "a", tls=files))
    assert "-region=library" in caught.value.next_step


def test_a_certificate_that_ends_soon_is_told_by_status_and_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that embeds a replica has no health that somebody asks for."""
    made = Certificates(tmp_path / "certificates")

    async def worries(name: str, days: int) -> tuple[str, ...]:
        servers = Replicas(tmp_path / name, 1).servers
        tls = made.files(name, region="library", days=days)
        replica = await serve("a", servers, Pairs(), tmp_path / name, tls=tls)
        try:
            await asyncio.sleep(0)  # the first look is at once
            return replica.status().tls_worries
        finally:
            await replica.stop()

    with caplog.at_level("WARNING", "quorate.replica"):
        assert asyncio.run(worries("good", 365)) == ()
        assert not caplog.messages
        (worry,) = asyncio.run(worries("soon", 20))
    assert "expires in 19 days: make a new one (quorate tls cert create -server" in worry
    assert caplog.messages == [f"a: {worry}"]


def test_worries_are_told_once_a_day(tmp_path: Path) -> None:
    made = Certificates(tmp_path)
    tls = keeper(made.files("soon", days=20))
    told: list[str] = []
    clock = [0.0]
    worrying = Worrying(tls, "a", told.append, lambda: clock[0])
    for hour in range(49):
        clock[0] = hour * 3600.0
        worrying.look()
    assert len(told) == 3
    tls.identity = read_identity(made.files("good"))
    clock[0] += 2 * TOLD_EVERY_S
    worrying.look()
    assert len(told) == 3
