"""A real agent and its signals: stopped at once it says 1, having left it says 0."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from patience import PATIENCE_S
from server_processes import Servers

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("keys", "number", "code", "said"),
    [
        ({}, signal.SIGTERM, 1, False),
        ({"leave_on_terminate": True}, signal.SIGTERM, 0, True),
        ({"leave_on_terminate": True}, signal.SIGINT, 1, False),
    ],
)
def test_exit_codes(
    keys: dict[str, bool], number: signal.Signals, code: int, said: bool, tmp_path: Path
) -> None:
    servers = Servers(tmp_path, 1)
    config = json.loads(servers.config(0).read_text())
    servers.config(0).write_text(json.dumps({**config, **keys}))
    servers.start(0)
    try:
        servers.leader()
        servers.signal(0, number)
        assert servers.processes[0].wait(PATIENCE_S) == code
    finally:
        servers.stop_all()
    assert ("==> Gracefully shutting down agent..." in servers.log(0)) is said
    assert "Traceback" not in servers.log(0)
