"""Makes golden data folders with some version of Quorate: `python make.py PYTHON NAME`.

PYTHON is the interpreter of that version's environment; the folders go to `NAME/folders.tar.gz`
beside this file, with `NAME/facts.json`, which says what they hold. NAME is level-N, of the feature
level that the version has. Run it at the end of every release, so that each later version shows
that it opens them.

A cluster of four comes to its level, holds the lock of a variable (from level 3 on), writes
settings, takes snapshots, loses its fourth server,
removes it, and writes again. Then the three that are left are killed.
"""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "support" / room) for room in (".", "processes")]

from register_writers import PATH, body, read  # noqa: E402
from server_processes import Servers, until  # noqa: E402

WRITES = 30
MORE_WRITES = 5
LEVEL_OF_VARIABLES = 3


class OtherServers(Servers):
    """Servers of another version."""

    python = sys.executable

    def command(self, number: int) -> list[str]:
        return [self.python, *super().command(number)[1:]]


def main(python: str, name: str) -> None:
    """Make the folders `name`."""
    OtherServers.python = python
    with TemporaryDirectory() as folder:
        servers = OtherServers(
            Path(folder), 4, raft_snapshot_threshold=10, raft_snapshot_interval="100ms"
        )
        servers.start()
        try:
            _pack(servers, HERE / name, _live(servers, int(name.removeprefix("level-"))))
        finally:
            servers.stop_all()


def _live(servers: Servers, level: int) -> dict[str, object]:
    """The life of the cluster; what its folders hold then."""
    until(lambda: read(servers, servers.leader()), "the first writes")
    servers.move_leadership_to(0)
    if level:  # versions before levels do not know the question
        until(lambda: servers.ask(0, "/v1/operator/upgrade").json["Level"] == level, "the level")
    if level >= LEVEL_OF_VARIABLES:
        items = {"Items": {"k": "v"}, "Lock": {"ID": "golden", "TTL": "24h"}}
        assert servers.ask(0, "/v1/var/golden?lock-acquire", "PUT", items).status == 200
    for value in range(1, WRITES + 1):
        assert servers.ask(0, PATH, "PUT", body(value)).status == 200
    autopilot = {"CleanupDeadServers": False, "MaxTrailingLogs": 300, "LastContactThreshold": "1s"}
    assert servers.ask(0, "/v1/operator/autopilot/configuration", "PUT", autopilot).status == 200
    until(lambda: all(_has_snapshot(servers, number) for number in range(3)), "snapshots")
    rows = servers.ask(0, "/v1/operator/raft/configuration").json["Servers"]
    gone = next(row["ID"] for row in rows if row["Address"] == servers.rpc_address(3))
    servers.kill(3)
    assert servers.ask(0, f"/v1/operator/raft/peer?id={gone}", "DELETE").status == 200
    for value in range(WRITES + 1, WRITES + MORE_WRITES + 1):
        assert servers.ask(0, PATH, "PUT", body(value)).status == 200
    last = read(servers, 0)
    until(lambda: [read(servers, n, "?stale") for n in (1, 2)] == [last, last], "all to be level")
    rows = servers.ask(0, "/v1/operator/raft/configuration").json["Servers"]
    return {
        "removed": gone,
        "term": int(servers.stats(0)["term"]),
        "last_index": int(servers.stats(0)["last_log_index"]),
        "value": last.value,
        "modify_index": last.modify_index,
        "servers": {row["ID"]: row["Address"] for row in rows},
    }


def _has_snapshot(servers: Servers, number: int) -> bool:
    return int(servers.stats(number)["last_snapshot_index"]) > WRITES // 2


def _pack(servers: Servers, target: Path, facts: dict[str, object]) -> None:
    servers.stop_all()
    target.mkdir(exist_ok=True)
    with tarfile.open(target / "folders.tar.gz", "w:gz", compresslevel=9) as archive:
        for number in range(3):
            archive.add(servers.data_dir(number), f"s{number}", filter=_plain)
    (target / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if info.name.endswith(".lock"):
        return None
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


if __name__ == "__main__":
    main(*sys.argv[1:])
