"""What a server does with a snapshot that cannot be right: nothing is dropped for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from replica_cluster import Replicas, until

from quorate.raft.values.messages import (
    AnyResponse,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
)
from quorate.replica import Replica
from quorate.wire.raft.membership import encode_configuration, encode_peers
from quorate.wire.raft.messages import encode_request, kind_of
from quorate.wire.raft.stream import ResponseReader


def install(leader: Replica[Any], size: int) -> InstallSnapshotRequest:
    """A request as the leader would send it, of a state far ahead of the log."""
    configuration = leader.node.configuration
    return InstallSnapshotRequest(
        **leader.node.header(),
        leader=leader.address,
        last_log_index=1000,
        last_log_term=leader.node.term,
        peers=encode_peers(configuration),
        configuration=encode_configuration(configuration),
        configuration_index=1,
        size=size,
    )


async def sent(address: str, request: InstallSnapshotRequest, body: bytes) -> AnyResponse | None:
    """The answer, None if the connection was closed without one."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answers = ResponseReader(1 << 20)
    answers.expect(kind_of(request))
    try:
        writer.write(encode_request(request) + body)
        while data := await reader.read(1 << 16):
            for response, _ in answers.feed(data):
                return response
    except ConnectionError:
        pass
    finally:
        writer.close()
    return None


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (7, "a snapshot that a peer sent is refused: "),
        (1 << 39, "no room in "),
        (1 << 62, f"it announced a snapshot of {1 << 62} bytes"),
    ],
)
def test_a_snapshot_that_cannot_be_right_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: int, said: str
) -> None:
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, unproven_peers=("127.0.0.1",))
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        name, follower = next(p for p in cluster.running.items() if p[1] is not leader)
        await until(lambda: cluster.machines[name].values == {"k": "1"})
        problems: list[str] = []
        follower.on_failure.append(lambda error: problems.append(f"failed: {error}"))
        follower.on_refused.append(lambda _, why: problems.append(why))
        sending = asyncio.create_task(sent(follower.address, install(leader, size), b"garbage"))
        await until(lambda: said in caplog.text or said in problems)
        if size == 7:  # of the others not all bytes have come
            response = await sending
            assert isinstance(response, InstallSnapshotResponse)
            assert not response.success
        sending.cancel()
        await leader.propose(b"k=2")
        await until(lambda: cluster.machines[name].values == {"k": "2"})
        assert follower.log.first_index() == 1
        assert follower.snapshots.list() == []
        assert set(problems) <= {said}
        await cluster.stop()

    asyncio.run(scenario())


def test_a_snapshot_of_version_0_is_stored_with_its_voters(tmp_path: Path) -> None:
    # As hashicorp/raft sent it before 1.0: addresses of voters, and no configuration.
    async def scenario() -> None:
        cluster = Replicas(tmp_path, 3, unproven_peers=("127.0.0.1",))
        await cluster.start()
        leader = await cluster.leader()
        await leader.propose(b"k=1")
        follower = next(r for r in cluster.running.values() if r is not leader)
        body: list[bytes] = []
        leader.machine.snapshot()(body.append)
        old = msgspec.structs.replace(
            install(leader, sum(map(len, body))),
            snapshot_version=0,
            configuration=b"",
            configuration_index=0,
        )
        response = await sent(follower.address, old, b"".join(body))
        assert isinstance(response, InstallSnapshotResponse)
        assert response.success
        (stored,) = follower.snapshots.list()
        assert stored.index == stored.configuration_index == 1000
        voters = {server.address for server in leader.node.configuration.voters()}
        assert {server.address for server in stored.configuration.voters()} == voters
        await cluster.stop()

    asyncio.run(scenario())
