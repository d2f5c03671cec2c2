"""What the server is told, from what was configured."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from quorate.agent.options import browsers_sites, metric_labels, server_options
from quorate.agent.texts import banner, keyring_warning
from quorate.config import AgentConfig, load
from quorate.config.build import with_value
from quorate.config.model import Addresses, Advertise, Telemetry
from quorate.server.options import GossipOptions

KEY = "cg8StVXbQJ0gPvMd9o7yrg=="


def loaded(tmp_path: Path, text: str, **flags: Any) -> AgentConfig:
    file = tmp_path / "a.hcl"
    ip = "10.0.0.1"
    file.write_text(f'name = "s"\ndata_dir = "/d"\nbind_addr = "{ip}"\n{text}')
    return load([file], {"server": True, **flags})[0]


def gossip_of(tmp_path: Path, text: str = "", **flags: Any) -> GossipOptions | None:
    return server_options(loaded(tmp_path, text, **flags), Path("/d")).gossip


def test_everything_that_may_be_set(tmp_path: Path) -> None:
    text = """
    addresses { serf = "10.0.0.2" }
    advertise { serf = "192.0.2.7:7000" }
    ports { serf = 5000 }
    server {
      bootstrap_expect = 3
      gossip_profile = "wan"
      server_join {
        retry_interval = "15s"
        retry_max      = 4
      }
    }
    """
    found = gossip_of(
        tmp_path, text, encrypt=KEY, rejoin=True, **{"retry-join": ["10.0.0.3", "h:9"]}
    )
    assert found is not None
    assert found == GossipOptions(
        bind=("10.0.0.2", 5000),
        advertise="192.0.2.7:7000",
        keyring_path=Path("/d/server/serf.keyring"),
        key=bytes.fromhex("720f12b555db409d203ef31df68ef2ae"),
        retry_join=("10.0.0.3:5000", "h:9"),
        retry_interval_s=15.0,
        retry_max=4,
        rejoin_after_leave=True,
        profile="wan",
    )
    assert str(found.key) not in repr(found)


def test_the_defaults_and_the_old_places(tmp_path: Path) -> None:
    plain = gossip_of(tmp_path)
    assert plain == GossipOptions(
        bind=("10.0.0.1", 4648),
        advertise="10.0.0.1:4648",
        keyring_path=Path("/d/server/serf.keyring"),
    )
    old = gossip_of(
        tmp_path, 'server { start_join = ["h"]\n retry_interval = "2s"\n retry_max = 9 }'
    )
    assert old is not None
    assert (old.start_join, old.retry_interval_s, old.retry_max) == (("h:4648",), 2.0, 9)


def test_a_fixed_list_does_not_gossip(tmp_path: Path) -> None:
    assert gossip_of(tmp_path, 'server { initial_servers = ["10.0.0.1:4647"] }') is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('server { initial_servers = ["10.0.0.1:4647"] }', "off (the servers are a fixed list)"),
        (f'server {{ encrypt = "{KEY}" }}', "10.0.0.1:4648 (lan, encrypted)"),
    ],
)
def test_the_banner_says_whether_it_gossips(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "a.hcl"
    file.write_text(f'data_dir = "/d"\nbind_addr = "10.0.0.1"\n{text}')
    config, _ = load([file], {"server": True})
    assert f"Gossip: {line}\n" in banner(config)
    assert KEY not in banner(config)


@pytest.mark.parametrize(
    ("key", "there", "said"), [(KEY, True, True), (KEY, False, False), ("", True, False)]
)
def test_a_key_beside_a_ring_is_not_used_and_that_is_said(
    key: str, there: bool, said: bool, tmp_path: Path
) -> None:
    ring = tmp_path / "serf.keyring"
    if there:
        ring.write_text("[]")
    config = with_value(AgentConfig(), "server.encrypt", key)
    text = "==> WARNING: keyring exists but -encrypt given, using keyring"
    first, _, cure = keyring_warning(config, ring).partition("\n")
    assert first == (text if said else "")
    assert cure.startswith(f"==> The key of server.encrypt is not in {ring}. ") is said


def test_browsers_may_use_the_names_of_host_agent_and_addresses() -> None:
    config = AgentConfig(
        name="s1",
        bind_addr="bound.example",
        addresses=Addresses(http="127.0.0.1 first.example second.example"),
        advertise=Advertise(http="told.example:4646", rpc="rpc.example:4647"),
        http_hosts=("proxy.example",),
    )
    sites = browsers_sites(config)
    agent = b"Mozilla/5.0"
    own = "s1 bound.example first.example second.example told.example rpc.example proxy.example"
    for name in (*own.split(), socket.gethostname(), "10.9.8.7", "localhost"):
        assert not sites.objection("GET", {b"host": f"{name}:4646".encode(), b"user-agent": agent})
    assert sites.objection("GET", {b"host": b"other.example", b"user-agent": agent})
    # Only of names that the operator gave may other pages change things.
    for name, may in (("proxy.example", True), ("told.example", False)):
        headers = {b"host": b"10.9.8.7:4646", b"origin": f"https://{name}".encode()}
        assert (sites.objection("PUT", headers) == "") is may


@pytest.mark.parametrize(
    ("keys", "host"),
    [
        ({}, socket.gethostname()),
        ({"disable_hostname": True}, None),
        ({"use_node_name": True}, "s1"),
        ({"use_node_name": True, "disable_hostname": True}, "s1"),
    ],
)
def test_the_host_of_a_metric(keys: dict[str, Any], host: str | None) -> None:
    config = AgentConfig(name="s1", telemetry=Telemetry(**keys))
    assert metric_labels(config).get("host") == host


def test_the_machine_is_shown_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_options(loaded(tmp_path, ""), tmp_path).host_data is None
    asked = server_options(loaded(tmp_path, "enable_debug = true"), tmp_path).host_data
    assert asked is not None
    monkeypatch.setenv("SOME_TOKEN", "geheim")
    monkeypatch.setenv("PATH", "/bin")

    async def ask() -> dict[str, Any]:
        return await asked()

    data = asyncio.run(ask())
    assert set(data) == {"Disk", "Environment", "Hosts", "Network", "OS", "ResolvConf"}
    assert data["Environment"]["PATH"] == "/bin"
    assert data["Environment"]["SOME_TOKEN"] == "<redacted>"
    assert "geheim" not in repr(data)
    assert data["Disk"][str(tmp_path)]["DiskMB"] >= data["Disk"][str(tmp_path)]["UsedMB"]
    assert {"address": "127.0.0.1", "name": "lo"} in data["Network"]
