"""The library by TLS: founding, joining, and certificates that are not those of servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from replica_cluster import Pairs, Replicas, until
from tls_files import Certificates

from quorate.errors import NotReached, QuorateError
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
