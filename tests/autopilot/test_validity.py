"""Which IDs, names and addresses a server can have."""

from __future__ import annotations

import pytest

from quorate.autopilot.validity import address_objection, objection_to


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1:4647",
        "[::1]:1",
        "[fe80::1%eth0]:65535",
        "s1.dc-1.example:4647",
        "a:1",
        "a.b.:1",
        f"{'x' * 63}:1",
    ],
)
def test_addresses(address: str) -> None:
    assert address_objection(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("nonsense", "", ":", ":4647", "host:", "host:0", "host:65536", "host:x", "host:-1"),
        *("host:٤٦٤٧", "::1:4647", "[::1:4647", "::1]:4647", "[host]:1", "a b:1", "a\n:1", "a,b:1"),
        *("http://host:1", "user@host:1", f"{'x' * 254}:1", "höst:1", "host:000001"),
        *(f"{'x' * 64}:1", f"a.{'x' * 64}.b:1", "a..b:1", ".a:1", ".:1"),
    ],
)
def test_no_addresses(address: str) -> None:
    assert address_objection(address)
    assert address_objection(address).isprintable()


@pytest.mark.parametrize(
    ("server_id", "name", "named"),
    [
        ("", "s1.global", "ID"),
        ("a b", "s1.global", "ID"),
        ("a" * 129, "s1.global", "ID"),
        ("\x1b[31m", "s1.global", "ID"),
        ("a", "", "name"),
        ("a", "s1\n.global", "name"),
        ("a", "n" * 257, "name"),
        ("a", "s1.global", ""),
    ],
)
def test_ids_and_names(server_id: str, name: str, named: str) -> None:
    found = objection_to(server_id, name, "10.0.0.1:4647")
    assert bool(found) == bool(named)
    assert named in found
    assert found.isprintable()
