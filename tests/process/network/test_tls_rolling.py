"""A running cluster gets TLS between its servers, and loses no write meanwhile."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_processes import Servers, running, until
from tls_files import Certificates

pytestmark = [pytest.mark.process, pytest.mark.long]


class Writer(threading.Thread):
    """Writes variables at all servers; `kept` are those whose write was confirmed."""

    def __init__(self, servers: Servers) -> None:
        super().__init__(daemon=True)
        self.servers = servers
        self.kept: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            name = f"w/{number}"
            for at in list(self.servers.processes):
                try:
                    answer = self.servers.ask(
                        at, f"/v1/var/{name}", "PUT", {"Items": {"n": name}}, timeout_s=8
                    )
                except (OSError, ValueError):
                    continue
                if answer.status == 200:
                    self.kept.append(name)
                    break


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[tuple[Servers, Writer]]:
    with running(tmp_path) as servers:
        writer = Writer(servers)
        writer.start()
        yield servers, writer
        writer.ended.set()
        writer.join(20)


def roll(servers: Servers, writer: Writer, tls: dict[str, Any]) -> None:
    """Start one server after the other again, with these keys."""
    for number in range(servers.count):
        config = servers.config(number)
        config.write_text(json.dumps({**json.loads(config.read_text()), "tls": tls}))
        servers.signal(number, signal.SIGTERM)
        servers.processes[number].wait(30)
        servers.start(number)
        servers.leader()
        goal = len(writer.kept) + 5
        until(lambda goal=goal: len(writer.kept) >= goal, "writes go on")  # type: ignore[misc]


def test_plain_to_tls_with_writes_all_along(
    tmp_path: Path, writing: tuple[Servers, Writer]
) -> None:
    servers, writer = writing
    files = Certificates(tmp_path / "certificates").files()
    named = {"ca_file": files.ca_file, "cert_file": files.cert_file, "key_file": files.key_file}
    roll(servers, writer, {"rpc": True, "rpc_upgrade_mode": True, **named})
    roll(servers, writer, {"rpc": True, **named})
    writer.ended.set()
    writer.join(20)
    leader = servers.leader()
    assert len(writer.kept) > 30
    for name in writer.kept:
        assert servers.ask(leader, f"/v1/var/{name}").json["Items"] == {"n": name}
    assert servers.voters() == 3
