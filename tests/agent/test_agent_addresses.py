"""Where an agent listens: both families under `::`, and names for all that goes wrong."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from agent_process import OneAgent, one_agent
from gossiping_servers import GossipingServers, Place, gossiping
from server_processes import free_ports, until

from quorate.agent.texts import keyring_warning
from quorate.config import AgentConfig
from quorate.config.build import with_value

pytestmark = pytest.mark.process


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


class Everywhere(GossipingServers):
    """Servers that listen on all addresses of both families."""

    def find_place(self, number: int) -> Place:
        del number
        return Place("127.0.0.1", *free_ports(3))

    def configure(self) -> None:
        super().configure()
        for number in range(self.count):
            config = json.loads(self.config(number).read_text())
            self.config(number).write_text(json.dumps({**config, "bind_addr": "::"}))


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_all_addresses_are_those_of_both_families(tmp_path: Path) -> None:
    with gossiping(Everywhere(tmp_path, 3)) as servers:
        servers.leader(30)
        servers.all_vote()
        for host, port in (("::1", servers.http[0]), ("::1", servers.rpc[0])):
            with socket.create_connection((host, port), timeout=5) as connection:
                connection.sendall(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n")
                until(lambda c=connection: c.recv(1000), "an answer")  # type: ignore[misc]


def refusal(agent: OneAgent, **keys: Any) -> str:
    agent.change(**keys)
    done = subprocess.run(agent.command(0), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "agent started!" not in done.stdout
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("kind", ["http", "rpc"])
def test_what_is_wrong_with_a_place_names_it_and_the_setting(tmp_path: Path, kind: str) -> None:
    with one_agent(tmp_path) as agent:
        ports = {"http": agent.http[0], "rpc": agent.rpc[0], "serf": agent.serf[0]}
        place = f"cannot listen for {kind.upper()} on 127.0.0.1:{ports[kind]}: "
        with socket.create_server(("127.0.0.1", ports[kind])):
            line = refusal(agent)
            assert f"{place}address already in use; another process uses that port" in line
            assert f"ports.{kind}" in line
        line = refusal(agent, addresses={kind: "192.0.2.77"})
        assert f"on 192.0.2.77:{ports[kind]}: cannot assign requested address; no interface" in line
        line = refusal(agent, addresses={kind: "nowhere.invalid"})
        assert "nowhere.invalid" in line
        assert "does not resolve" in line
        assert f"addresses.{kind}" in line


def test_brackets_around_an_address_are_no_mistake(tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with one_agent(tmp_path, addresses={"http": "[::1]"}) as agent:
        agent.run()

        def answers() -> bool:
            with socket.create_connection(("::1", agent.http[0]), timeout=5):
                return True

        until(answers, "the API")


def test_a_server_that_gossip_cannot_announce_is_refused_by_name(tmp_path: Path) -> None:
    host = ".".join("h" * 60 for _ in range(4))
    serf = {"gossip": "on", "enabled": True}
    with one_agent(tmp_path, server=serf, datacenter="d" * 100) as agent:
        own = json.loads(agent.config(0).read_text())["advertise"]
        line = refusal(agent, advertise={**own, "rpc": f"{host}:4647"})
        assert line.startswith("==> this server cannot be announced in gossip: the tags take ")
        assert "shorten datacenter, region, or the host name in advertise.rpc" in line


def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with one_agent(tmp_path) as agent:
        for path in (tmp_path / "file", tmp_path / "file" / "below"):
            line = refusal(agent, data_dir=str(path))
            assert line == (
                f"==> data_dir: {tmp_path / 'file'} is a file, not a folder; "
                "name another place for the data"
            )


def test_a_ring_with_another_key_than_the_configured_one_is_named(tmp_path: Path) -> None:
    old, new = (base64.b64encode(letter * 32).decode() for letter in (b"a", b"b"))
    ring = tmp_path / "serf.keyring"
    ring.write_text(json.dumps([old]))
    same = with_value(AgentConfig(), "server.encrypt", old)
    assert keyring_warning(same, ring).count("\n") == 0
    other = with_value(AgentConfig(), "server.encrypt", new + "\n")
    assert f"is not in {ring}. If that file was written" in keyring_warning(other, ring)
    assert keyring_warning(other, tmp_path / "none") == ""


def test_a_server_that_is_told_to_force_itself_out_lives_on(tmp_path: Path) -> None:
    """As real ones: it would refute it."""
    keys = {"server": {"enabled": True, "gossip": "on", "bootstrap_expect": 1}}
    with one_agent(tmp_path, enable_debug=True, **keys) as agent:
        agent.run()
        agent.serves()
        own = agent.ask(0, "/v1/agent/members").json["Members"][0]["Name"]
        left = agent.ask(0, f"/v1/agent/force-leave?node={own}", "PUT")
        assert (left.status, left.text) == (200, "")
        assert agent.ask(0, "/v1/agent/members").json["Members"][0]["Status"] == "alive"
        assert "ResolvConf" in agent.ask(0, "/v1/agent/host").json


def test_a_web_page_of_another_site_changes_nothing_at_an_agent(tmp_path: Path) -> None:
    keys = {"http_hosts": ["proxy.example"]}
    with one_agent(tmp_path, **keys) as agent:
        agent.run()
        agent.serves()
        url = f"http://127.0.0.1:{agent.http[0]}/v1/operator/scheduler/configuration"
        body = {"SchedulerAlgorithm": "spread"}
        for origin, status in (
            ("http://evil.example", 403),
            ("https://proxy.example", 200),
            (f"http://127.0.0.1:{agent.http[0]}", 200),
        ):
            assert httpx.put(url, json=body, headers={"Origin": origin}).status_code == status
        own = agent.ask(0, "/v1/agent/self").json["config"]["NodeName"]
        for host, status in (("rebound.example", 403), ("proxy.example", 200), (own, 200)):
            headers = {"Host": host, "User-Agent": "Mozilla/5.0"}
            assert httpx.get(url, headers=headers).status_code == status
