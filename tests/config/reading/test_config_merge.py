"""What a later file does to an earlier one, key by key.

See docs/configuration.md#files-flags-and-order.
"""

from __future__ import annotations

from typing import Any

import pytest

from quorate.config.build import build, key_values
from quorate.config.model import AgentConfig
from quorate.config.read.merge import merge
from quorate.config.read.parse import parse_bytes


def merged(*texts: str) -> AgentConfig:
    return build(merge(parse_bytes(text.encode(), f"f{n}.hcl") for n, text in enumerate(texts)))


def value(config: AgentConfig, key: str) -> Any:
    return dict(key_values(config))[key]


@pytest.mark.parametrize(
    ("key", "earlier", "later", "result"),
    [
        ("name", '"a"', '"b"', "b"),
        ("name", '"a"', '""', "a"),
        ("region", '""', '""', "global"),
        ("leave_on_terminate", "true", "false", True),
        ("leave_on_terminate", "false", "true", True),
        ("enable_debug", "true", "false", True),
        ("server.enabled", "true", "false", True),
        ("server.bootstrap_expect", "3", "0", 3),
        ("server.bootstrap_expect", "3", "5", 5),
        ("ports.http", "0", "0", 4646),
        ("ports.http", "1", "0", 1),
        ("autopilot.max_trailing_logs", "5", "0", 5),
        # "unset" is known for these
        ("server.raft_multiplier", "5", "0", 0),
        ("autopilot.cleanup_dead_servers", "true", "false", False),
        ("telemetry.filter_default", "true", "false", False),
        ("limits.http_max_conns_per_client", "5", "0", 0),
        ("server.raft_snapshot_interval", '"5s"', '"0s"', 0),
        ("server.raft_snapshot_interval", '"5s"', '""', 5_000_000_000),
        ("server.raft_snapshot_interval", '"5s"', "null", 5_000_000_000),
        # lists
        ("server.retry_join", '["a"]', '["b"]', ("a", "b")),
        ("server.retry_join", '["a"]', "[]", ("a",)),
        ("server.start_join", '["a"]', '["b"]', ("a", "b")),
        ("server.server_join.retry_join", '["a"]', '["b"]', ("b",)),
        ("server.server_join.retry_join", '["a"]', "[]", ("a",)),
        ("server.initial_servers", '["a:1"]', '["b:1", "c:1"]', ("b:1", "c:1")),
        ("telemetry.prefix_filter", '["+a"]', '["-b"]', ("-b",)),
        # maps
        (
            "http_api_response_headers",
            '{ A = "1", B = "2" }',
            '{ B = "3", C = "" }',
            {"A": "1", "B": "3", "C": ""},
        ),
    ],
)
def test_later_file(key: str, earlier: str, later: str, result: object) -> None:
    *blocks, name = key.split(".")

    def text(written: str) -> str:
        return (
            "".join(f"{block} {{\n" for block in blocks)
            + f"{name} = {written}\n"
            + "}\n" * len(blocks)
        )

    assert value(merged(text(earlier), text(later)), key) == result


def test_blocks_merge_key_by_key() -> None:
    config = merged(
        "server { enabled = true\n server_join { retry_max = 3 } }\nports { rpc = 1 }",
        'server { bootstrap_expect = 3\n server_join { retry_join = ["a"] } }',
        "ports { http = 2 }",
    )
    assert config.server.enabled
    assert config.server.bootstrap_expect == 3
    assert config.server.server_join.retry_max == 3
    assert config.server.server_join.retry_join == ("a",)
    assert (config.ports.rpc, config.ports.http, config.ports.serf) == (1, 2, 4648)


def test_the_source_of_a_value_is_the_file_that_set_it() -> None:
    config = merged('\nname = "a"\nregion = "r"', 'name = "b"\nregion = ""')
    assert str(config.sources["name"]) == "f1.hcl:1"
    assert str(config.sources["region"]) == "f0.hcl:3"
    assert "datacenter" not in config.sources


def test_keys_without_effect_merge_too() -> None:
    config = merged(
        'server { enabled_schedulers = ["a"]\n num_schedulers = 2 }',
        'server { enabled_schedulers = ["b"]\n num_schedulers = 0 }',
    )
    assert config.without_effect["server.enabled_schedulers"] == ("a", "b")
    assert config.without_effect["server.num_schedulers"] == 0


@pytest.mark.parametrize(
    ("text", "retry_join", "interval_s", "retry_max"),
    [
        ("", (), 30, 0),
        ('retry_join = ["a"]\n retry_interval = "5s"\n retry_max = 2', ("a",), 5, 2),
        ('server_join { retry_join = ["b"]\n retry_interval = "7s" }', ("b",), 7, 0),
    ],
)
def test_joining_is_said_in_one_of_two_places(
    text: str, retry_join: tuple[str, ...], interval_s: int, retry_max: int
) -> None:
    join = merged(f"server {{\n{text}\n}}").server.join
    assert join.retry_join == retry_join
    assert join.retry_interval_ns == interval_s * 1_000_000_000
    assert join.retry_max == retry_max
