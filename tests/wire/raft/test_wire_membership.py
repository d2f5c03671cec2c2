"""Configurations and peer lists: golden bytes, and what is refused."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_vectors import entry_of, load

from quorate.errors import BadFrame
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.raft.values.messages import EntryKind
from quorate.wire.raft.entries import encode_entry
from quorate.wire.raft.membership import (
    decode_configuration,
    decode_peers,
    encode_configuration,
    encode_peers,
)

VECTORS = load("raft-configuration")["vectors"]


def configuration_of(vector: dict[str, Any]) -> Configuration:
    servers = vector["configuration"]["Servers"] or ()
    return Configuration(
        tuple(Server(s["ID"], s["Address"], Suffrage(s["Suffrage"])) for s in servers)
    )


@pytest.mark.parametrize(
    "vector", VECTORS, ids=lambda v: v["name"] + ("-old" if "v1.1.3" in v["library"] else "-head")
)
def test_golden_configuration(vector: dict[str, Any]) -> None:
    written, configuration = bytes.fromhex(vector["hex"]), configuration_of(vector)
    if vector["name"] == "bootstrap_entry_protocol_2":
        assert decode_peers(written) == configuration
        assert encode_peers(configuration) == written
    else:
        assert decode_configuration(written) == configuration
        assert encode_configuration(configuration) == written


@pytest.mark.parametrize("vector", [v for v in VECTORS if "log_entry" in v])
def test_golden_bootstrap_entry(vector: dict[str, Any]) -> None:
    entry, configuration = entry_of(vector["log_entry"]), configuration_of(vector)
    assert entry.kind in {EntryKind.REMOVE_PEER, EntryKind.CONFIGURATION}
    decode = decode_peers if entry.kind == EntryKind.REMOVE_PEER else decode_configuration
    assert decode(entry.data) == configuration
    assert vector["hex"] in encode_entry(entry).hex()


SERVERS = st.builds(Server, st.text(max_size=40), st.text(max_size=40), st.sampled_from(Suffrage))
CONFIGURATIONS = st.lists(SERVERS, max_size=20).map(lambda s: Configuration(tuple(s)))


@given(configuration=CONFIGURATIONS)
def test_any_configuration_comes_back(configuration: Configuration) -> None:
    assert decode_configuration(encode_configuration(configuration)) == configuration


@given(configuration=CONFIGURATIONS)
def test_a_peer_list_keeps_the_addresses_of_voters(configuration: Configuration) -> None:
    addresses = [voter.address for voter in configuration.voters()]
    peers = decode_peers(encode_peers(configuration)).servers
    assert [peer.address for peer in peers] == addresses
    assert [peer.id for peer in peers] == addresses


@pytest.mark.parametrize("written", [b"\xc0", b"\x80", b"\x81\xa7Servers\xc0", b"\x81\xa3Foo\x01"])
def test_no_servers(written: bytes) -> None:
    assert decode_configuration(written) == Configuration()


def test_no_peers() -> None:
    assert encode_peers(Configuration()) == b"\xc0"
    assert decode_peers(b"\xc0") == decode_peers(b"\x90") == Configuration()


SERVER = {"Address": "a:1", "ID": "a", "Suffrage": 0}


@pytest.mark.parametrize(
    "value",
    [
        5,
        [],
        {"Servers": 5},
        {"Servers": {}},
        {"Servers": [None]},
        {"Servers": [5]},
        {"Servers": [SERVER | {"Suffrage": 3}]},
        {"Servers": [SERVER | {"Suffrage": -1}]},
        {"Servers": [SERVER | {"Suffrage": 0.0}]},
        {"Servers": [SERVER | {"ID": 5}]},
        {"Servers": [SERVER | {"Address": b"\xff"}]},
        {"Servers": [SERVER] * 1025},
    ],
)
def test_refused_configuration(value: Any) -> None:
    with pytest.raises(BadFrame):
        decode_configuration(msgpack.packb(value, use_bin_type=False))


@pytest.mark.parametrize("value", [5, {}, [5], [None, 5], [b"\xff"], b"a:1"])
def test_refused_peer_list(value: Any) -> None:
    with pytest.raises(BadFrame):
        decode_peers(msgpack.packb(value, use_bin_type=False))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_membership_or_a_bad_frame(data: bytes) -> None:
    for decode in (decode_configuration, decode_peers):
        result: Configuration | BadFrame
        try:
            result = decode(data)
        except BadFrame as error:
            result = error
        assert isinstance(result, Configuration) or result.next_step
