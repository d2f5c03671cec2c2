"""Data folders of older versions open, with all they hold, and their cluster comes to the level."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden_clusters import FOLDERS, WRITES, unpack
from register_writers import PATH, body, read
from server_processes import Servers, until

from quorate.levels import LEVEL

pytestmark = pytest.mark.process

NAMES = sorted(path.name.removesuffix(".tar.xz") for path in FOLDERS.glob("*.tar.xz"))


def test_there_are_folders_of_all_versions_that_must_open() -> None:
    assert "level-0" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_data_folder_of_an_older_version_opens(name: str, tmp_path: Path) -> None:
    servers = Servers(tmp_path, 1)
    unpack(name, servers.data_dir(0))
    before = (servers.data_dir(0) / "server" / "quorate.json").read_text()
    servers.start()
    try:
        servers.leader()
        assert read(servers, 0).value == WRITES
        assert servers.ask(0, PATH, "PUT", body(WRITES + 1)).status == 200
        until(lambda: servers.ask(0, "/v1/operator/upgrade").json["Level"] == LEVEL, "the level")
        said = servers.ask(0, "/v1/agent/self").json["stats"]["nomad"]
        assert said["cluster_id"] in before
        servers.kill(0)
        servers.start()  # and what it made of the folder opens as well
        servers.leader()
        assert read(servers, 0).value == WRITES + 1
    finally:
        servers.stop_all()
    assert "Traceback" not in servers.log(0)
