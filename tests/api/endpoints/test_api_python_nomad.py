"""python-nomad's own classes against a real port: a client that none of us wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import nomad
import pytest
from api_running import asynchronous
from api_server import serving
from fake_server import NOW, FakeServer
from nomad.api.exceptions import (
    BadRequestNomadException,
    BaseNomadException,
    URLNotFoundNomadException,
)

from quorate.metrics import Metrics

Use = Callable[[nomad.Nomad], Any]


async def using(service: FakeServer, use: Use) -> Any:
    """What the client gives, called in a thread while the service is served."""
    metrics = Metrics(labels={"host": "h"})
    metrics.advance(NOW - 10)
    metrics.gauge("nomad.raft.appliedIndex", 7.0)

    def call(port: int) -> Any:
        client = nomad.Nomad(host="127.0.0.1", port=port, timeout=5)
        return use(client)

    async with serving(service.application(metrics)) as served:
        return await asyncio.to_thread(call, served.port)


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda client: client.status.leader.get_leader(), "127.0.0.3:4647"),
        (lambda client: len(client.status.leader), 14),
        (lambda client: "127.0.0.3:4647" in client.status.leader, True),
        (lambda client: client.status.peers.get_peers()[0], "127.0.0.3:4647"),
        (lambda client: len(client.status.peers), 3),
        (lambda client: client.status.peers["127.0.0.1:4647"], "127.0.0.1:4647"),
        (lambda client: client.regions.get_regions(), ["global"]),
        (lambda client: "global" in client.regions, True),
        (lambda client: client.agent.get_agent()["member"]["Name"], "s3.global"),
        (lambda client: len(client.agent.get_members()["Members"]), 3),
        (lambda client: client.agent.join_agent(["a:4648", "b"])["num_joined"], 2),
        (lambda client: client.agent.join_agent("a")["error"], ""),
        (lambda client: client.agent.force_leave("s1.global"), 200),
        (lambda client: client.metrics.get_metrics()["Gauges"][0]["Value"], 7.0),
        (lambda client: client.operator.get_configuration()["Index"], 22),
        (
            lambda client: client.operator.get_configuration(stale=True)["Servers"][0]["Leader"],
            True,
        ),
        (lambda client: client.operator.delete_peer("127.0.0.1:4647"), True),
        (lambda client: client.operator.delete_peer("127.0.0.1:4647", stale=True), True),
        (lambda client: client.namespaces.get_namespaces()[0]["Name"], "default"),
        (lambda client: client.jobs.get_jobs(), []),
        (lambda client: client.nodes.get_nodes(), []),
        (lambda client: client.allocations.get_allocations(), []),
        (lambda client: client.evaluations.get_evaluations(), []),
        (lambda client: client.deployments.get_deployments(), []),
        (lambda client: client.search.search("x", "jobs")["Matches"], {"jobs": []}),
        (lambda client: client.system.initiate_garbage_collection(), True),
        (lambda client: client.system.reconcile_summaries(), True),
        (lambda client: client.namespace.get_namespace("default")["Name"], "default"),
    ],
)
@asynchronous
async def test_python_nomad(use: Use, expected: object) -> None:
    assert await using(FakeServer().write_defaults(), use) == expected


@asynchronous
async def test_namespaces_are_written_and_their_events_read() -> None:
    def write_and_read(client: nomad.Nomad) -> Any:
        client.namespace.create_namespace({"Name": "team", "Meta": {"a": "b"}})
        client.namespace.update_namespace("team", {"Name": "team", "Description": "d"})
        names = [each["Name"] for each in client.namespaces.get_namespaces(prefix="te")]
        found = client.namespace.get_namespace("team")
        stream, ended, events = client.event.stream.get_stream(
            index=found["CreateIndex"], topic={"Namespace": "team"}
        )
        stream.daemon = True
        stream.start()
        told = [events.get(timeout=5)["Events"][0] for _ in range(2)]
        ended.set()
        client.namespace.delete_namespace("team")  # and so the thread sees that it is to end
        stream.join(5)
        return names, found["Description"], [each["Type"] for each in told], stream.is_alive()

    expected = (["team"], "d", ["NamespaceUpserted"] * 2, False)
    assert await using(FakeServer().write_defaults(), write_and_read) == expected


@asynchronous
async def test_a_peer_is_gone_after_its_removal() -> None:
    service = FakeServer()
    await using(service, lambda client: client.operator.delete_peer("127.0.0.1:4647"))
    assert service.peers() == ["127.0.0.3:4647", "127.0.0.2:4647"]


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda client: client.operator.delete_peer("127.0.0.9:4647"), BaseNomadException),
        (lambda client: client.namespace.get_namespace("nosuch"), URLNotFoundNomadException),
        (lambda client: client.agent.get_servers(), BaseNomadException),
        (lambda client: client.job.get_job("x"), URLNotFoundNomadException),
        (lambda client: client.acl.get_tokens(), BadRequestNomadException),
        (lambda client: client.agent.join_agent([]), BadRequestNomadException),
        (lambda client: client.agent.force_leave(""), BadRequestNomadException),
    ],
)
@asynchronous
async def test_what_python_nomad_raises(use: Use, error: type[Exception]) -> None:
    with pytest.raises(error):
        await using(FakeServer(), use)
