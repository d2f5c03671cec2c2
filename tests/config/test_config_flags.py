"""The table of flags, and what each sets."""

from __future__ import annotations

from typing import Any

import pytest
from config_hosts import HOST

from quorate.config import FLAGS, apply_flags, load
from quorate.config.keys.schema import KEYS
from quorate.config.keys.spec import Kind
from quorate.errors import ConfigError

FITTING = {
    "bool": {Kind.BOOL, Kind.ANY},
    "string": {Kind.STRING, Kind.ANY},
    "int": {Kind.INT, Kind.ANY},
    "duration": {Kind.DURATION},
    "list": {Kind.LIST, Kind.ANY},
}


def test_names_are_unique_and_targets_exist_with_a_fitting_kind() -> None:
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
    for flag in FLAGS:
        assert flag.help.endswith(".")
        if flag.target.startswith("client.") and flag.name != "client":
            continue  # a block in which any key is accepted
        if flag.target:
            assert KEYS[flag.target].kind in FITTING[flag.kind], flag
        else:
            assert flag.refused or flag.name in {"config", "dev"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"config": ["a"], "dev": True}, {}),
        ({"bind": "10.0.0.1", "node": "n"}, {"bind_addr": "10.0.0.1", "name": "n"}),
        ({"retry-join": ["a", "b"]}, {"server.server_join.retry_join": ("a", "b")}),
        (
            {"join": ["a"], "rejoin": True},
            {
                "server.server_join.start_join": ("a",),
                "server.rejoin_after_leave": True,
            },
        ),
        (
            {"encrypt": "k", "retry-max": 3},
            {
                "server.encrypt": "k",
                "server.server_join.retry_max": 3,
            },
        ),
        ({"retry-interval": "5s"}, {"server.server_join.retry_interval": 5_000_000_000}),
        (
            {"bootstrap-expect": 3, "server": True},
            {"server.bootstrap_expect": 3, "server.enabled": True},
        ),
        ({"log-json": False}, {"log_json": False}),
        ({"dev-connect": False}, {}),
        ({"vault-token": "s3cret"}, {"vault": "(set)"}),
        ({"meta": ["a=b"]}, {"client.meta": "(set)"}),
    ],
)
def test_settings(values: dict[str, object], expected: dict[str, Any]) -> None:
    assert {key: each.value for key, each in apply_flags(values).items()} == expected


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"nope": True}, "flag provided but not defined: -nope"),
        ({"dev-consul": True}, "-dev-consul is not supported by this version of Quorate; use -dev"),
        ({"bootstrap-expect": "x"}, 'flag -bootstrap-expect must be a whole number, got "x"'),
        ({"bootstrap-expect": -1}, "flag -bootstrap-expect must not be negative"),
        ({"retry-interval": "5"}, 'flag -retry-interval must be a duration such as "30s", got "5"'),
        ({"bind": None}, "flag -bind must be of kind string"),
    ],
)
def test_refused(values: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_flags(values)
    assert caught.value.text == text


def test_a_flag_wins_and_is_named_as_the_source() -> None:
    config, notes = load(
        [], {"server": True, "bind": "10.0.0.1", "data-dir": "/x", "consul-ssl": True}, host=HOST
    )
    assert str(config.sources["bind_addr"]) == "flag -bind"
    assert notes.warnings == ("WARNING: No effect in this version of Quorate: consul",)
