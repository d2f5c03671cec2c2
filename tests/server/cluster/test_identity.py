"""A server in its tags, there and back; and members that are no servers."""

from __future__ import annotations

import msgspec
import pytest

from quorate.levels import LEVEL_MAX
from quorate.server.cluster.identity import LEVEL_TAG, Identity, identity_from_tags

ME = Identity(
    id="b96c93af-8283-d07d-fa02-97b2cb7253ed",
    name="s1",
    region="global",
    datacenter="dc1",
    address="127.0.0.1:17411",
    serf_port=4648,
    version="0.1.0",
    cluster_id="c-1",
    expect=3,
    level=1,
)


@pytest.mark.parametrize(
    "me",
    [
        ME,
        msgspec.structs.replace(ME, expect=1),
        msgspec.structs.replace(ME, expect=0, cluster_id=""),
        msgspec.structs.replace(ME, address="[::1]:4647"),
    ],
    ids=["one of three", "alone", "joins only", "IPv6"],
)
def test_what_a_server_tells_is_what_others_read(me: Identity) -> None:
    assert identity_from_tags(me.node, "10.0.0.9", 4648, me.tags()) == me


def test_a_nomad_server_speaks_rpc_where_it_gossips() -> None:
    tags = {
        "role": "nomad",
        "region": "west",
        "dc": "dc2",
        "id": "n-1",
        "port": "4647",
        "vsn": "1",
        "build": "1.8.4",
        "rpc_addr": "192.0.2.7",
        "raft_vsn": "3",
    }
    found = identity_from_tags("n1.west", "10.0.0.9", 4648, tags)
    assert (found.address, found.name, found.region) == ("10.0.0.9:4647", "n1", "west")
    assert found.level == 0


@pytest.mark.parametrize(
    ("text", "level"), [("3", 3), ("", 0), ("-1", 0), ("99999", LEVEL_MAX), ("9" * 99, 0)]
)
def test_a_level_in_a_tag_is_bounded(text: str, level: int) -> None:
    tags = {**ME.tags(), LEVEL_TAG: text}
    assert identity_from_tags(ME.node, "10.0.0.9", 4648, tags).level == level


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"role": "client", "region": "global", "port": "4647"},
        {"role": "nomad", "port": "4647"},
        {"role": "nomad", "region": "global", "port": "x"},
        {"role": "nomad", "region": "global", "port": "4647", "expect": "-1"},
        {"role": "nomad", "region": "global", "port": "123456"},
        {"role": "nomad", "region": "global", "port": "0"},
        {"role": "nomad", "region": "global", "port": "4647", "id": "a\nb"},
        {"role": "nomad", "region": "global", "port": "4647", "id": ""},
        {"role": "nomad", "region": "global", "port": "1", "quorate": "0", "rpc_addr": "a b"},
    ],
)
def test_members_that_are_no_servers(tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="member 'plain' is not a server"):
        identity_from_tags("plain", "10.0.0.9", 4648, tags)


def test_one_that_founds_alone_has_both_tags() -> None:
    """As real servers: `bootstrap` and `expect`."""
    alone = msgspec.structs.replace(ME, expect=1)
    tags = alone.tags()
    assert (tags["bootstrap"], tags["expect"]) == ("1", "1")
    three = msgspec.structs.replace(alone, expect=3).tags()
    assert (three.get("bootstrap"), three["expect"]) == (None, "3")
