"""Acts at a real server that is killed at once, and the file of its audit sink."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from cli_run import Ran, run
from server_processes import Servers, running, until

from quorate.client import AuditRecord, Client, ClientError
from quorate.levels import LEVEL

pytestmark = [pytest.mark.process, pytest.mark.long]

SAVE = "save a snapshot"
ROUNDS = 3


def address(servers: Servers) -> str:
    return f"http://{servers.host(0)}:{servers.http[0]}"


def told(servers: Servers, what: str) -> list[AuditRecord]:
    with Client(address(servers)) as client, suppress(ClientError):
        return [each for each in client.audit().records if each.what == what]
    return []


def at_its_level(servers: Servers) -> bool:
    with Client(address(servers)) as client, suppress(ClientError):
        return client.upgrade_check().level == LEVEL
    return False


def verify(servers: Servers, file: Path) -> Ran:
    return run("operator", "audit", "verify", str(file), env={"NOMAD_ADDR": address(servers)})


def act_and_kill(servers: Servers, number: int) -> None:
    """Do an act, end the server at once, and start it again: so many acts are told then."""
    assert servers.ask(0, "/v1/operator/snapshot").status == 200
    servers.kill(0)
    servers.start(0)
    until(lambda: len(told(servers, SAVE)) == number, "the record of the act")


def test_no_act_is_lost_or_told_twice_by_kills_and_a_changed_file_is_found(tmp_path: Path) -> None:
    with running(tmp_path, 1) as servers:
        servers.kill(0)
        config = json.loads(servers.config(0).read_text())
        sink = tmp_path / "audit.log"
        config["audit"] = {"enabled": True, "sink": {"audit": {"path": str(sink)}}}
        servers.config(0).write_text(json.dumps(config))
        servers.start(0)
        until(lambda: at_its_level(servers), "the level")
        for number in range(1, ROUNDS + 1):
            act_and_kill(servers, number)
        found = told(servers, SAVE)
        assert all(each.address.startswith("127.0.0.1:") for each in found)
        assert len({each.source for each in found}) == ROUNDS
        until(lambda: sink.read_text().count(SAVE) >= ROUNDS, "the lines of the sink")
        ran = verify(servers, sink)
        assert (ran.code, ran.stderr) == (0, "")
        sink.write_text(sink.read_text().replace(SAVE, "safe a snapshot", 1))
        ran = verify(servers, sink)
        assert ran.code == 2
        assert "record act/" in ran.stderr
